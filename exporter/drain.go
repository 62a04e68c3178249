// Graceful shutdown.

package exporter

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// drainer is a server that shuts down without dropping requests on new connections. http.Server.Shutdown drops a request on a
// connection that was accepted but not read from. So drainer closes the listeners first, and calls Shutdown once no request is
// in flight.
//
// Two kinds of requests are still lost: those on connections that the kernel has completed but nobody has accepted, which are
// reset when the listener closes, and those sent on a kept-alive connection at the moment when it is closed as idle. The server
// cannot see either. Both require a client that still connects during shutdown: --web.shutdown-delay gives load balancers time to
// stop sending requests, and every answer during the delay has Connection: close.
type drainer struct {
	*http.Server
	settings *settings
	done     chan struct{} // closed once no connection is accepted any more

	mu        sync.Mutex
	draining  bool
	listeners []net.Listener
	busy      map[net.Conn]bool // by open connection: whether it may have a request in flight
}

// newDrainer creates a server that closes connections beyond --web.max-connections at once.
func newDrainer(h http.Handler, s *settings) *drainer {
	d := &drainer{Server: newServer(h, s.logger), settings: s, done: make(chan struct{}), busy: map[net.Conn]bool{}}
	d.BaseContext = func(l net.Listener) context.Context {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.listeners = append(d.listeners, l)
		s.announce(l.Addr())
		if d.draining { // the listener opened after drain
			l.Close()
		}
		return context.Background()
	}
	d.ConnState = func(c net.Conn, state http.ConnState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch state {
		case http.StateClosed, http.StateHijacked:
			delete(d.busy, c)
			return
		case http.StateNew:
			if s.maxConnections > 0 && len(d.busy) >= s.maxConnections {
				c.Close()
				break
			}
			bound(c)
		}
		d.busy[c] = state != http.StateIdle
	}
	return d
}

// Socket buffers of a connection, in bytes; Linux doubles them. A compressed answer fits into one. By default, the kernel lets the
// buffers of a client that sends requests and does not read grow to megabytes, which count towards the pod's memory.
const (
	sendBuffer    = 32 << 10
	receiveBuffer = 8 << 10
)

func bound(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		// An error means that the connection is already closed.
		_ = t.SetWriteBuffer(sendBuffer)
		_ = t.SetReadBuffer(receiveBuffer)
	}
}

// serve listens and serves according to the toolkit's flags, until drain. Its error means something only if drain was not called.
func (d *drainer) serve() error {
	defer close(d.done)
	return web.ListenAndServe(d.Server, d.settings.web, d.settings.logger)
}

// drain shuts the server down: it is not ready at once, keeps serving for the delay, and then waits until every accepted request
// is answered or the timeout has passed. It does not wait if serve has already returned, because a listener failed.
func (d *drainer) drain(h *health) {
	s := d.settings
	h.draining.Store(true)
	if s.shutdownDelay > 0 {
		s.logger.Info("Shutting down, still serving for the delay", "delay", s.shutdownDelay.String())
		select {
		case <-time.After(s.shutdownDelay):
		case <-d.done:
		}
	}
	d.mu.Lock()
	d.draining = true
	for _, l := range d.listeners {
		l.Close()
	}
	d.mu.Unlock()

	// A new context: that of the program is already done.
	ctx, cancel := context.WithTimeout(context.Background(), s.shutdownTimeout)
	defer cancel()
	d.quiet(ctx)
	if err := d.Shutdown(ctx); err != nil {
		s.logger.Warn("Shutdown timed out, in-flight requests were closed", "timeout", s.shutdownTimeout.String())
		d.Close()
	}
}

// quiet waits until no request is in flight. A silent connection counts as busy until http.Server's header timeout closes it.
func (d *drainer) quiet(ctx context.Context) {
	select {
	case <-d.done: // no new connections from here on
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		busy := slices.Contains(slices.Collect(maps.Values(d.busy)), true)
		d.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
