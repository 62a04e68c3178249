package poller

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// The log says when rates expire, even if the upstream requests an hour's wait or the machine was suspended.
func TestExpiryIsToldWhenItHappens(t *testing.T) {
	count := func(p *rig, message string) int { return strings.Count(p.log.String(), message) }
	const expired, again = "Rates have expired", "Rates are fresh again"
	synctest.Test(t, func(t *testing.T) {
		up := &scripted{body: good}
		p := start(t, up)
		up.status, up.header = 429, http.Header{"Retry-After": {"3600"}}
		pass(10 * time.Minute)
		if n := count(p, expired); n != 0 {
			t.Fatalf("told %d times at the age of max-age, when rates are still shown", n)
		}
		pass(time.Second)
		if n := count(p, expired); n != 1 || len(p.polls) != 2 {
			t.Fatalf("told %d times a second after max-age, after %d polls", n, len(p.polls))
		}
		up.status = 200
		pass(50 * time.Minute)
		if n := count(p, expired); n != 1 {
			t.Errorf("told %d times before fresh rates came", n)
		}
		pass(2 * time.Minute)
		if n := count(p, "Polling recovered"); n != 1 || p.Status().Snapshot == nil {
			t.Errorf("fresh rates were told %d times", n)
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
