package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// begin is when the generated prices begin.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// write makes a file of ten days of prices, a minute each, which never stand still.
func write(t *testing.T, dir, name string, price func(at time.Duration) float64) string {
	t.Helper()
	var b strings.Builder
	for at := time.Duration(0); at < tenDays; at += time.Minute {
		still := 1 + 1e-4*float64(at/time.Minute%7)
		fmt.Fprintf(&b, "%d,%g\n", begin.Add(at).Unix(), price(at)*still)
	}
	file := filepath.Join(dir, name+".csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func steady(price float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return price }
}

// judged runs the command over ten days of prices, of which the last two are judged.
func judged(t *testing.T, files []string, more ...string) string {
	t.Helper()
	var out bytes.Buffer
	args := append([]string{"--evaluation=4m", "--from=2026-01-09", "--missed", "--messages"}, more...)
	if err := run(append(args, files...), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const tenDays = 10 * 24 * time.Hour

// fallsAt gives a price that falls by a share within ten minutes, and stays there.
func fallsAt(when time.Duration, price, share float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		return price * (1 - share*min(1, max(0, (at-when).Minutes()/10)))
	}
}

func TestOneFallIsOnePage(t *testing.T) {
	dir := t.TempDir()
	noon := tenDays - 36*time.Hour
	out := judged(t, []string{
		write(t, dir, "btc", steady(100_000)),
		write(t, dir, "eth", fallsAt(noon, 4_000, 0.3)),
		write(t, dir, "doge", fallsAt(noon, 0.2, 0.5)), // not the store's: nobody is to be told of it
	})
	if want := "; 15.2 pages a month"; !strings.Contains(out, want) { // one in two days
		t.Errorf("the output lacks %q", want)
	}
	// Alertmanager repeats what goes on for four hours, to the team for twelve; that is no further page.
	want := `
Of 1 moves of 8 % within an hour 1 were told.
Of 1 moves of 15 % within a day 1 were told.
2026-01-09 12:08 team
    warning: ETH fell 17.9 % in 15 min to 3,283 USD
2026-01-09 12:20 on-call
    critical: ETH fell 30.0 % in 1 h to 2,800 USD
2026-01-09 12:20 team
    critical: ETH fell 30.0 % in 1 h to 2,800 USD
2026-01-09 16:21 on-call
    critical: ETH fell 30.0 % in 24 h to 2,801 USD
2026-01-09 20:22 on-call
    critical: ETH fell 30.0 % in 24 h to 2,801 USD
2026-01-10 00:21 team
    critical: ETH is calm again at 2,801 USD
2026-01-10 00:23 on-call
    critical: ETH is calm again at 2,801 USD
2026-01-10 01:12 on-call
    over: ETH is calm again at 2,801 USD
2026-01-10 01:12 team
    over: ETH is calm again at 2,801 USD
    over: ETH is calm again at 2,801 USD
`
	if !strings.HasSuffix(out, want) {
		t.Errorf("the output does not end with %s:\n%s", want, out)
	}
}

func TestNothingIsToldOfSteadyPrices(t *testing.T) {
	dir := t.TempDir()
	out := judged(t, []string{write(t, dir, "btc", steady(100_000)), write(t, dir, "eth", steady(4_000))})
	if !strings.Contains(out, " 0.0 messages a month to team and notices") || !strings.Contains(out, "0.0 pages a month") {
		t.Error(out)
	}
}

// The first extremes of an hour and of a day, and again only when a whole window lies between.
func TestMoves(t *testing.T) {
	file := write(t, t.TempDir(), "eth", func(at time.Duration) float64 {
		return fallsAt(48*time.Hour, 100, 0.1)(at) * fallsAt(52*time.Hour, 1, 0.1)(at)
	})
	c, err := readCurrency(file)
	if err != nil {
		t.Fatal(err)
	}
	of := func(w window) []move {
		return moves(&c, w, begin.Unix(), begin.Add(tenDays).Unix())
	}
	hours, days := of(windows[0]), of(windows[1])
	if len(hours) != 2 || len(days) != 1 {
		t.Fatalf("%v, %v: want two falls of an hour, and both as one of a day", hours, days)
	}
	for i, after := range []time.Duration{48 * time.Hour, 52 * time.Hour} {
		if late := time.Unix(hours[i].large, 0).Sub(begin.Add(after)); hours[i].up || late < 8*time.Minute || late > 12*time.Minute {
			t.Errorf("%v, %v after the fall began", hours[i], late)
		}
	}
}

func TestWrongPricesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "fewer than two prices",
		"time,close\n1767225600,1\n":          "fewer than two prices",
		"1767225600,1\n1767225600,1\n":        "does not come after",
		"1767225600,1\n1767225660,0\n":        "0 is no price",
		"1767225600,1\n1767225660,NaN\n":      "NaN is no price",
		"1767225600,1\n1767225660,one\n":      `line 2: strconv.ParseFloat: parsing "one"`,
		"1767225600,1\n1767225660,1,1\n":      "wrong number of fields",
		"1767225600,1\n17672256601767225660x": "wrong number of fields",
	} {
		file := filepath.Join(t.TempDir(), "eth.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPrices([]string{file}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v, want the file and %q", text, err, want)
		}
	}
}
