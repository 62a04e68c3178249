package history

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

// fetched is when the newest rates of the tests left CoinGecko.
var fetched = time.Date(2026, 6, 15, 14, 3, 22, 0, time.UTC)

// tiny is an answer in which one bitcoin costs the given number of usd.
func tiny(usd float64) []coingecko.Rate {
	return []coingecko.Rate{{Code: "btc", Type: "crypto", Value: 1}, {Code: "usd", Value: usd}}
}

// filled returns a history with samples at times before fetched. The price of each in usd is the number of seconds before fetched.
func filled(back ...time.Duration) *History {
	h := &History{}
	for _, b := range back {
		h.Remember(fetched.Add(-b), tiny(b.Seconds()), 0)
	}
	return h
}

func TestBefore(t *testing.T) {
	const m = time.Minute
	for name, c := range map[string]struct {
		samples []time.Duration
		ask     time.Duration
		want    float64 // seconds back; 0 for none
	}{
		"nothing there":                         {nil, 15 * m, 0},
		"exactly then":                          {[]time.Duration{16 * m, 15 * m, 14 * m}, 15 * m, 900},
		"the newest of those before":            {[]time.Duration{18 * m, 16 * m, 14 * m}, 15 * m, 960},
		"five minutes before, the last moment":  {[]time.Duration{20 * m, 14 * m}, 15 * m, 1200},
		"a moment too old":                      {[]time.Duration{20*m + 1, 14 * m}, 15 * m, 0},
		"a gap over then":                       {[]time.Duration{60 * m, 59 * m, 5 * m, 4 * m}, 15 * m, 0},
		"only younger ones":                     {[]time.Duration{14 * m, 13 * m}, 15 * m, 0},
		"younger by the jitter of polls":        {[]time.Duration{16*m - 20*time.Second, 15*m - 20*time.Second}, 15 * m, 880},
		"younger by slack, the last moment":     {[]time.Duration{15*m - slack}, 15 * m, 870},
		"younger by more than slack":            {[]time.Duration{15*m - slack - 1}, 15 * m, 0},
		"the oldest of a day":                   {[]time.Duration{24 * time.Hour, m}, 24 * time.Hour, 86400},
		"every five minutes, with some jitter":  {[]time.Duration{20*m + 2*time.Second, 15*m - 2*time.Second, 10 * m}, 15 * m, 898},
		"every five minutes, a poll was missed": {[]time.Duration{25 * m, 20*m + 2*time.Second, 10 * m}, 15 * m, 0},
	} {
		s, ok := filled(c.samples...).Before(fetched.Add(-c.ask))
		got, _ := s.Price("btc", "usd")
		if ok != (c.want > 0) || math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: sample of %v s before (%v), want %v", name, got, ok, c.want)
		}
	}
}

func TestOneSampleAMinuteOverADay(t *testing.T) {
	h := &History{}
	for s := 0; s <= 3*86400; s += 2 { // as often as a simulation polls
		h.Remember(fetched.Add(time.Duration(s)*time.Second), tiny(1), 0)
	}
	if n := len(h.samples); n < 1440 || n > 1447 {
		t.Errorf("%d samples after three days, want a day and a little", n)
	}
	last := h.samples[len(h.samples)-1].At
	for i, s := range h.samples {
		if last.Sub(s.At) > Reach+Tolerance {
			t.Errorf("sample %d is %v older than the last", i, last.Sub(s.At))
		}
		if i > 0 && !s.At.Truncate(time.Minute).After(h.samples[i-1].At.Truncate(time.Minute)) {
			t.Errorf("samples %d and %d are in one minute, or not in order", i-1, i)
		}
	}
	if _, ok := h.Before(last.Add(-Reach)); !ok {
		t.Error("there is no sample of a day ago")
	}
}

func TestSamplesThatAreNotNewerAreLeftOut(t *testing.T) {
	h := filled(2*time.Minute, time.Minute)
	h.Remember(fetched.Add(-2*time.Minute), tiny(7), 0) // an older answer from another upstream
	h.Remember(fetched.Add(-time.Minute), tiny(7), 0)
	if len(h.samples) != 2 || h.samples[1].values[1] != 60 {
		t.Errorf("history was changed: %v", h.samples)
	}
}

func TestClockThatWasSetForgetsTheHistory(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, clockStep + 1} {
		h := filled(20*time.Minute, 15*time.Minute, time.Minute)
		h.Remember(fetched.Add(step), tiny(5), step)
		if len(h.samples) != 1 || !h.samples[0].At.Equal(fetched.Add(step)) {
			t.Errorf("clock set by %v: %v", step, h.samples)
		}
		h.Remember(fetched.Add(step+time.Minute), tiny(5), step)
		if len(h.samples) != 2 {
			t.Errorf("clock set by %v: history does not grow again", step)
		}
	}
	h := filled(20*time.Minute, 15*time.Minute, time.Minute)
	h.Remember(fetched, tiny(5), clockStep) // what a time server corrects
	if len(h.samples) != 4 {
		t.Error("a small correction of the clock forgets the history")
	}
}

