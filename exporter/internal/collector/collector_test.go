package collector

import (
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

var (
	now  = time.Date(2026, 11, 23, 14, 3, 22, 500e6, time.UTC)
	plan = coingecko.Plans()[1]
)

// status is the status of a demo plan shortly after a poll.
func status(s poller.Status) poller.Status {
	s.Now, s.Interval, s.MaxAge = now, 5*time.Minute, 15*time.Minute
	return s
}

func answer(t *testing.T, body string) ([]coingecko.Rate, map[coingecko.Rejection]int) {
	t.Helper()
	rates, rejected, err := coingecko.Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return rates, rejected
}

// scrape returns the metrics as text.
func scrape(c prometheus.Collector) string {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestGolden(t *testing.T) {
	whole := simulator.RecordedRates()
	const partly = `{"rates":{"btc":{"name":"Bitcoin","unit":"BTC","value":1.0,"type":"crypto"},` +
		`"usd":{"name":"US Dollar","unit":"$","value":75817.765,"type":"fiat"},` +
		`"new":{"name":"Quote \" and \\ and\nline","unit":"ل.ل","value":2,"type":"stablecoin"},` +
		`"eth":{"name":"Ether","unit":"ETH","value":null,"type":"crypto"},"eur":{"value":"1"},"gbp":{"value":-1},"XYZ":{"value":1}}}`
	some, rejected := answer(t, partly)
	before, _ := answer(t, `{"rates":{"btc":{"value":1,"type":"crypto"},"eth":{"value":35.5,"type":"crypto"},"usd":{"value":75900,"type":"fiat"}}}`)
	fetched := now.Add(-23 * time.Second)
	refused := &coingecko.Error{Reason: coingecko.Unauthorized, Upstream: coingecko.CoinGecko, Status: 401}

	for name, tc := range map[string]struct {
		status poller.Status
		polls  []poller.Poll
		quota  *coingecko.Plan
	}{
		"first-start": {status: status(poller.Status{}), quota: &plan},
		"healthy": {
			status: status(poller.Status{Snapshot: &poller.Snapshot{Rates: whole}, Age: 23 * time.Second, LastSuccess: fetched, LastPoll: fetched.Add(300 * time.Millisecond)}),
			polls:  []poller.Poll{{Upstream: coingecko.CoinGecko, Duration: 300 * time.Millisecond}},
			quota:  &plan,
		},
		"upstream-down": {
			status: status(poller.Status{Snapshot: &poller.Snapshot{Rates: some}, Age: 323 * time.Second, LastSuccess: fetched.Add(-5 * time.Minute), LastPoll: fetched, Err: refused}),
			polls: []poller.Poll{
				{Upstream: coingecko.CoinGecko, Duration: 300 * time.Millisecond},
				{Upstream: coingecko.CoinGecko, Duration: 40 * time.Millisecond, Err: refused},
			},
			quota: &plan,
		},
		"expired": {
			status: status(poller.Status{Age: time.Hour, LastSuccess: now.Add(-time.Hour), LastPoll: fetched, Err: refused}),
			polls:  []poller.Poll{{Upstream: coingecko.CoinGecko, Duration: 40 * time.Millisecond, Err: refused}},
			quota:  &plan,
		},
		"partly-bad": {
			status: status(poller.Status{Snapshot: &poller.Snapshot{Rates: some}, Previous: before, Age: 23 * time.Second, LastSuccess: fetched, LastPoll: fetched}),
			polls:  []poller.Poll{{Upstream: coingecko.Relay, Duration: 2 * time.Millisecond, Rejected: rejected}},
		},
		"simulated": {
			status: status(poller.Status{Snapshot: &poller.Snapshot{Rates: some}, Simulated: true, Age: time.Second, LastSuccess: fetched, LastPoll: fetched}),
			polls:  []poller.Poll{{Upstream: coingecko.CoinGecko, Duration: 2 * time.Millisecond}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Options{Status: func() poller.Status { return tc.status }, Quota: tc.quota})
			for _, p := range tc.polls {
				c.Polled(p)
			}
			testbed.Golden(t, filepath.Join("testdata", name+".prom"), scrape(c))
			problems, err := testutil.CollectAndLint(c)
			if err != nil || len(problems) > 0 {
				t.Errorf("lint: %v %v", problems, err)
			}
		})
	}
}

// Both forms of the histogram are exported. The golden files have only the classic one.
func TestHistogram(t *testing.T) {
	c := New(Options{Status: func() poller.Status { return status(poller.Status{}) }})
	c.Polled(poller.Poll{Upstream: coingecko.CoinGecko, Duration: 300 * time.Millisecond})
	got, err := testutil.CollectAndFormat(c, expfmt.TypeProtoText, "coingecko_poll_duration_seconds")
	if text := string(got); err != nil || !strings.Contains(text, "upper_bound:") || !strings.Contains(text, "schema:") {
		t.Errorf("not both classic and native: %s, error %v", text, err)
	}
}

// The client never returns invalid UTF-8. If it did, the other series must still be exported.
func TestBadTextCostsOneSeries(t *testing.T) {
	bad := &poller.Snapshot{Rates: []coingecko.Rate{{Code: "btc", Name: "\xff", Value: 1}}}
	c := New(Options{Status: func() poller.Status { return status(poller.Status{Snapshot: bad}) }})
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err == nil || !strings.Contains(err.Error(), "coingecko_currency_info") {
		t.Errorf("error %v", err)
	}
	if !slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "coingecko_exchange_rate" }) {
		t.Error("the rate is gone, too")
	}
}

func BenchmarkCollect(b *testing.B) {
	rates := simulator.RecordedRates()
	s := status(poller.Status{Snapshot: &poller.Snapshot{Rates: rates}, Previous: rates, LastSuccess: now, LastPoll: now})
	c := New(Options{Status: func() poller.Status { return s }})
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
