package simulator

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// serve starts a simulator whose time is start until the clock is moved.
func serve(t *testing.T, o Options) (*Simulator, *clock) {
	t.Helper()
	c := &clock{t: start}
	o.Now = c.now
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

// client returns a plain client whose connections are closed at the end of the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testbed.Patience}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with a good User-Agent, unless header has another, and reads the complete answer.
func ask(t *testing.T, c *http.Client, method, url string, header map[string]string) (answer, error) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test/1.0 (+https://example.org)")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func mustAsk(t *testing.T, c *http.Client, method, url string, header map[string]string) answer {
	t.Helper()
	a, err := ask(t, c, method, url, header)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func (a answer) want(t *testing.T, status int, contentType, inBody string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d; body %.200q", a.status, status, a.body)
	}
	if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, contentType) {
		t.Errorf("Content-Type %q, want %q", got, contentType)
	}
	if !strings.Contains(a.body, inBody) {
		t.Errorf("body %.200q, want one with %q", a.body, inBody)
	}
	if strings.HasPrefix(contentType, "application/json") && !json.Valid([]byte(a.body)) {
		t.Errorf("no JSON: %.200q", a.body)
	}
}

const jsonType = "application/json"

func TestAnswer(t *testing.T) {
	t.Parallel()
	s, clock := serve(t, Options{})
	c, url := client(t), s.URL()+"/exchange_rates"

	a := mustAsk(t, c, http.MethodGet, url, nil)
	a.want(t, 200, jsonType, `"btc"`)
	rates, rejected, err := coingecko.Decode([]byte(a.body))
	if err != nil || len(rejected) != 0 {
		t.Fatalf("error %v, rejected %v", err, rejected)
	}
	if diff := cmp.Diff(s.Rates(start), rates); diff != "" {
		t.Errorf("answer (-Rates +answered):\n%s", diff)
	}
	if got, want := a.header.Get("Cache-Control"), "max-age=2, public, must-revalidate, s-maxage=2"; got != want {
		t.Errorf("Cache-Control %q, want %q", got, want)
	}

	// The same rates have the same ETag, whatever the encoding; the next ones have another.
	etag := a.header.Get("Etag")
	if !strings.HasPrefix(etag, `W/"`) {
		t.Errorf("Etag %q, want a weak one", etag)
	}
	if a := mustAsk(t, c, http.MethodGet, url, map[string]string{"If-None-Match": etag}); a.status != 304 || a.body != "" {
		t.Errorf("unchanged: status %d, body %q", a.status, a.body)
	}
	clock.add(2 * time.Second)
	a = mustAsk(t, c, http.MethodGet, url, map[string]string{"If-None-Match": etag})
	a.want(t, 200, jsonType, `"btc"`)
	if a.header.Get("Etag") == etag {
		t.Error("other rates, but the same Etag")
	}

	if a := mustAsk(t, c, http.MethodHead, url, nil); a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %+v", a)
	}
	if got := s.Requests(); got != 4 {
		t.Errorf("%d requests counted, want 4", got)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, Options{})
	c := client(t)
	for accept, want := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "gzip ; q=1": true, "identity": false, "br": false, "gzip;q=0": false,
	} {
		a := mustAsk(t, c, http.MethodGet, s.URL()+"/exchange_rates", map[string]string{"Accept-Encoding": accept})
		if got := a.header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip %v, want %v", accept, got, want)
			continue
		}
		body := io.Reader(strings.NewReader(a.body))
		if want {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		plain, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if rates, _, err := coingecko.Decode(plain); err != nil || !cmp.Equal(rates, s.Rates(start)) {
			t.Errorf("Accept-Encoding %q: other rates, or error %v", accept, err)
		}
		if a.header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
			t.Errorf("Content-Length %q of %d bytes", a.header.Get("Content-Length"), len(a.body))
		}
	}
}

func TestChecksRequest(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, Options{})
	c, url := client(t), s.URL()+"/exchange_rates"

	mustAsk(t, c, http.MethodGet, s.URL()+"/ping", nil).want(t, 404, jsonType, `"error"`)
	mustAsk(t, c, http.MethodGet, url+"/", nil).want(t, 404, jsonType, `"error"`)
	a := mustAsk(t, c, http.MethodPost, url, nil)
	a.want(t, 405, jsonType, `"error"`)
	if got := a.header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow %q", got)
	}
	for _, agent := range []string{"", "Go-http-client/1.1", "Go-http-client/2.0"} {
		mustAsk(t, c, http.MethodGet, url, map[string]string{"User-Agent": agent}).
			want(t, 403, jsonType, `"status":{"error_code":403`)
	}
}

