// The judgement: large moves of the market, which of them somebody was told of, and the tables.

package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/alert"
)

// A large move is one by which a shop loses its margin: far enough from the highest or the lowest price of the hour or
// the day. Two of a coin in one direction are one if less than their window lies between them.
type window struct {
	name   string
	length int64 // s
	far    float64
}

// move is a large move as the market made it.
type move struct {
	currency string
	window   window
	up       bool
	from     int64 // when the price stood at its other end
	large    int64 // when it had moved far enough
	change   float64
}

func (m move) String() string {
	way := "fell"
	if m.up {
		way = "rose"
	}
	return fmt.Sprintf("%s %s by %.0f %% within %s, from %s on", strings.ToUpper(m.currency), way, 100*m.window.far, m.window.name, clock(m.from))
}

func clock(t int64) string { return time.Unix(t, 0).UTC().Format("2006-01-02 15:04") }

// moves finds the large moves of a currency, by the minute.
func moves(c *currency, w window, from, to int64) []move {
	const minute = 60
	type point struct {
		t int64
		p float64
	}
	var highs, lows []point // candidates for the window's highest and lowest price, oldest first
	var found []move
	last := map[bool]int64{true: math.MinInt64 / 2, false: math.MinInt64 / 2}
	for t := max(from-w.length, c.times[0]); t < min(to, c.times[len(c.times)-1]); t += minute {
		now := point{t, c.at(t)}
		keep := func(all []point, worse func(a, b float64) bool) []point {
			for len(all) > 0 && all[0].t < t-w.length {
				all = all[1:]
			}
			for len(all) > 0 && !worse(all[len(all)-1].p, now.p) {
				all = all[:len(all)-1]
			}
			return append(all, now)
		}
		highs = keep(highs, func(a, b float64) bool { return a > b })
		lows = keep(lows, func(a, b float64) bool { return a < b })
		if t < from {
			continue
		}
		for _, up := range []bool{true, false} {
			end, other := highs[0], lows[0]
			if !up {
				end, other = lows[0], highs[0]
			}
			change := now.p/other.p - 1
			// Only at a new extreme: what the price comes back to is no news.
			if end.t != t || (up && change < w.far) || (!up && change > -w.far) {
				continue
			}
			if t-last[up] > w.length {
				found = append(found, move{c.code, w, up, other.t, t, change})
			}
			last[up] = t
		}
	}
	return found
}

// verdict is how the alerts did.
type verdict struct {
	months     float64
	fired      []firing
	messages   []message
	moves      []move
	toldAt     []int64 // when a move was told, 0 if it was not
	pages      string  // receiver
	team       []string
	currencies []string
}

// firing is an alert from its first to its last evaluation. Times are in s.
type firing struct {
	*alert.Alert
	from, to int64
}

// firings gives the alerts that fire between two moments, of what Prometheus sends in that time.
func firings(all []sent, from, to int64) []firing {
	last := map[string]*alert.Alert{}
	for _, s := range all {
		last[id(s.Alert)] = s.Alert
	}
	var fired []firing
	for _, a := range last {
		if a.EndsAt.Unix() > from {
			fired = append(fired, firing{a, max(a.StartsAt.Unix(), from), min(a.EndsAt.Unix(), to)})
		}
	}
	slices.SortFunc(fired, func(a, b firing) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(id(a.Alert), id(b.Alert)))
	})
	return fired
}

// id tells alerts apart, also those of one thing that fire one after the other.
func id(a *alert.Alert) string { return fmt.Sprint(a.Labels, a.StartsAt.Unix()) }

func of(a *alert.Alert) string       { return string(a.Labels["currency"]) }
func severity(a *alert.Alert) string { return string(a.Labels["severity"]) }

// tells says whether the message has news of a swing that covers the currency and was not over before a moment. The ends
// are those of all alerts, by id.
func (m message) tells(currency string, since int64, ends map[string]int64) bool {
	return m.news && slices.ContainsFunc(m.firing, func(a *alert.Alert) bool {
		return ends[id(a)] > since && strings.Contains(a.Name(), "Swing") &&
			(of(a) == currency || of(a) == "" || strings.Contains(a.Name(), "Quote"))
	})
}

// late is how long after a large move somebody may be told of it, in s. A move is also told when it is part of a swing
// that was told before and is not over yet: one swing is one message.
const late = 15 * 60

func (v *verdict) judge() {
	ends := map[string]int64{}
	for _, f := range v.fired {
		ends[id(f.Alert)] = f.to
	}
	v.toldAt = make([]int64, len(v.moves))
	for i, m := range v.moves {
		for _, s := range v.messages {
			if slices.Contains(v.team, s.receiver) && s.at <= m.large+late && s.tells(m.currency, m.from, ends) {
				v.toldAt[i] = s.at
				break
			}
		}
	}
}

