// Which messages an Alertmanager makes of the alerts that fired.

package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// alertmanager says which messages a configuration makes of alerts. It has no clock, so that a year takes no year:
// Alertmanager's own route tree and matchers, and its rules for groups, inhibition and repetition told again. A test
// compares it with Alertmanager's dispatcher.
type alertmanager struct {
	route   *dispatch.Route
	inhibit []inhibition
	// silent are the receivers that hear nothing: they have no integration.
	silent map[string]bool
	// quiet are those of which no integration is told that an alert is over.
	quiet map[string]bool
}

type inhibition struct {
	source, target labels.Matchers
	equal          []model.LabelName
}

// message is one notification. Its alerts fire or are over, each as it was at that time.
type message struct {
	at       float64 // s
	receiver string
	firing   []*firing
	over     []*firing
	// news says that something fires in it that its receiver had not been told of.
	news bool
}

func loadAlertmanager(name string) (*alertmanager, error) {
	c, err := config.LoadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a := &alertmanager{route: dispatch.NewRoute(c.Route, nil), silent: map[string]bool{}, quiet: map[string]bool{}}
	for _, r := range c.InhibitRules {
		if len(r.SourceMatch)+len(r.SourceMatchRE)+len(r.TargetMatch)+len(r.TargetMatchRE) > 0 {
			return nil, fmt.Errorf("%s: an inhibition with source_match or target_match: write source_matchers and target_matchers", name)
		}
		i := inhibition{source: labels.Matchers(r.SourceMatchers), target: labels.Matchers(r.TargetMatchers)}
		for _, name := range r.Equal {
			i.equal = append(i.equal, model.LabelName(name))
		}
		a.inhibit = append(a.inhibit, i)
	}
	for _, r := range c.Receivers {
		integrations, over := integrationsOf(r)
		a.silent[r.Name], a.quiet[r.Name] = integrations == 0, over == 0
	}
	return a, nil
}

// received is an alert as Alertmanager has it.
type received struct {
	*firing
	set   model.LabelSet
	muted []interval // while another one holds it back
}

type interval struct{ from, to float64 }

// resolvedFor is how long Prometheus goes on sending that an alert is over; resend is how often, at the earliest.
const (
	resolvedFor = 15 * 60
	resend      = 60
)

// messages gives what is sent about these alerts until the moment end, in order of time. step is how often they are evaluated, in s.
func (a *alertmanager) messages(fired []firing, step, end int64) []message {
	all := make([]*received, len(fired))
	for i := range fired {
		set := model.LabelSet{}
		for name, v := range fired[i].labels.Map() {
			set[model.LabelName(name)] = model.LabelValue(v)
		}
		all[i] = &received{firing: &fired[i], set: set}
	}
	a.mute(all)

	type key struct {
		route *dispatch.Route
		group model.Fingerprint
	}
	groups := map[key][]*received{}
	for _, r := range all {
		for _, route := range a.route.Match(r.set) {
			if a.silent[route.RouteOpts.Receiver] {
				continue
			}
			by := model.LabelSet{}
			for name, v := range r.set {
				if _, ok := route.RouteOpts.GroupBy[name]; ok || route.RouteOpts.GroupByAll {
					by[name] = v
				}
			}
			k := key{route, by.Fingerprint()}
			groups[k] = append(groups[k], r)
		}
	}
	var sent []message
	for k, members := range groups {
		sent = append(sent, a.group(k.route.RouteOpts, members, step, float64(end))...)
	}
	slices.SortStableFunc(sent, func(a, b message) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.receiver, b.receiver)) })
	return sent
}

// mute notes for each alert when others hold it back.
func (a *alertmanager) mute(all []*received) {
	for _, rule := range a.inhibit {
		sources := map[string][]*received{}
		equal := func(set model.LabelSet) string {
			var b strings.Builder
			for _, name := range rule.equal {
				b.WriteString(string(set[name]) + "\xff")
			}
			return b.String()
		}
		for _, r := range all {
			if rule.source.Matches(r.set) {
				sources[equal(r.set)] = append(sources[equal(r.set)], r)
			}
		}
		for _, target := range all {
			if !rule.target.Matches(target.set) {
				continue
			}
			both := rule.source.Matches(target.set)
			for _, source := range sources[equal(target.set)] {
				// An alert that is both never holds back another that is both.
				if source.from < target.to+resolvedFor && source.to > target.from && !(both && rule.target.Matches(source.set)) {
					target.muted = append(target.muted, interval{float64(source.from), float64(source.to)})
				}
			}
		}
	}
}

