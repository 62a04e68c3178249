// Which answers are used, which of their rates are believed, and the previous answer.

package poller

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

type believedRate struct {
	coingecko.Rate
	leftCoinGecko instant
}

// newSnapshot creates the snapshot of an answer whose rates left CoinGecko at left. old is the last snapshot, or nil.
func (p *Poller) newSnapshot(old *Snapshot, answer coingecko.Answer, left, now instant) *Snapshot {
	s := &Snapshot{
		Rates:         answer.Rates,
		Checked:       answer.Checked,
		Simulated:     p.options.Simulated || answer.Simulated,
		Upstream:      answer.Upstream,
		leftCoinGecko: left,
		received:      answer.Rates,
	}
	for _, code := range answer.Withheld {
		s.Withheld = append(s.Withheld, coingecko.Rate{Code: code})
	}
	if old == nil || p.tooOld(old.leftCoinGecko, now) || old.Simulated != s.Simulated {
		s.believe(nil) // nothing to compare with: simulated and real rates are unrelated
		return s
	}
	for i, r := range s.Withheld {
		s.Withheld[i] = withoutValue(r.Code, old.believed[r.Code].Rate)
	}
	repeated := s.repeats(old)
	if p.options.MaxJump > 0 && !s.Checked { // the upstream of checked rates has compared them with more earlier ones
		s.Checked = old.Checked || !repeated
		p.withholdImplausible(s, old, repeated, now)
	}
	s.believe(old.believed)
	maps.DeleteFunc(s.believed, func(_ string, was believedRate) bool { return p.tooOld(was.leftCoinGecko, now) })
	if repeated {
		s.previous, s.previousLeftCoinGecko = old.previous, old.previousLeftCoinGecko
	} else {
		s.previous, s.previousLeftCoinGecko = p.previousRates(s, old), old.leftCoinGecko
	}
	return s
}

// withholdImplausible withholds rates that are far from the last believed one, unless the previous answer has different content and a
// similar rate that was withheld too.
//
// A withheld rate needs such a confirmation even if the last believed rate has become too old: repeating an answer does not confirm
// it.
func (p *Poller) withholdImplausible(s, old *Snapshot, repeated bool, now instant) {
	rates := make([]coingecko.Rate, 0, len(s.received))
	for _, r := range s.received {
		var believed, doubted *float64
		if was, ok := old.believed[r.Code]; ok && !p.tooOld(was.leftCoinGecko, now) {
			believed = &was.Value
		}
		if value, ok := old.withheldValue(r.Code); ok {
			doubted = &value
		}
		if p.options.MaxJump.Believes(r.Value, believed, doubted, repeated) {
			rates = append(rates, r)
		} else {
			s.Withheld = append(s.Withheld, withoutValue(r.Code, r))
		}
	}
	s.Rates = rates
}

// withoutValue returns the parts of a withheld rate that may be shown.
func withoutValue(code string, r coingecko.Rate) coingecko.Rate {
	r.Code, r.Value = code, 0
	return r
}

// believe records the last believed rate of each currency: that of this answer, or else an earlier one.
func (s *Snapshot) believe(earlier map[string]believedRate) {
	s.believed = map[string]believedRate{}
	maps.Copy(s.believed, earlier)
	for _, r := range s.Rates {
		s.believed[r.Code] = believedRate{r, s.leftCoinGecko}
	}
}

// withheldValue returns the withheld rate of a currency, if it was sent.
func (s *Snapshot) withheldValue(code string) (float64, bool) {
	if _, withheld := coingecko.Find(s.Withheld, code); !withheld {
		return 0, false
	}
	r, ok := coingecko.Find(s.received, code)
	return r.Value, ok
}

// previousRates returns the rates of the previous answer: the believed ones, and those that this answer confirms.
func (p *Poller) previousRates(s, old *Snapshot) []coingecko.Rate {
	if len(old.received) == len(old.Rates) {
		return old.Rates
	}
	return slices.DeleteFunc(slices.Clone(old.received), func(r coingecko.Rate) bool {
		if _, doubted := old.withheldValue(r.Code); !doubted {
			return false
		}
		confirmed, ok := coingecko.Find(s.Rates, r.Code)
		return !ok || !p.options.MaxJump.Near(confirmed.Value, r.Value)
	})
}

// size returns the number of usable rates, including those that the upstream withholds.
func (s *Snapshot) size() int { return len(s.Rates) + len(s.Withheld) }

// repeats reports whether two answers are the same: CoinGecko repeats an answer until it refreshes.
func (s *Snapshot) repeats(old *Snapshot) bool {
	return sameContent(old.received, s.received) && !s.withholdsRateOf(old) && !old.withholdsRateOf(s)
}

// withholdsRateOf reports whether the upstream withholds a rate that the other answer has, which makes it a different answer.
func (s *Snapshot) withholdsRateOf(other *Snapshot) bool {
	return slices.ContainsFunc(s.Withheld, func(r coingecko.Rate) bool {
		_, here := coingecko.Find(s.received, r.Code)
		_, there := coingecko.Find(other.received, r.Code)
		return there && !here
	})
}

// sameContent reports whether all common rates of two answers are equal. Both are sorted by code. A currency that is only in one of
// them does not make a different answer, because the rates may still be of the same time.
func sameContent(a, b []coingecko.Rate) bool {
	for _, r := range a {
		if other, ok := coingecko.Find(b, r.Code); ok && other.Value != r.Value {
			return false
		}
	}
	return true
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
		inexact = time.Second // the header's resolution
	}
	return old == nil || old.Simulated != fresh.Simulated || now.since(old.leftCoinGecko)-now.since(fresh.leftCoinGecko) > inexact
}
