// Decoding of answers: lenient in syntax, strict in values.

package coingecko

import (
	"bytes"
	"cmp"
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

// MaxEntries is the maximum number of currencies in an answer. CoinGecko sent 61 in 2021 and 76 in 2026.
const MaxEntries = 500

// maxText is the maximum length of names and units, in runes: they become label values.
const maxText = 64

// Rejection is the reason for which an entry was dropped: the label reason of coingecko_rejected_rates_total.
type Rejection string

// Reasons for which an entry is dropped.
const (
	BadCode   Rejection = "bad_code"     // the code is not 1 to 32 of a-z, 0-9, _ and -
	Malformed Rejection = "malformed"    // the entry is not an object, or a text in it is not a string
	Missing   Rejection = "missing"      // no value, or null
	NotNumber Rejection = "not_a_number" // the value is a string, a list and so on
	NotFinite Rejection = "not_finite"   // out of the range of a float64
	Zero      Rejection = "zero"         // 0, -0, or too small for a float64
	Negative  Rejection = "negative"     // below 0
	Ambiguous Rejection = "ambiguous"    // a duplicate field, or a duplicate code with different content

	// Implausible is a rate that is withheld. Only the poller knows earlier rates, so Decode never uses it.
	Implausible Rejection = "implausible"
)

// Rejections lists every Rejection, so that each counter can start at 0.
func Rejections() []Rejection {
	return []Rejection{BadCode, Malformed, Missing, NotNumber, NotFinite, Zero, Negative, Ambiguous, Implausible}
}

var usableCode = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// IsCode reports whether a text can be a currency code.
func IsCode(s string) bool { return usableCode.MatchString(s) }

// constants are the codes with a fixed value: bitcoin and its units.
var constants = map[string]float64{"btc": 1, "bits": 1e6, "sats": 1e8}

// Decode parses an answer of GET /exchange_rates. It returns the usable rates, sorted by code, and the number of dropped entries
// by reason. It returns an error if the answer must not be used: it is not JSON of that form, has no usable entry or more than
// MaxEntries, btc is missing or not 1, or bits or sats do not have their fixed values. The counts are valid even then.
func Decode(body []byte) ([]Rate, map[Rejection]int, error) {
	a := answer{rejected: map[Rejection]int{}}
	if err := a.read(body); err != nil {
		return nil, a.rejected, err
	}
	a.sortOut()
	if len(a.rates) == 0 {
		return nil, a.rejected, fmt.Errorf("none of %d entries is usable", a.entries)
	}
	if err := CheckBitcoin(a.rates); err != nil {
		return nil, a.rejected, err
	}
	return a.rates, a.rejected, nil
}

// CheckBitcoin checks that rates, sorted by code, are those of one bitcoin: btc must be present and 1, and bits and sats, if
// present, must have their fixed values.
func CheckBitcoin(rates []Rate) error {
	if _, ok := Find(rates, "btc"); !ok {
		return errors.New("btc is missing")
	}
	for code, want := range constants {
		if r, ok := Find(rates, code); ok && r.Value != want {
			return fmt.Errorf("%s is %v instead of %v", code, r.Value, want)
		}
	}
	return nil
}

// answer is the decoded part of an answer.
type answer struct {
	entries  int
	rates    []Rate
	rejected map[Rejection]int
}

// read decodes token by token: decoding into a map would silently keep the last of two entries with one key, and one bad entry
// would invalidate all others.
func (a *answer) read(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(withoutBOM(body)))
	found := false
	err := object(d, func(key string) error {
		switch {
		case key != "rates":
			return d.Decode(&json.RawMessage{})
		case found:
			return errors.New(`two members "rates"`)
		}
		found = true
		if err := object(d, func(code string) error { return a.readEntry(d, code) }); err != nil {
			return fmt.Errorf(`in "rates": %w`, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return notJSON(err)
	case !found:
		return errors.New(`no member "rates"`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("trailing data after the JSON object")
	}
	return nil
}

// withoutBOM removes a byte order mark, which RFC 8259, section 8.1, allows a parser to ignore.
func withoutBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\uFEFF")) }

// object calls visit for each member of the next JSON object; visit decodes the value.
func object(d *json.Decoder, visit func(key string) error) error {
	switch open, err := d.Token(); {
	case err != nil:
		return err
	case open != json.Delim('{'):
		return errors.New("not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if err := visit(key.(string)); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// notJSON adds context to an error of the JSON library.
func notJSON(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("not JSON: unexpected end")
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON: byte %d: %w", syntax.Offset-1, err) // Offset counts from 1
	}
	return err
}

func (a *answer) readEntry(d *json.Decoder, code string) error {
	if a.entries++; a.entries > MaxEntries {
		return fmt.Errorf("more than %d entries", MaxEntries)
	}
	r := Rate{Code: code}
	why, err := r.read(d)
	switch {
	case err != nil:
		return err
	case !IsCode(code):
		a.rejected[BadCode]++
	case why != "":
		a.rejected[why]++
	default:
		a.rates = append(a.rates, r)
	}
	return nil
}

// read decodes one entry. It returns an error only for invalid JSON; anything else rejects this entry alone.
func (r *Rate) read(d *json.Decoder) (why Rejection, _ error) {
	var in struct{ Name, Unit, Type, Value member }
	if err := d.Decode(&in); err != nil {
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return Malformed, nil // not an object
		}
		return "", err
	}
	for _, text := range []struct {
		member
		into *string
	}{{in.Name, &r.Name}, {in.Unit, &r.Unit}, {in.Type, &r.Type}} {
		switch {
		case text.times > 1:
			why = Ambiguous
		case text.kind() == '"':
			if err := json.Unmarshal(text.raw, text.into); err != nil {
				return "", err
			}
			*text.into = clean(*text.into)
		case text.kind() != 'n': // null leaves it empty
			why = cmp.Or(why, Malformed)
		}
	}
	if in.Value.times > 1 {
		why = Ambiguous
	}
	switch k := in.Value.kind(); {
	case why != "":
	case k == 'n':
		why = Missing
	case k == '-', k >= '0' && k <= '9':
		r.Value, why = number(string(in.Value.raw))
	default:
		why = NotNumber
	}
	return why, nil
}

// member is the raw value of a member of an object, and how often it occurs.
type member struct {
	raw   []byte
	times int
}

// UnmarshalJSON is called for each occurrence.
func (m *member) UnmarshalJSON(raw []byte) error {
	m.raw = append(m.raw[:0], raw...)
	m.times++
	return nil
}

// kind returns the first byte of the value; 'n' for null or none.
func (m *member) kind() byte {
	if m.times == 0 {
		return 'n'
	}
	return m.raw[0]
}

// number parses a JSON number, which must be finite and above zero.
func number(s string) (float64, Rejection) {
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil: // a JSON number can only be out of range
		return 0, NotFinite
	case v == 0:
		return 0, Zero
	case v < 0:
		return 0, Negative
	}
	return v, ""
}

// sortOut sorts the rates by code. It merges identical entries and drops entries with one code and different content, because none
// is known to be right.
func (a *answer) sortOut() {
	rates := a.rates
	slices.SortFunc(rates, ByCode)
	a.rates = rates[:0]
	for i := 0; i < len(rates); {
		j, same := i+1, true
		for ; j < len(rates) && rates[j].Code == rates[i].Code; j++ {
			same = same && rates[j] == rates[i]
		}
		if same {
			a.rates = append(a.rates, rates[i])
		} else {
			a.rejected[Ambiguous] += j - i
		}
		i = j
	}
}

// clean makes a text safe for labels and pages: it removes control characters and bidirectional controls, and truncates long texts.
// It is idempotent, so a relay serves the same text as its upstream.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
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
