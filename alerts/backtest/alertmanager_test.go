// The model of Alertmanager, compared with Alertmanager's own packages.

package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
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
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// The model of Alertmanager sends what Alertmanager's own dispatcher, inhibitor and notification log send, for alerts that come
// and go at random.
//
// Two things are not compared to the letter, because Alertmanager itself decides them by which of its goroutines is first. A group
// that is made anew by the resent end of an old alert is looked at once instead of after group_wait: so a message may be a
// group_wait or a group_interval, a minute at most, earlier or later. And a warning that begins in the same moment as the critical
// alert that holds it back may be named beside it: so what counts is what a person sees, a currency that is critical, a warning, or over.
func TestMessagesAreAlertmanagers(t *testing.T) {
	const (
		step  = 60
		hours = 12
		near  = 60 // s
	)
	all, alone, beside := 0, 0, 0
	for seed := range uint64(20) {
		var got, want []sent
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now().Unix()
			fired := someAlerts(seed, begin, step, hours)
			am, err := loadAlertmanager("../alertmanager.example.yaml")
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range am.messages(fired, step, begin+hours*3600) {
				var fires, over []string
				for _, f := range m.firing {
					fires = append(fires, f.labels.Get(labels.AlertName)+" "+f.labels.Get("currency"))
				}
				for _, f := range m.over {
					over = append(over, f.labels.Get(labels.AlertName)+" "+f.labels.Get("currency"))
				}
				got = append(got, seen(m.at-float64(begin), m.receiver, fires, over))
			}
			want = play(t, fired, begin, step, hours)
		})
		if len(want) < 20 {
			t.Fatalf("only %d messages: they prove little", len(want))
		}
		all += len(want)
		for _, m := range want {
			i := slices.IndexFunc(got, func(g sent) bool { return g.text == m.text && math.Abs(g.at-m.at) <= near })
			if i < 0 {
				alone++
				t.Logf("seed %d: only Alertmanager sends after %.0f s %s", seed, m.at, m.text)
				continue
			}
			if got[i].named != m.named {
				beside++
			}
			got = slices.Delete(got, i, i+1)
		}
		for _, m := range got {
			alone++
			t.Logf("seed %d: only the model sends after %.0f s %s", seed, m.at, m.text)
		}
	}
	t.Logf("%d messages; %d of Alertmanager or the model alone; %d name what is held back", all, alone, beside)
	// Where an end is sent again in the batch in which the next swing of the coin begins, either order is Alertmanager's.
	if 100*alone > all {
		t.Errorf("%d of %d messages are sent by Alertmanager or the model alone: more than one in 100", alone, all)
	}
	if 50*beside > all {
		t.Errorf("%d of %d messages name different alerts of what they are about: more than one in 50", beside, all)
	}
}

// sent is a message as a person sees it.
type sent struct {
	at    float64 // s
	text  string
	named string // its alerts, to the letter
}

func seen(at float64, receiver string, fires, over []string) sent {
	slices.Sort(fires)
	slices.Sort(over)
	named := fmt.Sprint(fires, over)
	fires = slices.DeleteFunc(fires, func(name string) bool {
		return slices.Contains(fires, strings.Replace(name, " ", "Critical ", 1))
	})
	for i := range over {
		over[i] = strings.Replace(over[i], "Critical", "", 1)
	}
	slices.Sort(over)
	return sent{at, fmt.Sprintf("to %s: fires %q, over %q", receiver, fires, slices.Compact(over)), named}
}

