// Rules: which ones an alert follows from, and their evaluation over the prices.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

const (
	// history is what a Prometheus with these rules has to keep. The first judged moment has as much before it, where
	// the prices begin early enough.
	history = 8 * 24 * time.Hour
	// chunk is what a rule is evaluated over before the next one is.
	chunk = 6 * time.Hour
	// lookback is Prometheus' own default.
	lookback = 5 * time.Minute
)

var (
	promQL = parser.NewParser(parser.Options{})
	nolog  = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// block is a rule, or several of one group of which an earlier one reads what a later one, or itself, gave before.
type block struct {
	group    string
	interval int64 // s; 0 is the evaluation interval
	rules    []*rule
	loop     bool
}

type rule struct {
	record string
	alert  *rules.AlertingRule
	expr   parser.Expr
	text   string
	labels map[string]string
	reads  [][]*labels.Matcher
	live   map[uint64]*series // what the last evaluation gave
	wanted bool
}

// loadRules reads rule files and keeps the rules from which the alerts follow whose names fit.
func loadRules(patterns []string, alerts *regexp.Regexp, texts bool) ([]block, error) {
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no rule file is called %s", pattern)
		}
		files = append(files, found...)
	}
	type read struct {
		group rulefmt.RuleGroup
		rules []*rule
	}
	var all []read
	var every []*rule
	for _, name := range files {
		file, errs := rulefmt.ParseFile(name, false, model.UTF8Validation, promQL, nolog)
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", name, errors.Join(errs...))
		}
		for _, g := range file.Groups {
			r := read{group: g}
			for _, in := range g.Rules {
				made, err := newRule(g, in, texts)
				if err != nil {
					return nil, fmt.Errorf("%s: %s%s: %w", name, in.Record, in.Alert, err)
				}
				r.rules = append(r.rules, made)
				every = append(every, made)
			}
			all = append(all, r)
		}
	}

	// What is asked for, and what that reads.
	var want func(r *rule)
	want = func(r *rule) {
		if r.wanted {
			return
		}
		r.wanted = true
		for _, other := range every {
			if r.readsOf(other) {
				want(other)
			}
		}
	}
	for _, r := range every {
		if r.alert != nil && alerts.MatchString(r.alert.Name()) {
			want(r)
		}
	}

	var blocks []block
	for _, in := range all {
		kept := slices.DeleteFunc(in.rules, func(r *rule) bool { return !r.wanted })
		for i := 0; i < len(kept); {
			last, loop := i, false
			for j := i; j <= last; j++ {
				for k := j; k < len(kept); k++ {
					if kept[j].readsOf(kept[k]) {
						last, loop = max(last, k), true
					}
				}
			}
			blocks = append(blocks, block{in.group.Name, int64(time.Duration(in.group.Interval).Seconds()), kept[i : last+1], loop})
			i = last + 1
		}
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("no alert of these files fits %s", alerts)
	}
	return order(blocks)
}

// storeCoins are the coins that the shop takes, by its settings among the rules.
func storeCoins(blocks []block) map[string]bool {
	coins := map[string]bool{}
	for _, b := range blocks {
		for _, r := range b.rules {
			if r.record == "coingecko:store_coin:info" {
				coins[r.labels["currency"]] = true
			}
		}
	}
	return coins
}

// order puts what is read before what reads it.
func order(blocks []block) ([]block, error) {
	reads := func(a, b block) bool {
		return slices.ContainsFunc(a.rules, func(r *rule) bool { return slices.ContainsFunc(b.rules, r.readsOf) })
	}
	var sorted []block
	for len(blocks) > 0 {
		next := slices.IndexFunc(blocks, func(a block) bool {
			return !slices.ContainsFunc(blocks, func(b block) bool { return a.rules[0] != b.rules[0] && reads(a, b) })
		})
		if next < 0 {
			return nil, fmt.Errorf("rules of different groups read each other, and so follow no order: %v", blocks)
		}
		sorted = append(sorted, blocks[next])
		blocks = slices.Delete(blocks, next, next+1)
	}
	return sorted, nil
}

func newRule(g rulefmt.RuleGroup, in rulefmt.Rule, texts bool) (*rule, error) {
	expr, err := promQL.ParseExpr(in.Expr)
	if err != nil {
		return nil, err
	}
	own := maps.Clone(g.Labels)
	if own == nil {
		own = map[string]string{}
	}
	maps.Copy(own, in.Labels)
	r := &rule{record: in.Record, expr: expr, text: expr.String(), labels: own, live: map[uint64]*series{}}
	if in.Alert != "" {
		annotations := labels.EmptyLabels()
		if texts {
			annotations = labels.FromMap(in.Annotations)
		}
		r.alert = rules.NewAlertingRule(in.Alert, expr, time.Duration(in.For), time.Duration(in.KeepFiringFor),
			labels.FromMap(own), annotations, labels.EmptyLabels(), "", true, nolog)
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		var at parser.ItemType
		switch n := node.(type) {
		case *parser.VectorSelector:
			r.reads = append(r.reads, n.LabelMatchers)
			at = n.StartOrEnd
		case *parser.SubqueryExpr:
			at = n.StartOrEnd
		}
		if at != 0 {
			err = errors.New("@ start() and @ end() are of no use in a rule")
		}
		return nil
	})
	return r, err
}

