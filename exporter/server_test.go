package exporter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// answered is a status with rates.
func answered(age time.Duration) poller.Status {
	now := time.Date(2026, 11, 23, 14, 3, 22, 500e6, time.UTC)
	return poller.Status{
		Now: now, Age: age, LastSuccess: now.Add(-age), LastPoll: now.Add(-age), NextPoll: now.Add(time.Minute - age),
		Interval: time.Minute, MaxAge: 10 * time.Minute,
		Snapshot: &poller.Snapshot{Rates: []coingecko.Rate{
			{Code: "btc", Name: "Bitcoin", Unit: "BTC", Type: "crypto", Value: 1},
			{Code: "usd", Name: "US Dollar", Unit: "$", Type: "fiat", Value: 75817.765},
		}},
	}
}

func TestRelayEndpoint(t *testing.T) {
	s := answered(23400 * time.Millisecond)
	h := &relay{status: func() poller.Status { return s }}
	serve := func(headers ...string) *httptest.ResponseRecorder {
		return request(h, http.MethodGet, relayPath, headers...)
	}

	w := serve()
	if want := `{"rates":{"btc":{"name":"Bitcoin","unit":"BTC","value":1,"type":"crypto"},"usd":{"name":"US Dollar","unit":"$","value":75817.765,"type":"fiat"}}}`; w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	const etag = `W/"1502c636c2d5c0de"`
	if d := cmp.Diff(http.Header{
		"Accept-Ranges":   {"bytes"},
		"Age":             {"24"},                                  // rounded up
		"Cache-Control":   {"public, must-revalidate, max-age=60"}, // the next poll is due then
		"Content-Length":  {"145"},
		"Content-Type":    {"application/json; charset=utf-8"},
		"Etag":            {etag},
		"Last-Modified":   {"Mon, 23 Nov 2026 14:02:59 GMT"},
		"Vary":            {"Origin"},
		"X-Accel-Expires": {"0"},
	}, w.Header()); d != "" {
		t.Error(d)
	}

	// The next poll brought the same rates: the same ETag, with another age.
	s = answered(time.Second)
	w = serve("If-None-Match: " + etag)
	if w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("Age") != "1" || w.Header().Get("ETag") != etag {
		t.Errorf("the same rates again: %d %v", w.Code, w.Header())
	}
	// The clock may have been set back since the reader's answer.
	if w := serve("If-Modified-Since: Mon, 23 Nov 2026 15:00:00 GMT"); w.Code != 200 {
		t.Errorf("by date: %d", w.Code)
	}
	s.Snapshot.Rates[1].Value++
	s.Snapshot = &poller.Snapshot{Rates: s.Snapshot.Rates}
	if w := serve("If-None-Match: " + etag); w.Code != 200 || w.Header().Get("ETag") == etag {
		t.Errorf("other rates: %d %v", w.Code, w.Header())
	}

	// The next poll is overdue, and readers must not come all the time.
	s.NextPoll = s.Now.Add(-time.Hour)
	if got := serve().Header().Get("Cache-Control"); got != "public, must-revalidate, max-age=11" {
		t.Errorf("overdue: %q", got)
	}

	// What happens to this exporter is not passed on: somebody who is well may take its place.
	limited := &coingecko.Error{Reason: coingecko.RateLimited, Wait: time.Hour}
	for name, tc := range map[string]struct {
		change func(*poller.Status)
		want   string
	}{
		"an hour's wait":               {func(s *poller.Status) { s.NextPoll, s.Err = s.Now.Add(time.Hour), limited }, "max-age=11"},
		"the next poll is a moment":    {func(s *poller.Status) { s.NextPoll = s.Now.Add(200 * time.Millisecond) }, "max-age=2"},
		"rates that expire before it":  {func(s *poller.Status) { s.NextPoll = s.Now.Add(time.Hour) }, "max-age=600"},
		"rates that are about to":      {func(s *poller.Status) { s.Age = 595500 * time.Millisecond }, "max-age=600"},
		"a max-age that is not whole":  {func(s *poller.Status) { s.Age, s.MaxAge = 595*time.Second, 599900*time.Millisecond }, "max-age=599"},
		"a failure, and rates that go": {func(s *poller.Status) { s.Age, s.Err = 595*time.Second, limited }, "max-age=600"},
	} {
		s = answered(time.Second)
		tc.change(&s)
		if got := serve().Header().Get("Cache-Control"); got != "public, must-revalidate, "+tc.want {
			t.Errorf("%s: %q, want %s", name, got, tc.want)
		}
	}

	refused := &coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Key: "--coingecko.api-key-file"}
	for message, none := range map[string]poller.Status{
		"The first poll is in progress.":                                       {Now: s.Now},
		"CoinGecko refused the API key (401). Check --coingecko.api-key-file.": {Now: s.Now, LastPoll: s.Now, NextPoll: s.Now.Add(90 * time.Second), Err: refused},
		"The last rates have expired.":                                         {Now: s.Now, LastPoll: s.Now, NextPoll: s.Now.Add(time.Hour)},
	} {
		s = none
		w, want := serve(), `{"status":{"error_code":503,"error_message":"No current rates. `+message+`"}}`
		if retry := w.Header().Get("Retry-After"); w.Code != 503 || retry != "10" || w.Body.String() != want {
			t.Errorf("%d, Retry-After %s, got\n%s\nwant\n%s", w.Code, retry, w.Body, want)
		}
	}
}

