// Errors of a poll, sorted by what to do about them.

package coingecko

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Reason sorts failures. It is the label `reason` of coingecko_poll_failures_total.
type Reason string

// Every reason for which a poll can fail.
const (
	Timeout      Reason = "timeout"      // no whole answer within --coingecko.timeout
	Network      Reason = "network"      // no answer: DNS, refused, reset, TLS
	RateLimited  Reason = "rate_limited" // 429
	Unauthorized Reason = "unauthorized" // 401, 403, 400 with code 10010 or 10011: key, plan and host do not fit
	HTTPError    Reason = "http_error"   // any other status than 200
	BadPayload   Reason = "bad_payload"  // 200, but not an answer to be trusted
)

// Reasons lists every Reason, so that each counter can start at 0.
func Reasons() []Reason {
	return []Reason{Timeout, Network, RateLimited, Unauthorized, HTTPError, BadPayload}
}

// CoinGecko's codes for a key that does not belong to the host that was asked.
// Source: https://docs.coingecko.com/docs/common-errors-rate-limit
const (
	CodeProKeyOnDemoHost = 10010
	CodeDemoKeyOnProHost = 10011
)

// Upstream says who was asked. It is the label `upstream` of the poll counters.
type Upstream string

// CoinGecko itself, whose quota a poll spends, or somebody who relays its answers.
const (
	CoinGecko Upstream = "coingecko"
	Relay     Upstream = "relay"
)

// Upstreams lists every Upstream, so that each counter can start at 0.
func Upstreams() []Upstream { return []Upstream{CoinGecko, Relay} }

// Error is a failed poll.
type Error struct {
	Reason   Reason
	Upstream Upstream      // who failed
	Host     string        // host and port that were asked
	Status   int           // HTTP status, 0 when no answer came
	Code     int           // CoinGecko's own error code, 0 when it gave none
	Wait     time.Duration // how long the server asked to wait, 0 when it did not say
	Excerpt  string        // the start of an answer that was no good, at most 512 bytes: for the log, never a label
	Detail   string        // what exactly was wrong, in plain words
	Err      error         // the cause, where there is one
}

// Error is one line for the log: who, what, why. It never holds the key.
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

// redact takes the key out. Whoever was asked may send it back anywhere, and errors quote what was sent.
func (e *Error) redact(key string) {
	e.Detail = strings.ReplaceAll(e.Detail, key, "<key>")
	if e.Err != nil && strings.Contains(e.Err.Error(), key) {
		e.Err = nil
	}
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Explain says in plain words, for the screen, what went wrong and what to do.
// It is made of fixed text, the host, the status and the wait: nothing that an upstream wrote.
func (e *Error) Explain() string {
	who := "CoinGecko"
	if e.Upstream == Relay {
		who = "The relay " + e.Host
	}
	switch e.Reason {
	case Timeout:
		return who + " did not answer in time."
	case Network:
		return who + " cannot be reached. Check the network, the proxy and --coingecko.url."
	case RateLimited:
		return who + " says that its rate limit is used up (429). Poll less often, or use an API key."
	case Unauthorized:
		if e.Upstream == Relay {
			return fmt.Sprintf("%s refused access (%d). Check --coingecko.http-config-file.", who, e.Status)
		}
		switch {
		case e.Status == 0:
			return "The API key cannot be read. Check --coingecko.api-key-file."
		case e.Code == CodeProKeyOnDemoHost || e.Code == CodeDemoKeyOnProHost:
			return fmt.Sprintf("CoinGecko refused the API key (%d): it belongs to another plan. Check --coingecko.plan.", e.Code)
		default:
			return fmt.Sprintf("CoinGecko refused the API key (%d). Check --coingecko.api-key-file.", e.Status)
		}
	case HTTPError:
		return fmt.Sprintf("%s answered with an error (%d).", who, e.Status)
	default:
		return who + " sent an answer that cannot be trusted."
	}
}

// refused sorts an answer whose status is not 200.
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
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		host := "somewhere else"
		if u, err := resp.Location(); err == nil {
			host = u.Host
		}
		fail.Detail = "redirected to " + host + ", which is not followed; if that is the place to ask, put it into --coingecko.url"
	}
}

// complaint looks for CoinGecko's own code and words in the body of an error. It knows the shapes
// that were met: {"error": text}, {"status": {"error_code", "error_message"}} and {"error_code"} on top.
func complaint(body []byte) (code int, text string) {
	var in struct {
		Error  any `json:"error"`
		Code   any `json:"error_code"`
		Status any `json:"status"`
	}
	if json.Unmarshal(body, &in) != nil {
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
