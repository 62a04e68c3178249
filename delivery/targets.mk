# Make targets for images, releases, registries and the supply chain. docs/release.md describes releases.

ACTIONLINT  := $(TOOLS)/actionlint-v1.7.12
GOVULNCHECK := $(TOOLS)/govulncheck-v1.9.0
GO_LICENSES := $(TOOLS)/go-licenses-v1.6.0
GORELEASER  := $(TOOLS)/goreleaser-v2.16.0
CYCLONEDX   := $(TOOLS)/cyclonedx-gomod-v1.10.0
CRANE       := $(TOOLS)/crane-v0.22.1
COSIGN      := $(TOOLS)/cosign-v3.1.3
ACT         := $(TOOLS)/act-v0.2.89
KIND        := $(TOOLS)/kind-v0.33.0
GROOVY_LINT := npm-groovy-lint@16.1.1

REGISTRY  ?= ghcr.io/heycard
comma     := ,
PLATFORMS ?= linux/amd64,linux/arm64
BUILDAH   ?= buildah
# Charts that the end-to-end test installs with their default values.
KUBE_PROMETHEUS_STACK := oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack --version 88.5.3
METRICS_SERVER        := metrics-server --repo https://kubernetes-sigs.github.io/metrics-server --version 3.13.0

# Licences that are allowed in released binaries. Tools and tests may also use file-level copyleft (MPL).
LICENCES       := Apache-2.0,MIT,BSD-2-Clause,BSD-3-Clause,ISC
LICENCES_TOOLS := $(LICENCES),MPL-2.0

# The Go version of releases is in the Dockerfile. Releases depend only on the commit, so the branch is fixed to HEAD.
GO_VERSION = $(shell sed -n 's/^ENV GOTOOLCHAIN=go//p' Dockerfile)
EPOCH      = $(shell git log -1 --format=%ct)
RELEASE    = GOTOOLCHAIN=go$(GO_VERSION) GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0 VERSION=$(VERSION) \
	LDFLAGS='$(patsubst %.Branch=$(BRANCH),%.Branch=HEAD,$(LDFLAGS))' $(GORELEASER) release --config delivery/goreleaser.yaml --clean --release-notes dist/release-notes.md
PACK       = tar --sort=name --mtime=@$(EPOCH) --owner=0 --group=0 --numeric-owner -c

##@ Image
image: ## Build the image for PLATFORMS as an OCI layout in dist/image; reproducible, digest in dist/image.digest
	@command -v $(firstword $(BUILDAH)) >/dev/null || { echo "make image: buildah is not installed: run apt-get install buildah, or use docker build ." >&2; exit 1; }
	@rm -rf dist/image dist/image.digest && mkdir -p dist && { $(BUILDAH) manifest rm $(NAME) >/dev/null 2>&1 || true; }
	@# One after the other: side by side, the one that is built first would be the first of the index, and the digest another.
	set -e; for platform in $(subst $(comma), ,$(PLATFORMS)); do \
		$(BUILDAH) build --isolation chroot --platform $$platform --manifest $(NAME) --timestamp $(EPOCH) $(BUILD_ARGS) \
			--build-arg BUILDPLATFORM=linux/$$(go env GOHOSTARCH) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg BRANCH=HEAD --build-arg DATE=$(DATE) .; done
	@$(BUILDAH) manifest push --quiet --all --digestfile dist/image.digest $(NAME) oci:dist/image >/dev/null
	@echo "dist/image: $$(cat dist/image.digest)"

HAVE_IMAGE = [ -s dist/image.digest ] || { echo "make $@: dist/image does not exist: run make image" >&2; exit 1; }

KIND_NODE := $(NAME)-control-plane
kind: $(KIND) $(HELM) $(CRANE) ## Create a kind cluster for make e2e-kind, with dist/image, kube-prometheus-stack and metrics-server
	@$(HAVE_IMAGE)
	@$(KIND) create cluster --name $(NAME) --kubeconfig dist/kind.kubeconfig --wait 3m
	@# A registry on the node: images that are loaded into kind directly do not keep the digest of the release.
	docker cp $(CRANE) $(KIND_NODE):/usr/local/bin/crane && docker cp dist/image $(KIND_NODE):/image
	docker exec --detach $(KIND_NODE) crane registry serve --address 127.0.0.1:5000
	docker exec $(KIND_NODE) sh -ec 'mkdir -p /etc/containerd/certs.d/localhost:5000 && \
		echo "[host.\"http://127.0.0.1:5000\"]" > /etc/containerd/certs.d/localhost:5000/hosts.toml && \
		timeout 60 sh -c "until crane catalog localhost:5000 2>/dev/null; do sleep 1; done" && \
		crane push /image localhost:5000/$(NAME)@'"$$(cat dist/image.digest)"
	@for chart in "kube-prometheus-stack $(KUBE_PROMETHEUS_STACK) --namespace monitoring --create-namespace" \
		"metrics-server $(METRICS_SERVER) --namespace kube-system --set args={--kubelet-insecure-tls}"; do \
		(set -x; $(HELM) --kubeconfig dist/kind.kubeconfig upgrade --install $$chart --wait --timeout 10m) || exit 1; done

