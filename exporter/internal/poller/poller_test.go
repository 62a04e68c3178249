package poller

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/logging"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// All tests here run in the simulated time of testing/synctest, over a transport without sockets.

// rig is a poller with its upstream.
type rig struct {
	*Poller
	log   *bytes.Buffer
	polls []Poll      // all that ended
	asked []time.Time // when the upstream was asked
	shift time.Duration
}

func (r *rig) Polled(p Poll) { r.polls = append(r.polls, p) }

// turn is a lock that the goroutines of a test hand over. They never run at the same time, because time stands still while one runs, but the
// race detector only sees that through a lock.
var turn sync.Mutex

func takeTurn() {
	turn.Lock()
	defer turn.Unlock()
}

// clock is the clock of the bubble, with the wall clock shifted.
func (r *rig) clock() instant {
	takeTurn()
	i := systemClock()
	i.wall = i.wall.Add(r.shift)
	return i
}

type change = func(*Options, *coingecko.Options)

func asRelay(_ *Options, c *coingecko.Options) { c.Endpoints[0].Upstream = coingecko.Relay }

func newPoller(t *testing.T, upstream testbed.RoundTripper, changes ...change) *Poller {
	t.Helper()
	o := Options{
		Interval: time.Minute, MinInterval: MinInterval, MaxAge: 10 * time.Minute,
		BackoffMin: time.Minute, BackoffMax: 15 * time.Minute, Logger: slog.New(slog.DiscardHandler),
	}
	c := coingecko.Options{
		Endpoints: []coingecko.Endpoint{{URL: &url.URL{Scheme: "http", Host: "upstream", Path: "/api/v3"}, Upstream: coingecko.CoinGecko}},
		UserAgent: "coingecko-exporter/test", Timeout: 10 * time.Second, Transport: upstream,
	}
	for _, f := range changes {
		f(&o, &c)
	}
	var err error
	if o.Client, err = coingecko.New(c); err != nil {
		t.Fatal(err)
	}
	return New(o)
}

// start polls the upstream until the test ends. It must be called within a bubble.
func start(t *testing.T, upstream http.Handler, changes ...change) *rig {
	t.Helper()
	r := &rig{log: &bytes.Buffer{}}
	r.Poller = newPoller(t, func(req *http.Request) (*http.Response, error) {
		takeTurn()
		r.asked = append(r.asked, time.Now())
		return testbed.Transport(upstream)(req)
	}, append(changes, func(o *Options, _ *coingecko.Options) {
		o.Logger, o.Observers, o.clock = logging.New(r.log, "info", "logfmt"), []Observer{r}, r.clock
	})...)
	run(t, r.Poller)
	return r
}

// run polls until the test ends.
func run(t *testing.T, p *Poller) {
	t.Helper()
	var polls sync.WaitGroup
	polls.Go(func() { p.Run(t.Context()) })
	t.Cleanup(polls.Wait)
	synctest.Wait()
}

func pass(d time.Duration) {
	takeTurn()
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) pauses() []time.Duration {
	var p []time.Duration
	for i := 1; i < len(r.asked); i++ {
		p = append(p, r.asked[i].Sub(r.asked[i-1]))
	}
	return p
}

const good = `{"rates":{"btc":{"value":1,"type":"crypto"},"usd":{"value":75817.765,"type":"fiat"}}}`

func TestFirstPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		begun := time.Now().Round(0)
		p := start(t, slow(2*time.Second, sim.Handler()))
		want := Status{Now: begun, Interval: time.Minute, MaxAge: 10 * time.Minute}
		if s := p.Status(); !reflect.DeepEqual(s, want) || s.Up() || s.Missed() {
			t.Errorf("before the first poll ended: %+v", s)
		}
		select {
		case <-p.First():
			t.Error("rates have been there before they came")
		default:
		}

		pass(2 * time.Second)
		s := p.Status()
		// The rates count as old as their request: two seconds.
		want = Status{
			Now: begun.Add(2 * time.Second), Snapshot: s.Snapshot, Age: 2 * time.Second, LastSuccess: begun, LastPoll: begun.Add(2 * time.Second),
			NextPoll: begun.Add(time.Minute), Interval: time.Minute, MaxAge: 10 * time.Minute, Simulated: true,
		}
		if !reflect.DeepEqual(s, want) || !s.Up() || s.Missed() || !s.Snapshot.LeftCoinGecko().Equal(begun) || len(s.Snapshot.Rates) != 76 {
			t.Errorf("after the first poll: %+v", s)
		}
		<-p.First()
		if len(p.polls) != 1 || p.polls[0].Snapshot != s.Snapshot || p.polls[0].Duration != 2*time.Second || p.polls[0].Upstream != coingecko.CoinGecko {
			t.Errorf("observed %+v", p.polls)
		}
	})
}

