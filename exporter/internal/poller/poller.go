// Package poller decides when to poll, and keeps the last good answer until it expires.
//
// It polls on its own timer and not on scrape: CoinGecko's quota is strict, two scrapers would double the requests, and a slow
// upstream must not slow down scrapes.
package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Fixed limits.
const (
	MinInterval         = 10 * time.Second // least time between polls
	maxWait             = time.Hour        // longest wait that a server can request
	logReminder         = 10 * time.Minute // between log messages about a failure that lasts
	ageHeaderResolution = time.Second
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
	wake    chan struct{} // for watchExpiry, after a poll
	// logOrder keeps log messages of watchExpiry and of polls in the order of events.
	logOrder     sync.Mutex
	expiryLogged bool // and there have been no fresh rates since

	// Used only by the goroutine of Run.
	hadFreshRates      bool
	failuresLogged     map[string]time.Time // when last, by kind of failure since the last success
	failingSince       time.Time
	failedPolls        int                  // since the last log message
	droppedLogged      string               // the reasons
	withheldLogged     map[string]time.Time // when last, by code
	withheldUnresolved bool                 // some were logged, and not yet that none is left
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
	p := &Poller{options: o, backoff: backoff.NewExponentialBackOff(), first: make(chan struct{}), wake: make(chan struct{}, 1), failuresLogged: map[string]time.Time{}, withheldLogged: map[string]time.Time{}}
	p.backoff.InitialInterval, p.backoff.MaxInterval, p.backoff.Multiplier = o.BackoffMin, o.BackoffMax, 2
	p.backoff.Reset()
	p.state.Store(&state{interval: o.Interval})
	return p
}

// First is closed once there have been fresh rates.
func (p *Poller) First() <-chan struct{} { return p.first }

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
		timer.Reset(max(0, next.mono-p.options.clock().mono))
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
			after.interval = p.options.Interval
			if answer.Upstream == coingecko.Relay && answer.MaxAge > 0 {
				after.interval = min(answer.MaxAge, maxWait)
			}
		}
	}
	if err != nil {
		after.err = asError(err)
		after.refused = before.refused || after.err.Reason == coingecko.Unauthorized
		outcome.Err, outcome.Upstream = after.err, after.err.Upstream
	}
	after.next = p.nextPoll(begun, ended, answer, after.err)
	// Counters first: a reader that sees the end of a poll must see it counted, because answers are cached.
	for _, o := range p.options.Observers {
		o.Polled(outcome)
	}
	p.state.Store(after)
	select {
	case p.wake <- struct{}{}:
	default: // already woken
	}
	if s := outcome.Snapshot; s != nil && !p.hadFreshRates && !p.tooOld(s.leftCoinGecko, ended) {
		p.hadFreshRates = true
		close(p.first)
	}
	p.log(outcome, after, ended)
	return after.next, nil
}

// checkSize returns an error for an answer with fewer than half of the currencies of the last one, unless that one has expired.
func (p *Poller) checkSize(old, fresh *Snapshot, host string, now instant) error {
	if old == nil || p.tooOld(old.leftCoinGecko, now) || old.Simulated != fresh.Simulated || 2*fresh.size() >= old.size() {
		return nil
	}
	return &coingecko.Error{
		Reason:   coingecko.BadPayload,
		Upstream: fresh.Upstream,
		Host:     host,
		Detail:   fmt.Sprintf("%d usable entries, fewer than half of the %d before", fresh.size(), old.size()),
	}
}

// newer reports whether the rates of an answer left CoinGecko later than the current ones. Of two upstreams behind one name, one may
// lag, and rates must not go back in time. The declared age is not exact. Simulated and real rates have no order: if the upstream
// changes from one to the other, the new ones are used.
func newer(old, fresh *Snapshot, age time.Duration, now instant) bool {
	inexact := time.Duration(0)
	if age > 0 {
		inexact = ageHeaderResolution
	}
	return old == nil || old.Simulated != fresh.Simulated || now.since(old.leftCoinGecko)-now.since(fresh.leftCoinGecko) > inexact
}

