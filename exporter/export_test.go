// What tests outside the package need of its inside.

package exporter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// RelayPath is where the exporter serves its rates to others.
const RelayPath = relayPath

// ReadHeaderTimeout is how long the header of a request may take to come.
const ReadHeaderTimeout = readHeaderTimeout

// RecallFor is how long the exporter waits for the past.
const RecallFor = recallFor

// Flags are the flags of the program.
func Flags() []*kingpin.FlagModel { return newApp(&settings{}).Model().Flags }

func uncached(h http.Handler) http.Handler { return h }

// PlainMetrics is /metrics without the cache.
func PlainMetrics(c prometheus.Collector) http.Handler {
	return newMetrics(&settings{logger: slog.New(slog.DiscardHandler)}, c, uncached)
}

// RunHasty is Run with the waits cut to milliseconds, and every upstream taken for CoinGecko. A poll may take minutes
// unless the arguments say otherwise, because the machine may be busy. Of a maxAge of 0 the default stays.
func RunHasty(ctx context.Context, args []string, maxAge time.Duration, log io.Writer) int {
	s, err := parse(args, nil, io.Discard, log)
	if err != nil {
		fmt.Fprintln(log, err)
		return exitUsage
	}
	for i := range s.endpoints {
		s.endpoints[i].Upstream = coingecko.CoinGecko
	}
	s.interval, s.minInterval, s.backoffMin, s.backoffMax = 30*time.Millisecond, 10*time.Millisecond, 20*time.Millisecond, 60*time.Millisecond
	if s.timeout == 10*time.Second { // the default
		s.timeout = 5 * time.Minute
	}
	if maxAge > 0 {
		s.maxAge = maxAge
	}
	e, err := build(s)
	if err != nil {
		fmt.Fprintln(log, err)
		return exitUsage
	}
	if err := e.serve(ctx); err != nil {
		fmt.Fprintln(log, err)
		return exitFailed
	}
	return exitOK
}
