// Which rates of an answer are believed, and the previous answer.

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

// snapshot creates the snapshot of an answer whose rates left CoinGecko at left. old is the last snapshot, or nil.
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
		return s // nothing to compare with: simulated and real rates are unrelated
	}
	for i, r := range s.Withheld {
		was, _ := old.believed(r.Code)
		s.Withheld[i] = withoutValue(r.Code, was.Rate)
	}
	repeated := s.repeats(old)
	if p.options.MaxJump > 0 && !s.Checked { // the upstream of checked rates has compared them with more earlier ones
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

// withhold withholds implausible rates: those far from the last believed rate, unless the previous answer has different content and
// a similar rate that was withheld too.
//
// A withheld rate needs such a confirmation even if the last believed rate has become too old: repeating an answer does not confirm
// it.
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

// withoutValue returns the parts of a withheld rate that may be shown.
func withoutValue(code string, r coingecko.Rate) coingecko.Rate {
	r.Code, r.Value = code, 0
	return r
}

// believed returns the last believed rate of a currency, if any.
func (s *Snapshot) believed(code string) (belief, bool) {
	if r, ok := coingecko.Find(s.Rates, code); ok {
		return belief{r, s.left}, true
	}
	b, ok := s.before[code]
	return b, ok
}

// doubted returns the withheld rate of a currency, if it was sent.
func (s *Snapshot) doubted(code string) (float64, bool) {
	if _, withheld := coingecko.Find(s.Withheld, code); !withheld {
		return 0, false
	}
	r, ok := coingecko.Find(s.sent, code)
	return r.Value, ok
}

// forgotten returns the last believed rates of currencies without a current rate, unless they are too old for comparison.
func (p *Poller) forgotten(s, old *Snapshot, now instant) map[string]belief {
	b := map[string]belief{}
	for _, r := range old.Rates {
		b[r.Code] = belief{r, old.left}
	}
	maps.Copy(b, old.before) // disjoint from old.Rates
	maps.DeleteFunc(b, func(code string, was belief) bool {
		_, shown := coingecko.Find(s.Rates, code)
		return shown || p.tooOld(was.left, now)
	})
	return b
}

// witnesses returns the rates of the previous answer: the believed ones, and those that this answer confirms.
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

// size returns the number of usable rates, including those that the upstream withholds.
func (s *Snapshot) size() int { return len(s.Rates) + len(s.Withheld) }

// tooOld reports whether the time since then is above max-age.
func (p *Poller) tooOld(then, now instant) bool { return now.since(then) > p.options.MaxAge }

// repeats reports whether two answers are the same: CoinGecko repeats an answer until it refreshes.
func (s *Snapshot) repeats(old *Snapshot) bool {
	return sameContent(old.sent, s.sent) && !s.keepsBack(old) && !old.keepsBack(s)
}

// keepsBack reports whether the upstream withholds a rate that the other answer has, which makes it a different answer.
func (s *Snapshot) keepsBack(other *Snapshot) bool {
	return slices.ContainsFunc(s.Withheld, func(r coingecko.Rate) bool {
		_, here := coingecko.Find(s.sent, r.Code)
		_, there := coingecko.Find(other.sent, r.Code)
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

// logWithheld logs withheld rates, each again at every reminder, and logs once when none is left.
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

// mentionsMost is the maximum number of withheld rates in one log message.
const mentionsMost = 10
