package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// site is a simulator behind its web server, and a client.
type site struct {
	*Simulator
	t     *testing.T
	clock *clock
}

// serve starts a simulator in a mode, whose time is start until the clock is moved.
func serve(t *testing.T, m Mode, o Options) site {
	t.Helper()
	t.Parallel()
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
	if err := s.Fail(m); err != nil {
		t.Fatal(err)
	}
	return site{s, t, c}
}

type answer struct {
	t        *testing.T
	status   int
	header   http.Header
	body     string
	unzipped bool // by the client
}

// ask sends a request with a good User-Agent, unless the header, names and values in turn, has another. It reads the complete answer.
func (s site) ask(method, path string, header ...string) (answer, error) {
	s.t.Helper()
	r, err := http.NewRequest(method, strings.TrimSuffix(s.ControlURL(), "/")+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test/1.0 (+https://example.org)")
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	resp, err := (&http.Client{Timeout: testbed.Patience}).Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{s.t, resp.StatusCode, resp.Header, string(body), resp.Uncompressed}, err
}

func (s site) mustAsk(method, path string, header ...string) answer {
	s.t.Helper()
	a, err := s.ask(method, path, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// get requests the rates.
func (s site) get(header ...string) answer {
	s.t.Helper()
	return s.mustAsk(http.MethodGet, apiPath, header...)
}

// want checks an answer, and of its header the names and values in turn.
func (a answer) want(status int, contentType, inBody string, header ...string) {
	a.t.Helper()
	got := a.header.Get("Content-Type")
	if a.status != status || !strings.HasPrefix(got, contentType) || !strings.Contains(a.body, inBody) {
		a.t.Errorf("status %d, %q, body %.200q; want %d, %q and %q", a.status, got, a.body, status, contentType, inBody)
	}
	if contentType == jsonType && !json.Valid([]byte(a.body)) {
		a.t.Errorf("no JSON: %.200q", a.body)
	}
	for pair := range slices.Chunk(header, 2) {
		if got := a.header.Get(pair[0]); got != pair[1] {
			a.t.Errorf("%s %q, want %q", pair[0], got, pair[1])
		}
	}
}

// wantRates checks that an answer has the rates of now, and nothing that must be dropped.
func (s site) wantRates(a answer) {
	s.t.Helper()
	rates, rejected, err := coingecko.Decode([]byte(a.body))
	if diff := cmp.Diff(s.Rates(s.clock.now()), rates); diff != "" || len(rejected) != 0 || err != nil {
		s.t.Errorf("error %v, rejected %v, answer (-Rates +answered):\n%s", err, rejected, diff)
	}
}

func TestAnswer(t *testing.T) {
	s := serve(t, None, Options{})
	a := s.get()
	a.want(200, jsonType, `"btc"`, "Cache-Control", "max-age=2, public, must-revalidate, s-maxage=2")
	s.wantRates(a)
	if plain := s.get("Accept-Encoding", "identity"); !a.unzipped || plain.body != a.body {
		t.Errorf("packed: %v; and not packed, if that is asked for: %.100q", a.unzipped, plain.body)
	}

	// The same rates have the same ETag; the next ones have another.
	etag := a.header.Get("Etag")
	if !strings.HasPrefix(etag, `W/"`) {
		t.Errorf("Etag %q, want a weak one", etag)
	}
	if a := s.get("If-None-Match", etag); a.status != 304 || a.body != "" {
		t.Errorf("unchanged: status %d, body %q", a.status, a.body)
	}
	s.clock.add(2 * time.Second)
	a = s.get("If-None-Match", etag)
	a.want(200, jsonType, `"btc"`)
	if a.header.Get("Etag") == etag {
		t.Error("other rates, but the same Etag")
	}

	if a := s.mustAsk(http.MethodHead, apiPath); a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %+v", a)
	}
	if got := s.Requests(); got != 5 {
		t.Errorf("%d requests counted, want 5", got)
	}
}

func TestChecksRequest(t *testing.T) {
	s := serve(t, None, Options{})
	s.mustAsk(http.MethodGet, coingecko.APIPath+"/ping").want(404, jsonType, `"error"`)
	s.mustAsk(http.MethodGet, apiPath+"/").want(404, jsonType, `"error"`)
	s.mustAsk(http.MethodPost, apiPath).want(405, jsonType, `"error"`, "Allow", "GET, HEAD")
	for _, agent := range []string{"", "Go-http-client/1.1", "Go-http-client/2.0"} {
		s.get("User-Agent", agent).want(403, jsonType, `"status":{"error_code":403`)
	}
	s.get("x-cg-demo-api-key", "any").want(200, jsonType, `"rates"`)
	s.get("x-cg-pro-api-key", "any").want(400, jsonType, `"error_code":10010`)
}

func TestKeepsQuota(t *testing.T) {
	s := serve(t, None, Options{QuotaPerMinute: 3})
	s.clock.add(20 * time.Second)
	for range 3 {
		s.get().want(200, jsonType, `"rates"`)
	}
	for range 2 {
		s.get().want(429, jsonType, `"status":{"error_code":429`,
			"x-ratelimit-limit", "3", "x-ratelimit-remaining", "0", "x-ratelimit-reset", "2026-06-10 12:01:00 +0000")
	}
	s.clock.add(40 * time.Second)
	s.get().want(200, jsonType, `"rates"`)
	if got := s.Requests(); got != 6 {
		t.Errorf("%d requests counted, want 6: those too that were refused", got)
	}
}

func TestRefuse(t *testing.T) {
	s := serve(t, Refuse, Options{})
	if _, err := s.ask(http.MethodGet, apiPath); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset connection", err)
	}
	s.Recover()
	s.get().want(200, jsonType, `"rates"`)

	// Without a connection that could be reset, the handler breaks off.
	s.Fail(Refuse)
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
	}()
	s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, apiPath, nil))
}

