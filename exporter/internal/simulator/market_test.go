package simulator

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// start is a Wednesday, so that the currencies move.
var start = time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)

// clock is a settable time.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// at returns a simulator whose time is start, and the clock that moves it.
func at(o Options) (*Simulator, *clock) {
	c := &clock{t: start}
	o.Now = c.now
	return New(o), c
}

func value(t *testing.T, rates []coingecko.Rate, code string) float64 {
	t.Helper()
	r, ok := coingecko.Find(rates, code)
	if !ok {
		t.Fatalf("no rate of %s among %d", code, len(rates))
	}
	return r.Value
}

// price returns the price of one unit of code in US dollars.
func price(t *testing.T, rates []coingecko.Rate, code string) float64 {
	t.Helper()
	return value(t, rates, "usd") / value(t, rates, code)
}

func TestStartsFromRecordedAnswer(t *testing.T) {
	want, _, err := coingecko.Decode(recorded)
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range []uint64{0, 1, 1 << 63} {
		s, _ := at(Options{Seed: seed})
		if diff := cmp.Diff(want, s.Rates(start)); diff != "" {
			t.Errorf("seed %d: rates at the start (-recorded +got):\n%s", seed, diff)
		}
	}
}

func TestSameSeedSameMarket(t *testing.T) {
	a, _ := at(Options{Seed: 7})
	b, _ := at(Options{Seed: 7})
	other, _ := at(Options{Seed: 8})
	times := []time.Duration{-190 * time.Hour, -90 * time.Minute, -time.Second, time.Minute, 26 * time.Hour}
	for _, d := range times {
		a.Rates(start.Add(d))
	}
	slices.Reverse(times) // what was asked before must not matter
	for _, d := range times {
		x, y := a.Rates(start.Add(d)), b.Rates(start.Add(d))
		if diff := cmp.Diff(x, y); diff != "" {
			t.Errorf("%v: two markets of one seed differ:\n%s", d, diff)
		}
		if cmp.Equal(x, other.Rates(start.Add(d))) {
			t.Errorf("%v: markets of different seeds are alike", d)
		}
		if !slices.IsSortedFunc(x, coingecko.ByCode) {
			t.Errorf("%v: not sorted by code", d)
		}
	}
}

func TestStepFollowsRefresh(t *testing.T) {
	s, _ := at(Options{Refresh: time.Minute})
	for _, begin := range []time.Duration{-time.Minute, 0, 5 * time.Minute} {
		first, last := s.Rates(start.Add(begin)), s.Rates(start.Add(begin+59*time.Second))
		if !cmp.Equal(first, last) {
			t.Errorf("rates changed within the minute that begins at %v", begin)
		}
		if cmp.Equal(last, s.Rates(start.Add(begin+time.Minute))) {
			t.Errorf("rates did not change a minute after %v", begin)
		}
	}
}

func TestPegsAndConstants(t *testing.T) {
	s, _ := at(Options{Seed: 3})
	first := s.Rates(start)
	constants := map[string]float64{"btc": 1, "bits": 1e6, "sats": 1e8}
	moved := map[string]bool{}
	for now, rates := range s.History(8*24*time.Hour, 37*time.Minute) {
		for code, want := range constants {
			if got := value(t, rates, code); got != want {
				t.Fatalf("%v: %s is %v, want %v", now, code, got, want)
			}
		}
		for code, base := range map[string]string{
			"aed": "usd", "bhd": "usd", "bmd": "usd", "lbp": "usd", "mmk": "usd", "sar": "usd", "svc": "usd", "vef": "usd", "bam": "eur",
		} {
			ratio := value(t, first, code) / value(t, first, base)
			got, want := value(t, rates, code), ratio*value(t, rates, base)
			// Both are rounded to 3 decimals.
			if math.Abs(got-want) > 0.0005*(1+ratio)+1e-9*want {
				t.Fatalf("%v: %s is %v, want %v: its peg to %s broke", now, code, got, want, base)
			}
		}
		if hkd := price(t, rates, "hkd") / price(t, first, "hkd"); math.Abs(hkd-1) > 0.003 {
			t.Fatalf("%v: hkd moved by %v against usd", now, hkd-1)
		}
		for i, r := range rates {
			if r.Value != math.Round(r.Value*1000)/1000 || r.Value <= 0 {
				t.Fatalf("%v: %s is %v: not above 0 with 3 decimals at most", now, r.Code, r.Value)
			}
			if r.Value != first[i].Value {
				moved[r.Code] = true
			}
		}
	}
	if len(moved) != len(first)-len(constants) {
		t.Errorf("%d of %d rates moved, want all but %d", len(moved), len(first), len(constants))
	}
}

