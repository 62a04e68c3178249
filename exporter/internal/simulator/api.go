// The simulated API: checks, answers and failure modes.

package simulator

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

const apiPath = coingecko.APIPath + coingecko.Path

// Mode is a failure mode.
type Mode string

// Failure modes. About describes each.
const (
	None         Mode = "none"
	Refuse       Mode = "refuse"
	Stall        Mode = "stall"
	Slow         Mode = "slow"
	Cutoff       Mode = "cutoff"
	HTML         Mode = "html"
	Throttled    Mode = "throttled"
	RateLimit    Mode = "ratelimit"
	Unauthorized Mode = "unauthorized"
	WrongHost    Mode = "wronghost"
	UserAgent    Mode = "useragent"
	ServerError  Mode = "error"
	Garbage      Mode = "garbage"
	Portal       Mode = "portal"
	Nulls        Mode = "nulls"
	Empty        Mode = "empty"
	Halved       Mode = "halved"
	NoBTC        Mode = "nobtc"
	Freeze       Mode = "freeze"
)

// modes are all failure modes.
var modes = []struct {
	mode  Mode
	about string
}{
	{None, "answers as CoinGecko does"},
	{Refuse, "resets every connection as soon as a request comes"},
	{Stall, "accepts the request and sends nothing until the client gives up"},
	{Slow, "sends a good answer byte by byte, one a second"},
	{Cutoff, "closes the connection in the middle of a good answer"},
	{HTML, "403 and a web page, as Cloudflare sends it to blocked clients"},
	{Throttled, "429 in plain text, with Retry-After"},
	{RateLimit, "429 in JSON, with x-ratelimit-reset and no Retry-After"},
	{Unauthorized, "401, as for a wrong API key"},
	{WrongHost, "400 with code 10011, as for a demo key on the pro host"},
	{UserAgent, "403 in JSON, as for a request without a descriptive User-Agent"},
	{ServerError, "500 and 503 in turn, in JSON"},
	{Garbage, "200 and bytes that are not JSON"},
	{Portal, "200 and the web page of a captive portal"},
	{Nulls, "200, one unusable entry of each kind, the rest good"},
	{Empty, "200 and no entries"},
	{Halved, "200, more than half of the entries missing"},
	{NoBTC, "200, bitcoin itself missing"},
	{Freeze, "200, but the rates no longer change"},
}

// Modes lists every Mode.
func Modes() []Mode {
	list := make([]Mode, len(modes))
	for i, m := range modes {
		list[i] = m.mode
	}
	return list
}

// About describes a mode in one line.
func (m Mode) About() string {
	for _, e := range modes {
		if e.mode == m {
			return e.about
		}
	}
	return ""
}

// api serves everything below /api/.
func (s *Simulator) api(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != apiPath {
		flatError(w, http.StatusNotFound, "Incorrect path. Only "+apiPath+" is simulated")
		return
	}
	now := s.options.Now()
	s.mu.Lock()
	s.requests++
	if minute := now.Truncate(time.Minute); !minute.Equal(s.minute) {
		s.minute, s.used = minute, 0
	}
	s.used++
	over := s.options.QuotaPerMinute > 0 && s.used > s.options.QuotaPerMinute
	mode, frozen, request := s.mode, s.frozen, s.requests
	s.mu.Unlock()

	if s.refuses(mode, request, w, r) {
		return
	}
	switch agent := r.UserAgent(); {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		flatError(w, http.StatusMethodNotAllowed, "Method not allowed. Use GET")
	case agent == "" || strings.HasPrefix(agent, "Go-http-client/"):
		noUserAgent(w)
	case r.Header.Get("x-cg-pro-api-key") != "":
		s.wrongHost(w, coingecko.CodeProKeyOnDemoHost, "A pro key was sent to the public host")
	case over:
		s.rateLimited(w, now.Truncate(time.Minute).Add(time.Minute))
	case mode == Freeze:
		s.answer(w, r, mode, frozen)
	default:
		s.answer(w, r, mode, now)
	}
}

// refuses answers the request if the mode does so before any check. request is its number.
func (s *Simulator) refuses(m Mode, request int, w http.ResponseWriter, r *http.Request) bool {
	switch m {
	case Refuse:
		reset(w)
	case Stall:
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // otherwise net/http would send 200
	case HTML:
		send(w, http.StatusForbidden, "text/html; charset=UTF-8",
			"<!DOCTYPE html>\n<html><head><title>Access denied</title></head><body><h1>Error 1020</h1></body></html>\n")
	case Throttled:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(s.options.RetryAfter.Seconds()))))
		send(w, http.StatusTooManyRequests, "text/plain; charset=utf-8", "Throttled")
	case RateLimit:
		s.rateLimited(w, s.options.Now().Add(s.options.RetryAfter))
	case Unauthorized:
		statusError(w, http.StatusUnauthorized, 10002, "The API key is missing or unknown")
	case WrongHost:
		s.wrongHost(w, coingecko.CodeDemoKeyOnProHost, "A demo key was sent to the pro host")
	case UserAgent:
		noUserAgent(w)
	case ServerError:
		if request%2 == 1 {
			flatError(w, http.StatusInternalServerError, "Internal error")
		} else {
			flatError(w, http.StatusServiceUnavailable, "Service unavailable")
		}
	case Portal:
		send(w, http.StatusOK, "text/html; charset=utf-8",
			"<!DOCTYPE html>\n<html><head><title>Welcome to the guest network</title></head><body><form>Please log in</form></body></html>\n")
	default:
		return false
	}
	return true
}

