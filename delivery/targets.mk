# Make targets of delivery: images, what a release consists of, a registry, supply chain. docs/release.md describes them.

ACTIONLINT  := $(TOOLS)/actionlint-v1.7.12
GOVULNCHECK := $(TOOLS)/govulncheck-v1.9.0
GO_LICENSES := $(TOOLS)/go-licenses-v1.6.0
CYCLONEDX   := $(TOOLS)/cyclonedx-gomod-v1.10.0
CRANE       := $(TOOLS)/crane-v0.22.1
COSIGN      := $(TOOLS)/cosign-v3.1.3
ACT         := $(TOOLS)/act-v0.2.89
KIND        := $(TOOLS)/kind-v0.33.0
DOCKERFILE  := $(TOOLS)/dockerfile
GROOVY_LINT := npm-groovy-lint@16.1.1

IMAGE     ?= $(NAME):local
PLATFORM  ?= linux/$(shell go env GOARCH)
REGISTRY  ?= ghcr.io/heycard
ARCHIVE   := dist/$(NAME)-$(VERSION).oci.tar
PLATFORMS := linux/amd64 linux/arm64
RELEASED  := $(PLATFORMS) darwin/amd64 darwin/arm64
# With its own defaults, as most have it.
KUBE_PROMETHEUS_STACK := oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack --version 88.5.3

# In what is handed on; tools and tests may use what asks for its own files only, too.
LICENCES       := Apache-2.0,MIT,BSD-2-Clause,BSD-3-Clause,ISC
LICENCES_TOOLS := $(LICENCES),MPL-2.0

# What is released is built with the Dockerfile's Go, whichever is installed, and from nothing but the commit.
GO_VERSION = $(shell sed -n 's/^FROM .*golang:\([0-9.]*\)-.*/\1/p' Dockerfile)
RELEASE    = GOTOOLCHAIN=go$(GO_VERSION) GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0 $(MAKE) BRANCH=HEAD
PACK       = tar --sort=name --mtime='$(DATE)' --owner=0 --group=0 --numeric-owner -c

##@ Image
image: ## Build the image IMAGE for PLATFORM, with Docker or, where none runs, with buildah
	@if docker info >/dev/null 2>&1; then build="docker buildx build --load"; \
	elif command -v buildah >/dev/null; then build="$(or $(BUILDAH),buildah) bud --build-arg BUILDPLATFORM=linux/$$(go env GOHOSTARCH)"; \
	else echo "make image: neither a Docker engine nor buildah is here. To provide one: apt-get install buildah; without either: make image-archive" >&2; exit 1; fi; \
	(set -x; $$build --platform $(PLATFORM) --tag $(IMAGE) $(BUILD_ARGS) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg BRANCH=$(BRANCH) --build-arg DATE=$(DATE) .)

image-archive: $(DOCKERFILE) ## Make the image that is released, for all platforms, as an OCI archive, without an engine
	@$(RELEASE) $(PLATFORMS:%=dist/bin/%/$(NAME))
	@$(DOCKERFILE) archive -output=$(ARCHIVE) -date=$(DATE) -arg=VERSION=$(VERSION) -arg=REVISION=$(REVISION) -arg=DATE=$(DATE) \
		Dockerfile delivery/passwd $(foreach platform,$(PLATFORMS),$(platform)=dist/bin/$(platform)/$(NAME)) > dist/image.digest
	@echo "$(ARCHIVE): $$(cat dist/image.digest)"

kind: $(KIND) $(HELM) ## Make a Kubernetes in Docker with IMAGE and kube-prometheus-stack in it, for make e2e; KUBECONFIG is dist/kind.kubeconfig
	@mkdir -p dist && $(KIND) create cluster --name $(NAME) --kubeconfig dist/kind.kubeconfig --wait 3m
	$(KIND) load docker-image $(IMAGE) --name $(NAME)
	$(HELM) --kubeconfig dist/kind.kubeconfig upgrade --install kube-prometheus-stack $(KUBE_PROMETHEUS_STACK) \
		--namespace monitoring --create-namespace --wait --timeout 10m