// course returns a history as prices in usd.
type course struct {
	times  []time.Time
	prices map[string][]float64
}

func courseOf(t *testing.T, s *Simulator, span, step time.Duration) course {
	t.Helper()
	c := course{prices: map[string][]float64{}}
	for now, rates := range s.History(span, step) {
		c.times = append(c.times, now)
		usd := value(t, rates, "usd")
		for _, r := range rates {
			c.prices[r.Code] = append(c.prices[r.Code], usd/r.Value)
		}
	}
	return c
}

// moves returns the sorted absolute changes of a price over a number of steps; keep can filter them.
func (c course) moves(code string, steps int, keep func(from, to time.Time) bool) []float64 {
	var moves []float64
	p := c.prices[code]
	for i := steps; i < len(p); i++ {
		if keep == nil || keep(c.times[i-steps], c.times[i]) {
			moves = append(moves, math.Abs(p[i]/p[i-steps]-1))
		}
	}
	slices.Sort(moves)
	return moves
}

// within returns the share of sorted values between low and high.
func within(sorted []float64, low, high float64) float64 {
	a, _ := slices.BinarySearch(sorted, low)
	b, _ := slices.BinarySearch(sorted, high)
	return float64(b-a) / float64(len(sorted))
}

func TestMovesLikeAMarket(t *testing.T) {
	s, _ := at(Options{Seed: 1})
	history := courseOf(t, s, 60*24*time.Hour, time.Hour)
	weekend := func(from, to time.Time) bool {
		saturday := from.Weekday() == time.Friday && from.Hour() >= 22 || from.Weekday() == time.Saturday
		sunday := to.Weekday() == time.Saturday || to.Weekday() == time.Sunday && to.Hour() < 22
		return saturday && sunday
	}
	for _, c := range []struct {
		kind             coingecko.Kind
		hours            int
		low, high, least float64 // share of moves between low and high
	}{
		{coingecko.Crypto, 1, 0, 0.01, 0.8},
		{coingecko.Crypto, 24, 0.01, 0.05, 0.5},
		{coingecko.Crypto, 24, 0, 0.2, 1},
		{coingecko.Fiat, 24, 0, 0.005, 0.95},
		{coingecko.Commodity, 24, 0.001, 0.03, 0.6},
	} {
		for _, r := range recordedRates() {
			if share := within(history.moves(r.Code, c.hours, nil), c.low, c.high); r.Kind() == c.kind && share < c.least {
				t.Errorf("%s: only %.0f %% of moves in %d h are from %v to %v", r.Code, share*100, c.hours, c.low, c.high)
			}
		}
	}
	for _, r := range recordedRates() {
		if rest := history.moves(r.Code, 24, weekend); r.Kind() == coingecko.Fiat && rest[len(rest)-1] > 0.002 {
			t.Errorf("%s moved by %.2f %% over a week-end", r.Code, rest[len(rest)-1]*100)
		}
	}
	middle := func(code string) float64 {
		aDay := history.moves(code, 24, nil)
		return aDay[len(aDay)/2]
	}
	if !(middle("btc") > middle("xau") && middle("xau") > middle("eur") && middle("eur") > middle("hkd")) {
		t.Errorf("median moves in a day: btc %v, xau %v, eur %v, hkd %v: want them in falling order",
			middle("btc"), middle("xau"), middle("eur"), middle("hkd"))
	}
}

