package coingecko_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
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
		"2021-10": {recorded(t, "exchange_rates-2021-10.json"), map[coingecko.Kind]int{coingecko.Crypto: 13, coingecko.Fiat: 46, coingecko.Commodity: 2}},
		"2023-12": {recorded(t, "exchange_rates-2023-12.json"), map[coingecko.Kind]int{coingecko.Crypto: 13, coingecko.Fiat: 47, coingecko.Commodity: 2}},
		"2026-06": {simulator.Recorded(), map[coingecko.Kind]int{coingecko.Crypto: 14, coingecko.Fiat: 60, coingecko.Commodity: 2}},
	} {
		rates, rejected, err := coingecko.Decode(tc.answer)
		if err != nil || len(rejected) != 0 {
			t.Fatalf("%s: rejected %v, error %v", name, rejected, err)
		}
		got := map[coingecko.Kind]int{}
		for i, r := range rates {
			got[r.Kind()]++
			if i > 0 && rates[i-1].Code >= r.Code {
				t.Errorf("%s: %s stands before %s", name, rates[i-1].Code, r.Code)
			}
		}
		if !maps.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestEncodeIsReadBack(t *testing.T) {
	rates, _, err := coingecko.Decode(simulator.Recorded())
	if err != nil {
		t.Fatal(err)
	}
	body := coingecko.Encode(rates)
	again, rejected, err := coingecko.Decode(body)
	if err != nil || len(rejected) != 0 {
		t.Fatal(rejected, err)
	}
	if d := cmp.Diff(rates, again); d != "" {
		t.Error(d)
	}
	if !bytes.Equal(body, coingecko.Encode(again)) {
		t.Error("the same rates gave other bytes")
	}
	defer func() {
		if recover() == nil {
			t.Error("a value that JSON cannot hold was encoded")
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

func TestDecodeEntries(t *testing.T) {
	usd := func(v float64) *coingecko.Rate {
		return &coingecko.Rate{Code: "usd", Name: "US Dollar", Unit: "$", Type: "fiat", Value: v}
	}
	for name, tc := range map[string]struct {
		body string
		want *coingecko.Rate             // of usd; nil if it is dropped
		why  map[coingecko.Rejection]int // what is counted
	}{
		"a whole number":         {value(`1`), usd(1), nil},
		"a fraction":             {value(`1.0`), usd(1), nil},
		"an exponent":            {value(`1.5E7`), usd(1.5e7), nil},
		"the largest of 2026":    {value(`6790586630.179`), usd(6790586630.179), nil},
		"absurd but finite":      {value(`1e308`), usd(1e308), nil},
		"null":                   {value(`null`), nil, map[coingecko.Rejection]int{coingecko.Missing: 1}},
		"a string":               {value(`"1"`), nil, map[coingecko.Rejection]int{coingecko.NotNumber: 1}},
		"a list":                 {value(`[1]`), nil, map[coingecko.Rejection]int{coingecko.NotNumber: 1}},
		"a truth":                {value(`true`), nil, map[coingecko.Rejection]int{coingecko.NotNumber: 1}},
		"infinite":               {value(`1e309`), nil, map[coingecko.Rejection]int{coingecko.NotFinite: 1}},
		"zero":                   {value(`0`), nil, map[coingecko.Rejection]int{coingecko.Zero: 1}},
		"minus zero":             {value(`-0.0`), nil, map[coingecko.Rejection]int{coingecko.Zero: 1}},
		"too small":              {value(`1e-400`), nil, map[coingecko.Rejection]int{coingecko.Zero: 1}},
		"negative":               {value(`-1`), nil, map[coingecko.Rejection]int{coingecko.Negative: 1}},
		"no value":               {one(`{"name":"US Dollar"}`), nil, map[coingecko.Rejection]int{coingecko.Missing: 1}},
		"a null entry":           {one(`null`), nil, map[coingecko.Rejection]int{coingecko.Missing: 1}},
		"no object":              {one(`75817.7`), nil, map[coingecko.Rejection]int{coingecko.Malformed: 1}},
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

// TestFaults has more of these.
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
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":         {``, "not JSON"},
		"HTML":            {`<!DOCTYPE html>`, "not JSON: byte 0: invalid character '<'"},
		"cut off":         {`{"rates":{"btc":{"value":1}`, "not JSON: unexpected end"},
		"a list":          {`[]`, "not a JSON object"},
		"null":            {`null`, "not a JSON object"},
		"null rates":      {`{"rates":null}`, `in "rates": not a JSON object`},
		"a list of rates": {`{"rates":[]}`, `in "rates": not a JSON object`},
		"no usable entry": {`{"rates":{"usd":{"value":null}}}`, "none of 1 entries is usable"},
		"a null bitcoin":  {`{"rates":{"usd":{"value":2},"btc":{"value":null}}}`, "btc is missing"},
		"wrong bits":      {`{"rates":{"btc":{"value":1},"bits":{"value":1e5}}}`, "bits is 100000 instead of 1e+06"},
		"too many":        {many(coingecko.MaxEntries + 1), "more than 500 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			rates, _, err := coingecko.Decode([]byte(tc.body))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
			if rates != nil {
				t.Errorf("%d rates beside an error", len(rates))
			}
		})
	}
}

// A refused answer still counts its dropped entries.
func TestDecodeCountsBesideAnError(t *testing.T) {
	_, rejected, err := coingecko.Decode([]byte(`{"rates":{"usd":{"value":null},"eur":{"value":"1"}}}`))
	want := map[coingecko.Rejection]int{coingecko.Missing: 1, coingecko.NotNumber: 1}
	if err == nil || !maps.Equal(rejected, want) {
		t.Errorf("rejected %v, error %v", rejected, err)
	}
	known := coingecko.Rejections()
	for why := range rejected {
		if !strings.Contains(fmt.Sprint(known), string(why)) {
			t.Errorf("%s is not among Rejections", why)
		}
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
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
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
		again, rejected, err := coingecko.Decode(coingecko.Encode(rates))
		if err != nil || len(rejected) > 0 {
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
	rates, _, err := coingecko.Decode(simulator.Recorded())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		coingecko.Encode(rates)
	}
}
