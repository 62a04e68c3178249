// Exports for tests outside the package.

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

// Constants of the program.
const (
	RelayPath         = relayPath         // where the exporter serves its rates to others
	ReadHeaderTimeout = readHeaderTimeout // of a request
	RecallFor         = recallFor         // how long the exporter retries to fetch the last day
)

// Flags are the flags of the program.
func Flags() []*kingpin.FlagModel { return newApp(&settings{}).Model().Flags }

// PlainMetrics serves /metrics without the cache.
func PlainMetrics(c prometheus.Collector) http.Handler {
	return newMetrics(&settings{logger: slog.New(slog.DiscardHandler)}, c, func(h http.Handler) http.Handler { return h })
}

// RunHasty is Run with waits of milliseconds, and with every upstream treated as CoinGecko. The timeout of a poll is minutes unless
// the arguments set one, because the machine may be busy. A maxAge of 0 keeps the default.
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
	if err == nil {
		err = e.serve(ctx)
	}
	if err != nil {
		fmt.Fprintln(log, err)
		return exitFailed
	}
	return exitOK
}
