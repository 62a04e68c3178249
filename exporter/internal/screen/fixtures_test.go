// Fixtures: the recorded answer of June 2026 and the day before it.

package screen

import (
	"cmp"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// fetched is when the recorded answer left CoinGecko in these tests.
var fetched = time.Date(2026, 6, 15, 14, 3, 22, 0, time.UTC)

// notYet is the status before the first poll.
var notYet = poller.Status{Now: fetched, Interval: time.Minute, MaxAge: 10 * time.Minute}

// with returns rates with some of them added or replaced.
func with(rates []coingecko.Rate, others ...coingecko.Rate) []coingecko.Rate {
	rates = append(others, rates...)
	slices.SortStableFunc(rates, coingecko.ByCode)
	return slices.CompactFunc(rates, func(a, b coingecko.Rate) bool { return a.Code == b.Code })
}

// moved returns rates as they might have been some minutes earlier: coins and bitcoin move independently.
func moved(rates []coingecko.Rate, minutes int) []coingecko.Rate {
	rates = slices.Clone(rates)
	m := float64(minutes)
	for i, r := range rates {
		if r.Code == "btc" || r.Code == "bits" || r.Code == "sats" {
			continue
		}
		rates[i].Value *= 1 + 0.01*math.Sin(m/200) + 0.00002*m
		if r.Kind() == coingecko.Crypto {
			n := float64(i)
			rates[i].Value *= 1 + 0.02*math.Sin(m/(40+n)+n) + 0.004*math.Sin(m/7+n) - 0.024*math.Sin(n)
		}
	}
	return rates
}

// remember gives a screen the minutes before the recorded answer, except those in a gap.
func remember(s *Screen, rates []coingecko.Rate, minutes int, gap func(int) bool) {
	for m := minutes; m > 0; m-- {
		if gap == nil || !gap(m) {
			for _, simulated := range []bool{false, true} { // whatever the status says
				s.Remember(fetched.Add(-time.Duration(m)*time.Minute), moved(rates, m), simulated)
			}
		}
	}
}

// healthy is a status 23 s after a good poll.
func healthy(rates []coingecko.Rate) poller.Status {
	return poller.Status{
		Now:         fetched.Add(23 * time.Second),
		Snapshot:    &poller.Snapshot{Rates: rates, Upstream: coingecko.CoinGecko},
		Age:         23 * time.Second,
		LastSuccess: fetched,
		LastPoll:    fetched,
		NextPoll:    fetched.Add(time.Minute),
		Interval:    time.Minute,
		MaxAge:      10 * time.Minute,
	}
}

// overdue is a status after failed polls.
func overdue(st poller.Status, err *coingecko.Error, age time.Duration) poller.Status {
	st.Now = fetched.Add(age)
	st.Age = age
	st.Err = err
	st.LastPoll = st.Now.Add(-5 * time.Second)
	st.NextPoll = st.Now.Add(55 * time.Second)
	if age > st.MaxAge {
		st.Snapshot = nil
	}
	return st
}

// withheld is a status with withheld rates.
func withheld(st poller.Status, codes ...string) poller.Status {
	of := *st.Snapshot
	of.Rates = nil
	for _, r := range st.Snapshot.Rates {
		if slices.Contains(codes, r.Code) {
			r.Value = 0
			of.Withheld = append(of.Withheld, r)
		} else {
			of.Rates = append(of.Rates, r)
		}
	}
	st.Snapshot = &of
	return st
}

// simulated is a status with simulated rates.
func simulated(st poller.Status) poller.Status {
	st.Simulated = true
	return st
}

func refusedKey() *coingecko.Error {
	return &coingecko.Error{Reason: coingecko.Unauthorized, Upstream: coingecko.CoinGecko, Host: "api.coingecko.com", Status: 401, Key: "--coingecko.api-key-file"}
}

// newScreen returns a screen with one status until the test sets another.
func newScreen(t testing.TB, o Options, st poller.Status) *Screen {
	t.Helper()
	if o.Status == nil {
		o.Status = func() poller.Status { return st }
	}
	o.Quote, o.LinkBase, o.MetricsPath = cmp.Or(o.Quote, "usd"), ".", cmp.Or(o.MetricsPath, "/metrics")
	var err error
	if o.Thresholds, err = ParseThresholds(DefaultThresholds); err != nil {
		t.Fatal(err)
	}
	o.Version, o.Logger = "1.2.3", slog.New(slog.DiscardHandler)
	s := New(o)
	s.build = "BUILD"
	s.drift = func() time.Duration { return 0 }
	return s
}
