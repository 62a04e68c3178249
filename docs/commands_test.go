// Package docs has no program: its test runs the commands of the documents, as a reader would type them.
package docs

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// reason is what stands before a block that is not run.
var reason = regexp.MustCompile(`^<!-- not run: \S.*\S -->\n$`)

// commands reads the fenced blocks of commands that are to be run from Markdown, and what is wrong with the tags of any.
func commands(markdown []byte) (run, wrong []string) {
	_ = ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(markdown)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		fence, is := n.(*ast.FencedCodeBlock)
		if !is || !entering || !slices.Contains([]string{"sh", "bash", "shell", "console", ""}, string(fence.Language(markdown))) {
			return ast.WalkContinue, nil
		}
		info := ""
		if fence.Info != nil {
			info = string(fence.Info.Value(markdown))
		}
		before, isHTML := n.PreviousSibling().(*ast.HTMLBlock)
		explained := isHTML && reason.Match(before.Lines().Value(markdown))
		switch {
		case info == "sh run" && !explained:
			run = append(run, string(n.Lines().Value(markdown)))
		case info != "sh" || !explained:
			wrong = append(wrong, fmt.Sprintf("line %d: %q", 1+bytes.Count(markdown[:n.Pos()], []byte("\n")), info))
		}
		return ast.WalkContinue, nil
	})
	return run, wrong
}

// exporter is where documents say that an exporter listens.
const exporter = "localhost:9880"

// Every block of commands in these documents is either run here, in a copy of the work tree and with a simulation that
// listens, or says why not.
func TestCommands(t *testing.T) {
	documents := []string{"README.md", "docs/operations.md"}
	scratch := workTree(t)
	shell(t, scratch, "make build")
	address := simulate(t, scratch)
	for _, document := range documents {
		t.Run(document, func(t *testing.T) {
			markdown, err := os.ReadFile(filepath.Join(scratch, document))
			if err != nil {
				t.Fatal(err)
			}
			run, wrong := commands(markdown)
			for _, w := range wrong {
				t.Errorf("%s, %s: tag commands as ```sh run, or as ```sh below a line <!-- not run: REASON -->", document, w)
			}
			for _, script := range run {
				shell(t, scratch, strings.ReplaceAll(script, exporter, address))
			}
			if len(run) == 0 {
				t.Error("none of its commands was run")
			}
		})
	}
}

func TestTags(t *testing.T) {
	for _, c := range []struct {
		name, markdown string
		wrong          bool
	}{
		{"run", "```sh run\ntrue\n```\n", false},
		{"with a reason", "<!-- not run: asks CoinGecko -->\n```sh\nmake run\n```\n", false},
		{"with a reason, and a line between", "<!-- not run: asks CoinGecko -->\n\n```sh\nmake run\n```\n", false},
		{"without a tag", "```sh\nmake run\n```\n", true},
		{"without a language", "```\nmake run\n```\n", true},
		{"under another name", "```bash run\nmake run\n```\n", true},
		{"with another tag", "```sh runs\nmake run\n```\n", true},
		{"run, with a reason not to", "<!-- not run: asks CoinGecko -->\n```sh run\nmake run\n```\n", true},
		{"with an empty reason", "<!-- not run: -->\n```sh\nmake run\n```\n", true},
		{"with the reason of the block before", "<!-- not run: asks CoinGecko -->\n```sh\nmake run\n```\n```sh\nmake demo\n```\n", true},
		{"of another language", "```yaml\na: 1\n```\n", false},
		{"a fence within a longer fence", "````text\n```sh\n````\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, wrong := commands([]byte(c.markdown)); (len(wrong) > 0) != c.wrong {
				t.Errorf("wrong: %q", wrong)
			}
		})
	}
}

// workTree copies what is in git, as it is now.
func workTree(t *testing.T) string {
	t.Helper()
	for _, command := range []string{"git", "make", "bash", "curl"} {
		testbed.Tool(t, command)
	}
	scratch := t.TempDir()
	shell(t, "..", `git ls-files -z --cached | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
		tar --create --null --files-from=- | tar --extract --directory="`+scratch+`"`)
	return scratch
}

// environment leaves out what an outer make and an outer exporter have set.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") || strings.HasPrefix(v, "COINGECKO_")
	})
}

func shell(t *testing.T, folder, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*testbed.Patience)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	c.Dir, c.Env, c.WaitDelay = folder, environment(), 5*time.Second
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
}

// simulate starts the exporter with simulated rates and says where it listens.
func simulate(t *testing.T, folder string) string {
	t.Helper()
	c := exec.Command(filepath.Join(folder, "bin/coingecko-exporter"), "--simulate")
	c.Env = environment()
	e := testbed.StartExporter(t, c)
	testbed.Until(t, "rates", func() bool {
		code, body, err := testbed.Get(e.URL() + "/metrics")
		return err == nil && code == http.StatusOK && strings.Contains(body, "\ncoingecko_up 1\n")
	})
	return e.Address
}
