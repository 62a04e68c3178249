// What of an answer is believed, and what the answer before it said.

package poller

import (
	"maps"
	"slices"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// belief is a rate that was believed.
type belief struct {
	value float64
	left  instant // when it left CoinGecko
}

// snapshot makes of an answer what is to be known from now on. The rates left CoinGecko at the instant given;
// old is the last good answer, or nil.
func (p *Poller) snapshot(old *Snapshot, answer coingecko.Answer, left, now instant) *Snapshot {
	s := &Snapshot{
		Rates:     answer.Rates,
		Withheld:  answer.Withheld,
		Checked:   answer.Checked,
		Simulated: p.options.Simulated || answer.Simulated,
		Upstream:  answer.Upstream,
		left:      left,
		sent:      answer.Rates,
	}
	if old == nil || p.tooOld(old.left, now) || old.Simulated != s.Simulated {
		return s // there is nothing to compare with: simulated rates and real ones have nothing to do with each other
	}
	repeated := sameContent(old.sent, s.sent)
	if p.options.MaxJump > 0 && !s.Checked { // who sent marked rates knows more of those before them
		s.Checked = old.Checked || !repeated
		p.withhold(s, old, repeated, now)
	}
	s.before = p.forgotten(s, old, now)
	if repeated {
		s.previous, s.previousLeft = old.previous, old.previousLeft
	} else {
		s.previous, s.previousLeft = p.witnesses(s, old), old.left
	}
	return s
}

// withhold keeps back each rate that is implausible: far from the one that was believed before, unless the answer
// before this one, with other content, said nearly the same. That one counts only if it was kept back itself.
//
// A rate that was kept back needs such a witness also when what was believed before it has become too old: an
// answer that is repeated for long enough is no truer for that.
func (p *Poller) withhold(s, old *Snapshot, repeated bool, now instant) {
	rates := make([]coingecko.Rate, 0, len(s.sent))
	for _, r := range s.sent {
		was, young := old.believed(r.Code)
		young = young && !p.tooOld(was.left, now)
		doubtful, doubted := old.doubted(r.Code)
		switch {
		case !young && !doubted,
			young && p.near(r.Value, was.value),
			doubted && !repeated && p.near(r.Value, doubtful):
			rates = append(rates, r)
		default:
			s.Withheld = append(s.Withheld, r.Code)
		}
	}
	s.Rates = rates
}

// near says whether two rates are so close that one makes the other plausible.
func (p *Poller) near(a, b float64) bool {
	return a <= b*p.options.MaxJump && b <= a*p.options.MaxJump
}

// believed is the last rate of a currency that was believed, if there is one.
func (s *Snapshot) believed(code string) (belief, bool) {
	if r, ok := coingecko.Find(s.Rates, code); ok {
		return belief{r.Value, s.left}, true
	}
	b, ok := s.before[code]
	return b, ok
}

// doubted is the rate of a currency that was sent and kept back, if there is one.
func (s *Snapshot) doubted(code string) (float64, bool) {
	if _, withheld := slices.BinarySearch(s.Withheld, code); !withheld {
		return 0, false
	}
	r, ok := coingecko.Find(s.sent, code)
	return r.Value, ok
}

// forgotten is what was believed of currencies whose rates are not shown now, as long as it is young enough to
// be compared with.
func (p *Poller) forgotten(s, old *Snapshot, now instant) map[string]belief {
	b := map[string]belief{}
	for _, r := range old.Rates {
		b[r.Code] = belief{r.Value, old.left}
	}
	maps.Copy(b, old.before) // none of which is among old.Rates
	maps.DeleteFunc(b, func(code string, was belief) bool {
		_, shown := coingecko.Find(s.Rates, code)
		return shown || p.tooOld(was.left, now)
	})
	return b
}

// witnesses are the rates of the answer before: those that were believed, and those that this one confirms.
func (p *Poller) witnesses(s, old *Snapshot) []coingecko.Rate {
	if len(old.sent) == len(old.Rates) {
		return old.Rates
	}
	return slices.DeleteFunc(slices.Clone(old.sent), func(r coingecko.Rate) bool {
		if _, doubted := old.doubted(r.Code); !doubted {
			return false
		}
		confirmed, ok := coingecko.Find(s.Rates, r.Code)
		return !ok || !p.near(confirmed.Value, r.Value)
	})
}

// size is how many usable rates an answer had, and those that the sender kept back.
func (s *Snapshot) size() int { return len(s.Rates) + len(s.Withheld) }

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

// list is a set of codes for the log: all of a few, and otherwise how many more.
func list(codes []string) string {
	const most = 10
	if len(codes) <= most {
		return strings.Join(codes, ", ")
	}
	return strings.Join(codes[:most], ", ") + ", and others"
}
