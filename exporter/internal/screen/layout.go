// How large everything is on a wall. The style sheet cannot say it by itself: the browsers of old television sets know
// neither container queries nor min().

package screen

import (
	"fmt"
	"html/template"
	"math"
)

// A wall on its feet and one on its side, in rem, without headline, source and edges. screen.css makes a rem such that
// the screen is at least so large.
const (
	wallWidth, wallHeight = 103.2, 51.3
	tallWidth, tallHeight = 56.7, 94.0

	gapWidth    = 0.9 // between tiles
	padWidth    = 2.6 // edges of a tile, both
	padHeight   = 1.7
	banner      = 3.2 // SIMULATED. A notice takes the curves' room
	leastHeight = 8.5 // of a tile; more tiles than fit are scrolled
)

// sizes are custom properties for the style sheet.
type sizes struct {
	columns     int
	price, size float64 // rem: of the price, and what the other texts are parts of
	fits        bool    // all tiles are on the screen at once
	short       bool    // no room for the curve below the price: it stands beside the name
}

// fit makes room for tiles on a stage. digits is the length of the longest price.
func fit(width, height float64, columns, tiles, digits int, basket bool) sizes {
	rows := math.Ceil(float64(max(tiles, 1)) / float64(columns))
	across := float64(columns)
	w := (width-(across-1)*gapWidth)/across - padWidth
	h := (height - (rows-1)*gapWidth) / rows
	s := sizes{columns: columns, fits: h >= leastHeight}
	h = max(h, leastHeight) - padHeight
	s.short = h < 12 || basket && h < 13
	share, text := 0.29, 1.0 // of the height
	switch {
	case basket && s.short:
		share, text = 0.28, 0.92
	case basket: // one line more
		share, text = 0.26, 0.87
	case s.short: // no curve in the height
		share, text = 0.315, 1.05
	}
	s.price = min(share*h, w/(0.6*float64(digits)+1.3)) // a digit is 0.6 wide at most, and the unit behind them 1.3
	s.size = min(text*h, 0.557*w)
	return s
}

// layout gives the custom properties and the classes of a number of tiles.
func layout(tiles, digits int, basket, simulated bool) (properties template.CSS, classes string) {
	less := 0.0
	if simulated {
		less = banner
	}
	wall := fit(wallWidth, wallHeight-less, wallColumns(tiles), tiles, digits, basket)
	tall := fit(tallWidth, tallHeight-less, tallColumns(tiles), tiles, digits, basket)
	for _, c := range []struct {
		class string
		has   bool
	}{{"fits", wall.fits}, {"short", wall.short}, {"tall-fits", tall.fits}, {"tall-short", tall.short}} {
		if c.has {
			classes += " " + c.class
		}
	}
	//nolint:gosec // numbers and nothing else
	return template.CSS(fmt.Sprintf("--columns:%d;--price:%.2frem;--size:%.2frem;--tall-columns:%d;--tall-price:%.2frem;--tall-size:%.2frem",
		wall.columns, wall.price, wall.size, tall.columns, tall.price, tall.size)), classes
}

// wallColumns makes a grid of about as many columns as rows, so that tiles are about as wide as the screen
// is in proportion. Three go side by side.
func wallColumns(tiles int) int {
	if tiles == 3 {
		return 3
	}
	return min(max(int(math.Ceil(math.Sqrt(float64(tiles)))), 1), 6)
}

// tallColumns are those of a screen on its side.
func tallColumns(tiles int) int {
	switch {
	case tiles <= 5:
		return 1
	case tiles <= 20:
		return 2
	default:
		return 3
	}
}