e2e-kind: ## Test the chart with the image in dist/image, by digest, on the cluster of make kind
	@REQUIRE_ALL=1 KUBECONFIG=$(CURDIR)/dist/kind.kubeconfig E2E_IMAGE=localhost:5000/$(NAME)@$$(cat dist/image.digest) E2E_WALL_IMAGE=chart \
		E2E_PROMETHEUS=monitoring/prometheus-operated:9090 $(MAKE) e2e

platform-ready: $(HELM) # Checks that terraform/platform of ENVIRONMENT can be applied: the cluster is reachable and the chart released. PLAN=1: and planned by the plan role.
	@delivery/gates cluster && HELM=$(HELM) delivery/gates chart $(ENVIRONMENT) $(if $(PLAN),&& delivery/gates planner $(ENVIRONMENT))

go-version: # Prints the Go version in the format of a GitHub Actions output.
	@echo version=$(GO_VERSION)

##@ Release
release-check: ## Check that VERSION, tag (TAG=v...), changelog and chart agree, and that the work tree is clean
	@delivery/release check $(TAG)

release-chart: $(HELM) ## Package the chart into dist/
	@mkdir -p dist && $(HELM) package $(CHART) --destination dist

release-files: release-chart release-sbom $(GO_LICENSES) # The files of a release besides the binaries. Needs make image.
	@$(HAVE_IMAGE)
	@rm -rf dist/licenses dist/pack && $(GO_LICENSES) save . --save_path=dist/licenses 2>/dev/null && chmod -R u=rwX,go=rX dist/licenses
	@mkdir dist/pack && tar -xzf dist/$(NAME)-$(VERSION).tgz -C dist/pack && $(PACK) -C dist/pack $(NAME) | gzip -n9 > dist/$(NAME)-$(VERSION).tgz && rm -r dist/pack
	@$(PACK) -C dist/image . > dist/$(NAME)-$(VERSION).oci.tar
	@delivery/release notes > dist/release-notes.md

release-sbom: $(CYCLONEDX) ## Write the software bill of materials to dist/sbom.cdx.json (CycloneDX)
	@mkdir -p dist && GOTOOLCHAIN=go$(GO_VERSION) GOOS=linux GOARCH=amd64 $(CYCLONEDX) app -json -licenses -std -noserial -output dist/sbom.cdx.json . 2>/dev/null
	@sed -i 's/"timestamp": ".*"/"timestamp": "$(DATE)"/' dist/sbom.cdx.json

release-dry-run: $(GORELEASER) ## Build all files of a release in dist/ without publishing them
	@$(MAKE) image
	@$(MAKE) release-files
	@$(RELEASE) --snapshot
	@delivery/release check $(TAG) || echo "release-dry-run: all files are built, but a release would be rejected for the reasons above"

release-login: $(HELM) ## Log in to REGISTRY with REGISTRY_USER and REGISTRY_PASSWORD
release-push: $(CRANE) ## Push dist/image to REGISTRY by digest, without a tag
release-sign: $(CRANE) $(COSIGN) ## Sign the pushed image and attest its SBOM: keyless, or with COSIGN_KEY
release-promote: $(CRANE) $(COSIGN) $(HELM) ## Tag the signed image with VERSION, and push and sign the chart; existing versions are never changed
release-verify: $(CRANE) $(COSIGN) ## Verify signatures and SBOM of VERSION in REGISTRY: those of the release workflow, or with COSIGN_PUBLIC_KEY
IN_REGISTRY := release-login release-push release-sign release-promote release-verify
$(IN_REGISTRY): export REGISTRY := $(REGISTRY)
$(IN_REGISTRY) test-delivery: export NAME := $(NAME)
$(IN_REGISTRY) test-delivery: export VERSION := $(VERSION)
$(IN_REGISTRY) test-delivery: export CRANE := $(CRANE)
$(IN_REGISTRY) test-delivery: export COSIGN := $(COSIGN)
$(IN_REGISTRY) test-delivery: export HELM := $(HELM)
$(IN_REGISTRY):
	@delivery/publish $(@:release-%=%)

