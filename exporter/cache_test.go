package exporter

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// request sends a handler a request with header lines such as "Accept: text/html".
func request(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, line := range headers {
		k, v, _ := strings.Cut(line, ": ")
		r.Header.Add(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestCache(t *testing.T) {
	s := answered(3 * time.Second)
	calls := 0
	c := newCache(func() poller.Status { return s })
	h := c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if r.URL.Path == relayPath {
			w.Header().Set("Age", wholeSeconds(s.Age))
		}
		if r.URL.Path == "/none" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, r.URL.String(), r.Header.Get("Accept"), r.Header.Get("Accept-Encoding"))
	}))
	get := func(method, target string, headers ...string) *httptest.ResponseRecorder {
		return request(h, method, target, headers...)
	}
	made := func(what string, want int, ask func()) {
		t.Helper()
		calls = 0
		ask()
		if calls != want {
			t.Errorf("%s: %d answers were made, want %d", what, calls, want)
		}
	}

	made("the same again", 1, func() {
		first, second := get("GET", "/metrics", "Accept: text/plain"), get("GET", "/metrics", "Accept: text/plain")
		if second.Body.String() != "/metricstext/plain" || first.Body.String() != second.Body.String() || second.Header().Get("Content-Length") != "18" {
			t.Errorf("got %q and %q, %v", first.Body, second.Body, second.Header())
		}
	})
	made("an error, too", 1, func() {
		if first, second := get("GET", "/none"), get("GET", "/none"); first.Code != 503 || second.Code != 503 {
			t.Errorf("%d and %d", first.Code, second.Code)
		}
	})
	made("another path, query, format and encoding", 4, func() {
		for range 2 {
			get("GET", "/")
			get("GET", "/?quote=eur")
			get("GET", "/metrics", "Accept: application/openmetrics-text")
			get("GET", "/metrics", "Accept: text/plain", "Accept-Encoding: gzip")
		}
	})
	made("what depends on more than that", 10, func() {
		for range 2 {
			get("HEAD", "/metrics")
			get("GET", relayPath, `If-None-Match: W/"x"`)
			get("GET", relayPath, "Range: bytes=0-1")
			get("GET", "/?quote="+strings.Repeat("x", cacheQuery))
			get("GET", "/metrics", "Accept: a", "Accept: b")
		}
	})

	before := s
	for what, later := range map[string]func(){
		"more than a second later":  func() { s.Now, s.Age = s.Now.Add(1001*time.Millisecond), s.Age+1001*time.Millisecond },
		"after a poll that failed":  func() { s.LastPoll = s.LastPoll.Add(time.Millisecond) },
		"with new rates":            func() { s.Snapshot = &poller.Snapshot{Rates: s.Snapshot.Rates} },
		"when the rates expired":    func() { s.Snapshot = nil },
		"after a suspend":           func() { s.Age += time.Hour },
		"after the clock went back": func() { s.Now = s.Now.Add(-time.Hour) },
	} {
		s = before
		get("GET", "/metrics")
		later()
		made(what, 1, func() { get("GET", "/metrics"); get("GET", "/metrics") })
	}

	s = before
	if got := get("GET", relayPath).Header().Get("Age"); got != "3" {
		t.Errorf("Age %s", got)
	}
	s.Now, s.Age = s.Now.Add(900*time.Millisecond), s.Age+900*time.Millisecond
	made("0.9 s later", 0, func() {
		if got := get("GET", relayPath).Header().Get("Age"); got != "4" {
			t.Errorf("the age stood still: %s", got)
		}
	})

	made("too many to keep", 3*cacheMost, func() {
		for i := range 3 * cacheMost {
			get("GET", fmt.Sprintf("/?n=%d", i))
		}
	})
	if len(c.slots) > cacheMost {
		t.Errorf("%d answers are kept", len(c.slots))
	}
}

// Concurrent requests get one answer that was created once.
func TestCacheMakesOneAnswerForACrowd(t *testing.T) {
	s := answered(time.Second)
	var calls atomic.Int64
	release := make(chan bool)
	h := newCache(func() poller.Status { return s }).wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1); <-release }))
	var crowd sync.WaitGroup
	for range 50 {
		crowd.Go(func() { request(h, http.MethodGet, "/metrics") })
	}
	release <- true
	crowd.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d answers were made", calls.Load())
	}
}

// Allocations of a cached scrape beyond those of net/http. A test can check them, because they do not depend on the load of the
// machine.
func TestCachedScrapeAllocates(t *testing.T) {
	upstream := httptest.NewServer(testbed.Answers(200, string(simulator.Recorded())))
	t.Cleanup(upstream.Close)
	s, err := parse([]string{"--coingecko.url=" + upstream.URL + "/api/v3"}, nil, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	e, err := build(s)
	if err != nil {
		t.Fatal(err)
	}
	go e.poller.Run(t.Context())
	<-e.poller.First()
	w := &httptest.ResponseRecorder{} // discards the answer
	for path, most := range map[string]float64{"/metrics": 6, "/": 4, relayPath: 6} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		e.handler.ServeHTTP(w, r)
		if n := testing.AllocsPerRun(200, func() { e.handler.ServeHTTP(w, r) }); n > most {
			t.Errorf("%s: %v allocations, want at most %v", path, n, most)
		}
	}
}
