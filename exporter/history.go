// The last day of rates, fetched from a Prometheus at start.

package exporter

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/history"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// recallFor is how long recall retries: Prometheus, or the network to it, may start together with this process.
const recallFor = 2 * time.Minute

// recall fetches the last day of rates once there are current ones, passes them to restore, and logs the outcome.
func recall(ctx context.Context, s *settings, p *poller.Poller, restore func([]history.Sample)) {
	if s.historyURL == nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-p.First():
	}
	if p.Status().Simulated {
		s.logger.Warn("Rates are simulated, --history.prometheus-url is not queried")
		return
	}
	source := history.Source{URL: s.historyURL, Selector: s.selector, MaxAge: s.maxAge, Jump: coingecko.Jump(s.maxJump)}
	past, err := backoff.Retry(ctx, func() ([]history.Sample, error) { return source.Fetch(ctx, time.Now()) },
		backoff.WithMaxElapsedTime(recallFor))
	log := s.logger.With("host", s.historyURL.Host, "selector", s.selector)
	switch {
	case ctx.Err() != nil: // shutdown
	case err != nil:
		log.Warn("Fetching the last day of rates failed, the screen's changes and curves start now. Check --history.prometheus-url", "err", err)
	case len(past) == 0:
		log.Warn("Prometheus has no rates of the last day, the screen's changes and curves start now. Check --history.selector")
	default:
		restore(past)
		log.Info("Fetched the last day of rates", "samples", len(past), "from", past[0].At.UTC().Format(time.RFC3339))
	}
}
