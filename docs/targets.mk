# Make targets for the documents: slides, links, Markdown, spelling.

##@ Documents
# The Markdown linter, from npm, in a folder for each version of the lock file. The folder is renamed when it is complete.
DOCS_LOCK  := docs/package-lock.json
DOCS_TOOLS := $(TOOLS)/docs-$(shell git hash-object $(DOCS_LOCK) | cut -c1-12)
MARP       := npx --yes @marp-team/marp-cli@4.5.1

# All documents, including those that are not yet committed.
DOCUMENTS = $$(git ls-files --cached --others --exclude-standard -- '*.md' | while read -r file; do [ ! -e "$$file" ] || echo "$$file"; done)

lint: lint-docs
lint-docs: ## Check the documents: Markdown, links within the repository, spelling
	@if command -v npm >/dev/null; then $(MAKE) lint-markdown; else \
		echo "not run here: the lint of Markdown. To provide it: apt-get install nodejs npm"; [ -z "$${REQUIRE_ALL:-}" ]; fi
	@go test ./docs -run '^(TestLinks|TestSpelling)$$'

lint-markdown: $(DOCS_TOOLS)
	@$(DOCS_TOOLS)/node_modules/.bin/markdownlint-cli2 --config docs/.markdownlint-cli2.jsonc $(DOCUMENTS)

# The first line is empty, because the Makefile's last one has no line break.
define NEEDS +=

curl|the commands of README.md and docs/operations.md|curl
hunspell|the spelling of the documents|hunspell hunspell-en-gb
endef

SLIDES := docs/presentation/slides.md
CHROME  = $(or $(CHROME_PATH),$(shell command -v chromium || command -v google-chrome))

slides: ## Build the slides in dist/presentation/: HTML with presenter view, PDF, notes; needs Node.js and Chromium
	@command -v npx >/dev/null || { echo "make slides: Node.js is not installed: run apt-get install nodejs npm" >&2; exit 1; }
	@[ -n "$(CHROME)" ] || { echo "make slides: Chromium is not installed: run apt-get install chromium, or set CHROME_PATH" >&2; exit 1; }
	@mkdir -p dist/presentation dist/images && cp docs/presentation/*.svg docs/presentation/*.png dist/presentation/ && cp docs/images/*.png dist/images/
	@export CHROME_PATH="$(CHROME)" CHROME_NO_SANDBOX="$$([ "$$(id -u)" != 0 ] || echo 1)"; \
	marp() { $(MARP) --no-config-file --html=false --theme docs/presentation/theme.css "$$@" < /dev/null; }; \
	marp $(SLIDES) --output dist/presentation/slides.html && \
	marp $(SLIDES) --notes --output dist/presentation/notes.txt && \
	marp $(SLIDES) --pdf --pdf-outlines --allow-local-files --output dist/presentation/slides.pdf
	@ls -l dist/presentation/slides.* dist/presentation/notes.txt

$(DOCS_TOOLS):
	@rm -rf $@.new && mkdir -p $@.new && cp docs/package.json $(DOCS_LOCK) $@.new/ && \
		npm ci --prefix $@.new --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && mv $@.new $@

.PHONY: lint-docs lint-markdown slides
