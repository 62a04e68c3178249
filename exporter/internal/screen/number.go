// Formatting of numbers, ages and units.

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

// dash replaces an unknown number.
const dash = "–"

// number formats a positive number with decimals by magnitude and groups of three digits:
// 113,245,000 · 75,817.77 · 1.1624 · 0.0784 · 0.00000131.
func number(v float64) string { return written(v, decimals) }

// written formats a positive number with the decimals that a function returns.
func written(v float64, decimals func(float64) int) string {
	if v >= 1e15 || v < 1e-12 {
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
	// Round half a cent up even if the binary number is slightly smaller: 75817.765.
	text := strconv.FormatFloat(math.Nextafter(v, math.Inf(1)), 'f', decimals(v), 64)
	// 9.99999 rounds to 10 and is formatted like 10.
	if rounded, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(rounded, 'f', decimals(rounded), 64)
	}
	return group(text)
}

// decimals returns the decimals of a price: at least three significant digits, the usual four decimals of exchange rates, and no
// cents for large amounts.
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

// significant formats an amount of coins with five significant digits, including zeros, so that its width is stable: 0.00076512 ·
// 0.16880.
func significant(v float64) string {
	return written(v, func(v float64) int { return max(4-int(math.Floor(math.Log10(v))), 0) })
}

// group inserts commas into the integer part of an unsigned decimal number.
func group(s string) string {
	for i := strings.IndexByte(s+".", '.') - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// change is a price change as text and direction.
type change struct {
	Window string // "15 min"
	Text   string // "+1.25", in percent, or a dash
	Way    string // up, down, flat, or none if unknown
	Size   string // calm, loud, or empty for neither
}

// Size of a change relative to its threshold.
const (
	calm = "calm" // below a tenth
	loud = "loud" // at least the threshold
)

// Arrow returns the direction as a symbol, for readers who cannot distinguish the colours.
func (c change) Arrow() string {
	return map[string]string{"up": "▲", "down": "▼", "flat": "■"}[c.Way]
}

// newChange returns the change of a price in percent. The sign is that of the rounded value: -0.001 is 0.00. limit is the threshold as
// a ratio; infinite for none.
func newChange(window string, now, then, limit float64) change {
	ratio := now/then - 1
	percent := math.Abs(ratio) * 100
	if percent >= 1e6 {
		return change{Window: window, Text: dash, Way: "none"}
	}
	d := 2
	switch {
	case percent >= 99.95:
		d = 0
	case percent >= 9.995:
		d = 1
	}
	text := group(strconv.FormatFloat(percent, 'f', d, 64))
	c := change{Window: window, Text: "+" + text, Way: "up"}
	switch {
	case percent < 0.005:
		return change{Window: window, Text: text, Way: "flat"}
	case ratio < 0:
		c.Text, c.Way = "\u2212"+text, "down"
	}
	switch share := percent / 100; {
	case share >= limit:
		c.Size = loud
	case share < limit/10 && !math.IsInf(limit, 1):
		c.Size = calm
	}
	return c
}

// age formats a duration with its two largest units: 23 s · 4 min 10 s · 2 h 5 min · 3 d 4 h. screen.js has the same function, because
// it updates the age.
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

// clock formats a time in the screen's time zone, with the date if it is not today.
func (s *Screen) clock(t, now time.Time) string {
	t, now = t.In(s.opts.Zone), now.In(s.opts.Zone)
	form := "15:04:05 "
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		form = "2006-01-02 15:04:05 "
	}
	zone := t.Format("MST")
	if strings.ContainsAny(zone[:1], "+-") { // the zone has no abbreviation
		zone = "UTC" + strings.TrimSuffix(t.Format("-07:00"), ":00")
	}
	return t.Format(form) + zone
}

// longestUnit is the maximum length of a unit after an amount. CoinGecko's longest has 4 letters.
const longestUnit = 6

// units returns the text after amounts for each code: the unit, or the code if the unit is ambiguous, too long, or has digits, which
// would look like part of the amount. "kr." and "kr" count as the same.
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
