package screen

import (
	"strconv"
	"strings"
	"testing"
)

func TestParseBasket(t *testing.T) {
	for text, want := range map[string]Basket{
		"49.90eur":    {49.9, "49.90", "eur"},
		" 49.90 EUR ": {49.9, "49.90", "eur"}, //nolint:gocritic // the spaces are what is tested
		"1250usd":     {1250, "1,250", "usd"},
		"0.5btc":      {0.5, "0.5", "btc"},
	} {
		if got, err := ParseBasket(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "eur", "49.90", "49,90eur", "-1eur", "0eur", "0.00eur", "1e3eur!", "1e9eur", "5E3eur", "1e-320eur", "99999999999999eur", "49.90 €", ".5eur", "5eur usd"} {
		if _, err := ParseBasket(bad); err == nil || !strings.Contains(err.Error(), strconv.Quote(bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
