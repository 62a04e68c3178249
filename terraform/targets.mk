# Make targets for the infrastructure on AWS. README.md describes it.

##@ Infrastructure
# For machines without access to Terraform's registry: a filesystem mirror with hashicorp/aws. If it lacks the Helm
# provider, that provider is built.
export TF_PLUGIN_DIR ?=
# values.yaml of the charts kube-prometheus-stack 88.5.3 and grafana 12.11.1, for the check of the Helm values.
export KUBE_PROMETHEUS_STACK_VALUES ?=
export GRAFANA_VALUES ?=
# Command of an AWS emulator that supports EKS and takes --port.
export EKS_MOTO ?=

TFLINT := $(TOOLS)/tflint-v0.64.0

# This module version is the provider's release 3.2.0.
HELM_PROVIDER_MODULE := github.com/hashicorp/terraform-provider-helm@v1.3.3-0.20260629194918-a4f1c1d8b008
HELM_PLUGIN_DIR      := $(TOOLS)/terraform-plugins
# Outside of the module: each call of make runs this, and in the module an older Go would first download the module's version.
HELM_PROVIDER        := $(HELM_PLUGIN_DIR)/registry.terraform.io/hashicorp/helm/3.2.0/$(shell cd / && go env GOOS)_$(shell cd / && go env GOARCH)/terraform-provider-helm_v3.2.0
# Built only if there is a mirror that lacks the provider.
NEEDED_PROVIDERS = $(if $(TF_PLUGIN_DIR),$(if $(wildcard $(TF_PLUGIN_DIR)/registry.terraform.io/hashicorp/helm),,$(HELM_PROVIDER)))

TESTS += test-terraform
test-terraform: $(NEEDED_PROVIDERS) ## Validate the Terraform code and test it with mocked providers; UPDATE=1 updates the golden files
	@HELM_PLUGIN_DIR=$(if $(NEEDED_PROVIDERS),$(HELM_PLUGIN_DIR)) terraform/test mocked

GENERATE += terraform-golden
terraform-golden: # Skipped without Terraform.
	@! command -v $${TERRAFORM:-terraform} >/dev/null || UPDATE=1 $(MAKE) test-terraform

verify: test-terraform-apply test-terragrunt
test-terraform-apply: $(NEEDED_PROVIDERS) ## Apply and destroy each environment in an AWS emulator (EKS_MOTO), with the chart on a cluster (KUBECONFIG)
	@HELM_PLUGIN_DIR=$(if $(NEEDED_PROVIDERS),$(HELM_PLUGIN_DIR)) terraform/test apply

test-terragrunt: $(NEEDED_PROVIDERS) ## Apply and destroy dev in the emulator with Terragrunt (TERRAGRUNT)
	@HELM_PLUGIN_DIR=$(if $(NEEDED_PROVIDERS),$(HELM_PLUGIN_DIR)) terraform/test terragrunt

lint: lint-terraform
lint-terraform: $(TFLINT)
	shellcheck terraform/test
	$(TFLINT) --chdir=terraform --config=$(CURDIR)/terraform/.tflint.hcl --recursive --format=compact
	@if command -v $${TERRAFORM:-terraform} >/dev/null; then $${TERRAFORM:-terraform} fmt -check -diff -recursive terraform; \
		else echo "not run here: terraform fmt. To provide it: install Terraform 1.11 or later"; exit $${REQUIRE_ALL:+1}; fi

# Targets for pipelines.
TF_ROOT = $${TERRAFORM:-terraform} -chdir=terraform/$(ROOT)
TF_PLAN = $(CURDIR)/dist/$(ROOT)-$(ENVIRONMENT).tfplan

terraform-plan: ## Save a plan of ROOT (cluster, platform) for ENVIRONMENT (dev, staging, production)
	@mkdir -p dist && [ -n "$(ROOT)" ] && [ -f terraform/environments/$(ENVIRONMENT).tfvars ] || \
		{ echo "make terraform-plan: set ROOT and ENVIRONMENT, such as ROOT=cluster ENVIRONMENT=dev" >&2; exit 1; }
	$(TF_ROOT) init -input=false -lockfile=readonly -reconfigure -backend-config=../environments/$(ENVIRONMENT).backend.hcl
	$(if $(filter platform,$(ROOT)),$${TERRAFORM:-terraform} -chdir=terraform/cluster output -json platform > terraform/platform/cluster.auto.tfvars.json)
	$(TF_ROOT) plan -input=false -var-file=../environments/$(ENVIRONMENT).tfvars -out=$(TF_PLAN)

terraform-apply: ## Apply the plan that terraform-plan saved
	$(TF_ROOT) apply -input=false $(TF_PLAN)

$(TFLINT):
	@$(call install,github.com/terraform-linters/tflint)

$(HELM_PROVIDER):
	@mkdir -p $(TOOLS)/bin $(@D) && GOBIN=$(TOOLS)/bin CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' $(HELM_PROVIDER_MODULE) && mv $(TOOLS)/bin/terraform-provider-helm $@

.PHONY: terraform-golden terraform-plan terraform-apply test-terraform test-terraform-apply test-terragrunt lint-terraform
