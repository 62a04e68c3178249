// Sizes of tiles on a large display. They are computed here because the browsers of old television sets support neither container
// queries nor min().

package screen

import (
	"fmt"
	"html/template"
	"math"
)

// The space for tiles in landscape and portrait orientation, in rem. screen.css chooses the rem so that the space is at least this
// large.
const (
	wallWidth, wallHeight = 103.2, 51.3
	tallWidth, tallHeight = 56.7, 94.0

	gapWidth    = 0.9 // between tiles
	padWidth    = 2.6 // both edges of a tile
	padHeight   = 1.7
	banner      = 3.2 // of SIMULATED. A notice uses the space of the curves
	leastHeight = 8.5 // of a tile; further tiles scroll
)

// sizes are custom properties for the style sheet.
type sizes struct {
	columns     int
	price, size float64 // rem: of the price, and the base of the other sizes
	fits        bool    // all tiles fit without scrolling
	short       bool    // no space for the curve below the price: it is beside the name
}

// fit computes the sizes for tiles in a space. digits is the length of the longest price.
func fit(width, height float64, columns, tiles, digits int, basket bool) sizes {
	rows := math.Ceil(float64(max(tiles, 1)) / float64(columns))
	across := float64(columns)
	w := (width-(across-1)*gapWidth)/across - padWidth
	h := (height - (rows-1)*gapWidth) / rows
	s := sizes{columns: columns, fits: h >= leastHeight}
	h = max(h, leastHeight) - padHeight
	s.short = h < 12 || basket && h < 13
	share, text := 0.29, 1.0 // shares of the height
	switch {
	case basket && s.short:
		share, text = 0.28, 0.92
	case basket: // one more line
		share, text = 0.26, 0.87
	case s.short: // without the height of the curve
		share, text = 0.315, 1.05
	}
	s.price = min(share*h, w/(0.6*float64(digits)+1.3)) // a digit is at most 0.6 wide, and the unit 1.3
	s.size = min(text*h, 0.557*w)
	return s
}

// layout returns the custom properties and classes for a number of tiles.
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

// wallColumns returns the columns in landscape orientation: about as many as rows, so that tiles have the proportions of the display.
// Three tiles are side by side.
func wallColumns(tiles int) int {
	if tiles == 3 {
		return 3
	}
	return min(max(int(math.Ceil(math.Sqrt(float64(tiles)))), 1), 6)
}

// tallColumns returns the columns in portrait orientation.
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
