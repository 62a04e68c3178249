// The rules in Prometheus' own packages: which ones an alert follows from, and their evaluation over the prices.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// history is what a Prometheus with these rules has to keep. The first judged moment has as much before it, where
	// the prices begin early enough.
	history = 8 * 24 * time.Hour
	// chunk is what a rule is evaluated over before the next one is.
	chunk = 6 * time.Hour
)

var nolog = slog.New(slog.DiscardHandler)

// evaluation runs the rules over a feed.
type evaluation struct {
	rules  []*rule // what is read comes before what reads it
	engine *promql.Engine
	db     *tsdb.DB
	sent   []sent

	// The rule that is evaluated, the moment (s), and what the rule's expression gives from then on.
	rule  *rule
	now   int64
	gives promql.Matrix
}

// rule is a rule in a group of its own.
type rule struct {
	rules.Rule
	group *rules.Group
	expr  string
	loop  bool // it reads what it gave before
	live  bool // it gave something when it was last evaluated
}

func (r *rule) String() string { return r.Name() }

// sent is an alert that Prometheus sends to Alertmanager.
type sent struct {
	at int64 // s
	*alert.Alert
}

// newEvaluation reads rule files and keeps the rules from which the alerts follow whose names fit.
func newEvaluation(dir string, patterns []string, alerts *regexp.Regexp, step time.Duration) (*evaluation, error) {
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no rule file is called %s", pattern)
		}
		files = append(files, found...)
	}
	options := tsdb.DefaultOptions()
	// Samples may be older than the newest one by half a block, because a rule is evaluated over hours before the next one is.
	options.MinBlockDuration, options.MaxBlockDuration = history.Milliseconds(), history.Milliseconds()
	options.RetentionDuration = 2 * history.Milliseconds()
	options.WALSegmentSize = -1
	db, err := tsdb.Open(dir, nolog, nil, options, nil)
	if err != nil {
		return nil, err
	}
	e := &evaluation{db: db, engine: promql.NewEngine(promql.EngineOpts{
		Logger: nolog, MaxSamples: math.MaxInt32, Timeout: time.Hour, EnableAtModifier: true, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{}), NoStepSubqueryIntervalFn: func(int64) int64 { return step.Milliseconds() },
	})}
	opts := &rules.ManagerOptions{
		Logger: nolog, Appendable: db, Queryable: db, QueryFunc: e.query, NotifyFunc: rules.SendAlerts(e, ""), ResendDelay: time.Minute,
	}
	groups, errs := rules.NewManager(opts).LoadGroups(step, labels.EmptyLabels(), "", nil, false, files...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var all []*rule
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		for _, in := range g.Rules() {
			own := rules.NewGroup(rules.GroupOptions{Name: g.Name(), Interval: g.Interval(), Rules: []rules.Rule{in}, Opts: opts})
			r := &rule{Rule: in, group: own, expr: in.Query().String()}
			if strings.Contains(r.expr, "@ start()") || strings.Contains(r.expr, "@ end()") {
				return nil, fmt.Errorf("%s: @ start() and @ end() are of no use in a rule", r)
			}
			r.loop = r.reads(r)
			all = append(all, r)
		}
	}
	for _, r := range all {
		if _, ok := r.Rule.(*rules.AlertingRule); ok && alerts.MatchString(r.Name()) {
			if err := e.want(r, all, nil); err != nil {
				return nil, err
			}
		}
	}
	if len(e.rules) == 0 {
		return nil, fmt.Errorf("no alert of these files fits %s", alerts)
	}
	return e, nil
}

// want adds what a rule reads, and then the rule.
func (e *evaluation) want(r *rule, all, readers []*rule) error {
	if slices.Contains(e.rules, r) {
		return nil
	}
	readers = append(readers, r)
	if slices.Contains(readers[:len(readers)-1], r) {
		return fmt.Errorf("rules read each other, and so follow no order: %v", readers)
	}
	for _, other := range all {
		if other != r && r.reads(other) {
			if err := e.want(other, all, readers); err != nil {
				return err
			}
		}
	}
	e.rules = append(e.rules, r)
	return nil
}

