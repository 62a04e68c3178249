// Package testbed runs real programs for tests and waits for them.
package testbed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Patience is how long tests wait for an event. A busy machine is slow, which must not fail a test.
const Patience = 15 * time.Minute

// Eventually waits until check returns nil. After Patience, it fails the test with the last error.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	end := time.Now().Add(Patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v: %v", what, Patience, err)
		}
		time.Sleep(pause)
	}
}

// Until waits until ok returns true.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Eventually(t, what, func() error {
		if ok() {
			return nil
		}
		return errors.New("it has not happened")
	})
}

// Setting returns a number from the environment.
func Setting(t testing.TB, name string, otherwise int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(otherwise)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Tool finds a program by one of its names, or skips the test. Short tests need only Go.
func Tool(t testing.TB, names ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("needs %s; short tests need only Go", names[0])
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

// FreeAddress returns a loopback address on which nothing listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Run runs a program and returns its output. The test fails if the program does.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Build builds a program of this module, such as "./stack/backfill", and returns its path.
func Build(t testing.TB, program string) string {
	t.Helper()
	root := strings.TrimSpace(Run(t, "go", "list", "-m", "-f", "{{.Dir}}"))
	file := filepath.Join(t.TempDir(), "program")
	Run(t, "go", "build", "-C", root, "-o", file, program)
	return file
}

// Log is the output of a program. It can be read while the program runs.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Program is a program that runs until the test ends, or Stop.
type Program struct {
	*exec.Cmd
	Log   *Log
	Ended chan struct{} // closed when the program has ended
}

// Start starts a program. Its output is logged if the test fails, except standard error if it goes elsewhere.
func Start(t testing.TB, c *exec.Cmd) *Program {
	t.Helper()
	p := &Program{Cmd: c, Log: &Log{}, Ended: make(chan struct{})}
	c.Stdout = p.Log
	if c.Stderr == nil {
		c.Stderr = p.Log
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Wait(); close(p.Ended) }() // the result is in ProcessState
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(c.Path), p.Log)
		}
	})
	return p
}

// Stop ends the program with SIGTERM, or kills it if it does not end.
func (p *Program) Stop() {
	_ = p.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.Ended:
	case <-time.After(Patience):
		_ = p.Process.Kill()
		<-p.Ended
	}
}

// Says waits until the output matches a pattern, and returns the pattern's groups.
func (p *Program) Says(t testing.TB, pattern string) []string {
	t.Helper()
	var groups []string
	look := regexp.MustCompile(pattern)
	Eventually(t, "to be told "+pattern, func() error {
		if groups = look.FindStringSubmatch(p.Log.String()); groups != nil {
			return nil
		}
		select {
		case <-p.Ended:
			t.Fatalf("%s has ended: %v\n%s", p.Path, p.ProcessState, p.Log)
		default:
		}
		return fmt.Errorf("it says\n%s", p.Log)
	})
	return groups
}

// Server is a Prometheus or Alertmanager that is ready.
type Server struct {
	*Program
	Address string
}

// Serve starts a server on an address.
func Serve(t testing.TB, address, program string, args ...string) *Server {
	t.Helper()
	s := &Server{Start(t, exec.Command(program, append(args, "--web.listen-address="+address)...)), address}
	Eventually(t, program+" is ready", func() error {
		code, _, err := Get("http://" + address + "/-/ready")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("it answers %d", code)
		}
		return err
	})
	return s
}

// Exporter is a running exporter.
type Exporter struct {
	*Program
	Address string
	Control string // URL of the simulator's control endpoints; empty without --simulate
}

// URL returns the exporter's URL.
func (e *Exporter) URL() string { return "http://" + e.Address }

// StartExporter starts an exporter on a free port.
func StartExporter(t testing.TB, c *exec.Cmd) *Exporter {
	t.Helper()
	c.Args = append(c.Args, "--web.listen-address=127.0.0.1:0")
	e := &Exporter{Program: Start(t, c)}
	e.Address = e.Says(t, `msg="Listening on" address=(\S+)`)[1]
	if m := regexp.MustCompile(`control=(http://\S+/)`).FindStringSubmatch(e.Log.String()); m != nil {
		e.Control = m[1]
	}
	return e
}

// Get requests a URL once.
func Get(url string) (status int, body string, _ error) {
	answer, err := (&http.Client{Timeout: Patience}).Get(url)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// RoundTripper is a function as an http.RoundTripper.
type RoundTripper = promhttp.RoundTripperFunc

// Transport lets a handler answer requests, without sockets.
func Transport(h http.Handler) RoundTripper {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return w.Result(), nil
	}
}

// Answers is a handler with a fixed answer: a status, a body, and headers such as "Age: 5".
func Answers(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Post sends a POST, such as to the simulator's control endpoints.
func Post(t testing.TB, url string) {
	t.Helper()
	PostJSON(t, url, nil)
}

// PostJSON sends a value, such as an alert to Alertmanager.
func PostJSON(t testing.TB, url string, value any) {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s: %s", url, answer.Status, text)
	}
}

// CheckMetrics checks a scrape with promtool.
func CheckMetrics(t testing.TB, text string) {
	t.Helper()
	c := exec.Command(Tool(t, "promtool"), "check", "metrics")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
