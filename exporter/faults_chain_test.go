// A chain of exporters in simulated time, each with its complete handler: what readers get at its end.

package exporter

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/collector"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const chainMaxAge = 3 * time.Minute

// link returns the handler of an exporter that polls until the context is done, or the test ends. The caller sets the options that differ.
func link(ctx context.Context, t testing.TB, upstream http.RoundTripper, who coingecko.Upstream, o poller.Options) http.Handler {
	t.Helper()
	var err error
	o.Client, err = coingecko.New(coingecko.Options{
		Endpoints: []coingecko.Endpoint{{URL: &url.URL{Scheme: "http", Host: "upstream", Path: "/api/v3"}, Upstream: who}},
		UserAgent: "coingecko-exporter/test", Timeout: 10 * time.Second,
		Transport: upstream,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &settings{telemetryPath: "/metrics", disableExporterMetrics: true, logger: slog.New(slog.DiscardHandler)}
	var p *poller.Poller
	status := func() poller.Status { return p.Status() }
	rates, page := collector.New(collector.Options{Status: status}), screen.New(screen.Options{Status: status, Quote: "usd", Logger: s.logger})
	o.MinInterval, o.BackoffMin, o.BackoffMax, o.Observers = poller.MinInterval, time.Minute, 15*time.Minute, []poller.Observer{rates, page}
	o.MaxAge, o.Logger = cmp.Or(o.MaxAge, chainMaxAge), cmp.Or(o.Logger, s.logger)
	p = poller.New(o)
	var polls sync.WaitGroup
	polls.Go(func() { p.Run(ctx) })
	t.Cleanup(polls.Wait)
	return newHandler(s, p, &health{started: time.Now(), poller: p}, rates, page)
}

// relayOf returns a link that polls another one.
func relayOf(t testing.TB, upstream http.Handler) http.Handler {
	t.Helper()
	return link(t.Context(), t, testbed.Transport(upstream), coingecko.Relay, poller.Options{Interval: poller.MinInterval})
}

// price finds the price of usd in /metrics and in the relay endpoint's answer.
var price = regexp.MustCompile(`(?m)^coingecko_exchange_rate\{currency="usd",kind="fiat"\} (\S+)$|"usd":\{[^}]*"value":(\d+)`)

// ask returns what a handler answers, and the price of usd in it; 0 for none.
func ask(t testing.TB, h http.Handler, path string) (*httptest.ResponseRecorder, int64) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	m := price.FindStringSubmatch(w.Body.String())
	if m == nil {
		return w, 0
	}
	n, err := strconv.ParseFloat(m[1]+m[2], 64)
	if err != nil {
		t.Fatal(err)
	}
	return w, int64(n)
}

// Whatever the number of hops and requests, no exporter shows rates that were not sent or have expired, and the age that it declares is
// not below the true one.
func TestChainNeverLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 1))
		var mu sync.Mutex
		left := map[int64]time.Time{} // by the price, which is another one each time
		age := func(n int64) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Since(left[n])
		}
		var outage atomic.Bool
		coinGecko := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if outage.Load() {
				w.WriteHeader(502)
				return
			}
			mu.Lock()
			n := int64(len(left) + 1)
			left[n] = time.Now()
			mu.Unlock()
			time.Sleep(time.Duration(n*7919%4000) * time.Millisecond)
			fmt.Fprintf(w, `{"rates":{"btc":{"value":1,"type":"crypto"},"usd":{"value":%d,"type":"fiat"}}}`, n)
		})
		chain := []http.Handler{link(t.Context(), t, testbed.Transport(coinGecko), coingecko.CoinGecko, poller.Options{Interval: time.Minute})}
		for range 2 {
			chain = append(chain, relayOf(t, chain[len(chain)-1]))
		}
		// Chance decides how long outages are: it goes on until there were enough, with rates and without.
		const steps, enough = 3000, 500
		seen := map[bool]int{}
		for step := 0; step < steps || step < 10*steps && (seen[true] < enough || seen[false] < enough); step++ {
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			synctest.Wait()
			if random.IntN(50) == 0 {
				outage.Store(!outage.Load())
			}
			for hop, h := range chain {
				_, n := ask(t, h, "/metrics")
				seen[n > 0]++
				if n > 0 && age(n) > chainMaxAge { // one that was never sent left in the year 1
					t.Fatalf("hop %d shows answer %d, %v old", hop, n, age(n))
				}
				w, n := ask(t, h, relayPath)
				declared, _ := strconv.Atoi(w.Header().Get("Age"))
				if n > 0 && (w.Code != 200 || time.Duration(declared)*time.Second < age(n)) {
					t.Fatalf("hop %d declares %d s, status %d, and the rates are %v old", hop, declared, w.Code, age(n))
				}
				if n == 0 && w.Code != 503 {
					t.Fatalf("hop %d has no rates and answers %d: %s", hop, w.Code, w.Body)
				}
			}
		}
		if seen[true] < enough || seen[false] < enough {
			t.Errorf("rates were there %d times, and not there %d times: too seldom to prove anything", seen[true], seen[false])
		}
	})
}

// trouble is a way in which the head of a chain can fail.
type trouble struct {
	name   string
	answer http.HandlerFunc // nil for a cache between the process and its readers
}

const wrongPrice = `{"rates":{"btc":{"value":1,"type":"crypto"},"usd":{"value":0.5,"type":"fiat"}}}`

