package poller

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// scripted answers with the body and headers that the test sets.
type scripted struct {
	header http.Header
	body   string
	status int // 200 when 0
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	maps.Copy(w.Header(), s.header)
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	io.WriteString(w, s.body)
}

// say returns an answer with btc and pairs of code and value.
func (s *scripted) say(pairs ...any) {
	s.status, s.body = 0, `{"rates":{"btc":{"value":1}`
	for i := 0; i < len(pairs); i += 2 {
		s.body += fmt.Sprintf(`,"%v":{"value":%v}`, pairs[i], pairs[i+1])
	}
	s.body += `}}`
}

// values returns the values of rates, without btc.
func values(rates []coingecko.Rate) map[string]float64 {
	m := map[string]float64{}
	for _, r := range rates {
		if r.Code != "btc" {
			m[r.Code] = r.Value
		}
	}
	return m
}

// now formats the rates of a status as text for comparison.
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

// Only an answer with other rates is a confirmation: CoinGecko repeats one until it refreshes.
func TestPrevious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{}
		up.say("eur", 90, "usd", 100)
		p := start(t, up)
		p.expect(t, "the first answer", "map[eur:90 usd:100] before map[]")
		pass(time.Minute)
		p.expect(t, "the first answer again", "map[eur:90 usd:100] before map[]")
		up.say("eur", 90, "usd", 101)
		pass(time.Minute)
		p.expect(t, "the second answer", "map[eur:90 usd:101] before map[eur:90 usd:100]")
		up.body = `{"rates":{"usd":{"value":101.0,"name":"Dollar"}, "btc":{"value":1}, "eur":{"value":9.0E1}}}`
		pass(5 * time.Minute)
		p.expect(t, "the second answer again, in other words", "map[eur:90 usd:101] before map[eur:90 usd:100]")
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

// The mark of simulated rates is that of the current answer. Simulated and real rates are never compared.
func TestSimulatedMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
		p := start(t, &scripted{status: 500}, func(o *Options, _ *coingecko.Options) { o.Simulated = true })
		if !p.Status().Simulated {
			t.Error("a simulation that has not answered is not marked")
		}
	})
}

func withJump(o *Options, _ *coingecko.Options) { o.MaxJump = 1.5 }

// A rate that jumps is shown once a second, different answer has a similar rate.
func TestImplausibleRates(t *testing.T) {
	type step struct {
		answer []any // pairs of code and value; nil for the same again
		want   string
	}
	long := slices.Repeat([]step{{nil, "map[eur:91] before map[eur:90 usd:100]"}}, 9)
	for name, steps := range map[string][]step{
		"one wrong answer": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 92, "usd", 101}, "map[eur:92 usd:101] before map[eur:91]"},
			{[]any{"eur", 93, "usd", 102}, "map[eur:93 usd:102] before map[eur:92 usd:101]"},
		},
		"a wrong answer that is repeated": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{nil, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 91}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 92, "usd", 101}, "map[eur:92 usd:101] before map[eur:91]"},
		},
		"a true halving": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 92, "usd", 51}, "map[eur:92 usd:51] before map[eur:91 usd:50]"},
			{[]any{"eur", 93, "usd", 52}, "map[eur:93 usd:52] before map[eur:92 usd:51]"},
		},
		"everything halves, as when bitcoin does": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 45, "usd", 50}, "map[] before map[eur:90 usd:100]"},
			{[]any{"eur", 46, "usd", 51}, "map[eur:46 usd:51] before map[eur:45 usd:50]"},
		},
		"within the bound": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 60, "usd", 150}, "map[eur:60 usd:150] before map[eur:90 usd:100]"},
			{[]any{"eur", 59.9, "usd", 225.01}, "map[eur:59.9] before map[eur:60 usd:150]"},
		},
		"two wrong answers that differ from each other": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 92, "usd", 250}, "map[eur:92] before map[eur:91]"},
			{[]any{"eur", 93, "usd", 101}, "map[eur:93 usd:101] before map[eur:92]"},
		},
		"two caches that take turns": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[eur:91]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 90}, "map[eur:90] before map[eur:91]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90]"},
		},
		"a currency that was gone and comes back elsewhere": {
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91}, "map[eur:91] before map[eur:90 usd:100]"},
			{[]any{"eur", 92, "usd", 50}, "map[eur:92] before map[eur:91]"},
			{[]any{"eur", 93, "usd", 51}, "map[eur:93 usd:51] before map[eur:92 usd:50]"},
		},
		"a currency that is new": {
			{[]any{"eur", 90}, "map[eur:90] before map[]"},
			{[]any{"eur", 91, "usd", 100}, "map[eur:91 usd:100] before map[eur:90]"},
		},
		"repeated until what was believed is too old": append(append([]step{
			{[]any{"eur", 90, "usd", 100}, "map[eur:90 usd:100] before map[]"},
			{[]any{"eur", 91, "usd", 50}, "map[eur:91] before map[eur:90 usd:100]"},
		}, long...), []step{
			{nil, "map[eur:91] before map[]"},
			{[]any{"eur", 92, "usd", 200}, "map[eur:92] before map[eur:91]"},
			{[]any{"eur", 93, "usd", 201}, "map[eur:93 usd:201] before map[eur:92 usd:200]"},
		}...),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := &scripted{}
				up.say(steps[0].answer...)
				p := start(t, up, withJump)
				withheld := 0
				for i, s := range steps {
					if s.answer != nil {
						up.say(s.answer...)
					}
					if i > 0 {
						pass(time.Minute)
					}
					p.expect(t, fmt.Sprintf("answer %d", i+1), s.want)
					withheld += len(p.Status().Snapshot.Withheld)
				}
				counted := 0
				for _, poll := range p.polls {
					counted += poll.Rejected[coingecko.Implausible]
					if poll.Err != nil {
						t.Error(poll.Err)
					}
				}
				if counted != withheld {
					t.Errorf("%d rates were counted, and %d withheld", counted, withheld)
				}
			})
		})
	}
}

