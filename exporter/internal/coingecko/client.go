// Package coingecko is a client for CoinGecko's exchange rates, as served by CoinGecko or by another exporter.
//
// API: https://docs.coingecko.com/reference/exchange-rates
package coingecko

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/config"
)

const (
	// APIPath is the end of an upstream's base URL.
	APIPath = "/api/v3"
	// Path follows the base URL.
	Path = "/exchange_rates"

	maxBody    = 1 << 20  // bytes of an answer, compressed and decompressed: CoinGecko's has 7 KiB
	maxHeaders = 64 << 10 // bytes of an answer's headers
	maxExcerpt = 512      // bytes of a bad answer for the log
	maxHops    = 3        // redirects within one host
)

// Options configure a Client.
type Options struct {
	Endpoints []Endpoint               // at least one, tried in this order
	KeyHeader string                   // the plan's header; empty for none
	Key       func() (string, error)   // called before each request; nil for no key, otherwise never empty. Its errors must not contain the key
	KeyFrom   string                   // the flag or variable that Key comes from, for errors
	UserAgent string                   // CoinGecko returns 403 without a descriptive one
	Timeout   time.Duration            // of ExchangeRates as a whole
	HTTP      *config.HTTPClientConfig // nil for the defaults
	Transport http.RoundTripper        // replaces HTTP, for tests without a network
}

// Endpoint is one upstream.
type Endpoint struct {
	URL      *url.URL // base URL, to which Path is appended
	Upstream Upstream
}

// Client requests exchange rates. It is meant for one request at a time.
type Client struct {
	options     Options
	http        *http.Client
	connections connections
}

