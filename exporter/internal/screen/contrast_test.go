package screen

import (
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance returns the relative luminance of a colour such as "#0a0e13".
// Source: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 24)
	if err != nil || len(colour) != 7 {
		t.Fatalf("%q is no colour of the form #rrggbb", colour)
	}
	channel := func(shift int) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

// TestContrast computes the contrast of every text and mark with its background. WCAG 2.2 AA requires 4.5 for text and 3 for other
// meaningful elements.
func TestContrast(t *testing.T) {
	colours := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(style, -1) {
		colours[m[1]] = m[2]
	}
	unchecked := maps.Clone(colours)
	for _, c := range []struct {
		on     string
		least  float64
		colour string
	}{
		{"ground", 4.5, "text quiet link"},
		{"tile", 4.5, "text quiet link up down"},
		{"line", 4.5, "text"}, // a notice that is no state
		{"amber", 4.5, "on-amber"},
		{"red", 4.5, "on-red"},
		{"simulated", 4.5, "on-simulated"},
		{"up", 4.5, "on-move"}, // a move past the shop's threshold
		{"down", 4.5, "on-move"},
		{"ground", 3, "up amber down"}, // the dot before the freshness
		{"tile", 3, "curve"},
		{"ground", 3, "link"}, // the outline of the focus
	} {
		for colour := range strings.FieldsSeq(c.colour) {
			a, b := luminance(t, colours[colour]), luminance(t, colours[c.on])
			ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05)
			if ratio < c.least {
				t.Errorf("%s on %s has a contrast of %.2f, less than %.1f", colour, c.on, ratio, c.least)
			}
			delete(unchecked, colour)
			delete(unchecked, c.on)
		}
	}
	if len(unchecked) > 0 {
		t.Errorf("colours whose contrast nobody checks: %v", unchecked)
	}
	// Every other colour in the style sheet would escape the check.
	if stray := regexp.MustCompile(`(?m)^ *[^-\s][a-z-]*:[^;]*(#[0-9a-fA-F]{3,8}|rgba?\(|hsla?\()`).FindString(style); stray != "" {
		t.Errorf("a colour beside the variables: %s", stray)
	}
}
