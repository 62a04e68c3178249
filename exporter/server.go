// Routes and servers.

package exporter

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/bootstrap"

	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
)

// Server timeouts, so that slow or silent clients hold resources only briefly.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

func newServer(h http.Handler, l *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(l.Handler(), slog.LevelDebug), // errors of clients are not errors of the exporter
	}
}

// newHandler returns the routes. http.ServeMux answers unknown paths with 404 and other methods with 405.
func newHandler(s *settings, p *poller.Poller, h *health, rates prometheus.Collector, page *screen.Screen) http.Handler {
	cached := newCache(p.Status)
	packed := func(next http.Handler) http.Handler { return cached.wrap(gzhttp.GzipHandler(next)) }
	limited := http.NewServeMux()
	page.Register(func(pattern string, next http.Handler) { limited.Handle(pattern, packed(next)) })
	limited.Handle("GET "+s.telemetryPath, newMetrics(s, rates, packed))
	for path, next := range map[string]http.Handler{relayPath: packed(&relay{status: p.Status}), pingPath: http.HandlerFunc(servePing)} {
		next = allowCORS(s.cors, next)
		limited.Handle("GET "+path, next)
		limited.Handle("OPTIONS "+path, next)
	}

	toolkit := &bootstrap.Bootstrap{Logger: s.logger, MaxRequests: s.maxRequests}
	mux := http.NewServeMux()
	mux.Handle("/", toolkit.MaxRequestsHandler(limited))
	mux.Handle("/-/", h.handler()) // neither cached nor limited: load must not make the process look dead
	routes := prefixed(s, mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.draining.Load() {
			w.Header().Set("Connection", "close") // so that the client reconnects to another pod
		}
		w.Header()["X-Content-Type-Options"] = nosniff
		routes.ServeHTTP(w, r)
	})
}

var nosniff = []string{"nosniff"}

// newMetrics serves the metrics through wrap, and counts scrapes. --web.disable-exporter-metrics excludes these counts and the
// exporter's other own metrics.
func newMetrics(s *settings, rates prometheus.Collector, wrap func(http.Handler) http.Handler) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(rates, versioncollector.NewCollector("coingecko_exporter"))
	options := promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError, // one bad series must not hide the others
	}
	if s.disableExporterMetrics {
		return wrap(promhttp.HandlerFor(r, options))
	}
	options.Registry = r
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.InstrumentMetricHandler(r, wrap(promhttp.HandlerFor(r, options)))
}
