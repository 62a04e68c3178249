// A shutdown that answers everybody who can be answered.

package exporter

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// drainer is a server that can be ended without cutting off a request on a new connection. http.Server's own Shutdown
// drops requests on connections that it has accepted and not read from: it closes them as soon as the request was read. So
// the listeners are closed first, and Shutdown is called when nobody waits for an answer.
//
// What is still lost: a connection that the kernel has completed and nobody has accepted is reset when its listener closes,
// and a request that a client sends on a kept connection just when that is closed as idle gets no answer. Nothing on this
// side of the sockets can tell either. Both need a client that still comes here when it ends: --web.shutdown-delay is the
// time for load balancers to go elsewhere, in which every answer also tells its client to close the connection.
type drainer struct {
	*http.Server
	done     chan struct{}     // closed when no more connections are accepted
	announce func(at net.Addr) // told of each address that is listened on; may be nil

	mu        sync.Mutex
	draining  bool
	listeners []net.Listener
	busy      map[net.Conn]struct{} // connections on which a request may be under way
	open      int                   // connections
}

// newDrainer makes a server that closes connections beyond maxConnections as soon as they come; 0 is no limit.
func newDrainer(h http.Handler, maxConnections int, l *slog.Logger) *drainer {
	d := &drainer{Server: newServer(h, l), done: make(chan struct{}), busy: map[net.Conn]struct{}{}}
	d.BaseContext = func(l net.Listener) context.Context {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.listeners = append(d.listeners, l)
		if d.announce != nil {
			d.announce(l.Addr())
		}
		if d.draining { // it came up too late
			l.Close()
		}
		return context.Background()
	}
	d.ConnState = func(c net.Conn, state http.ConnState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch state {
		case http.StateNew, http.StateActive:
			d.busy[c] = struct{}{}
		default:
			delete(d.busy, c)
		}
		switch state {
		case http.StateNew:
			if d.open++; maxConnections > 0 && d.open > maxConnections {
				c.Close()
				return
			}
			bound(c)
		case http.StateClosed, http.StateHijacked:
			d.open--
		}
	}
	return d
}

// Buffers of the kernel for one connection, in bytes; Linux takes twice as much. An answer as it is packed fits into one.
// Left to itself the kernel lets the buffers of a reader who asks on and does not read grow to megabytes, and a pod pays for them.
const (
	sendBuffer    = 32 << 10
	receiveBuffer = 8 << 10
)

func bound(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		// An error is that of a connection that is gone already.
		_ = t.SetWriteBuffer(sendBuffer)
		_ = t.SetReadBuffer(receiveBuffer)
	}
}

// serve listens and serves as the toolkit's flags say, until drain.
func (d *drainer) serve(s *settings) error {
	defer close(d.done)
	if err := web.ListenAndServe(d.Server, s.web, s.logger); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// drain ends the server: not ready at once, still serving for the delay, then until every request that was
// accepted is answered or the time-out has passed. It returns when nothing is served any more. Where nothing is
// served to begin with, because a listener failed, it waits for nothing.
func (d *drainer) drain(s *settings, h *health) {
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

	// A fresh context: the one that ended is why we are here.
	ctx, cancel := context.WithTimeout(context.Background(), s.shutdownTimeout)
	defer cancel()
	d.quiet(ctx)
	if err := d.Shutdown(ctx); err != nil {
		s.logger.Warn("Shutdown timed out, in-flight requests were closed", "timeout", s.shutdownTimeout.String())
		d.Close()
	}
}

// quiet waits until no request is under way. A connection that is open and says nothing is given as long
// as http.Server gives it for the header of a request.
func (d *drainer) quiet(ctx context.Context) {
	select {
	case <-d.done: // from here on there is no new connection
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		busy := len(d.busy)
		d.mu.Unlock()
		if busy == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
