// Warnings about settings that are valid but probably wrong, such as polls that exceed the quota.

package exporter

import (
	"fmt"
	"time"

	"github.com/agext/levenshtein"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// warnings describes settings that are valid but probably wrong.
func (s *settings) warnings() []string {
	var w []string
	if n := coingecko.PollsPerMonth(s.interval); s.spendsQuota() && s.plan.PerMonth > 0 && n > s.plan.PerMonth {
		w = append(w, fmt.Sprintf("%s=%v makes %d polls in a month of 31 days; the %s plan allows %d, which last %.1f days; set at least %v",
			s.name("coingecko.interval"), s.interval, n, s.plan.Name, s.plan.PerMonth, float64(s.plan.PerMonth)*s.interval.Hours()/24,
			time.Duration(float64(coingecko.Month)/float64(s.plan.PerMonth)).Round(time.Second)+time.Second))
	}
	if least := poller.LeastMaxAge(s.interval); s.maxAge < least {
		w = append(w, fmt.Sprintf("%s=%v is so close to the poll interval of %v that a single missed poll makes the rates stale; set at least %v",
			s.name("rates.max-age"), s.maxAge, s.interval, least))
	}
	for _, e := range s.endpoints {
		name := s.name("coingecko.url")
		if s.key != nil && !coingecko.MayCarryKey(e.URL) {
			w = append(w, fmt.Sprintf("%s=%s: the API key from %s is not sent to this host, only to CoinGecko over https:// and to loopback addresses",
				name, e.URL, s.keyFrom))
		}
		switch {
		case s.simulate:
		case e.Upstream == coingecko.CoinGecko && len(plansAt(e.URL)) == 0:
			w = append(w, fmt.Sprintf("%s=%s: no plan uses this host; CoinGecko's API is at %s", name, e.URL, s.plan.URL))
		case e.Upstream == coingecko.CoinGecko && e.URL.Scheme == "http" && s.key == nil:
			w = append(w, fmt.Sprintf("%s=%s: CoinGecko requires https://", name, e.URL))
		case e.Upstream == coingecko.Relay && levenshtein.Distance(coingecko.Host(e.URL), hostOf(s.plan.URL), nil) <= 3:
			w = append(w, fmt.Sprintf("%s=%s: this is not a CoinGecko host and is treated as another exporter; did you mean %s?", name, e.URL, s.plan.URL))
		}
	}
	if g := s.given["web.listen-address"]; *s.web.WebSystemdSocket && g.name != "" {
		w = append(w, fmt.Sprintf("%s=%s is ignored because %s is set", g.name, shown(g.values[0]), s.name("web.systemd-socket")))
	}
	if *s.web.WebSystemdSocket && s.check {
		w = append(w, s.name("web.systemd-socket")+" is set; the exporter starts only from a systemd .socket unit")
	}
	return append(w, s.unknown...)
}
