# Make targets for the whole stack on one machine. README.md describes it.

##@ Stack
# Local ports. Not 9090 and 9093, which the services of Debian's packages use.
stack wall: export EXPORTER_PORT     ?= 9880
stack:        export PROMETHEUS_PORT   ?= 19090
stack:        export ALERTMANAGER_PORT ?= 19093
stack wall: export GRAFANA_PORT      ?= 13000
stack:        export RUNNER_PORT       ?= 8555
stack: export SIMULATE    ?= 1
stack: export HISTORY ?= 192h# simulation only
stack: export DATA    ?=# defaults to a temporary folder in a simulation, to ~/.local/share/coingecko-exporter otherwise
stack: export PROMETHEUS_CONFIG   ?= stack/prometheus.yaml
stack: export ALERTMANAGER_CONFIG ?= stack/alertmanager.yaml

# Password of Grafana's admin. The file is readable for Grafana's user in the container; the folder protects it on this machine.
GRAFANA_PASSWORD := stack/secrets/grafana_admin_password

stack: build $(GRAFANA_PASSWORD) ## Run exporter, Prometheus, Alertmanager and Grafana as processes, simulated; SIMULATE=0 for live rates
	@go build -o bin/goreman github.com/mattn/goreman
	@go build -o bin/backfill ./stack/backfill
	@exec stack/start

# A simulation ignores the plan and the key in .env.
up: $(GRAFANA_PASSWORD) ## Run the stack in containers, configured in .env; SIMULATE=1 for simulated rates
	VERSION=$(VERSION) REVISION=$(REVISION) BRANCH=$(BRANCH) DATE=$(DATE) \
	$(if $(filter-out 0 false no,$(SIMULATE)),COINGECKO_EXPORTER_SIMULATE=true COINGECKO_EXPORTER_COINGECKO_PLAN=keyless COINGECKO_API_KEY_FILE=) \
	docker compose up --detach --wait

down: ## Stop the containers; data is kept
	docker compose down

logs: ## Follow the logs of the containers
	docker compose logs --follow

wall: ## Open the wall in a full-screen browser
	@exec stack/wall

$(GRAFANA_PASSWORD):
	@mkdir -p -m 700 $(@D)
	@od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > $@ && chmod 644 $@

lint: lint-stack
lint-stack:
	shellcheck stack/start stack/exporter stack/prometheus stack/wall

.PHONY: stack up down logs wall lint-stack