// readsOf says whether a selector of the rule may select what the other gives, as far as the labels are known beforehand.
func (r *rule) readsOf(other *rule) bool {
	gives := []map[string]string{{labels.MetricName: other.record}}
	if other.alert != nil {
		gives = []map[string]string{
			{labels.MetricName: "ALERTS", labels.AlertName: other.alert.Name()},
			{labels.MetricName: "ALERTS_FOR_STATE", labels.AlertName: other.alert.Name()},
		}
	}
	for _, known := range gives {
		for name, v := range other.labels {
			if !strings.Contains(v, "{{") {
				known[name] = v
			}
		}
		for _, selector := range r.reads {
			if !slices.ContainsFunc(selector, func(m *labels.Matcher) bool {
				v, ok := known[m.Name]
				return ok && !m.Matches(v)
			}) {
				return true
			}
		}
	}
	return false
}

// evaluation runs the rules over a feed.
type evaluation struct {
	blocks []block
	step   int64 // s
	engine *promql.Engine
	memory *memory
	now    promql.Vector // what a rule's own expression gave
	fired  []firing
	open   map[uint64]int // fired by labels, where it goes on
}

// firing is an alert from its first to its last evaluation. Times are in s.
type firing struct {
	labels      labels.Labels
	from, to    int64
	annotations []told
}

// told is what an alert said from a moment on.
type told struct {
	at   int64
	text map[string]string
}

func newEvaluation(blocks []block, step int64) *evaluation {
	return &evaluation{
		blocks: blocks, step: step, memory: newMemory(), open: map[uint64]int{},
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: nolog, MaxSamples: math.MaxInt32, Timeout: time.Hour, LookbackDelta: lookback,
			EnableAtModifier: true, EnableNegativeOffset: true, Parser: promQL,
			NoStepSubqueryIntervalFn: func(int64) int64 { return step * 1000 },
		}),
	}
}

// run scrapes and evaluates from one moment to before another, and gives the alerts that fired. One that fires at the
// end has to as its end.
func (e *evaluation) run(f *feed, from, to int64) ([]firing, error) {
	shown := f.series(e.memory)
	for at := from; at < to; at += int64(chunk.Seconds()) {
		end := min(at+int64(chunk.Seconds()), to)
		for t := at; t < end; t += e.step {
			f.scrape(shown, t)
		}
		for _, b := range e.blocks {
			step := e.step
			if b.interval > 0 {
				step = b.interval
			}
			first := (at + step - 1) / step * step
			if first >= end {
				continue
			}
			last := first + (end-1-first)/step*step
			if err := e.evaluate(b, first, last, step); err != nil {
				return nil, fmt.Errorf("group %s, %s: %w", b.group, time.Unix(at, 0).UTC().Format(time.RFC3339), err)
			}
		}
		e.memory.forget((end - int64(history.Seconds())) * 1000)
	}
	for _, i := range e.open {
		e.fired[i].to = to
	}
	slices.SortStableFunc(e.fired, func(a, b firing) int { return int(a.from - b.from) })
	return e.fired, nil
}

func (e *evaluation) evaluate(b block, first, last, step int64) error {
	if !b.loop {
		r := b.rules[0]
		results, err := e.over(r, first, last, step)
		if err != nil {
			return err
		}
		if r.alert == nil {
			return e.write(r, results, first, last, step)
		}
		return e.alert(r, results, first, last, step)
	}
	// A rule that reads what it gave before is evaluated moment by moment, but for times in which nothing comes of it:
	// if nothing was there before and nothing follows from that, nothing will be.
	const enough = 30
	for t := first; t <= last; {
		quiet := last + step
		for _, r := range b.rules {
			if len(r.live) > 0 {
				quiet = t
				break
			}
			results, err := e.over(r, t, last, step)
			if err != nil {
				return err
			}
			for _, s := range results {
				quiet = min(quiet, s.Floats[0].T/1000)
			}
		}
		for t = quiet; t <= last; t += step {
			idle := true
			for _, r := range b.rules {
				if err := e.at(r, t); err != nil {
					return err
				}
				idle = idle && len(r.live) == 0
			}
			if idle && t >= quiet+enough*step {
				t += step
				break
			}
		}
	}
	return nil
}

