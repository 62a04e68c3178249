// Package collector exports the poller's state as Prometheus metrics.
//
// Metrics are created on each collect, so that currencies that leave the answer and rates that expire also leave /metrics. Samples
// have no timestamps, so Prometheus' staleness handling works.
package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// Options configure a Collector.
type Options struct {
	Status func() poller.Status
	Quota  *coingecko.Plan // nil if polls use no quota
}

// Collector is a prometheus.Collector, and a poller.Observer for its counters.
type Collector struct {
	options  Options
	polls    *prometheus.CounterVec
	failures *prometheus.CounterVec
	rejected *prometheus.CounterVec
	duration prometheus.Histogram
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("coingecko_"+name, help, labels, nil)
}

var (
	rateDesc = desc("exchange_rate",
		"Units of the currency that one bitcoin buys, as of coingecko_last_success_timestamp_seconds. Polled on the exporter's own timer, not on scrape. Absent when older than coingecko_rates_max_age_seconds.",
		"currency", "kind")
	previousDesc = desc("previous_exchange_rate",
		"Units of the currency that one bitcoin bought, by the last answer whose content differed from that of coingecko_exchange_rate: CoinGecko repeats an answer until it refreshes. Absent before there were two, and when older than coingecko_rates_max_age_seconds.",
		"currency", "kind")
	infoDesc = desc("currency_info",
		"A currency of the answer, with its name and unit. Always 1.",
		"currency", "kind", "name", "unit")
	upDesc = desc("up",
		"1 if the last poll succeeded, 0 if it failed or none has ended yet.")
	lastSuccessDesc = desc("last_success_timestamp_seconds",
		"When the last good rates left CoinGecko, whatever the number of relays. Absent before the first.")
	lastPollDesc = desc("last_poll_timestamp_seconds",
		"When the last poll ended, successful or not. Absent before the first.")
	intervalDesc = desc("poll_interval_seconds",
		"Poll interval in force, in seconds. On a relay: that of the poller.")
	maxAgeDesc = desc("rates_max_age_seconds",
		"Maximum age of rates in seconds. Older rates are absent.")
	quotaDesc = desc("quota_requests",
		"Requests that the CoinGecko plan allows in a period. Absent if unknown or not used.",
		"period")
	simulatedDesc = desc("exporter_simulated",
		"Always 1. Present only if the rates are simulated: with --simulate, and on relays of such an exporter.")
)

// New creates a collector. Every counter starts at 0.
func New(o Options) *Collector {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coingecko_" + name, Help: help}, labels)
	}
	c := &Collector{
		options:  o,
		polls:    counter("polls_total", "Polls that ended, by the upstream that was last requested. Polls of a relay use no quota.", "upstream"),
		failures: counter("poll_failures_total", "Polls that failed, by the upstream that was last requested and by reason.", "upstream", "reason"),
		rejected: counter("rejected_rates_total", "Entries dropped from answers, by reason.", "reason"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "coingecko_poll_duration_seconds",
			Help:    "Duration of polls in seconds.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20},
			// Both forms: Prometheus scrapes the native one if it is configured to.
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}),
	}
	for _, u := range coingecko.Upstreams() {
		c.polls.WithLabelValues(string(u))
		for _, r := range coingecko.Reasons() {
			c.failures.WithLabelValues(string(u), string(r))
		}
	}
	for _, r := range coingecko.Rejections() {
		c.rejected.WithLabelValues(string(r))
	}
	return c
}

// Polled counts a poll.
func (c *Collector) Polled(p poller.Poll) {
	c.polls.WithLabelValues(string(p.Upstream)).Inc()
	c.duration.Observe(p.Duration.Seconds())
	if p.Err != nil {
		c.failures.WithLabelValues(string(p.Upstream), string(p.Err.Reason)).Inc()
	}
	for reason, n := range p.Rejected {
		c.rejected.WithLabelValues(string(reason)).Add(float64(n))
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		rateDesc, previousDesc, infoDesc, upDesc, lastSuccessDesc, lastPollDesc, intervalDesc, maxAgeDesc, quotaDesc, simulatedDesc,
	} {
		ch <- d
	}
	for _, counted := range c.counted() {
		counted.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, labels...)
		if err != nil { // a bug: the client makes texts valid label values
			m = prometheus.NewInvalidMetric(d, err)
		}
		ch <- m
	}
	s := c.options.Status()
	if s.Snapshot != nil {
		for _, r := range s.Snapshot.Rates {
			gauge(rateDesc, r.Value, r.Code, string(r.Kind()))
			gauge(infoDesc, 1, r.Code, string(r.Kind()), r.Name, r.Unit)
		}
	}
	for _, r := range s.Previous {
		gauge(previousDesc, r.Value, r.Code, string(r.Kind()))
	}
	up := 0.0
	if s.Up() {
		up = 1
	}
	gauge(upDesc, up)
	if !s.LastSuccess.IsZero() {
		gauge(lastSuccessDesc, unix(s.LastSuccess))
	}
	if !s.LastPoll.IsZero() {
		gauge(lastPollDesc, unix(s.LastPoll))
	}
	gauge(intervalDesc, s.Interval.Seconds())
	gauge(maxAgeDesc, s.MaxAge.Seconds())
	if q := c.options.Quota; q != nil {
		if q.PerMinute > 0 {
			gauge(quotaDesc, float64(q.PerMinute), "minute")
		}
		if q.PerMonth > 0 {
			gauge(quotaDesc, float64(q.PerMonth), "month")
		}
	}
	if s.Simulated {
		gauge(simulatedDesc, 1)
	}
	for _, counted := range c.counted() {
		counted.Collect(ch)
	}
}

func (c *Collector) counted() []prometheus.Collector {
	return []prometheus.Collector{c.polls, c.failures, c.rejected, c.duration}
}

// unix returns a time in seconds with Prometheus' resolution of a millisecond.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
