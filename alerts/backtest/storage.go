// Series in memory, as storage for Prometheus' query engine.

package main

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// memory holds series for Prometheus' engine. Prometheus' own storage does not fit: it wants samples moment by moment,
// and here a rule is evaluated over hours before the next one is.
type memory struct {
	byName map[string][]*series
	byHash map[uint64]*series
}

type series struct {
	labels labels.Labels
	times  []int64 // ms, rising
	values []float64
}

func newMemory() *memory {
	return &memory{map[string][]*series{}, map[uint64]*series{}}
}

// series gives the one with these labels, made if it is new.
func (m *memory) series(l labels.Labels) *series {
	hash := l.Hash()
	s := m.byHash[hash]
	if s == nil {
		s = &series{labels: l}
		name := l.Get(labels.MetricName)
		m.byHash[hash] = s
		m.byName[name] = append(m.byName[name], s)
	}
	return s
}

func (s *series) add(t int64, v float64) {
	s.times = append(s.times, t)
	s.values = append(s.values, v)
}

// end marks the series as stale, unless it is already.
func (s *series) end(t int64) {
	if n := len(s.values); n > 0 && !value.IsStaleNaN(s.values[n-1]) {
		s.add(t, math.Float64frombits(value.StaleNaN))
	}
}

// forget drops what is older than t.
func (m *memory) forget(t int64) {
	for _, s := range m.byHash {
		i, _ := slices.BinarySearch(s.times, t)
		s.times = append(s.times[:0], s.times[i:]...)
		s.values = append(s.values[:0], s.values[i:]...)
	}
}

func (m *memory) Querier(from, to int64) (storage.Querier, error) {
	return &querier{memory: m, from: from, to: to}, nil
}

type querier struct {
	memory   *memory
	from, to int64
}

func (q *querier) Close() error { return nil }

func (q *querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil // no query asks for it
}

func (q *querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *querier) Select(_ context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	from, to := q.from, q.to
	if hints != nil {
		from, to = hints.Start, hints.End
	}
	found := &selection{at: -1}
	take := func(all []*series) {
	next:
		for _, s := range all {
			for _, m := range matchers {
				if !m.Matches(s.labels.Get(m.Name)) {
					continue next
				}
			}
			first, _ := slices.BinarySearch(s.times, from)
			last, _ := slices.BinarySearch(s.times, to+1)
			if first < last {
				found.series = append(found.series, &series{s.labels, s.times[first:last], s.values[first:last]})
			}
		}
	}
	name := slices.IndexFunc(matchers, func(m *labels.Matcher) bool { return m.Name == labels.MetricName && m.Type == labels.MatchEqual })
	if name >= 0 {
		take(q.memory.byName[matchers[name].Value])
	} else {
		for _, all := range q.memory.byName {
			take(all)
		}
		sorted = true
	}
	if sorted {
		slices.SortFunc(found.series, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	return found
}

// selection is a storage.SeriesSet.
type selection struct {
	series []*series
	at     int
}

func (s *selection) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *selection) At() storage.Series                { return s.series[s.at] }
func (s *selection) Err() error                        { return nil }
func (s *selection) Warnings() annotations.Annotations { return nil }

func (s *series) Labels() labels.Labels { return s.labels }

func (s *series) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	i, ok := reuse.(*iterator)
	if !ok {
		i = &iterator{}
	}
	*i = iterator{series: s, at: -1}
	return i
}

// iterator is a chunkenc.Iterator of floats.
type iterator struct {
	series *series
	at     int
}

func (i *iterator) there() chunkenc.ValueType {
	if i.at < len(i.series.times) {
		return chunkenc.ValFloat
	}
	return chunkenc.ValNone
}

func (i *iterator) Next() chunkenc.ValueType {
	if i.at < len(i.series.times) {
		i.at++
	}
	return i.there()
}

func (i *iterator) Seek(t int64) chunkenc.ValueType {
	i.at = max(i.at, 0)
	rest := i.series.times[min(i.at, len(i.series.times)):]
	ahead, _ := slices.BinarySearch(rest, t)
	i.at += ahead
	return i.there()
}

func (i *iterator) At() (int64, float64) { return i.series.times[i.at], i.series.values[i.at] }
func (i *iterator) AtT() int64           { return i.series.times[i.at] }
func (i *iterator) AtST() int64          { return 0 }
func (i *iterator) Err() error           { return nil }

func (i *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	panic("no series here is a histogram")
}

func (i *iterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	panic("no series here is a histogram")
}
