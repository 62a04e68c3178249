// Errors of polls, classified by what to do about them.

package coingecko

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reason classifies failures: the label reason of coingecko_poll_failures_total.
type Reason string

// Reasons for which a poll fails.
const (
	Timeout      Reason = "timeout"      // no complete answer within --coingecko.timeout
	Network      Reason = "network"      // no answer: DNS, refused, reset, TLS
	RateLimited  Reason = "rate_limited" // 429
	Unauthorized Reason = "unauthorized" // 401, 403, 400 with code 10010 or 10011: access is refused
	HTTPError    Reason = "http_error"   // any other status than 200
	BadPayload   Reason = "bad_payload"  // 200, but an invalid answer
)

// Reasons lists every Reason, so that each counter can start at 0.
func Reasons() []Reason {
	return []Reason{Timeout, Network, RateLimited, Unauthorized, HTTPError, BadPayload}
}

// CoinGecko's codes for a key of another plan.
// Source: https://docs.coingecko.com/docs/common-errors-rate-limit
const (
	CodeProKeyOnDemoHost = 10010
	CodeDemoKeyOnProHost = 10011
)

// Upstream is the kind of upstream: the label upstream of the poll counters.
type Upstream string

// CoinGecko itself, whose quota polls use, or an exporter that serves its answers.
const (
	CoinGecko Upstream = "coingecko"
	Relay     Upstream = "relay"
)

// Upstreams lists every Upstream, so that each counter can start at 0.
func Upstreams() []Upstream { return []Upstream{CoinGecko, Relay} }

// Cause is more specific than Reason where the advice differs.
type Cause string

// Causes that can be distinguished.
const (
	UnknownName        Cause = "unknown_name"         // DNS
	ProxyFails         Cause = "proxy_fails"          // the proxy cannot be reached
	ProxyRefuses       Cause = "proxy_refuses"        // the proxy refuses the connection
	ProxyWantsPassword Cause = "proxy_wants_password" // 407
	UnknownCA          Cause = "unknown_ca"
	OtherName          Cause = "other_name"     // the certificate is for another host name
	Expired            Cause = "expired"        // the certificate has expired or is not valid yet
	EndsHandshake      Cause = "ends_handshake" // the upstream closes the TLS handshake
	PlainHTTP          Cause = "plain_http"     // the upstream uses HTTP on an https:// URL
	WantsHTTPS         Cause = "wants_https"    // the upstream uses HTTPS on an http:// URL
	Redirected         Cause = "redirected"     // to another host
)

// Error is a failed poll.
type Error struct {
	Reason   Reason
	Cause    Cause         // empty if only the reason is known
	Upstream Upstream      // the upstream that failed
	Host     string        // host and port of the upstream
	Status   int           // HTTP status; 0 without an answer
	Code     int           // CoinGecko's error code; 0 without one
	Key      string        // flag or variable of the API key that was sent; empty if none was
	Unsent   bool          // there is an API key that must not be sent to this host
	Wait     time.Duration // requested by the server; 0 without a request
	Excerpt  string        // beginning of a bad answer, at most 512 bytes: for the log, never for a label
	Detail   string        // what was wrong
}

// Error returns one line for the log. It never contains the key.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Host, e.Reason)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP status %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Code != 0 && e.Code != e.Status {
		fmt.Fprintf(&b, ", code %d", e.Code)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	return b.String()
}

// because sets what was wrong, and returns e.
func (e *Error) because(reason Reason, err error) *Error {
	e.Reason, e.Detail = reason, err.Error()
	return e
}

// redact removes the key: an upstream may return it anywhere, and errors quote answers.
func (e *Error) redact(key string) {
	e.Detail = strings.ReplaceAll(e.Detail, key, "<key>")
}

// Explain returns what failed and what to do, for the screen. It consists of fixed text, the host, the status and the name of a
// setting, and contains nothing that an upstream wrote.
func (e *Error) Explain() string {
	if about, ok := aboutCause[e.Cause]; ok {
		who := e.who()
		if e.Cause == UnknownCA || e.Cause == OtherName || e.Cause == Expired {
			who = "The certificate of " + strings.Replace(who, "The", "the", 1)
		}
		return who + strings.Replace(about, "%d", strconv.Itoa(e.Status), 1)
	}
	switch e.Reason {
	case Timeout:
		return e.who() + " did not answer in time. Check the network, the proxy and --coingecko.timeout."
	case Network:
		return e.who() + " cannot be reached. Check the network, the proxy and --coingecko.url."
	case RateLimited:
		return e.explainLimit()
	case Unauthorized:
		return e.explainRefusal()
	case HTTPError:
		switch {
		case e.Status == http.StatusNotFound:
			return e.who() + " has no rates at this address (404). Check that --coingecko.url ends in /api/v3."
		case e.Upstream == Relay:
			return fmt.Sprintf("%s answered with an error (%d). Check its screen or its log.", e.who(), e.Status)
		default:
			return fmt.Sprintf("%s answered with an error (%d). See https://status.coingecko.com", e.who(), e.Status)
		}
	default:
		return e.who() + " sent an invalid answer. The log shows its beginning."
	}
}

// who returns the upstream as the subject of a sentence.
func (e *Error) who() string {
	if e.Upstream == Relay {
		return "The upstream " + e.Host
	}
	return "CoinGecko"
}

