// The web side: endpoints, health, and a shutdown that answers everybody first.

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/bootstrap"

	"github.com/heycard/coingecko-exporter/exporter/poller"
)

// grace is how long a new process waits for its first rates before it says that it is ready without:
// an upstream that is down must not keep it away for ever.
const grace = 2 * time.Minute

// Time-outs of the servers, so that slow or silent clients hold nothing for long.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

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
		return time.Since(h.started) >= grace
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

// register is anything that brings endpoints of its own.
type registrar interface{ Register(*http.ServeMux) }

// newHandler routes. Unknown paths are 404 and other methods 405, both from http.ServeMux.
func newHandler(s *settings, p *poller.Poller, h *health, metrics http.Handler, screen registrar) http.Handler {
	work := http.NewServeMux()
	screen.Register(work)
	work.Handle("GET "+relayPath, &relay{status: p.Status})
	// promhttp packs its own answers, by more encodings than gzip.
	all := http.NewServeMux()
	limit := &bootstrap.Bootstrap{Logger: s.logger, MaxRequests: s.maxRequests}
	limited := http.NewServeMux()
	limited.Handle("GET "+s.telemetryPath, metrics)
	limited.Handle("/", gzhttp.GzipHandler(work))
	all.Handle("/", limit.MaxRequestsHandler(limited))
	h.register(all)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.draining.Load() {
			w.Header().Set("Connection", "close") // so that the client comes back to somebody else
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		all.ServeHTTP(w, r)
	})
}

// newMetrics serves what was collected. The exporter's own metrics can be left out.
func newMetrics(s *settings, rates prometheus.Collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(rates, versioncollector.NewCollector("coingecko_exporter"))
	options := promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError, // one bad series must not hide the others
		Registry:          r,
	}
	if s.disableExporterMetrics {
		options.Registry = nil
		return promhttp.HandlerFor(r, options)
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.InstrumentMetricHandler(r, promhttp.HandlerFor(r, options))
}

func newServer(h http.Handler, l *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(l.Handler(), slog.LevelDebug), // what clients do wrong is no trouble of ours
	}
}

// drain ends a server: not ready at once, still serving for the delay, then until requests in flight
// are answered. It returns when nothing is served any more.
func drain(s *settings, h *health, server *http.Server) {
	h.draining.Store(true)
	if s.shutdownDelay > 0 {
		s.logger.Info("Shutting down: not ready, still serving", "delay", s.shutdownDelay.String())
		time.Sleep(s.shutdownDelay)
	}
	// A fresh context: the one that ended is why we are here.
	ctx, cancel := context.WithTimeout(context.Background(), s.shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.logger.Warn("Requests in flight were cut off", "timeout", s.shutdownTimeout.String())
		server.Close()
	}
}