// New creates a client. It fails if the HTTP configuration is not usable.
func New(o Options) (*Client, error) {
	c := &Client{options: o}
	rt := o.Transport
	if rt == nil {
		var err error
		if rt, err = newTransport(o.HTTP, &c.connections); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{
		Transport: rt,
		// A redirect to another host is treated like any other status except 200. Neither the key nor a password may
		// follow it, but http.Client would forward every header that it does not know.
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			first := via[0].URL
			leaves := Host(next.URL) != Host(first) || next.URL.Port() != first.Port() || first.Scheme == "https" && next.URL.Scheme != "https"
			if leaves || len(via) > maxHops || o.HTTP != nil && !o.HTTP.FollowRedirects {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return c, nil
}

func newTransport(c *config.HTTPClientConfig, connections *connections) (http.RoundTripper, error) {
	cfg := config.DefaultHTTPClientConfig
	if c != nil {
		cfg = *c
	}
	if cfg.ProxyURL.URL == nil && cfg.NoProxy == "" {
		cfg.ProxyFromEnvironment = true // HTTPS_PROXY and NO_PROXY
	}
	cfg = ExceptLoopback(cfg)
	rt, err := config.NewRoundTripperFromConfig(cfg, "coingecko", config.WithDialContextFunc(connections.dial))
	if t, ok := rt.(*http.Transport); ok {
		t.OnProxyConnectResponse = proxyAnswered
		t.MaxResponseHeaderBytes = maxHeaders // with certificates or credentials, common hides the transport, and Go's 10 MiB apply
	}
	if cfg.OAuth2 != nil {
		rt = &bounded{rt, connections}
	}
	return rt, err
}

// ExceptLoopback returns a configuration whose proxy_url does not apply to loopback addresses, like the variables for proxies. A key or
// password for this machine would otherwise reach the proxy.
func ExceptLoopback(c config.HTTPClientConfig) config.HTTPClientConfig {
	if c.ProxyURL.URL != nil && c.NoProxy == "" {
		c.NoProxy = "localhost" // with any exception, common treats all loopback addresses as exceptions
	}
	return c
}

// Answer is the result of a successful poll.
type Answer struct {
	Rates    []Rate            // sorted by code
	Rejected map[Rejection]int // dropped entries; also set with an error
	Upstream Upstream          // who answered
	Host     string            // host and port
	Age      time.Duration     // age of the rates when they were sent, from the Age header; 0 without one
	MaxAge   time.Duration     // from Cache-Control: the age at which newer rates are due; 0 without one

	SpentQuota bool // CoinGecko was asked, even if another upstream answered

	Simulated bool     // see SimulatedHeader
	Checked   bool     // the upstream has compared the rates with earlier ones: see WithheldHeader
	Withheld  []string // codes of the rates that the upstream withholds, sorted; none of them is in Rates
}

// ExchangeRates tries the endpoints in order until one answers, whatever the status. Every error is an *Error.
func (c *Client) ExchangeRates(ctx context.Context) (Answer, error) {
	deadline := time.Now().Add(c.options.Timeout)
	var err error
	spent := false
	for i, e := range c.options.Endpoints {
		// An upstream that drops packets must leave time to try the next one.
		share := time.Until(deadline) / time.Duration(len(c.options.Endpoints)-i)
		var answer Answer
		var answered bool
		answer, answered, err = c.ask(ctx, e, share)
		spent = spent || e.Upstream == CoinGecko
		answer.SpentQuota = spent
		if err == nil || answered {
			return answer, err
		}
	}
	return Answer{SpentQuota: spent}, err
}

// ask requests rates from one endpoint. answered reports whether it answered, whatever the status.
func (c *Client) ask(ctx context.Context, e Endpoint, timeout time.Duration) (_ Answer, answered bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	fail := &Error{Upstream: e.Upstream, Host: e.URL.Host, Unsent: c.options.Key != nil && !MayCarryKey(e.URL)}

	key := ""
	if c.options.Key != nil && MayCarryKey(e.URL) {
		var err error
		if key, err = c.options.Key(); err != nil {
			return Answer{}, true, fail.because(Unauthorized, err)
		}
		defer fail.redact(key)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL.JoinPath(Path).String(), nil)
	if err != nil {
		return Answer{}, false, fail.because(Network, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip") // Prometheus' transport does not set it
	req.Header.Set("User-Agent", c.options.UserAgent)
	if key != "" {
		fail.Key = c.options.KeyFrom
		req.Header.Set(c.options.KeyHeader, key)
	}
	if host := Host(e.URL); strings.HasSuffix(e.URL.Hostname(), ".") { // the trailing dot is for DNS only
		req.Host = strings.Replace(e.URL.Host, e.URL.Hostname(), host, 1)
	}

	resp, err := c.http.Do(req)
	if err != nil {
		c.broken(fail, err, timeout)
		return Answer{}, false, fail
	}
	defer resp.Body.Close()
	fail.Status = resp.StatusCode
	packed, err := readUpTo(resp.Body, maxBody)
	body, gzipErr := unpack(packed, resp.Header.Get("Content-Encoding"))
	if key != "" { // the upstream may return it, and it must not be logged
		body = bytes.ReplaceAll(body, []byte(key), []byte("<key>"))
	}
	fail.Excerpt = excerpt(body)

	switch {
	case resp.StatusCode != http.StatusOK: // even if the body is incomplete
		refused(fail, resp, body)
		return Answer{}, true, fail
	case err != nil && !errors.Is(err, errTooLarge):
		c.broken(fail, err, timeout)
		return Answer{}, true, fail
	}
	if err = errors.Join(err, gzipErr); err != nil {
		return Answer{}, true, fail.because(BadPayload, err)
	}
	rates, rejected, err := Decode(body)
	if err != nil {
		fail.Code, _ = complaint(body)
		return Answer{Rejected: rejected}, true, fail.because(BadPayload, err)
	}
	age, err := declaredAge(resp.Header)
	if err != nil {
		return Answer{Rejected: rejected}, true, fail.because(BadPayload, err)
	}
	answer := Answer{
		Rates:    rates,
		Rejected: rejected,
		Upstream: e.Upstream,
		Host:     e.URL.Host,
		Age:      age,
		MaxAge:   maxAge(resp.Header),

		Simulated: simulated(resp.Header),
	}
	answer.Withheld, answer.Checked = withheld(resp.Header, rates)
	return answer, true, nil
}

// broken classifies a connection that failed before or during an answer. It closes all connections, so that the next poll opens
// a new one and resolves the name again.
func (c *Client) broken(fail *Error, err error, timeout time.Duration) {
	c.http.CloseIdleConnections()
	c.connections.closeAll()
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the URL: Error has the host
	}
	fail.Reason, fail.Detail = Network, clip(err.Error(), maxExcerpt) // a token endpoint's error contains its answer
	cause, status := causeOf(err)
	fail.Cause, fail.Status = cause, cmp.Or(fail.Status, status)
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		fail.Reason, fail.Cause, fail.Detail = Timeout, "", fmt.Sprintf("no complete answer within %v", timeout.Round(time.Millisecond))
	}
}

var errTooLarge = fmt.Errorf("more than %d bytes", maxBody)

// readUpTo reads all of r. On an error or at the limit, it also returns what it has read so far.
func readUpTo(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(b)) > limit {
		return b[:limit], errTooLarge
	}
	return b, err
}

func unpack(body []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return body, fmt.Errorf("invalid gzip: %w", err)
		}
		out, err := readUpTo(z, maxBody)
		if err != nil {
			return out, fmt.Errorf("gzip: %w", err)
		}
		return out, nil
	default:
		return body, fmt.Errorf("unexpected content encoding %q", clip(encoding, 32))
	}
}

// excerpt returns the beginning of a body on one line, for the log.
func excerpt(body []byte) string {
	return clip(strings.Join(strings.Fields(string(body[:min(len(body), 2*maxExcerpt)])), " "), maxExcerpt)
}

// clip truncates a text to n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
