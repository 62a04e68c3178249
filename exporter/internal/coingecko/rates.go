// The values that the API speaks of: rates, as they were let through.

package coingecko

import (
	"encoding/json"
	"slices"
	"strings"
)

// Kind sorts currencies. It is the label `kind` of the metrics.
type Kind string

// The kinds that CoinGecko knows in 2026, and Other for a type that it may add.
const (
	Crypto    Kind = "crypto"
	Fiat      Kind = "fiat"
	Commodity Kind = "commodity"
	Other     Kind = "other"
)

// Rate says how many units of a currency one bitcoin buys.
type Rate struct {
	Code  string  // CoinGecko's key, in lower case ("usd"): the only field that is unique
	Name  string  // for people ("US Dollar")
	Unit  string  // for people ("$"): not unique, not always ASCII, may run right to left
	Type  string  // as CoinGecko sent it; Kind for a bounded set
	Value float64 // units of the currency for one bitcoin: finite and above zero
}

// Kind is the rate's type where this program knows it, and Other where it does not.
func (r Rate) Kind() Kind {
	switch k := Kind(r.Type); k {
	case Crypto, Fiat, Commodity:
		return k
	default:
		return Other
	}
}

// entry is a rate on the wire.
type entry struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Type  string  `json:"type"`
}

// Encode writes rates in the format of CoinGecko's GET /exchange_rates.
// The same rates always give the same bytes: codes are sorted.
func Encode(rates []Rate) []byte {
	answer := struct {
		Rates map[string]entry `json:"rates"`
	}{make(map[string]entry, len(rates))}
	for _, r := range rates {
		answer.Rates[r.Code] = entry{r.Name, r.Unit, r.Value, r.Type}
	}
	body, err := json.Marshal(answer)
	if err != nil { // only a value that is not finite can do this, and no Rate holds one
		panic("coingecko: rates that cannot be encoded: " + err.Error())
	}
	return body
}

// Find returns the rate of a code among rates sorted by code, as Decode gives them.
func Find(rates []Rate, code string) (Rate, bool) {
	i, ok := slices.BinarySearchFunc(rates, code, func(r Rate, code string) int {
		return strings.Compare(r.Code, code)
	})
	if !ok {
		return Rate{}, false
	}
	return rates[i], true
}

// Jump is the factor, above 1, by which a rate may differ from the one before without being confirmed; 0 for any.
type Jump float64

// Near says whether two values of a currency are so close that one makes the other plausible.
func (j Jump) Near(a, b float64) bool {
	return j == 0 || a <= b*float64(j) && b <= a*float64(j)
}

// Believes says whether a value is to be believed. It is compared with the one that was believed before, if that is
// young enough, and with the one that was kept back in the answer before; nil for none. An answer that is repeated
// confirms nothing, also when what was believed before has become too old.
func (j Jump) Believes(value float64, believed, doubted *float64, repeated bool) bool {
	return believed == nil && doubted == nil ||
		believed != nil && j.Near(value, *believed) ||
		doubted != nil && !repeated && j.Near(value, *doubted)
}
