# Make targets of the infrastructure on AWS. README.md describes them.

##@ Infrastructure
# Where Terraform's registry is out of reach: a folder in the layout of a filesystem mirror, with hashicorp/aws. The Helm
# provider is built where that folder lacks it.
export TF_PLUGIN_DIR ?=
# Of the charts kube-prometheus-stack 88.5.3 and grafana 12.11.1: the check of the Helm values needs them.
export KUBE_PROMETHEUS_STACK_VALUES ?=
export GRAFANA_VALUES ?=
# Command of an emulated AWS that has EKS and takes --port.
export EKS_MOTO ?=

TFLINT := $(TOOLS)/tflint-v0.64.0

# The provider's module has versions of its own. This is its release 3.2.0.
HELM_PROVIDER_MODULE := github.com/hashicorp/terraform-provider-helm@v1.3.3-0.20260629194918-a4f1c1d8b008
HELM_PLUGIN_DIR      := $(TOOLS)/terraform-plugins
HELM_PROVIDER        := $(HELM_PLUGIN_DIR)/registry.terraform.io/hashicorp/helm/3.2.0/$(shell go env GOOS)_$(shell go env GOARCH)/terraform-provider-helm_v3.2.0
# Built only if there is a mirror, and the provider is not in it.
NEEDED_PROVIDERS = $(if $(TF_PLUGIN_DIR),$(if $(wildcard $(TF_PLUGIN_DIR)/registry.terraform.io/hashicorp/helm),,$(HELM_PROVIDER)))

TESTS += test-terraform
test-terraform: $(NEEDED_PROVIDERS) ## Validate Terraform code and test it with mocked providers; UPDATE=1 writes the golden files
	@HELM_PLUGIN_DIR=$(if $(NEEDED_PROVIDERS),$(HELM_PLUGIN_DIR)) terraform/test mocked

GENERATE += terraform-golden
terraform-golden: # Where Terraform is.
	@! command -v $${TERRAFORM:-terraform} >/dev/null || UPDATE=1 $(MAKE) test-terraform

verify: test-terraform-apply test-terragrunt
test-terraform-apply: $(NEEDED_PROVIDERS) ## Apply and destroy each environment in an emulated AWS (EKS_MOTO), the chart in a Kubernetes (KUBECONFIG)
	@HELM_PLUGIN_DIR=$(if $(NEEDED_PROVIDERS),$(HELM_PLUGIN_DIR)) terraform/test apply

test-terragrunt: $(NEEDED_PROVIDERS) ## The same for dev by Terragrunt (TERRAGRUNT)
	@HELM_PLUGIN_DIR=$(if $(NEEDED_PROVIDERS),$(HELM_PLUGIN_DIR)) terraform/test terragrunt

lint: lint-terraform
lint-terraform: $(TFLINT)
	shellcheck terraform/test
	$(TFLINT) --chdir=terraform --config=$(CURDIR)/terraform/.tflint.hcl --recursive --format=compact
	@if command -v $${TERRAFORM:-terraform} >/dev/null; then $${TERRAFORM:-terraform} fmt -check -diff -recursive terraform; \
		else echo "not run here: terraform fmt. To provide it: install Terraform 1.11 or later"; exit $${REQUIRE_ALL:+1}; fi

# From a pipeline.
TF_ROOT = $${TERRAFORM:-terraform} -chdir=terraform/$(ROOT)
TF_PLAN = $(CURDIR)/dist/$(ROOT)-$(ENVIRONMENT).tfplan

terraform-plan: ## Plan ROOT (cluster, platform) of ENVIRONMENT (dev, staging, production) into a file
	@mkdir -p dist && [ -n "$(ROOT)" ] && [ -f terraform/environments/$(ENVIRONMENT).tfvars ] || \
		{ echo "say which: make terraform-plan ROOT=cluster ENVIRONMENT=dev" >&2; exit 1; }
	$(TF_ROOT) init -input=false -reconfigure -backend-config=../environments/$(ENVIRONMENT).backend.hcl
	$(if $(filter platform,$(ROOT)),$${TERRAFORM:-terraform} -chdir=terraform/cluster output -json platform > terraform/platform/cluster.auto.tfvars.json)
	$(TF_ROOT) plan -input=false -var-file=../environments/$(ENVIRONMENT).tfvars -out=$(TF_PLAN)

terraform-apply: ## Apply what terraform-plan planned, and nothing else
	$(TF_ROOT) apply -input=false $(TF_PLAN)

$(TFLINT):
	@$(call install,github.com/terraform-linters/tflint)

$(HELM_PROVIDER):
	@mkdir -p $(TOOLS)/bin $(@D) && GOBIN=$(TOOLS)/bin CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' $(HELM_PROVIDER_MODULE) && mv $(TOOLS)/bin/terraform-provider-helm $@

.PHONY: terraform-golden terraform-plan terraform-apply test-terraform test-terraform-apply test-terragrunt lint-terraform
