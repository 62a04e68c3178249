// The life of one swing, by the messages that a real Prometheus and a real Alertmanager send.

package alerts

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// shop answers scrapes like an exporter whose rates stand still, but for that of eth.
type shop struct {
	mu    sync.Mutex
	eth   float64 // per bitcoin; 40 is 2,000 USD
	fails bool
}

func (s *shop) set(eth float64) { s.mu.Lock(); s.eth = eth; s.mu.Unlock() }
func (s *shop) fail(fails bool) { s.mu.Lock(); s.fails = fails; s.mu.Unlock() }

func (s *shop) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "coingecko_up 1\ncoingecko_rates_max_age_seconds 600\ncoingecko_poll_interval_seconds 60\ncoingecko_last_success_timestamp_seconds %d\n", time.Now().Unix())
	for _, name := range []string{"coingecko_exchange_rate", "coingecko_previous_exchange_rate"} {
		fmt.Fprintf(w, "%[1]s{currency=\"btc\",kind=\"crypto\"} 1\n%[1]s{currency=\"usd\",kind=\"fiat\"} 80000\n%[1]s{currency=\"eth\",kind=\"crypto\"} %[2]g\n", name, s.eth)
	}
}

func TestOneSwingIsOneConversation(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("minutes of waiting are not short")
	}
	promtool, prometheus := testbed.Tool(t, "promtool"), testbed.Tool(t, "prometheus")
	alertmanager := testbed.Tool(t, "alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	exporter := &shop{eth: 40}
	target := httptest.NewServer(exporter)
	t.Cleanup(target.Close)
	am, told := startAlertmanager(t, alertmanager, dir)

	// The rules as shipped, but a swing is over after three minutes of calm, not after an hour.
	for _, name := range glob(t, "*.rules.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "prices.rules.yaml" && strings.Count(string(text), "[1h]) >= 0.8 or") != 3 {
			t.Fatal("the hour for which a swing is held is not found")
		}
		changed := strings.NewReplacer("[1h]) >= 0.8 or", "[3m]) >= 0.8 or", "[1h]) <= -0.8)", "[3m]) <= -0.8)").Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 2s, evaluation_interval: 5s}
rule_files: [%q]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs: [{job_name: coingecko-exporter, static_configs: [{targets: [%q]}]}]
`, filepath.Join(dir, "*.rules.yaml"), am.Address, strings.TrimPrefix(target.URL, "http://")), 0o600); err != nil {
		t.Fatal(err)
	}

	// What the price was in the last hour and some minutes.
	var past strings.Builder
	now := time.Now().Unix()
	for at := now - 70*60; at < now; at += 30 {
		fmt.Fprintf(&past, "currency_quote:coingecko_price:ratio{job=\"coingecko-exporter\",currency=\"eth\",kind=\"crypto\",quote=\"usd\"} 2000 %d\n", at)
	}
	if err := os.WriteFile(filepath.Join(dir, "past"), []byte(past.String()+"# EOF\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	testbed.Run(t, promtool, "tsdb", "create-blocks-from", "openmetrics", filepath.Join(dir, "past"), data)
	address := testbed.FreeAddress(t)
	args := []string{"--config.file=" + config, "--storage.tsdb.path=" + data, "--log.level=warn"}
	prom := start(t, address, prometheus, args...)

	// change waits until the rules see how far the price is from that of a quarter of an hour ago.
	change := func(want float64) {
		t.Helper()
		testbed.Eventually(t, "the change", func() error {
			got, err := prom.query(`round(currency_quote:coingecko_price_change:ratio15m{currency="eth",quote="usd"}, 0.01)`)
			if err == nil && (len(got) != 1 || got[0].Value != want) {
				err = fmt.Errorf("%v, not %v", got, want)
			}
			return err
		})
	}
	// hears waits until somebody has been told so often.
	hears := func(n int) {
		t.Helper()
		testbed.Eventually(t, "messages", func() error {
			if got := len(told.messages()); got != n {
				return fmt.Errorf("%d messages, not %d: %s", got, n, told)
			}
			return nil
		})
	}
	// silence says that three more evaluations of the alerts change nothing of that.
	silence := func(n int) {
		t.Helper()
		begin := evaluations(t, address)
		testbed.Eventually(t, "three evaluations", func() error {
			if n := evaluations(t, address) - begin; n < 3 {
				return fmt.Errorf("%v so far", n)
			}
			return nil
		})
		if got := len(told.messages()); got != n {
			t.Fatalf("%d messages, not %d: %s", got, n, told)
		}
	}

	change(0)
	silence(0)
	exporter.set(40 / 0.92)
	hears(1) // the team
	exporter.set(40 / 0.75)
	hears(3) // on-call, and the team once more
	exporter.set(40 / 0.92)
	change(-0.08)
	silence(3)

	exporter.fail(true)
	testbed.Eventually(t, "lost scrapes", func() error {
		if n := prom.one(t, `up{job="coingecko-exporter"} == bool 0`); n != 1 {
			return errors.New("the exporter is still up")
		}
		return nil
	})
	silence(3)
	exporter.fail(false)
	change(-0.08)
	silence(3)

	prom.Stop()
	prom = start(t, address, prometheus, args...)
	change(-0.08)
	silence(3)
	if n := prom.one(t, `count(ALERTS{alertname=~"CoinGeckoPriceSwing(Critical)?",alertstate="firing"})`); n != 2 {
		t.Fatalf("%v alerts of the swing after a restart, not 2", n)
	}

	exporter.set(40)
	change(0)
	hears(5) // once each
	silence(5)

	var got []string
	for _, m := range told.messages() {
		var says []string
		for _, a := range m.alerts {
			if line := a.Status + " " + a.Annotations["summary"]; len(says) == 0 || says[len(says)-1] != line {
				says = append(says, line)
			}
		}
		got = append(got, m.to+": "+strings.Join(says, ", "))
	}
	t.Log(strings.Join(got, "\n"))
	for i, want := range [][]string{
		{"team: firing ETH fell 8.0 % in 15 min to 1,840 USD"},
		{"on-call: firing ETH fell 25.0 % in 15 min to 1,500 USD", "team: firing ETH fell 25.0 % in 15 min to 1,500 USD"},
		{"on-call: resolved ETH is calm again at 2,000 USD", "team: resolved ETH is calm again at 2,000 USD"},
	} {
		part := got[max(0, 2*i-1) : 2*i+1]
		for _, w := range want {
			if !strings.Contains(strings.Join(part, "\n")+"\n", w+"\n") {
				t.Errorf("%q is not among %q", w, part)
			}
		}
	}
}

// evaluations gives how often the group of the swing alerts was evaluated since Prometheus started.
func evaluations(t *testing.T, address string) float64 {
	t.Helper()
	status, body, err := testbed.Get("http://" + address + "/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	for line := range strings.Lines(body) {
		var n float64
		if strings.HasPrefix(line, "prometheus_rule_group_iterations_total") && strings.Contains(line, ";coingecko-prices\"") {
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}
