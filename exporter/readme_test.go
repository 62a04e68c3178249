package exporter_test

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
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
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s |\n", f.Name, strings.Join(f.Default, ", "), strings.ReplaceAll(f.Help, "|", `\|`))
	}
	testbed.GoldenSection(t, readme, "flags", strings.ReplaceAll(b.String(), "``", ""))
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

	is, told := map[string][]string{}, map[string][]string{} // type and labels
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(coingecko_\\w+)` \\| (\\w+) \\| ([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		labels := strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(row[3]))
		slices.Sort(labels)
		told[row[1]] = append([]string{row[2]}, labels...)
	}
	for name, f := range there {
		if !strings.HasPrefix(name, "coingecko_") {
			continue
		}
		is[name] = []string{strings.ToLower(f.GetType().String())}
		for _, l := range f.Metric[0].Label {
			is[name] = append(is[name], l.GetName())
		}
		if slices.Contains(told[name], "...") { // there are more
			is[name] = slices.DeleteFunc(is[name], func(label string) bool { return !slices.Contains(told[name], label) })
			is[name] = slices.Insert(is[name], 1, "...")
		}
	}
	if d := cmp.Diff(is, told); d != "" {
		t.Error(d)
	}
}
