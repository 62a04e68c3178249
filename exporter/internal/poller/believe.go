// What of an answer is believed, and what the answer before it said.

package poller

import (
	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// snapshot makes of an answer what is to be known from now on. The rates left CoinGecko at the instant given;
// old is the last good answer, or nil.
func (p *Poller) snapshot(old *Snapshot, answer coingecko.Answer, left, now instant) *Snapshot {
	s := &Snapshot{
		Rates:     answer.Rates,
		Simulated: p.options.Simulated || answer.Simulated,
		Upstream:  answer.Upstream,
		left:      left,
	}
	if old == nil || p.tooOld(old.left, now) || old.Simulated != s.Simulated {
		return s // there is nothing to compare with: simulated rates and real ones have nothing to do with each other
	}
	if sameContent(old.Rates, s.Rates) {
		s.previous, s.previousLeft = old.previous, old.previousLeft
	} else {
		s.previous, s.previousLeft = old.Rates, old.left
	}
	return s
}

// tooOld says whether something is older than rates may be that are shown.
func (p *Poller) tooOld(then, now instant) bool { return now.since(then) > p.options.MaxAge }

// sameContent says whether two answers are one: CoinGecko repeats it until it refreshes its rates. Both are
// sorted by code. A currency that only one of them has makes no other answer, for its rates may still be of
// the same moment.
func sameContent(a, b []coingecko.Rate) bool {
	for _, r := range a {
		if other, ok := coingecko.Find(b, r.Code); ok && other.Value != r.Value {
			return false
		}
	}
	return true
}
