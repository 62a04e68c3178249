// The part of the fault table about the process: its environment, signals and readers.

package exporter_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/crypto/bcrypt"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// inShell runs the exporter as a process after a line of shell that ends with exec "$0" "$@".
func inShell(t *testing.T, line string, env []string, args ...string) (log *testbed.Log, base string) {
	t.Helper()
	c := exec.Command("sh", append([]string{"-c", line, os.Args[0]}, args...)...)
	c.Env = env
	p := spawn(t, c)
	return p.Log, p.URL()
}

// fast are flags for a process that polls its own simulator ten times a second, and waits for its answers on a busy machine too.
var fast = []string{"--simulate", "--coingecko.interval=100ms", "--coingecko.timeout=5m"}

const usd = `coingecko_exchange_rate{currency="usd",kind="fiat"}`

// CoinGecko's real address, through a proxy that leads to the test's server.
func proxied(t *testing.T) {
	u := newUpstream(t, "127.0.0.1:0", true)
	u.certificate = u.ca.Issue(t, time.Now().Add(time.Hour), "api.coingecko.com")
	var broken atomic.Bool
	broken.Store(true)
	var seen testbed.Log
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(&seen, r.Method, r.Host, r.Header)
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		to, err := net.Dial("tcp", u.inner.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { io.Copy(to, from); to.Close() }()
		io.Copy(from, to)
	}))
	t.Cleanup(proxy.Close)
	log, base := inShell(t, `exec "$0" "$@"`, []string{"HTTPS_PROXY=" + proxy.URL, "NO_PROXY=", "no_proxy=", "SSL_CERT_FILE=" + u.ca.File},
		"--coingecko.plan=demo", "--coingecko.interval=10s", "--coingecko.api-key-file="+filepath.Join(u.home, "key"))
	testbed.Until(t, "a failed poll", func() bool { return strings.Contains(log.String(), "Poll failed") })
	if !strings.Contains(log.String(), "reason=network") || !strings.Contains(log.String(), "Bad Gateway") {
		t.Errorf("log: %s", log)
	}
	if _, page := get(t, base+"/"); !strings.Contains(page, "the proxy refused the connection (502).") {
		t.Errorf("screen:\n%s", page)
	}
	broken.Store(false)
	testbed.Until(t, "rates", func() bool { s := series(t, base); return s["coingecko_up"] == 1 && u.shown(t, s) > 0 })
	if got := seen.String(); !strings.Contains(got, "CONNECT api.coingecko.com:443") || strings.Contains(got, rightKey) {
		t.Errorf("the proxy saw %s", got)
	}
}

// The exporter writes no files. If the test may change mounts, all of them are read-only.
func readOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	line := `ulimit -f 0; cd "$HOME"; exec "$0" "$@"`
	const mounts = `mount --make-rprivate / && for m in / /tmp /var /run /dev/shm; do mountpoint -q $m && mount -o remount,bind,ro $m; done; ! touch /tmp/x /x 2>/dev/null`
	if err := exec.Command("unshare", "--mount", "sh", "-c", mounts).Run(); err == nil {
		line = `exec unshare --mount sh -c '` + mounts + ` && ` + line + `' "$0" "$@"`
	} else {
		t.Log("mounts cannot be changed here: the process may not write to files, and that is all")
	}
	_, base := inShell(t, line, []string{"HOME=" + dir, "TMPDIR=" + dir}, fast...)
	testbed.Until(t, "rates", func() bool { return up(t, base) })
	for _, path := range []string{"/", exporter.RelayPath, "/-/ready"} {
		if resp, _ := get(t, base+path); resp.StatusCode != 200 {
			t.Errorf("%s answers %d", path, resp.StatusCode)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 0 {
		t.Errorf("files %v, error %v", files, err)
	}
}

// The poller keeps its connection. Scrapes wait until the exporter closes idle connections after five seconds.
func fewDescriptors(t *testing.T) {
	log, base := inShell(t, `ulimit -n 64; exec "$0" "$@"`, nil, fast...)
	testbed.Until(t, "rates", func() bool { return up(t, base) })
	http.DefaultClient.CloseIdleConnections()
	begun := time.Now() // a busy machine takes seconds to dial, in which the first connections grow old
	idle := crowd(t, base, 80, "")
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testbed.Patience}
	_, body := ask(t, c, http.MethodGet, base+"/metrics")
	waited := time.Since(begun)
	if !strings.Contains(body, "\ncoingecko_up 1\n") {
		t.Errorf("polls fail: %s", log)
	}
	if waited < 4*time.Second {
		t.Errorf("answered after %v: it was never short of descriptors", waited)
	}
	t.Logf("a scrape beside %d silent connections was answered after %v", len(idle), waited.Round(time.Millisecond))
	for _, c := range idle {
		c.Close()
	}
	pollsOn(t, base, 4)
	quiet(t, log)
}

