package poller

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Whatever the headers of an answer, a relay's age is never below the true one, and it never pauses longer than a third of max-age. A
// healthy upstream answers first, then one with arbitrary headers and statuses.
func FuzzRelay(f *testing.F) {
	for _, age := range []string{"", "0", "17", "-5", "99999999999999999999", "5\n300", "5, 300", "soon", "1e9", "+3", "0x10"} {
		for _, control := range []string{"", "max-age=-1", "max-age=99999999999999999999", "max-age=3600\nmax-age=5", `public, max-age="60"`, "max-age=soon"} {
			f.Add(uint16(600), uint16(20), "3600", control, age, "none", "true")
		}
	}
	f.Add(uint16(1), uint16(0), "Fri, 25 Jul 2125 14:55:00 GMT", "no-store", "1", "eth, usd", "0\n1")
	f.Add(uint16(65535), uint16(65535), "-1", "", "", "\x00", "")
	f.Fuzz(func(t *testing.T, maxAge, later uint16, retry, control, age, kept, mark string) {
		lines := func(s string) []string { return strings.Split(s, "\n") }
		hostile := http.Header{
			"Retry-After": lines(retry), "X-Ratelimit-Reset": lines(retry), "Cache-Control": lines(control), "Age": lines(age),
			coingecko.WithheldHeader: lines(kept), coingecko.SimulatedHeader: lines(mark),
		}
		for _, status := range []int{200, 401, 429, 503} {
			now := instant{wall: time.Date(2026, 6, 15, 14, 3, 22, 0, time.UTC)}
			header, code := http.Header{}, 200
			p := newPoller(t, func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(`{"rates":{"btc":{"value":1},"usd":{"value":5}}}`))}, nil
			}, asRelay, withJump, func(o *Options, _ *coingecko.Options) {
				o.MaxAge, o.clock = time.Duration(1+int(maxAge))*time.Second, func() instant { return now }
			})
			ask := func() Status {
				next, err := p.poll(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if pause := next.mono - now.mono; pause <= 0 || 3*pause > p.options.MaxAge {
					t.Errorf("status %d: it asks again after %v, and max-age is %v", code, pause, p.options.MaxAge)
				}
				return p.Status()
			}
			ask()
			now = now.add(time.Duration(later) * time.Millisecond)
			header, code = hostile, status
			s := ask()
			took := status == 200 && s.Err == nil
			before := time.Duration(later) * time.Millisecond // the age of the rates that were there, which stay where none are newer
			if took && s.Age != before && s.Age < declared(lines(age)) {
				t.Errorf("Age %q: the rates are taken for %v old", age, s.Age)
			}
			if !took && s.Age != before {
				t.Errorf("status %d: the rates that were there are %v old, and not %v", status, s.Age, before)
			}
			if s.Snapshot != nil && s.Age > s.MaxAge {
				t.Errorf("rates are shown that are %v old", s.Age)
			}
		}
	})
}

// declared returns the largest age among headers, up to the limit.
func declared(headers []string) time.Duration {
	oldest := 0.0
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		if n, err := strconv.ParseFloat(strings.TrimSpace(part), 64); err == nil || n > 0 { // infinite where no number holds it
			oldest = max(oldest, min(n, 1<<31))
		}
	}
	return time.Duration(oldest * float64(time.Second))
}
