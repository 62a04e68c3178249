package simulator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

func TestHistory(t *testing.T) {
	s, c := at(Options{})
	c.add(17 * time.Second) // history ends now, not at the start
	next := start.Add(time.Minute - 6*time.Hour)
	for now, rates := range s.History(6*time.Hour, time.Minute) {
		if !now.Equal(next) || !slices.Equal(rates, s.Rates(now)) {
			t.Fatalf("%v, want %v; or other rates than Rates gives", now, next)
		}
		next = next.Add(time.Minute)
	}
	if !next.Equal(start.Add(time.Minute)) {
		t.Errorf("the history ends a minute before %v, and not now", next)
	}

	for range s.History(time.Hour, time.Minute) { // a caller may stop
		break
	}
	for _, d := range []struct{ span, step time.Duration }{{0, time.Minute}, {time.Hour, 0}, {-time.Hour, time.Minute}} {
		for now := range s.History(d.span, d.step) {
			t.Errorf("span %v, step %v: %v", d.span, d.step, now)
		}
	}
}

// sample is one line of OpenMetrics.
var sample = regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)*\}) ([0-9.]+) ([0-9.]+)\n$`)

func TestOpenMetrics(t *testing.T) {
	s := serve(t, None, Options{Calm: true})
	s.clock.add(time.Minute)
	a := s.mustAsk(http.MethodGet, `/history?hours=2&step=90s&instance=a"b\c&namespace=shop`)
	a.want(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", "\n# EOF\n")

	const own = `job="coingecko-exporter",instance="a\"b\\c",namespace="shop"}`
	want := map[string][]float64{} // the values of each series
	add := func(value float64, name string, labels ...any) {
		id := name + "{"
		for pair := range slices.Chunk(labels, 2) {
			id += fmt.Sprintf(`%s="%s",`, pair...)
		}
		want[id+own] = append(want[id+own], value)
	}
	var times []string
	for now, rates := range s.History(2*time.Hour, 90*time.Second) {
		polls := float64(1 + 45*len(times)) // every 2 s
		times = append(times, strconv.FormatInt(now.Unix(), 10))
		for _, r := range rates {
			add(r.Value, "coingecko_exchange_rate", "currency", r.Code, "kind", r.Kind())
			add(1, "coingecko_currency_info", "currency", r.Code, "kind", r.Kind(), "name", r.Name, "unit", r.Unit)
		}
		polled := float64(now.Truncate(2 * time.Second).Unix())
		for name, value := range map[string]float64{
			"coingecko_up": 1, "up": 1, "coingecko_exporter_simulated": 1,
			"coingecko_last_success_timestamp_seconds": polled, "coingecko_last_poll_timestamp_seconds": polled,
			"coingecko_poll_interval_seconds": 2, "coingecko_rates_max_age_seconds": 600,
		} {
			add(value, name)
		}
		add(polls, "coingecko_polls_total", "upstream", "coingecko")
		add(0, "coingecko_polls_total", "upstream", "relay")
		for _, u := range coingecko.Upstreams() {
			for _, r := range coingecko.Reasons() {
				add(0, "coingecko_poll_failures_total", "upstream", u, "reason", r)
			}
		}
		for _, r := range coingecko.Rejections() {
			add(0, "coingecko_rejected_rates_total", "reason", r)
		}
	}

	got := map[string][]float64{}
	families := map[string]bool{}
	family, last := "", ""
	for line := range strings.Lines(strings.TrimSuffix(a.body, "# EOF\n")) {
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, _, _ = strings.Cut(kind, " ")
			if families[family] {
				t.Errorf("family %s twice", family)
			}
			families[family] = true
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || strings.TrimSuffix(m[1], "_total") != family {
			t.Fatalf("line %q within family %s", line, family)
		}
		id := m[1] + m[2]
		value, _ := strconv.ParseFloat(m[3], 64)
		if n := len(got[id]); n == len(times) || m[4] != times[n] || n > 0 && id != last {
			t.Fatalf("%s: moments out of order, or series mixed", id)
		}
		got[id] = append(got[id], value)
		last = id
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestHistoryLabels(t *testing.T) {
	s, c := at(Options{})
	for query, want := range map[string]string{
		"":                            `{job="coingecko-exporter",instance="localhost:9880"}`,
		"job=j&instance=i&namespace=": `{job="j",instance="i"}`,
		"job=&instance=&namespace=n":  `{namespace="n"}`,
		"job=&instance=":              "{}",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		q, err := parseHistory(values)
		q.span = q.step
		var b strings.Builder
		s.writeHistory(t.Context(), &b, q)
		want = fmt.Sprintf("\nup%s 1 %d\n", want, c.now().Unix())
		if err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%q: error %v, want %q in:\n%s", query, err, want, b.String())
		}
	}
}

// The simulator stops work if the client disconnects.
func TestHistoryStops(t *testing.T) {
	s, _ := at(Options{})
	ctx, gone := context.WithCancel(t.Context())
	gone()
	var b strings.Builder
	s.writeHistory(ctx, &b, historyQuery{span: time.Minute, step: time.Minute})
	if b.Len() != 0 {
		t.Errorf("wrote %q to nobody", b.String())
	}
}

func BenchmarkHistory(b *testing.B) {
	s, _ := at(Options{})
	for b.Loop() {
		s.writeHistory(b.Context(), io.Discard, historyQuery{span: 192 * time.Hour, step: time.Minute})
	}
}
