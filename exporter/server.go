// The web side: what is served where, and whether it is ready.

package exporter

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/bootstrap"

	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// grace is how long a new process waits for its first rates before it says that it is ready without: an upstream
// that is down must not keep it away for ever. A configuration that the upstream refuses must: an upgrade to a wrong
// key or plan then fails, and the pods that have rates stay.
const grace = 2 * time.Minute

// health answers the probes.
type health struct {
	poller   *poller.Poller
	started  time.Time
	draining atomic.Bool
}

// ready says whether rates can be had from here. Once it was, it stays so until shutdown begins: a roll
// during an outage must not replace pods that still hold good rates.
func (h *health) ready() bool {
	if h.draining.Load() {
		return false
	}
	select {
	case <-h.poller.First():
		return true
	default:
		return time.Since(h.started) >= grace && !h.poller.Status().Refused
	}
}

func (h *health) serveHealthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "Healthy.")
}

func (h *health) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case h.ready():
		fmt.Fprintln(w, "Ready.")
	case h.draining.Load():
		http.Error(w, "Not ready: shutting down.", http.StatusServiceUnavailable)
	default:
		http.Error(w, "Not ready: no rates yet. "+whyNone(h.poller.Status()), http.StatusServiceUnavailable)
	}
}

func (h *health) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /-/healthy", h.serveHealthy)
	mux.HandleFunc("GET /-/ready", h.serveReady)
}

// registrar is anything that brings endpoints of its own.
type registrar interface{ Register(mux *http.ServeMux) }

// newHandler routes. Unknown paths are 404 and other methods 405, both from http.ServeMux.
func newHandler(s *settings, p *poller.Poller, h *health, m metrics, screen registrar) http.Handler {
	mux := http.NewServeMux()
	screen.Register(mux)
	mux.Handle("GET "+s.telemetryPath, m.handler)
	mux.Handle("GET "+relayPath, &relay{status: p.Status})
	h.register(mux)

	packed := gzhttp.GzipHandler(mux) // which leaves alone what promhttp has packed
	cached := newCache(packed, p.Status)
	scraped := m.instrument(cached)
	toolkit := &bootstrap.Bootstrap{Logger: s.logger, MaxRequests: s.maxRequests}
	limited := toolkit.MaxRequestsHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == s.telemetryPath {
			scraped.ServeHTTP(w, r)
			return
		}
		cached.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.draining.Load() {
			w.Header().Set("Connection", "close") // so that the client comes back to somebody else
		}
		w.Header()["X-Content-Type-Options"] = nosniff
		if strings.HasPrefix(r.URL.Path, "/-/") { // is never a second old, and a crowd must not make the process look dead
			packed.ServeHTTP(w, r)
			return
		}
		limited.ServeHTTP(w, r)
	})
}

var nosniff = []string{"nosniff"}

// metrics are /metrics, and what counts its readers.
type metrics struct {
	handler    http.Handler
	instrument func(http.Handler) http.Handler
}

// newMetrics serves what was collected. The exporter's own metrics can be left out.
func newMetrics(s *settings, rates prometheus.Collector) metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(rates, versioncollector.NewCollector("coingecko_exporter"))
	options := promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError, // one bad series must not hide the others
	}
	if s.disableExporterMetrics {
		return metrics{promhttp.HandlerFor(r, options), func(h http.Handler) http.Handler { return h }}
	}
	options.Registry = r
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return metrics{promhttp.HandlerFor(r, options), func(h http.Handler) http.Handler { return promhttp.InstrumentMetricHandler(r, h) }}
}
