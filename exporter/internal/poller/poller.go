// Package poller decides when to ask for rates, and keeps the last good answer for as long as it may be shown.
//
// It polls on its own timer and not when Prometheus scrapes: CoinGecko's quota is hard, two scrapers
// would double the calls, and a slow upstream must not slow a scrape.
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

// What the design sets for everybody.
const (
	MinInterval  = 10 * time.Second // between polls, however asked for
	maxWait      = time.Hour        // however long a server asks to wait
	reminder     = 10 * time.Minute // between two log lines about one trouble that goes on
	ageOfRelayed = time.Second      // how exact the header Age is
)

// Options say how often to poll. All durations are above zero.
type Options struct {
	Client      *coingecko.Client
	Interval    time.Duration  // between polls of CoinGecko, and of a relay that says nothing about it
	MinInterval time.Duration  // however short a wait a server asks for
	MaxAge      time.Duration  // of rates that are shown
	MaxJump     coingecko.Jump // of rates that are shown without being confirmed
	BackoffMin  time.Duration  // after 401, 403 and a 429 without a hint: grows from here
	BackoffMax  time.Duration  // to here
	Simulated   bool           // what is asked is a simulation, also before it has said so
	Logger      *slog.Logger
	Observers   []Observer

	clock func() instant // nil for the machine's; tests move the two clocks apart
}

// Poller asks for rates and keeps them. Its readers never wait: what it knows is swapped whole.
type Poller struct {
	options Options
	backoff *backoff.ExponentialBackOff
	known   atomic.Pointer[knowledge]
	first   chan struct{} // closed when fresh rates were there for the first time
	polled  chan struct{} // tells watchExpiry that there is something new to watch
	// What watchExpiry says and what a poll says of the same rates come one after the other, in the order of the events.
	telling sync.Mutex
	expired bool // watchExpiry said so, and no fresh rates have come since

	// Touched by the goroutine of Run alone.
	seen    bool                 // fresh rates have been there
	trouble map[string]time.Time // when each kind of failure since the last success was last mentioned
	since   time.Time            // when the present trouble began
	failed  int                  // polls since anything was mentioned
	dropped string               // what the last line about dropped entries said
	doubts  map[string]time.Time // when each rate that is withheld was last mentioned, by code
	doubted bool                 // mentioned any since all were confirmed
}

// knowledge is what a finished poll leaves. It is never changed once it was published.
type knowledge struct {
	snapshot *Snapshot // the last good one, however old; nil before the first
	polled   time.Time // zero before the first poll
	next     instant
	err      *coingecko.Error
	refused  bool // access was refused, and no poll has succeeded since
	interval time.Duration
}

// New makes a poller that has asked nothing yet.
func New(o Options) *Poller {
	if o.clock == nil {
		o.clock = systemClock
	}
	p := &Poller{options: o, backoff: backoff.NewExponentialBackOff(), first: make(chan struct{}), polled: make(chan struct{}, 1), trouble: map[string]time.Time{}, doubts: map[string]time.Time{}}
	p.backoff.InitialInterval, p.backoff.MaxInterval, p.backoff.Multiplier = o.BackoffMin, o.BackoffMax, 2
	p.backoff.Reset()
	p.known.Store(&knowledge{interval: o.Interval})
	return p
}

// First is closed once fresh rates have been there.
func (p *Poller) First() <-chan struct{} { return p.first }

// Status is what is known now.
func (p *Poller) Status() Status {
	k, now := p.known.Load(), p.options.clock()
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
		s.LastSuccess = k.snapshot.left.wall
		s.Age = now.since(k.snapshot.left)
		if s.Age <= s.MaxAge {
			s.Snapshot = k.snapshot
			if !p.tooOld(k.snapshot.previousLeft, now) {
				s.Previous = k.snapshot.previous
			}
		}
	}
	return s
}

// Run polls until the context ends. It returns nil then.
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
			return nil // the context ended within the poll, which is no failure of anybody
		}
		timer.Reset(max(0, next.mono-p.options.clock().mono))
	}
}

