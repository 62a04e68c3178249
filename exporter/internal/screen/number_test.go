package screen

import (
	"math"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{75817.765, "75,817.77"}, // the three that the project was asked for
		{0.07840951, "0.0784"},
		{113245000, "113,245,000"},

		{1, "1.0000"},
		{1.1624, "1.1624"},
		{9.9999, "9.9999"},
		{9.99994, "9.9999"},
		{9.99996, "10.00"},
		{10, "10.00"},
		{999.994, "999.99"},
		{999.996, "1,000.00"},
		{999999.99, "999,999.99"},
		{999999.996, "1,000,000"},
		{1e6, "1,000,000"},
		{1234567.5, "1,234,568"},
		{8e9, "8,000,000,000"},
		{999999999999999, "999,999,999,999,999"},
		{1e15, "1.00e+15"},
		{math.MaxFloat64, "1.80e+308"},

		{0.99996, "1.0000"},
		{0.99994, "0.9999"},
		{0.01, "0.0100"},
		{0.00999996, "0.0100"},
		{0.009999, "0.0100"},
		{0.00784, "0.00784"},
		{0.001, "0.00100"},
		{0.000999, "0.000999"},
		{0.0009999, "0.00100"},
		{1e-8, "0.0000000100"},
		{5.0068e-10, "0.000000000501"},
		{1e-12, "0.00000000000100"},
		{9.9e-13, "9.90e-13"},
		{math.SmallestNonzeroFloat64, "4.94e-324"},
	} {
		if got := number(c.v); got != c.want {
			t.Errorf("number(%v) = %q, want %q", c.v, got, c.want)
		}
	}
}

func TestChange(t *testing.T) {
	for _, c := range []struct {
		now, then        float64
		text, way, arrow string
	}{
		{101.25, 100, "+1.25", "up", "▲"},
		{98.7, 100, "−1.30", "down", "▼"},
		{100, 100, "0.00", "flat", "■"},
		{100.004, 100, "0.00", "flat", "■"},
		{99.996, 100, "0.00", "flat", "■"}, // no minus before nothing
		{100.0051, 100, "+0.01", "up", "▲"},
		{99.9949, 100, "−0.01", "down", "▼"},
		{109.99, 100, "+9.99", "up", "▲"},
		{109.996, 100, "+10.0", "up", "▲"},
		{150, 100, "+50.0", "up", "▲"},
		{199.96, 100, "+100", "up", "▲"},
		{1e-9, 100, "−100", "down", "▼"},
		{1334.4, 100, "+1,234", "up", "▲"},
		{1e9, 1, dash, "none", ""},
		{math.MaxFloat64, 1e-300, dash, "none", ""},
	} {
		got := newChange("1 h", c.now, c.then, math.Inf(1))
		if got.Window != "1 h" || got.Text != c.text || got.Way != c.way || got.Arrow() != c.arrow || got.Size != "" {
			t.Errorf("from %v to %v: %+v %q, want %q %q %q", c.then, c.now, got, got.Arrow(), c.text, c.way, c.arrow)
		}
	}
}

func TestMovesAreCalmOrLoud(t *testing.T) {
	for now, want := range map[float64]string{100: "", 100.3: calm, 99.7: calm, 100.51: "", 95.1: "", 95: loud, 105: loud, 80: loud} {
		if got := newChange("1 h", now, 100, 0.05); got.Size != want {
			t.Errorf("from 100 to %v: %+v, want %q", now, got, want)
		}
	}
}

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{
		0.000765123456: "0.00076512", 0.0290124: "0.029012", 0.67513: "0.67513", 0.1688: "0.16880", 226.144: "226.14", 1234.56: "1,234.6", 5: "5.0000", 100000: "100,000",
		9.999999: "10.000", 1234567.8: "1,234,568", 1e-13: "1.00e-13", 1e15: "1.00e+15",
	} {
		if got := significant(v); got != want {
			t.Errorf("significant(%v) = %q, want %q", v, got, want)
		}
	}
}

// ages are also the expected output of the script.
var ages = map[time.Duration]string{
	0:                                     "0 s",
	999 * time.Millisecond:                "0 s",
	23 * time.Second:                      "23 s",
	59*time.Second + 999*time.Millisecond: "59 s",
	time.Minute:                           "1 min",
	61 * time.Second:                      "1 min 1 s",
	10 * time.Minute:                      "10 min",
	20*time.Minute + 10*time.Second:       "20 min 10 s",
	59*time.Minute + 59*time.Second:       "59 min 59 s",
	time.Hour:                             "1 h",
	2*time.Hour + 5*time.Minute:           "2 h 5 min",
	20*time.Hour + 59*time.Second:         "20 h",
	24 * time.Hour:                        "1 d",
	76*time.Hour + 59*time.Minute:         "3 d 4 h",
	240*time.Hour + 10*time.Hour:          "10 d 10 h",
}

func TestAge(t *testing.T) {
	for d, want := range ages {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		zone  string
		later time.Duration
		want  string
	}{
		{"UTC", time.Hour, "14:03:22 UTC"},
		{"UTC", 10 * time.Hour, "2026-06-15 14:03:22 UTC"},
		{"Europe/Madrid", time.Hour, "16:03:22 CEST"},
		{"Europe/Madrid", 8 * time.Hour, "2026-06-15 16:03:22 CEST"}, // it is tomorrow there
		{"America/Sao_Paulo", time.Hour, "11:03:22 UTC-03"},
		{"Asia/Kolkata", time.Hour, "19:33:22 IST"},
		{"Asia/Kathmandu", time.Hour, "19:48:22 UTC+05:45"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		s := New(Options{Zone: zone})
		if got := s.clock(fetched.In(time.FixedZone("", 9*3600)), fetched.Add(c.later)); got != c.want {
			t.Errorf("%s: %q, want %q", c.zone, got, c.want)
		}
	}
}

func TestUnits(t *testing.T) {
	got := units(simulator.RecordedRates())
	for code, want := range map[string]string{
		"eur": "€", "gbp": "£", "lbp": "ل.ل", "pln": "zł", "idr": "Rp", "sats": "sats", "xau": "XAU", "btc": "BTC",
		"usd": "USD", "ars": "ARS", "bmd": "BMD", "cop": "COP", // four times $
		"jpy": "JPY", "cny": "CNY", // twice ¥
		"sek": "SEK", "nok": "NOK", "dkk": "DKK", // twice kr, and kr.
	} {
		if got[code] != want {
			t.Errorf("%s is written %q, want %q", code, got[code], want)
		}
	}
	for _, c := range []struct{ unit, want string }{
		{"", "XTS"},
		{" . ", "XTS"},
		{"EUR", "XTS"},
		{"eur.", "XTS"},
		{"00", "XTS"},
		{"٣", "XTS"},
		{"long unit", "XTS"},
		{" Xx ", "Xx"},
		{"xxx.", "xxx."},
	} {
		rates := []coingecko.Rate{{Code: "eur", Unit: "€"}, {Code: "xts", Unit: c.unit}}
		if got := units(rates)["xts"]; got != c.want {
			t.Errorf("unit %q is written %q, want %q", c.unit, got, c.want)
		}
	}
}
