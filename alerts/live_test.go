// The rules as shipped, in a real Prometheus that was given eight days of the simulator's past, with real exporters and
// a real Alertmanager. Several minutes, of which most are waiting.

package alerts

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// seriesMost is what the rules may add for one exporter with the settings as shipped.
const seriesMost = 2300

func TestRulesInARealPrometheus(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("minutes of waiting are not short")
	}
	testbed.Tool(t, "promtool")
	prometheus, alertmanager := testbed.Tool(t, "prometheus"), testbed.Tool(t, "alertmanager", "prometheus-alertmanager")

	dir := t.TempDir()
	exporter := testbed.Build(t, ".")
	market := testbed.StartExporter(t, exec.Command(exporter, "--simulate"))
	outage := testbed.StartExporter(t, exec.Command(exporter, "--simulate", "--rates.max-age=20s"))

	data := filepath.Join(dir, "data")
	testbed.Run(t, testbed.Build(t, "./stack/backfill"), "--control="+market.Control, "--instance="+market.Address, "--data="+data,
		"--rules="+absolute(t, "*.rules.yaml"), "--listen="+testbed.FreeAddress(t))

	am, told := startAlertmanager(t, alertmanager, dir)
	address, targets := testbed.FreeAddress(t), filepath.Join(dir, "targets.yaml")
	scrape(t, targets, fmt.Sprintf("[{targets: [%q]}]", market.Address))
	prom := start(t, address, prometheus, "--config.file="+prometheusConfig(t, dir, address, targets, am),
		"--storage.tsdb.path="+data, "--storage.tsdb.retention.time=30d", "--log.level=warn", "--query.timeout=10m")

	t.Run("rules add few series", func(t *testing.T) {
		testbed.Eventually(t, "the past", func() error {
			if n := prom.one(t, `count(currency:coingecko_swing:ratio{namespace="",window="24h"})`); n < 100 {
				return fmt.Errorf("%v swings over 24 hours: the past is not there", n)
			}
			return nil
		})
		n := prom.one(t, `count({__name__=~".+:.+",namespace=""})`)
		t.Logf("%v series", n)
		if n > seriesMost {
			t.Errorf("the rules add %v series for one exporter, more than %v", n, seriesMost)
		}
		if n < 1000 {
			t.Errorf("the rules add only %v series: some do not work", n)
		}
	})
	t.Run("cookbook", func(t *testing.T) {
		// On a busy machine the backfill may take longer than its last values count, and this group is evaluated each five minutes.
		testbed.Eventually(t, "volatilities", func() error {
			if prom.one(t, `count(currency_quote:coingecko_price_volatility:stddev24h)`) == 0 {
				return errors.New("there are none")
			}
			return nil
		})
		checkCookbook(t, prom)
	})

	// Another exporter joins, in a namespace of its own, and loses its upstream.
	scrape(t, targets, fmt.Sprintf("[{targets: [%q]}, {targets: [%q], labels: {namespace: outage}}]", market.Address, outage.Address))
	testbed.Eventually(t, "two exporters that are fresh", func() error {
		if n := prom.one(t, `count(job:coingecko_rates_fresh:bool == 1)`); n != 2 {
			return fmt.Errorf("%v exporters are known to be fresh, not 2", n)
		}
		return nil
	})
	testbed.Post(t, market.Control+"swing/eth?change=-0.2")
	testbed.Post(t, outage.Control+"fail/refuse")

	swing := regexp.MustCompile(`^SIMULATED ETH fell [0-9]+\.[0-9] % in (15 min|1 h|24 h) to [0-9],[0-9]{3} USD$`)
	t.Run("a swing and an outage are told", func(t *testing.T) {
		testbed.Eventually(t, "a swing and an outage", func() error {
			var missing []string
			if !told.any(func(a alert) bool {
				return a.Status == "firing" && strings.HasPrefix(a.Labels["alertname"], "CoinGeckoPriceSwing") && a.Labels["currency"] == "eth" &&
					a.Labels["namespace"] == "" && swing.MatchString(a.Annotations["summary"])
			}) {
				missing = append(missing, "no swing of eth")
			}
			if !told.any(func(a alert) bool {
				return a.Status == "firing" && a.Labels["alertname"] == "CoinGeckoRatesStale" && a.Labels["namespace"] == "outage"
			}) {
				missing = append(missing, "no stale rates")
			}
			if missing != nil {
				return errors.New(strings.Join(missing, ", ") + "; told: " + told.String())
			}
			return nil
		})
		// Where rates are stale no swing is told.
		testbed.Eventually(t, "no swing on stale rates", func() error {
			if n := prom.one(t, `count(ALERTS{alertname=~"CoinGecko.*Swing.*",namespace="outage",alertstate="firing"}) or vector(0)`); n != 0 {
				return fmt.Errorf("%v swing alerts on stale rates", n)
			}
			return nil
		})
		if n := prom.one(t, `count(ALERTS{alertname=~"CoinGecko.*Swing.*",namespace="",alertstate="firing"}) or vector(0)`); n < 1 {
			t.Error("the swing is over already: the check above proves nothing")
		}
	})

	t.Run("no rule fails", func(t *testing.T) {
		if n := prom.one(t, `sum(prometheus_rule_evaluation_failures_total)`); n != 0 {
			t.Errorf("%v evaluations of rules failed", n)
		}
		t.Logf("all groups together: %v s for one evaluation; a busy machine has missed %v of groups",
			prom.one(t, `sum(prometheus_rule_group_last_duration_seconds)`), prom.one(t, `sum(prometheus_rule_group_iterations_missed_total)`))
	})
}

