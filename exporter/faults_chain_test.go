// A chain of exporters in simulated time, each with its whole handler: what readers get at the end of it.

package exporter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
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
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

const chainMaxAge = 3 * time.Minute

// link is the handler of an exporter that asks another handler, until the context ends.
func link(ctx context.Context, t *testing.T, upstream http.Handler, who coingecko.Upstream, interval time.Duration) http.Handler {
	t.Helper()
	client, err := coingecko.New(coingecko.Options{
		Endpoints: []coingecko.Endpoint{{URL: &url.URL{Scheme: "http", Host: "upstream", Path: "/api/v3"}, Upstream: who}},
		UserAgent: "coingecko-exporter/test", Timeout: 10 * time.Second,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			upstream.ServeHTTP(w, r)
			return w.Result(), r.Context().Err()
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &settings{telemetryPath: "/metrics", disableExporterMetrics: true, logger: slog.New(slog.DiscardHandler)}
	var p *poller.Poller
	rates := collector.New(collector.Options{Status: func() poller.Status { return p.Status() }})
	p = poller.New(poller.Options{
		Client: client, Interval: interval, MinInterval: poller.MinInterval, MaxAge: chainMaxAge,
		BackoffMin: time.Minute, BackoffMax: 15 * time.Minute, Logger: s.logger, Observers: []poller.Observer{rates},
	})
	go p.Run(ctx)
	return newHandler(s, p, &health{started: time.Now(), poller: p}, rates, screen.New(screen.Options{Status: p.Status}))
}

var (
	price   = regexp.MustCompile(`(?m)^coingecko_exchange_rate\{currency="usd",kind="fiat"\} (\S+)$`)
	relayed = regexp.MustCompile(`"usd":\{[^}]*"value":(\d+)`)
)

// However many hops away and however often it is asked, no exporter shows what was not sent or is older than
// max-age, and the age that it declares is not below the truth.
func TestChainNeverLies(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, seed))
		var mu sync.Mutex
		left := map[int]time.Time{} // by the price, which is another one each time
		age := func(n int) time.Duration {
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
			n := len(left) + 1
			left[n] = time.Now()
			mu.Unlock()
			time.Sleep(time.Duration(n*7919%4000) * time.Millisecond)
			fmt.Fprintf(w, `{"rates":{"btc":{"value":1,"type":"crypto"},"usd":{"value":%d,"type":"fiat"}}}`, n)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		chain := []http.Handler{link(ctx, t, coinGecko, coingecko.CoinGecko, time.Minute)}
		for range 2 {
			chain = append(chain, link(ctx, t, chain[len(chain)-1], coingecko.Relay, poller.MinInterval))
		}
		ask := func(h http.Handler, path string, pattern *regexp.Regexp) (*httptest.ResponseRecorder, int) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			m := pattern.FindStringSubmatch(w.Body.String())
			if m == nil {
				return w, 0
			}
			n, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return w, int(n)
		}
		seen := map[bool]int{}
		for range 3000 {
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			synctest.Wait()
			if random.IntN(50) == 0 {
				outage.Store(!outage.Load())
			}
			for hop, h := range chain {
				_, n := ask(h, "/metrics", price)
				seen[n > 0]++
				if n > 0 && age(n) > chainMaxAge { // one that was never sent left in the year 1
					t.Fatalf("hop %d shows answer %d, %v old", hop, n, age(n))
				}
				w, n := ask(h, relayPath, relayed)
				declared, _ := strconv.Atoi(w.Header().Get("Age"))
				if n > 0 && (w.Code != 200 || time.Duration(declared)*time.Second < age(n)) {
					t.Fatalf("hop %d declares %d s, status %d, and the rates are %v old", hop, declared, w.Code, age(n))
				}
				if n == 0 && w.Code != 503 {
					body, _ := io.ReadAll(w.Result().Body)
					t.Fatalf("hop %d has no rates and answers %d: %s", hop, w.Code, body)
				}
			}
		}
		if seen[true] < 500 || seen[false] < 500 {
			t.Errorf("rates were there %d times, and not there %d times: too seldom to prove anything", seen[true], seen[false])
		}
	})
}
