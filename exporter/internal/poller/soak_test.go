// Days of polls, scrapes and page views with faults, in simulated time: memory does not grow.

package poller_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/collector"
	"github.com/heycard/coingecko-exporter/exporter/internal/logging"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// use is the process's resource usage.
type use struct {
	heap       uint64
	goroutines int
}

func used() use {
	runtime.GC()
	runtime.GC() // what pools hold goes with the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return use{m.HeapAlloc, runtime.NumGoroutine()}
}

// lines counts the lines of a log.
type lines int

func (l *lines) Write(p []byte) (int, error) { *l++; return len(p), nil }

// TestSoak runs for SOAK_DAYS simulated days (2). The screen's history is full after one.
func TestSoak(t *testing.T) {
	days := testbed.Setting(t, "SOAK_DAYS", 2)
	interval := time.Minute
	if days < 7 {
		interval = 5 * time.Minute // as with a demo key: less work
	}
	begun := time.Now()
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{Refresh: 2 * time.Minute})
		upstream := testbed.Transport(sim.Handler())
		client, err := coingecko.New(coingecko.Options{
			Endpoints: []coingecko.Endpoint{{URL: &url.URL{Scheme: "http", Host: "upstream", Path: "/api/v3"}, Upstream: coingecko.CoinGecko}},
			UserAgent: "coingecko-exporter/test", Timeout: 10 * time.Second,
			Transport: testbed.RoundTripper(func(r *http.Request) (resp *http.Response, err error) {
				defer func() {
					if recover() != nil { // as the simulator breaks connections off
						resp, err = nil, http.ErrHandlerTimeout
					}
				}()
				return upstream(r)
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		var log lines
		logger := logging.New(&log, "info", "logfmt")
		var p *poller.Poller
		status := func() poller.Status { return p.Status() }
		c := collector.New(collector.Options{Status: status})
		page := screen.New(screen.Options{Status: status, Quote: "usd", Logger: slog.New(slog.DiscardHandler)})
		routes := http.NewServeMux()
		page.Register(routes.Handle)
		p = poller.New(poller.Options{
			Client: client, Interval: interval, MinInterval: poller.MinInterval, MaxAge: 15 * time.Minute,
			BackoffMin: time.Minute, BackoffMax: 15 * time.Minute, Logger: logger, Observers: []poller.Observer{c, page},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()

		random := rand.New(rand.NewPCG(1, 2))
		modes := simulator.Modes()
		series, faults := 0, 0
		live := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Minute) {
				switch mode := modes[random.IntN(len(modes))]; {
				case random.IntN(6) == 0:
					if err := sim.Fail(mode); err != nil {
						t.Fatal(err)
					}
					faults++
				case random.IntN(2) == 0:
					sim.Recover()
				}
				series = max(series, testutil.CollectAndCount(c))
				routes.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?quote=eur", nil))
			}
			sim.Recover()
			time.Sleep(30 * time.Minute) // so that both looks are at good times
			synctest.Wait()
		}
		live(26 * time.Hour)
		before, logged, most := used(), log, series
		live(time.Duration(days)*24*time.Hour - 26*time.Hour)
		after := used()
		t.Logf("%d days, %d times broken, %d lines of log: heap %.2f and %.2f MiB, goroutines %d and %d, series %d",
			days, faults, log, mib(before.heap), mib(after.heap), before.goroutines, after.goroutines, series)
		if after.heap > before.heap+512<<10 {
			t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
		}
		if after.goroutines > before.goroutines {
			t.Errorf("goroutines grew from %d to %d", before.goroutines, after.goroutines)
		}
		if series > most+10 {
			t.Errorf("series grew from %d to %d", most, series)
		}
		if perDay := int(log-logged) / max(days-1, 1); perDay > 300 {
			t.Errorf("%d lines of log in a day", perDay)
		}
		if s := p.Status(); s.Snapshot == nil || !s.Up() {
			t.Errorf("at the end: %+v", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Logf("it took %v", time.Since(begun).Round(time.Millisecond))
}

func mib(b uint64) float64 { return float64(b) / (1 << 20) }
