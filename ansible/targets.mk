# Make targets for the Ansible roles. README.md describes the roles.

##@ Ansible
ANSIBLE_NODES    := $(TOOLS)/ansible-nodes-$(shell sha256sum ansible/test/nodes | cut -c 1-12)
ANSIBLE_PACKAGES := ansible dpkg-dev iproute2 mmdebstrap openssh-client openssl procps systemd-container

verify: test-ansible
# $(HELM) is built by a recursive make, because charts/targets.mk, which defines it, is included later.
test-ansible: build ## Run the playbooks on four systemd-nspawn machines and test the result; needs Debian and root
ifneq ($(and $(filter 0,$(shell id -u)),$(shell command -v apt-get)),)
	@missing="$$(for package in $(ANSIBLE_PACKAGES); do dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q '^install ok installed' || echo $$package; done | xargs)"; \
	if [ -n "$$missing" ]; then \
		echo "apt-get install $$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $$missing >/dev/null; fi
	@$(MAKE) $(HELM) $(ANSIBLE_NODES)
	@ansible/test/run $(ANSIBLE_NODES) $(HELM) $(CURDIR)/bin/$(NAME) $(CURDIR)/charts/$(NAME) $(CURDIR)/bin/kiosk.png
else
	@echo "not run here: the playbooks on systemd-nspawn machines. To provide it: run make test-ansible as root on Debian"; exit $${REQUIRE_ALL:+1}
endif

$(ANSIBLE_NODES):
	@ansible/test/nodes $@

lint: lint-ansible
# ansible-lint refuses to run another Ansible than its own. GitHub's runners have another one, which is first in PATH.
lint-ansible:
	shellcheck --exclude=SC1091,SC2016 ansible/test/nodes ansible/test/run
	@command -v ansible-lint >/dev/null || { echo "not run here: the lint of the Ansible roles. To provide it: apt-get install ansible ansible-lint"; exit $${REQUIRE_ALL:+1}; }; \
		cd ansible && PATH="$$(dirname "$$(command -v ansible-lint)"):$$PATH" ansible-lint -q

.PHONY: test-ansible lint-ansible
