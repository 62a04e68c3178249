// Connections of a client, and causes of their failures.

package coingecko

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// connections tracks a client's open connections. The transport alone cannot close an HTTP/2 connection that has fallen silent: it
// considers it busy until a ping fails, and the next poll would fail on it too.
type connections struct{ open sync.Map } // the keys are of type *connection

type connection struct {
	net.Conn
	among *connections
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tracked := &connection{conn, c}
	c.open.Store(tracked, nil)
	return tracked, nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.among.open.Delete(c)
	return c.Conn.Close()
}

// closeAll closes every connection, including those in use.
func (c *connections) closeAll() {
	c.open.Range(func(conn, _ any) bool {
		conn.(*connection).Close()
		return true
	})
}

// bounded ends a request with its context. OAuth2 requests tokens without the context, so a token endpoint that never answers
// would otherwise block a poll for ever.
type bounded struct {
	next        http.RoundTripper
	connections *connections
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	type result struct {
		resp *http.Response
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := b.next.RoundTrip(req) //nolint:bodyclose // whoever receives it closes it
		done <- result{resp, err}
	}()
	select {
	case r := <-done:
		return r.resp, r.err
	case <-req.Context().Done():
		b.connections.closeAll() // ends the token's request, too
		go func() {
			for {
				select {
				case r := <-done:
					if r.err == nil {
						r.resp.Body.Close()
					}
					return
				case <-time.After(time.Second): // the library requests a token twice, in different ways
					b.connections.closeAll()
				}
			}
		}()
		return nil, req.Context().Err()
	}
}

// proxyRefusedError is a proxy's answer to CONNECT with a status other than 200.
type proxyRefusedError struct{ status int }

func (e *proxyRefusedError) Error() string {
	return fmt.Sprintf("the proxy answered %d %s", e.status, http.StatusText(e.status))
}

func proxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &proxyRefusedError{resp.StatusCode}
	}
	return nil
}

// causeOf derives the cause of a failed connection from the error of net/http.
func causeOf(err error) (_ Cause, status int) {
	if e, ok := errors.AsType[*proxyRefusedError](err); ok {
		if e.status == http.StatusProxyAuthRequired {
			return ProxyWantsPassword, e.status
		}
		return ProxyRefuses, e.status
	}
	// If certificates are reloaded from files, Prometheus' transport hides proxyAnswered.
	if err.Error() == http.StatusText(http.StatusProxyAuthRequired) {
		return ProxyWantsPassword, http.StatusProxyAuthRequired
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		switch e.Op {
		case "proxyconnect":
			return ProxyFails, 0
		case "remote error":
			return EndsHandshake, 0
		}
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return UnknownName, 0
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return UnknownCA, 0
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return OtherName, 0
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return Expired, 0
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return PlainHTTP, 0
	}
	return "", 0
}
