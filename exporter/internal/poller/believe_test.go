package poller

import (
	"cmp"
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

// rates returns an answer with btc and pairs of code and value.
func rates(pairs ...any) string {
	body := `{"rates":{"btc":{"value":1}`
	for i := 0; i < len(pairs); i += 2 {
		body += fmt.Sprintf(`,"%v":{"value":%v}`, pairs[i], pairs[i+1])
	}
	return body + `}}`
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

// step is an answer of the upstream, and what is shown then.
type step struct {
	when   string
	header http.Header
	status int           // 200 when 0
	says   string        // the same again when empty
	wait   time.Duration // a minute when 0
	want   string
}

func (r *rig) follow(t *testing.T, up *scripted, steps ...step) {
	t.Helper()
	for _, s := range steps {
		up.header, up.status, up.body = s.header, s.status, cmp.Or(s.says, up.body)
		pass(cmp.Or(s.wait, time.Minute))
		r.expect(t, s.when, s.want)
	}
}

// expect compares the rates of the status, as text.
func (r *rig) expect(t *testing.T, when, want string) {
	t.Helper()
	s, got := r.Status(), "none"
	if s.Snapshot != nil {
		got = fmt.Sprintf("%v before %v", values(s.Snapshot.Rates), values(s.Previous))
	}
	if s.Simulated {
		got = "simulated " + got
	}
	if got != want {
		t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// Only an answer with other rates is a confirmation: CoinGecko repeats one until it refreshes.
func TestPrevious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{body: rates("eur", 90, "usd", 100)}
		p := start(t, up, withJump)
		p.expect(t, "the first answer", "map[eur:90 usd:100] before map[]")
		const inOtherWords = `{"rates":{"usd":{"value":101.0,"name":"Dollar"}, "btc":{"value":1}, "eur":{"value":9.0E1}}}`
		const withOtherGaps = `{"rates":{"usd":{"value":101}, "btc":{"value":1}, "eur":null, "gbp":{"value":80}}}`
		const third = "map[eur:92 gbp:81 usd:101] before map[gbp:80 usd:101]"
		p.follow(t, up, []step{
			{when: "the first answer again", want: "map[eur:90 usd:100] before map[]"},
			{when: "the second answer", says: rates("eur", 90, "usd", 101), want: "map[eur:90 usd:101] before map[eur:90 usd:100]"},
			{when: "it again", says: inOtherWords, wait: 5 * time.Minute, want: "map[eur:90 usd:101] before map[eur:90 usd:100]"},
			{when: "it with other gaps", says: withOtherGaps, want: "map[gbp:80 usd:101] before map[eur:90 usd:100]"},
			{when: "the third answer", says: rates("eur", 92, "gbp", 81, "usd", 101), want: third},
			{when: "a failure", status: 500, want: third},
			{when: "previous rates at the age of max-age", wait: 8 * time.Minute, want: third},
			{when: "previous rates beyond max-age", wait: time.Nanosecond, want: "map[eur:92 gbp:81 usd:101] before map[]"},
			{when: "a jump", says: rates("eur", 93, "usd", 50), want: "map[eur:93] before map[eur:92 gbp:81 usd:101]"},
			{when: "an hour's outage", status: 500, wait: time.Hour, want: "none"},
		}...)
		if s := p.Status(); s.Previous != nil {
			t.Errorf("previous rates outlive the rates: %v", s.Previous)
		}
		p.follow(t, up, step{when: "after the outage", says: rates("eur", 180, "usd", 200), want: "map[eur:180 usd:200] before map[]"})
		if s := p.Status().Snapshot; s.Checked || len(s.Withheld) > 0 {
			t.Errorf("the first answer after the outage was compared with something: %+v", s)
		}
	})
}

// The mark of simulated rates is that of the current answer. Simulated and real rates are never compared.
func TestSimulatedMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mark := http.Header{"X-Rates-Simulated": {"true"}}
		up := &scripted{header: mark, body: rates("usd", 100)}
		p := start(t, up, asRelay)
		p.expect(t, "a relay of simulated rates", "simulated map[usd:100] before map[]")
		p.follow(t, up, []step{
			{when: "two answers", header: mark, says: rates("usd", 101), want: "simulated map[usd:101] before map[usd:100]"},
			{when: "a failure is no answer", status: 500, want: "simulated map[usd:101] before map[usd:100]"},
			{when: "after they have expired", status: 500, wait: time.Hour, want: "simulated none"},
			{when: "another answer", header: mark, says: rates("usd", 102), want: "simulated map[usd:102] before map[]"},
			// The first real answer takes the mark away, though its rates are older, fewer, and far from the simulated ones.
			{when: "the first real answer", header: http.Header{"Age": {"300"}}, says: rates("usd", 1), want: "map[usd:1] before map[]"},
			{when: "and back", header: mark, says: rates("usd", 103, "eur", 90, "gbp", 80), want: "simulated map[eur:90 gbp:80 usd:103] before map[]"},
			{when: "fewer than half", says: rates(), want: "map[] before map[]"},
		}...)
	})
	synctest.Test(t, func(t *testing.T) {
		p := start(t, &scripted{status: 500}, func(o *Options, _ *coingecko.Options) { o.Simulated = true })
		p.expect(t, "a simulation that has not answered", "simulated none")
	})
}

