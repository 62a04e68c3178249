// The promise, tried at random: whatever the upstream does, no value is shown that it did not send, none that
// is older than max-age, and no age is below the truth.

package poller_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/collector"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// setting is a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, s)
	}
	return n
}

// poison is the value of every entry that must not be used.
const poison = 666.5

// world is a hostile upstream and a machine whose clocks are moved.
type world struct {
	*rand.Rand
	t        *testing.T
	interval time.Duration
	maxAge   time.Duration
	relay    bool
	sleeps   bool // the machine is suspended now and then; otherwise somebody sets its wall clock

	begun time.Time
	polls atomic.Int64
	half  atomic.Bool // an answer is under way that must be refused unless a jump of the clocks makes the old rates expire

	mu    sync.Mutex
	slept time.Duration // time that passed while the monotonic clock stood still
	set   time.Duration // by how much the wall clock is wrong
	sent  map[int]sent  // answers that were good, by number
	last  int

	shown, none int         // what checks saw
	shownNow    func() bool // of the poller
}

// sent is a good answer.
type sent struct {
	left  time.Duration // when the rates left CoinGecko, in true time
	rates map[string]float64
}

// truth is the time that has passed.
func (w *world) truth() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.begun) + w.slept
}

func (w *world) clock() (time.Time, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mono := time.Since(w.begun)
	return w.begun.Round(0).Add(mono + w.slept + w.set), mono
}

func (w *world) Polled(poller.Poll) { w.polls.Add(1) }

func (w *world) chance(p float64) bool { return w.Float64() < p }

// upTo is a duration below d, often a short one.
func (w *world) upTo(d time.Duration) time.Duration {
	f := w.Float64()
	return time.Duration(f * f * float64(d))
}

// transport takes its time before an answer is made and after, now and then too much.
func (w *world) transport(r *http.Request) (*http.Response, error) {
	time.Sleep(w.upTo(6 * time.Second))
	resp, err := w.answer(r)
	time.Sleep(w.upTo(6 * time.Second))
	w.half.Store(false)
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
			w.half.Store(true)
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

// freshest says whether the poller surely holds rates that are shown, and will after this poll.
func (w *world) freshest() bool { return w.shownNow != nil && w.shownNow() }

// good is an answer to be used: with a number in all of its values, perhaps with entries that must be dropped.
func (w *world) good(rec *httptest.ResponseRecorder) {
	w.mu.Lock()
	w.last++
	n := w.last
	w.mu.Unlock()
	s := sent{left: w.truth(), rates: map[string]float64{"btc": 1, "usd": float64(n), "eur": float64(n) + 0.5, "eth": float64(n) + 0.25}}
	if w.relay || w.chance(0.1) { // a cache stands between
		age := w.upTo(w.maxAge * 3 / 2)
		s.left -= age
		declared := int((age + time.Second - 1) / time.Second)
		if w.chance(0.1) {
			declared += w.IntN(100) // older than it is: no harm
		}
		rec.Header().Set("Age", strconv.Itoa(declared))
	}
	entries := fmt.Sprintf(`"btc":{"value":1.0},"usd":{"value":%d},"eur":{"value":%d.5}`, n, n)
	switch w.IntN(8) {
	case 0: // not usable, and the others are
		entries += `,"eth":` + []string{`null`, `{"value":null}`, `{"value":-666.5}`, `{"value":"666.5"}`, `{"value":1e999}`, `{"value":0}`, `666.5`, `{"name":1,"value":666.5}`, `{"value":666.5,"value":1}`}[w.IntN(9)]
		delete(s.rates, "eth")
	case 1:
		entries += fmt.Sprintf(`,"eth":{"value":%v},"ETH":{"value":%v},"eth":{"value":1}`, poison, poison)
		delete(s.rates, "eth")
	default:
		entries += fmt.Sprintf(`,"eth":{"value":%d.25}`, n)
	}
	w.mu.Lock()
	w.sent[n] = s
	w.mu.Unlock()
	io.WriteString(rec, `{"rates":{`+entries+`}}`)
}

// check compares what is shown with the truth.
func (w *world) check(c *collector.Collector, p *poller.Poller, isRate func(prometheus.Metric) bool) {
	shown := map[string]float64{}
	metrics := make(chan prometheus.Metric, 100)
	go func() { c.Collect(metrics); close(metrics) }()
	for m := range metrics {
		if !isRate(m) {
			continue
		}
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			w.t.Fatal(err)
		}
		shown[d.GetLabel()[0].GetValue()] = d.GetGauge().GetValue()
	}
	status := p.Status()
	if len(shown) == 0 {
		w.none++
		if status.Snapshot != nil {
			w.t.Fatal("there are rates, and none are shown")
		}
		return
	}
	w.shown++
	w.mu.Lock()
	s, ok := w.sent[int(shown["usd"])]
	w.mu.Unlock()
	if !ok || !maps.Equal(s.rates, shown) {
		w.t.Fatalf("%v are shown, and were never sent so", shown)
	}
	age := w.truth() - s.left
	if age > w.maxAge {
		w.t.Fatalf("rates %v old are shown, max-age is %v", age, w.maxAge)
	}
	if status.Age < age {
		w.t.Fatalf("rates are said to be %v old, and are %v", status.Age, age)
	}
}