func TestCurrenciesComeAndGo(t *testing.T) {
	h := filled(3 * time.Minute)
	h.Remember(fetched.Add(-2*time.Minute), slices.Insert(tiny(100), 1, coingecko.Rate{Code: "eth", Value: 40}), 0)
	h.Remember(fetched.Add(-time.Minute), tiny(100), 0)
	h.Remember(fetched, tiny(100), 0)
	for i, want := range []bool{false, true, false, false} {
		if _, ok := h.samples[i].Price("eth", "usd"); ok != want {
			t.Errorf("sample %d has eth: %v, want %v", i, ok, want)
		}
		if _, ok := h.samples[i].Price("eth", "gbp"); ok {
			t.Errorf("sample %d has a price in a currency that never was there", i)
		}
	}
	if got, _ := h.samples[1].Price("eth", "usd"); got != 2.5 {
		t.Errorf("eth cost %v usd, want 2.5", got)
	}
	if &h.samples[2].codes[0] != &h.samples[3].codes[0] {
		t.Error("two answers with the same codes keep them twice")
	}
}

// draws formats a curve as text: "x=usd", with " | " for gaps.
func draws(points []Point) string {
	var parts []string
	for _, p := range points {
		usd, _ := p.Price("btc", "usd")
		s := fmt.Sprintf("%d=%.0f", p.X, usd)
		if p.Gap {
			s = "| " + s
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestCurve(t *testing.T) {
	const m = time.Minute
	now := Sample{At: fetched, codes: []string{"btc", "usd"}, values: []float64{1, 7}}
	for name, c := range map[string]struct {
		samples []time.Duration
		want    string
		span    time.Duration
	}{
		"no history":                          {nil, "240=7", 0},
		"now is in the history already":       {[]time.Duration{0}, "240=7", 0},
		"an hour":                             {[]time.Duration{60 * m, 57 * m, 54 * m}, "0=3600 12=3420 24=3240 | 240=7", 60 * m},
		"a gap":                               {[]time.Duration{8 * m, 7 * m, m}, "0=480 30=420 | 210=60 240=7", 8 * m},
		"five minutes are no gap":             {[]time.Duration{6 * m, m}, "0=360 200=60 240=7", 6 * m},
		"older than a day":                    {[]time.Duration{24*time.Hour + m, 24 * time.Hour, m}, "0=86400 | 239=60 240=7", 24 * time.Hour},
		"thinned out, the last is kept":       {[]time.Duration{24 * time.Hour, 5 * m, 4 * m, 3 * m, m}, "0=86400 | 239=60 240=7", 24 * time.Hour},
		"later than now, after clock trouble": {[]time.Duration{m, -m}, "0=60 240=7", m},
	} {
		points, span := filled(c.samples...).Curve(now, Tolerance)
		if d := cmp.Diff(c.want, draws(points)); d != "" || span != c.span {
			t.Errorf("%s: span %v, want %v; (-want +got):\n%s", name, span, c.span, d)
		}
	}
}

func TestHistoryIsSmall(t *testing.T) {
	rates := simulator.RecordedRates()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	h := &History{}
	for m := range 3 * 1440 {
		h.Remember(fetched.Add(time.Duration(m)*time.Minute), rates, 0)
	}
	used := int64(heap()) - int64(before)
	t.Logf("a day of %d currencies takes %d kB", len(rates), used/1000)
	if used > 1_200_000 {
		t.Errorf("history takes %d bytes, more than 1.2 MB", used)
	}
	runtime.KeepAlive(h)
}

func TestHistoryIsReadWhileItGrows(_ *testing.T) {
	h := &History{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				h.Curve(Sample{At: fetched.Add(time.Hour)}, Tolerance)
				if s, ok := h.Before(fetched.Add(30 * time.Minute)); ok {
					s.Price("btc", "usd")
				}
			}
		})
	}
	for m := range 3000 {
		h.Remember(fetched.Add(time.Duration(m)*time.Minute), tiny(1), 0)
	}
	wg.Wait()
}

func TestRatioRefusesWhatIsNoPrice(t *testing.T) {
	if got, ok := Ratio(75817.765, 36.856); !ok || math.Abs(got-2057.1349) > 0.0001 {
		t.Errorf("Ratio(75817.765, 36.856) = %v, %v", got, ok)
	}
	for _, c := range [][2]float64{{math.MaxFloat64, 0.1}, {math.SmallestNonzeroFloat64, 10}, {1, 0}, {0, 0}} {
		if got, ok := Ratio(c[0], c[1]); ok {
			t.Errorf("Ratio(%v, %v) = %v passes for a price", c[0], c[1], got)
		}
	}
}