// slow lets a handler take its time.
func slow(d time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		h.ServeHTTP(w, r)
	})
}

// count counts polls.
func (r *rig) count(which func(Poll) bool) (n int) {
	for _, p := range r.polls {
		if which(p) {
			n++
		}
	}
	return n
}

// When an answer says that newer rates are due.
func TestWaits(t *testing.T) {
	within := func(least, most time.Duration) func(int, time.Duration) bool {
		return func(_ int, d time.Duration) bool { return least <= d && d <= most }
	}
	exactly := func(d time.Duration) func(int, time.Duration) bool { return within(d, d) }
	says := testbed.Answers
	// Twice as long each time, give or take half, between 1 and 15 minutes.
	backingOff := func(i int, d time.Duration) bool {
		middle := min(time.Minute<<i, 15*time.Minute)
		return d >= max(middle/2, time.Minute) && d <= min(middle*3/2, 15*time.Minute)
	}
	tenMinutes := func(o *Options, _ *coingecko.Options) { o.Interval = 10 * time.Minute }
	shortMaxAge := func(o *Options, _ *coingecko.Options) { o.MaxAge = 12 * time.Second }
	const aYear = "Cache-Control: max-age=31536000"
	for name, tc := range map[string]struct {
		upstream http.Handler
		ok       func(i int, pause time.Duration) bool
		changes  []change
	}{
		"429 with seconds": {upstream: says(429, "", "Retry-After: 119"), ok: exactly(119 * time.Second)},
		"429 with a reset": {upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			says(429, "", "x-ratelimit-reset: "+time.Now().Add(90*time.Second).Format("2006-01-02 15:04:05 -0700"))(w, r)
		}), ok: within(89*time.Second, 90*time.Second)},
		"429 with too short a wait":                  {upstream: says(429, "", "Retry-After: 1"), ok: exactly(MinInterval)},
		"429 with a year":                            {upstream: says(429, "", "Retry-After: 31536000"), ok: exactly(time.Hour)},
		"429 with a date in the past":                {upstream: says(429, "", "Retry-After: Fri, 31 Dec 1999 15:04:05 GMT"), ok: backingOff},
		"429 without a hint":                         {upstream: says(429, ""), ok: backingOff},
		"401":                                        {upstream: says(401, ""), ok: backingOff},
		"403":                                        {upstream: says(403, "<html>"), ok: backingOff},
		"400 with 10010":                             {upstream: says(400, `{"error_code":10010}`), ok: backingOff},
		"400 of another kind":                        {upstream: says(400, ``), ok: exactly(time.Minute)},
		"500":                                        {upstream: says(500, ``), ok: exactly(time.Minute)},
		"a good answer":                              {upstream: says(200, good), ok: exactly(time.Minute)},
		"a good answer that takes its time":          {upstream: slow(3*time.Second, says(200, good)), ok: exactly(time.Minute)}, // the monthly quota counts polls
		"a relay without a word":                     {upstream: says(200, good), ok: exactly(time.Minute), changes: []change{asRelay}},
		"a relay with a max-age":                     {upstream: says(200, good, "Cache-Control: max-age=300", "Age: 20"), ok: exactly(200 * time.Second), changes: []change{asRelay}},
		"a relay with a short max-age":               {upstream: says(200, good, "Cache-Control: max-age=60", "Age: 20"), ok: exactly(41 * time.Second), changes: []change{asRelay}},
		"a relay that is late itself":                {upstream: says(200, good, "Cache-Control: max-age=60", "Age: 90"), ok: exactly(MinInterval), changes: []change{asRelay}},
		"a relay with a max-age of a year":           {upstream: says(200, good, aYear), ok: exactly(200 * time.Second), changes: []change{asRelay}},
		"a relay that takes its time":                {upstream: slow(9*time.Second, says(200, good, aYear)), ok: exactly(200 * time.Second), changes: []change{asRelay}},
		"a relay whose poller must wait for an hour": {upstream: says(429, "", "Retry-After: 3600"), ok: exactly(MinInterval), changes: []change{asRelay}},
		"a relay that says 503 for an hour":          {upstream: says(503, "", "Retry-After: 3600", "Cache-Control: max-age=3600"), ok: exactly(MinInterval), changes: []change{asRelay}},
		"a relay that refuses access":                {upstream: says(401, ""), ok: exactly(MinInterval), changes: []change{asRelay}},
		"a relay and a long interval":                {upstream: says(200, good), ok: exactly(200 * time.Second), changes: []change{asRelay, tenMinutes}},
		"a relay, long intervals and 503":            {upstream: says(503, ""), ok: exactly(MinInterval), changes: []change{asRelay, tenMinutes}},
		"a relay and a short max-age":                {upstream: says(503, ""), ok: exactly(4 * time.Second), changes: []change{asRelay, shortMaxAge}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, tc.upstream, tc.changes...)
				pass(3 * time.Hour)
				if len(p.pauses()) < 2 {
					t.Fatalf("asked %d times in three hours", len(p.asked))
				}
				for i, d := range p.pauses() {
					if !tc.ok(i, d) {
						t.Errorf("pause %d was %v", i, d)
					}
				}
			})
		})
	}
}

