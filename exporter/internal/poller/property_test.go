// The promises, tried at random: whatever the upstream does, no value is shown that it did not send, none that
// is older than max-age, and no age is below the truth. With --rates.max-jump no value that is far from the one before
// is shown unless a different answer confirmed it, and a true move is shown at the second answer.

package poller

import (
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// poison is the value of every entry that must not be used.
const poison = 666.5

// world is a hostile upstream and a machine whose clocks change.
type world struct {
	*rand.Rand
	t        *testing.T
	interval time.Duration
	maxAge   time.Duration
	jump     float64 // the bound of a plausible move; 0 for none
	relay    bool
	sleeps   bool // the machine is suspended now and then; otherwise somebody sets its wall clock

	begun time.Time
	polls int
	half  bool // an answer is under way that must be refused unless a jump of the clocks makes the old rates expire

	slept time.Duration // time that passed while the monotonic clock stood still
	set   time.Duration // by how much the wall clock is wrong
	asked instant       // by the poller's clocks, when the poll began that is under way; zero when none is
	sent  []sent        // answers that were good, by number, which is the name of btc in them
	level map[string]float64
	taken *sent           // the last answer that the poller took
	was   *sent           // the one with other content before it, unless the poller had nothing to compare it with
	after *sent           // the first one with the content of taken, after was
	shows map[string]shot // what was shown of each currency last

	*tally
	status func() Status
}

// tally counts over all lifetimes.
type tally struct {
	shown, none      int // what checks saw
	withheld, wrong  int // values that were kept back, and those of them that were wrong
	moved, confirmed int // values far from what was shown, and those of them that the answer before had confirmed
}

// sent is a good answer.
type sent struct {
	number  int
	content int           // the same for answers that have the same values
	left    time.Duration // when the rates left CoinGecko, in true time
	known   instant       // when they left as far as the poller can know
	rates   map[string]float64
	wrong   map[string]bool // of which values are not true
	checked bool            // by who sent it
	shown   map[string]bool // once it was taken
}

// shot is a shown value.
type shot struct {
	value float64
	known instant
}

// truth returns the time that has really passed.
func (w *world) truth() time.Duration { return time.Since(w.begun) + w.slept }

func (w *world) clock() instant {
	takeTurn()
	mono := time.Since(w.begun)
	return instant{w.begun.Round(0).Add(mono + w.slept + w.set), mono}
}

// Polled checks which rates of an accepted answer the poller believes. Status still returns the previous one.
func (w *world) Polled(p Poll) {
	w.polls++
	before, now := w.status(), w.clock()
	w.asked = instant{}
	if p.Snapshot == nil {
		return
	}
	if before.Snapshot == p.Snapshot { // a cached scrape would have the rates of one poll and the counters of the one before
		panic("the rates of a poll show before it is counted")
	}
	number, err := strconv.Atoi(p.Snapshot.Rates[0].Name)
	if err != nil || number >= len(w.sent) {
		w.t.Errorf("%v was never sent", p.Snapshot.Rates)
		return
	}
	s, last := &w.sent[number], w.taken
	s.shown = map[string]bool{}
	for _, r := range p.Snapshot.Rates {
		s.shown[r.Code] = true
		if r.Value != s.rates[r.Code] {
			w.t.Errorf("%s %v is believed, and %v was sent", r.Code, r.Value, s.rates[r.Code])
		}
	}
	compared := before.Snapshot != nil // otherwise there is nothing left of the last answer
	for code, value := range s.rates {
		w.judge(code, value, s, last, compared, now)
	}
	// A rate that was once too old to compare with is forgotten, even if somebody then sets the clock back. With an expired answer,
	// all rates are forgotten: one of an earlier answer can seem younger if somebody set the clock back and forth.
	maps.DeleteFunc(w.shows, func(_ string, was shot) bool { return !compared || now.since(was.known) > w.maxAge })
	for code := range s.shown {
		w.shows[code] = shot{s.rates[code], s.known}
	}
	if !compared {
		w.was, w.after = nil, s
	} else if last.content != s.content {
		w.was, w.after = last, s
	}
	w.taken = s
}

// judge reports a value that is shown but must not be, or the reverse.
func (w *world) judge(code string, value float64, s, last *sent, compared bool, now instant) {
	var confirmed, said, shownBefore bool
	if compared {
		var witness float64
		witness, said = last.rates[code]
		confirmed = said && last.content != s.content && w.near(value, witness)
		shownBefore = said && last.content == s.content && last.shown[code]
	}
	shot, had := w.shows[code]
	young := had && now.since(shot.known) <= w.maxAge
	plausible := young && w.near(value, shot.value)
	switch free := w.jump == 0 || s.checked || !compared; {
	case s.shown[code] && !free && !plausible && !confirmed && (young || said):
		w.t.Errorf("%s %v is shown after %v, and no different answer has confirmed it", code, value, shot.value)
	case !s.shown[code] && (free || plausible || confirmed || shownBefore):
		w.t.Errorf("%s %v is not shown: free %v, plausible %v after %v, confirmed %v, shown before %v", code, value, free, plausible, shot.value, confirmed, shownBefore)
	case !s.shown[code]:
		w.withheld++
		if s.wrong[code] {
			w.wrong++
		}
	case !free && !plausible:
		w.moved++
		if confirmed {
			w.confirmed++
		}
	}
}

func (w *world) near(a, b float64) bool { return a <= b*w.jump && b <= a*w.jump }

func (w *world) chance(p float64) bool { return w.Float64() < p }

// upTo returns a random duration below d, often a short one.
func (w *world) upTo(d time.Duration) time.Duration {
	f := w.Float64()
	return time.Duration(f * f * float64(d))
}

func (w *world) delay() {
	takeTurn()
	time.Sleep(w.upTo(6 * time.Second))
	takeTurn()
}

// transport delays answers before and after they are created, sometimes beyond the timeout.
func (w *world) transport(r *http.Request) (*http.Response, error) {
	now := w.clock()
	if w.asked == (instant{}) { // and not sent elsewhere within one poll
		w.asked = now
	}
	w.delay()
	resp, err := w.answer(r)
	w.delay()
	w.half = false
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return resp, err
}

func (w *world) answer(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h := rec.Header()
	if w.chance(0.2) {
		h.Set("Cache-Control", "max-age="+strconv.Itoa(w.IntN(1000)))
	}
	if w.chance(0.65) {
		w.good(rec)
		return rec.Result(), nil
	}
	if w.chance(0.2) {
		h.Set("Age", []string{"0", "-1", "1e9", "99999999999999999999", "x"}[w.IntN(5)])
	}
	bad := func(more string) string {
		return fmt.Sprintf(`{"rates":{"btc":{"value":1},"usd":{"value":%v},"eur":{"value":%v}%s}}`, poison, poison, more)
	}
	switch w.IntN(12) {
	case 0:
		return nil, io.ErrUnexpectedEOF
	case 1:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case 2:
		h.Set("Retry-After", []string{"1", "120", "31536000", "-1", "soon", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}[w.IntN(6)])
		rec.WriteHeader(429)
		io.WriteString(rec, bad(""))
	case 3:
		rec.WriteHeader([]int{201, 204, 206, 301, 304, 400, 401, 403, 404, 500, 502, 503}[w.IntN(12)])
		io.WriteString(rec, bad(""))
	case 4: // cut off, and the length says so only sometimes
		body := bad("")
		io.WriteString(rec, body[:w.IntN(len(body))])
	case 5:
		io.WriteString(rec, strings.Replace(bad(""), `"value":1}`, `"value":`+[]string{"2", "null", `"1"`, "0", "-1", "1.0000000001"}[w.IntN(6)]+"}", 1))
	case 6:
		io.WriteString(rec, bad(`,"sats":{"value":1}`))
	case 7:
		io.WriteString(rec, bad("")+bad(""))
	case 8:
		io.WriteString(rec, bad(strings.Repeat(`,"x":{"value":1}`, coingecko.MaxEntries)))
	case 9: // fewer than half, while more are shown
		if w.freshest() {
			w.half = true
			io.WriteString(rec, `{"rates":{"btc":{"value":1}}}`)
		} else {
			rec.WriteHeader(503)
		}
	case 10:
		http.Redirect(rec, r, []string{"/api/v3/exchange_rates", "http://elsewhere/", "//"}[w.IntN(3)], http.StatusFound)
	default:
		noise := []byte(bad(""))
		for range 1 + w.IntN(20) {
			noise[w.IntN(len(noise)-1)] = byte(w.IntN(32)) // control characters are nowhere in JSON's texts and numbers
		}
		h.Set("Content-Encoding", []string{"gzip", "br"}[w.IntN(2)])
		rec.Write(noise)
	}
	return rec.Result(), nil
}

// freshest reports whether the poller certainly has unexpired rates, now and after this poll.
func (w *world) freshest() bool {
	s := w.status()
	return s.Snapshot != nil && s.Age+11*time.Second < s.MaxAge && len(s.Snapshot.Rates) > 2
}

// move changes the market: mostly slightly, sometimes by a factor.
func (w *world) move() {
	all := w.chance(0.5) // as when bitcoin's own price moves
	by := w.factor()
	leaps := w.chance(0.1)
	for _, code := range currencies {
		w.level[code] *= 0.95 + 0.1*w.Float64()
		if leaps && (all || code == currencies[0]) {
			w.level[code] *= by
		}
		w.level[code] = min(max(w.level[code], 1e3), 1e9)
	}
}

// factor returns the factor of a wrong value or a large change.
func (w *world) factor() float64 { return math.Exp((w.Float64() - 0.5) * 6) } // from a twentieth to twenty times

var currencies = []string{"usd", "eur", "eth"}

// content creates new values. No two answers share a value except that of btc.
func (w *world) content(s *sent) {
	s.content, s.rates, s.wrong = s.number, map[string]float64{"btc": 1}, map[string]bool{}
	w.move()
	lies, all, by := w.chance(0.2), w.chance(0.5), w.factor()
	for i, code := range currencies {
		value := w.level[code]
		if lies && (all || i == s.number%len(currencies)) {
			value, s.wrong[code] = value*by, true
		}
		s.rates[code] = math.Ceil(value) + float64(s.number)/1e6
	}
}

// good returns a usable answer, which may be a repetition, have wrong values, or have entries that must be dropped.
func (w *world) good(rec *httptest.ResponseRecorder) {
	now := w.truth()
	s := sent{number: len(w.sent), left: now, known: w.asked}
	if s.number > 0 && w.chance(0.4) { // CoinGecko has not refreshed its rates
		last := w.sent[s.number-1]
		s.content, s.rates, s.wrong = last.content, maps.Clone(last.rates), last.wrong
	} else {
		w.content(&s)
	}
	if w.relay || w.chance(0.1) { // a cache stands between
		age := w.upTo(w.maxAge * 3 / 2)
		s.left -= age
		declared := int((age + time.Second - 1) / time.Second)
		if w.chance(0.1) {
			declared += w.IntN(100) // older than it is: no harm
		}
		d := time.Duration(declared) * time.Second
		s.known = s.known.add(-d)
		rec.Header().Set("Age", strconv.Itoa(declared))
	}
	if w.relay && w.chance(0.2) {
		says := []string{"none", "xau", "usd", "", "XAU", "none, none,"}[w.IntN(6)]
		s.checked = says == "none" || says == "xau" || says == "usd"
		rec.Header().Set(coingecko.WithheldHeader, says)
	}
	entries := fmt.Sprintf(`"btc":{"name":"%d","value":1.0},"usd":{"value":%.6f},"eur":{"value":%.6f}`, s.number, s.rates["usd"], s.rates["eur"])
	eth, there := s.rates["eth"]
	switch kind := w.IntN(8); {
	case !there, kind == 0: // not usable, and the others are
		entries += `,"eth":` + []string{`null`, `{"value":null}`, `{"value":-666.5}`, `{"value":"666.5"}`, `{"value":1e999}`, `{"value":0}`, `666.5`, `{"name":1,"value":666.5}`, `{"value":666.5,"value":1}`}[w.IntN(9)]
		delete(s.rates, "eth")
	case kind == 1:
		entries += fmt.Sprintf(`,"eth":{"value":%v},"ETH":{"value":%v},"eth":{"value":1}`, poison, poison)
		delete(s.rates, "eth")
	default:
		entries += fmt.Sprintf(`,"eth":{"value":%.6f}`, eth)
	}
	w.sent = append(w.sent, s)
	io.WriteString(rec, `{"rates":{`+entries+`}}`)
}

// check compares the shown rates with the truth.
func (w *world) check() {
	status := w.status()
	if status.Snapshot == nil {
		w.none++
		return
	}
	shown := map[string]float64{}
	for _, r := range status.Snapshot.Rates {
		shown[r.Code] = r.Value
	}
	w.shown++
	now := w.truth()
	s := w.taken
	want := maps.Clone(s.rates)
	maps.DeleteFunc(want, func(code string, _ float64) bool { return !s.shown[code] })
	if !maps.Equal(want, shown) {
		w.t.Fatalf("%v are shown, and not %v of answer %d", shown, want, s.number)
	}
	age := now - s.left
	if age > w.maxAge {
		w.t.Fatalf("rates %v old are shown, max-age is %v", age, w.maxAge)
	}
	if status.Age < age {
		w.t.Fatalf("rates are said to be %v old, and are %v", status.Age, age)
	}
	for _, r := range status.Previous {
		if w.was == nil || w.was.rates[r.Code] != r.Value {
			w.t.Fatalf("%s %v was not in the different answer before", r.Code, r.Value)
		}
		if later := w.after; !w.was.shown[r.Code] && !(later.shown[r.Code] && w.near(r.Value, later.rates[r.Code])) {
			w.t.Fatalf("%s %v was withheld and not confirmed, and is a witness", r.Code, r.Value)
		}
	}
}

// epoch is the lifetime of a poller.
func epoch(t *testing.T, r *rand.Rand, all *tally, polls int) *world {
	t.Helper()
	w := &world{
		Rand: r, tally: all, t: t, begun: time.Now(), shows: map[string]shot{}, level: map[string]float64{"usd": 6e4, "eur": 5e4, "eth": 2e4},
		interval: time.Duration(10+r.IntN(290)) * time.Second, relay: r.IntN(2) == 0, sleeps: r.IntN(2) == 0,
	}
	if r.IntN(4) > 0 {
		w.jump = 1.5
	}
	w.maxAge = w.interval + w.upTo(5*w.interval)
	p := newPoller(t, testbed.RoundTripper(w.transport), func(o *Options, c *coingecko.Options) {
		o.Interval, o.MaxAge, o.MaxJump, o.Observers, o.clock = w.interval, w.maxAge, coingecko.Jump(w.jump), []Observer{w}, w.clock
		if w.relay {
			asRelay(o, c)
		}
	})
	p.backoff.RandomizationFactor = 0 // so that each run has the same waits
	w.status = p.Status
	run(t, p) // waits, so that the first poll and this goroutine draw in the same order for each seed
	for w.polls < polls && !t.Failed() {
		pass(w.upTo(3 * w.interval / 2))
		if w.chance(0.05) && !w.half {
			jump, forward := w.upTo(3*time.Hour), w.chance(0.5)
			switch {
			case w.sleeps:
				w.slept += jump
			case forward:
				w.set += jump
			default:
				w.set -= jump
			}
		}
		w.check()
	}
	return w
}

// TestProperty makes PROPERTY_POLLS polls (20,000) in simulated time, from PROPERTY_SEED (1). `make soak` draws a new seed each time.
func TestProperty(t *testing.T) {
	polls := testbed.Setting(t, "PROPERTY_POLLS", 20_000)
	seed := testbed.Setting(t, "PROPERTY_SEED", 1)
	t.Logf("PROPERTY_SEED=%d", seed)
	begun := time.Now()
	var all tally
	var done int
	var passed time.Duration
	for n := 0; done < polls && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) {
			w := epoch(t, rand.New(rand.NewPCG(uint64(seed), uint64(n))), &all, min(1000, polls-done))
			done, passed = done+w.polls, passed+w.truth()
		})
	}
	t.Logf("%d polls in %v; %d looks saw rates and %d none; %v of simulated time", done, time.Since(begun).Round(time.Millisecond), all.shown, all.none, passed.Round(time.Hour))
	t.Logf("%d values were withheld, %d of them wrong; %d that had moved far were shown, %d of them confirmed", all.withheld, all.wrong, all.moved, all.confirmed)
	if all.shown < done/10 || all.none < done/100 {
		t.Error("the rates were there, or not there, too seldom to prove anything")
	}
	if all.wrong < done/200 || all.confirmed < done/200 {
		t.Error("too few values were wrong, or confirmed, to prove anything")
	}
}
