// That rates expire is told when it happens, and not at the next poll.

package poller

import (
	"context"
	"time"
)

// expiryCheck bounds how long an expiry goes unnoticed after the machine was suspended or its clock was set: a timer knows of neither.
const expiryCheck = 10 * time.Second

// watchExpiry logs that the rates have expired, at the moment they do and once until fresh ones come. It returns when the context
// ends. Status needs no such event: it works out the age each time it is asked.
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

// tellExpiry says when to look again.
func (p *Poller) tellExpiry() time.Duration {
	p.telling.Lock()
	defer p.telling.Unlock()
	now, s := p.options.clock(), p.known.Load().snapshot
	switch {
	case s == nil:
	case !p.tooOld(s.left, now): // rates of exactly max-age are still shown
		return min(expiryCheck, p.options.MaxAge-now.since(s.left)+time.Millisecond)
	case !p.expired:
		p.expired = true
		p.options.Logger.Error("Rates have expired and are no longer shown", "fetched", s.left.wall.UTC().Format(time.RFC3339),
			"max_age", p.options.MaxAge.String())
	}
	return expiryCheck
}
