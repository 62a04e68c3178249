package exporter

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
)

func promtool(t *testing.T, metrics string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on the PATH")
	}
	check := exec.Command(tool, "check", "metrics")
	check.Stdin = strings.NewReader(metrics)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// openMetrics has Prometheus' own reader of OpenMetrics look at a scrape.
func openMetrics(t *testing.T, body string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on the PATH")
	}
	// It wants a time for every sample, which a scrape has not.
	var b strings.Builder
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			line, _, _ = strings.Cut(line, " # ") // an exemplar
			line = fmt.Sprintf("%s %d\n", strings.TrimSuffix(line, "\n"), time.Now().Unix())
		}
		b.WriteString(line)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "scrape")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "tsdb", "create-blocks-from", "openmetrics", file, dir).CombinedOutput(); err != nil {
		t.Errorf("promtool cannot read it: %v\n%s", err, out)
	}
}

func gunzip(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// answered is a status that brought rates.
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
		r := httptest.NewRequest(http.MethodGet, relayPath, nil)
		for _, l := range headers {
			k, v, _ := strings.Cut(l, ": ")
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}

	w := serve()
	if want := `{"rates":{"btc":{"name":"Bitcoin","unit":"BTC","value":1,"type":"crypto"},"usd":{"name":"US Dollar","unit":"$","value":75817.765,"type":"fiat"}}}`; w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	etag := w.Header().Get("ETag")
	for k, want := range map[string]string{
		"Age":           "24",                 // rounded up
		"Cache-Control": "public, max-age=60", // the next poll is due then
		"Last-Modified": "Mon, 23 Nov 2026 14:02:59 GMT",
		"Content-Type":  "application/json; charset=utf-8",
	} {
		if got := w.Header().Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	if !strings.HasPrefix(etag, `W/"`) {
		t.Errorf("ETag: %q", etag)
	}

	// The next poll brought the same rates: the same ETag, with another age.
	s = answered(time.Second)
	w = serve("If-None-Match: " + etag)
	if w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("Age") != "1" || w.Header().Get("ETag") != etag {
		t.Errorf("the same rates again: %d %v", w.Code, w.Header())
	}
	s.Snapshot.Rates[1].Value++
	s.Snapshot = &poller.Snapshot{Rates: s.Snapshot.Rates}
	if w := serve("If-None-Match: " + etag); w.Code != 200 || w.Header().Get("ETag") == etag {
		t.Errorf("other rates: %d %v", w.Code, w.Header())
	}

	// The next poll is overdue, and readers must not come all the time.
	s.NextPoll = s.Now.Add(-time.Hour)
	if got := serve().Header().Get("Cache-Control"); got != "public, max-age=11" {
		t.Errorf("overdue: %q", got)
	}

	for name, tc := range map[string]struct {
		status  poller.Status
		retry   string
		message string
	}{
		"first start": {poller.Status{Now: s.Now}, "10", "No current rates. The first poll has not ended yet."},
		"refused":     {poller.Status{Now: s.Now, LastPoll: s.Now, NextPoll: s.Now.Add(90 * time.Second), Err: &coingecko.Error{Reason: coingecko.Unauthorized, Status: 401}}, "90", "No current rates. CoinGecko refused the API key (401). Check --coingecko.api-key-file."},
		"too old":     {poller.Status{Now: s.Now, LastPoll: s.Now, NextPoll: s.Now.Add(30 * time.Second)}, "30", "No current rates. The last rates are too old."},
	} {
		s = tc.status
		w := serve()
		var body struct {
			Status struct {
				Code    int    `json:"error_code"`
				Message string `json:"error_message"`
			} `json:"status"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if w.Code != 503 || w.Header().Get("Retry-After") != tc.retry || body.Status.Code != 503 || body.Status.Message != tc.message {
			t.Errorf("%s: %d, Retry-After %s, %+v", name, w.Code, w.Header().Get("Retry-After"), body)
		}
	}
}

func TestRelayPacksItsAnswer(t *testing.T) {
	e := start(t, "--simulate")
	eventually(t, "rates", func() bool { return up(t, e.url) })
	resp, packed := get(t, e.url+relayPath, "Accept-Encoding: gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" || resp.Header.Get("Age") == "" {
		t.Errorf("headers: %v", resp.Header)
	}
	if rates, _, err := coingecko.Decode([]byte(gunzip(t, packed))); err != nil || len(rates) != 76 {
		t.Errorf("%d rates, error %v", len(rates), err)
	}
	if resp, body := ask(t, http.DefaultClient, http.MethodHead, e.url+relayPath); body != "" || resp.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %v %q", resp.Header, body)
	}
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &health{started: time.Now(), poller: poller.New(poller.Options{})}
		serve := func() (int, string) {
			w := httptest.NewRecorder()
			h.serveReady(w, nil)
			return w.Code, w.Body.String()
		}
		if code, body := serve(); code != 503 || body != "Not ready: no rates yet. The first poll has not ended yet.\n" {
			t.Errorf("at the start: %d %s", code, body)
		}
		time.Sleep(grace - time.Nanosecond)
		if code, _ := serve(); code != 503 {
			t.Errorf("a moment before two minutes: %d", code)
		}
		time.Sleep(time.Nanosecond)
		if code, _ := serve(); code != 200 {
			t.Errorf("after two minutes without rates: %d", code)
		}
		h.draining.Store(true)
		if code, body := serve(); code != 503 || body != "Not ready: shutting down.\n" {
			t.Errorf("in shutdown: %d %s", code, body)
		}
	})
}

// TestRefusedIsNeverReady: unlike an outage, a refusal keeps a new process from being ready for as long as it lasts,
// also when the network fails before and in between. Rates that are here make it ready, whatever comes later.
func TestRefusedIsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer atomic.Pointer[func() (*http.Response, error)]
		give := func(f func() (*http.Response, error)) { answer.Store(&f) }
		respond := func(status int, body string) {
			give(func() (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
			})
		}
		client, err := coingecko.New(coingecko.Options{
			Endpoints: []coingecko.Endpoint{{URL: &url.URL{Scheme: "https", Host: "api.coingecko.com"}, Upstream: coingecko.CoinGecko}},
			Transport: roundTripper(func(*http.Request) (*http.Response, error) { return (*answer.Load())() }),
			Timeout:   time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		p := poller.New(poller.Options{
			Client: client, Interval: time.Minute, MinInterval: time.Minute, MaxAge: 10 * time.Minute, BackoffMin: time.Minute, BackoffMax: time.Minute,
			Logger: slog.New(slog.DiscardHandler),
		})
		down := func() (*http.Response, error) { return nil, errors.New("connection refused") }
		give(down)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = p.Run(ctx) }()
		defer func() { stop(); <-done }()

		h := &health{started: time.Now(), poller: p}
		ready := func(when string, want bool) {
			t.Helper()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			w := httptest.NewRecorder()
			if h.serveReady(w, nil); (w.Code == 200) != want {
				t.Errorf("%s: %d %s", when, w.Code, w.Body)
			}
		}
		ready("never reached", true)
		respond(401, `{"status":{"error_code":10002}}`)
		ready("refused", false)
		give(down)
		ready("not reached after a refusal", false)
		respond(403, "")
		ready("refused again", false)
		respond(200, `{"rates":{"btc":{"name":"Bitcoin","unit":"BTC","value":1,"type":"crypto"},"usd":{"name":"US Dollar","unit":"$","value":75817.765,"type":"fiat"}}}`)
		ready("with rates", true)
		respond(401, "")
		ready("refused when there were rates once", true)
	})
}

// A certificate for 127.0.0.1, and its CA.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	writePEM(t, dir, s.TLS.Certificates[0])
	return pool
}

func TestTLSAndBasicAuth(t *testing.T) {
	dir := t.TempDir()
	pool := certificate(t, dir)
	hash, err := bcrypt.GenerateFromPassword([]byte("correct"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: %s\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	e := start(t, "--simulate", "--web.config.file="+config, "--web.health-listen-address=127.0.0.1:0", "--log.level=debug")
	base := strings.Replace(e.url, "http:", "https:", 1)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(c.CloseIdleConnections)
	with := func(password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth("prometheus", password)
		return "Authorization: " + r.Header.Get("Authorization")
	}
	for _, tc := range []struct {
		path   string
		header string
		status int
	}{
		{"/metrics", with("correct"), 200},
		{"/", with("correct"), 200},
		{"/metrics", with("wrong"), 401},
		{"/metrics", "Accept: */*", 401},
		{relayPath, "Accept: */*", 401},
		{"/-/healthy", "Accept: */*", 401},
	} {
		if resp, _ := ask(t, c, http.MethodGet, base+tc.path, tc.header); resp.StatusCode != tc.status {
			t.Errorf("%s with %s: %d, want %d", tc.path, tc.header, resp.StatusCode, tc.status)
		}
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}}}
	if resp, err := old.Get(base + "/metrics"); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 was accepted")
	}
	if resp, _ := get(t, e.url+"/metrics"); resp.StatusCode != 400 {
		t.Errorf("plain HTTP on the TLS port: %d", resp.StatusCode)
	}

	// The probes' listener is plain, and has nothing else.
	var probes string
	eventually(t, "the probes' address", func() bool {
		_, after, ok := strings.Cut(e.log.String(), `msg="Listening for probes" address=`)
		probes, _, _ = strings.Cut(after, "\n")
		return ok && probes != ""
	})
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/metrics": 404, "/": 404, relayPath: 404} {
		eventually(t, fmt.Sprintf("%s answers %d on the probes' listener", path, want), func() bool {
			resp, _ := get(t, "http://"+probes+path)
			return resp.StatusCode == want
		})
	}
}

func TestMaxRequests(t *testing.T) {
	s := &settings{telemetryPath: "/metrics", maxRequests: 1, logger: slog.New(slog.DiscardHandler)}
	begun, release := make(chan bool), make(chan bool)
	p := poller.New(poller.Options{})
	h := newHandler(s, p, &health{poller: p, started: time.Now()}, slowCollector(func() { begun <- true; <-release }), screen.New(screen.Options{Status: p.Status}))
	answer := func(path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	var first sync.WaitGroup
	first.Go(func() { answer("/metrics") })
	<-begun
	for path, want := range map[string]int{"/metrics": 503, relayPath: 503, "/": 503, "/-/healthy": 200} {
		if got := answer(path); got != want {
			t.Errorf("%s beside a request in flight: %d, want %d", path, got, want)
		}
	}
	release <- true
	first.Wait()
}

// slowCollector is a collector that takes its time, and collects nothing.
type slowCollector func()

func (slowCollector) Describe(chan<- *prometheus.Desc)   {}
func (c slowCollector) Collect(chan<- prometheus.Metric) { c() }

// process runs the exporter as a process of its own, on a free port of loopback.
func process(t *testing.T, log *output, args ...string) *exec.Cmd {
	t.Helper()
	if log == nil {
		log = &output{}
	}
	return spawn(t, log, exec.Command(os.Args[0], append([]string{"--web.listen-address=127.0.0.1:0"}, args...)...))
}

// spawn runs a command that becomes the exporter, and waits until it listens.
func spawn(t *testing.T, log *output, c *exec.Cmd) *exec.Cmd {
	t.Helper()
	c.Env = append(append(os.Environ(), "TEST_AS_EXPORTER=1"), c.Env...)
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	eventually(t, "listening", func() bool { return listening.MatchString(log.String()) })
	return c
}

// Every request that was accepted is answered, whole, and the exit code is 0: with new connections
// and with old ones, with a delay and without.
func TestSIGTERMUnderLoad(t *testing.T) {
	for _, tc := range []struct {
		name      string
		delay     time.Duration
		keepAlive bool
	}{
		{"at once, a connection for each request", 0, false},
		{"with a delay, a connection for each request", time.Second, false},
		{"with a delay, connections kept", time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log output
			p := process(t, &log, "--simulate", "--web.shutdown-delay="+tc.delay.String())
			address := listening.FindStringSubmatch(log.String())[1]
			eventually(t, "rates", func() bool { return up(t, "http://"+address) })

			var answered, cut atomic.Int64
			var readers sync.WaitGroup
			stop := make(chan bool)
			for range 8 {
				readers.Go(func() {
					transport := &http.Transport{DisableKeepAlives: !tc.keepAlive}
					defer transport.CloseIdleConnections()
					c := &http.Client{Transport: transport, Timeout: 10 * time.Second}
					for {
						select {
						case <-stop:
							return
						default:
						}
						// Once connected, the answer has to come.
						resp, err := c.Get("http://" + address + "/metrics")
						if isRefused(err) {
							return
						}
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
						if err != nil || resp.StatusCode != 200 {
							cut.Add(1)
							t.Errorf("a request was cut off: %v", err)
							return
						}
						answered.Add(1)
					}
				})
			}
			eventually(t, "load", func() bool { return answered.Load() > 200 })
			if err := p.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if tc.delay > 0 {
				eventually(t, "not ready, and still serving", func() bool {
					resp, err := http.Get("http://" + address + "/-/ready")
					if err != nil {
						return false
					}
					defer resp.Body.Close()
					return resp.StatusCode == 503 && resp.Close
				})
			}
			err := p.Wait()
			close(stop)
			readers.Wait()
			if err != nil {
				t.Errorf("exit: %v\n%s", err, &log)
			}
			t.Logf("%d requests answered, %d cut off", answered.Load(), cut.Load())
		})
	}
}

// isRefused says that there is nobody any more to accept a connection. A connection that the kernel had
// taken for a listener which closed before it looked is reset before anything was sent back.
func isRefused(err error) bool {
	if err == nil {
		return false
	}
	return strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "connection reset by peer")
}

// A reader that never ends does not keep the process for longer than it was told.
func TestShutdownTimeout(t *testing.T) {
	s := &settings{shutdownTimeout: 50 * time.Millisecond}
	var log output
	s.logger = slog.New(slog.NewTextHandler(&log, nil))
	begun := make(chan bool)
	d := newDrainer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(begun); <-r.Context().Done() }), s.logger)
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { d.Serve(l); close(d.done) }()
	go http.Get("http://" + l.Addr().String())
	<-begun
	d.drain(s, &health{})
	if !strings.Contains(log.String(), "cut off") {
		t.Errorf("log: %s", &log)
	}
}

// A shutdown that begins before anything listens does not wait for what will never come.
func TestShutdownBeforeListening(t *testing.T) {
	s := &settings{shutdownTimeout: time.Hour, logger: slog.New(slog.DiscardHandler)}
	d := newDrainer(http.NotFoundHandler(), s.logger)
	ended := make(chan bool)
	go func() { d.drain(s, &health{}); close(ended) }()
	eventually(t, "draining", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.draining })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("served: %v", err)
	}
	close(d.done)
	<-ended

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := Run(ctx, []string{"--simulate", "--web.listen-address=127.0.0.1:0", "--web.shutdown-timeout=1h"}, none, io.Discard, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A socket that systemd hands over is served, and no other.
func TestSocketActivation(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --simulate --web.systemd-socket`, os.Args[0])
	c.Env = append(os.Environ(), "TEST_AS_EXPORTER=1")
	c.ExtraFiles = []*os.File{f}
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if listening.MatchString(lines.Text()) {
			break
		}
	}
	if resp, _ := get(t, "http://"+l.Addr().String()+"/-/healthy"); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// A scrape waits for nobody, least of all for an upstream that does not answer.
func TestScrapeDoesNotWaitForThePoll(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	e := start(t, "--coingecko.url="+hanging.URL, "--coingecko.timeout=1m")
	c := &http.Client{Timeout: 10 * time.Second}
	for range 10 {
		if resp, _ := ask(t, c, http.MethodGet, e.url+"/metrics"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	if code := e.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
