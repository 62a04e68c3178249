package simulator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
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
var sample = regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)*\}) ([0-9.]+) ([0-9.]+)$`)

func TestOpenMetrics(t *testing.T) {
	s := serve(t, None, Options{Calm: true})
	s.clock.add(time.Minute)
	a := s.mustAsk(http.MethodGet, `/history?hours=2&step=90s&instance=a"b\c&namespace=shop`)
	a.want(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", "\n# EOF\n")

	const steps = 80
	type point struct{ at, value float64 }
	series := map[string][]point{}
	families := map[string]bool{}
	family, lastSeries := "", ""
	lines := bufio.NewScanner(strings.NewReader(strings.TrimSuffix(a.body, "# EOF\n")))
	for lines.Scan() {
		if kind, ok := strings.CutPrefix(lines.Text(), "# TYPE "); ok {
			family, _, _ = strings.Cut(kind, " ")
			if families[family] {
				t.Errorf("family %s twice", family)
			}
			families[family] = true
			continue
		}
		m := sample.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("line %q", lines.Text())
		}
		if strings.TrimSuffix(m[1], "_total") != family {
			t.Fatalf("%s within family %s", m[1], family)
		}
		id := m[1] + m[2]
		value, _ := strconv.ParseFloat(m[3], 64)
		when, _ := strconv.ParseFloat(m[4], 64)
		if p := series[id]; len(p) > 0 && (id != lastSeries || when <= p[len(p)-1].at) {
			t.Fatalf("%s: moments out of order, or series mixed", id)
		}
		series[id] = append(series[id], point{when, value})
		lastSeries = id
	}

	const own = `job="coingecko-exporter",instance="a\"b\\c",namespace="shop"}`
	for id, points := range series {
		if len(points) != steps || !strings.HasSuffix(id, own) {
			t.Fatalf("%s: %d points, want %d and the labels %s", id, len(points), steps, own)
		}
	}
	get := func(name string, labels ...string) []point {
		t.Helper()
		id := name + "{" + strings.Join(append(labels, own), ",")
		if series[id] == nil {
			t.Fatalf("no series %s", id)
		}
		return series[id]
	}
	for i, p := range get("coingecko_exchange_rate", `currency="eth"`, `kind="crypto"`) {
		if want := value(t, s.Rates(time.UnixMilli(int64(p.at*1000))), "eth"); p.value != want {
			t.Fatalf("point %d: eth is %v, want %v", i, p.value, want)
		}
	}
	for i, p := range get("coingecko_last_success_timestamp_seconds") {
		if age := p.at - p.value; age < 0 || age >= 2 {
			t.Fatalf("point %d: rates of %v at %v", i, p.value, p.at)
		}
	}
	polls := get("coingecko_polls_total", `upstream="coingecko"`)
	for i, p := range polls[1:] {
		if got, want := p.value-polls[i].value, 45.0; got != want {
			t.Fatalf("%v polls in 90 s, want %v", got, want)
		}
	}
	for name, want := range map[string]float64{
		"coingecko_up": 1, "up": 1, "coingecko_exporter_simulated": 1,
		"coingecko_poll_interval_seconds": 2, "coingecko_rates_max_age_seconds": 600,
	} {
		if p := get(name); p[0].value != want || p[steps-1].value != want {
			t.Errorf("%s is %v, want %v", name, p[0].value, want)
		}
	}
	get("coingecko_currency_info", `currency="amd"`, `kind="fiat"`, `name="Armenian Dram"`, `unit="֏"`)
	zero := 0
	for _, u := range coingecko.Upstreams() {
		for _, r := range coingecko.Reasons() {
			get("coingecko_poll_failures_total", fmt.Sprintf(`upstream="%s"`, u), fmt.Sprintf(`reason="%s"`, r))
			zero++
		}
	}
	for _, r := range coingecko.Rejections() {
		get("coingecko_rejected_rates_total", fmt.Sprintf(`reason="%s"`, r))
		zero++
	}
	if got, want := len(series), 2*len(recordedRates())+7+2+zero; got != want {
		t.Errorf("%d series, want %d", got, want)
	}
}

// The text is imported with promtool, as in stack/.
func TestPromtoolTakesHistory(t *testing.T) {
	promtool := testbed.Tool(t, "promtool")
	s := serve(t, None, Options{})
	a := s.mustAsk(http.MethodGet, "/history?hours=24&step=5m")
	a.want(200, "application/openmetrics-text", "# EOF")
	dir := t.TempDir()
	file, blocks := filepath.Join(dir, "history"), filepath.Join(dir, "blocks")
	if err := os.WriteFile(file, []byte(a.body), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string { t.Helper(); return testbed.Run(t, promtool, args...) }
	run("tsdb", "create-blocks-from", "--max-block-duration=54h", "openmetrics", file, blocks)

	// Every sample is in a block: of the last one as of the first.
	if err := os.Mkdir(filepath.Join(blocks, "wal"), 0o700); err != nil { // dump wants one
		t.Fatal(err)
	}
	dump := run("tsdb", "dump", blocks)
	samples := 0
	for line := range strings.Lines(a.body) {
		if !strings.HasPrefix(line, "#") {
			samples++
		}
	}
	if got := strings.Count(dump, "\n"); got != samples || samples == 0 {
		t.Errorf("%d samples in the blocks, want %d", got, samples)
	}
	eth := value(t, s.Rates(start), "eth")
	want := fmt.Sprintf(`kind="crypto"} %v %d`, eth, start.UnixMilli())
	if !strings.Contains(dump, want) {
		t.Errorf("no sample with %s", want)
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