// epoch is a poller's life.
func epoch(t *testing.T, r *rand.Rand, polls int) *world {
	t.Helper()
	w := &world{
		Rand: r, t: t, begun: time.Now(), sent: map[int]sent{},
		interval: time.Duration(10+r.IntN(290)) * time.Second, relay: r.IntN(2) == 0, sleeps: r.IntN(2) == 0,
	}
	w.maxAge = w.interval + w.upTo(5*w.interval)
	e := coingecko.Endpoint{URL: &url.URL{Scheme: "http", Host: "upstream", Path: "/api/v3"}, Upstream: coingecko.CoinGecko}
	if w.relay {
		e.Upstream = coingecko.Relay
	}
	client, err := coingecko.New(coingecko.Options{
		Endpoints: []coingecko.Endpoint{e}, UserAgent: "coingecko-exporter/test", Timeout: 10 * time.Second,
		Transport: roundTripper(w.transport),
	})
	if err != nil {
		t.Fatal(err)
	}
	var p *poller.Poller
	status := func() poller.Status { return p.Status() }
	c := collector.New(collector.Options{Status: status})
	o := poller.Options{
		Client: client, Interval: w.interval, MinInterval: poller.MinInterval, MaxAge: w.maxAge,
		BackoffMin: time.Minute, BackoffMax: 15 * time.Minute,
		Logger: slog.New(slog.DiscardHandler), Observers: []poller.Observer{c, w},
	}
	o.SetClock(w.clock)
	p = poller.New(o)
	w.shownNow = func() bool {
		s := p.Status()
		return s.Snapshot != nil && s.Age+11*time.Second < s.MaxAge && len(s.Snapshot.Rates) > 2
	}

	// The descriptor of the rates is found once; there is no other way to it.
	rates := map[*prometheus.Desc]bool{}
	isRate := func(m prometheus.Metric) bool {
		is, known := rates[m.Desc()]
		if !known {
			is = strings.Contains(m.Desc().String(), `"coingecko_exchange_rate"`)
			rates[m.Desc()] = is
		}
		return is
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	for int(w.polls.Load()) < polls {
		time.Sleep(w.upTo(3 * w.interval / 2))
		synctest.Wait()
		if w.chance(0.05) && !w.half.Load() {
			jump, forward := w.upTo(3*time.Hour), w.chance(0.5)
			w.mu.Lock()
			switch {
			case w.sleeps:
				w.slept += jump
			case forward:
				w.set += jump
			default:
				w.set -= jump
			}
			w.mu.Unlock()
		}
		w.check(c, p, isRate)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return w
}

// locked is a source for several goroutines. In simulated time no two of them run at one moment, but for
// those that wake in the same nanosecond.
type locked struct {
	mu   sync.Mutex
	from rand.Source
}

func (l *locked) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from.Uint64()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestProperty makes PROPERTY_POLLS polls (20,000) in simulated time. A failure names its seed, which
// PROPERTY_SEED repeats.
func TestProperty(t *testing.T) {
	polls := setting(t, "PROPERTY_POLLS", 20_000)
	seed := setting(t, "PROPERTY_SEED", int(time.Now().UnixNano()&(1<<32-1)))
	t.Logf("PROPERTY_SEED=%d", seed)
	begun := time.Now()
	var done, shown, none int
	var passed time.Duration
	for n := 0; done < polls && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) {
			w := epoch(t, rand.New(&locked{from: rand.NewPCG(uint64(seed), uint64(n))}), min(1000, polls-done))
			done, shown, none, passed = done+int(w.polls.Load()), shown+w.shown, none+w.none, passed+w.truth()
		})
	}
	t.Logf("%d polls in %v; %d looks saw rates and %d none; %v of simulated time", done, time.Since(begun).Round(time.Millisecond), shown, none, passed.Round(time.Hour))
	if shown < done/10 || none < done/100 {
		t.Error("the rates were there, or not there, too seldom to prove anything")
	}
}