func (p *Poller) nextPoll(begun, ended instant, answer coingecko.Answer, err *coingecko.Error) instant {
	if err == nil {
		p.backoff.Reset()
	}
	switch {
	case err == nil && answer.Upstream == coingecko.Relay:
		// One second after the upstream's next poll is due, so that it has ended. A cache or a poller that names an hour
		// must not keep this exporter from polling a healthy replacement.
		due := begun.add(p.options.Interval)
		switch {
		case answer.Age > p.options.MaxAge: // the same as no answer
			due = begun.add(p.options.MinInterval)
		case answer.MaxAge > 0:
			due = ended.add(max(answer.MaxAge-answer.Age+time.Second, p.options.MinInterval))
		}
		return earlier(due, begun.add(p.longestPause()))
	case err != nil && err.Upstream == coingecko.Relay:
		// Whatever the upstream requests: polls of another exporter use no quota.
		return begun.add(min(p.options.MinInterval, p.longestPause()))
	case err == nil:
	case err.Reason == coingecko.RateLimited && err.Wait > 0:
		return ended.add(min(max(err.Wait, p.options.MinInterval), maxWait))
	case err.Reason == coingecko.RateLimited, err.Reason == coingecko.Unauthorized:
		// The library's jitter may exceed the bounds by half.
		return ended.add(min(max(p.backoff.NextBackOff(), p.options.BackoffMin), p.options.BackoffMax))
	}
	// From begin to begin, because the monthly quota counts polls.
	return begun.add(p.options.Interval)
}

// longestPause is the longest time between polls of a relay. It leaves two more polls before the rates expire.
func (p *Poller) longestPause() time.Duration { return p.options.MaxAge / 3 }

func asError(err error) *coingecko.Error {
	e, ok := errors.AsType[*coingecko.Error](err)
	if !ok { // the client returns no other
		panic("poller: not a *coingecko.Error: " + err.Error())
	}
	return e
}

// log logs changes, and repeats a failure that lasts only at every reminder.
func (p *Poller) log(o Poll, k *state, now instant) {
	l := p.options.Logger
	p.logDropped(o.Rejected)
	if o.Snapshot != nil {
		p.logWithheld(o.Snapshot, now)
	}
	if o.Err == nil {
		// Polls of a relay may succeed with expired rates, and later with fresh ones.
		p.logOrder.Lock()
		defer p.logOrder.Unlock()
		returned := p.expiryLogged && o.Snapshot != nil && !p.tooOld(o.Snapshot.leftCoinGecko, now)
		p.expiryLogged = p.expiryLogged && !returned
		switch {
		case len(p.failuresLogged) > 0:
			l.Info("Polling recovered", "upstream", o.Upstream, "after", now.wall.Sub(p.failingSince).Round(time.Second).String())
		case returned:
			l.Info("Rates are fresh again", "upstream", o.Upstream)
		}
		clear(p.failuresLogged)
		p.failedPolls = 0
		l.Debug("Poll succeeded", "upstream", o.Upstream, "duration", o.Duration.String(), "new", o.Snapshot != nil)
		return
	}
	p.failedPolls++
	if len(p.failuresLogged) == 0 {
		p.failingSince = now.wall
	}
	// Details such as an address or a wait may differ each time and are not news, nor is an alternation of two kinds of
	// failure.
	trouble := o.Err.Explain()
	if mentioned, known := p.failuresLogged[trouble]; !known || now.wall.Sub(mentioned) >= logReminder {
		l = l.With("reason", string(o.Err.Reason), "err", o.Err.Error())
		if o.Err.Excerpt != "" {
			l = l.With("body", o.Err.Excerpt)
		}
		l.Warn("Poll failed", "advice", trouble, "failed_polls", p.failedPolls, "next", k.next.wall.UTC().Format(time.RFC3339))
		p.failuresLogged[trouble], p.failedPolls = now.wall, 0
	} else {
		l.Debug("Poll failed again", "reason", string(o.Err.Reason), "err", o.Err.Error())
	}
}

func (p *Poller) logDropped(rejected map[coingecko.Rejection]int) {
	rejected = maps.Clone(rejected)
	delete(rejected, coingecko.Implausible) // logged by logWithheld
	dropped := ""
	if len(rejected) > 0 {
		dropped = fmt.Sprint(rejected) // fmt sorts a map's keys
	}
	if dropped != p.droppedLogged && dropped != "" {
		p.options.Logger.Warn("Entries were dropped from the answer", "reasons", dropped)
	}
	p.droppedLogged = dropped
}
