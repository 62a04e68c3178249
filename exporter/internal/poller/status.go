// What the poller knows, as its readers see it.

package poller

import (
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Snapshot is one good answer, and what is believed of it. It is never changed once it was published.
type Snapshot struct {
	Rates     []coingecko.Rate // that are believed, sorted by code
	Withheld  []coingecko.Rate // that are not confirmed yet, without their values, sorted by code
	Checked   bool             // Rates were compared with those before them, here or by who sent them
	Simulated bool             // the rates are not real
	Upstream  coingecko.Upstream

	left         instant           // when the rates left CoinGecko
	sent         []coingecko.Rate  // all that came, sorted by code: Rates, and what was withheld here
	before       map[string]belief // what was believed of currencies that are not among Rates, while it is young
	previous     []coingecko.Rate  // of the last answer whose content differed
	previousLeft instant           // when that was last sent
}

// Left is when the rates left CoinGecko, by this machine's clock.
func (s *Snapshot) Left() time.Time { return s.left.wall }

// Status is the poller's knowledge at one moment. Its parts belong together.
type Status struct {
	Now         time.Time        // when this was asked
	Snapshot    *Snapshot        // the rates; nil before the first success and once they are older than MaxAge
	Age         time.Duration    // of the last good rates, also when they have expired; 0 before the first
	LastSuccess time.Time        // when the last good rates left CoinGecko; zero before the first
	LastPoll    time.Time        // when the last poll ended; zero before the first
	NextPoll    time.Time        // when the next poll is due; zero before the first ended
	Err         *coingecko.Error // why the last poll failed; nil if it succeeded or none has ended
	Refused     bool             // key, plan or host were refused, and no poll has succeeded since
	Interval    time.Duration    // between polls, in force: of a relay's polls, the one of whoever asks CoinGecko
	MaxAge      time.Duration    // of rates, in force

	// Previous are the rates of the last answer before Snapshot whose content differed, sorted by code: CoinGecko
	// repeats an answer until it refreshes. Nil before there were two, and once either is older than MaxAge.
	Previous []coingecko.Rate

	// Simulated says that the rates are not real, or were not before they expired.
	Simulated bool
}

// Up says whether the last poll succeeded; false before the first.
func (s Status) Up() bool { return !s.LastPoll.IsZero() && s.Err == nil }

// Missed says that a newer answer should be here by now: the last poll failed, or the rates are
// older than two intervals although it succeeded (a relay whose own upstream is down).
func (s Status) Missed() bool {
	return s.Err != nil || s.Age > 2*s.Interval
}

// Poll is one finished poll, as observers get it.
type Poll struct {
	Upstream coingecko.Upstream // who was asked last
	Duration time.Duration
	Snapshot *Snapshot                   // the new rates; nil when the poll failed or brought nothing newer
	Rejected map[coingecko.Rejection]int // entries that were dropped, by reason
	Err      *coingecko.Error            // nil when the poll succeeded
}

// Observer is told of every poll, after it ended and before Status tells its outcome.
// It is called from the poller's goroutine and must not block.
type Observer interface {
	Polled(Poll)
}
