// Expiry of rates: when they are too old, by either clock, and the message when it happens, not at the next poll.

package poller

import (
	"context"
	"time"
)

// expiryCheckInterval bounds the delay with which an expiry is noticed after a suspend or a change of the clock, which timers ignore.
const expiryCheckInterval = 10 * time.Second

// watchExpiry logs once when the rates expire, until fresh ones arrive. It returns when the context is done. Status needs no event,
// because it computes the age on each call.
func (p *Poller) watchExpiry(ctx context.Context) {
	timer := time.NewTimer(expiryCheckInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		timer.Reset(p.logExpiry())
	}
}

// logExpiry logs an expiry once, and returns the time until the next check.
func (p *Poller) logExpiry() time.Duration {
	p.logOrder.Lock()
	defer p.logOrder.Unlock()
	now, s := p.options.clock(), p.state.Load().snapshot
	switch {
	case s == nil:
	case !p.tooOld(s.leftCoinGecko, now): // rates of exactly max-age have not expired
		return min(expiryCheckInterval, p.options.MaxAge-now.since(s.leftCoinGecko)+time.Millisecond)
	case !p.expiryLogged:
		p.expiryLogged = true
		p.options.Logger.Error("Rates have expired and are no longer shown", "fetched", s.leftCoinGecko.wall.UTC().Format(time.RFC3339),
			"max_age", p.options.MaxAge.String())
	}
	return expiryCheckInterval
}

// tooOld reports whether the time since then is above max-age.
func (p *Poller) tooOld(then, now instant) bool { return now.since(then) > p.options.MaxAge }
