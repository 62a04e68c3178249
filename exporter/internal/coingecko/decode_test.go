package coingecko_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

func recorded(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The counts are from the list of the recordings and were counted by hand.
func TestDecodeRecordedAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer []byte
		want   map[coingecko.Kind]int
	}{
		"2021-10": {recorded(t, "testdata/exchange_rates-2021-10.json"), map[coingecko.Kind]int{coingecko.Crypto: 13, coingecko.Fiat: 46, coingecko.Commodity: 2}},
		"2023-12": {recorded(t, "testdata/exchange_rates-2023-12.json"), map[coingecko.Kind]int{coingecko.Crypto: 13, coingecko.Fiat: 47, coingecko.Commodity: 2}},
		"2026-06": {simulator.Recorded(), map[coingecko.Kind]int{coingecko.Crypto: 14, coingecko.Fiat: 60, coingecko.Commodity: 2}},
	} {
		rates, rejected, err := coingecko.Decode(tc.answer)
		if err != nil || len(rejected) != 0 {
			t.Fatalf("%s: rejected %v, error %v", name, rejected, err)
		}
		got := map[coingecko.Kind]int{}
		for _, r := range rates {
			got[r.Kind()]++
		}
		if !maps.Equal(got, tc.want) || !slices.IsSortedFunc(rates, coingecko.ByCode) {
			t.Errorf("%s: %v, want %v; sorted: %v", name, got, tc.want, rates)
		}
	}
}

func TestEncodeRefusesWhatJSONCannotHold(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was encoded")
		}
	}()
	coingecko.Encode([]coingecko.Rate{{Code: "usd", Value: math.Inf(1)}})
}

// one returns an answer with an entry for usd and a good one for btc.
func one(usd string) string {
	return `{"rates":{"btc":{"name":"Bitcoin","unit":"BTC","value":1.0,"type":"crypto"},"usd":` + usd + `}}`
}

func value(v string) string {
	return one(`{"name":"US Dollar","unit":"$","value":` + v + `,"type":"fiat"}`)
}