func TestCoinsFollowBitcoin(t *testing.T) {
	s, _ := at(Options{Seed: 1, Calm: true})
	var btc, eth, eur []float64
	var before []coingecko.Rate
	for _, rates := range s.History(90*24*time.Hour, 6*time.Hour) {
		if before != nil {
			move := func(code string) float64 { return math.Log(price(t, rates, code) / price(t, before, code)) }
			btc, eth, eur = append(btc, move("btc")), append(eth, move("eth")), append(eur, move("eur"))
		}
		before = rates
	}
	if r := correlation(btc, eth); r < 0.6 || r > 0.95 {
		t.Errorf("correlation of btc and eth is %.2f", r)
	}
	if r := correlation(btc, eur); math.Abs(r) > 0.3 {
		t.Errorf("correlation of btc and eur is %.2f", r)
	}
}

func correlation(x, y []float64) float64 {
	var sx, sy, sxx, syy, sxy float64
	n := float64(len(x))
	for i := range x {
		sx, sy = sx+x[i], sy+y[i]
		sxx, syy, sxy = sxx+x[i]*x[i], syy+y[i]*y[i], sxy+x[i]*y[i]
	}
	return (sxy - sx*sy/n) / math.Sqrt((sxx-sx*sx/n)*(syy-sy*sy/n))
}

// The step from history to live is as smooth as any other.
func TestJoinAtStart(t *testing.T) {
	for seed := range uint64(20) {
		s, _ := at(Options{Seed: seed})
		before := s.Rates(start.Add(-10 * time.Second))
		for d := -8 * time.Second; d <= 10*time.Second; d += 2 * time.Second {
			now := s.Rates(start.Add(d))
			for i, r := range now {
				if move := math.Abs(r.Value/before[i].Value - 1); move > 0.004 {
					t.Errorf("seed %d, %v: %s moved by %.2f %% in 2 s", seed, d, r.Code, move*100)
				}
			}
			before = now
		}
	}
}

// summits returns the size of each swing: the market compared with the same market without swings.
func summits(t *testing.T, seed uint64, from, to time.Time, step time.Duration) (sizes []float64) {
	t.Helper()
	wild, _ := at(Options{Seed: seed})
	calm, _ := at(Options{Seed: seed, Calm: true})
	highest := map[string]float64{}
	for now := from; now.Before(to); now = now.Add(step) {
		a, b := wild.Rates(now), calm.Rates(now)
		for i := range a {
			code, size := a[i].Code, math.Abs(b[i].Value/a[i].Value-1)
			if size > 0.02 && natureOf(a[i]).base != "btc" {
				t.Fatalf("%v: %s swings, but is no coin beside bitcoin", now, code)
			}
			switch {
			case size > 0.02:
				highest[code] = max(highest[code], size)
			case size < 0.004 && highest[code] > 0:
				sizes = append(sizes, highest[code])
				delete(highest, code)
			}
		}
	}
	slices.Sort(sizes)
	return sizes
}

func TestSwingsByThemselves(t *testing.T) {
	for _, test := range []struct {
		what        string
		from, to    time.Duration
		step        time.Duration
		count       int
		least, most float64
	}{
		{"live", 0, 2 * time.Hour, 30 * time.Second, 27, 0.08, 0.15}, // the last ones are still under way
		{"in history", -4 * 24 * time.Hour, 0, 15 * time.Minute, 12, 0.03, 0.07},
	} {
		sizes := summits(t, 5, start.Add(test.from), start.Add(test.to), test.step)
		if n := len(sizes); n < test.count-1 || n > test.count+1 {
			t.Errorf("%d swings %s, want %d", n, test.what, test.count)
			continue
		}
		if sizes[0] < test.least-0.005 || sizes[len(sizes)-1] > test.most+0.005 {
			t.Errorf("swings %s from %.3f to %.3f, want %v to %v", test.what, sizes[0], sizes[len(sizes)-1], test.least, test.most)
		}
	}
}

