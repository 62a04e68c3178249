package poller

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// scripted answers what the test says, with the headers that it says.
type scripted struct {
	header http.Header
	body   string
	status int // 200 when 0
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for k, v := range s.header {
		w.Header()[k] = v
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	io.WriteString(w, s.body)
}

// say is an answer with these rates, by pairs of code and value, beside btc.
func (s *scripted) say(pairs ...any) {
	s.status, s.body = 0, `{"rates":{"btc":{"value":1}`
	for i := 0; i < len(pairs); i += 2 {
		s.body += fmt.Sprintf(`,"%v":{"value":%v}`, pairs[i], pairs[i+1])
	}
	s.body += `}}`
}

// values are those of rates, without btc.
func values(rates []coingecko.Rate) map[string]float64 {
	m := map[string]float64{}
	for _, r := range rates {
		if r.Code != "btc" {
			m[r.Code] = r.Value
		}
	}
	return m
}

// now is what a status shows, as text that is the same for the same.
func (r *rig) now() string {
	s := r.Status()
	if s.Snapshot == nil {
		return "none"
	}
	return fmt.Sprintf("%v before %v", values(s.Snapshot.Rates), values(s.Previous))
}

func (r *rig) expect(t *testing.T, when, want string) {
	t.Helper()
	if got := r.now(); got != want {
		t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// Only an answer with other rates is a second witness: CoinGecko repeats one until it refreshes.
func TestPrevious(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &scripted{}
		up.say("eur", 90, "usd", 100)
		p := start(t, up)
		p.expect(t, "the first answer", "map[eur:90 usd:100] before map[]")
		pass(time.Minute)
		p.expect(t, "the first answer again", "map[eur:90 usd:100] before map[]")
		up.say("eur", 91, "usd", 101)
		pass(time.Minute)
		p.expect(t, "the second answer", "map[eur:91 usd:101] before map[eur:90 usd:100]")
		up.body = `{"rates":{"usd":{"value":101.0,"name":"Dollar"}, "btc":{"value":1}, "eur":{"value":9.1E1}}}`
		pass(5 * time.Minute)
		p.expect(t, "the second answer again, in other words", "map[eur:91 usd:101] before map[eur:90 usd:100]")
		up.body = `{"rates":{"usd":{"value":101}, "btc":{"value":1}, "eur":null, "gbp":{"value":80}}}`
		pass(time.Minute)
		p.expect(t, "the second answer with other gaps", "map[gbp:80 usd:101] before map[eur:90 usd:100]")
		up.say("eur", 92, "gbp", 81, "usd", 101)
		pass(time.Minute)
		p.expect(t, "the third answer", "map[eur:92 gbp:81 usd:101] before map[gbp:80 usd:101]")
		up.status = 500
		pass(time.Minute)
		p.expect(t, "a failure", "map[eur:92 gbp:81 usd:101] before map[gbp:80 usd:101]")
		up.status = 0
		pass(8 * time.Minute)
		p.expect(t, "previous rates at the age of max-age", "map[eur:92 gbp:81 usd:101] before map[gbp:80 usd:101]")
		pass(time.Nanosecond)
		p.expect(t, "previous rates beyond max-age", "map[eur:92 gbp:81 usd:101] before map[]")
		up.say("eur", 93, "usd", 102)
		pass(time.Minute)
		p.expect(t, "the fourth answer", "map[eur:93 usd:102] before map[eur:92 gbp:81 usd:101]")
		up.status = 500
		pass(time.Hour)
		p.expect(t, "an hour's outage", "none")
		if s := p.Status(); s.Previous != nil {
			t.Errorf("previous rates outlive the rates: %v", s.Previous)
		}
		up.say("eur", 94, "usd", 103)
		pass(time.Minute)
		p.expect(t, "after the outage", "map[eur:94 usd:103] before map[]")
	})
}

// The mark of simulated rates is that of the answer at hand. Rates of two worlds are never compared.
func TestSimulatedMark(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mark := http.Header{"X-Rates-Simulated": {"true"}}
		up := &scripted{header: mark}
		up.say("usd", 100)
		p := start(t, up, asRelay)
		is := func(when string, want bool) {
			t.Helper()
			if s := p.Status(); s.Simulated != want || s.Snapshot != nil && s.Snapshot.Simulated != want {
				t.Errorf("%s: simulated %v, want %v", when, s.Simulated, want)
			}
		}
		is("a relay of simulated rates", true)
		up.say("usd", 101)
		pass(time.Minute)
		p.expect(t, "two answers", "map[usd:101] before map[usd:100]")
		up.status, up.header = 500, nil
		pass(time.Minute)
		is("a failure is no answer", true)
		pass(time.Hour)
		is("after they have expired", true)
		up.header = mark
		up.say("usd", 102)
		pass(time.Minute)

		// The first real answer takes the mark away, though its rates are older, fewer, and far from the simulated ones.
		up.header = http.Header{"Age": {"300"}}
		up.say("usd", 1)
		pass(time.Minute)
		is("the first real answer", false)
		p.expect(t, "the first real answer", "map[usd:1] before map[]")
		up.header = mark
		up.say("usd", 103, "eur", 90, "gbp", 80)
		pass(time.Minute)
		is("and back", true)
		up.header = nil
		up.body = `{"rates":{"btc":{"value":1}}}`
		pass(time.Minute)
		is("fewer than half", false)
	})
	bubble(t, func(t *testing.T) {
		p := start(t, &scripted{status: 500}, func(o *Options, _ *coingecko.Endpoint) { o.Simulated = true })
		if !p.Status().Simulated {
			t.Error("a simulation that has not answered is not marked")
		}
	})
}

func TestSameContent(t *testing.T) {
	rates := func(pairs ...any) (list []coingecko.Rate) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, coingecko.Rate{Code: pairs[i].(string), Value: pairs[i+1].(float64)})
		}
		slices.SortFunc(list, func(a, b coingecko.Rate) int { return int(a.Code[0]) - int(b.Code[0]) })
		return list
	}
	for name, tc := range map[string]struct {
		a, b []coingecko.Rate
		want bool
	}{
		"the same":              {rates("a", 1., "b", 2.), rates("b", 2., "a", 1.), true},
		"another value":         {rates("a", 1., "b", 2.), rates("a", 1., "b", 2.5), false},
		"one that is gone":      {rates("a", 1., "b", 2.), rates("a", 1.), true},
		"one that is new":       {rates("b", 2.), rates("a", 1., "b", 2.), true},
		"gone, and another one": {rates("a", 1., "b", 2., "c", 3.), rates("a", 1., "c", 4.), false},
	} {
		if got := sameContent(tc.a, tc.b); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
