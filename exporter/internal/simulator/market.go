// The market: the value of each currency at any time, past or future, without state.

package simulator

import (
	"cmp"
	_ "embed"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

//go:embed exchange_rates-2026-06.json
var recorded []byte

// Recorded is CoinGecko's answer of June 2026 from which every simulation starts.
func Recorded() []byte { return slices.Clone(recorded) }

// RecordedRates are the rates of that answer, sorted by code.
func RecordedRates() []coingecko.Rate { return slices.Clone(recordedRates()) }

var recordedRates = sync.OnceValue(func() []coingecko.Rate {
	rates, _, err := coingecko.Decode(recorded)
	if err != nil {
		panic("simulator: the embedded answer cannot be read: " + err.Error())
	}
	return rates
})

// swinging describes swings: rise is the time to the full size, fall the time back. One swing begins in each slot, at a random
// time within jitter.
type swinging struct {
	slot, jitter, rise, fall time.Duration
	least, most              float64 // change of the price
}

var (
	// live swings are large and frequent, for demonstrations.
	live = swinging{
		slot: 4 * time.Minute, jitter: time.Minute, rise: 3 * time.Minute, fall: 15 * time.Minute,
		least: 0.08, most: 0.15,
	}
	// past swings make a history that looks natural. Each ends within its slot, so that none is active at the start.
	past = swinging{
		slot: 8 * time.Hour, jitter: 3 * time.Hour, rise: 30 * time.Minute, fall: 4 * time.Hour,
		least: 0.03, most: 0.07,
	}
)

// Manual swings are fast, because a presenter waits for them.
const (
	manualRise = 30 * time.Second
	manualFall = 15 * time.Minute
)

// nature describes how a currency moves against the US dollar.
type nature struct {
	base string  // moves with this currency ...
	beta float64 // ... by this factor,
	day  float64 // and on its own: standard deviation of the logarithm of its price over 24 hours
}

// natures of currencies that differ from others of their kind. An empty one is pegged to the US dollar and does not move.
var natures = map[string]nature{
	"usd": {}, "bmd": {}, "aed": {}, "sar": {}, "bhd": {}, "svc": {}, "lbp": {}, "mmk": {}, "vef": {},

	// Within a narrow band, or against a basket of mostly dollars.
	"hkd": {day: 0.0001},
	"kwd": {day: 0.0004},
	"vnd": {day: 0.0005},
	"cny": {day: 0.0008},
	"sgd": {day: 0.0010},
	"xdr": {base: "eur", beta: 0.4, day: 0.0004},

	"eur": {day: 0.0018},
	"bam": {base: "eur", beta: 1}, // pegged
	"dkk": {base: "eur", beta: 1, day: 0.0001},
	"ron": {base: "eur", beta: 1, day: 0.0004},
	"czk": {base: "eur", beta: 1, day: 0.0009},
	"pln": {base: "eur", beta: 1, day: 0.0011},
	"sek": {base: "eur", beta: 1, day: 0.0012},
	"nok": {base: "eur", beta: 1, day: 0.0013},
	"huf": {base: "eur", beta: 1, day: 0.0014},
	"gbp": {base: "eur", beta: 0.8, day: 0.0010},
	"chf": {base: "eur", beta: 0.8, day: 0.0011},

	"xau": {day: 0.006},
	"xag": {base: "xau", beta: 1.2, day: 0.008},

	"btc":  {day: 0.019},
	"eth":  {base: "btc", beta: 1.1, day: 0.016},
	"bnb":  {base: "btc", beta: 0.9, day: 0.015},
	"sol":  {base: "btc", beta: 1.2, day: 0.024},
	"link": {base: "btc", beta: 1.1, day: 0.025},
	"yfi":  {base: "btc", beta: 1.0, day: 0.026},
}

// natureOf returns how a currency moves; one without an entry moves like most of its kind.
func natureOf(r coingecko.Rate) nature {
	if n, ok := natures[r.Code]; ok {
		return n
	}
	if r.Kind() == coingecko.Crypto {
		return nature{base: "btc", beta: 1, day: 0.022}
	}
	return nature{day: 0.0019}
}

// constant reports whether a code is bitcoin or a unit of it, whose rate never changes.
func constant(code string) bool { return code == "btc" || code == "bits" || code == "sats" }

// currency is a currency of the market.
type currency struct {
	nature
	key   uint64                  // of its noise
	base  int                     // index of nature.base, -1 for none
	start float64                 // start of its path, so that the first answer is the recorded one
	clock func(time.Time) float64 // runs slowly at weekends if there is no trade
}

// market is a pure function of its seed, its start and the time.
type market struct {
	start      time.Time
	refresh    time.Duration
	calm       bool
	seed       uint64
	rates      []coingecko.Rate // at the start, sorted by code
	currencies []currency       // parallel to rates
	btc        int
	swingers   []int // indices of the coins with automatic swings, in their order
}

func newMarket(o Options) *market {
	m := &market{
		start: o.Now().Round(0), refresh: o.Refresh, calm: o.Calm, seed: mix(o.Seed + 1),
		rates: recordedRates(),
	}
	m.currencies = make([]currency, len(m.rates))
	for i, r := range m.rates {
		n := natureOf(r)
		h := fnv.New64a()
		h.Write([]byte(r.Code))
		c := currency{nature: n, key: mix(m.seed ^ h.Sum64()), base: m.index(n.base), clock: tradingSeconds}
		if r.Kind() == coingecko.Crypto {
			c.clock = seconds
			// Bitcoin has no automatic swings: everything else would seem to swing.
			if !constant(r.Code) {
				m.swingers = append(m.swingers, i)
			}
		}
		c.start = c.path(m.start)
		m.currencies[i] = c
	}
	m.btc = m.index("btc")
	slices.SortFunc(m.swingers, func(a, b int) int { // shuffled by a hash of the seed
		return cmp.Compare(m.currencies[a].key, m.currencies[b].key)
	})
	return m
}

// index returns the index of a code, or -1.
func (m *market) index(code string) int {
	return slices.IndexFunc(m.rates, func(r coingecko.Rate) bool { return r.Code == code })
}

// at returns the rates at t, in the order of m.rates.
func (m *market) at(t time.Time, manual []swing) []coingecko.Rate {
	// CoinGecko's rates change in steps. They are counted from the start, so that the first is the recorded one.
	since := t.Sub(m.start)
	since -= ((since % m.refresh) + m.refresh) % m.refresh
	t = m.start.Add(since)

	// First each currency's own path, as the logarithm of its value in US dollars ...
	own := make([]float64, len(m.rates))
	for i, c := range m.currencies {
		own[i] = c.path(t) - c.start
	}
	// ... then its share of the base's path, and its own swings.
	values := slices.Clone(own)
	for i, c := range m.currencies {
		if c.base >= 0 {
			values[i] += c.beta * own[c.base]
		}
	}
	m.swings(since, values)
	shift := map[int]float64{}
	for _, s := range manual {
		shift[s.currency] += s.size * hill(t.Sub(s.start), manualRise, manualFall, uint64(s.start.UnixNano()))
	}
	for i, by := range shift {
		values[i] += max(-shiftMost, min(by, shiftMost))
	}

	rates := slices.Clone(m.rates)
	for i, r := range rates {
		if !constant(r.Code) {
			rates[i].Value = max(math.Round(r.Value*math.Exp(values[m.btc]-values[i])*1000)/1000, 0.001)
		}
	}
	return rates
}

// shiftMost limits the sum of a currency's manual swings (a factor of 100), so that no rate rounds to 0.
const shiftMost = 4.6

// swing is a manual swing.
type swing struct {
	currency int
	start    time.Time
	size     float64 // logarithm of the largest change
}

// swings adds the automatic swings to the values.
func (m *market) swings(since time.Duration, worths []float64) {
	if m.calm {
		return
	}
	if since < 0 { // slots count backwards from the start
		m.swing(past, int64(since/past.slot)-1, since, worths)
		return
	}
	last := int64(since / live.slot)
	first := max(0, last-int64((live.jitter+live.rise+live.fall)/live.slot))
	for slot := first; slot <= last; slot++ {
		m.swing(live, slot, since, worths)
	}
}

// swing adds the swing of one slot.
func (m *market) swing(k swinging, slot int64, since time.Duration, worths []float64) {
	h := point(m.seed, slot)
	begin := time.Duration(slot)*k.slot + time.Duration(unit(h)*float64(k.jitter))
	share := hill(since-begin, k.rise, k.fall, h)
	h = mix(h)
	change := k.least + unit(h)*(k.most-k.least)
	if h = mix(h); h&1 == 0 {
		change = -change
	}
	n := int64(len(m.swingers))
	who := m.swingers[((slot%n)+n)%n]
	worths[who] += share * math.Log1p(change)
}

// hill is 0 before a swing, 1 at its maximum and 0 after it, and continuous.
func hill(since, rise, fall time.Duration, key uint64) float64 {
	if since <= 0 || since >= rise+fall {
		return 0
	}
	h := smooth(min(float64(since)/float64(rise), 1-float64(since-rise)/float64(fall)))
	// Noise on the slopes, none at the ends and the maximum. It scales with the length, so that a long swing is no rougher
	// than a short one.
	const roughness, quarterHour = 6, 900.0
	x := float64(since) / float64(rise+fall) * quarterHour
	return h + roughness*h*(1-h)*(noise(key, x)-noise(key, 0))
}

// path is the logarithm of a currency's own value at a time.
func (c currency) path(t time.Time) float64 { return c.day * noise(c.key, c.clock(t)) }

func seconds(t time.Time) float64 {
	return float64(t.Unix()) + float64(t.Nanosecond())/1e9
}

// Currencies and metals are traded from Sunday 22:00 to Friday 22:00 UTC. Outside these hours their time runs slowly.
const (
	weekBegin   = (3*24 + 22) * 3600 // the first Sunday 22:00 after 1970-01-01, a Thursday
	weekLength  = 7 * 24 * 3600
	weekTrading = 5 * 24 * 3600
	resting     = 0.02 // speed of time at weekends
)

func tradingSeconds(t time.Time) float64 {
	s := seconds(t) - weekBegin
	weeks := math.Floor(s / weekLength)
	s -= weeks * weekLength
	return weeks*(weekTrading+resting*(weekLength-weekTrading)) +
		min(s, weekTrading) + resting*max(0, s-weekTrading)
}

// The noise is a sum of octaves, each a smooth curve through random points at a fixed distance. The height of an octave is
// proportional to the square root of that distance, so the sum resembles the random walk of a price at every scale.
const (
	shortest = 5.0 // seconds between the points of the finest octave
	octaves  = 12  // each three times as long as the previous one; the longest is ten days
	day      = 24 * 3600.0

	// dayScale scales the standard deviation of the noise's change over 24 hours to 1, as measured over 200 paths of 480
	// days each.
	dayScale = 0.582
)

func noise(key uint64, seconds float64) float64 {
	sum, period := 0.0, shortest
	for i := range uint64(octaves) {
		k := mix(key + i)
		x := seconds/period + unit(k) // so that octaves do not have their points at the same times
		n := math.Floor(x)
		a, b := bell(point(k, int64(n))), bell(point(k, int64(n)+1))
		sum += dayScale * math.Sqrt(period/day) * (a + (b-a)*smooth(x-n))
		period *= 3
	}
	return sum
}

// smooth rises from 0 to 1 with x, and is level at both ends.
func smooth(x float64) float64 { return x * x * (3 - 2*x) }

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// point returns the hash of one of many points.
func point(key uint64, n int64) uint64 {
	return mix(key ^ uint64(n)) //nolint:gosec // a negative n may become any bits: they are scattered anyway
}

// unit converts a hash into a number in [0, 1).
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// bell converts a hash into a nearly normally distributed number with variance 1.
func bell(h uint64) float64 {
	sum := float64(h&0xffff) + float64(h>>16&0xffff) + float64(h>>32&0xffff) + float64(h>>48)
	const root3 = 1.7320508075688772 // the sum of the four parts has variance 1/3
	return (sum/0xffff - 2) * root3
}