// TestFaults has more of these.
func TestDecodeEntries(t *testing.T) {
	usd := func(v float64) *coingecko.Rate {
		return &coingecko.Rate{Code: "usd", Name: "US Dollar", Unit: "$", Type: "fiat", Value: v}
	}
	for name, tc := range map[string]struct {
		body string
		want *coingecko.Rate             // of usd; nil if it is dropped
		why  map[coingecko.Rejection]int // what is counted
	}{
		"a byte order mark":      {"\uFEFF" + value(`2`), usd(2), nil}, // RFC 8259, section 8.1: a parser may ignore it
		"a whole number":         {value(`1`), usd(1), nil},
		"a fraction":             {value(`1.0`), usd(1), nil},
		"an exponent":            {value(`1.5E7`), usd(1.5e7), nil},
		"the largest of 2026":    {value(`6790586630.179`), usd(6790586630.179), nil},
		"absurd but finite":      {value(`1e308`), usd(1e308), nil},
		"a list":                 {value(`[1]`), nil, map[coingecko.Rejection]int{coingecko.NotNumber: 1}},
		"a truth":                {value(`true`), nil, map[coingecko.Rejection]int{coingecko.NotNumber: 1}},
		"too small":              {value(`1e-400`), nil, map[coingecko.Rejection]int{coingecko.Zero: 1}},
		"no value":               {one(`{"name":"US Dollar"}`), nil, map[coingecko.Rejection]int{coingecko.Missing: 1}},
		"a null entry":           {one(`null`), nil, map[coingecko.Rejection]int{coingecko.Missing: 1}},
		"a name of another type": {one(`{"name":1,"value":1}`), nil, map[coingecko.Rejection]int{coingecko.Malformed: 1}},
		"two values":             {one(`{"value":1,"value":2}`), nil, map[coingecko.Rejection]int{coingecko.Ambiguous: 1}},
		"more fields":            {one(`{"name":"US Dollar","flag":{"x":[1,2]},"unit":"$","value":2,"type":"fiat"}`), usd(2), nil},
		"null texts":             {one(`{"name":null,"unit":null,"value":2,"type":null}`), &coingecko.Rate{Code: "usd", Value: 2}, nil},
		"a new type":             {one(`{"name":"US Dollar","unit":"$","value":2,"type":"stablecoin"}`), &coingecko.Rate{Code: "usd", Name: "US Dollar", Unit: "$", Type: "stablecoin", Value: 2}, nil},
		"twice the same":         {one(`{"value":2},"usd":{"value":2.0}`), &coingecko.Rate{Code: "usd", Value: 2}, nil},
		"twice, not the same":    {one(`{"value":2},"usd":{"value":3}`), nil, map[coingecko.Rejection]int{coingecko.Ambiguous: 2}},
		"not fit to print":       {one("{\"name\":\"A\\u0000\\tB\\u0007\\u202e\xff\",\"value\":2}"), &coingecko.Rate{Code: "usd", Name: "A B\uFFFD", Value: 2}, nil},
		"an endless name":        {one(`{"name":"` + strings.Repeat("ä", 100_000) + `","value":2}`), &coingecko.Rate{Code: "usd", Name: strings.Repeat("ä", 64), Value: 2}, nil},
		"capitals in the code":   {one(`{"value":1},"USD":{"value":3}`), &coingecko.Rate{Code: "usd", Value: 1}, map[coingecko.Rejection]int{coingecko.BadCode: 1}},
		"an empty code":          {one(`{"value":1},"":{"value":3}`), &coingecko.Rate{Code: "usd", Value: 1}, map[coingecko.Rejection]int{coingecko.BadCode: 1}},
		"a hostile code":         {one(`{"value":1},"a\"} 1\n":{"value":3}`), &coingecko.Rate{Code: "usd", Value: 1}, map[coingecko.Rejection]int{coingecko.BadCode: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			rates, rejected, err := coingecko.Decode([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := coingecko.Find(rates, "usd")
			switch {
			case tc.want == nil && ok:
				t.Errorf("got %+v, want it dropped", got)
			case tc.want != nil && got != *tc.want:
				t.Errorf("got %+v, want %+v", got, *tc.want)
			}
			if !maps.Equal(rejected, tc.why) {
				t.Errorf("rejected %v, want %v", rejected, tc.why)
			}
			if _, ok := coingecko.Find(rates, "btc"); !ok {
				t.Error("the good entry beside it is gone")
			}
		})
	}
}

// TestFaults has more of these. A refused answer still counts its dropped entries.
func TestDecodeRefusesWhole(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"rates":{"btc":{"value":1}`)
		for i := 1; i < n; i++ {
			fmt.Fprintf(&b, `,"c%d":{"value":2}`, i)
		}
		return b.String() + "}}"
	}
	if rates, _, err := coingecko.Decode([]byte(many(coingecko.MaxEntries))); err != nil || len(rates) != coingecko.MaxEntries {
		t.Errorf("%d entries: %d rates, error %v", coingecko.MaxEntries, len(rates), err)
	}
	for name, tc := range map[string]struct {
		body, want string
		why        map[coingecko.Rejection]int
	}{
		"nothing":         {``, "not JSON", nil},
		"HTML":            {`<!DOCTYPE html>`, "not JSON: byte 0: invalid character '<'", nil},
		"cut off":         {`{"rates":{"btc":{"value":1}`, "not JSON: unexpected end", nil},
		"a list":          {`[]`, "not a JSON object", nil},
		"null":            {`null`, "not a JSON object", nil},
		"null rates":      {`{"rates":null}`, `in "rates": not a JSON object`, nil},
		"a list of rates": {`{"rates":[]}`, `in "rates": not a JSON object`, nil},
		"no usable entry": {`{"rates":{"usd":{"value":null},"eur":{"value":"1"}}}`, "none of 2 entries is usable", map[coingecko.Rejection]int{coingecko.Missing: 1, coingecko.NotNumber: 1}},
		"a null bitcoin":  {`{"rates":{"usd":{"value":2},"btc":{"value":null}}}`, "btc is missing", map[coingecko.Rejection]int{coingecko.Missing: 1}},
		"wrong bits":      {`{"rates":{"btc":{"value":1},"bits":{"value":1e5}}}`, "bits is 100000 instead of 1e+06", nil},
		"too many":        {many(coingecko.MaxEntries + 1), "more than 500 entries", nil},
	} {
		t.Run(name, func(t *testing.T) {
			rates, rejected, err := coingecko.Decode([]byte(tc.body))
			if err == nil || !strings.Contains(err.Error(), tc.want) || rates != nil || !maps.Equal(rejected, tc.why) {
				t.Errorf("%d rates, rejected %v, error %v, want no rates, %v and an error with %q", len(rates), rejected, err, tc.why, tc.want)
			}
		})
	}
}

// FuzzDecode checks that decoded rates are valid and survive encoding unchanged.
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/*.json", "testdata/errors/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			f.Add(recorded(f, file))
		}
	}
	f.Add([]byte(value(`1e308`)))
	f.Add([]byte(one(`{"value":2},"usd":{"value":3}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		rates, _, err := coingecko.Decode(body)
		if err != nil {
			if rates != nil {
				t.Fatal("rates beside an error")
			}
			return
		}
		if btc, ok := coingecko.Find(rates, "btc"); !ok || btc.Value != 1 {
			t.Fatal("btc is not 1")
		}
		for _, r := range rates {
			if !(r.Value > 0) || math.IsInf(r.Value, 0) {
				t.Fatalf("%s has value %v", r.Code, r.Value)
			}
		}
		sent := coingecko.Encode(rates)
		again, rejected, err := coingecko.Decode(sent)
		if err != nil || len(rejected) > 0 || !bytes.Equal(sent, coingecko.Encode(again)) {
			t.Fatalf("cannot be passed on: %v, %v", rejected, err)
		}
		if d := cmp.Diff(rates, again); d != "" {
			t.Fatal(d)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := simulator.Recorded()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := coingecko.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	rates := simulator.RecordedRates()
	b.ReportAllocs()
	for b.Loop() {
		coingecko.Encode(rates)
	}
}