func TestChecksKey(t *testing.T) {
	t.Parallel()
	const demo, pro = "x-cg-demo-api-key", "x-cg-pro-api-key"
	for _, test := range []struct {
		header string
		status int
		body   string
	}{
		{"", 200, `"rates"`},
		{demo, 200, `"rates"`},
		{pro, 400, `"error_code":10010`},
	} {
		s, _ := serve(t, Options{})
		header := map[string]string{}
		if test.header != "" {
			header[test.header] = "any"
		}
		a := mustAsk(t, client(t), http.MethodGet, s.URL()+"/exchange_rates", header)
		if a.status != test.status || !strings.Contains(a.body, test.body) {
			t.Errorf("%+v: status %d, body %.120s", test, a.status, a.body)
		}
	}
}

func TestKeepsQuota(t *testing.T) {
	t.Parallel()
	s, clock := serve(t, Options{QuotaPerMinute: 3})
	c, url := client(t), s.URL()+"/exchange_rates"
	clock.add(20 * time.Second)
	for i := range 5 {
		a := mustAsk(t, c, http.MethodGet, url, nil)
		if i < 3 {
			a.want(t, 200, jsonType, `"rates"`)
			continue
		}
		a.want(t, 429, jsonType, `"status":{"error_code":429`)
		for name, want := range map[string]string{
			"x-ratelimit-limit": "3", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-06-10 12:01:00 +0000",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s %q, want %q", name, got, want)
			}
		}
	}
	clock.add(40 * time.Second)
	mustAsk(t, c, http.MethodGet, url, nil).want(t, 200, jsonType, `"rates"`)
	if got := s.Requests(); got != 6 {
		t.Errorf("%d requests counted, want 6: those too that were refused", got)
	}
}

// failing serves a simulator in a mode.
func failing(t *testing.T, m Mode, o Options) (s *Simulator, clock *clock, c *http.Client, url string) {
	t.Helper()
	t.Parallel()
	s, clock = serve(t, o)
	if err := s.Fail(m); err != nil {
		t.Fatal(err)
	}
	return s, clock, client(t), s.URL() + "/exchange_rates"
}

func TestRefuse(t *testing.T) {
	s, _, c, url := failing(t, Refuse, Options{})
	if _, err := ask(t, c, http.MethodGet, url, nil); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset connection", err)
	}
	s.Recover()
	mustAsk(t, c, http.MethodGet, url, nil).want(t, 200, jsonType, `"rates"`)

	// Without a connection that could be reset, the handler breaks off.
	s.Fail(Refuse)
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
	}()
	s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, url, nil))
}

// Close must not wait for a patient client.
func TestCloseEndsStall(t *testing.T) {
	s, _, c, url := failing(t, Stall, Options{})
	done := make(chan error)
	go func() {
		_, err := ask(t, c, http.MethodGet, url, nil)
		done <- err
	}()
	for s.Requests() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the request was answered")
	}
}