func (r *received) mutedAt(t float64) bool {
	return slices.ContainsFunc(r.muted, func(i interval) bool { return i.from <= t && t < i.to })
}

// group plays one group of one route: when its timer ends it is looked at, and every group_interval from then on, while
// it has members.
func (a *alertmanager) group(opts dispatch.RouteOpts, members []*received, step int64, end float64) []message {
	slices.SortStableFunc(members, func(a, b *received) int { return cmp.Compare(a.from, b.from) })
	wait, every, repeat := opts.GroupWait.Seconds(), opts.GroupInterval.Seconds(), opts.RepeatInterval.Seconds()
	again := float64((resend/step + 1) * step) // Prometheus sends again when more than a minute has passed

	var sent []message
	// What was told last, by labels: Alertmanager's notification log.
	var told struct {
		at           float64
		there        bool
		firing, over map[model.Fingerprint]bool
	}
	// in says whether Alertmanager has heard of the member since the last look, or still has it from before.
	in := func(r *received, before, now float64) bool {
		from, to := float64(r.from), float64(r.to)
		if from > now {
			return false
		}
		if to > before { // it fired at the last look
			return true
		}
		// The last time before now that it was sent as over.
		sent := to + math.Floor(min(now-to, resolvedFor)/again)*again
		return sent > before
	}

	next := 0
	for next < len(members) {
		begin := float64(members[next].from)
		before := math.Nextafter(begin, 0) // what is sent together with the first member belongs to the group
		gone := false
		for t := begin + wait; t < end && !gone; t += every {
			var firing, over []*firing
			ids := struct{ firing, over map[model.Fingerprint]bool }{map[model.Fingerprint]bool{}, map[model.Fingerprint]bool{}}
			for next < len(members) && float64(members[next].from) <= t {
				next++
			}
			// One alert that fires again takes the place of itself.
			latest := map[model.Fingerprint]*received{}
			for _, r := range members[:next] {
				if in(r, before, t) {
					latest[r.set.Fingerprint()] = r
				}
			}
			now := slices.SortedFunc(maps.Values(latest), func(a, b *received) int {
				if a.set.Before(b.set) {
					return -1
				}
				return 1
			})
			for _, r := range now {
				if r.mutedAt(t) {
					continue
				}
				if float64(r.to) > t {
					firing = append(firing, r.firing)
					ids.firing[r.set.Fingerprint()] = true
				} else {
					over = append(over, r.firing)
					ids.over[r.set.Fingerprint()] = true
				}
			}
			before = t
			news := !subset(ids.firing, told.firing)
			due := false
			switch {
			case len(firing)+len(over) == 0:
			case !told.there:
				due = len(firing) > 0
			case news:
				due = true
			case len(firing) == 0:
				due = len(told.firing) > 0
			case !a.quiet[opts.Receiver] && !subset(ids.over, told.over):
				due = true
			default:
				due = told.at < t-repeat
			}
			if due {
				told.at, told.there, told.firing, told.over = t, true, ids.firing, ids.over
				if a.quiet[opts.Receiver] {
					over = nil
				}
				if len(firing)+len(over) > 0 {
					sent = append(sent, message{t, opts.Receiver, firing, over, news})
				}
			}
			// A group without an alert that fires is gone, and its timer with it.
			gone = !slices.ContainsFunc(now, func(r *received) bool { return float64(r.to) > t })
		}
		if !gone { // it waits for a moment past the end
			break
		}
	}
	return sent
}

func subset(a, b map[model.Fingerprint]bool) bool {
	for f := range a {
		if !b[f] {
			return false
		}
	}
	return true
}

// integrationsOf counts the ways in which a receiver is told, and those that are told of an end too. Each kind of integration is a list
// among the receiver's fields.
func integrationsOf(r config.Receiver) (all, over int) {
	for _, field := range reflect.ValueOf(r).Fields() {
		if field.Kind() != reflect.Slice {
			continue
		}
		for i := range field.Len() {
			all++
			if field.Index(i).Interface().(interface{ SendResolved() bool }).SendResolved() {
				over++
			}
		}
	}
	return all, over
}