func littleMemory(t *testing.T) {
	c := exec.Command(testbed.Build(t, "."), fast...)
	c.Env = []string{"GOMEMLIMIT=32MiB"}
	p := spawn(t, c)
	base := p.URL()
	testbed.Until(t, "rates", func() bool { return up(t, base) })
	var most int64
	paths := []string{"/metrics", "/", exporter.RelayPath, "/?quote=eur"}
	answered, stop := readers(t, 200, true, false, func(i int) string { return base + paths[i%len(paths)] })
	begun := time.Now()
	testbed.Until(t, "2,000 answers, or as many as a busy machine gives in ten seconds", func() bool {
		most = max(most, int64(proc(t, p.Process.Pid, procfs.Proc.NewStatus).RssAnon))
		n := answered.Load()
		return n > 2000 || n > 200 && time.Since(begun) > 10*time.Second || t.Failed()
	})
	stop()
	t.Logf("%d answers, at most %.1f MiB", answered.Load(), float64(most)/(1<<20))
	if most > 32<<20 {
		t.Errorf("%d bytes of memory", most)
	}
	if !up(t, base) {
		t.Errorf("log: %s", p.Log)
	}
}

// A suspended machine: requests sent meanwhile get no expired rates when it continues.
func stopped(t *testing.T) {
	const maxAge = 3 * time.Second // a busy machine may be as slow
	p := process(t, append(fast, "--rates.max-age="+maxAge.String())...)
	testbed.Until(t, "rates", func() bool { return up(t, p.URL()) })
	send(t, p, syscall.SIGSTOP)
	testbed.Until(t, "it stands still", func() bool { return proc(t, p.Process.Pid, procfs.Proc.Stat).State == "T" })
	answered := make(chan map[string]float64)
	go func() { answered <- series(t, p.URL()) }() // waits for the process to go on
	time.Sleep(maxAge + time.Second)
	went := float64(time.Now().UnixMilli()) / 1e3
	send(t, p, syscall.SIGCONT)
	s := <-answered
	fetched := s["coingecko_last_success_timestamp_seconds"]
	if _, there := s[usd]; there && went-fetched > maxAge.Seconds()+0.001 {
		t.Errorf("rates %v s old were shown", went-fetched)
	}
	testbed.Until(t, "new rates", func() bool {
		s := series(t, p.URL())
		return s["coingecko_last_success_timestamp_seconds"] > went && s[usd] > 0
	})
}

// ended waits for a process that got a signal. The process must not wait for one of its own timeouts, which are an hour in tests.
func ended(t *testing.T, p *testbed.Exporter) *os.ProcessState {
	t.Helper()
	select {
	case <-p.Ended:
	case <-time.After(testbed.Patience):
		t.Fatalf("did not end: %s", p.Log)
	}
	return p.ProcessState
}