func TestSlow(t *testing.T) {
	_, _, c, url := failing(t, Slow, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Accept-Encoding", "identity")
	begin := time.Now()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.ContentLength < 1000 {
		t.Errorf("status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
	got := make([]byte, 2)
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != `{"` {
		t.Errorf("first bytes %q, error %v", got, err)
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("two bytes took %v, want a second", took)
	}
}

func TestCutoff(t *testing.T) {
	_, _, c, url := failing(t, Cutoff, Options{})
	for _, accept := range []string{"identity", "gzip"} {
		a, err := ask(t, c, http.MethodGet, url, map[string]string{"Accept-Encoding": accept})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: error %v, want an unexpected end", accept, err)
		}
		if length, _ := strconv.Atoi(a.header.Get("Content-Length")); a.status != 200 || len(a.body) != length/2 || length == 0 {
			t.Errorf("%s: status %d, %d of %d bytes", accept, a.status, len(a.body), length)
		}
	}
}

// Modes with complete answers, as a client sees them.
func TestFailingAnswers(t *testing.T) {
	for _, test := range []struct {
		mode        Mode
		status      int
		contentType string
		body        string
		header      map[string]string
	}{
		{HTML, 403, "text/html", "<!DOCTYPE html>", map[string]string{"Server": "cloudflare"}},
		{Throttled, 429, "text/plain", "Throttled", map[string]string{"Retry-After": "2", "X-Ratelimit-Reset": ""}},
		{RateLimit, 429, jsonType, `"status":{"error_code":429`, map[string]string{
			"X-Ratelimit-Reset": "2026-06-10 12:00:02 +0000", "X-Ratelimit-Limit": "30", "Retry-After": "",
		}},
		{Unauthorized, 401, jsonType, `"status":{"error_code":10002`, nil},
		{WrongHost, 400, jsonType, `"error_code":10011,"status":{"error_message"`, nil},
		{UserAgent, 403, jsonType, `"status":{"error_code":403`, nil},
		{Portal, 200, "text/html", "<!DOCTYPE html>", nil},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			_, _, c, url := failing(t, test.mode, Options{RetryAfter: 1500 * time.Millisecond})
			a := mustAsk(t, c, http.MethodGet, url, nil)
			a.want(t, test.status, test.contentType, test.body)
			for name, want := range test.header {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Modes whose answers are usable in part. TestFaults has those that are not.
func TestSpoiltAnswers(t *testing.T) {
	for mode, want := range map[Mode]int{Halved: 37, Nulls: len(recordedRates()) - 7} {
		t.Run(string(mode), func(t *testing.T) {
			_, _, c, url := failing(t, mode, Options{})
			a := mustAsk(t, c, http.MethodGet, url, nil)
			if again := mustAsk(t, c, http.MethodGet, url, nil); again.body != a.body {
				t.Error("the same rates, but another answer")
			}
			rates, rejected, err := coingecko.Decode([]byte(a.body))
			if a.status != 200 || err != nil || len(rates) != want {
				t.Errorf("status %d, %d rates, want %d; error %v", a.status, len(rates), want, err)
			}
			for _, why := range coingecko.Rejections() {
				if mode == Nulls && rejected[why] == 0 && why != coingecko.Implausible { // which takes another answer
					t.Errorf("no entry is %s", why)
				}
			}
		})
	}
}

func TestFreeze(t *testing.T) {
	s, clock, c, url := failing(t, Freeze, Options{})
	first := mustAsk(t, c, http.MethodGet, url, nil)
	clock.add(time.Minute)
	if err := s.Fail(Freeze); err != nil { // already frozen: must not thaw for a moment
		t.Fatal(err)
	}
	if a := mustAsk(t, c, http.MethodGet, url, nil); a.status != 200 || a.body != first.body {
		t.Errorf("status %d, rates changed %v", a.status, a.body != first.body)
	}
	s.Recover()
	a := mustAsk(t, c, http.MethodGet, url, nil)
	if rates, _, err := coingecko.Decode([]byte(a.body)); err != nil || !cmp.Equal(rates, s.Rates(clock.now())) {
		t.Errorf("after recovery: other rates than now, or error %v", err)
	}
}

// A request that CoinGecko would refuse is also refused in a mode that spoils answers.
func TestSpoilingChecksFirst(t *testing.T) {
	_, _, c, url := failing(t, Empty, Options{})
	mustAsk(t, c, http.MethodGet, url, map[string]string{"User-Agent": ""}).want(t, 403, jsonType, "error_code")
}

// A presenter, a poller and a screen at the same time, for the race detector.
func TestTogether(t *testing.T) {
	t.Parallel()
	s, clock := serve(t, Options{QuotaPerMinute: 10})
	c := client(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for _, m := range []Mode{Freeze, Nulls, ServerError, None} {
				if err := s.Fail(m); err != nil {
					t.Error(err)
				}
				if err := s.Swing(Market, 0.1); err != nil {
					t.Error(err)
				}
				if a, err := ask(t, c, http.MethodGet, s.URL()+"/exchange_rates", nil); err != nil || !json.Valid([]byte(a.body)) {
					t.Errorf("worker %d, %s: error %v, body %.100q", i, m, err, a.body)
				}
				clock.add(time.Second)
				s.Recover()
				for range s.History(5*time.Minute, time.Minute) {
				}
			}
		})
	}
	all.Wait()
	if got := s.Requests(); got != 32 {
		t.Errorf("%d requests counted, want 32", got)
	}
}

func TestModes(t *testing.T) {
	seen := map[Mode]bool{}
	for _, m := range Modes() {
		if seen[m] {
			t.Errorf("%s twice", m)
		}
		seen[m] = true
		if m.About() == "" || strings.Contains(m.About(), "\n") {
			t.Errorf("%s: description %q, want one line", m, m.About())
		}
	}
	if len(seen) != 19 {
		t.Errorf("%d modes, want 19", len(seen))
	}
	s, _ := at(Options{})
	if err := s.Fail("explode"); err == nil || !strings.Contains(err.Error(), `unknown mode "explode": use one of [none refuse stall`) {
		t.Errorf("error %v", err)
	}
	if Mode("explode").About() != "" {
		t.Error("an unknown mode has a description")
	}
}

func TestAddresses(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(s.URL(), "/api/v3") || s.ControlURL()+"api/v3" != s.URL() {
		t.Errorf("URL %q, control %q", s.URL(), s.ControlURL())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ask(t, client(t), http.MethodGet, s.ControlURL(), nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: error %v, want a refused connection", err)
	}
	if err := New(Options{}).Close(); err != nil {
		t.Errorf("Close without Start: %v", err)
	}
}
