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
func number(v float64) string {
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
}

// Arrow repeats the direction for who cannot tell the colours apart.
func (c change) Arrow() string {
	return map[string]string{"up": "▲", "down": "▼", "flat": "■"}[c.Way]
}

// newChange says how far a price moved, in percent. The sign is of what is shown: -0.001 is 0.00.
func newChange(window string, now, then float64) change {
	percent := (now/then - 1) * 100
	d := 2
	switch a := math.Abs(percent); {
	case a >= 99.95:
		d = 0
	case a >= 9.995:
		d = 1
	}
	if math.IsInf(percent, 0) || math.Abs(percent) >= 1e6 {
		return change{window, dash, "none"}
	}
	text := group(strconv.FormatFloat(math.Abs(percent), 'f', d, 64))
	switch {
	case math.Abs(percent) < 0.005:
		return change{window, text, "flat"}
	case percent < 0:
		return change{window, "\u2212" + text, "down"}
	default:
		return change{window, "+" + text, "up"}
	}
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

// clock writes a moment; with its date where that is not today's.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 UTC")
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
