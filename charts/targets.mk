# Make targets for the Helm chart. charts/coingecko-exporter/README.md describes the chart.

CHART         := charts/coingecko-exporter
HELM          := $(TOOLS)/helm-v4.3.1
HELM_UNITTEST := $(TOOLS)/helm-unittest-v1.1.2
HELM_DOCS     := $(TOOLS)/helm-docs-v1.14.2
KUBECONFORM   := $(TOOLS)/kubeconform-v0.8.0
KUBE_SCORE    := $(TOOLS)/kube-score-v1.20.0
CHART_TOOLS   := $(HELM) $(HELM_UNITTEST) $(KUBECONFORM) $(KUBE_SCORE)

# The chart is validated against the oldest supported Kubernetes, the newest and one in between, and against the
# custom resource definitions of these modules.
KUBERNETES_VERSIONS := v1.29.15 v1.33.6 v1.36.3
CRDS := github.com/prometheus-operator/prometheus-operator@v0.93.1:example/prometheus-operator-crd/*.yaml \
	sigs.k8s.io/gateway-api@v1.4.0:config/crd/standard/*_httproutes.yaml \
	github.com/cert-manager/cert-manager@v1.21.2:deploy/crds/cert-manager.io_certificates.yaml \
	github.com/external-secrets/external-secrets@v1.3.2:config/crds/bases/external-secrets.io_externalsecrets.yaml
SCHEMAS := $(addprefix $(TOOLS)/schemas-,$(KUBERNETES_VERSIONS)) $(TOOLS)/schemas-crds

# A values file for each feature, and the production values.
CHART_VALUES := $(wildcard $(CHART)/ci/*-values.yaml) $(CHART)/values-production.yaml

WRITE_README = $(HELM_DOCS) --chart-search-root $(CHART) --template-files README.md.gotmpl --skip-version-footer --log-level warning

##@ Helm chart
chart-files: ## Copy the rules and dashboards into the chart
	@cd $(CHART)/files && rm -f rules/* dashboards/* && cp ../../../alerts/*.rules.yaml rules/ && rm rules/store.rules.yaml && \
		cp ../../../dashboards/*.json dashboards/

GENERATE += chart-files chart-docs
chart-docs: $(HELM_DOCS) ## Generate the chart's README from its values
	$(WRITE_README)

lint: lint-chart
lint-chart: $(HELM) $(HELM_DOCS)
	@shellcheck charts/validate
	@for values in $(CHART_VALUES); do \
		$(HELM) lint --strict --quiet $(CHART) --values $$values || { echo "helm lint failed with $$values"; exit 1; }; done
	@$(WRITE_README) --dry-run | diff -u $(CHART)/README.md - || \
		{ echo "$(CHART)/README.md is out of date: run make chart-docs"; exit 1; }

TESTS += test-chart
test-chart: $(CHART_TOOLS) $(SCHEMAS) ## Test the chart: unit tests, schemas of three Kubernetes versions, kube-score
	@HELM=$(HELM) go test -count=1 -timeout $(PATIENCE) ./charts/...
	@$(HELM_UNITTEST) --strict $(CHART)
	@HELM=$(HELM) KUBECONFORM=$(KUBECONFORM) KUBE_SCORE=$(KUBE_SCORE) TOOLS=$(TOOLS) VERSIONS="$(KUBERNETES_VERSIONS)" \
		charts/validate $(CHART) $(CHART_VALUES)

# E2E_IMAGE, E2E_IMAGE_NEXT: images that the cluster can pull, by tag or digest. They may contain the same program.
# E2E_PROMETHEUS=NAMESPACE/SERVICE:PORT: a Prometheus of the operator that selects the label release=kube-prometheus-stack,
# with an Alertmanager in its namespace.
# E2E_WALL_IMAGE: a Grafana image that the cluster can pull, or "chart" for the one in the chart's values.
e2e: export E2E_IMAGE      ?= ghcr.io/heycard/$(NAME):$(VERSION)
e2e: export E2E_IMAGE_NEXT ?= $(E2E_IMAGE)
e2e: $(HELM) ## Install, test, upgrade, break and uninstall the chart on the cluster of KUBECONFIG
	@[ -n "$${KUBECONFIG:-}" ] && kubectl get --raw /readyz >/dev/null || { echo "e2e: cannot reach a cluster: install kubectl and set KUBECONFIG"; exit 1; }
	HELM=$(HELM) go test -tags e2e -count=1 -timeout 55m -v -run '^($(or $(E2E),TestSwing|TestValidation|TestNoValues|TestLife|TestWeb|TestWall|TestRefused|TestNeighbours|TestGivenUsers|TestDependency))$$' ./charts

verify: verify-e2e
verify-e2e: # Skipped without a cluster. With REQUIRE_ALL, a missing cluster is an error.
	@if [ -n "$${KUBECONFIG:-}" ]; then $(MAKE) e2e; else \
		echo "not run here: the chart on a cluster. To provide it: set KUBECONFIG and run make e2e"; [ -z "$${REQUIRE_ALL:-}" ]; fi

$(HELM):
	@$(call install,helm.sh/helm/v4/cmd/helm)
$(HELM_DOCS):
	@$(call install,github.com/norwoodj/helm-docs/cmd/helm-docs)
$(KUBECONFORM):
	@$(call install,github.com/yannh/kubeconform/cmd/kubeconform)
$(KUBE_SCORE):
	@$(call install,github.com/zegl/kube-score/cmd/kube-score)
$(HELM_UNITTEST): # Built in its module, because go install rejects modules with replace directives.
	@mkdir -p $(TOOLS) && cd "$(call module,github.com/helm-unittest/helm-unittest@$(@:$(TOOLS)/helm-unittest-%=%))" && \
		GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ ./cmd/helm-unittest

$(TOOLS)/schemas-v%:
	@mkdir -p $(TOOLS) && go run ./charts/schemas $@.new \
		"$(call module,k8s.io/kubernetes@v$*)/api/openapi-spec/swagger.json" && mv $@.new $@
$(TOOLS)/schemas-crds: charts/targets.mk
	@rm -rf $@ && for crd in $(CRDS); do \
		folder="$(call module,"$${crd%%:*}")" && go run ./charts/schemas $@.new "$$folder"/$${crd#*:} || exit 1; \
	done && mv $@.new $@

.PHONY: chart-files chart-docs lint-chart test-chart e2e verify-e2e
