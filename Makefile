# Build, test and release targets, for people and for pipelines. `make help` lists them.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

NAME     := coingecko-exporter
VERSION  := $(shell cat VERSION)
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
BRANCH   := $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
# The date of the commit, not of the build, so that builds are reproducible.
DATE     := $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)

VERSION_PACKAGE := github.com/prometheus/common/version
LDFLAGS := -s -w \
	-X $(VERSION_PACKAGE).Version=$(VERSION) \
	-X $(VERSION_PACKAGE).Revision=$(REVISION) \
	-X $(VERSION_PACKAGE).Branch=$(BRANCH) \
	-X $(VERSION_PACKAGE).BuildDate=$(DATE)
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# Pinned tools. Each version is built once.
TOOLS         := $(CURDIR)/.tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0
BENCHSTAT     := $(TOOLS)/benchstat-v0.0.0-20260908200009-22c9c6c9d4da

# The race detector needs a C compiler.
RACE := $(shell command -v gcc >/dev/null 2>&1 && echo -race)

# Prometheus 3, in addition to the distribution's older version.
PROMETHEUS3_MODULE := github.com/prometheus/prometheus@v0.313.1
PROMETHEUS3        := $(TOOLS)/$(notdir $(PROMETHEUS3_MODULE))
# Likewise Alertmanager. Later versions need npm for their web pages.
ALERTMANAGER_MODULE := github.com/prometheus/alertmanager@v0.31.1
ALERTMANAGER        := $(TOOLS)/$(notdir $(ALERTMANAGER_MODULE))

COVERAGE := 95 # minimum statement coverage of exporter/, in percent
FUZZTIME ?= 10m
LOADTIME ?= 10s

##@ Use
demo: build ## Run the exporter with a simulated market on http://localhost:9880, offline; flags in ARGS
	@echo "The log prints the address of the screen. Press Ctrl-C to stop."
	@exec bin/$(NAME) --simulate $(ARGS)

run: build ## Run the exporter with live rates, keyless; flags in ARGS
	@exec bin/$(NAME) $(ARGS)

build: ## Build the static binary bin/coingecko-exporter
	@mkdir -p bin
	$(BUILD) -o bin/$(NAME) .

##@ Test
check: ## Run go vet and the Go tests that need no other programs: under a minute with a warm build cache
	@go vet ./...
	@go test -short -timeout $(PATIENCE) ./...

# The timeout of go test, long enough for slow or busy machines. Tests have their own timeouts of minutes.
PATIENCE := 2h
# Packages whose tests run Prometheus, Alertmanager or the whole stack, and mostly wait.
SYSTEMS  := ./alerts/... ./dashboards/... ./docs/... ./stack/...
PART      = printf '\n== %s\n'

test: ## Run all tests, and list those that this machine cannot run
	@$(PART) "The exporter$(RACE:-race=, with the race detector)"
	@go test $(RACE) -timeout $(PATIENCE) -coverpkg=./exporter/... -coverprofile=coverage.out ./exporter/...
	@$(MAKE) coverage
	@$(PART) "Rules, dashboards, documents and the stack, with real programs: takes minutes, mostly waiting"
	@go test -p 2 -timeout $(PATIENCE) $(SYSTEMS)
	@$(PART) "Other Go packages"
	@go test -timeout $(PATIENCE) $$(go list ./... | grep -vE '/(exporter|alerts|dashboards|docs|stack)(/|$$)')
	@for part in $(TESTS); do $(PART) "make $$part"; $(MAKE) $$part; done
	@$(MAKE) missing

coverage: # Fails if coverage is below COVERAGE.
	@go tool cover -func=coverage.out | awk '/^total:/ { print "coverage of exporter/: " $$3; if ($$3 + 0 < $(COVERAGE)) { print "coverage is below the minimum of $(COVERAGE)%"; exit 1 } }'

# Programs that tests need besides Go: command (alternative names), what is skipped without it, Debian package.
define NEEDS
gcc|the race detector|gcc libc6-dev
promtool|rule tests, metric lint and history in Prometheus' own format|prometheus
prometheus|rules, dashboards and alerts in a real Prometheus|prometheus
prometheus-alertmanager alertmanager|alerts in a real Alertmanager|prometheus-alertmanager
amtool|the check of the Alertmanager example|prometheus-alertmanager
chromium|the screen in a real browser|chromium
curl|TLS and basic auth with a third-party client, and the commands of the documents|curl
endef
export NEEDS

missing: # Fails if REQUIRE_ALL is set and a Debian package is missing.
	@[ -n "$${GRAFANA_URL:-}" ] || echo "not run here: the dashboards' strict dry run in a Grafana. To provide it: set GRAFANA_URL and GRAFANA_TOKEN_FILE"
	@status=0; while IFS='|' read -r tool what package; do \
		{ [ -z "$$tool" ] || command -v $$tool >/dev/null; } && continue; \
		echo "not run here: $$what. To provide it: apt-get install $$package"; \
		status=$${REQUIRE_ALL:+1}; \
	done <<< "$$NEEDS"; exit $${status:-0}