func TestManualSwing(t *testing.T) {
	s, c := at(Options{Calm: true})
	quiet, _ := at(Options{Calm: true})
	c.add(time.Hour)
	begin := c.now()
	if err := s.Swing("eth", -0.12); err != nil {
		t.Fatal(err)
	}
	worth := func(code string, d time.Duration) float64 {
		return price(t, s.Rates(begin.Add(d)), code)/price(t, quiet.Rates(begin.Add(d)), code) - 1
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.0005 {
			t.Errorf("%s: moved by %.4f, want %.4f", what, got, want)
		}
	}
	near("before", worth("eth", -time.Second), 0)
	near("at once", worth("eth", 0), 0)
	near("at its summit", worth("eth", manualRise), -0.12)
	if half := worth("eth", manualRise+manualFall/2); half > -0.03 || half < -0.1 {
		t.Errorf("half way back: moved by %.4f", half)
	}
	near("afterwards", worth("eth", manualRise+manualFall), 0)
	near("another coin", worth("sol", manualRise), 0)
	near("a currency", worth("eur", manualRise), 0)

	// A second one adds to the first.
	if err := s.Swing("eth", -0.5); err != nil {
		t.Fatal(err)
	}
	near("two swings", worth("eth", manualRise), 0.88*0.5-1)

	// Bitcoin: worth less of everything.
	if err := s.Swing("btc", 0.25); err != nil {
		t.Fatal(err)
	}
	near("bitcoin", worth("btc", manualRise), 0.25)
	near("a coin beside bitcoin", worth("sol", manualRise), 0)
	if got := value(t, s.Rates(begin.Add(manualRise)), "btc"); got != 1 {
		t.Errorf("btc is %v", got)
	}

	// A peg breaks, and it alone.
	if err := s.Swing("aed", -0.1); err != nil {
		t.Fatal(err)
	}
	near("a broken peg", worth("aed", manualRise), -0.1)
	near("another peg", worth("sar", manualRise), 0)
}

func TestMarketSwing(t *testing.T) {
	s, c := at(Options{Calm: true})
	quiet, _ := at(Options{Calm: true})
	if err := s.Swing(Market, -0.2); err != nil {
		t.Fatal(err)
	}
	c.add(manualRise)
	a, b := s.Rates(c.now()), quiet.Rates(c.now())
	for _, r := range a {
		want := 0.0
		if r.Kind() == coingecko.Crypto {
			want = -0.2
		}
		if got := price(t, a, r.Code)/price(t, b, r.Code) - 1; math.Abs(got-want) > 0.0005 {
			t.Errorf("%s moved by %.4f, want %.4f", r.Code, got, want)
		}
	}
}

func TestSwingsStayUsable(t *testing.T) {
	s, c := at(Options{})
	for range 2 * swingsMost {
		for _, code := range []string{"xau", "btc"} {
			if err := s.Swing(code, changeLeast); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Swing("lbp", changeLeast); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.swings()); n != swingsMost {
		t.Errorf("%d swings remembered, want %d", n, swingsMost)
	}
	c.add(manualRise)
	rates, rejected, err := coingecko.Decode(coingecko.Encode(s.Rates(c.now())))
	if err != nil || len(rejected) != 0 || len(rates) != len(s.market.rates) {
		t.Errorf("%d rates, rejected %v, error %v", len(rates), rejected, err)
	}
}

func TestUnlistedCurrenciesMove(t *testing.T) {
	for kind, least := range map[string]float64{"crypto": 0.01, "fiat": 0.001, "nft": 0.001} {
		if n := natureOf(coingecko.Rate{Code: "new", Type: kind}); n.day < least {
			t.Errorf("%s: %+v", kind, n)
		}
	}
	for code := range natures {
		if _, ok := coingecko.Find(recordedRates(), code); !ok {
			t.Errorf("%s has a nature, but is not in the recorded answer", code)
		}
	}
}

func BenchmarkRates(b *testing.B) {
	s, _ := at(Options{})
	b.ReportAllocs()
	for b.Loop() {
		s.Rates(start.Add(time.Hour))
	}
}