func (v *verdict) print(w io.Writer) {
	row := func(cells ...any) {
		parts := make([]string, len(cells))
		for i, c := range cells {
			switch c := c.(type) {
			case float64:
				parts[i] = fmt.Sprintf("%.1f", c)
				if math.IsNaN(c) {
					parts[i] = "-"
				}
			default:
				parts[i] = fmt.Sprint(c)
			}
		}
		fmt.Fprintln(w, "| "+strings.Join(parts, " | ")+" |")
	}
	row("", "alerts a month", "of these critical", "again within 30 min", "length, median min", "length, 9 of 10 min", "messages naming it a month", "pages naming it a month", "large moves", "told", "told after, median min", "9 of 10 min")
	row("---", "---", "---", "---", "---", "---", "---", "---", "---", "---", "---", "---")
	line := func(name string, fits func(*alert.Alert) bool, currency func(string) bool) {
		// A warning and a critical alert of one thing that touch are one.
		whole := map[string][]firing{}
		critical := 0
		for _, f := range v.fired {
			if !fits(f.Alert) {
				continue
			}
			if severity(f.Alert) == "critical" {
				critical++
			}
			id := strings.TrimSuffix(f.Name(), "Critical") + of(f.Alert) + string(f.Labels["quote"])
			whole[id] = append(whole[id], f)
		}
		var lengths []float64
		alerts, again := 0, 0
		for _, all := range whole {
			// again counts what a person sees: any alert of the thing that starts anew within half an hour of one that ended.
			var end int64 = math.MinInt64 / 2
			var start int64
			for i, f := range all {
				if f.from > end {
					if i > 0 {
						lengths = append(lengths, float64(end-start)/60)
						if f.from-end < 30*60 {
							again++
						}
					}
					alerts++
					start = f.from
				}
				end = max(end, f.to)
			}
			lengths = append(lengths, float64(end-start)/60)
		}
		messages, pages := 0, 0
		for _, s := range v.messages {
			named := slices.ContainsFunc(slices.Concat(s.firing, s.over), fits)
			if !named {
				continue
			}
			if slices.Contains(v.team, s.receiver) {
				messages++
			}
			if s.receiver == v.pages && s.news {
				pages++
			}
		}
		large, told := 0, 0
		var delays []float64
		for i, m := range v.moves {
			if !currency(m.currency) {
				continue
			}
			large++
			if v.toldAt[i] > 0 {
				told++
				delays = append(delays, float64(v.toldAt[i]-m.large)/60)
			}
		}
		row(name, float64(alerts)/v.months, float64(critical)/v.months, percent(again, alerts), quantile(lengths, 0.5), quantile(lengths, 0.9),
			float64(messages)/v.months, float64(pages)/v.months, large, percent(told, large), quantile(delays, 0.5), quantile(delays, 0.9))
	}
	for _, c := range v.currencies {
		line(c, func(f *alert.Alert) bool { return of(f) == c && strings.Contains(f.Name(), "Swing") }, func(other string) bool { return other == c })
	}
	line("the market", func(f *alert.Alert) bool { return strings.HasPrefix(f.Name(), "CoinGeckoMarketSwing") }, func(string) bool { return false })
	line("restlessness", func(f *alert.Alert) bool { return strings.Contains(f.Name(), "Volatility") }, func(string) bool { return false })
	line("all", func(*alert.Alert) bool { return true }, func(string) bool { return true })

	days := map[string]bool{}
	messages, over, pages := 0, 0, 0
	for _, s := range v.messages {
		switch {
		case slices.Contains(v.team, s.receiver):
			messages++
			days[day(s.at)] = true
			if len(s.firing) == 0 {
				over++
			}
		case s.receiver == v.pages && s.news:
			pages++
		}
	}
	fell, criticals := 0, 0
	for i, f := range v.fired {
		if severity(f.Alert) != "critical" {
			continue
		}
		criticals++
		for _, g := range v.fired[i:] {
			if severity(g.Alert) == "warning" && of(g.Alert) == of(f.Alert) && g.Name() == f.Name() && g.from >= f.to && g.from <= f.to+300 {
				fell++
				break
			}
		}
	}
	fmt.Fprintf(w, "\nIn %.1f months: %.1f messages a month to %s (%.1f of them only say that something is over), on %.1f days; %.1f pages a month. %d of %d critical alerts became a new warning when they ended.\n",
		v.months, float64(messages)/v.months, strings.Join(v.team, " and "), float64(over)/v.months, float64(len(days))/v.months, float64(pages)/v.months, fell, criticals)
	for _, w2 := range windows {
		large, told := 0, 0
		for i, m := range v.moves {
			if m.window == w2 {
				large++
				if v.toldAt[i] > 0 {
					told++
				}
			}
		}
		fmt.Fprintf(w, "Of %d moves of %.0f %% within %s %d were told.\n", large, 100*w2.far, w2.name, told)
	}
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}
