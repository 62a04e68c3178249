// The simulated API: checks, answers and failure modes.

package simulator

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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

// mode implements a Mode. At most one of its three functions is set.
type mode struct {
	name  Mode
	about string
	// instead answers every request before any check.
	instead func(*Simulator, http.ResponseWriter, *http.Request)
	// spoil modifies the body of a good answer.
	spoil func(rates []coingecko.Rate) []byte
	// send sends a good answer incorrectly.
	send func(http.ResponseWriter, *http.Request, []byte)
}

// modes are all failure modes.
var modes = []mode{
	{name: None, about: "answers as CoinGecko does"},
	{name: Refuse, about: "resets every connection as soon as a request comes", instead: refuse},
	{name: Stall, about: "accepts the request and sends nothing until the client gives up", instead: stall},
	{name: Slow, about: "sends a good answer byte by byte, one a second", send: trickle},
	{name: Cutoff, about: "closes the connection in the middle of a good answer", send: cut},
	{name: HTML, about: "403 and a web page, as Cloudflare sends it to blocked clients", instead: blocked},
	{name: Throttled, about: "429 in plain text, with Retry-After", instead: throttle},
	{name: RateLimit, about: "429 in JSON, with x-ratelimit-reset and no Retry-After", instead: limitRate},
	{name: Unauthorized, about: "401, as for a wrong API key", instead: unauthorized},
	{name: WrongHost, about: "400 with code 10011, as for a demo key on the pro host", instead: demoKeyOnProHost},
	{name: UserAgent, about: "403 in JSON, as for a request without a descriptive User-Agent", instead: noUserAgent},
	{name: ServerError, about: "500 and 503 in turn, in JSON", instead: serverError},
	{name: Garbage, about: "200 and bytes that are not JSON", spoil: garbage},
	{name: Portal, about: "200 and the web page of a captive portal", instead: portal},
	{name: Nulls, about: "200, one unusable entry of each kind, the rest good", spoil: nulls},
	{name: Empty, about: "200 and no entries", spoil: empty},
	{name: Halved, about: "200, more than half of the entries missing", spoil: halved},
	{name: NoBTC, about: "200, bitcoin itself missing", spoil: noBTC},
	{name: Freeze, about: "200, but the rates no longer change"}, // see api
}

// Modes lists every Mode.
func Modes() []Mode {
	list := make([]Mode, len(modes))
	for i, m := range modes {
		list[i] = m.name
	}
	return list
}

// About describes a mode in one line. It is empty for an unknown mode.
func (m Mode) About() string { return m.entry().about }