func send(t *testing.T, p *testbed.Exporter, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func terminate(t *testing.T, p *testbed.Exporter) { t.Helper(); send(t, p, syscall.SIGTERM) }

// endsWell sends a signal, which must end the process gracefully.
func endsWell(t *testing.T, p *testbed.Exporter, signal syscall.Signal) {
	t.Helper()
	send(t, p, signal)
	if s := ended(t, p); s.ExitCode() != 0 {
		t.Errorf("%v\n%s", s, p.Log)
	}
}

// In the first milliseconds the signal kills the process; later, the exit code is 0.
func endsWhileStarting(t *testing.T) {
	clean := 0
	for i := range 12 {
		c := exec.Command(os.Args[0], "--simulate", "--web.listen-address=127.0.0.1:0", "--web.shutdown-timeout=1h")
		c.Env = append(os.Environ(), "TEST_AS_EXPORTER=1")
		p := &testbed.Exporter{Program: testbed.Start(t, c)}
		time.Sleep(time.Duration(2*i*i) * time.Millisecond)
		terminate(t, p)
		s := ended(t, p)
		killed := s.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM
		if !killed && s.ExitCode() != 0 || killed && strings.Contains(p.Log.String(), "Listening on") {
			t.Errorf("after %d ms: %v\n%s", 2*i*i, s, p.Log)
		}
		if s.ExitCode() == 0 {
			clean++
		}
	}
	t.Logf("%d of 12 had come far enough to end by themselves", clean)
}

func endsInPoll(t *testing.T) {
	var asked atomic.Bool
	stalled := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		<-r.Context().Done()
	}))
	t.Cleanup(stalled.Close)
	p := process(t, "--coingecko.url="+stalled.URL+"/api/v3", "--coingecko.timeout=10m")
	testbed.Until(t, "a poll", asked.Load)
	endsWell(t, p, syscall.SIGTERM)
	quiet(t, p.Log)
}

func endsBetweenPolls(t *testing.T) {
	refusing := httptest.NewServer(answers(429, "", "Retry-After: 3600"))
	t.Cleanup(refusing.Close)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := process(t, "--coingecko.url="+refusing.URL+"/api/v3")
		p.Says(t, "Poll failed")
		endsWell(t, p, signal)
	}
}

// A request of which half has arrived before the signal is answered too.
func endsInScrape(t *testing.T) {
	// On a machine that is busy the signal may take longer than a request is waited for: then it was no scrape that ended.
	testbed.Until(t, "a signal in the midst of a request", func() bool { return scrapedToTheEnd(t) })
}

// scrapedToTheEnd sends half of a request before SIGTERM and the rest after it. It reports whether the rest was in time.
func scrapedToTheEnd(t *testing.T) bool {
	t.Helper()
	p := process(t, append(fast, "--web.shutdown-timeout=1h")...)
	testbed.Until(t, "rates", func() bool { return up(t, p.URL()) })
	begun := time.Now()
	c, err := net.Dial("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n")
	// Connections are accepted in turn: when a later one is answered, this one has been.
	later := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask(t, later, http.MethodGet, p.URL()+"/metrics")
	http.DefaultClient.CloseIdleConnections()
	terminate(t, p)
	testbed.Until(t, "nobody listens any more", func() bool {
		another, err := net.Dial("tcp", p.Address)
		if err == nil {
			another.Close()
		}
		return err != nil
	})
	io.WriteString(c, "\r\n")
	slow := tooSlow(begun)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil && slow {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !resp.Close || !strings.Contains(string(body), usd) {
		t.Errorf("%d, closing %v, error %v:\n%s", resp.StatusCode, resp.Close, err, body)
	}
	if s := ended(t, p); s.ExitCode() != 0 {
		t.Errorf("%v\n%s", s, p.Log)
	}
	return true
}

// A second signal ends the process at once.
func endsTwice(t *testing.T) {
	p := process(t, "--simulate", "--web.shutdown-delay=1h")
	terminate(t, p)
	p.Says(t, "Shutting down, still serving for the delay")
	if resp, _ := get(t, p.URL()+"/-/ready"); resp.StatusCode != 503 || !resp.Close {
		t.Errorf("readiness while draining: %d, closing %v", resp.StatusCode, resp.Close)
	}
	if resp, _ := get(t, p.URL()+"/metrics"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("while draining: %d, closing %v", resp.StatusCode, resp.Close)
	}
	terminate(t, p)
	if s := ended(t, p); s.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("%v\n%s", s, p.Log)
	}
}