// The example keeps back what follows from something else, and tells the rest once to everybody who is to hear of it.
func TestExampleTellsTheCauseOnce(t *testing.T) {
	t.Parallel()
	alertmanager := testbed.Tool(t, "alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	am, told := startAlertmanager(t, alertmanager, dir)

	// What fires, by namespace, and who is told.
	fires := []struct {
		labels, told string
	}{
		{"alertname=CoinGeckoMarketSwing namespace=market severity=warning", ""},
		{"alertname=CoinGeckoMarketSwingCritical namespace=market severity=critical", "on-call team"},
		{"alertname=CoinGeckoPriceSwing namespace=market severity=warning kind=crypto currency=sol", "team"}, // twice as far, or the other way: the rules hold back the others
		{"alertname=CoinGeckoUnusualVolatility namespace=market severity=notice kind=crypto currency=ltc", ""},
		{"alertname=CoinGeckoPriceSwing namespace=one severity=warning kind=crypto currency=eth", ""},
		{"alertname=CoinGeckoPriceSwingCritical namespace=one severity=critical kind=crypto currency=eth", "on-call team"},
		{"alertname=CoinGeckoPriceSwing namespace=one severity=warning kind=crypto currency=ltc", "team"}, // another coin's critical alert is no reason
		{"alertname=CoinGeckoUnusualVolatility namespace=one severity=notice kind=crypto currency=eth", ""},
		{"alertname=CoinGeckoUnusualVolatility namespace=one severity=notice kind=crypto currency=btc", "notices"},
		{"alertname=CoinGeckoRatesStale namespace=stale severity=critical", "on-call team"},
		{"alertname=CoinGeckoUnusualVolatility namespace=stale severity=notice kind=crypto currency=eth", ""},
		{"alertname=CoinGeckoFreshnessBudgetBurn namespace=stale severity=critical", ""},
		{"alertname=CoinGeckoExporterAbsent namespace=gone severity=critical", "on-call team"},
		{"alertname=CoinGeckoRatesStale namespace=gone severity=critical", ""},
		{"alertname=CoinGeckoKeyRejected namespace=key severity=critical instance=a", "on-call team"},
		{"alertname=CoinGeckoPollsFailing namespace=key severity=warning instance=a", ""},
		{"alertname=CoinGeckoPollsFailing namespace=key severity=warning instance=b", "team"},
		{"alertname=CoinGeckoPriceSwingCritical namespace=demo severity=critical kind=crypto currency=eth simulated=true", ""},
		// Later than all others, it ends the wait.
		{"alertname=CoinGeckoEnd namespace=end severity=notice", "notices"},
	}
	var alerts []map[string]any
	for _, f := range fires {
		labels := labelsOf(f.labels)
		labels["job"] = "coingecko-exporter"
		alerts = append(alerts, map[string]any{"labels": labels})
	}
	testbed.PostJSON(t, "http://"+am.Address+"/api/v2/alerts", alerts)

	testbed.Eventually(t, "what is to be told", func() error {
		for _, f := range fires {
			if got := told.of(f.labels); got != f.told && f.told != "" {
				return fmt.Errorf("%s: told to %q, not %q", f.labels, got, f.told)
			}
		}
		return nil
	})
	for _, f := range fires {
		if got := told.of(f.labels); got != f.told {
			t.Errorf("%s: told to %q, not %q", f.labels, got, f.told)
		}
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// server is a Prometheus or an Alertmanager.
type server struct{ *testbed.Server }

func start(t *testing.T, address, binary string, args ...string) server {
	t.Helper()
	return server{testbed.Serve(t, address, binary, args...)}
}

// startAlertmanager starts an Alertmanager with the shipped example, and returns who gets its messages.
func startAlertmanager(t *testing.T, binary, dir string) (server, *receiver) {
	t.Helper()
	told := &receiver{}
	hook := httptest.NewServer(told)
	t.Cleanup(hook.Close)
	return start(t, testbed.FreeAddress(t), binary, "--config.file="+exampleWithReceiver(t, dir, hook.URL),
		"--storage.path="+filepath.Join(dir, "alertmanager"), "--cluster.listen-address="), told
}

// scrape tells Prometheus what to scrape.
func scrape(t *testing.T, name, targets string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(targets), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func prometheusConfig(t *testing.T, dir, self, targets string, am server) string {
	t.Helper()
	name := filepath.Join(dir, "prometheus.yaml")
	// An evaluation in 5 s, not in a minute, saves waiting. The rules do not depend on it.
	text := fmt.Sprintf(`
global: {scrape_interval: 2s, evaluation_interval: 5s}
rule_files: [%q]
alerting:
  # What is simulated is told to nobody.
  alert_relabel_configs: [{regex: simulated, action: labeldrop}]
  alertmanagers: [{static_configs: [{targets: [%q]}]}]
scrape_configs:
  - {job_name: coingecko-exporter, file_sd_configs: [{files: [%q]}]}
  - {job_name: prometheus, static_configs: [{targets: [%q]}]}
`, absolute(t, "*.rules.yaml"), am.Address, targets, self)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// exampleWithReceiver is the shipped example, with its routes, groups and inhibitions, but for where it sends to and how
// long it gathers.
func exampleWithReceiver(t *testing.T, dir, hook string) string {
	t.Helper()
	var config map[string]any
	readYAML(t, "alertmanager.example.yaml", &config)
	var receivers []any
	for _, r := range config["receivers"].([]any) {
		name := r.(map[any]any)["name"]
		receiver := map[string]any{"name": name}
		if len(r.(map[any]any)) > 1 {
			ends := strings.Contains(fmt.Sprint(r), "send_resolved:true")
			receiver["webhook_configs"] = []any{map[string]any{"url": fmt.Sprintf("%s/%s", hook, name), "send_resolved": ends}}
		}
		receivers = append(receivers, receiver)
	}
	config["receivers"] = receivers
	delete(config, "templates")
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	// What interrupts nobody comes last.
	for _, change := range [][2]string{{`group_wait: \d+s`, "group_wait: 1s"}, {`group_interval: \w+`, "group_interval: 1s"}, {`group_wait: 10m`, "group_wait: 15s"}} {
		text = regexp.MustCompile(change[0]).ReplaceAll(text, []byte(change[1]))
	}
	name := filepath.Join(dir, "alertmanager.yaml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

type alert struct {
	Status      string
	Labels      map[string]string
	Annotations map[string]string
}

// receiver is who Alertmanager notifies: a webhook a receiver, called after it.
type receiver struct {
	mu   sync.Mutex
	sent []message
}

// message is one notification.
type message struct {
	to     string
	alerts []alert
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var m struct{ Alerts []alert }
	if err := json.NewDecoder(q.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, message{strings.TrimPrefix(q.URL.Path, "/"), m.Alerts})
}

// messages are those that were sent so far.
func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// of names who was told of an alert with these labels ("namespace=one currency=eth").
func (r *receiver) of(labels string) string {
	to := map[string]bool{}
	for _, m := range r.messages() {
		for _, a := range m.alerts {
			if a.is(labels) {
				to[m.to] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(to)), " ")
}

// labelsOf reads labels that are written as "namespace=one currency=eth".
func labelsOf(text string) map[string]string {
	labels := map[string]string{}
	for pair := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(pair, "=")
		labels[name] = value
	}
	return labels
}

func (a alert) is(labels string) bool {
	for name, value := range labelsOf(labels) {
		if a.Labels[name] != value {
			return false
		}
	}
	return true
}

func (r *receiver) any(fits func(alert) bool) bool {
	return slices.ContainsFunc(r.messages(), func(m message) bool { return slices.ContainsFunc(m.alerts, fits) })
}

func (r *receiver) String() string {
	var b strings.Builder
	r.any(func(a alert) bool {
		fmt.Fprintf(&b, "%s %s %s: %s; ", a.Status, a.Labels["alertname"], a.Labels["namespace"], a.Annotations["summary"])
		return false
	})
	return b.String()
}

type sample = testbed.Sample

// query asks for the value of an expression now.
func (s server) query(expr string) ([]sample, error) { return testbed.Query("http://"+s.Address, expr) }

// one asks for an expression that has at most one series, and takes none for 0.
func (s server) one(t *testing.T, expr string) float64 {
	t.Helper()
	samples, err := s.query(expr)
	if err != nil || len(samples) > 1 {
		t.Fatalf("%s: %v %v", expr, samples, err)
	}
	if len(samples) == 0 {
		return 0
	}
	return samples[0].Value
}