// After an outage longer than max-age, there is nothing to compare with.
func TestImplausibleAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{}
		up.say("eur", 90, "usd", 100)
		p := start(t, up, withJump)
		up.say("eur", 91, "usd", 50)
		pass(time.Minute)
		p.expect(t, "a jump", "map[eur:91] before map[eur:90 usd:100]")
		up.status = 502
		pass(time.Hour)
		up.say("eur", 180, "usd", 200)
		pass(time.Minute)
		p.expect(t, "after the outage", "map[eur:180 usd:200] before map[]")
		if s := p.Status().Snapshot; s.Checked || len(s.Withheld) > 0 {
			t.Errorf("the first answer was compared with something: %+v", s)
		}
	})
}

// An exporter that withholds rates says so, and its relays do not withhold them again: otherwise a change would be delayed by one answer
// at each hop.
func TestRelayTakesTheWordOfWhoChecks(t *testing.T) {
	checked := func(withheld string) http.Header { return http.Header{"X-Rates-Withheld": {withheld}} }
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{header: checked("none"), body: `{"rates":{"btc":{"value":1},"eur":{"value":90},"usd":{"value":100,"name":"Dollar","type":"fiat"}}}`}
		p := start(t, up, withJump, asRelay)
		up.header = checked("usd")
		up.say("eur", 91)
		pass(time.Minute)
		p.expect(t, "a rate that was withheld", "map[eur:91] before map[eur:90 usd:100]")
		if s := p.Status().Snapshot; !s.Checked || !slices.Equal(s.Withheld, []coingecko.Rate{{Code: "usd", Name: "Dollar", Type: "fiat"}}) {
			t.Errorf("withheld %v, checked %v", s.Withheld, s.Checked)
		}
		up.header = checked("none")
		up.say("eur", 92, "usd", 50)
		pass(time.Minute)
		p.expect(t, "and confirmed", "map[eur:92 usd:50] before map[eur:91]")

		// A poller that has just started has nothing to compare with, and does not say that it has.
		up.header = nil
		up.say("eur", 93, "usd", 200)
		pass(time.Minute)
		p.expect(t, "a jump that nobody checked", "map[eur:93] before map[eur:92 usd:50]")
		up.header = checked("usd")
		up.say("eur", 94)
		pass(time.Minute)
		up.header = nil
		up.say("eur", 95, "usd", 51)
		pass(time.Minute)
		p.expect(t, "back again", "map[eur:95 usd:51] before map[eur:94]")
		if n := p.polls[3].Rejected[coingecko.Implausible]; n != 1 {
			t.Errorf("%d rates were counted as implausible, and this one has withheld 1", n)
		}
		if n := p.polls[1].Rejected[coingecko.Implausible]; n != 0 {
			t.Errorf("%d rates were counted as implausible, and another one has withheld them", n)
		}
	})
	// Nearly all rates are withheld when bitcoin's own moves. That is no answer that lost half of its currencies.
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{header: checked("none")}
		up.say("eur", 90, "gbp", 80, "usd", 100)
		p := start(t, up, withJump, asRelay)
		up.header = checked("eur, gbp, usd")
		up.say()
		pass(time.Minute)
		p.expect(t, "nearly all withheld", "map[] before map[eur:90 gbp:80 usd:100]")
		up.header = nil
		pass(time.Minute)
		if s := p.Status(); s.Err == nil || s.Err.Reason != coingecko.BadPayload {
			t.Errorf("nearly all gone: %+v", s)
		}
	})
}

func TestWithheldRatesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{}
		up.say("eur", 90, "usd", 100)
		p := start(t, up, withJump)
		up.say("eur", 91, "usd", 50.5)
		pass(15 * time.Minute)
		log := p.log.String()
		if n := strings.Count(log, "\n"); n != 2 || !strings.Contains(log, `level=warn msg="Implausible rates withheld until a different answer confirms them" count=1 rates="usd 50.5 after 100"`) {
			t.Errorf("%d lines for a rate that is withheld for a quarter of an hour: %s", n, log)
		}
		p.log.Reset()
		up.say("eur", 92, "usd", 101)
		pass(time.Minute)
		up.say("eur", 93, "usd", 102)
		pass(time.Minute)
		up.say("eur", 94, "usd", 103)
		pass(time.Minute)
		if log := p.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "No rates are withheld any more") {
			t.Errorf("after it was over: %s", log)
		}
		p.log.Reset()
		for range 30 { // two caches take turns
			up.say("eur", 94, "usd", 103)
			pass(time.Minute)
			up.say("eur", 95, "usd", 200)
			pass(time.Minute)
		}
		if n := strings.Count(p.log.String(), "\n"); n > 14 {
			t.Errorf("%d lines in an hour: %s", n, p.log)
		}
	})
}
