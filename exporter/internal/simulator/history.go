// History in OpenMetrics format: what Prometheus would have scraped from an exporter with --simulate.

package simulator

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Limits of /history.
const (
	historyHours = 8 * 24 // default: a week and a day, so that there is a day of changes over seven days
	historyStep  = time.Minute
	stepsMost    = 50_000 // a month of minutes
	labelMost    = 200    // bytes of a label value
)

// historyQuery is the query of a /history request.
type historyQuery struct {
	span, step time.Duration
	labels     []string // job, instance and so on: name, value, name, value
}

func parseHistory(q url.Values) (historyQuery, error) {
	h := historyQuery{span: historyHours * time.Hour, step: historyStep}
	for name := range q {
		if !slices.Contains([]string{"hours", "step", "job", "instance", "namespace"}, name) {
			return h, fmt.Errorf("unknown parameter %q: use hours, step, job, instance, namespace", name)
		}
	}
	if text := q.Get("hours"); text != "" {
		hours, err := strconv.ParseFloat(text, 64)
		if err != nil || !(hours > 0 && hours <= 10_000) {
			return h, fmt.Errorf("hours %q: use a number above 0 and up to 10000", text)
		}
		h.span = time.Duration(hours * float64(time.Hour))
	}
	if text := q.Get("step"); text != "" {
		step, err := time.ParseDuration(text)
		if err != nil || step < time.Second {
			return h, fmt.Errorf("step %q: use a duration of at least 1s, as 60s", text)
		}
		h.step = step
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
			h.labels = append(h.labels, l.name, value)
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
	if r.Method == http.MethodHead {
		return
	}
	out := &openMetrics{w: bufio.NewWriterSize(w, 64<<10), labels: q.labels}
	for t := range s.times(q.span, q.step) {
		out.times = append(out.times, t)
	}
	s.writeHistory(out, r.Context().Done())
}

// writeHistory writes series by series, as OpenMetrics requires, until it is done or the client disconnects.
func (s *Simulator) writeHistory(out *openMetrics, gone <-chan struct{}) {
	// Values are computed by time and written by series, so all are kept in memory: at most stepsMost times 76 numbers, 30 MB.
	rates, manual := s.market.rates, s.swings()
	values := make([]float64, len(rates)*len(out.times))
	for i, t := range out.times {
		if i%1000 == 0 {
			select {
			case <-gone:
				return
			default:
			}
		}
		s.market.at(t, manual, values[i*len(rates):(i+1)*len(rates)])
	}

	constant := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	polled := func(i int) float64 { // the step whose rates were current
		t := out.times[i]
		return float64(t.Truncate(s.options.Refresh).UnixMilli()) / 1000
	}

	out.family("coingecko_exchange_rate", "gauge")
	for n, r := range rates {
		out.series("coingecko_exchange_rate", func(i int) float64 { return values[i*len(rates)+n] },
			"currency", r.Code, "kind", string(r.Kind()))
	}
	out.family("coingecko_currency_info", "gauge")
	for _, r := range rates {
		out.series("coingecko_currency_info", constant(1),
			"currency", r.Code, "kind", string(r.Kind()), "name", r.Name, "unit", r.Unit)
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
		out.series("coingecko_polls_total", polls, "upstream", string(u))
	}
	out.family("coingecko_poll_failures", "counter")
	for _, u := range coingecko.Upstreams() {
		for _, reason := range coingecko.Reasons() {
			out.series("coingecko_poll_failures_total", constant(0), "upstream", string(u), "reason", string(reason))
		}
	}
	out.family("coingecko_rejected_rates", "counter")
	for _, reason := range coingecko.Rejections() {
		out.series("coingecko_rejected_rates_total", constant(0), "reason", string(reason))
	}
	out.end()
}

// openMetrics writes OpenMetrics text. It writes nothing after the first error.
type openMetrics struct {
	w      *bufio.Writer
	times  []time.Time
	labels []string // labels of every series
	line   []byte
}

func (o *openMetrics) family(name, kind string) {
	fmt.Fprintf(o.w, "# TYPE %s %s\n", name, kind)
}

// series writes one sample for each time. Labels are name, value, name, value.
func (o *openMetrics) series(name string, value func(int) float64, labels ...string) {
	var b strings.Builder
	b.WriteString(name)
	between := "{"
	for _, list := range [][]string{labels, o.labels} {
		for i := 0; i < len(list); i += 2 {
			b.WriteString(between + list[i] + `="` + escape.Replace(list[i+1]) + `"`)
			between = ","
		}
	}
	if between == "," {
		b.WriteString("}")
	}
	b.WriteString(" ")
	head := b.String()
	for i, t := range o.times {
		o.line = append(o.line[:0], head...)
		o.line = strconv.AppendFloat(o.line, value(i), 'f', -1, 64)
		o.line = append(o.line, ' ')
		o.line = strconv.AppendFloat(o.line, float64(t.UnixMilli())/1000, 'f', -1, 64)
		o.line = append(o.line, '\n')
		if _, err := o.w.Write(o.line); err != nil {
			return
		}
	}
}

// end marks the end of the text.
func (o *openMetrics) end() {
	_, _ = o.w.WriteString("# EOF\n")
	_ = o.w.Flush() // the client has disconnected
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