// someAlerts are swings of some coins, alone and with the market, that get worse or not.
func someAlerts(seed uint64, begin, step, hours int64) []firing {
	random := rand.New(rand.NewPCG(seed, 1))
	one := func(name, severity, currency string, from, to int64) firing {
		of := map[string]string{labels.AlertName: name, "severity": severity, "job": "coingecko-exporter"}
		if currency != "" {
			of["currency"] = currency
		}
		return firing{labels: labels.FromMap(of), from: from, to: to}
	}
	var all []firing
	for _, currency := range []string{"", "btc", "eth", "sol"} {
		name := "CoinGeckoPriceSwing"
		if currency == "" {
			name = "CoinGeckoMarketSwing"
		}
		for t := begin + random.Int64N(100)*step; t < begin+(hours-1)*3600; {
			end := t + (1+random.Int64N(90))*step
			all = append(all, one(name, "warning", currency, t, end))
			if worse := t + random.Int64N(60)*step; worse < end {
				all = append(all, one(name+"Critical", "critical", currency, worse, end))
			}
			t = end + (1+random.Int64N(90))*step
		}
		if currency != "" {
			for t := begin + random.Int64N(200)*step; t < begin+(hours-2)*3600; t += (100 + random.Int64N(200)) * step {
				all = append(all, one("CoinGeckoUnusualVolatility", "notice", currency, t, t+(1+random.Int64N(80))*step))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b firing) int { return int(a.from - b.from) })
	return all
}

// play sends the alerts as Prometheus does, and gives what the receivers get.
func play(t *testing.T, fired []firing, begin, step, hours int64) []sent {
	t.Helper()
	c, err := config.LoadFile("../alertmanager.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	record := eventrecorder.NopRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	alerts, err := mem.NewAlerts(ctx, 30*time.Minute, 0, nil, nolog, record, registry, featurecontrol.NoopFlags{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := nflog.New(nflog.Options{Retention: 120 * time.Hour, Logger: nolog, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	silences, err := silence.New(silence.Options{Metrics: registry, Logger: nolog})
	if err != nil {
		t.Fatal(err)
	}
	inhibitor := inhibit.NewInhibitor(alerts, c.InhibitRules, nolog, record)
	box := &recorder{begin: begin}
	integrations := map[string][]notify.Integration{}
	for _, r := range c.Receivers {
		integrations[r.Name] = nil
		if all, over := integrationsOf(r); all > 0 {
			integrations[r.Name] = []notify.Integration{notify.NewIntegration(box.to(r.Name), tellsEnds(over > 0), "test", 0, r.Name)}
		}
	}
	groups := marker.NewGroupMarker()
	stage := notify.NewPipelineBuilder(registry, featurecontrol.NoopFlags{}, record).New(integrations, func() time.Duration { return 0 },
		inhibitor, silence.NewSilencer(silences, nolog, record), timeinterval.NewIntervener(nil), groups, log, nil)
	dispatcher := dispatch.NewDispatcher(alerts, dispatch.NewRoute(c.Route, nil), stage, groups,
		func(d time.Duration) time.Duration { return max(d, 10*time.Second) }, 30*time.Second, nil, nolog, record, nil)
	go inhibitor.Run()
	go dispatcher.Run(time.Now())
	synctest.Wait()

	// again says whether the same alert fires anew: Prometheus has forgotten then that it was over.
	again := func(i int, now int64) bool {
		return slices.ContainsFunc(fired[i+1:], func(f firing) bool { return f.from <= now && labels.Equal(f.labels, fired[i].labels) })
	}
	last := map[int]int64{}
	for now := begin; now < begin+hours*3600; now += step {
		var batch []*alert.Alert
		for i, f := range fired {
			if f.from > now || now > f.to+resolvedFor || again(i, now) {
				continue
			}
			// As Prometheus' rules package does: at once when it is over, else when more than a minute has passed.
			sent, was := last[i]
			if was && !(sent < f.to && f.to <= now) && now-sent <= resend {
				continue
			}
			last[i] = now
			a := &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{}, StartsAt: time.Unix(f.from, 0), EndsAt: time.Unix(now, 0).Add(4 * time.Minute)}, UpdatedAt: time.Now()}
			for name, v := range f.labels.Map() {
				a.Labels[model.LabelName(name)] = model.LabelValue(v)
			}
			if f.to <= now {
				a.EndsAt = time.Unix(f.to, 0)
			}
			batch = append(batch, a)
		}
		if err := alerts.Put(ctx, batch...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(step) * time.Second)
	}
	dispatcher.Stop()
	inhibitor.Stop()
	cancel()
	alerts.Close()
	synctest.Wait()
	return box.got
}

type tellsEnds bool

func (t tellsEnds) SendResolved() bool { return bool(t) }

type recorder struct {
	begin int64
	mu    sync.Mutex
	got   []sent
}

type notifier func(context.Context, ...*alert.Alert) (bool, error)

func (n notifier) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	return n(ctx, alerts...)
}

func (r *recorder) to(receiver string) notifier {
	return func(_ context.Context, alerts ...*alert.Alert) (bool, error) {
		var fires, over []string
		for _, a := range alerts {
			name := string(a.Labels["alertname"] + " " + a.Labels["currency"])
			if a.Resolved() {
				over = append(over, name)
			} else {
				fires = append(fires, name)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, seen(float64(time.Now().Unix()-r.begin), receiver, fires, over))
		return false, nil
	}
}