// pollsOn waits for polls that succeed.
func pollsOn(t *testing.T, base string, n float64) {
	t.Helper()
	first := series(t, base)[polls]
	testbed.Until(t, "polls", func() bool { return series(t, base)[polls] >= first+n })
	if !up(t, base) {
		t.Error("polls fail")
	}
}

// quiet checks that the log tells of a start and of no trouble.
func quiet(t *testing.T, log *testbed.Log) {
	t.Helper()
	if text := log.String(); strings.Contains(text, "Poll failed") || strings.Count(text, "\n") > 20 {
		t.Errorf("log: %s", text)
	}
}

// goesOn checks that polls and well-behaved readers are answered in time, whatever else happens.
func goesOn(t *testing.T, e *running) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{}, Timeout: testbed.Patience}
	defer c.CloseIdleConnections()
	for range 20 {
		if resp, _ := ask(t, c, http.MethodGet, e.url+"/metrics"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	pollsOn(t, e.url, 4)
	quiet(t, e.log)
}

// crowd opens connections, writes something on each, and closes them at the end of the test.
func crowd(t *testing.T, base string, n int, say string) []net.Conn {
	t.Helper()
	var all []net.Conn
	for range n {
		c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.(*net.TCPConn).SetReadBuffer(2048)
		io.WriteString(c, say)
		all = append(all, c)
	}
	return all
}

// Each requests more than the socket buffers hold, and reads nothing.
func slowReaders(t *testing.T) {
	e := startWithRates(t, fast...)
	crowd(t, e.url, 50, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	goesOn(t, e)
}

func halfOpen(t *testing.T) {
	e := startWithRates(t, fast...)
	crowd(t, e.url, 100, "")
	half := crowd(t, e.url, 100, "GET /metrics HTTP/1.1\r\nHost: x\r\nX-")
	goesOn(t, e)
	// They are not kept for ever.
	half[0].SetReadDeadline(time.Now().Add(testbed.Patience))
	if _, err := io.ReadAll(half[0]); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection that says half a request is kept")
	}
}

// Too many concurrent requests are refused quickly. Probes and polls are not, and later requests are served.
func flooded(t *testing.T) {
	e := startWithRates(t, append(fast, "--web.max-requests=4")...)
	first := series(t, e.url)[polls]
	// These four hold all the room there is: answers that nobody takes.
	untaken := strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400)
	holders, held := crowd(t, e.url, 4, untaken), time.Now()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: testbed.Patience}
	t.Cleanup(c.CloseIdleConnections)
	rounds := 0
	testbed.Until(t, "refusals, of all and again and again", func() bool {
		// Each is closed after the write time-out, which a busy machine may reach before all of them hold.
		if time.Since(held) > 10*time.Second {
			holders, held = append(holders, crowd(t, e.url, 4, untaken)...), time.Now()
		}
		rounds++
		for _, path := range []string{exporter.RelayPath, "/", "/metrics"} {
			if resp, _ := ask(t, c, http.MethodGet, e.url+path); resp.StatusCode != 503 {
				rounds = 0
			}
		}
		return rounds > 10
	})
	var refused atomic.Int64
	var readers sync.WaitGroup
	for range 32 {
		readers.Go(func() {
			for range 50 {
				begun := time.Now()
				switch resp, _, err := tryAsk(t, c, http.MethodGet, e.url+"/metrics"); {
				case err != nil && tooSlow(begun), err == nil && resp.StatusCode == 200:
				case err != nil:
					t.Error(err)
					return
				case resp.StatusCode == 503:
					refused.Add(1)
				default:
					t.Error(resp.Status)
				}
			}
		})
	}
	for range 20 {
		if resp, _ := ask(t, c, http.MethodGet, e.url+"/-/healthy"); resp.StatusCode != 200 {
			t.Errorf("/-/healthy answers %d", resp.StatusCode)
		}
	}
	readers.Wait()
	if refused.Load() == 0 {
		t.Error("no concurrent request is refused")
	}
	for _, h := range holders {
		h.Close()
	}
	testbed.Until(t, "room again, and polls that went on", func() bool {
		resp, _ := ask(t, c, http.MethodGet, e.url+"/metrics")
		return resp.StatusCode == 200 && series(t, e.url)[polls] > first+3
	})
	quiet(t, e.log)
}