release-github: $(GORELEASER) ## Build and publish the GitHub release of this commit's tag; needs GITHUB_TOKEN; can be repeated
	@delivery/release published || { [ $$? = 1 ] && $(RELEASE); }

release-public: $(CRANE) # Warns if the released packages are not public. New packages in GHCR are private.
	@for ref in $(REGISTRY)/$(NAME) $(REGISTRY)/charts/$(NAME); do \
		DOCKER_CONFIG=/nonexistent $(CRANE) digest $$ref:$(VERSION) >/dev/null 2>&1 && echo "$$ref:$(VERSION) is public" || \
		echo "::warning::$$ref:$(VERSION) cannot be pulled without a login: make the package public (docs/first-release.md)"; done

release-files release-dry-run: export BUILDAH := $(BUILDAH)

##@ Supply chain
TESTS += test-licenses
test-licenses: $(GO_LICENSES) ## List the licences of all Go modules in use, and fail if one is not allowed
	@mkdir -p dist && $(GO_LICENSES) report ./... --ignore github.com/heycard/coingecko-exporter > dist/licenses.csv 2> dist/licenses.log || { cat dist/licenses.log; exit 1; }
	@for what in ". $(LICENCES)" "./... $(LICENCES_TOOLS)"; do \
		$(GO_LICENSES) check $${what% *} --allowed_licenses=$${what#* } > dist/licenses.log 2>&1 || { grep -v 'non-Go code\|^/' dist/licenses.log; exit 1; }; done
	@echo "licences, all allowed:" $$(cut -d, -f3 dist/licenses.csv | sort | uniq -c | awk '{ print $$2 " " $$1 }' | paste -sd';') "(dist/licenses.csv)"

vulncheck: $(GOVULNCHECK) ## Check for known vulnerabilities in reachable code; GOVULNDB=file:///... uses a copy of the database
	@delivery/vulncheck

vulncheck: export GOVULNCHECK := $(GOVULNCHECK)
vulncheck: export GOTOOLCHAIN := go$(GO_VERSION)

##@ Tests of delivery
lint: lint-delivery
lint-delivery: $(ACTIONLINT) $(GORELEASER)
	$(ACTIONLINT)
	$(GORELEASER) check --quiet delivery/goreleaser.yaml
	shellcheck --external-sources .ci/terraform delivery/gates delivery/in-debian delivery/publish delivery/release delivery/vulncheck delivery/tests/run

lint-jenkinsfile: ## Lint the Jenkinsfile; needs npm and Java
	npx --yes $(GROOVY_LINT) --noserver --failon info --config delivery/groovylint.json Jenkinsfile

verify: test-delivery
test-delivery: $(ACTIONLINT) $(GORELEASER) $(CRANE) $(COSIGN) $(ACT) $(HELM) $(GOVULNCHECK) ## Test images, releases and workflows with real builders, registries and runtimes; installs packages
	@delivery/tests/run

test-delivery: export ACT := $(ACT)
test-delivery: export ACTIONLINT := $(ACTIONLINT)
test-delivery: export GORELEASER := $(GORELEASER)
test-delivery: export GROOVY_LINT := $(GROOVY_LINT)

$(ACTIONLINT):
	@$(call install,github.com/rhysd/actionlint/cmd/actionlint)
$(GOVULNCHECK):
	@$(call install,golang.org/x/vuln/cmd/govulncheck)
$(GO_LICENSES):
	@$(call install,github.com/google/go-licenses)
$(CYCLONEDX):
	@$(call install,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)
$(CRANE): export CGO_ENABLED := 0 # A static binary, because it also runs on the kind node.
$(CRANE):
	@$(call install,github.com/google/go-containerregistry/cmd/crane)
$(COSIGN):
	@$(call install,github.com/sigstore/cosign/v3/cmd/cosign)
$(ACT):
	@$(call install,github.com/nektos/act)
$(KIND):
	@$(call install,sigs.k8s.io/kind)
$(GORELEASER): # Not $(call install): the package path ends with a version, the binary's name does not.
	@mkdir -p $(TOOLS)/bin && GOBIN=$(TOOLS)/bin CGO_ENABLED=0 go install github.com/goreleaser/goreleaser/v2@$(@:$(TOOLS)/goreleaser-%=%) && mv $(TOOLS)/bin/goreleaser $@

.PHONY: image kind e2e-kind platform-ready release-public go-version release-check release-chart release-files release-dry-run release-github $(IN_REGISTRY) release-sbom test-licenses vulncheck \
	lint-delivery lint-jenkinsfile test-delivery