// over evaluates a rule's expression at every step. Each series of the result has a value at least.
func (e *evaluation) over(r *rule, first, last, step int64) (promql.Matrix, error) {
	q, err := e.engine.NewRangeQuery(context.Background(), e.memory, nil, r.text, time.Unix(first, 0), time.Unix(last, 0), time.Duration(step)*time.Second)
	if err != nil {
		return nil, err
	}
	result := q.Exec(context.Background())
	if result.Err != nil {
		return nil, fmt.Errorf("%s: %w", r, result.Err)
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	// The engine takes its slices back when a query is closed, so it is not.
	return matrix, nil
}

func (r *rule) String() string {
	if r.alert != nil {
		return r.alert.Name()
	}
	return r.record
}

// query is what the rules package asks the engine with.
func (e *evaluation) query(own string) rules.QueryFunc {
	real := rules.EngineQueryFunc(e.engine, e.memory)
	return func(ctx context.Context, q string, t time.Time) (promql.Vector, error) {
		if q == own {
			return e.now, nil
		}
		return real(ctx, q, t)
	}
}

// write keeps what a recording rule gave.
func (e *evaluation) write(r *rule, results promql.Matrix, first, last, step int64) error {
	given := map[uint64]bool{}
	for _, in := range results {
		s := e.memory.series(r.named(in.Metric))
		hash := s.labels.Hash()
		if given[hash] {
			return fmt.Errorf("%s: %w", r, rules.ErrDuplicateRecordingLabelSet)
		}
		given[hash] = true
		due := first * 1000
		if r.live[hash] == nil {
			due = in.Floats[0].T
		}
		for _, p := range in.Floats {
			if p.T > due {
				s.end(due)
			}
			s.add(p.T, p.F)
			due = p.T + step*1000
		}
		if due <= last*1000 {
			s.end(due)
			delete(r.live, hash)
		} else {
			r.live[hash] = s
		}
	}
	for hash, s := range r.live {
		if !given[hash] {
			s.end(first * 1000)
			delete(r.live, hash)
		}
	}
	return nil
}

// named gives the labels of a recorded series.
func (r *rule) named(metric labels.Labels) labels.Labels {
	b := labels.NewBuilder(metric).Set(labels.MetricName, r.record)
	for name, v := range r.labels {
		b.Set(name, v)
	}
	return b.Labels()
}

// alert takes an alert through what its expression gave.
func (e *evaluation) alert(r *rule, results promql.Matrix, first, last, step int64) error {
	at := make([]int, len(results))
	for t := first; t <= last; t += step {
		e.now = e.now[:0]
		for i, s := range results {
			if at[i] < len(s.Floats) && s.Floats[at[i]].T == t*1000 {
				e.now = append(e.now, promql.Sample{T: t * 1000, F: s.Floats[at[i]].F, Metric: s.Metric})
				at[i]++
			}
		}
		if len(e.now) > 0 || len(r.live) > 0 {
			if err := e.turn(r, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// at evaluates a rule at one moment.
func (e *evaluation) at(r *rule, t int64) error {
	v, err := rules.EngineQueryFunc(e.engine, e.memory)(context.Background(), r.text, time.Unix(t, 0))
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	if r.alert == nil {
		m := make(promql.Matrix, len(v))
		for i, s := range v {
			m[i] = promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: t * 1000, F: s.F}}}
		}
		return e.write(r, m, t, t, 1)
	}
	e.now = v
	return e.turn(r, t)
}

// turn lets the rules package decide what an alert is now that its expression gave e.now.
func (e *evaluation) turn(r *rule, t int64) error {
	vector, err := r.alert.Eval(context.Background(), 0, time.Unix(t, 0), e.query(r.alert.Query().String()), nil, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	given := map[uint64]bool{}
	for _, sample := range vector {
		s := e.memory.series(sample.Metric)
		hash := s.labels.Hash()
		given[hash], r.live[hash] = true, s
		s.add(t*1000, sample.F)
	}
	for hash, s := range r.live {
		if !given[hash] {
			s.end(t * 1000)
			delete(r.live, hash)
		}
	}
	r.alert.ForEachActiveAlert(func(a *rules.Alert) {
		hash := a.Labels.Hash()
		i, fires := e.open[hash]
		switch {
		case a.State == rules.StateFiring && !fires:
			e.open[hash] = len(e.fired)
			e.fired = append(e.fired, firing{labels: a.Labels.Copy(), from: t})
			i = len(e.fired) - 1
			fallthrough
		case a.State == rules.StateFiring:
			if !a.Annotations.IsEmpty() {
				e.fired[i].annotations = append(e.fired[i].annotations, told{t, a.Annotations.Map()})
			}
		case fires && timestamp.FromTime(a.ResolvedAt) == t*1000:
			e.fired[i].to = t
			delete(e.open, hash)
		}
	})
	return nil
}
