// Days of polls, scrapes and page views with faults, in simulated time: memory does not grow.

package exporter

import (
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/logging"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// used returns the size of the heap and the number of goroutines.
func used() (mib float64, goroutines int) {
	runtime.GC()
	runtime.GC() // what pools hold goes with the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20), runtime.NumGoroutine()
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
		var log lines
		handler := link(t.Context(), t, testbed.RoundTripper(func(r *http.Request) (resp *http.Response, err error) {
			defer func() {
				if recover() != nil { // as the simulator breaks connections off
					resp, err = nil, http.ErrHandlerTimeout
				}
			}()
			return upstream(r)
		}), coingecko.CoinGecko, poller.Options{Interval: interval, MaxAge: 15 * time.Minute, Logger: logging.New(&log, "info", "logfmt")})

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
				scrape, _ := ask(t, handler, "/metrics")
				series = max(series, strings.Count(scrape.Body.String(), "\ncoingecko_"))
				ask(t, handler, "/?quote=eur")
			}
			sim.Recover()
			time.Sleep(30 * time.Minute) // so that both looks are at good times
			synctest.Wait()
		}
		live(26 * time.Hour)
		heap, goroutines := used()
		logged, most := log, series
		live(time.Duration(days)*24*time.Hour - 26*time.Hour)
		heapAfter, goroutinesAfter := used()
		t.Logf("%d days, %d times broken, %d lines of log: heap %.2f and %.2f MiB, goroutines %d and %d, series %d",
			days, faults, log, heap, heapAfter, goroutines, goroutinesAfter, series)
		if heapAfter > heap+0.5 || goroutinesAfter > goroutines {
			t.Error("the heap or the goroutines grew")
		}
		if series > most+10 {
			t.Errorf("series grew from %d to %d", most, series)
		}
		if perDay := int(log-logged) / max(days-1, 1); perDay > 300 {
			t.Errorf("%d lines of log in a day", perDay)
		}
		if scrape, usd := ask(t, handler, "/metrics"); usd == 0 || !strings.Contains(scrape.Body.String(), "\ncoingecko_up 1\n") {
			t.Errorf("at the end:\n%s", scrape.Body)
		}
	})
	t.Logf("it took %v", time.Since(begun).Round(time.Millisecond))
}
