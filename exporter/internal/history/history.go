// Package history keeps the rates of the last day, one sample a minute, for changes and curves. Source fetches them from a Prometheus
// at start.
package history

import (
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

const (
	// Reach is the longest window of a change.
	Reach = 24 * time.Hour

	// Tolerance is how much older than requested a sample may be. The recording rules use the same.
	Tolerance = 5 * time.Minute

	// slack is how much newer than requested a sample may be: polls are never exactly an interval apart.
	slack = 30 * time.Second

	// clockStep is the largest drift between wall clock and monotonic clock between two polls.
	clockStep = 30 * time.Second
)

// Ratio divides two rates. It returns false if the result is not a positive finite number.
func Ratio(a, b float64) (float64, bool) {
	r := a / b
	return r, r > 0 && !math.IsInf(r, 1)
}

// Sample holds the rates at one time. It is immutable once kept.
type Sample struct {
	At     time.Time // when the rates left CoinGecko
	codes  []string  // sorted; shared with the previous sample if equal
	values []float64 // in the order of codes
}

// NewSample creates a sample. The rates must be sorted by code. It shares the codes with before if they are equal.
func NewSample(at time.Time, rates []coingecko.Rate, before Sample) Sample {
	s := Sample{At: at, values: make([]float64, len(rates))}
	for i, r := range rates {
		s.values[i] = r.Value
	}
	if slices.EqualFunc(before.codes, rates, func(code string, r coingecko.Rate) bool { return code == r.Code }) {
		s.codes = before.codes
		return s
	}
	s.codes = make([]string, len(rates))
	for i, r := range rates {
		s.codes[i] = strings.Clone(r.Code) // so that the answer can be freed
	}
	return s
}

// Price returns the price of one unit of coin in quote; false if either is missing.
func (s Sample) Price(coin, quote string) (float64, bool) {
	c, hasCoin := slices.BinarySearch(s.codes, coin)
	q, hasQuote := slices.BinarySearch(s.codes, quote)
	if !hasCoin || !hasQuote {
		return 0, false
	}
	return Ratio(s.values[q], s.values[c])
}

// minute returns the minute of the sample. History has one sample for each.
func (s Sample) minute() time.Time { return s.At.Truncate(time.Minute) }

// History holds at most one sample for each minute of a day and a few minutes, 1,447 in all. With 76 currencies that is
// 1,447 * 76 * 8 bytes = 0.9 MB, and 80 kB for the rest. The zero value is ready for use. It is safe for concurrent use.
type History struct {
	mu      sync.RWMutex
	samples []Sample // by time, ascending
	drift   time.Duration
}

// Remember keeps the rates that left CoinGecko at a time, unless there is a sample of that minute or a later one. The rates must be
// sorted by code.
//
// drift is the difference between wall clock and monotonic clock since the process started. If it jumps, the clock was set or the
// machine was suspended, so the distance between samples is unknown, and older samples are dropped.
func (h *History) Remember(at time.Time, rates []coingecko.Rate, drift time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if (drift - h.drift).Abs() > clockStep {
		h.samples = nil
	}
	h.drift = drift

	var last Sample
	if n := len(h.samples); n > 0 {
		last = h.samples[n-1]
	}
	if len(h.samples) > 0 && !at.Truncate(time.Minute).After(last.minute()) {
		return
	}
	s := NewSample(at, rates, last)
	old := sort.Search(len(h.samples), func(i int) bool { return at.Sub(h.samples[i].At) <= Reach+Tolerance })
	clear(h.samples[:old]) // frees the values before append moves the slice
	h.samples = append(h.samples[old:], s)
}

// Restore adds earlier samples. Existing samples of a minute take precedence.
func (h *History) Restore(past []Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Concat(h.samples, past)
	slices.SortStableFunc(all, func(a, b Sample) int { return a.minute().Compare(b.minute()) })
	h.samples = slices.CompactFunc(all, func(a, b Sample) bool { return a.minute().Equal(b.minute()) })
}

// Len returns the number of samples.
func (h *History) Len() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.samples)
}

// Before returns the sample for a time: the newest one at most slack after it, if it is at most Tolerance before it.
func (h *History) Before(t time.Time) (Sample, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	i := sort.Search(len(h.samples), func(i int) bool { return h.samples[i].At.After(t.Add(slack)) })
	if i == 0 || t.Sub(h.samples[i-1].At) > Tolerance {
		return Sample{}, false
	}
	return h.samples[i-1], true
}

// Point is a sample on a curve.
type Point struct {
	Sample
	X   int  // 0 is the curve's start, CurvePoints its end
	Gap bool // no samples between the previous point and this one
}

// CurvePoints is the number of points of a curve: one for six minutes of a day.
const CurvePoints = 240

// Curve returns the day before now, reduced to the last sample of each part, and its duration. It begins with the oldest sample and
// ends with now. Samples further apart than gap have a gap between them.
func (h *History) Curve(now Sample, gap time.Duration) ([]Point, time.Duration) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var points []Point
	var start time.Time
	var last Sample
	for _, s := range slices.Concat(h.samples, []Sample{now}) {
		if s.At.Before(now.At.Add(-Reach)) || s.At.After(now.At) {
			continue
		}
		p := Point{Sample: s, X: CurvePoints}
		if start.IsZero() {
			start = s.At
		} else {
			p.Gap = s.At.Sub(last.At) > gap
		}
		if span := now.At.Sub(start); span > 0 {
			p.X = int(s.At.Sub(start) * CurvePoints / span)
		}
		last = s
		if n := len(points) - 1; n >= 0 && points[n].X == p.X && !p.Gap {
			p.Gap = points[n].Gap
			points[n] = p
		} else {
			points = append(points, p)
		}
	}
	return points, now.At.Sub(start)
}
