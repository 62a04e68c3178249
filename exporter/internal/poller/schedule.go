// When the next poll is due: after a success, after a failure with back-off, and on a relay.

package poller

import (
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Fixed limits.
const (
	MinInterval = 10 * time.Second // least time between polls
	maxWait     = time.Hour        // longest wait that a server can request
	// Retry is the lifetime of an answer, and Retry-After, while polls fail: it says nothing of the interval. It does not depend
	// on how long this exporter itself waits: by then, a healthy pod may have replaced it.
	Retry = 10 * time.Second
)

// pause returns the time from the beginning of a poll to that of the next one, because the monthly quota counts polls. The poll took
// some time, and returned answer or err.
func (p *Poller) pause(took time.Duration, answer coingecko.Answer, err *coingecko.Error) time.Duration {
	if err == nil {
		p.backoff.Reset()
	}
	// The longest pause between polls of a relay leaves two more polls before the rates expire.
	least, most := p.options.MinInterval, p.options.MaxAge/3
	if answer.SpentQuota { // the relay was tried after CoinGecko, and will be again
		least = p.options.Interval
		most = max(least, most)
	}
	switch {
	case err == nil && answer.Upstream == coingecko.Relay:
		// One second after the upstream's next poll is due, so that it has ended. A cache or a poller that names an hour
		// must not keep this exporter from polling a healthy replacement.
		due := p.options.Interval
		switch {
		case answer.Age > p.options.MaxAge: // the same as no answer
			due = least
		case answer.MaxAge > 0:
			due = max(least, took+max(answer.MaxAge-answer.Age+time.Second, p.options.MinInterval))
		}
		return min(due, most)
	case err != nil && err.Upstream == coingecko.Relay:
		// Whatever the upstream requests: polls of another exporter use no quota.
		return min(least, most)
	case err == nil:
	case err.Reason == coingecko.RateLimited && err.Wait > 0:
		return took + min(max(err.Wait, p.options.MinInterval), maxWait)
	case err.Reason == coingecko.RateLimited, err.Reason == coingecko.Unauthorized:
		// The library's jitter may exceed the bounds by half.
		return took + min(max(p.backoff.NextBackOff(), p.options.BackoffMin), p.options.BackoffMax)
	}
	return p.options.Interval
}

// LeastMaxAge returns the maximum age, in whole seconds, at which one missed poll does not make the rates stale: the rules call rates
// stale from three quarters of it on, and after a missed poll they are two intervals old.
func LeastMaxAge(interval time.Duration) time.Duration {
	return (interval * 8 / 3).Truncate(time.Second) + time.Second
}
