// The poller's state as its readers see it.

package poller

import (
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Snapshot is a good answer and which of its rates are believed. It is immutable once published.
type Snapshot struct {
	Rates     []coingecko.Rate // believed rates, sorted by code
	Withheld  []coingecko.Rate // withheld rates without their values, sorted by code
	Checked   bool             // Rates were compared with earlier ones, here or by the upstream
	Simulated bool             // the rates are not real
	Upstream  coingecko.Upstream

	leftCoinGecko         instant
	received              []coingecko.Rate        // Rates and those withheld here, sorted by code
	believed              map[string]believedRate // last believed rate of each currency, unless too old
	previous              []coingecko.Rate        // rates of the last answer with different content
	previousLeftCoinGecko instant
}

// LeftCoinGecko returns when the rates left CoinGecko, by this machine's clock.
func (s *Snapshot) LeftCoinGecko() time.Time { return s.leftCoinGecko.wall }

// Status is a consistent view of the poller's state at one time.
type Status struct {
	Now         time.Time        // time of this status
	Snapshot    *Snapshot        // nil before the first success and once the rates have expired
	Age         time.Duration    // of the last good rates, even if expired; 0 before the first
	LastSuccess time.Time        // when the last good rates left CoinGecko; zero before the first
	LastPoll    time.Time        // when the last poll ended; zero before the first
	NextPoll    time.Time        // when the next poll is due; zero before the first ended
	Err         *coingecko.Error // why the last poll failed; nil if it succeeded or none has ended
	Refused     bool             // key, plan or host were refused and no poll has succeeded since
	Interval    time.Duration    // poll interval in force; on a relay, that of the poller
	MaxAge      time.Duration    // maximum age in force

	// Previous are the rates of the last answer with different content, sorted by code: CoinGecko repeats an answer until it
	// refreshes. Nil until there are two answers, and once either has expired.
	Previous []coingecko.Rate

	// Simulated reports that the rates are simulated, or were before they expired.
	Simulated bool
}

// Status returns the current state.
func (p *Poller) Status() Status {
	k, now := p.state.Load(), p.options.clock()
	s := Status{
		Now:      now.wall,
		LastPoll: k.polled,
		Err:      k.err,
		Refused:  k.refused,
		Interval: k.interval,
		MaxAge:   p.options.MaxAge,

		Simulated: p.options.Simulated || k.snapshot != nil && k.snapshot.Simulated,
	}
	if !k.polled.IsZero() {
		s.NextPoll = k.next.wall
	}
	if k.snapshot != nil {
		s.LastSuccess = k.snapshot.leftCoinGecko.wall
		s.Age = now.since(k.snapshot.leftCoinGecko)
		if s.Age <= s.MaxAge {
			s.Snapshot = k.snapshot
			if !p.tooOld(k.snapshot.previousLeftCoinGecko, now) {
				s.Previous = k.snapshot.previous
			}
		}
	}
	return s
}

// Up reports whether the last poll succeeded; false before the first.
func (s Status) Up() bool { return !s.LastPoll.IsZero() && s.Err == nil }

// Missed reports that a newer answer is overdue: the last poll failed, or the rates are older than two intervals and a minute
// although it succeeded (a relay whose upstream has no newer rates). The minute is for caches and for a relay's own polls.
func (s Status) Missed() bool {
	return s.Err != nil || s.Age > min(2*s.Interval+time.Minute, s.MaxAge)
}

// Poll is the result of a poll, for observers.
type Poll struct {
	Upstream coingecko.Upstream // the last upstream that was tried
	Duration time.Duration
	Snapshot *Snapshot                   // the new rates; nil if the poll failed or returned nothing newer
	Rejected map[coingecko.Rejection]int // dropped entries by reason
	Err      *coingecko.Error            // nil if the poll succeeded
}

// Observer is called after every poll, before Status shows its result. It runs in the poller's goroutine and must not block.
type Observer interface {
	Polled(Poll)
}
