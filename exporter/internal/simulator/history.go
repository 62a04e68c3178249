// History in OpenMetrics format: what Prometheus would have scraped from an exporter with --simulate.

package simulator

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Limits and defaults of /history.
const (
	defaultHours = "192" // a week and a day, so that there is a day of changes over seven days
	defaultStep  = "1m"
	stepsMost    = 50_000 // a month of minutes
	labelMost    = 200    // bytes of a label value
)

// historyQuery is the query of a /history request.
type historyQuery struct {
	span, step time.Duration
	labels     []string // of every series: job, instance and so on
}

func parseHistory(q url.Values) (h historyQuery, err error) {
	for name := range q {
		if !slices.Contains([]string{"hours", "step", "job", "instance", "namespace"}, name) {
			return h, fmt.Errorf("unknown parameter %q: use hours, step, job, instance, namespace", name)
		}
	}
	hours, err := strconv.ParseFloat(cmp.Or(q.Get("hours"), defaultHours), 64)
	if err != nil || !(hours > 0 && hours <= 10_000) {
		return h, fmt.Errorf("hours %q: use a number above 0 and up to 10000", q.Get("hours"))
	}
	h.span = time.Duration(hours * float64(time.Hour))
	if h.step, err = time.ParseDuration(cmp.Or(q.Get("step"), defaultStep)); err != nil || h.step < time.Second {
		return h, fmt.Errorf("step %q: use a duration of at least 1s, as 60s", q.Get("step"))
	}
	switch steps := h.span / h.step; {
	case steps > stepsMost:
		return h, fmt.Errorf("%d steps are more than %d: ask for fewer hours or a longer step", steps, stepsMost)
	case steps < 1:
		return h, errors.New("the step is longer than the history: ask for more hours or a shorter step")
	}
	for _, l := range []struct{ name, value string }{
		{"job", "coingecko-exporter"}, {"instance", "localhost:9880"}, {"namespace", ""},
	} {
		value := l.value
		if q.Has(l.name) {
			value = q.Get(l.name)
		}
		if !utf8.ValidString(value) || len(value) > labelMost {
			return h, fmt.Errorf("%s: use UTF-8 text of at most %d bytes", l.name, labelMost)
		}
		if value != "" { // an empty label does not exist
			h.labels = append(h.labels, label(l.name, value))
		}
	}
	return h, nil
}

func (s *Simulator) history(w http.ResponseWriter, r *http.Request) {
	q, err := parseHistory(r.URL.Query())
	if err != nil {
		badRequest(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	s.writeHistory(r.Context(), w, q)
}

// writeHistory writes series by series, as OpenMetrics requires, until it is done or the client disconnects.
func (s *Simulator) writeHistory(ctx context.Context, w io.Writer, q historyQuery) {
	out := &openMetrics{w: bufio.NewWriterSize(w, 64<<10), labels: q.labels}
	rates := s.market.rates
	// Values are computed by time and written by series, so all are kept in memory: at most stepsMost times 76 numbers, 30 MB.
	values := make([]float64, 0, len(rates)*int(q.span/q.step))
	for t, now := range s.History(q.span, q.step) {
		if ctx.Err() != nil {
			return
		}
		out.times = append(out.times, t)
		for _, r := range now {
			values = append(values, r.Value)
		}
	}

	constant := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	polled := func(i int) float64 { // the step whose rates were current
		return float64(out.times[i].Truncate(s.options.Refresh).UnixMilli()) / 1000
	}

	out.family("coingecko_exchange_rate", "gauge")
	for n, r := range rates {
		out.series("coingecko_exchange_rate", func(i int) float64 { return values[i*len(rates)+n] },
			label("currency", r.Code), label("kind", r.Kind()))
	}
	out.family("coingecko_currency_info", "gauge")
	for _, r := range rates {
		out.series("coingecko_currency_info", constant(1),
			label("currency", r.Code), label("kind", r.Kind()), label("name", r.Name), label("unit", r.Unit))
	}
	for _, g := range []struct {
		name string
		at   func(int) float64
	}{
		{"coingecko_up", constant(1)},
		{"coingecko_last_success_timestamp_seconds", polled},
		{"coingecko_last_poll_timestamp_seconds", polled},
		{"coingecko_poll_interval_seconds", constant(s.options.Refresh.Seconds())},
		{"coingecko_rates_max_age_seconds", constant(max(10*time.Minute, 3*s.options.Refresh).Seconds())},
		{"coingecko_exporter_simulated", constant(1)},
		{"up", constant(1)},
	} {
		out.family(g.name, "gauge")
		out.series(g.name, g.at)
	}
	out.family("coingecko_polls", "counter")
	for _, u := range coingecko.Upstreams() {
		polls := constant(0)
		if u == coingecko.CoinGecko {
			polls = func(i int) float64 {
				return float64(1 + out.times[i].Sub(out.times[0])/s.options.Refresh)
			}
		}
		out.series("coingecko_polls_total", polls, label("upstream", u))
	}
	out.family("coingecko_poll_failures", "counter")
	for _, u := range coingecko.Upstreams() {
		for _, reason := range coingecko.Reasons() {
			out.series("coingecko_poll_failures_total", constant(0), label("upstream", u), label("reason", reason))
		}
	}
	out.family("coingecko_rejected_rates", "counter")
	for _, reason := range coingecko.Rejections() {
		out.series("coingecko_rejected_rates_total", constant(0), label("reason", reason))
	}
	_, _ = out.w.WriteString("# EOF\n")
	_ = out.w.Flush() // the client has disconnected
}

// openMetrics writes OpenMetrics text.
type openMetrics struct {
	w      *bufio.Writer
	times  []time.Time
	labels []string // of every series
}

func (o *openMetrics) family(name, kind string) {
	fmt.Fprintf(o.w, "# TYPE %s %s\n", name, kind)
}

// series writes one sample for each time.
func (o *openMetrics) series(name string, value func(int) float64, labels ...string) {
	head := name + "{" + strings.Join(append(labels, o.labels...), ",") + "} "
	for i, t := range o.times {
		line := strconv.AppendFloat(append(o.w.AvailableBuffer(), head...), value(i), 'f', -1, 64)
		line = strconv.AppendFloat(append(line, ' '), float64(t.UnixMilli())/1000, 'f', -1, 64)
		_, _ = o.w.Write(append(line, '\n')) // does nothing after an error
	}
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func label[T ~string](name string, value T) string {
	return name + `="` + escape.Replace(string(value)) + `"`
}