func (m Mode) entry() mode {
	for _, e := range modes {
		if e.name == m {
			return e
		}
	}
	return mode{}
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
	fail, frozen := s.mode.entry(), s.frozen
	s.mu.Unlock()

	switch agent := r.UserAgent(); {
	case fail.instead != nil:
		fail.instead(s, w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		flatError(w, http.StatusMethodNotAllowed, "Method not allowed. Use GET")
	case agent == "" || strings.HasPrefix(agent, "Go-http-client/"):
		noUserAgent(s, w, r)
	case r.Header.Get("x-cg-pro-api-key") != "":
		s.wrongHost(w, coingecko.CodeProKeyOnDemoHost)
	case over:
		s.rateLimited(w, now.Truncate(time.Minute).Add(time.Minute))
	case fail.name == Freeze:
		s.answer(w, r, fail, frozen)
	default:
		s.answer(w, r, fail, now)
	}
}

// answer sends the rates at t.
func (s *Simulator) answer(w http.ResponseWriter, r *http.Request, fail mode, t time.Time) {
	rates := s.Rates(t)
	body := coingecko.Encode(rates)
	if fail.spoil != nil {
		body = fail.spoil(rates)
	}
	h := w.Header()
	maxAge := int(math.Ceil(s.options.Refresh.Seconds()))
	h.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, must-revalidate, s-maxage=%d", maxAge, maxAge))
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Vary", "Accept-Encoding, Origin")
	h.Set("Server", "cloudflare")
	h.Set(coingecko.SimulatedHeader, "true") // the only difference from CoinGecko
	h.Set("Etag", etag(body))
	if inm := r.Header.Get("If-None-Match"); inm != "" && strings.Contains(inm, h.Get("Etag")) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = compress(body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if fail.send != nil && r.Method == http.MethodGet {
		fail.send(w, r, body)
		return
	}
	_, _ = w.Write(body) // the client has disconnected
}

// etag is weak, like CoinGecko's: it identifies the rates, not their encoding.
func etag(body []byte) string {
	h := fnv.New128a()
	h.Write(body)
	return fmt.Sprintf(`W/"%x"`, h.Sum(nil))
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) == "gzip" {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a Buffer never fails
	_ = z.Close()
	return b.Bytes()
}

// Shapes of CoinGecko's errors: flat, in "status", at the top level, plain text, and a web page.

func flatError(w http.ResponseWriter, status int, text string) {
	sendJSON(w, status, map[string]any{"error": text})
}

func statusError(w http.ResponseWriter, status, code int, text string) {
	sendJSON(w, status, map[string]any{"status": map[string]any{"error_code": code, "error_message": text}})
}

func sendJSON(w http.ResponseWriter, status int, body map[string]any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic("simulator: an error that cannot be encoded: " + err.Error())
	}
	send(w, status, "application/json; charset=utf-8", string(b))
}

func send(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Server", "cloudflare")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client has disconnected
}

func unauthorized(_ *Simulator, w http.ResponseWriter, _ *http.Request) {
	statusError(w, http.StatusUnauthorized, 10002, "The API key is missing or unknown")
}

func noUserAgent(_ *Simulator, w http.ResponseWriter, _ *http.Request) {
	statusError(w, http.StatusForbidden, 403, "A descriptive User-Agent is required")
}

func (s *Simulator) wrongHost(w http.ResponseWriter, code int) {
	text := "A demo key was sent to the pro host"
	if code == coingecko.CodeProKeyOnDemoHost {
		text = "A pro key was sent to the public host"
	}
	sendJSON(w, http.StatusBadRequest, map[string]any{
		"timestamp":  s.options.Now().UTC().Format("2006-01-02T15:04:05.000-07:00"),
		"error_code": code,
		"status":     map[string]any{"error_message": text},
	})
}

func demoKeyOnProHost(s *Simulator, w http.ResponseWriter, _ *http.Request) {
	s.wrongHost(w, coingecko.CodeDemoKeyOnProHost)
}

// rateLimited answers 429 until reset, which is sent in whole seconds, rounded up.
func (s *Simulator) rateLimited(w http.ResponseWriter, reset time.Time) {
	limit := s.options.QuotaPerMinute
	if limit == 0 {
		limit = 30
	}
	h := w.Header()
	h.Set("x-ratelimit-limit", strconv.Itoa(limit))
	h.Set("x-ratelimit-remaining", "0")
	h.Set("x-ratelimit-reset", reset.Add(time.Second-1).UTC().Format("2006-01-02 15:04:05 -0700"))
	statusError(w, http.StatusTooManyRequests, 429, "The rate limit is exceeded")
}

func limitRate(s *Simulator, w http.ResponseWriter, _ *http.Request) {
	s.rateLimited(w, s.options.Now().Add(s.options.RetryAfter))
}

func throttle(s *Simulator, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(s.options.RetryAfter.Seconds()))))
	send(w, http.StatusTooManyRequests, "text/plain; charset=utf-8", "Throttled")
}

func serverError(s *Simulator, w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.errors++
	odd := s.errors%2 == 1
	s.mu.Unlock()
	if odd {
		flatError(w, http.StatusInternalServerError, "Internal error")
		return
	}
	flatError(w, http.StatusServiceUnavailable, "Service unavailable")
}

func blocked(_ *Simulator, w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusForbidden, "text/html; charset=UTF-8",
		"<!DOCTYPE html>\n<html><head><title>Access denied</title></head><body><h1>Error 1020</h1></body></html>\n")
}

func portal(_ *Simulator, w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, "text/html; charset=utf-8",
		"<!DOCTYPE html>\n<html><head><title>Welcome to the guest network</title></head><body><form>Please log in</form></body></html>\n")
}

// refuse resets the connection: with a linger of 0, closing sends RST.
func refuse(_ *Simulator, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // not an HTTP/1 connection: abort the request
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func stall(_ *Simulator, _ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler) // otherwise net/http would send 200
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
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush() // the next Write returns the error
	}
}

func cut(w http.ResponseWriter, _ *http.Request, body []byte) {
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler) // closes the connection before Content-Length is reached
}

func garbage(rates []coingecko.Rate) []byte {
	return append(coingecko.Encode(rates)[:100], "\x00\xff\xfe}}garbage"...)
}

func empty([]coingecko.Rate) []byte { return coingecko.Encode(nil) }

func halved(rates []coingecko.Rate) []byte { return coingecko.Encode(rates[:(len(rates)-1)/2]) }

func noBTC(rates []coingecko.Rate) []byte { return coingecko.Encode(without(rates, "btc")) }

func without(rates []coingecko.Rate, code string) []coingecko.Rate {
	return slices.DeleteFunc(slices.Clone(rates), func(r coingecko.Rate) bool { return r.Code == code })
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
	for _, code := range []string{"dot", "eth", "link", "sol", "xlm", "xrp"} {
		rates = without(rates, code)
	}
	const head = `{"rates":{`
	return []byte(head + spoilt + strings.TrimPrefix(string(coingecko.Encode(rates)), head))
}
