// The rules as shipped, in a real Prometheus that was given eight days of the simulator's past, with real exporters and
// a real Alertmanager. Several minutes, of which most are waiting.

package alerts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// seriesMost is what the rules may add for one exporter with the settings as shipped.
const seriesMost = 2000

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

	told := &receiver{}
	hook := httptest.NewServer(told)
	t.Cleanup(hook.Close)
	am := start(t, testbed.FreeAddress(t), alertmanager, "--config.file="+exampleWithReceiver(t, dir, hook.URL),
		"--storage.path="+filepath.Join(dir, "alertmanager"), "--cluster.listen-address=")
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
	t.Run("cookbook", func(t *testing.T) { checkCookbook(t, prom) })

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

	swing := regexp.MustCompile(`^ETH fell [0-9]+\.[0-9] % in (15 min|1 h|24 h) to [0-9],[0-9]{3} USD$`)
	t.Run("a swing and an outage are told", func(t *testing.T) {
		testbed.Eventually(t, "a swing and an outage", func() error {
			var missing []string
			if !told.any(func(a alert) bool {
				return a.Status == "firing" && a.Labels["alertname"] == "CoinGeckoPriceSwing" && a.Labels["currency"] == "eth" &&
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
			if n := prom.one(t, `count(ALERTS{alertname=~"CoinGecko.*Swing",namespace="outage",alertstate="firing"}) or vector(0)`); n != 0 {
				return fmt.Errorf("%v swing alerts on stale rates", n)
			}
			return nil
		})
		if n := prom.one(t, `count(ALERTS{alertname=~"CoinGecko.*Swing",namespace="",alertstate="firing"}) or vector(0)`); n < 1 {
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

// The example keeps back what follows from something else, and tells the rest in one notification.
func TestExampleTellsTheCauseOnce(t *testing.T) {
	t.Parallel()
	alertmanager := testbed.Tool(t, "alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	told := &receiver{}
	hook := httptest.NewServer(told)
	t.Cleanup(hook.Close)
	am := start(t, testbed.FreeAddress(t), alertmanager, "--config.file="+exampleWithReceiver(t, dir, hook.URL),
		"--storage.path="+filepath.Join(dir, "alertmanager"), "--cluster.listen-address=")

	// What fires, by namespace, and whether it is told.
	fires := []struct {
		labels string
		told   bool
	}{
		{"alertname=CoinGeckoMarketSwing namespace=market severity=critical", true},
		{"alertname=CoinGeckoPriceSwing namespace=market severity=critical kind=crypto currency=eth", false},
		{"alertname=CoinGeckoPriceSwing namespace=market severity=warning kind=crypto currency=ltc", false},
		{"alertname=CoinGeckoUnusualVolatility namespace=market severity=info kind=crypto currency=ltc", false},
		{"alertname=CoinGeckoPriceSwing namespace=market severity=critical kind=fiat currency=try", true},
		{"alertname=CoinGeckoMarketSwing namespace=calm severity=warning", true},
		{"alertname=CoinGeckoPriceSwing namespace=calm severity=critical kind=crypto currency=eth", true},
		{"alertname=CoinGeckoPriceSwing namespace=calm severity=warning kind=crypto currency=ltc", false},
		{"alertname=CoinGeckoPriceSwing namespace=one severity=critical kind=crypto currency=eth", true},
		{"alertname=CoinGeckoPriceSwing namespace=one severity=critical kind=crypto currency=ltc", true},
		{"alertname=CoinGeckoUnusualVolatility namespace=one severity=info kind=crypto currency=eth", false},
		{"alertname=CoinGeckoUnusualVolatility namespace=one severity=info kind=crypto currency=btc", true},
		{"alertname=CoinGeckoRatesStale namespace=stale severity=critical", true},
		{"alertname=CoinGeckoPriceSwing namespace=stale severity=critical kind=crypto currency=eth", false},
		{"alertname=CoinGeckoMarketSwing namespace=stale severity=critical", false},
		{"alertname=CoinGeckoFreshnessBudgetBurn namespace=stale severity=critical", false},
		{"alertname=CoinGeckoExporterAbsent namespace=gone severity=critical", true},
		{"alertname=CoinGeckoRatesStale namespace=gone severity=critical", false},
		{"alertname=CoinGeckoKeyRejected namespace=key severity=critical instance=a", true},
		{"alertname=CoinGeckoPollsFailing namespace=key severity=warning instance=a", false},
		{"alertname=CoinGeckoPollsFailing namespace=key severity=warning instance=b", true},
	}
	var alerts []map[string]any
	for _, f := range fires {
		labels := map[string]string{"job": "coingecko-exporter"}
		for pair := range strings.FieldsSeq(f.labels) {
			name, value, _ := strings.Cut(pair, "=")
			labels[name] = value
		}
		alerts = append(alerts, map[string]any{"labels": labels})
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post("http://"+am.Address+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}

	was := func(labels string) bool {
		return told.any(func(a alert) bool {
			for pair := range strings.FieldsSeq(labels) {
				name, value, _ := strings.Cut(pair, "=")
				if a.Labels[name] != value {
					return false
				}
			}
			return true
		})
	}
	testbed.Eventually(t, "what is to be told", func() error {
		for _, f := range fires {
			if f.told && !was(f.labels) {
				return fmt.Errorf("not told: %s", f.labels)
			}
		}
		return nil
	})
	time.Sleep(3 * time.Second) // longer than groups gather: what is to be told has been told
	for _, f := range fires {
		if !f.told && was(f.labels) {
			t.Errorf("told, though it follows from something else: %s", f.labels)
		}
	}
	// Two coins of one release are one message.
	if n := told.messages("one", "critical"); n != 1 {
		t.Errorf("%d messages about two coins", n)
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
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
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
		receivers = append(receivers, map[string]any{
			"name":            r.(map[any]any)["name"],
			"webhook_configs": []any{map[string]any{"url": hook}},
		})
	}
	config["receivers"] = receivers
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`group_(wait|interval): \w+`).ReplaceAll(text, []byte("group_$1: 2s"))
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

// receiver is who Alertmanager notifies.
type receiver struct {
	mu   sync.Mutex
	told []alert
	sent []string // namespace and severity of each message
}

// messages counts those about a namespace, of one severity.
func (r *receiver) messages(namespace, severity string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, about := range r.sent {
		if about == namespace+" "+severity {
			n++
		}
	}
	return n
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var message struct {
		Alerts       []alert
		CommonLabels map[string]string
	}
	if err := json.NewDecoder(q.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, message.Alerts...)
	r.sent = append(r.sent, message.CommonLabels["namespace"]+" "+message.CommonLabels["severity"])
}

func (r *receiver) any(fits func(alert) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.told, fits)
}

func (r *receiver) String() string {
	var b strings.Builder
	r.any(func(a alert) bool {
		fmt.Fprintf(&b, "%s %s %s: %s; ", a.Status, a.Labels["alertname"], a.Labels["namespace"], a.Annotations["summary"])
		return false
	})
	return b.String()
}

// sample is one series of an answer. A scalar has no labels.
type sample struct {
	Metric map[string]string
	Value  float64
}

// query asks for the value of an expression now.
func (s server) query(expr string) ([]sample, error) {
	answer, err := http.PostForm("http://"+s.Address+"/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var in struct {
		Error string
		Data  struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&in); err != nil {
		return nil, err
	}
	if in.Error != "" {
		return nil, errors.New(in.Error)
	}
	number := func(pair [2]any) (float64, error) { return strconv.ParseFloat(fmt.Sprint(pair[1]), 64) }
	if in.Data.ResultType == "scalar" {
		var pair [2]any
		if err := json.Unmarshal(in.Data.Result, &pair); err != nil {
			return nil, err
		}
		v, err := number(pair)
		return []sample{{Value: v}}, err
	}
	var vector []struct {
		Metric map[string]string
		Value  [2]any
	}
	if err := json.Unmarshal(in.Data.Result, &vector); err != nil {
		return nil, fmt.Errorf("%s: %w", in.Data.ResultType, err)
	}
	samples := make([]sample, 0, len(vector))
	for _, in := range vector {
		v, err := number(in.Value)
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample{in.Metric, v})
	}
	return samples, nil
}

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
