# Make targets of the whole system on one machine. README.md describes them.

##@ The whole system
# Ports on this machine. Not 9090 and 9093: Debian's packages start services of their own there.
stack wall: export EXPORTER_PORT     ?= 9880
stack:        export PROMETHEUS_PORT   ?= 19090
stack:        export ALERTMANAGER_PORT ?= 19093
stack wall: export GRAFANA_PORT      ?= 13000
stack:        export RUNNER_PORT       ?= 8555
stack: export SIMULATE    ?= 1
stack: export HISTORY ?= 192h# of a simulation
stack: export DATA    ?=# of a simulation: a temporary folder; otherwise: ~/.local/share/coingecko-exporter
stack: export PROMETHEUS_CONFIG   ?= stack/prometheus.yaml
stack: export ALERTMANAGER_CONFIG ?= stack/alertmanager.yaml

# For Grafana's admin. Readable for its user in a container, and here for nobody but you, because of the folder.
GRAFANA_PASSWORD := stack/secrets/grafana_admin_password

stack: build $(GRAFANA_PASSWORD) ## Run exporter, Prometheus, Alertmanager and Grafana here, simulated; SIMULATE=0 polls CoinGecko
	@go build -o bin/goreman github.com/mattn/goreman
	@go build -o bin/backfill ./stack/backfill
	@exec stack/start

# Simulated rates come from no plan and need no key, whatever .env says.
up: $(GRAFANA_PASSWORD) ## Run them in containers, polling CoinGecko as .env says; SIMULATE=1 simulates
	VERSION=$(VERSION) REVISION=$(REVISION) BRANCH=$(BRANCH) DATE=$(DATE) \
	$(if $(filter-out 0 false no,$(SIMULATE)),COINGECKO_EXPORTER_SIMULATE=true COINGECKO_EXPORTER_COINGECKO_PLAN=keyless COINGECKO_API_KEY_FILE=) \
	docker compose up --detach --wait

down: ## End the containers; their data stay
	docker compose down

logs: ## Follow the containers' logs
	docker compose logs --follow

wall: ## Open the wall in a browser, full screen
	@exec stack/wall

$(GRAFANA_PASSWORD):
	@mkdir -p -m 700 $(@D)
	@od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > $@ && chmod 644 $@

lint: lint-stack
lint-stack:
	shellcheck stack/start stack/exporter stack/prometheus stack/wall

.PHONY: stack up down logs wall lint-stack