// answer sends the rates at t, as the mode spoils them.
func (s *Simulator) answer(w http.ResponseWriter, r *http.Request, m Mode, t time.Time) {
	body := spoilt(s.Rates(t), m)
	h := w.Header()
	maxAge := int(math.Ceil(s.options.Refresh.Seconds()))
	h.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, must-revalidate, s-maxage=%d", maxAge, maxAge))
	h.Set("Content-Type", jsonType)
	h.Set("Vary", "Accept-Encoding, Origin")
	h.Set("Server", "cloudflare")
	h.Set(coingecko.SimulatedHeader, "true")                  // the only difference from CoinGecko
	h.Set("Etag", fmt.Sprintf(`W/"%x"`, sha256.Sum256(body))) // weak, like CoinGecko's: of the rates, not of their encoding
	if (m == Slow || m == Cutoff) && r.Method == http.MethodGet {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set(gzhttp.HeaderNoCompression, "true") // which would buffer what is sent
		if m == Slow {
			trickle(w, r, body)
			return
		}
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // closes the connection before Content-Length is reached
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// Shapes of CoinGecko's errors: flat, in "status", at the top level, plain text, and a web page.

// The texts are ASCII, which Go quotes as JSON does.
const jsonType = "application/json; charset=utf-8"

func flatError(w http.ResponseWriter, status int, text string) {
	send(w, status, jsonType, fmt.Sprintf(`{"error":%q}`, text))
}

func statusError(w http.ResponseWriter, status, code int, text string) {
	send(w, status, jsonType, fmt.Sprintf(`{"status":{"error_code":%d,"error_message":%q}}`, code, text))
}

func send(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Server", "cloudflare")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client has disconnected
}

func noUserAgent(w http.ResponseWriter) {
	statusError(w, http.StatusForbidden, 403, "A descriptive User-Agent is required")
}

func (s *Simulator) wrongHost(w http.ResponseWriter, code int, text string) {
	send(w, http.StatusBadRequest, jsonType, fmt.Sprintf(`{"error_code":%d,"status":{"error_message":%q},"timestamp":%q}`,
		code, text, s.options.Now().UTC().Format("2006-01-02T15:04:05.000-07:00")))
}

// rateLimited answers 429 until reset, which is sent in whole seconds, rounded up.
func (s *Simulator) rateLimited(w http.ResponseWriter, reset time.Time) {
	h := w.Header()
	h.Set("x-ratelimit-limit", strconv.Itoa(cmp.Or(s.options.QuotaPerMinute, 30)))
	h.Set("x-ratelimit-remaining", "0")
	h.Set("x-ratelimit-reset", reset.Add(time.Second-1).UTC().Format("2006-01-02 15:04:05 -0700"))
	statusError(w, http.StatusTooManyRequests, 429, "The rate limit is exceeded")
}

// reset resets the connection: with a linger of 0, closing sends RST.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // not an HTTP/1 connection: abort the request
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func trickle(w http.ResponseWriter, r *http.Request, body []byte) {
	for i := range body {
		if i > 0 {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
			}
		}
		_, _ = w.Write(body[i : i+1]) // a client that disconnects ends the request's context
		_ = http.NewResponseController(w).Flush()
	}
}

// spoilt returns the body of an answer as the mode spoils it.
func spoilt(rates []coingecko.Rate, m Mode) []byte {
	switch m {
	case Garbage:
		return append(coingecko.Encode(rates)[:100], "\x00\xff\xfe}}garbage"...)
	case Nulls:
		return nulls(rates)
	case Empty:
		rates = nil
	case Halved:
		rates = rates[:(len(rates)-1)/2]
	case NoBTC:
		rates = without(rates, "btc")
	}
	return coingecko.Encode(rates)
}

func without(rates []coingecko.Rate, codes ...string) []coingecko.Rate {
	return slices.DeleteFunc(rates, func(r coingecko.Rate) bool { return slices.Contains(codes, r.Code) })
}

// nulls returns an answer with one entry for every reason to drop one. bch occurs twice with different content.
func nulls(rates []coingecko.Rate) []byte {
	const spoilt = `"B@D":{"name":"Bad","unit":"BAD","value":1,"type":"crypto"},` +
		`"bch":{"name":"Bitcoin Cash","unit":"BCH","value":1,"type":"crypto"},` +
		`"dot":{"name":"Polkadot","unit":"DOT","value":-1.5,"type":"crypto"},` +
		`"eth":{"name":"Ether","unit":"ETH","value":null,"type":"crypto"},` +
		`"link":{"name":"Chainlink","unit":"LINK","value":1e999,"type":"crypto"},` +
		`"sol":{"name":"Solana","unit":"SOL","value":0,"type":"crypto"},` +
		`"xlm":{"name":7,"unit":"XLM","value":516007.211,"type":"crypto"},` +
		`"xrp":{"name":"XRP","unit":"XRP","value":"57106.5","type":"crypto"},`
	rates = without(rates, "dot", "eth", "link", "sol", "xlm", "xrp")
	const head = `{"rates":{`
	return []byte(head + spoilt + strings.TrimPrefix(string(coingecko.Encode(rates)), head))
}