// storeCoins are the coins that the shop takes, by its settings among the rules.
func (e *evaluation) storeCoins() map[string]bool {
	coins := map[string]bool{}
	for _, r := range e.rules {
		if r.Name() == "coingecko:store_coin:info" {
			coins[r.Labels().Get("currency")] = true
		}
	}
	return coins
}

// reads says whether a selector of the rule may select what the other gives, as far as the labels are known beforehand.
func (r *rule) reads(other *rule) bool {
	b := labels.NewBuilder(other.Labels())
	names := []string{other.Name()}
	if _, ok := other.Rule.(*rules.AlertingRule); ok {
		b.Set(labels.AlertName, other.Name())
		names = []string{"ALERTS", "ALERTS_FOR_STATE"}
	}
	return slices.ContainsFunc(names, func(name string) bool {
		known := b.Set(model.MetricNameLabel, name).Labels()
		return slices.ContainsFunc(parser.ExtractSelectors(r.Query()), func(selector []*labels.Matcher) bool {
			return !slices.ContainsFunc(selector, func(m *labels.Matcher) bool {
				v := known.Get(m.Name)
				return v != "" && !strings.Contains(v, "{{") && !m.Matches(v)
			})
		})
	})
}

// run scrapes and evaluates from one moment to before another, every step seconds.
func (e *evaluation) run(f *feed, from, to, step int64) error {
	for ; from < to; from += int64(chunk.Seconds()) {
		end := min(from+int64(chunk.Seconds()), to)
		app := e.db.Appender(context.Background())
		for t := from; t < end; t += step {
			if err := f.scrape(app, t); err != nil {
				return err
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
		for _, r := range e.rules {
			if err := e.evaluate(r, from, end); err != nil {
				return fmt.Errorf("group %s, %s, %s: %w", r.group.Name(), r, clock(e.now), err)
			}
		}
	}
	return nil
}

// evaluate evaluates a rule from one moment to before another. Its expression is asked for all moments at once, because ten
// times as long is needed for one after the other. If the rule reads what it gave before, the answer only says whether
// anything comes of it.
func (e *evaluation) evaluate(r *rule, from, end int64) error {
	interval := int64(r.group.Interval().Seconds())
	e.rule, e.now = r, (from+interval-1)/interval*interval
	q, err := e.engine.NewRangeQuery(context.Background(), e.db, nil, r.expr, time.Unix(e.now, 0), time.Unix(end-1, 0), r.group.Interval())
	if err != nil {
		return err
	}
	defer q.Close()
	if e.gives, err = q.Exec(context.Background()).Matrix(); err != nil {
		return err
	}
	alert, _ := r.Rule.(*rules.AlertingRule)
	if len(e.gives) == 0 && !r.live && (alert == nil || alert.ActiveAlertsCount() == 0) {
		return nil
	}
	for ; e.now < end; e.now += interval {
		r.group.Eval(context.Background(), time.Unix(e.now, 0))
		if err := r.LastError(); err != nil {
			return err
		}
	}
	return nil
}

// query answers the rules package: what the rule's expression gives now, or what a template asks for.
func (e *evaluation) query(ctx context.Context, q string, t time.Time) (now promql.Vector, err error) {
	if q != e.rule.expr || e.rule.loop {
		now, err = rules.EngineQueryFunc(e.engine, e.db)(ctx, q, t)
	} else {
		for _, s := range e.gives {
			i, found := slices.BinarySearchFunc(s.Floats, t.UnixMilli(), func(p promql.FPoint, ms int64) int { return cmp.Compare(p.T, ms) })
			if found {
				now = append(now, promql.Sample{T: s.Floats[i].T, F: s.Floats[i].F, Metric: s.Metric})
			}
		}
	}
	if q == e.rule.expr {
		e.rule.live = len(now) > 0
	}
	return now, err
}

// Send is rules.Sender's.
func (e *evaluation) Send(alerts ...*notifier.Alert) {
	for _, a := range alerts {
		e.sent = append(e.sent, sent{e.now, &alert.Alert{Alert: model.Alert{
			Labels: set(a.Labels), Annotations: set(a.Annotations), StartsAt: a.StartsAt, EndsAt: a.EndsAt,
		}}})
	}
}

func set(l labels.Labels) model.LabelSet {
	s := model.LabelSet{}
	l.Range(func(l labels.Label) { s[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return s
}
