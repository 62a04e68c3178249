// What is let through of an answer: lenient in what is read, strict in what is used.

package coingecko

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// CoinGecko's codes for a key that does not belong to the host that was asked.
// Source: https://docs.coingecko.com/docs/common-errors-rate-limit
const (
	CodeProKeyOnDemoHost = 10010
	CodeDemoKeyOnProHost = 10011
)

// MaxEntries is how many currencies an answer may hold. CoinGecko sent 61 in 2021 and 76 in 2026.
const MaxEntries = 500

// maxText bounds names and units, in runes: they become label values.
const maxText = 64

// Rejection is why one entry of an answer was dropped. It is the label `reason` of coingecko_rejected_rates_total.
type Rejection string

// Every reason for which an entry can be dropped.
const (
	BadCode   Rejection = "bad_code"     // no usable key: anything but a-z, 0-9, _ and -, at most 32 of them
	Malformed Rejection = "malformed"    // the entry is no object, or a text in it is no string
	Missing   Rejection = "missing"      // no value, or null
	NotNumber Rejection = "not_a_number" // the value is a string, a list and so on
	NotFinite Rejection = "not_finite"   // beyond what a float64 holds
	Zero      Rejection = "zero"         // 0, -0, or too small for a float64
	Negative  Rejection = "negative"     // below 0
	Ambiguous Rejection = "ambiguous"    // a field twice in it, or the code twice with different content
)

// Rejections lists every Rejection, so that each counter can start at 0.
func Rejections() []Rejection {
	return []Rejection{BadCode, Malformed, Missing, NotNumber, NotFinite, Zero, Negative, Ambiguous}
}

var usableCode = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// constants are the codes whose value is known beforehand: bitcoin in bitcoin and in its own parts.
var constants = map[string]float64{"btc": 1, "bits": 1e6, "sats": 1e8}

// Decode reads an answer of GET /exchange_rates. It returns the usable rates, sorted by code, and
// how many entries were dropped, by reason. An answer that must not be used at all is an error:
// no JSON of that form, no usable entry, btc missing or not 1, bits or sats with another value than
// theirs, or more than MaxEntries. The counts are good in that case too.
func Decode(body []byte) ([]Rate, map[Rejection]int, error) {
	entries, err := decodeEntries(body)
	if err != nil {
		return nil, nil, err
	}
	if len(entries) > MaxEntries {
		return nil, nil, fmt.Errorf("%d entries, more than %d", len(entries), MaxEntries)
	}
	rates, rejected := usable(entries)
	if len(rates) == 0 {
		return nil, rejected, fmt.Errorf("none of %d entries is usable", len(entries))
	}
	if _, ok := Find(rates, "btc"); !ok {
		return nil, rejected, errors.New("btc is missing")
	}
	for code, want := range constants {
		if r, ok := Find(rates, code); ok && r.Value != want {
			return nil, rejected, fmt.Errorf("%s is %v and not %v", code, r.Value, want)
		}
	}
	return rates, rejected, nil
}

// keyed is one member of the object "rates", unread.
type keyed struct {
	code string
	raw  json.RawMessage
}

// decodeEntries walks the answer's outer form. It reads by token because a map would silently keep
// the last of two entries with one key.
func decodeEntries(body []byte) ([]keyed, error) {
	// Not json.Decoder on its own: it would accept {"rates":…}garbage, and its errors name no offset.
	if !json.Valid(body) {
		var v any
		return nil, fmt.Errorf("not JSON: %w", json.Unmarshal(body, &v))
	}
	var outer []keyed
	if err := members(body, &outer); err != nil {
		return nil, err
	}
	var entries []keyed
	found := false
	for _, m := range outer {
		if m.code != "rates" {
			continue
		}
		if found {
			return nil, errors.New(`two members "rates"`)
		}
		found = true
		if err := members(m.raw, &entries); err != nil {
			return nil, fmt.Errorf(`"rates": %w`, err)
		}
	}
	if !found {
		return nil, errors.New(`no member "rates"`)
	}
	return entries, nil
}

// members splits a JSON object into its members, in order, repeated keys included.
func members(object []byte, into *[]keyed) error {
	d := json.NewDecoder(bytes.NewReader(object))
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		m := keyed{code: t.(string)} // a key is a string, or Token had failed
		if err := d.Decode(&m.raw); err != nil {
			return err
		}
		*into = append(*into, m)
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// usable reads the entries one by one, so that a bad one costs only itself.
func usable(entries []keyed) ([]Rate, map[Rejection]int) {
	rejected := map[Rejection]int{}
	rates := make([]Rate, 0, len(entries))
	for _, e := range entries {
		r, why := read(e)
		if why != "" {
			rejected[why]++
			continue
		}
		rates = append(rates, r)
	}
	slices.SortFunc(rates, func(a, b Rate) int { return strings.Compare(a.Code, b.Code) })

	// Twice the same entry is harmless. Two that differ leave no way to tell which one is right.
	kept := rates[:0]
	for i := 0; i < len(rates); {
		j, same := i+1, true
		for ; j < len(rates) && rates[j].Code == rates[i].Code; j++ {
			same = same && rates[j] == rates[i]
		}
		if same {
			kept = append(kept, rates[i])
		} else {
			rejected[Ambiguous] += j - i
		}
		i = j
	}
	return kept, rejected
}

func read(e keyed) (Rate, Rejection) {
	if !usableCode.MatchString(e.code) {
		return Rate{}, BadCode
	}
	if string(e.raw) == "null" {
		return Rate{}, Missing
	}
	var fields []keyed
	if members(e.raw, &fields) != nil {
		return Rate{}, Malformed
	}
	r := Rate{Code: e.code}
	texts := map[string]*string{"name": &r.Name, "unit": &r.Unit, "type": &r.Type}
	var value json.RawMessage
	for i, f := range fields {
		if text, ok := texts[f.code]; ok {
			if json.Unmarshal(f.raw, text) != nil {
				return Rate{}, Malformed
			}
			*text = clean(*text)
		}
		if f.code == "value" {
			value = f.raw
		}
		if slices.ContainsFunc(fields[:i], func(g keyed) bool { return g.code == f.code }) {
			return Rate{}, Ambiguous
		}
	}
	var why Rejection
	r.Value, why = number(value)
	return r, why
}

// number reads a value: any JSON number that is finite and above zero.
func number(raw json.RawMessage) (float64, Rejection) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, Missing
	}
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return 0, NotNumber
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil: // valid JSON, so it can only be out of range
		return 0, NotFinite
	case v == 0:
		return 0, Zero
	case v < 0:
		return 0, Negative
	}
	return v, ""
}

// clean makes a text fit for a label and a page: control characters go, and so does what is too long.
// Doing it again changes nothing, so a relay passes on what it got.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	n := 0
	for i := range s {
		if n++; n > maxText {
			return s[:i]
		}
	}
	return s
}
