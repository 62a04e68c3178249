// What can be said of the rules without running them for long: form, tests, runbooks, settings.

package alerts

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const runbooks = "https://github.com/heycard/coingecko-exporter/blob/main/alerts/runbooks/"

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // they wait more than they work; the command line may say otherwise
	os.Exit(m.Run())
}

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

type ruleGroup struct {
	Name     string
	Interval string
	Rules    []rule
}

// readRules gives the groups of all rule files, by file.
func readRules(t *testing.T) map[string][]ruleGroup {
	t.Helper()
	all := map[string][]ruleGroup{}
	for _, name := range glob(t, "*.rules.yaml") {
		var file struct{ Groups []ruleGroup }
		readYAML(t, name, &file)
		all[name] = file.Groups
	}
	return all
}

// eachRule calls do for every rule of every file.
func eachRule(t *testing.T, do func(file string, r rule)) {
	t.Helper()
	for file, groups := range readRules(t) {
		for _, g := range groups {
			for _, r := range g.Rules {
				do(file, r)
			}
		}
	}
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file %s (%v)", pattern, err)
	}
	return names
}

func TestPromtoolFindsNothingToSayAboutTheRules(t *testing.T) {
	t.Parallel()
	promtool := testbed.Tool(t, "promtool")
	out, err := exec.Command(promtool, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, glob(t, "*.rules.yaml")...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPromtoolTests(t *testing.T) {
	t.Parallel() // the tests that wait for a Prometheus begin meanwhile
	promtool := testbed.Tool(t, "promtool")
	for _, name := range glob(t, "tests/*.test.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			if out, err := exec.Command(promtool, "test", "rules", name).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestAlertmanagerAcceptsTheExample(t *testing.T) {
	t.Parallel()
	amtool := testbed.Tool(t, "amtool")
	if out, err := exec.Command(amtool, "check-config", "alertmanager.example.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// promtest is what the promtool tests say about series and alerts.
type promtest struct {
	Tests []struct {
		Name  string
		Alert []struct {
			Name     string `yaml:"alertname"`
			Expected []struct {
				Labels map[string]string `yaml:"exp_labels"`
			} `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
		Expr []struct {
			Expr     string
			Expected []any `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

func TestEveryAlertFiresInAPromtoolTestAndIsSeenNotToFire(t *testing.T) {
	t.Parallel()
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, name := range glob(t, "tests/*.test.yaml") {
		var file promtest
		readYAML(t, name, &file)
		for _, test := range file.Tests {
			for _, a := range test.Alert {
				if len(a.Expected) == 0 {
					silent[a.Name] = true
				}
				for _, e := range a.Expected {
					fires[a.Name+" "+e.Labels["severity"]] = true
				}
			}
		}
	}
	eachRule(t, func(file string, r rule) {
		if r.Alert == "" {
			return
		}
		if !fires[r.Alert+" "+r.Labels["severity"]] {
			t.Errorf("%s: no test in tests/ sees %s fire with severity %s", file, r.Alert, r.Labels["severity"])
		}
		if !silent[r.Alert] {
			t.Errorf("%s: no test in tests/ sees %s not fire", file, r.Alert)
		}
	})
}

func TestEveryRecordedSeriesIsChecked(t *testing.T) {
	t.Parallel()
	checked := map[string]bool{}
	for _, name := range glob(t, "tests/*.test.yaml") {
		var file promtest
		readYAML(t, name, &file)
		for _, test := range file.Tests {
			for _, e := range test.Expr {
				if len(e.Expected) == 0 {
					continue
				}
				for _, series := range regexp.MustCompile(`[a-z_]+:[\w:]+`).FindAllString(e.Expr, -1) {
					checked[series] = true
				}
			}
		}
	}
	eachRule(t, func(file string, r rule) {
		// Settings are constants; that they are joined right is checked in what comes of them.
		if r.Record != "" && file != "store.rules.yaml" && !checked[r.Record] {
			t.Errorf("%s: no test in tests/ checks a value of %s", file, r.Record)
		}
	})
}

func TestEveryAlertSaysWhatItShould(t *testing.T) {
	t.Parallel()
	// What a label may hold: nothing that differs from one evaluation to the next.
	constant := regexp.MustCompile(`^[a-z]+$`)
	alerts := map[string]bool{}
	eachRule(t, func(file string, r rule) {
		if r.Alert == "" {
			return
		}
		alerts[r.Alert] = true
		if !strings.HasPrefix(r.Alert, "CoinGecko") {
			t.Errorf("%s: %s does not begin with CoinGecko", file, r.Alert)
		}
		if s := r.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "notice"}, s) {
			t.Errorf("%s: %s has severity %q", file, r.Alert, s)
		}
		for name, value := range r.Labels {
			if !constant.MatchString(value) {
				t.Errorf("%s: label %s of %s is %q, not a plain word", file, name, r.Alert, value)
			}
		}
		for _, name := range []string{"summary", "description"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s: %s has no %s", file, r.Alert, name)
			}
		}
		// A critical companion shares the page of its warning.
		page := strings.TrimSuffix(r.Alert, "Critical")
		if want := runbooks + page + ".md"; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url of %s is %q, not %q", file, r.Alert, r.Annotations["runbook_url"], want)
		}
		if _, err := os.Stat(filepath.Join("runbooks", page+".md")); err != nil {
			t.Errorf("%s: %s has no runbook: %v", file, r.Alert, err)
		}
		if !regexp.MustCompile(`^/d/coingecko-(wall|analysis|exporter)(\?|$)`).MatchString(r.Annotations["dashboard_url"]) {
			t.Errorf("%s: dashboard_url of %s is %q", file, r.Alert, r.Annotations["dashboard_url"])
		}
	})
	for _, name := range glob(t, "runbooks/*.md") {
		alert := strings.TrimSuffix(filepath.Base(name), ".md")
		if !alerts[alert] {
			t.Errorf("%s is the runbook of no alert", name)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"# " + alert + "\n", "\n## What it means\n", "\n## Check\n", "\n## Do\n", "\n## Escalate\n"} {
			if !strings.Contains("\n"+string(text), part) {
				t.Errorf("%s lacks %q", name, strings.TrimSpace(part))
			}
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for alert := range alerts {
		if !strings.Contains(string(readme), "`"+alert+"`") {
			t.Errorf("README.md does not name %s", alert)
		}
	}
}

// kube-prometheus-stack lets a critical alert hold back whatever has its name and namespace and is less severe. So what there is one of
// for each currency, quote or exporter has one severity a name: a critical swing of one coin must not silence the warnings of all others.
func TestNoAlertHoldsBackAnotherThingsAlertInKubePrometheusStack(t *testing.T) {
	t.Parallel()
	severities := map[string]map[string]bool{}
	eachRule(t, func(_ string, r rule) {
		if r.Alert == "" {
			return
		}
		if severities[r.Alert] == nil {
			severities[r.Alert] = map[string]bool{}
		}
		severities[r.Alert][r.Labels["severity"]] = true
	})
	for name, all := range severities {
		// Of the objective there is one a release, and its critical alert is the worse of the same thing.
		if all["critical"] && len(all) > 1 && name != "CoinGeckoFreshnessBudgetBurn" {
			t.Errorf("%s is critical and more: a critical one would hold back the others of its namespace", name)
		}
		if all["info"] {
			t.Errorf("%s has severity info: kube-prometheus-stack's InfoInhibitor holds it back", name)
		}
	}
}