// After STARTS (200) exporters have ended, no goroutine and no file descriptor is left.
func TestStartsAndStops(t *testing.T) {
	u := newUpstream(t, "127.0.0.1:0", false)
	u.anew() // connections that are kept end with the process
	http.DefaultClient.CloseIdleConnections()
	var goroutines, open int
	begun := time.Now()
	times := testbed.Setting(t, "STARTS", 200)
	for i := range times {
		e := start(t, "--coingecko.url="+u.url, "--web.health-listen-address=127.0.0.1:0")
		if code := e.stop(); code != 0 {
			t.Fatalf("start %d: exit code %d: %s", i, code, e.log)
		}
		if i == 10 { // what is made once and kept has been made
			goroutines, open = runtime.NumGoroutine(), descriptors(t, os.Getpid())
		}
	}
	t.Logf("%d starts and stops took %v", times, time.Since(begun).Round(time.Millisecond))
	testbed.Until(t, "as few goroutines and descriptors as before", func() bool {
		return runtime.NumGoroutine() <= goroutines+5 && descriptors(t, os.Getpid()) <= open+5
	})
}

// Unauthorised readers are refused, and nothing is logged at the default level.
func TestWebConfig(t *testing.T) {
	dir := t.TempDir()
	ca, stranger := testbed.NewAuthority(t), testbed.NewAuthority(t)
	testbed.WritePair(t, ca.Issue(t, time.Now().Add(time.Hour), "127.0.0.1"), dir+"/cert.pem", dir+"/key.pem")
	hash, err := bcrypt.GenerateFromPassword([]byte("correct"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"+
		"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: %s\nbasic_auth_users:\n  prometheus: %s\n", ca.File, hash), 0o600); err != nil {
		t.Fatal(err)
	}
	e := start(t, "--simulate", "--web.config.file="+config, "--web.health-listen-address=127.0.0.1:0")
	base := strings.Replace(e.url, "http:", "https:", 1)
	known, unknown := ca.Issue(t, time.Now().Add(time.Hour)), stranger.Issue(t, time.Now().Add(time.Hour))
	expired := ca.Issue(t, time.Now().Add(-time.Minute))
	for _, tc := range []struct {
		name        string
		certificate *tls.Certificate
		password    string
		most        uint16 // TLS version
		status      int    // 0: no connection
	}{
		{"all is right", known, "correct", 0, 200},
		{"TLS 1.2", known, "correct", tls.VersionTLS12, 200},
		{"wrong password", known, "wrong", 0, 401},
		{"no password", known, "", 0, 401},
		{"no client certificate", nil, "correct", 0, 0},
		{"client certificate of another CA", unknown, "correct", 0, 0},
		{"client certificate expired", expired, "correct", 0, 0},
		{"TLS 1.1", known, "correct", tls.VersionTLS11, 0},
		{"TLS 1.0", known, "correct", tls.VersionTLS10, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tc.most}
			if tc.certificate != nil { // also one that the server says it does not know
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tc.certificate, nil }
			}
			transport := &http.Transport{TLSClientConfig: c}
			defer transport.CloseIdleConnections()
			for _, path := range []string{"/metrics", "/", exporter.RelayPath, "/-/ready"} {
				req, _ := http.NewRequest(http.MethodGet, base+path, nil)
				if tc.password != "" {
					req.SetBasicAuth("prometheus", tc.password)
				}
				resp, err := (&http.Client{Transport: transport, Timeout: testbed.Patience}).Do(req)
				status := 0
				if err == nil {
					defer resp.Body.Close()
					status = resp.StatusCode
					body, _ := io.ReadAll(resp.Body)
					if status != 200 && strings.Contains(string(body), "coingecko") {
						t.Errorf("%s shows something: %s", path, body)
					}
				}
				if want := tc.status; status != want && (want != 200 || status != 503) { // 503: no rates yet
					t.Errorf("%s: %d, want %d; error %v", path, status, want, err)
				}
			}
			if !strings.Contains(e.log.String(), "TLS is enabled") || strings.Contains(e.log.String(), "level=error") {
				t.Errorf("log: %s", e.log)
			}
		})
	}
	if resp, _ := get(t, e.url+"/metrics"); resp.StatusCode != 400 {
		t.Errorf("plain HTTP on the TLS port: %d", resp.StatusCode)
	}

	// The probes' listener is plain, and has nothing else.
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/metrics": 404, "/": 404, exporter.RelayPath: 404} {
		testbed.Until(t, fmt.Sprintf("%s answers %d on the probes' listener", path, want), func() bool {
			resp, _ := get(t, e.probes(t)+path)
			return resp.StatusCode == want
		})
	}
}