// readiness returns status and body of /-/ready.
func readiness(h *health) string {
	w := request(h.handler(), http.MethodGet, "/-/ready")
	return fmt.Sprint(w.Code, " ", w.Body)
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &health{started: time.Now(), poller: poller.New(poller.Options{})}
		for _, step := range []struct {
			wait     time.Duration
			draining bool
			want     string
		}{
			{0, false, "503 Not ready: no rates yet. The first poll is in progress.\n"},
			{grace - time.Nanosecond, false, "503 Not ready: no rates yet. The first poll is in progress.\n"},
			{time.Nanosecond, false, "200 Ready, but there are no rates yet. The first poll is in progress.\n"},
			{0, true, "503 Not ready: shutting down.\n"},
		} {
			time.Sleep(step.wait)
			h.draining.Store(step.draining)
			if got := readiness(h); got != step.want {
				t.Errorf("after %v: got %s want %s", time.Since(h.started), got, step.want)
			}
		}
	})
}

// Unlike an outage, a refusal keeps a new process from becoming ready while it lasts, even if the network also fails. Once there have
// been rates, the process stays ready.
func TestRefusedIsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var upstream atomic.Value
		client, err := coingecko.New(coingecko.Options{
			Endpoints: []coingecko.Endpoint{{URL: &url.URL{Scheme: "https", Host: "api.coingecko.com"}, Upstream: coingecko.CoinGecko}},
			Transport: testbed.RoundTripper(func(r *http.Request) (*http.Response, error) {
				return upstream.Load().(testbed.RoundTripper).RoundTrip(r)
			}),
			Timeout: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		h := &health{started: time.Now(), poller: poller.New(poller.Options{
			Client: client, Interval: time.Minute, MinInterval: time.Minute, MaxAge: 10 * time.Minute, BackoffMin: time.Minute, BackoffMax: time.Minute,
			Logger: slog.New(slog.DiscardHandler),
		})}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		down := testbed.RoundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		answers := func(status int, body string) testbed.RoundTripper {
			return testbed.Transport(testbed.Answers(status, body))
		}
		upstream.Store(down)
		go h.poller.Run(ctx)
		for i, step := range []struct {
			upstream testbed.RoundTripper // for five minutes
			want     string
		}{
			{down, "200 Ready, but there are no rates yet. CoinGecko cannot be reached"},
			{answers(401, `{"status":{"error_code":10002}}`), "503 Not ready: no rates yet. CoinGecko refused access without an API key (401)."},
			{down, "503 Not ready: no rates yet. CoinGecko cannot be reached"},
			{answers(403, ""), "503 Not ready: no rates yet. CoinGecko refused access without an API key (403)."},
			{answers(200, string(coingecko.Encode(answered(0).Snapshot.Rates))), "200 Ready.\n"},
			{answers(401, ""), "200 Ready.\n"},
			{answers(401, ""), "200 Ready"}, // the rates are about to expire
			{answers(401, ""), "200 Ready, but the rates have expired. CoinGecko refused access without an API key (401)."},
		} {
			upstream.Store(step.upstream)
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if got := readiness(h); !strings.HasPrefix(got, step.want) {
				t.Errorf("step %d: got %s want %s", i, got, step.want)
			}
		}
	})
}

// A request that never ends delays shutdown only until the timeout.
func TestShutdownTimeout(t *testing.T) {
	s := &settings{shutdownTimeout: 50 * time.Millisecond}
	var log testbed.Log
	s.logger = slog.New(slog.NewTextHandler(&log, nil))
	begun := make(chan bool)
	d := newDrainer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(begun); <-r.Context().Done() }), s)
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { d.Serve(l); close(d.done) }()
	go http.Get("http://" + l.Addr().String())
	<-begun
	d.drain(&health{})
	if !strings.Contains(log.String(), "in-flight requests were closed") {
		t.Errorf("log: %s", &log)
	}
}

// A shutdown that begins before anything listens does not wait for requests.
func TestShutdownBeforeListening(t *testing.T) {
	s := &settings{shutdownTimeout: time.Hour, logger: slog.New(slog.DiscardHandler)}
	d := newDrainer(http.NotFoundHandler(), s)
	ended := make(chan bool)
	go func() { d.drain(&health{}); close(ended) }()
	testbed.Until(t, "draining", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.draining })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("served: %v", err)
	}
	close(d.done)
	<-ended
}

// The kernel buffers only a limited amount for a connection, with and without TLS.
func TestSocketBuffers(t *testing.T) {
	for name, starter := range map[string]func(*httptest.Server){"plain": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		sizes := make(chan [2]int, 1)
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		counted := newDrainer(http.NotFoundHandler(), &settings{logger: slog.New(slog.DiscardHandler)}).ConnState
		s.Config.ConnState = func(c net.Conn, state http.ConnState) {
			counted(c, state)
			if state != http.StateActive {
				return
			}
			if secure, ok := c.(*tls.Conn); ok {
				c = secure.NetConn()
			}
			raw, err := c.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Error(err)
				return
			}
			_ = raw.Control(func(fd uintptr) {
				send, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
				receive, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
				sizes <- [2]int{send, receive}
			})
		}
		starter(s)
		resp, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := <-sizes; got[0] > 2*sendBuffer || got[1] > 2*receiveBuffer || got[0] < sendBuffer || got[1] < receiveBuffer {
			t.Errorf("%s: %d bytes to send and %d received", name, got[0], got[1])
		}
		s.Close()
	}
}
