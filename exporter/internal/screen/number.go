// Numbers, ages and units as people read them.

package screen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// dash stands where there is no number.
const dash = "–"

// number writes a positive number with decimals by magnitude and groups of three:
// 113,245,000 · 75,817.77 · 1.1624 · 0.0784 · 0.00000131.
func number(v float64) string { return written(v, decimals) }

// written writes a positive number with as many decimals as it should have.
func written(v float64, decimals func(float64) int) string {
	if v >= 1e15 || v < 1e-12 {
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
	// Half a cent goes up, also where the binary number is a little less than half: 75817.765.
	text := strconv.FormatFloat(math.Nextafter(v, math.Inf(1)), 'f', decimals(v), 64)
	// 9.99999 rounds to 10 and is written as 10 is.
	if rounded, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(rounded, 'f', decimals(rounded), 64)
	}
	return group(text)
}

// decimals keeps at least three significant digits, the four decimals that exchange rates are quoted
// with, and no cents where nobody counts them.
func decimals(v float64) int {
	switch {
	case v >= 1e6:
		return 0
	case v >= 10:
		return 2
	case v >= 0.01:
		return 4
	default:
		return 2 - int(math.Floor(math.Log10(v)))
	}
}

// significant writes an amount of coins with five significant digits, zeros among them, so that its width does not change
// from poll to poll: 0.00076512 · 0.16880.
func significant(v float64) string {
	return written(v, func(v float64) int { return max(4-int(math.Floor(math.Log10(v))), 0) })
}

// group puts commas into the whole part of a decimal number without a sign.
func group(s string) string {
	whole, rest := s, ""
	if i := strings.IndexByte(s, '.'); i >= 0 {
		whole, rest = s[:i], s[i:]
	}
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String() + rest
}

// change is a move of a price, as text and as direction.
type change struct {
	Window string // "15 min"
	Text   string // "+1.25", in percent, or a dash
	Way    string // up, down, flat, or none where nothing is known
	Size   string // calm, loud, or empty for neither
}

// How large a move is beside the shop's threshold for it.
const (
	calm = "calm" // under a tenth
	loud = "loud" // as large, or larger
)

// Arrow repeats the direction for who cannot tell the colours apart.
func (c change) Arrow() string {
	return map[string]string{"up": "▲", "down": "▼", "flat": "■"}[c.Way]
}

// newChange says how far a price moved, in percent. The sign is of what is shown: -0.001 is 0.00. limit is the shop's
// threshold, as a share; infinite for none.
func newChange(window string, now, then, limit float64) change {
	percent := (now/then - 1) * 100
	d := 2
	switch a := math.Abs(percent); {
	case a >= 99.95:
		d = 0
	case a >= 9.995:
		d = 1
	}
	if math.IsInf(percent, 0) || math.Abs(percent) >= 1e6 {
		return change{Window: window, Text: dash, Way: "none"}
	}
	text := group(strconv.FormatFloat(math.Abs(percent), 'f', d, 64))
	c := change{Window: window, Text: "+" + text, Way: "up"}
	switch {
	case math.Abs(percent) < 0.005:
		return change{Window: window, Text: text, Way: "flat"}
	case percent < 0:
		c.Text, c.Way = "\u2212"+text, "down"
	}
	switch share := math.Abs(percent) / 100; {
	case share >= limit:
		c.Size = loud
	case share < limit/10 && !math.IsInf(limit, 1):
		c.Size = calm
	}
	return c
}

// age writes a duration with its two largest units: 23 s · 4 min 10 s · 2 h 5 min · 3 d 4 h.
// screen.js does the same, because it counts on.
func age(d time.Duration) string {
	s := int(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", s/60, s%60), " 0 s")
	case s < 86400:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", s/3600, s/60%60), " 0 min")
	default:
		return strings.TrimSuffix(fmt.Sprintf("%d d %d h", s/86400, s/3600%24), " 0 h")
	}
}

// clock writes a moment in the screen's time zone; with its date where that is not today's.
func (s *Screen) clock(t, now time.Time) string {
	t, now = t.In(s.opts.Zone), now.In(s.opts.Zone)
	form := "15:04:05 "
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		form = "2006-01-02 15:04:05 "
	}
	zone := t.Format("MST")
	if strings.HasPrefix(zone, "+") || strings.HasPrefix(zone, "-") { // a zone without letters
		zone = "UTC" + zone[:3]
		if minutes := t.Format("-07:00")[3:]; minutes != ":00" {
			zone += minutes
		}
	}
	return t.Format(form) + zone
}

// longestUnit is how many letters a unit may have to stand behind an amount. CoinGecko's longest has 4.
const longestUnit = 6

// units finds for each code what to write behind its amounts: its unit, where no other currency's
// unit or code could be meant, else its code. "kr." and "kr" count as the same. A unit that is longer
// than people write, or that has digits, which would look like a part of the amount, is not used either.
func units(rates []coingecko.Rate) map[string]string {
	fold := func(s string) string { return strings.ToLower(strings.Trim(s, ". ")) }
	meanings := map[string]int{}
	for _, r := range rates {
		meanings[fold(r.Code)]++
		if u := fold(r.Unit); u != fold(r.Code) {
			meanings[u]++
		}
	}
	found := make(map[string]string, len(rates))
	for _, r := range rates {
		u := strings.TrimSpace(r.Unit)
		usable := fold(u) != "" && utf8.RuneCountInString(u) <= longestUnit && !strings.ContainsFunc(u, unicode.IsDigit)
		if usable && meanings[fold(u)] == 1 {
			found[r.Code] = u
		} else {
			found[r.Code] = strings.ToUpper(r.Code)
		}
	}
	return found
}
