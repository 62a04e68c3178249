// The amount that the screen converts into each coin.

package screen

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Basket is an amount that the screen converts into each coin. The zero value means none.
type Basket struct {
	Amount float64
	Text   string // as written
	Code   string
}

var basket = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z][A-Za-z0-9_-]*)$`)

// exponent matches what would be the code of 1e9eur.
var exponent = regexp.MustCompile(`^e-?[0-9]`)

// ParseBasket parses "49.90eur".
func ParseBasket(s string) (Basket, error) {
	var number, code string
	if m := basket.FindStringSubmatch(strings.TrimSpace(s)); m != nil {
		number, code = m[1], strings.ToLower(m[2])
	}
	if exponent.MatchString(code) || !coingecko.IsCode(code) {
		return Basket{}, fmt.Errorf("%q is not an amount with a currency code", s)
	}
	amount, err := strconv.ParseFloat(number, 64)
	if err != nil || amount <= 0 || amount > 1e12 {
		return Basket{}, fmt.Errorf("%q is not above 0 and up to 1,000,000,000,000", s)
	}
	return Basket{amount, group(number), code}, nil
}
