// An Alertmanager that gets the alerts, in a time of its own.

package main

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
)

// message is one notification.
type message struct {
	at           int64 // s
	receiver     string
	firing, over []*alert.Alert
	// news says that something fires in it that its receiver had not been told of.
	news bool
}

// notifications returns what an Alertmanager sends about these alerts between two moments. It runs in a bubble of testing/synctest,
// whose clock jumps ahead when everything waits, so a year takes no year. synctest requires a test, and does not use it here.
func notifications(c *config.Config, alerts []sent, from, to int64) (told []message, err error) {
	synctest.Test(new(testing.T), func(*testing.T) { told, err = play(c, alerts, from, to) })
	return told, err
}

func play(c *config.Config, all []sent, from, to int64) ([]message, error) {
	time.Sleep(time.Until(time.Unix(from, 0)))
	registry, record, groups := prometheus.NewRegistry(), eventrecorder.NopRecorder(), marker.NewGroupMarker()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	alerts, err := mem.NewAlerts(ctx, 30*time.Minute, 0, nil, nolog, record, registry, featurecontrol.NoopFlags{})
	if err != nil {
		return nil, err
	}
	defer alerts.Close()
	log, err := nflog.New(nflog.Options{Retention: 120 * time.Hour, Logger: nolog, Metrics: registry})
	if err != nil {
		return nil, err
	}
	silences, err := silence.New(silence.Options{Metrics: registry, Logger: nolog})
	if err != nil {
		return nil, err
	}
	box := &mailbox{}
	integrations := map[string][]notify.Integration{}
	for _, r := range c.Receivers {
		integrations[r.Name] = nil
		// Each kind of integration is a list among the receiver's fields. One is enough, if there is one that is told of an end too.
		for _, field := range reflect.ValueOf(r).Fields() {
			for i := 0; field.Kind() == reflect.Slice && i < field.Len(); i++ {
				if sender := field.Index(i).Interface().(notify.ResolvedSender); integrations[r.Name] == nil || sender.SendResolved() {
					integrations[r.Name] = []notify.Integration{notify.NewIntegration(box, sender, "backtest", 0, r.Name)}
				}
			}
		}
	}
	inhibitor := inhibit.NewInhibitor(alerts, c.InhibitRules, nolog, record)
	stage := notify.NewPipelineBuilder(registry, featurecontrol.NoopFlags{}, record).New(integrations, func() time.Duration { return 0 },
		inhibitor, silence.NewSilencer(silences, nolog, record), timeinterval.NewIntervener(nil), groups, log, nil)
	dispatcher := dispatch.NewDispatcher(alerts, dispatch.NewRoute(c.Route, nil), stage, groups,
		func(d time.Duration) time.Duration { return max(d, 10*time.Second) }, 30*time.Second, nil, nolog, record, nil)
	go inhibitor.Run()
	defer inhibitor.Stop()
	go dispatcher.Run(time.Now())
	defer dispatcher.Stop()
	synctest.Wait()

	for i := 0; i < len(all); {
		at := all[i].at
		time.Sleep(time.Until(time.Unix(at, 0)))
		var batch []*alert.Alert
		for ; i < len(all) && all[i].at == at; i++ {
			all[i].UpdatedAt = time.Now()
			batch = append(batch, all[i].Alert)
		}
		if err := alerts.Put(ctx, batch...); err != nil {
			return nil, err
		}
	}
	time.Sleep(time.Until(time.Unix(to, 0)))
	box.mu.Lock()
	defer box.mu.Unlock()
	slices.SortStableFunc(box.got, func(a, b message) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.receiver, b.receiver)) })
	return box.got, nil
}

type mailbox struct {
	mu  sync.Mutex
	got []message
}

// Notify implements notify.Notifier.
func (b *mailbox) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	m := message{at: time.Now().Unix()}
	m.receiver, _ = notify.ReceiverName(ctx)
	reason, _ := notify.NotificationReason(ctx)
	m.news = slices.Contains([]notify.NotifyReason{notify.ReasonFirstNotification, notify.ReasonNewAlertsInGroup}, reason)
	for _, a := range alerts {
		if a.Resolved() {
			m.over = append(m.over, a)
		} else {
			m.firing = append(m.firing, a)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m)
	return false, nil
}
