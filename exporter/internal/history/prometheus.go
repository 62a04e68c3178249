// Fetching of the last day from a Prometheus that scrapes exporters.

package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

const (
	step     = time.Minute      // resolution of queries
	span     = 6 * time.Hour    // range of one query: 0.7 MB for 76 currencies
	patience = 30 * time.Second // timeout of one query
	maxBody  = 32 << 20         // bytes of one answer: 5 MB for 500 currencies
	ahead    = time.Minute      // how far an exporter's clock may be ahead
)

// Source is a Prometheus, or a server with its API.
type Source struct {
	URL      *url.URL       // without /api/v1; it may contain a user and password
	Selector string         // label matchers for the exporters, without braces
	MaxAge   time.Duration  // older rates are omitted
	Jump     coingecko.Jump // rates that differ more from the one before are omitted unless another answer confirms them
}

// oneMatcher is a regular expression with groups for the label, the operator and the value.
const oneMatcher = `\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:\\.|[^"\\\n])*")\s*`

var (
	matcher  = regexp.MustCompile(oneMatcher)
	matchers = regexp.MustCompile("^" + oneMatcher + "(," + oneMatcher + `)*,?\s*$`)
)

// IsSelector reports whether a text is a list of PromQL label matchers, without braces. The metric's name is none of them.
func IsSelector(s string) bool {
	if !matchers.MatchString(s) {
		return false
	}
	for _, m := range matcher.FindAllStringSubmatch(s, -1) {
		value, err := strconv.Unquote(m[3])
		if err == nil && strings.HasSuffix(m[2], "~") {
			_, err = regexp.Compile(value)
		}
		if err != nil || m[1] == "__name__" {
			return false
		}
	}
	return true
}

// Fetch returns the samples of the day before now. It omits rates that an exporter would not have believed or shown. Its errors do
// not contain the user or password.
func (s Source) Fetch(ctx context.Context, now time.Time) ([]Sample, error) {
	client, err := api.NewClient(api.Config{Address: s.URL.String(), RoundTripper: promhttp.RoundTripperFunc(limited)})
	if err != nil { // only for a *url.URL that cannot be parsed
		return nil, errors.New("the URL is not usable")
	}
	p := past{source: s, client: prometheus.NewAPI(client), beliefs: map[string]belief{}}
	// On whole minutes, so that every exporter gets the same samples.
	end := now.Truncate(step)
	for start := end.Add(-Reach - Tolerance); !start.After(end); start = start.Add(span) {
		if err := p.add(ctx, start, slices.MinFunc([]time.Time{start.Add(span - step), end}, time.Time.Compare)); err != nil {
			return nil, fmt.Errorf("%s: %w", s.URL.Host, err)
		}
	}
	return p.samples, nil
}

// past is the state of Fetch.
type past struct {
	source  Source
	client  prometheus.API
	samples []Sample
	last    []coingecko.Rate   // rates of the newest answer
	beliefs map[string]belief  // newest believed rate of each currency
	doubts  map[string]float64 // rates of last that were not believed
}

// belief is a rate that was believed.
type belief struct {
	value float64
	at    time.Time
}

// add fetches the samples between start and end.
func (p *past) add(ctx context.Context, start, end time.Time) error {
	// Like the recording rules, use only the replicas with the newest rates at each time, so that a price never mixes
	// rates of two times. Omit simulated rates.
	in := "{" + p.source.Selector + "}"
	fetched := fmt.Sprintf("(coingecko_last_success_timestamp_seconds%s unless coingecko_exporter_simulated%s) <= time() + %g",
		in, in, ahead.Seconds())
	newest := "max(" + fetched + ")"
	rates := fmt.Sprintf("max by (currency) (coingecko_exchange_rate%s and ignoring (currency, kind) ((%s) == scalar(%s)))", in, fetched, newest)

	left, err := p.query(ctx, newest, start, end)
	if err != nil {
		return err
	}
	values, err := p.query(ctx, rates, start, end)
	if err != nil {
		return err
	}
	at := map[model.Time]time.Time{}
	for _, series := range left {
		for _, v := range series.Values {
			at[v.Timestamp] = time.UnixMilli(int64(math.Round(float64(v.Value) * 1000)))
		}
	}
	found := map[model.Time][]coingecko.Rate{}
	for _, series := range values {
		code := string(series.Metric["currency"])
		for _, v := range series.Values {
			if coingecko.IsCode(code) && v.Value > 0 && !math.IsInf(float64(v.Value), 1) {
				found[v.Timestamp] = append(found[v.Timestamp], coingecko.Rate{Code: code, Value: float64(v.Value)})
			}
		}
	}
	for _, t := range slices.Sorted(maps.Keys(found)) {
		if at, ok := at[t]; ok && t.Time().Sub(at) <= p.source.MaxAge {
			p.keep(at, found[t])
		}
	}
	return nil
}

// query returns the series of a range query.
func (p *past) query(ctx context.Context, promQL string, start, end time.Time) (model.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, _, _, err := p.client.QueryRange(ctx, promQL, prometheus.Range{Start: start, End: end, Step: step})
	if err != nil {
		return nil, plain(err)
	}
	m, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("unexpected answer of type %s to a range query", value.Type())
	}
	return m, nil
}

// keep adds a sample if a live answer like it would have been accepted.
func (p *past) keep(at time.Time, rates []coingecko.Rate) {
	var before Sample // at first of the year 1
	if n := len(p.samples); n > 0 {
		before = p.samples[n-1]
	}
	if !at.Truncate(time.Minute).After(before.minute()) {
		return // the same minute
	}
	slices.SortFunc(rates, coingecko.ByCode)
	if len(rates) > coingecko.MaxEntries || coingecko.CheckBitcoin(rates) != nil {
		return
	}
	if at.Sub(before.At) <= p.source.MaxAge && 2*len(rates) < len(p.last) {
		return
	}
	sent := slices.Clone(rates)
	if rates = p.believe(at, rates); coingecko.CheckBitcoin(rates) == nil {
		p.samples = append(p.samples, NewSample(at, rates, before))
	}
	p.last = sent
}

// believe omits implausible rates as the poller does, until another answer confirms them.
func (p *past) believe(at time.Time, rates []coingecko.Rate) []coingecko.Rate {
	repeated := slices.Equal(rates, p.last)
	doubts := map[string]float64{}
	rates = slices.DeleteFunc(rates, func(r coingecko.Rate) bool {
		var believed, doubted *float64
		if was, ok := p.beliefs[r.Code]; ok && at.Sub(was.at) <= p.source.MaxAge {
			believed = &was.value
		}
		if value, ok := p.doubts[r.Code]; ok {
			doubted = &value
		}
		if p.source.Jump.Believes(r.Value, believed, doubted, repeated) {
			p.beliefs[r.Code] = belief{r.Value, at}
			return false
		}
		doubts[r.Code] = r.Value
		return true
	})
	p.doubts = doubts
	return rates
}

// plain returns the error of a query without the URL, whose user may be a token.
func plain(err error) error {
	var timeout net.Error
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if e, ok := errors.AsType[*prometheus.Error](err); ok {
		return fmt.Errorf("%s: %.200q", e.Type, e.Msg)
	}
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("no complete answer within %v", patience)
	}
	return err
}

// limited limits the size of answers.
func limited(r *http.Request) (*http.Response, error) {
	resp, err := api.DefaultRoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	}
	return resp, err
}
