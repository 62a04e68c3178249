// Rates.

package coingecko

import (
	"encoding/json"
	"slices"
	"strings"
)

// Kind is the kind of a currency: the label kind of the metrics.
type Kind string

// CoinGecko's types as of 2026, and Other for a type that it may add.
const (
	Crypto    Kind = "crypto"
	Fiat      Kind = "fiat"
	Commodity Kind = "commodity"
	Other     Kind = "other"
)

// Rate is the number of units of a currency that one bitcoin buys.
type Rate struct {
	Code  string  `json:"-"`     // CoinGecko's key, in lower case ("usd"): the only field that is unique
	Name  string  `json:"name"`  // display name ("US Dollar")
	Unit  string  `json:"unit"`  // display unit ("$"): not unique, not always ASCII, may be right to left
	Value float64 `json:"value"` // units of the currency for one bitcoin: finite and above zero
	Type  string  `json:"type"`  // as sent by CoinGecko; Kind returns one of a fixed set
}

// Kind returns the rate's type if it is known, and Other if not.
func (r Rate) Kind() Kind {
	switch k := Kind(r.Type); k {
	case Crypto, Fiat, Commodity:
		return k
	default:
		return Other
	}
}

// Encode returns rates in the format of CoinGecko's GET /exchange_rates. It is deterministic: codes are sorted.
func Encode(rates []Rate) []byte {
	answer := struct {
		Rates map[string]Rate `json:"rates"`
	}{make(map[string]Rate, len(rates))}
	for _, r := range rates {
		answer.Rates[r.Code] = r
	}
	body, err := json.Marshal(answer)
	if err != nil { // only for a value that is not finite, which no Rate has
		panic("coingecko: rates that cannot be encoded: " + err.Error())
	}
	return body
}

// ByCode compares rates by code, for sorting.
func ByCode(a, b Rate) int { return strings.Compare(a.Code, b.Code) }

// Find returns the rate with a code. The rates must be sorted by code, as Decode returns them.
func Find(rates []Rate, code string) (Rate, bool) {
	i, ok := slices.BinarySearchFunc(rates, Rate{Code: code}, ByCode)
	if !ok {
		return Rate{}, false
	}
	return rates[i], true
}

// Jump is the largest factor, above 1, between a rate and the one before that needs no confirmation; 0 for no limit.
type Jump float64

// Near reports whether two values of a currency are within the factor.
func (j Jump) Near(a, b float64) bool {
	return j == 0 || a <= b*float64(j) && b <= a*float64(j)
}

// Believes reports whether a value is plausible. believed is the last plausible value, unless it is too old, and doubted is the
// value withheld from the previous answer; nil for none. A repeated answer confirms nothing, even if the believed value has become
// too old.
func (j Jump) Believes(value float64, believed, doubted *float64, repeated bool) bool {
	return believed == nil && doubted == nil ||
		believed != nil && j.Near(value, *believed) ||
		doubted != nil && !repeated && j.Near(value, *doubted)
}
