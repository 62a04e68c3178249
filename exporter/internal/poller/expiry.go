// Logging of expiry when it happens, not at the next poll.

package poller

import (
	"context"
	"time"
)

// expiryCheck bounds the delay with which an expiry is noticed after a suspend or a change of the clock, which timers ignore.
const expiryCheck = 10 * time.Second

// watchExpiry logs once when the rates expire, until fresh ones arrive. It returns when the context is done. Status needs no event,
// because it computes the age on each call.
func (p *Poller) watchExpiry(ctx context.Context) {
	timer := time.NewTimer(expiryCheck)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.polled:
		case <-timer.C:
		}
		timer.Reset(p.tellExpiry())
	}
}

// tellExpiry returns the time until the next check.
func (p *Poller) tellExpiry() time.Duration {
	p.telling.Lock()
	defer p.telling.Unlock()
	now, s := p.options.clock(), p.known.Load().snapshot
	switch {
	case s == nil:
	case !p.tooOld(s.left, now): // rates of exactly max-age have not expired
		return min(expiryCheck, p.options.MaxAge-now.since(s.left)+time.Millisecond)
	case !p.expired:
		p.expired = true
		p.options.Logger.Error("Rates have expired and are no longer shown", "fetched", s.left.wall.UTC().Format(time.RFC3339),
			"max_age", p.options.MaxAge.String())
	}
	return expiryCheck
}