go-version: # In GitHub's form of an output.
	@echo version=$(GO_VERSION)

dist/bin/%/$(NAME): always
	@mkdir -p $(@D)
	GOOS=$(*D) GOARCH=$(*F) $(BUILD) -o $@ .

##@ Release
release-check: ## Check that VERSION, tag (TAG=v...), changelog and chart agree, and that the work tree is the commit
	@delivery/release check $(TAG)

release-dry-run: image-archive chart sbom $(GO_LICENSES) ## Make everything that a release consists of, in dist/, and publish nothing
	@$(RELEASE) $(RELEASED:%=dist/bin/%/$(NAME))
	@rm -rf dist/licenses dist/pack && $(GO_LICENSES) save . --save_path=dist/licenses 2>/dev/null
	@for platform in $(RELEASED); do \
		name=$(NAME)-$(VERSION).$${platform/\//-}; mkdir -p dist/pack/$$name; \
		cp -r dist/bin/$$platform/$(NAME) LICENSE dist/licenses dist/pack/$$name/; \
		chmod -R u=rwX,go=rX dist/pack/$$name; $(PACK) -C dist/pack $$name | gzip -n9 > dist/$$name.tar.gz; \
	done
	@mkdir dist/pack/chart && tar -xzf dist/$(NAME)-$(VERSION).tgz -C dist/pack/chart && $(PACK) -C dist/pack/chart $(NAME) | gzip -n9 > dist/$(NAME)-$(VERSION).tgz
	@rm -rf dist/licenses dist/pack
	@delivery/release notes > dist/release-notes.md
	@cd dist && sha256sum $(NAME)-$(VERSION).* sbom.cdx.json > sha256sums.txt && cat sha256sums.txt
	@delivery/release check $(TAG) || echo "release-dry-run: all is built; a tag would be refused as long as that is so"

login: $(HELM) ## Log in to REGISTRY as REGISTRY_USER, with the password in the environment's REGISTRY_PASSWORD
	@delivery/registry login

push: $(CRANE) $(HELM) ## Push image and chart from dist/ to REGISTRY; a version that is there stays as it is
	@delivery/registry push

sign: $(CRANE) $(COSIGN) ## Sign what was pushed and attest its SBOM: keyless, or with the key COSIGN_KEY
	@delivery/registry sign

signatures: $(CRANE) $(COSIGN) ## Verify signatures and SBOM of VERSION in REGISTRY: of the release workflow, or by COSIGN_PUBLIC_KEY
	@delivery/registry signatures

github-release: ## Make the GitHub release of VERSION from dist/; needs gh and its GH_TOKEN
	gh release create v$(VERSION) --verify-tag --title v$(VERSION) --notes-file dist/release-notes.md $(if $(findstring -,$(VERSION)),--prerelease) \
		$$(cut -c67- dist/sha256sums.txt | sed 's|^|dist/|') dist/sha256sums.txt

login push sign signatures: export NAME := $(NAME)
login push sign signatures: export VERSION := $(VERSION)
login push sign signatures: export REGISTRY := $(REGISTRY)
login push sign signatures: export CRANE := $(CRANE)
login push sign signatures: export COSIGN := $(COSIGN)
login push sign signatures: export HELM := $(HELM)
release-check release-dry-run: export CHART := $(CHART)

##@ Supply chain
TESTS += licenses test-dockerfile
licenses: $(GO_LICENSES) ## List the licences of all Go modules that are used, and fail if one is not allowed
	@mkdir -p dist && $(GO_LICENSES) report ./... --ignore github.com/heycard/coingecko-exporter > dist/licenses.csv 2> dist/licenses.log || { cat dist/licenses.log; exit 1; }
	@for what in ". $(LICENCES)" "./... $(LICENCES_TOOLS)"; do \
		$(GO_LICENSES) check $${what% *} --allowed_licenses=$${what#* } > dist/licenses.log 2>&1 || { grep -v 'non-Go code\|^/' dist/licenses.log; exit 1; }; done
	@echo "licences, all allowed:" $$(cut -d, -f3 dist/licenses.csv | sort | uniq -c | awk '{ print $$2 " " $$1 }' | paste -sd';') "(dist/licenses.csv)"

sbom: $(CYCLONEDX) ## Write the software bill of materials, dist/sbom.cdx.json (CycloneDX)
	@mkdir -p dist && GOOS=linux GOARCH=amd64 $(CYCLONEDX) app -json -licenses -std -noserial -output dist/sbom.cdx.json . 2>/dev/null
	@sed -i 's/"timestamp": ".*"/"timestamp": "$(DATE)"/' dist/sbom.cdx.json

vulncheck: $(GOVULNCHECK) ## Look for known vulnerabilities that the code reaches; GOVULNDB=file:///... takes a copy of the database
	@delivery/vulncheck

vulncheck: export GOVULNCHECK := $(GOVULNCHECK)

##@ Delivery's own checks
lint: lint-delivery
lint-delivery: $(ACTIONLINT) $(DOCKERFILE) $(GOLANGCI_LINT)
	$(ACTIONLINT)
	$(DOCKERFILE) check Dockerfile
	shellcheck --external-sources delivery/registry delivery/release delivery/vulncheck delivery/tests/run
	cd delivery && $(GOLANGCI_LINT) run --allow-serial-runners --config ../.golangci.yml && go mod tidy -diff

test-dockerfile: # The program that reads the Dockerfile; its module is not the exporter's.
	@cd delivery && go test ./...

lint-jenkinsfile: ## Lint the Jenkinsfile; needs npm and Java
	npx --yes $(GROOVY_LINT) --noserver --failon info --config delivery/groovylint.json Jenkinsfile

verify: test-delivery
test-delivery: $(ACTIONLINT) $(DOCKERFILE) $(CRANE) $(COSIGN) $(ACT) $(HELM) $(GOVULNCHECK) ## Test all of delivery, with real builders, registries and runtimes; installs what it needs
	@delivery/tests/run

test-delivery: export CRANE := $(CRANE)
test-delivery: export COSIGN := $(COSIGN)
test-delivery: export HELM := $(HELM)
test-delivery: export ACT := $(ACT)
test-delivery: export DOCKERFILE := $(DOCKERFILE)
test-delivery: export ACTIONLINT := $(ACTIONLINT)
test-delivery: export GROOVY_LINT := $(GROOVY_LINT)
test-delivery: export NAME := $(NAME)
test-delivery: export VERSION := $(VERSION)

$(ACTIONLINT):
	@$(call install,github.com/rhysd/actionlint/cmd/actionlint)
$(GOVULNCHECK):
	@$(call install,golang.org/x/vuln/cmd/govulncheck)
$(GO_LICENSES):
	@$(call install,github.com/google/go-licenses)
$(CYCLONEDX):
	@$(call install,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)
$(CRANE):
	@$(call install,github.com/google/go-containerregistry/cmd/crane)
$(COSIGN):
	@$(call install,github.com/sigstore/cosign/v3/cmd/cosign)
$(ACT):
	@$(call install,github.com/nektos/act)
$(KIND):
	@$(call install,sigs.k8s.io/kind)
$(DOCKERFILE): delivery/dockerfile/main.go delivery/go.mod delivery/go.sum
	@mkdir -p $(TOOLS) && cd delivery && CGO_ENABLED=0 go build -trimpath -o $@ ./dockerfile

always:
.PHONY: always image image-archive kind go-version release-check release-dry-run github-release login push sign signatures licenses sbom vulncheck \
	lint-delivery lint-jenkinsfile test-dockerfile test-delivery
