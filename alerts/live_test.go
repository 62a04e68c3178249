// The rules as shipped, in a real Prometheus that was given eight days of the simulator's past, with real exporters and
// a real Alertmanager. Several minutes, of which most are waiting.

package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"
)

// seriesMost is what the rules may add for one exporter with the settings as shipped.
const seriesMost = 2000

func TestRulesInARealPrometheus(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("minutes of waiting are not short")
	}
	tool(t, "promtool")
	prometheus, alertmanager := tool(t, "prometheus"), tool(t, "alertmanager", "prometheus-alertmanager")

	dir := t.TempDir()
	exporter, backfill := build(t, dir, "exporter"), build(t, dir, "stack/backfill")
	market := startExporter(t, exporter)
	outage := startExporter(t, exporter, "--rates.max-age=20s")

	data := filepath.Join(dir, "data")
	run(t, backfill, "--control="+market.control, "--instance="+market.address, "--data="+data,
		"--rules="+absolute(t, "*.rules.yaml"), "--listen="+freeAddress(t))

	told := &receiver{}
	hook := httptest.NewServer(told)
	t.Cleanup(hook.Close)
	am := start(t, freeAddress(t), alertmanager, "--config.file="+exampleWithReceiver(t, dir, hook.URL),
		"--storage.path="+filepath.Join(dir, "alertmanager"), "--cluster.listen-address=")
	address, targets := freeAddress(t), filepath.Join(dir, "targets.yaml")
	scrape(t, targets, fmt.Sprintf("[{targets: [%q]}]", market.address))
	prom := start(t, address, prometheus, "--config.file="+prometheusConfig(t, dir, address, targets, am),
		"--storage.tsdb.path="+data, "--storage.tsdb.retention.time=30d", "--log.level=warn")

	t.Run("rules add few series", func(t *testing.T) {
		eventually(t, time.Minute, func() error {
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
	scrape(t, targets, fmt.Sprintf("[{targets: [%q]}, {targets: [%q], labels: {namespace: outage}}]", market.address, outage.address))
	eventually(t, time.Minute, func() error {
		if n := prom.one(t, `count(job:coingecko_rates_fresh:bool == 1)`); n != 2 {
			return fmt.Errorf("%v exporters are known to be fresh, not 2", n)
		}
		return nil
	})
	post(t, market.control+"swing/eth?change=-0.2")
	post(t, outage.control+"fail/refuse")

	swing := regexp.MustCompile(`^ETH fell [0-9]+\.[0-9] % in (15 min|1 h|24 h) to [0-9],[0-9]{3} USD$`)
	t.Run("a swing and an outage are told", func(t *testing.T) {
		eventually(t, 4*time.Minute, func() error {
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
		eventually(t, time.Minute, func() error {
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
		if n := prom.one(t, `sum(prometheus_rule_group_iterations_missed_total)`); n != 0 {
			t.Errorf("%v evaluations of groups were missed", n)
		}
		t.Logf("all groups together: %v s for one evaluation", prom.one(t, `sum(prometheus_rule_group_last_duration_seconds)`))
	})
}

// The example keeps back what follows from something else, and tells the rest in one notification.
func TestExampleTellsTheCauseOnce(t *testing.T) {
	t.Parallel()
	alertmanager := tool(t, "alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	told := &receiver{}
	hook := httptest.NewServer(told)
	t.Cleanup(hook.Close)
	am := start(t, freeAddress(t), alertmanager, "--config.file="+exampleWithReceiver(t, dir, hook.URL),
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
	answer, err := http.Post("http://"+am.address+"/api/v2/alerts", "application/json", bytes.NewReader(body))
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
	eventually(t, 30*time.Second, func() error {
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

// build compiles a command of this module.
func build(t *testing.T, dir, name string) string {
	t.Helper()
	binary := filepath.Join(dir, filepath.Base(name))
	c := exec.Command("go", "build", "-o", binary, "./"+name)
	c.Dir = ".."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build ./%s: %v\n%s", name, err, out)
	}
	return binary
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
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

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// launch runs a process until the test ends. What it says goes into a buffer.
func launch(t *testing.T, name string, args ...string) *log {
	t.Helper()
	said := &log{}
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }() // how it ended shows in what it said
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), said)
		}
	})
	return said
}

type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type exporterProcess struct{ address, control string }

func startExporter(t *testing.T, binary string, args ...string) exporterProcess {
	t.Helper()
	said := launch(t, binary, append([]string{"--simulate", "--web.listen-address=127.0.0.1:0"}, args...)...)
	var e exporterProcess
	eventually(t, 30*time.Second, func() error {
		control := regexp.MustCompile(`control=(http://\S+/)`).FindStringSubmatch(said.String())
		address := regexp.MustCompile(`msg="Listening on" address=(\S+)`).FindStringSubmatch(said.String())
		if control == nil || address == nil {
			return fmt.Errorf("the exporter names no addresses:\n%s", said)
		}
		e = exporterProcess{address[1], control[1]}
		return nil
	})
	return e
}

// server is a Prometheus or an Alertmanager.
type server struct{ address string }

func start(t *testing.T, address, binary string, args ...string) server {
	t.Helper()
	s := server{address}
	said := launch(t, binary, append(args, "--web.listen-address="+s.address)...)
	eventually(t, time.Minute, func() error {
		answer, err := http.Get("http://" + s.address + "/-/ready")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, said)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s\n%s", answer.Status, said)
		}
		return nil
	})
	return s
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
`, absolute(t, "*.rules.yaml"), am.address, targets, self)
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

func post(t *testing.T, address string) {
	t.Helper()
	answer, err := http.Post(address, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s: %s", address, answer.Status, text)
	}
}

func eventually(t *testing.T, patience time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v: %v", patience, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sample is one series of an answer. A scalar has no labels.
type sample struct {
	Metric map[string]string
	Value  float64
}

// query asks for the value of an expression now.
func (s server) query(expr string) ([]sample, error) {
	answer, err := http.PostForm("http://"+s.address+"/api/v1/query", url.Values{"query": {expr}})
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
