// What the rates were: one sample a minute over the last day, and what can be said from them.

package screen

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

const (
	// reach is the longest change that the screen shows.
	reach = 24 * time.Hour

	// tolerance is how much older than asked for a sample may be. It is that of the recording rules.
	tolerance = 5 * time.Minute

	// slack is how much younger than asked for a sample may be: polls are never exactly an interval apart.
	slack = 30 * time.Second

	// clockStep is how far the wall clock may leave the monotonic one between two polls.
	clockStep = 30 * time.Second
)

// sample is what one bitcoin bought at one moment. It never changes once it is kept.
type sample struct {
	at     time.Time
	codes  []string  // sorted; shared with the sample before when that has the same ones
	values []float64 // in the order of codes
}

// price is what one unit of coin cost in quote; false where either is missing.
func (s sample) price(coin, quote string) (float64, bool) {
	c, ok := slices.BinarySearch(s.codes, coin)
	if !ok {
		return 0, false
	}
	q, ok := slices.BinarySearch(s.codes, quote)
	if !ok {
		return 0, false
	}
	return ratio(s.values[q], s.values[c])
}

// history holds at most one sample for each minute of a day and a few minutes more: 1,447 of them.
// With 76 currencies that is 1,447 * 76 * 8 bytes = 0.9 MB, and 80 kB for the rest.
type history struct {
	mu      sync.RWMutex
	samples []sample // by time, ascending
	drift   time.Duration
}

// remember keeps the rates that left CoinGecko at the time given, unless that minute has its sample
// or later ones are there already. The rates are sorted by code.
//
// drift is by how much the wall clock has left the monotonic one since the process started. When it
// jumps, the clock was set or the machine slept, and nobody can say any more how far apart the
// samples are: the old ones are forgotten.
func (h *history) remember(at time.Time, rates []coingecko.Rate, drift time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if (drift - h.drift).Abs() > clockStep {
		h.samples = nil
	}
	h.drift = drift

	s := sample{at: at, values: make([]float64, len(rates))}
	for i, r := range rates {
		s.values[i] = r.Value
	}
	if n := len(h.samples); n > 0 {
		last := h.samples[n-1]
		if !at.Truncate(time.Minute).After(last.at.Truncate(time.Minute)) {
			return
		}
		if slices.EqualFunc(last.codes, rates, func(code string, r coingecko.Rate) bool { return code == r.Code }) {
			s.codes = last.codes
		}
	}
	if s.codes == nil {
		s.codes = make([]string, len(rates))
		for i, r := range rates {
			s.codes[i] = strings.Clone(r.Code)
		}
	}
	old := 0
	for old < len(h.samples) && at.Sub(h.samples[old].at) > reach+tolerance {
		old++
	}
	clear(h.samples[:old]) // lets go of the values before append moves the slice
	h.samples = append(h.samples[old:], s)
}

// before gives the sample of a time: the newest that is at most slack after it, if that is at most
// tolerance before it.
func (h *history) before(t time.Time) (sample, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(h.samples, t.Add(slack), func(s sample, t time.Time) int {
		if s.at.After(t) {
			return 1
		}
		return -1
	})
	if i == 0 || t.Sub(h.samples[i-1].at) > tolerance {
		return sample{}, false
	}
	return h.samples[i-1], true
}

// point is a sample on a curve.
type point struct {
	sample
	x   int  // 0 is the curve's start, curvePoints its end
	gap bool // nothing is known between the point before and this one
}

// curvePoints is how finely a curve is drawn: one point for six minutes of a day.
const curvePoints = 240

// curve thins out the day before now to the last sample in each part of it and ends with now. It
// starts with the oldest sample there is. Two samples further apart than gap have a gap between them.
func (h *history) curve(now sample, gap time.Duration) ([]point, time.Duration) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var points []point
	var start time.Time
	var last sample
	add := func(s sample) {
		if s.at.Before(now.at.Add(-reach)) || s.at.After(now.at) {
			return
		}
		p := point{sample: s}
		if start.IsZero() {
			start = s.at
		} else {
			p.gap = s.at.Sub(last.at) > gap
		}
		if span := now.at.Sub(start); span > 0 {
			p.x = int(s.at.Sub(start) * curvePoints / span)
		} else {
			p.x = curvePoints
		}
		last = s
		if n := len(points) - 1; n >= 0 && points[n].x == p.x && !p.gap {
			p.gap = points[n].gap
			points[n] = p
			return
		}
		points = append(points, p)
	}
	for _, s := range h.samples {
		add(s)
	}
	add(now)
	return points, now.at.Sub(start)
}