// poll asks once, publishes the outcome and says when to ask again. It fails only when the context ended.
func (p *Poller) poll(ctx context.Context) (next instant, _ error) {
	begun := p.options.clock()
	answer, err := p.options.Client.ExchangeRates(ctx)
	if ctx.Err() != nil {
		return instant{}, ctx.Err()
	}
	ended := p.options.clock()
	before := p.known.Load()
	after := &knowledge{snapshot: before.snapshot, polled: ended.wall, interval: before.interval}
	outcome := Poll{Upstream: answer.Upstream, Duration: ended.mono - begun.mono, Rejected: answer.Rejected}

	if err == nil {
		// The rates are as old as if they had left when they were asked for: older, never younger.
		fresh := p.snapshot(before.snapshot, answer, begun.add(-answer.Age), ended)
		if err = p.shrunk(before.snapshot, fresh, answer.Host, ended); err == nil && newer(before.snapshot, fresh, answer.Age, ended) {
			after.snapshot, outcome.Snapshot = fresh, fresh
			if n := len(fresh.sent) - len(fresh.Rates); n > 0 {
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
	after.next = p.next(begun, ended, answer, after.err)
	// Counters first: whoever sees that a poll has ended sees it counted, too, and may keep what he saw for a while.
	for _, o := range p.options.Observers {
		o.Polled(outcome)
	}
	p.known.Store(after)
	select {
	case p.polled <- struct{}{}:
	default: // it is told already
	}
	if s := outcome.Snapshot; s != nil && !p.seen && !p.tooOld(s.left, ended) {
		p.seen = true
		close(p.first)
	}
	p.log(outcome, after, ended)
	return after.next, nil
}

// shrunk refuses an answer that lost more than half of the currencies. It compares with rates that are
// still shown only: once they have expired there is nothing left to protect.
func (p *Poller) shrunk(old, fresh *Snapshot, host string, now instant) error {
	if old == nil || p.tooOld(old.left, now) || old.Simulated != fresh.Simulated || 2*fresh.size() >= old.size() {
		return nil
	}
	return &coingecko.Error{
		Reason:   coingecko.BadPayload,
		Upstream: fresh.Upstream,
		Host:     host,
		Detail:   fmt.Sprintf("%d usable entries, fewer than half of the %d before", fresh.size(), old.size()),
	}
}

// newer says whether an answer brings rates that left CoinGecko later than those at hand. Of two relays
// behind one name, one may lag: time must not run backwards. The age that an answer declares is not exact.
// Between simulated rates and real ones there is no order: a relay that is turned to the others shows those.
func newer(old, fresh *Snapshot, age time.Duration, now instant) bool {
	inexact := time.Duration(0)
	if age > 0 {
		inexact = ageOfRelayed
	}
	return old == nil || old.Simulated != fresh.Simulated || now.since(old.left)-now.since(fresh.left) > inexact
}

// next says when to ask again.
func (p *Poller) next(begun, ended instant, answer coingecko.Answer, err *coingecko.Error) instant {
	if err == nil {
		p.backoff.Reset()
	}
	switch {
	case err == nil && answer.Upstream == coingecko.Relay:
		// A second more than it says, so that its own poll has ended. A price from a cache that says that it is good for
		// an hour, or a poller that was told to wait for one, must not keep this one from asking somebody who is well.
		due := begun.add(p.options.Interval)
		switch {
		case answer.Age > p.options.MaxAge: // is as good as no answer
			due = begun.add(p.options.MinInterval)
		case answer.MaxAge > 0:
			due = ended.add(max(answer.MaxAge-answer.Age+time.Second, p.options.MinInterval))
		}
		return earlier(due, begun.add(p.longestPause()))
	case err != nil && err.Upstream == coingecko.Relay:
		// Whatever it asked for: its trouble is no pause of this one, and a poll of it spends no quota.
		return begun.add(min(p.options.MinInterval, p.longestPause()))
	case err == nil:
	case err.Reason == coingecko.RateLimited && err.Wait > 0:
		return ended.add(min(max(err.Wait, p.options.MinInterval), maxWait))
	case err.Reason == coingecko.RateLimited, err.Reason == coingecko.Unauthorized:
		// The library's jitter may leave the bounds by half.
		return ended.add(min(max(p.backoff.NextBackOff(), p.options.BackoffMin), p.options.BackoffMax))
	}
	// From begin to begin: a month's quota is counted in polls, not in pauses.
	return begun.add(p.options.Interval)
}

// longestPause is that of a relay: there are two more polls before its rates expire.
func (p *Poller) longestPause() time.Duration { return p.options.MaxAge / 3 }

func asError(err error) *coingecko.Error {
	e, ok := errors.AsType[*coingecko.Error](err)
	if !ok { // the client promises to return no other
		panic("poller: not a *coingecko.Error: " + err.Error())
	}
	return e
}

// log says what changed, and repeats a trouble that goes on only now and then.
func (p *Poller) log(o Poll, k *knowledge, now instant) {
	l := p.options.Logger
	p.logDropped(o.Rejected)
	if o.Snapshot != nil {
		p.logWithheld(o.Snapshot, now)
	}
	if o.Err == nil {
		// A relay whose polls succeed may bring rates that have expired, and then fresh ones.
		p.telling.Lock()
		defer p.telling.Unlock()
		returned := p.expired && o.Snapshot != nil && !p.tooOld(o.Snapshot.left, now)
		p.expired = p.expired && !returned
		switch {
		case len(p.trouble) > 0:
			l.Info("Polling recovered", "upstream", o.Upstream, "after", now.wall.Sub(p.since).Round(time.Second).String())
		case returned:
			l.Info("Rates are fresh again", "upstream", o.Upstream)
		}
		clear(p.trouble)
		p.failed = 0
		l.Debug("Poll succeeded", "upstream", o.Upstream, "duration", o.Duration.String(), "new", o.Snapshot != nil)
		return
	}
	p.failed++
	if len(p.trouble) == 0 {
		p.since = now.wall
	}
	// Details such as an address or a wait may differ each time, and are no news. Nor is it when two
	// kinds of failure take turns.
	trouble := o.Err.Explain()
	if mentioned, known := p.trouble[trouble]; !known || now.wall.Sub(mentioned) >= reminder {
		l = l.With("reason", string(o.Err.Reason), "err", o.Err.Error())
		if o.Err.Excerpt != "" {
			l = l.With("body", o.Err.Excerpt)
		}
		l.Warn("Poll failed", "advice", trouble, "failed_polls", p.failed, "next", k.next.wall.UTC().Format(time.RFC3339))
		p.trouble[trouble], p.failed = now.wall, 0
	} else {
		l.Debug("Poll failed again", "reason", string(o.Err.Reason), "err", o.Err.Error())
	}
}

func (p *Poller) logDropped(rejected map[coingecko.Rejection]int) {
	rejected = maps.Clone(rejected)
	delete(rejected, coingecko.Implausible) // of which logWithheld tells
	dropped := ""
	if len(rejected) > 0 {
		dropped = fmt.Sprint(rejected) // fmt sorts a map's keys
	}
	if dropped != p.dropped && dropped != "" {
		p.options.Logger.Warn("Entries were dropped from the answer", "reasons", dropped)
	}
	p.dropped = dropped
}
