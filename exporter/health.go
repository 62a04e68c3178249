// Liveness and readiness.

package exporter

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// grace is how long a new process waits for its first rates before it becomes ready without them, so that an upstream that
// is down does not block a rollout for ever. If the upstream refuses the configuration, the process never becomes ready: an
// upgrade to a wrong key or plan then fails, and the pods that have rates stay.
const grace = 2 * time.Minute

// health answers the probes.
type health struct {
	poller   *poller.Poller
	started  time.Time
	draining atomic.Bool
}

// hadRates reports whether there were fresh rates. From then on, the process is ready until shutdown begins: a rollout during an
// outage must not replace pods that still have good rates.
func (h *health) hadRates() bool {
	select {
	case <-h.poller.First():
		return true
	default:
		return false
	}
}

func (h *health) serveHealthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "Healthy.")
}

func (h *health) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch s := h.poller.Status(); {
	case h.draining.Load():
		http.Error(w, "Not ready: shutting down.", http.StatusServiceUnavailable)
	case !h.hadRates() && (s.Refused || time.Since(h.started) < grace):
		http.Error(w, "Not ready: no rates yet. "+whyNone(s), http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, readyText(s))
	}
}

// readyText is the body of a 200. It says so if there are no current rates, which the status does not.
func readyText(s poller.Status) string {
	switch {
	case s.Snapshot != nil:
		return "Ready."
	case s.LastSuccess.IsZero():
		return "Ready, but there are no rates yet. " + whyNone(s)
	case s.Err == nil:
		return "Ready, but the rates have expired."
	default:
		return "Ready, but the rates have expired. " + whyNone(s)
	}
}

// handler serves the two endpoints and nothing else.
func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", h.serveHealthy)
	mux.HandleFunc("GET /-/ready", h.serveReady)
	return mux
}
