package poller

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// The last good rates stay until they are older than max-age. The log says when they expire, even if the upstream requests an hour's wait
// or the machine was suspended.
func TestExpiryIsToldWhenItHappens(t *testing.T) {
	count := func(p *rig, message string) int { return strings.Count(p.log.String(), message) }
	const expired, again = "Rates have expired", "Rates are fresh again"
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{body: good}
		p := start(t, up)
		first := p.Status().Snapshot
		up.status, up.header = 429, http.Header{"Retry-After": {"3600"}}
		pass(time.Minute)
		if s := p.Status(); s.Up() || !s.Missed() || s.Snapshot != first || s.Err.Reason != coingecko.RateLimited || s.Age != time.Minute {
			t.Errorf("after a failed poll: %+v", s)
		}
		pass(9 * time.Minute)
		if s, n := p.Status(), count(p, expired); s.Age != 10*time.Minute || s.Snapshot != first || n != 0 {
			t.Errorf("at the age of max-age: told %d times, %+v", n, s)
		}
		pass(time.Nanosecond)
		if s := p.Status(); s.Snapshot != nil || s.LastSuccess.IsZero() || s.Age != 10*time.Minute+1 {
			t.Errorf("beyond max-age: %+v", s)
		}
		pass(time.Second)
		if n := count(p, expired); n != 1 || len(p.polls) != 2 {
			t.Errorf("told %d times a second after max-age, after %d polls", n, len(p.polls))
		}
		up.status = 200
		pass(50 * time.Minute)
		if n := count(p, expired); n != 1 {
			t.Errorf("told %d times before fresh rates came", n)
		}
		pass(time.Minute)
		if s, n := p.Status(), count(p, "Polling recovered"); n != 1 || !s.Up() || s.Snapshot == nil || s.Snapshot == first || s.Err != nil || s.Age >= time.Minute {
			t.Errorf("fresh rates were told %d times: %+v", n, s)
		}
		if failures := p.count(func(p Poll) bool { return p.Err != nil }); failures != 1 || len(p.polls) != 3 {
			t.Errorf("%d failures of %d polls, want 1 of 3: each failed poll counts once", failures, len(p.polls))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := start(t, testbed.Answers(200, good))
		pass(time.Second)
		takeTurn()
		p.shift = time.Hour // a suspend stops the clock that timers go by
		pass(expiryCheckInterval)
		if n := count(p, expired); n != 1 {
			t.Errorf("told %d times after a suspend", n)
		}
		pass(time.Minute)
		if e, a := count(p, expired), count(p, again); e != 1 || a != 1 {
			t.Errorf("with the next poll: expired %d times, coming again %d times", e, a)
		}
	})
}
