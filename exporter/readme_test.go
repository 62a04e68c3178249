package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the list of flags into the README")

const readme = "../README.md"

// The README's list of flags is made from the program.
func TestReadmeFlags(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the toolkit has flags on Linux that it has nowhere else")
	}
	var b strings.Builder
	b.WriteString("| flag | default | |\n|---|---|---|\n")
	app := newApp(&settings{})
	for _, f := range app.Model().Flags {
		if f.Hidden || f.Name == "help" || f.Name == "version" || strings.HasPrefix(f.Name, "help-") || strings.HasPrefix(f.Name, "completion-") {
			continue
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, inCode(strings.Join(f.Default, ", ")), strings.ReplaceAll(f.Help, "|", `\|`))
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	between := regexp.MustCompile(`(?s)(<!-- flags: [^\n]*-->\n).*(<!-- end of flags -->)`)
	if !between.Match(text) {
		t.Fatal("the README has no place for the flags")
	}
	want := between.ReplaceAll(text, fmt.Appendf(nil, "${1}%s${2}", strings.ReplaceAll(b.String(), "$", "$$")))
	if *update {
		if err := os.WriteFile(readme, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, want) {
		t.Errorf("go test ./exporter -run TestReadme -update, and read it:\n%s", cmp.Diff(string(text), string(want)))
	}
}

func inCode(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// The README knows every metric of the exporter, and none that is not there.
func TestReadmeMetrics(t *testing.T) {
	e := start(t, "--demo")
	eventually(t, "rates", func() bool { return up(t, e.url) })
	_, body := get(t, e.url+"/metrics")
	there := map[string]bool{"coingecko_quota_requests": true} // not in a demo
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (coingecko_\w+) (\w+)$`).FindAllStringSubmatch(body, -1) {
		there[m[1]] = true
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(coingecko_\\w+)` \\|").FindAllStringSubmatch(string(text), -1) {
		told[m[1]] = true
	}
	if d := cmp.Diff(there, told); d != "" {
		t.Error(d)
	}
}