// aboutCause continues a sentence that begins with the upstream, or with its certificate. %d is the status.
var aboutCause = map[Cause]string{
	UnknownName:        " cannot be reached: its name cannot be resolved. Check DNS and --coingecko.url.",
	ProxyFails:         " cannot be reached: the proxy does not answer. Check HTTPS_PROXY, or proxy_url in --coingecko.http-config-file.",
	ProxyRefuses:       " cannot be reached: the proxy refused the connection (%d). Check that the proxy allows it.",
	ProxyWantsPassword: " cannot be reached: the proxy requires a password (407). Set user and password in HTTPS_PROXY, or in proxy_url in --coingecko.http-config-file.",
	UnknownCA: " is signed by a CA that this machine does not trust. " +
		"Add the CA of the proxy or upstream to the system's trust store, or set tls_config.ca_file in --coingecko.http-config-file.",
	OtherName:     " is for another host name. Check --coingecko.url, and whether a proxy answers instead.",
	Expired:       " is not valid at this time. Check this machine's clock, and renew the certificate if it has expired.",
	EndsHandshake: " closed the TLS handshake. If it requires a client certificate, set tls_config in --coingecko.http-config-file.",
	PlainHTTP:     " uses plain HTTP. Write http:// in --coingecko.url, or check whether a proxy answers instead.",
	WantsHTTPS:    " requires HTTPS. Write https:// in --coingecko.url.",
	Redirected:    " redirects to another address (%d), which is not followed. If the address in the log is correct, set it in --coingecko.url.",
}

// getKey is the advice if access without a key is refused or limited.
const getKey = "A demo key is free. Get one at https://www.coingecko.com/en/api/pricing and set --coingecko.plan=demo and --coingecko.api-key-file."

func (e *Error) explainLimit() string {
	limit := e.who() + " rate limited this exporter (429). "
	switch {
	case e.Upstream == Relay:
		return limit + "Poll it less often, or raise rate_limit in its web configuration."
	case e.Key == "":
		return limit + "Without an API key, everybody behind the same IP address shares the limit. " + getKey
	default:
		return limit + "Poll less often. If that does not help, the monthly quota is used up. It is renewed next month, or with a larger plan."
	}
}

func (e *Error) explainRefusal() string {
	status := e.Status
	switch {
	case e.Upstream == Relay:
		return fmt.Sprintf("%s refused access (%d). Check --coingecko.http-config-file.", e.who(), status)
	case e.Code == CodeProKeyOnDemoHost || e.Code == CodeDemoKeyOnProHost:
		return fmt.Sprintf("CoinGecko refused access (%d): the API key belongs to another plan. Check --coingecko.plan and the key.", e.Code)
	case status == 0:
		return "The API key cannot be read. Check --coingecko.api-key-file."
	case e.Unsent:
		return fmt.Sprintf("CoinGecko refused access (%d). The API key was not sent because it requires HTTPS. Write https:// in --coingecko.url.", status)
	case e.Key == "" && status == http.StatusForbidden:
		return "CoinGecko refused access without an API key (403). It blocks this IP address or requires a key. " + getKey
	case e.Key == "":
		return fmt.Sprintf("CoinGecko refused access without an API key (%d). ", status) + getKey
	case status == http.StatusForbidden:
		return fmt.Sprintf("CoinGecko refused access with an API key (403). It blocks this IP address or the key. Check %s.", e.Key)
	default:
		return fmt.Sprintf("CoinGecko refused the API key (%d). Check %s.", status, e.Key)
	}
}

// refused classifies an answer with a status other than 200.
func refused(fail *Error, resp *http.Response, body []byte) {
	fail.Code, fail.Detail = complaint(body)
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests:
		fail.Reason, fail.Wait = RateLimited, askedWait(resp.Header, time.Now())
	case s == http.StatusUnauthorized, s == http.StatusForbidden,
		s == http.StatusBadRequest && (fail.Code == CodeProKeyOnDemoHost || fail.Code == CodeDemoKeyOnProHost):
		fail.Reason = Unauthorized
	default:
		fail.Reason = HTTPError
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		fail.Cause = ProxyWantsPassword
	case resp.StatusCode == http.StatusBadRequest && bytes.HasPrefix(body, []byte(wantsHTTPS)):
		fail.Cause, fail.Detail = WantsHTTPS, wantsHTTPS
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		host := "somewhere else"
		if u, err := resp.Location(); err == nil {
			host = u.Host
		}
		fail.Cause, fail.Detail = Redirected, "redirected to "+host+", which is not followed; set it in --coingecko.url if it is correct"
	}
}

// wantsHTTPS is the answer of Go's HTTPS server to plain HTTP.
const wantsHTTPS = "Client sent an HTTP request to an HTTPS server."

// complaint extracts CoinGecko's error code and message from a body. It knows the shapes that were observed: {"error": text},
// {"status": {"error_code", "error_message"}} and {"error_code"} at the top level.
func complaint(body []byte) (code int, text string) {
	var in struct {
		Error  any `json:"error"`
		Code   any `json:"error_code"`
		Status any `json:"status"`
	}
	if json.Unmarshal(withoutBOM(body), &in) != nil {
		return 0, ""
	}
	status, _ := in.Status.(map[string]any)
	for _, c := range []any{in.Code, status["error_code"]} {
		if f, ok := c.(float64); ok && code == 0 {
			code = int(f)
		}
	}
	for _, t := range []any{in.Error, status["error_message"]} {
		if s, ok := t.(string); ok && text == "" {
			text = clip(s, maxExcerpt)
		}
	}
	return code, text
}