// piped runs the exporter with its log in a pipe of 4 KiB.
func piped(t *testing.T, args ...string) (p *testbed.Exporter, log *os.File) {
	t.Helper()
	log, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), syscall.F_SETPIPE_SZ, 4096); errno != 0 {
		t.Fatal(errno)
	}
	c := exec.Command(os.Args[0], append(args, "--web.listen-address=127.0.0.1:0")...)
	c.Env = append(os.Environ(), "TEST_AS_EXPORTER=1")
	c.Stderr = w
	p = &testbed.Exporter{Program: testbed.Start(t, c)}
	w.Close()
	for lines := bufio.NewScanner(log); p.Address == "" && lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			p.Address = m[1]
		}
	}
	return p, log
}

func logClosed(t *testing.T) {
	p, log := piped(t, append(fast, "--log.level=debug")...)
	pollsOn(t, p.URL(), 1)
	log.Close()
	pollsOn(t, p.URL(), 5)
	endsWell(t, p, syscall.SIGTERM)
}

func logBlocked(t *testing.T) {
	p, _ := piped(t, append(fast, "--log.level=debug")...)
	pollsOn(t, p.URL(), 60) // more lines than the pipe holds
	endsWell(t, p, syscall.SIGTERM)
}

func hangsUp(t *testing.T) {
	u := newUpstream(t, "127.0.0.1:0", false)
	p := process(t, append(u.args, "--coingecko.url="+u.url, "--coingecko.timeout=10m")...)
	send(t, p, syscall.SIGHUP)
	p.Says(t, `level=info msg="SIGHUP: key, password and TLS files are usable`)
	if err := os.Remove(filepath.Join(u.home, "key")); err != nil {
		t.Fatal(err)
	}
	send(t, p, syscall.SIGHUP)
	p.Says(t, `level=error msg="SIGHUP: file is not usable" err=".*--coingecko.api-key-file`)
	if resp, _ := get(t, p.URL()+"/-/healthy"); resp.StatusCode != 200 {
		t.Errorf("/-/healthy answers %d", resp.StatusCode)
	}
	endsWell(t, p, syscall.SIGTERM)
}