func withJump(o *Options, _ *coingecko.Options) { o.MaxJump = 1.5 }

// A rate that jumps is shown once a second, different answer has a similar rate.
func TestImplausibleRates(t *testing.T) {
	type answer struct {
		says string // empty for the same again
		want string
	}
	jump := answer{rates("eur", 91, "usd", 50), "map[eur:91] before map[eur:90 usd:100]"}
	again := answer{"", jump.want}
	for name, steps := range map[string][]answer{
		"one wrong answer": {
			jump,
			{rates("eur", 92, "usd", 101), "map[eur:92 usd:101] before map[eur:91]"},
			{rates("eur", 93, "usd", 102), "map[eur:93 usd:102] before map[eur:92 usd:101]"},
		},
		"a wrong answer that is repeated": {
			jump, again,
			{rates("eur", 91), "map[eur:91] before map[eur:90 usd:100]"},
			jump,
			{rates("eur", 92, "usd", 101), "map[eur:92 usd:101] before map[eur:91]"},
		},
		"a true halving": {
			jump,
			{rates("eur", 92, "usd", 51), "map[eur:92 usd:51] before map[eur:91 usd:50]"},
			{rates("eur", 93, "usd", 52), "map[eur:93 usd:52] before map[eur:92 usd:51]"},
		},
		"everything halves, as when bitcoin does": {
			{rates("eur", 45, "usd", 50), "map[] before map[eur:90 usd:100]"},
			{rates("eur", 46, "usd", 51), "map[eur:46 usd:51] before map[eur:45 usd:50]"},
		},
		"within the bound": {
			{rates("eur", 60, "usd", 150), "map[eur:60 usd:150] before map[eur:90 usd:100]"},
			{rates("eur", 59.9, "usd", 225.01), "map[eur:59.9] before map[eur:60 usd:150]"},
		},
		"two wrong answers that differ from each other": {
			jump,
			{rates("eur", 92, "usd", 250), "map[eur:92] before map[eur:91]"},
			{rates("eur", 93, "usd", 101), "map[eur:93 usd:101] before map[eur:92]"},
		},
		"two caches that take turns": {
			jump,
			{rates("eur", 90, "usd", 100), "map[eur:90 usd:100] before map[eur:91]"},
			jump,
			{rates("eur", 90), "map[eur:90] before map[eur:91]"},
			{rates("eur", 91, "usd", 50), "map[eur:91] before map[eur:90]"},
		},
		"a currency that was gone and comes back elsewhere": {
			{rates("eur", 91), "map[eur:91] before map[eur:90 usd:100]"},
			{rates("eur", 92, "usd", 50), "map[eur:92] before map[eur:91]"},
			{rates("eur", 93, "usd", 51), "map[eur:93 usd:51] before map[eur:92 usd:50]"},
		},
		"a currency that is new": {
			{rates("eur", 91, "gbp", 80, "usd", 101), "map[eur:91 gbp:80 usd:101] before map[eur:90 usd:100]"},
		},
		"repeated until what was believed is too old": slices.Concat([]answer{jump}, slices.Repeat([]answer{again}, 9), []answer{
			{"", "map[eur:91] before map[]"},
			{rates("eur", 92, "usd", 200), "map[eur:92] before map[eur:91]"},
			{rates("eur", 93, "usd", 201), "map[eur:93 usd:201] before map[eur:92 usd:200]"},
		}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := &scripted{body: rates("eur", 90, "usd", 100)}
				p := start(t, up, withJump)
				p.expect(t, "the first answer", "map[eur:90 usd:100] before map[]")
				withheld, counted := 0, 0
				for i, s := range steps {
					p.follow(t, up, step{when: fmt.Sprintf("answer %d", i+2), says: s.says, want: s.want})
					withheld += len(p.Status().Snapshot.Withheld)
				}
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

// An exporter that withholds rates says so, and its relays do not withhold them again: otherwise a change would be delayed by one answer
// at each hop.
func TestRelayTakesTheWordOfWhoChecks(t *testing.T) {
	checked := func(withheld string) http.Header { return http.Header{"X-Rates-Withheld": {withheld}} }
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{header: checked("none"), body: `{"rates":{"btc":{"value":1},"eur":{"value":90},"usd":{"value":100,"name":"Dollar","type":"fiat"}}}`}
		p := start(t, up, withJump, asRelay)
		p.follow(t, up, step{when: "a rate that was withheld", header: checked("usd"), says: rates("eur", 91), want: "map[eur:91] before map[eur:90 usd:100]"})
		if s := p.Status().Snapshot; !s.Checked || !slices.Equal(s.Withheld, []coingecko.Rate{{Code: "usd", Name: "Dollar", Type: "fiat"}}) {
			t.Errorf("withheld %v, checked %v", s.Withheld, s.Checked)
		}
		p.follow(t, up, []step{
			{when: "and confirmed", header: checked("none"), says: rates("eur", 92, "usd", 50), want: "map[eur:92 usd:50] before map[eur:91]"},
			// A poller that has just started has nothing to compare with, and does not say that it has.
			{when: "a jump that nobody checked", says: rates("eur", 93, "usd", 200), want: "map[eur:93] before map[eur:92 usd:50]"},
			{when: "withheld again", header: checked("usd"), says: rates("eur", 94), want: "map[eur:94] before map[eur:93]"},
			{when: "back again", says: rates("eur", 95, "usd", 51), want: "map[eur:95 usd:51] before map[eur:94]"},
		}...)
		if n := p.polls[3].Rejected[coingecko.Implausible]; n != 1 {
			t.Errorf("%d rates were counted as implausible, and this one has withheld 1", n)
		}
		if n := p.polls[1].Rejected[coingecko.Implausible]; n != 0 {
			t.Errorf("%d rates were counted as implausible, and another one has withheld them", n)
		}
	})
	// Nearly all rates are withheld when bitcoin's own moves. That is no answer that lost half of its currencies.
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{header: checked("none"), body: rates("eur", 90, "gbp", 80, "usd", 100)}
		p := start(t, up, withJump, asRelay)
		const nearlyAll = "map[] before map[eur:90 gbp:80 usd:100]"
		p.follow(t, up,
			step{when: "nearly all withheld", header: checked("eur, gbp, usd"), says: rates(), want: nearlyAll},
			step{when: "nearly all gone", want: nearlyAll})
		if s := p.Status(); s.Err == nil || s.Err.Reason != coingecko.BadPayload {
			t.Errorf("nearly all gone: %+v", s)
		}
	})
}

func TestWithheldRatesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{body: rates("eur", 90, "usd", 100)}
		p := start(t, up, withJump)
		logs := func(wait time.Duration, answers ...string) string {
			p.log.Reset()
			for _, up.body = range answers {
				pass(wait)
			}
			return p.log.String()
		}
		const withheld = `level=warn msg="Implausible rates withheld until a different answer confirms them" count=1 rates="usd 50.5 after 100"`
		if log := logs(15*time.Minute, rates("eur", 91, "usd", 50.5)); strings.Count(log, "\n") != 2 || !strings.Contains(log, withheld) {
			t.Errorf("a rate that is withheld for a quarter of an hour: %s", log)
		}
		log := logs(time.Minute, rates("eur", 92, "usd", 101), rates("eur", 93, "usd", 102), rates("eur", 94, "usd", 103))
		if strings.Count(log, "\n") != 1 || !strings.Contains(log, "No rates are withheld any more") {
			t.Errorf("after it was over: %s", log)
		}
		twoCaches := []string{rates("eur", 94, "usd", 103), rates("eur", 95, "usd", 200)}
		if log := logs(time.Minute, slices.Repeat(twoCaches, 30)...); strings.Count(log, "\n") > 14 {
			t.Errorf("an hour of two caches that take turns: %s", log)
		}
	})
}