// Close must not wait for a patient client.
func TestCloseEndsStall(t *testing.T) {
	s := serve(t, Stall, Options{})
	done := make(chan error)
	go func() {
		_, err := s.ask(http.MethodGet, apiPath)
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
	if _, err := s.ask(http.MethodGet, "/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: error %v, want a refused connection", err)
	}
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		if err := s.Fail(Slow); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, apiPath, nil)
		r.Header = http.Header{"User-Agent": {"test"}, "Accept-Encoding": {"gzip"}}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if got := w.Body.String(); got != `{"r` || !w.Flushed || w.Code != 200 || w.Result().ContentLength < 1000 {
			t.Errorf("status %d, %d bytes announced, and in 2.5 s %q, flushed: %v", w.Code, w.Result().ContentLength, got, w.Flushed)
		}
	})
}

func TestCutoff(t *testing.T) {
	a, err := serve(t, Cutoff, Options{}).ask(http.MethodGet, apiPath)
	length, _ := strconv.Atoi(a.header.Get("Content-Length"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || a.status != 200 || len(a.body) != length/2 || length == 0 {
		t.Errorf("status %d, %d of %d bytes, and then %v", a.status, len(a.body), length, err)
	}
}

// Modes with complete answers, as a client sees them.
func TestFailingAnswers(t *testing.T) {
	for _, test := range []struct {
		mode        Mode
		status      int
		contentType string
		body        string
		header      []string
	}{
		{HTML, 403, "text/html", "<!DOCTYPE html>", []string{"Server", "cloudflare"}},
		{Throttled, 429, "text/plain", "Throttled", []string{"Retry-After", "2", "X-Ratelimit-Reset", ""}},
		{RateLimit, 429, jsonType, `"status":{"error_code":429`, []string{
			"X-Ratelimit-Reset", "2026-06-10 12:00:02 +0000", "X-Ratelimit-Limit", "30", "Retry-After", "",
		}},
		{Unauthorized, 401, jsonType, `"status":{"error_code":10002`, nil},
		{WrongHost, 400, jsonType, `"error_code":10011,"status":{"error_message"`, nil},
		{UserAgent, 403, jsonType, `"status":{"error_code":403`, nil},
		{Portal, 200, "text/html", "<!DOCTYPE html>", nil},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			s := serve(t, test.mode, Options{RetryAfter: 1500 * time.Millisecond})
			s.get().want(test.status, test.contentType, test.body, test.header...)
		})
	}
}

// Modes whose answers are usable in part. TestFaults has those that are not.
func TestSpoiltAnswers(t *testing.T) {
	for mode, want := range map[Mode]int{Halved: 37, Nulls: len(recordedRates()) - 7} {
		t.Run(string(mode), func(t *testing.T) {
			s := serve(t, mode, Options{})
			a := s.get()
			if again := s.get(); again.body != a.body {
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
	s := serve(t, Freeze, Options{})
	first := s.get()
	s.clock.add(time.Minute)
	if err := s.Fail(Freeze); err != nil { // already frozen: must not thaw for a moment
		t.Fatal(err)
	}
	if a := s.get(); a.status != 200 || a.body != first.body {
		t.Errorf("status %d, rates changed %v", a.status, a.body != first.body)
	}
	s.Recover()
	s.wantRates(s.get())
}

// A request that CoinGecko would refuse is also refused in a mode that spoils answers.
func TestSpoilingChecksFirst(t *testing.T) {
	serve(t, Empty, Options{}).get("User-Agent", "").want(403, jsonType, "error_code")
}

// A presenter, a poller and a screen at the same time, for the race detector.
func TestTogether(t *testing.T) {
	s := serve(t, None, Options{QuotaPerMinute: 10})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for _, m := range []Mode{Freeze, Nulls, ServerError, None} {
				if err := errors.Join(s.Fail(m), s.Swing(Market, 0.1)); err != nil {
					t.Error(err)
				}
				if a, err := s.ask(http.MethodGet, apiPath); err != nil || !json.Valid([]byte(a.body)) {
					t.Errorf("worker %d, %s: error %v, body %.100q", i, m, err, a.body)
				}
				s.clock.add(time.Second)
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
	for i, m := range Modes() {
		if slices.Index(Modes(), m) != i || m.About() == "" || strings.Contains(m.About(), "\n") {
			t.Errorf("%s: description %q, want one line, and the mode once", m, m.About())
		}
	}
	if n := len(Modes()); n != 19 {
		t.Errorf("%d modes, want 19", n)
	}
}
