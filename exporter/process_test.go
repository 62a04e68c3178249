// The complete exporter over real sockets and as a separate process.

package exporter_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// openMetrics parses a scrape with Prometheus' OpenMetrics parser.
func openMetrics(t *testing.T, body string) {
	t.Helper()
	tool := testbed.Tool(t, "promtool")
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
	testbed.Run(t, tool, "tsdb", "create-blocks-from", "openmetrics", file, dir)
}

// process runs the exporter as a separate process, on a free port of loopback.
func process(t *testing.T, args ...string) *testbed.Exporter {
	t.Helper()
	return spawn(t, exec.Command(os.Args[0], args...))
}

// spawn runs a command that becomes the exporter, and waits until it listens.
func spawn(t *testing.T, c *exec.Cmd) *testbed.Exporter {
	t.Helper()
	c.Env = append(append(os.Environ(), "TEST_AS_EXPORTER=1"), c.Env...)
	return testbed.StartExporter(t, c)
}

// Every accepted request gets a complete answer, and the exit code is 0: on new and on kept-alive connections, with and without a delay.
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
			t.Parallel()
			p := process(t, "--simulate", "--web.shutdown-timeout=1h", "--web.shutdown-delay="+tc.delay.String())
			testbed.Until(t, "rates", func() bool { return up(t, p.URL()) })

			answered, stop := readers(t, 8, tc.keepAlive, true, func(int) string { return p.URL() + "/metrics" })
			testbed.Until(t, "load", func() bool { return answered.Load() > 200 })
			terminate(t, p)
			s := ended(t, p)
			stop()
			if s.ExitCode() != 0 {
				t.Errorf("exit: %v\n%s", s, p.Log)
			}
			t.Logf("%d requests answered", answered.Load())
		})
	}
}

// readers read all the time, each over a connection of its own, until stop is called, or until nothing accepts connections any more if
// the process may end. In that case, once connected, the answer has to come.
func readers(t *testing.T, n int, keepAlive, mayEnd bool, url func(i int) string) (answered *atomic.Int64, stop func()) {
	t.Helper()
	answered = &atomic.Int64{}
	ended := make(chan bool)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			transport := &http.Transport{DisableKeepAlives: !keepAlive}
			defer transport.CloseIdleConnections()
			c := &http.Client{Transport: transport, Timeout: testbed.Patience}
			for {
				select {
				case <-ended:
					return
				default:
				}
				begun := time.Now()
				resp, err := c.Get(url(i))
				if mayEnd && isRefused(err) {
					return
				}
				if !mayEnd && err != nil && tooSlow(begun) {
					continue
				}
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("a request was cut off: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	return answered, func() { close(ended); all.Wait() }
}

// isRefused reports that nothing accepts connections any more. A connection in the backlog of a closed listener is reset before any data
// is sent.
func isRefused(err error) bool {
	if err == nil {
		return false
	}
	return strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "connection reset by peer")
}

// Only a socket that systemd passes is served.
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
	testbed.Start(t, c).Says(t, listening.String())
	if resp, _ := get(t, "http://"+l.Addr().String()+"/-/healthy"); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// A scrape never waits, not even for an upstream that does not answer.
func TestScrapeDoesNotWaitForThePoll(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	e := start(t, "--coingecko.url="+hanging.URL+"/api/v3", "--coingecko.timeout=1m")
	c := &http.Client{Timeout: testbed.Patience}
	for range 10 {
		if resp, _ := ask(t, c, http.MethodGet, e.url+"/metrics"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	if code := e.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
