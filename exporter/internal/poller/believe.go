// What of an answer is believed, and what the answer before it said.

package poller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// belief is a rate that was believed.
type belief struct {
	coingecko.Rate
	left instant // when it left CoinGecko
}

// snapshot makes of an answer what is to be known from now on. The rates left CoinGecko at the instant given;
// old is the last good answer, or nil.
func (p *Poller) snapshot(old *Snapshot, answer coingecko.Answer, left, now instant) *Snapshot {
	s := &Snapshot{
		Rates:     answer.Rates,
		Checked:   answer.Checked,
		Simulated: p.options.Simulated || answer.Simulated,
		Upstream:  answer.Upstream,
		left:      left,
		sent:      answer.Rates,
	}
	for _, code := range answer.Withheld {
		s.Withheld = append(s.Withheld, coingecko.Rate{Code: code})
	}
	if old == nil || p.tooOld(old.left, now) || old.Simulated != s.Simulated {
		return s // there is nothing to compare with: simulated rates and real ones have nothing to do with each other
	}
	for i, r := range s.Withheld {
		was, _ := old.believed(r.Code)
		s.Withheld[i] = withoutValue(r.Code, was.Rate)
	}
	repeated := s.repeats(old)
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
		var believed, doubted *float64
		if was, ok := old.believed(r.Code); ok && !p.tooOld(was.left, now) {
			believed = &was.Value
		}
		if value, ok := old.doubted(r.Code); ok {
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

// withoutValue is what may be told of a rate that is withheld.
func withoutValue(code string, r coingecko.Rate) coingecko.Rate {
	r.Code, r.Value = code, 0
	return r
}

// believed is the last rate of a currency that was believed, if there is one.
func (s *Snapshot) believed(code string) (belief, bool) {
	if r, ok := coingecko.Find(s.Rates, code); ok {
		return belief{r, s.left}, true
	}
	b, ok := s.before[code]
	return b, ok
}

// doubted is the rate of a currency that was sent and kept back, if there is one.
func (s *Snapshot) doubted(code string) (float64, bool) {
	if _, withheld := coingecko.Find(s.Withheld, code); !withheld {
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
		b[r.Code] = belief{r, old.left}
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
		return !ok || !p.options.MaxJump.Near(confirmed.Value, r.Value)
	})
}

// size is how many usable rates an answer had, and those that the sender kept back.
func (s *Snapshot) size() int { return len(s.Rates) + len(s.Withheld) }

// tooOld says whether something is older than rates may be that are shown.
func (p *Poller) tooOld(then, now instant) bool { return now.since(then) > p.options.MaxAge }

// repeats says whether two answers are one: CoinGecko repeats it until it refreshes its rates.
func (s *Snapshot) repeats(old *Snapshot) bool {
	return sameContent(old.sent, s.sent) && !s.keepsBack(old) && !old.keepsBack(s)
}

// keepsBack says whether who sent an answer kept back a rate that the other answer has: it was another one.
func (s *Snapshot) keepsBack(other *Snapshot) bool {
	return slices.ContainsFunc(s.Withheld, func(r coingecko.Rate) bool {
		_, here := coingecko.Find(s.sent, r.Code)
		_, there := coingecko.Find(other.sent, r.Code)
		return there && !here
	})
}

// sameContent says whether all rates that two answers have in common are the same. Both are sorted by code. A
// currency that only one of them has makes no other answer, for its rates may still be of the same moment.
func sameContent(a, b []coingecko.Rate) bool {
	for _, r := range a {
		if other, ok := coingecko.Find(b, r.Code); ok && other.Value != r.Value {
			return false
		}
	}
	return true
}

// logWithheld names rates that are withheld, each again now and then while it goes on, and says when there are none
// any more.
func (p *Poller) logWithheld(s *Snapshot, now instant) {
	if len(s.Withheld) == 0 && p.doubted {
		p.doubted = false
		p.options.Logger.Info("No rates are withheld any more")
	}
	maps.DeleteFunc(p.doubts, func(_ string, mentioned time.Time) bool { return now.wall.Sub(mentioned) >= reminder })
	var news []string
	for _, r := range s.Withheld {
		code := r.Code
		if _, mentioned := p.doubts[code]; mentioned {
			continue
		}
		p.doubts[code] = now.wall
		if rate, ok := s.doubted(code); ok {
			was, had := s.believed(code)
			if code = fmt.Sprintf("%s %v", code, rate); had {
				code += fmt.Sprintf(" after %v", was.Value)
			}
		}
		news = append(news, code)
	}
	if len(news) > 0 {
		p.doubted = true
		p.options.Logger.Warn("Implausible rates withheld until a different answer confirms them",
			"count", len(s.Withheld), "rates", strings.Join(news[:min(len(news), mentionsMost)], ", "))
	}
}

// mentionsMost is how many withheld rates one line of the log names.
const mentionsMost = 10