// CoinGecko's quota also counts the requests after which another upstream is tried.
func TestFallbackKeepsTheQuota(t *testing.T) {
	backup := coingecko.Endpoint{URL: &url.URL{Scheme: "http", Host: "backup", Path: "/api/v3"}, Upstream: coingecko.Relay}
	for name, answer := range map[string]http.HandlerFunc{
		"the backup has rates":    testbed.Answers(200, good, "Cache-Control: max-age=10"),
		"the backup is down, too": testbed.Answers(503, ""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Host != "backup" {
						<-r.Context().Done()
						return
					}
					answer(w, r)
				}), func(_ *Options, c *coingecko.Options) { c.Endpoints = append(c.Endpoints, backup) })
				pass(9*time.Minute + 30*time.Second)
				if n := len(p.asked); n != 20 { // both in each minute
					t.Errorf("the two upstreams were asked %d times in ten minutes: %v", n, p.pauses())
				}
			})
		})
	}
}

func TestBackoffBeginsAnewAfterSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{status: 401, body: good}
		p := start(t, up)
		pass(2 * time.Hour)
		up.status = 200
		pass(20 * time.Minute)
		n := len(p.asked)
		up.status = 401
		pass(4 * time.Minute)
		if d := p.asked[n+1].Sub(p.asked[n]); d > 90*time.Second {
			t.Errorf("the first pause after a success was %v", d)
		}
	})
}

func TestRefusesHalfAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{body: rates("eur", 90, "gbp", 80, "usd", 100)}
		p := start(t, up)
		p.follow(t, up,
			step{when: "half a list", says: rates("usd", 101), want: "map[usd:101] before map[eur:90 gbp:80 usd:100]"},
			step{when: "the whole list", says: rates("eur", 90, "gbp", 80, "usd", 102), want: "map[eur:90 gbp:80 usd:102] before map[usd:101]"},
			step{when: "a quarter", says: rates(), want: "map[eur:90 gbp:80 usd:102] before map[usd:101]"})
		if err := p.Status().Err; err == nil || err.Reason != coingecko.BadPayload || !strings.Contains(err.Error(), "1 usable entries, fewer than half of the 4 before") {
			t.Errorf("a quarter: %v", err)
		}
		p.follow(t, up, step{when: "a quarter, which is better than nothing when the old rates have expired", wait: 10 * time.Minute, want: "map[] before map[]"})
	})
}

// The two clocks of a machine differ after a suspend or a change of the wall clock.
func TestAgeByTheLargerClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, testbed.Answers(200, good))
		for _, tc := range []struct {
			when             string
			pass, shift, age time.Duration
			shown            bool
		}{
			{"after ten seconds", 10 * time.Second, 0, 10 * time.Second, true},
			{"after an hour's suspend", 0, time.Hour, time.Hour + 10*time.Second, false},
			{"after the clock was set back", 0, -time.Hour, 10 * time.Second, true},
			{"at the next poll", 50 * time.Second, -time.Hour, 0, true},
			{"before the clock is set forward", 10 * time.Second, -time.Hour, 10 * time.Second, true},
			{"a poll after it was set forward", 50 * time.Second, 24 * time.Hour, 0, true},
		} {
			takeTurn()
			p.shift = tc.shift
			pass(tc.pass)
			if s := p.Status(); s.Age != tc.age || !s.Up() || (s.Snapshot != nil) != tc.shown {
				t.Errorf("%s: %+v", tc.when, s)
			}
		}
	})
}

// relayed simulates another exporter with newer rates each interval.
type relayed struct {
	left     time.Time
	interval time.Duration
	price    int
}

func (r *relayed) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	age := int(time.Since(r.left).Seconds())
	w.Header().Set("Age", strconv.Itoa(age))
	w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", max(int(r.interval.Seconds()), age+10)))
	fmt.Fprintf(w, `{"rates":{"btc":{"value":1},"usd":{"value":%d}}}`, r.price)
}

func TestRelayCarriesTheAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &relayed{left: time.Now().Add(-40 * time.Second), interval: 5 * time.Minute, price: 1}
		p := start(t, up, asRelay)
		s := p.Status()
		if s.Age != 40*time.Second || !s.LastSuccess.Equal(up.left) || s.Interval != 5*time.Minute || s.Snapshot.Upstream != coingecko.Relay {
			t.Errorf("at the first poll: %+v", s)
		}
		// The relay's own upstream goes down. It is asked again and again, and brings nothing newer.
		pass(10 * time.Minute)
		if s := p.Status(); s.Age != 10*time.Minute+40*time.Second || s.Snapshot != nil || !s.Up() || !s.Missed() || s.Interval != 5*time.Minute {
			t.Errorf("while the relay has nothing newer: %+v", s)
		}
		if brought := p.count(func(p Poll) bool { return p.Snapshot != nil }); brought != 1 || len(p.polls) < 10 {
			t.Errorf("%d of %d polls brought something new", brought, len(p.polls))
		}
		if n := strings.Count(p.log.String(), "set --rates.max-age to that of the upstream"); n != 1 || !strings.Contains(p.log.String(), "at_least=13m21s") {
			t.Errorf("max-age of 10m with polls every 5m: %d warnings: %s", n, p.log)
		}
		// Another relay behind the same name lags behind: time does not run backwards.
		up.left, up.price = time.Now(), 3
		pass(12 * time.Second)
		p.expect(t, "a newer price", "map[usd:3] before map[]")
		up.left, up.price = up.left.Add(-2*time.Minute), 2
		pass(6 * time.Minute)
		p.expect(t, "an older price", "map[usd:3] before map[]")
	})
}

// A relay that starts while its upstream's polls fail hears of the next try only, which is no interval.
func TestRelayStartsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &relayed{left: time.Now().Add(-400 * time.Second), interval: time.Minute, price: 1}
		p := start(t, up, asRelay, func(o *Options, _ *coingecko.Options) { o.Interval = MinInterval })
		if s := p.Status(); s.Interval != MinInterval || !s.Up() || !s.Missed() || s.Snapshot == nil {
			t.Errorf("in the outage: %+v", s)
		}
		up.left = time.Now()
		pass(11 * time.Second)
		if s := p.Status(); s.Interval != time.Minute || s.Missed() {
			t.Errorf("after the outage: %+v", s)
		}
	})
}

// Rates that are expired when they arrive are not shown and do not make the exporter ready.
func TestRelayWithExpiredRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &relayed{left: time.Now().Add(-time.Hour), interval: time.Minute, price: 1}
		p := start(t, up, asRelay)
		if s := p.Status(); s.Snapshot != nil || s.Age != time.Hour {
			t.Errorf("rates an hour old: %+v", s)
		}
		select {
		case <-p.First():
			t.Error("rates an hour old count as fresh")
		default:
		}
		up.left = time.Now()
		pass(11 * time.Second)
		<-p.First()
	})
}

func TestLogDoesNotFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		p := start(t, sim.Handler())
		for _, s := range []struct {
			when        string
			mode        simulator.Mode
			wait        time.Duration
			least, most int // lines
			first       []string
		}{
			{"good polls", "", 0, 0, 0, nil},
			{"the first failure", simulator.Portal, time.Minute, 1, 1, []string{
				"level=warn", `msg="Poll failed"`, "reason=bad_payload", "upstream: bad_payload", "not JSON", "body=", "failed_polls=1", "next=2000-01-01T00:02:00Z",
			}},
			{"the same failure", simulator.Portal, time.Hour, 7, 8, nil},
			{"500 and 503 in turn", simulator.ServerError, time.Hour, 1, 14, nil},
			{"the first failure again", simulator.Portal, time.Hour, 1, 8, nil},
			{"another failure", simulator.ServerError, time.Minute, 1, 1, []string{"reason=http_error"}},
			{"recovery", "", time.Minute, 1, 1, []string{"Polling recovered", "after=3h"}},
			{"dropped entries", simulator.Nulls, time.Hour, 1, 1, []string{"Entries were dropped from the answer"}},
		} {
			if s.mode == "" {
				sim.Recover()
			} else if err := sim.Fail(s.mode); err != nil {
				t.Fatal(err)
			}
			pass(s.wait)
			log := p.log.String()
			p.log.Reset()
			if n := strings.Count(log, "\n"); n < s.least || n > s.most {
				t.Errorf("%s: %d lines in %v: %s", s.when, n, s.wait, log)
			}
			first, _, _ := strings.Cut(log, "\n")
			for _, part := range s.first {
				if !strings.Contains(first, part) {
					t.Errorf("%s: %q is missing in %q", s.when, part, first)
				}
			}
		}
		if got := p.polls[len(p.polls)-1].Rejected; len(got) == 0 {
			t.Error("dropped entries were not counted")
		}
	})
}

func TestLogRemindsAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, testbed.Answers(500, ""))
		p.shift = 24 * time.Hour
		pass(11 * time.Minute)
		p.shift = 0
		p.log.Reset()
		pass(11 * time.Minute)
		if !strings.Contains(p.log.String(), "Poll failed") {
			t.Errorf("no reminder in 11 minutes: %q", p.log)
		}
	})
}
