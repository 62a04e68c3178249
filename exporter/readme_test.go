package exporter_test

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/collector"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const readme = "../README.md"

// The README's table of flags is generated from the program.
func TestReadmeFlags(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the toolkit has flags on Linux that it has nowhere else")
	}
	var b strings.Builder
	b.WriteString("| flag | default | |\n|---|---|---|\n")
	for _, f := range exporter.Flags() {
		if f.Hidden || f.Name == "help" || f.Name == "version" || strings.HasPrefix(f.Name, "help-") || strings.HasPrefix(f.Name, "completion-") {
			continue
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, inCode(strings.Join(f.Default, ", ")), strings.ReplaceAll(f.Help, "|", `\|`))
	}
	testbed.GoldenSection(t, readme, "flags", b.String())
}

func inCode(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// The README has every metric of the exporter with its type and labels, and no others.
func TestReadmeMetrics(t *testing.T) {
	e := start(t, "--simulate")
	var body string
	testbed.Until(t, "two answers", func() bool {
		_, body = get(t, e.url+"/metrics")
		return strings.Contains(body, "coingecko_previous_exchange_rate")
	})
	parser := expfmt.NewTextParser(model.UTF8Validation)
	there, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// A simulation has no quota.
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(collector.Options{
		Status: func() poller.Status { return poller.Status{} }, Quota: &coingecko.Plan{PerMinute: 1},
	}))
	withQuota, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range withQuota {
		if there[f.GetName()] == nil {
			there[f.GetName()] = f
		}
	}

	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(coingecko_\\w+)` \\| (\\w+) \\| ([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		name, kind, cell := row[1], row[2], row[3]
		f := there[name]
		if f == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		delete(there, name)
		if is := strings.ToLower(f.GetType().String()); is != kind {
			t.Errorf("%s is a %s and not a %s", name, is, kind)
		}
		has, told := map[string]bool{}, map[string]bool{}
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cell, -1) {
			told[m[1]] = true
		}
		for _, l := range f.Metric[0].Label {
			if n := l.GetName(); told[n] || !strings.Contains(cell, "...") { // which says that there are more
				has[n] = true
			}
		}
		if d := cmp.Diff(has, told); d != "" {
			t.Errorf("labels of %s:\n%s", name, d)
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "coingecko_") {
			t.Errorf("%s is not in the README", name)
		}
	}
}