var troubles = []trouble{
	{"429 with an hour's wait", testbed.Answers(429, "", "Retry-After: 3600")},
	{"429 with a year's wait", testbed.Answers(429, "", "Retry-After: 31536000")},
	{"429 without a wait", testbed.Answers(429, "")},
	{"401", testbed.Answers(401, "")},
	{"403", testbed.Answers(403, "<html>")},
	{"500", testbed.Answers(500, "", "Cache-Control: max-age=3600")},
	{"503 with an hour's wait", testbed.Answers(503, "", "Retry-After: 3600", "Cache-Control: max-age=3600")},
	{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	{"garbage", testbed.Answers(200, "garbage", "Cache-Control: max-age=3600")},
	{"nonsense in Age", testbed.Answers(200, wrongPrice, "Age: -5", "Cache-Control: max-age=3600")},
	{"rates of a year ago", testbed.Answers(200, wrongPrice, "Age: 31536000", "Cache-Control: max-age=63072000")},
	{"the same rates for an hour, from a cache", nil},
}

// head is the beginning of a chain: CoinGecko, a process that polls it and is replaced now and then, and what is between that process
// and its readers. A price is the time of CoinGecko's answer.
type head struct {
	mu      sync.Mutex
	unwell  *trouble // nil for well
	between bool     // between the process and its readers, and not at CoinGecko
	process http.Handler
	cached  *httptest.ResponseRecorder
	since   time.Time // of cached
}

// failing returns how it fails at CoinGecko, or between the process and its readers; nil if it does not.
func (h *head) failing(between bool) http.HandlerFunc {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unwell == nil || h.between != between {
		return nil
	}
	return h.unwell.answer
}

func (h *head) coinGecko(w http.ResponseWriter, r *http.Request) {
	if fail := h.failing(false); fail != nil {
		fail(w, r)
		return
	}
	fmt.Fprintf(w, `{"rates":{"btc":{"value":1,"type":"crypto"},"usd":{"value":%d,"type":"fiat"}}}`, time.Now().Unix())
}

// poller answers for the process that currently polls CoinGecko, unless something between fails.
func (h *head) poller(w http.ResponseWriter, r *http.Request) {
	if fail := h.failing(true); fail != nil {
		fail(w, r)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if caches := h.unwell != nil && h.unwell.answer == nil; !caches || h.cached == nil {
		h.cached, h.since = httptest.NewRecorder(), time.Now()
		h.process.ServeHTTP(h.cached, r)
	}
	maps.Copy(w.Header(), h.cached.Header())
	if age, err := strconv.Atoi(h.cached.Header().Get("Age")); err == nil {
		w.Header().Set("Age", strconv.Itoa(age+int((time.Since(h.since)+time.Second-1)/time.Second)))
	}
	w.WriteHeader(h.cached.Code)
	w.Write(h.cached.Body.Bytes())
}

// Whatever happened at the head, every hop is fresh within seconds of its recovery: relays do not wait as long as they or their poller
// were told to, and do not trust a cache that declares a price valid for an hour. The kinds, number and lengths of troubles are
// random, and so is whether the poller's process is replaced.
func TestChainRecovers(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	const (
		hops = 3
		// A relay asks ten seconds after a failure, or after it was told that the rates are the old ones. It may just have
		// done so when the hop before it hears the news. Two seconds go for the rounding of ages, and one for this test's.
		perHop = poller.MinInterval + 3*time.Second
	)
	for run := range 40 {
		synctest.Test(t, func(t *testing.T) {
			h := &head{}
			set := func(f func()) { h.mu.Lock(); defer h.mu.Unlock(); f() }
			replace := func() func() {
				life, end := context.WithCancel(t.Context())
				process := link(life, t, testbed.Transport(http.HandlerFunc(h.coinGecko)), coingecko.CoinGecko, poller.Options{Interval: time.Minute})
				set(func() { h.process = process })
				return end
			}
			end := replace()
			chain := []http.Handler{http.HandlerFunc(h.poller)}
			for range hops {
				chain = append(chain, relayOf(t, chain[len(chain)-1]))
			}
			left := func(hop http.Handler) time.Time { // of the rates that it shows
				_, n := ask(t, hop, relayPath)
				return time.Unix(n, 0)
			}
			time.Sleep(time.Duration(random.IntN(300)) * time.Second)
			var story []string
			for range 1 + random.IntN(3) {
				unwell := &troubles[random.IntN(len(troubles))]
				between := random.IntN(2) == 0
				set(func() { h.unwell, h.between = unwell, between })
				// Longer than a relay that was well told takes: before, it has no reason to ask.
				lasts := 130*time.Second + time.Duration(random.IntN(3000))*time.Second
				story = append(story, fmt.Sprintf("%s for %v, between poller and readers: %v", unwell.name, lasts, between))
				if random.IntN(2) == 0 {
					end()
					end = replace()
					story = append(story, "a new process")
				}
				time.Sleep(lasts)
			}
			// The head is well again when its poller has rates again: at once if it is replaced, and when it has waited
			// for as long as CoinGecko wants it to otherwise.
			well := time.Now()
			replaced := random.IntN(2) == 0
			set(func() {
				h.unwell = nil
				if replaced { // nobody can be asked between one process and the next; the old one's rates would be good for a minute more
					h.process = testbed.Answers(503, "")
				}
			})
			if replaced {
				end()
				replace()
				story = append(story, "and a new process")
			}
			for left(chain[0]).Before(well.Truncate(time.Second)) {
				if time.Since(well) > time.Hour+time.Minute {
					t.Fatalf("run %d: the poller has no rates an hour after it could have had some: %q", run, story)
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
			well = left(chain[0])
			for hop, handler := range chain[1:] {
				within := time.Duration(hop+1) * perHop
				for left(handler).Before(well) {
					if time.Since(well) > within {
						t.Fatalf("run %d: hop %d is not fresh %v after the head was well again: %q", run, hop+1, within, story)
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
			}
		})
	}
}
