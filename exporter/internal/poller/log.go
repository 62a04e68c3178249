// What is logged about polls: changes, not every poll.

package poller

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

const (
	logReminder   = 10 * time.Minute // between messages about a failure that lasts
	maxRatesInLog = 10
)

// log logs changes, and repeats a failure that lasts only at every reminder.
func (p *Poller) log(o Poll, k *state, now instant) {
	l := p.options.Logger
	p.logDropped(o.Rejected)
	if o.Snapshot != nil {
		p.logWithheld(o.Snapshot, now)
	}
	if o.Err == nil {
		// Polls of a relay may succeed with expired rates, and later with fresh ones.
		p.logOrder.Lock()
		defer p.logOrder.Unlock()
		returned := p.expiryLogged && o.Snapshot != nil && !p.tooOld(o.Snapshot.leftCoinGecko, now)
		p.expiryLogged = p.expiryLogged && !returned
		switch {
		case len(p.failuresLogged) > 0:
			l.Info("Polling recovered", "upstream", o.Upstream, "after", now.wall.Sub(p.failingSince).Round(time.Second).String())
		case returned:
			l.Info("Rates are fresh again", "upstream", o.Upstream)
		}
		if least := LeastMaxAge(k.interval); o.Upstream == coingecko.Relay && p.options.MaxAge < least && !p.shortAgeLogged {
			l.Warn("Rates may expire here while the upstream still has them: set --rates.max-age to that of the upstream",
				"max_age", p.options.MaxAge.String(), "upstream_interval", k.interval.String(), "at_least", least.String())
			p.shortAgeLogged = true
		}
		clear(p.failuresLogged)
		p.failedPolls = 0
		l.Debug("Poll succeeded", "upstream", o.Upstream, "duration", o.Duration.String(), "new", o.Snapshot != nil)
		return
	}
	p.failedPolls++
	if len(p.failuresLogged) == 0 {
		p.failingSince = now.wall
	}
	// Details such as an address or a wait may differ each time and are not news, nor is an alternation of two kinds of
	// failure.
	trouble := o.Err.Explain()
	if mentioned, known := p.failuresLogged[trouble]; !known || now.since(mentioned) >= logReminder {
		l = l.With("reason", string(o.Err.Reason), "err", o.Err.Error())
		if o.Err.Excerpt != "" {
			l = l.With("body", o.Err.Excerpt)
		}
		l.Warn("Poll failed", "advice", trouble, "failed_polls", p.failedPolls, "next", k.next.wall.UTC().Format(time.RFC3339))
		p.failuresLogged[trouble], p.failedPolls = now, 0
	} else {
		l.Debug("Poll failed again", "reason", string(o.Err.Reason), "err", o.Err.Error())
	}
}

func (p *Poller) logDropped(rejected map[coingecko.Rejection]int) {
	rejected = maps.Clone(rejected)
	delete(rejected, coingecko.Implausible) // logged by logWithheld
	dropped := ""
	if len(rejected) > 0 {
		dropped = fmt.Sprint(rejected) // fmt sorts a map's keys
	}
	if dropped != p.droppedLogged && dropped != "" {
		p.options.Logger.Warn("Entries were dropped from the answer", "reasons", dropped)
	}
	p.droppedLogged = dropped
}

// logWithheld logs withheld rates, each again at every reminder, and logs once when none is left.
func (p *Poller) logWithheld(s *Snapshot, now instant) {
	if len(s.Withheld) == 0 && p.withheldUnresolved {
		p.withheldUnresolved = false
		p.options.Logger.Info("No rates are withheld any more")
	}
	maps.DeleteFunc(p.withheldLogged, func(_ string, mentioned instant) bool { return now.since(mentioned) >= logReminder })
	var news []string
	for _, r := range s.Withheld {
		code := r.Code
		if _, mentioned := p.withheldLogged[code]; mentioned {
			continue
		}
		p.withheldLogged[code] = now
		if rate, ok := s.withheldValue(code); ok {
			was, had := s.believed[code]
			if code = fmt.Sprintf("%s %v", code, rate); had {
				code += fmt.Sprintf(" after %v", was.Value)
			}
		}
		news = append(news, code)
	}
	if len(news) > 0 {
		p.withheldUnresolved = true
		p.options.Logger.Warn("Implausible rates withheld until a different answer confirms them",
			"count", len(s.Withheld), "rates", strings.Join(news[:min(len(news), maxRatesInLog)], ", "))
	}
}
