// Package poller decides when to poll, and keeps the last good answer until it expires.
//
// It polls on its own timer and not on scrape: CoinGecko's quota is strict, two scrapers would double the requests, and a slow
// upstream must not slow down scrapes.
package poller

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Options configure a Poller. All durations must be above zero.
type Options struct {
	Client      *coingecko.Client
	Interval    time.Duration  // between polls of CoinGecko, and of an upstream without max-age
	MinInterval time.Duration  // least time between polls, whatever a server requests
	MaxAge      time.Duration  // age at which rates expire
	MaxJump     coingecko.Jump // beyond it, a rate is withheld
	BackoffMin  time.Duration  // first wait after 401, 403 and a 429 that names none
	BackoffMax  time.Duration  // longest such wait
	Simulated   bool           // the upstream is the simulator
	Logger      *slog.Logger
	Observers   []Observer

	clock func() instant // nil for the machine's clocks; tests set them apart
}

// Poller polls and keeps the rates. Readers never wait: each poll replaces its state as a whole.
type Poller struct {
	options Options
	backoff *backoff.ExponentialBackOff
	state   atomic.Pointer[state]
	first   chan struct{} // closed once there have been fresh rates
	fresh   sync.Once
	wake    chan struct{} // for watchExpiry, after a poll
	// logOrder keeps log messages of watchExpiry and of polls in the order of events.
	logOrder     sync.Mutex
	expiryLogged bool // and there have been no fresh rates since

	// Used only by the goroutine of Run.
	failuresLogged     map[string]instant // when last, by kind of failure since the last success
	failingSince       time.Time
	failedPolls        int                // since the last log message
	droppedLogged      string             // the reasons
	withheldLogged     map[string]instant // when last, by code
	withheldUnresolved bool               // some were logged, and not yet that none is left
	shortAgeLogged     bool               // that max-age is too short for the upstream's interval
}

// state is the state after a poll. It is immutable once published.
type state struct {
	snapshot *Snapshot // the last good one, even if expired; nil before the first
	polled   time.Time // zero before the first poll
	next     instant
	err      *coingecko.Error
	refused  bool // access was refused and no poll has succeeded since
	interval time.Duration
}

// New creates a poller. It polls only in Run.
func New(o Options) *Poller {
	if o.clock == nil {
		o.clock = systemClock
	}
	p := &Poller{options: o, backoff: backoff.NewExponentialBackOff(), first: make(chan struct{}), wake: make(chan struct{}, 1), failuresLogged: map[string]instant{}, withheldLogged: map[string]instant{}}
	p.backoff.InitialInterval, p.backoff.MaxInterval, p.backoff.Multiplier = o.BackoffMin, o.BackoffMax, 2
	p.backoff.Reset()
	p.state.Store(&state{interval: o.Interval})
	return p
}

// First is closed once there have been fresh rates.
func (p *Poller) First() <-chan struct{} { return p.first }

// Run polls until the context is done, and then returns nil.
func (p *Poller) Run(ctx context.Context) error {
	var watch sync.WaitGroup
	watch.Go(func() { p.watchExpiry(ctx) })
	defer watch.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		next, err := p.poll(ctx)
		if err != nil {
			return nil // the context was done during the poll, which is not a failure
		}
		timer.Reset(next.mono - p.options.clock().mono)
	}
}

// poll polls once, publishes the result and returns the time of the next poll. It fails only if the context is done.
func (p *Poller) poll(ctx context.Context) (next instant, _ error) {
	begun := p.options.clock()
	answer, err := p.options.Client.ExchangeRates(ctx)
	if ctx.Err() != nil {
		return instant{}, ctx.Err()
	}
	ended := p.options.clock()
	before := p.state.Load()
	after := &state{snapshot: before.snapshot, polled: ended.wall, interval: before.interval}
	outcome := Poll{Upstream: answer.Upstream, Duration: ended.mono - begun.mono, Rejected: answer.Rejected}

	if err == nil {
		// Rates count as having left when the request was sent: they may seem older than they are, never younger.
		fresh := p.newSnapshot(before.snapshot, answer, begun.add(-answer.Age), ended)
		if err = p.checkSize(before.snapshot, fresh, answer.Host, ended); err == nil && newer(before.snapshot, fresh, answer.Age, ended) {
			after.snapshot, outcome.Snapshot = fresh, fresh
			if n := len(fresh.received) - len(fresh.Rates); n > 0 {
				answer.Rejected[coingecko.Implausible] += n
			}
			switch {
			case answer.Upstream != coingecko.Relay || answer.MaxAge == 0:
				after.interval = p.options.Interval
			case answer.MaxAge-answer.Age > Retry:
				after.interval = min(answer.MaxAge, maxWait)
			}
		}
	}
	if err != nil {
		after.err, _ = errors.AsType[*coingecko.Error](err) // the client returns no other
		after.refused = before.refused || after.err.Reason == coingecko.Unauthorized
		outcome.Err, outcome.Upstream = after.err, after.err.Upstream
	}
	after.next = ended.add(p.pause(outcome.Duration, answer, after.err) - outcome.Duration)
	// Counters first: a reader that sees the end of a poll must see it counted, because answers are cached.
	for _, o := range p.options.Observers {
		o.Polled(outcome)
	}
	p.state.Store(after)
	select {
	case p.wake <- struct{}{}:
	default: // already woken
	}
	if s := outcome.Snapshot; s != nil && !p.tooOld(s.leftCoinGecko, ended) {
		p.fresh.Do(func() { close(p.first) })
	}
	p.log(outcome, after, ended)
	return after.next, nil
}