lint: $(GOLANGCI_LINT) ## Lint Go, shell and YAML, and check that go.mod is tidy
	$(GOLANGCI_LINT) run --allow-serial-runners
	go mod tidy -diff
	shellcheck .ci/run
	yamllint --strict .

fmt: $(GOLANGCI_LINT) ## Format the Go code
	$(GOLANGCI_LINT) fmt

bench: build $(BENCHSTAT) ## Run the benchmarks and print tables; needs wrk and two idle cores
	go test -run='^$$' -bench=. -benchmem -count=6 -cpu=1 ./exporter/... > bin/bench.txt
	$(BENCHSTAT) bin/bench.txt
	EXPORTER_BINARY=$(CURDIR)/bin/$(NAME) go test ./exporter -run TestLoad -load $(LOADTIME) -v -timeout $(PATIENCE)

ci: ## Run every check that a change must pass: lint, generated files, tests
	@REQUIRE_ALL=1 $(MAKE) lint
	@$(MAKE) generated
	@REQUIRE_ALL=1 $(MAKE) test

generate: ## Generate dashboards, golden files, tables in documents, and the chart's README
	go run ./dashboards generate
	go test -run '^(TestReadme.*|TestReliabilityDocument|TestPages|TestGolden|TestAlertmanager)$$' ./exporter ./exporter/internal/collector ./exporter/internal/screen ./stack -update
	@for part in $(GENERATE); do $(MAKE) $$part; done

generated: # Fails if `make generate` changes a file. Excludes terraform/, whose golden files test-terraform compares.
	@$(MAKE) generate GENERATE="$(filter-out terraform-%,$(GENERATE))"
	@git diff --exit-code || { echo "generated files are out of date: run make generate, review and commit the changes"; exit 1; }

FUZZ = go test -run='^$$' -fuzz='^$(1)$$' -fuzztime=$(FUZZTIME) -fuzzminimizetime=100x $(2)
fuzz: ## Fuzz the parsers of network input, each for FUZZTIME
	$(call FUZZ,FuzzDecode,./exporter/internal/coingecko)
	$(call FUZZ,FuzzHeaders,./exporter/internal/coingecko)
	$(call FUZZ,FuzzRelay,./exporter/internal/poller)
	$(call FUZZ,FuzzQuery,./exporter/internal/screen)

soak: ## Test a million polls with faults, 30 days in simulated time, and 1,000 starts and stops
	PROPERTY_SEED=$$(date +%s) PROPERTY_POLLS=1000000 go test -run='^TestProperty$$' -timeout=$(PATIENCE) -v ./exporter/internal/poller
	SOAK_DAYS=30 STARTS=1000 go test -timeout=$(PATIENCE) -run='^(TestSoak|TestStartsAndStops)$$' -v ./exporter

prometheus3: $(PROMETHEUS3) $(ALERTMANAGER) ## Test rules and dashboards with Prometheus 3 and a newer Alertmanager
	PATH="$(PROMETHEUS3):$(ALERTMANAGER):$$PATH" go test -count=1 -timeout $(PATIENCE) ./alerts/... ./dashboards/...

verify: fuzz soak prometheus3 bench ## Run the checks that take too long for every change

# Each folder can define its own targets in FOLDER/targets.mk. It adds to the common targets with `lint: lint-PART`,
# `verify: ...`, `TESTS += test-PART` and `define NEEDS +=` (make test), and `GENERATE += TARGET` (make generate).
TESTS :=
GENERATE :=
include $(sort $(wildcard */targets.mk))

##@ Other
clean: ## Remove build output and tools
	rm -rf bin dist coverage.out $(TOOLS)

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(GOLANGCI_LINT):
	@$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
$(BENCHSTAT):
	@$(call install,golang.org/x/perf/cmd/benchstat)

$(PROMETHEUS3):
	@$(call programs,$(PROMETHEUS3_MODULE),3.13.1,./cmd/prometheus ./cmd/promtool)
$(ALERTMANAGER):
	@$(call programs,$(ALERTMANAGER_MODULE),0.31.1,./cmd/alertmanager ./cmd/amtool)

# Builds the packages $(3) of the module $(1) into the folder $@, as version $(2).
programs = mkdir -p $@.new && cd "$(call module,$(1))" && \
	GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X $(VERSION_PACKAGE).Version=$(2)' -o $@.new/ $(3) && mv $@.new $@

# The folder of the module $(1), downloaded if necessary.
module = $$(cd / && go mod download -json $(1) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')

# Installs the package $(1) as $@, in the version at the end of the file name.
install = mkdir -p $(TOOLS)/bin && GOBIN=$(TOOLS)/bin go install $(1)@$(shell sed 's/.*-\(v[0-9].*\)/\1/' <<< '$(notdir $@)') && mv $(TOOLS)/bin/$(notdir $(1)) $@

.PHONY: demo run build check test generate generated coverage missing lint fmt bench ci fuzz soak prometheus3 verify clean help
