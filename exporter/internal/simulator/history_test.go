package simulator

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

func TestHistory(t *testing.T) {
	s, c := at(Options{})
	c.add(17 * time.Second) // history ends now, not at the start
	var last, first time.Time
	count := 0
	for now, rates := range s.History(6*time.Hour, time.Minute) {
		if first.IsZero() {
			first = now
		} else if now.Sub(last) != time.Minute {
			t.Fatalf("%v after %v", now, last)
		}
		if !slices.Equal(rates, s.Rates(now)) {
			t.Fatalf("%v: other rates than Rates gives", now)
		}
		last = now
		count++
	}
	if count != 360 || !last.Equal(start) || !first.Equal(start.Add(time.Minute-6*time.Hour)) {
		t.Errorf("%d moments from %v to %v", count, first, last)
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
	t.Parallel()
	s, clock := serve(t, Options{Calm: true})
	clock.add(time.Minute)
	a := mustAsk(t, client(t), http.MethodGet,
		s.ControlURL()+`history?hours=2&step=90s&instance=a"b\c&namespace=shop`, nil)
	a.want(t, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", "\n# EOF\n")

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
	t.Parallel()
	s, _ := serve(t, Options{})
	a := mustAsk(t, client(t), http.MethodGet, s.ControlURL()+"history?hours=24&step=5m", nil)
	a.want(t, 200, "application/openmetrics-text", "# EOF")
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

func TestHistoryRefuses(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, Options{})
	c := client(t)
	for query, want := range map[string]string{
		"hours=many":                            `hours "many": use a number`,
		"hours=0":                               "above 0",
		"hours=-1":                              "above 0",
		"hours=NaN":                             "above 0",
		"hours=1e9":                             "up to 10000",
		"step=60":                               `step "60": use a duration`,
		"step=1ms":                              "at least 1s",
		"step=-1m":                              "at least 1s",
		"hours=1000&step=1s":                    "are more than 50000",
		"hours=1&step=2h":                       "longer than the history",
		"hour=1":                                `unknown parameter "hour"`,
		"job=%ff":                               "job: use UTF-8",
		"namespace=" + strings.Repeat("n", 201): "at most 200 bytes",
	} {
		a := mustAsk(t, c, http.MethodGet, s.ControlURL()+"history?"+query, nil)
		a.want(t, 400, "text/plain", want)
	}
}

func TestHistoryLabels(t *testing.T) {
	for query, want := range map[string][]string{
		"":                            {"job", "coingecko-exporter", "instance", "localhost:9880"},
		"job=j&instance=i&namespace=": {"job", "j", "instance", "i"},
		"job=&instance=&namespace=n":  {"namespace", "n"},
		"job=&instance=":              nil,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseHistory(values)
		if diff := cmp.Diff(want, got.labels); err != nil || diff != "" {
			t.Errorf("%q: error %v, labels (-want +got):\n%s", query, err, diff)
		}
	}
	var b strings.Builder
	o := &openMetrics{w: bufio.NewWriter(&b), times: []time.Time{start}}
	o.series("up", func(int) float64 { return 1 })
	o.end()
	if got, want := b.String(), "up 1 1781092800\n# EOF\n"; got != want {
		t.Errorf("without labels %q, want %q", got, want)
	}
}

// The simulator stops work if the client disconnects.
func TestHistoryStops(t *testing.T) {
	s, _ := at(Options{})
	gone := make(chan struct{})
	close(gone)
	var b strings.Builder
	s.writeHistory(&openMetrics{w: bufio.NewWriter(&b), times: []time.Time{start}}, gone)
	if b.Len() != 0 {
		t.Errorf("wrote %q to nobody", b.String())
	}

	w := &full{}
	r := httptest.NewRequest(http.MethodGet, "/history?hours=6", nil)
	s.Handler().ServeHTTP(w, r)
	if w.writes != 1 {
		t.Errorf("%d writes to a client that fails", w.writes)
	}

	head := httptest.NewRecorder()
	s.Handler().ServeHTTP(head, httptest.NewRequest(http.MethodHead, "/history", nil))
	if head.Code != 200 || head.Body.Len() != 0 {
		t.Errorf("HEAD: status %d, %d bytes", head.Code, head.Body.Len())
	}
}

// full is a client that reads nothing.
type full struct{ writes int }

func (f *full) Header() http.Header { return http.Header{} }
func (f *full) WriteHeader(int)     {}
func (f *full) Write([]byte) (int, error) {
	f.writes++
	return 0, errors.New("gone")
}

func BenchmarkHistory(b *testing.B) {
	s, _ := at(Options{})
	b.Run("day", func(b *testing.B) {
		for b.Loop() {
			for range s.History(24*time.Hour, time.Minute) {
			}
		}
	})
	b.Run("openmetrics", func(b *testing.B) {
		for b.Loop() {
			s.Handler().ServeHTTP(&nowhere{}, httptest.NewRequest(http.MethodGet, "/history", nil))
		}
	})
}

// nowhere discards everything.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) WriteHeader(int)             {}
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
