// How far a price moves before the screen highlights the change.

package screen

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Thresholds are the price changes that the screen highlights, as ratios, by "crypto.1h" for a kind and a window, or "btc.1h" for a
// currency, which takes precedence.
type Thresholds map[string]float64

// DefaultThresholds are the warning thresholds of alerts/store.rules.yaml for the default tiles.
const DefaultThresholds = "crypto.15m=0.06,crypto.1h=0.07,crypto.24h=0.12,btc.15m=0.05,btc.1h=0.06,btc.24h=0.12"

var thresholdKey = regexp.MustCompile(`^([a-z0-9_-]+)\.(15m|1h|24h)$`)

// ParseThresholds parses "crypto.1h=0.05,btc.1h=0.04". A window of 7d is an error: the screen remembers one day.
func ParseThresholds(list string) (Thresholds, error) {
	t := Thresholds{}
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		key, value, _ := strings.Cut(item, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		share, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		switch {
		case !thresholdKey.MatchString(key):
			return nil, fmt.Errorf("%q is not a threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h and 24h", item)
		case err != nil || !(share > 0 && share <= 1):
			return nil, fmt.Errorf("%q has no ratio above 0 and up to 1, such as 0.05 for 5 %%", item)
		case t[key] != 0:
			return nil, fmt.Errorf("%s is listed twice", key)
		}
		t[key] = share
	}
	return t, nil
}

// Currencies returns the codes of the currencies that have a threshold of their own, sorted.
func (t Thresholds) Currencies() []string {
	var codes []string
	for key := range t {
		code, _, _ := strings.Cut(key, ".")
		if kind := (coingecko.Rate{Type: code}).Kind(); kind == coingecko.Other && code != string(coingecko.Other) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// of returns the threshold of a currency in a window; infinite if there is none.
func (t Thresholds) of(r coingecko.Rate, window string) float64 {
	for _, who := range []string{r.Code, string(r.Kind())} {
		if share, ok := t[who+"."+window]; ok {
			return share
		}
	}
	return math.Inf(1)
}
