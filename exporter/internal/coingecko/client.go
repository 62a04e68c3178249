// Package coingecko asks CoinGecko, or an exporter that relays it, what one bitcoin is worth.
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
	// Path follows the base URL of an upstream.
	Path = "/exchange_rates"

	maxBody    = 1 << 20 // bytes of an answer, packed and unpacked: CoinGecko's is 7 KiB
	maxExcerpt = 512     // bytes of a bad answer that are kept for the log
	maxHops    = 3       // redirects within one host
)

// Options say whom to ask, and how.
type Options struct {
	Endpoints []Endpoint               // at least one, asked in this order
	KeyHeader string                   // of the plan; empty for none
	Key       func() (string, error)   // read before each request; nil for none. Its error must not hold the key
	KeyFrom   string                   // the flag or variable that Key comes from, for errors
	UserAgent string                   // CoinGecko answers 403 to a request that does not say who asks
	Timeout   time.Duration            // of ExchangeRates as a whole
	HTTP      *config.HTTPClientConfig // nil for the defaults
	Transport http.RoundTripper        // instead of what HTTP describes: for tests that need no network
}

// Endpoint is one upstream.
type Endpoint struct {
	URL      *url.URL // base URL, to which Path is appended
	Upstream Upstream
}

// Client asks for exchange rates. One request at a time is what it is made for.
type Client struct {
	options     Options
	http        *http.Client
	connections *connections
}

// New makes a client. It fails when the HTTP configuration cannot be used.
func New(o Options) (*Client, error) {
	c := &Client{options: o, connections: newConnections()}
	rt := o.Transport
	if rt == nil {
		var err error
		if rt, err = newTransport(o.HTTP, c.connections); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{
		Transport: rt,
		// A redirect to another host is an answer like any other that is not 200. Neither the key nor
		// a password may follow it, and http.Client would take along every header it does not know.
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
		cfg.ProxyFromEnvironment = true // HTTPS_PROXY and NO_PROXY, as everywhere
	}
	rt, err := config.NewRoundTripperFromConfig(cfg, "coingecko", config.WithDialContextFunc(connections.dial))
	if t, ok := rt.(*http.Transport); ok {
		t.OnProxyConnectResponse = proxyAnswered
	}
	return rt, err
}

// Answer is what a poll brought.
type Answer struct {
	Rates    []Rate            // sorted by code
	Rejected map[Rejection]int // entries that were dropped; set beside an error too
	Upstream Upstream          // who answered
	Host     string            // where
	Age      time.Duration     // of the rates when they were sent, as the header Age says; 0 without one
	MaxAge   time.Duration     // of Cache-Control: the age at which newer rates are due; 0 where it says none

	Simulated bool     // the rates are not real: see SimulatedHeader
	Checked   bool     // who answered has compared the rates with those before: see WithheldHeader
	Withheld  []string // codes of the rates that it keeps back meanwhile, sorted; none of them is in Rates
}

// ExchangeRates asks the endpoints in order until one answers, with anything. Every error is an *Error,
// but that of a context which ended: that one is returned as it is.
func (c *Client) ExchangeRates(ctx context.Context) (Answer, error) {
	deadline := time.Now().Add(c.options.Timeout)
	var err error
	for i, e := range c.options.Endpoints {
		// An upstream that swallows packets must leave time to ask the next one.
		share := time.Until(deadline) / time.Duration(len(c.options.Endpoints)-i)
		var answer Answer
		var answered bool
		answer, answered, err = c.ask(ctx, e, share)
		if ctx.Err() != nil {
			return Answer{}, ctx.Err()
		}
		if err == nil || answered {
			return answer, err
		}
	}
	return Answer{}, err
}

// ask asks one endpoint. It says whether that one answered, well or not.
func (c *Client) ask(ctx context.Context, e Endpoint, timeout time.Duration) (_ Answer, answered bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	fail := &Error{Upstream: e.Upstream, Host: e.URL.Host, Unsent: c.options.Key != nil && !MayCarryKey(e.URL)}

	key, err := c.key(e)
	if err != nil {
		fail.Reason, fail.Detail, fail.Err = Unauthorized, err.Error(), err
		return Answer{}, true, fail
	}
	if key != "" {
		defer fail.redact(key)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL.JoinPath(Path).String(), nil)
	if err != nil {
		fail.Reason, fail.Detail, fail.Err = Network, err.Error(), err
		return Answer{}, false, fail
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip") // by hand: Prometheus' transport does not do it
	req.Header.Set("User-Agent", c.options.UserAgent)
	if key != "" {
		fail.Key = c.options.KeyFrom
		req.Header.Set(c.options.KeyHeader, key)
	}
	if host := Host(e.URL); strings.HasSuffix(e.URL.Hostname(), ".") { // which servers need not know
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
	if key != "" { // which an upstream may send back, and nobody may see
		body = bytes.ReplaceAll(body, []byte(key), []byte("<key>"))
	}
	fail.Excerpt = excerpt(body)

	switch {
	case resp.StatusCode != http.StatusOK: // the status decides, however much of the body came
		refused(fail, resp, body)
		return Answer{}, true, fail
	case err != nil && !errors.Is(err, errTooLarge):
		c.broken(fail, err, timeout)
		return Answer{}, true, fail
	}
	if err = errors.Join(err, gzipErr); err != nil {
		fail.Reason, fail.Detail, fail.Err = BadPayload, err.Error(), err
		return Answer{}, true, fail
	}
	rates, rejected, err := Decode(body)
	if err != nil {
		fail.Reason, fail.Detail, fail.Err = BadPayload, err.Error(), err
		fail.Code, _ = complaint(body)
		return Answer{Rejected: rejected}, true, fail
	}
	age, err := declaredAge(resp.Header)
	if err != nil {
		fail.Reason, fail.Detail, fail.Err = BadPayload, err.Error(), err
		return Answer{Rejected: rejected}, true, fail
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

// key reads the API key for an endpoint that may have it.
func (c *Client) key(e Endpoint) (string, error) {
	if c.options.Key == nil || c.options.KeyHeader == "" || !MayCarryKey(e.URL) {
		return "", nil
	}
	return c.options.Key()
}

// broken sorts a connection that failed before or within an answer. The next poll gets a new
// connection, and with it a new look at DNS.
func (c *Client) broken(fail *Error, err error, timeout time.Duration) {
	c.http.CloseIdleConnections()
	c.connections.closeAll()
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // the URL is known, and the host stands in the Error
	}
	fail.Reason, fail.Err, fail.Detail = Network, err, err.Error()
	cause, status := causeOf(err)
	fail.Cause, fail.Status = cause, cmp.Or(fail.Status, status)
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		fail.Reason, fail.Cause, fail.Detail = Timeout, "", fmt.Sprintf("no complete answer within %v", timeout.Round(time.Millisecond))
	}
}

var errTooLarge = fmt.Errorf("more than %d bytes", maxBody)

// readUpTo reads all of r, or fails with what came before the error or the limit.
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

// excerpt is the start of a body, fit for one line of a log.
func excerpt(body []byte) string {
	return clip(strings.Join(strings.Fields(string(body[:min(len(body), 2*maxExcerpt)])), " "), maxExcerpt)
}

// clip cuts a text to n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
