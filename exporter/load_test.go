package exporter_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/collector"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

var load = flag.Duration("load", 0, "load whole processes for so long each, and print what they do: a benchmark and no test")

// formats are the answers that are measured.
var formats = []struct{ name, path, accept, encoding string }{
	{"text", "/metrics", "text/plain", "identity"},
	{"openmetrics", "/metrics", "application/openmetrics-text; version=1.0.0", "identity"},
	{"gzip", "/metrics", "text/plain", "gzip"},
	{"relay", exporter.RelayPath, "application/json", "gzip"},
	{"screen", "/", "text/html", "gzip"},
}

const (
	asBare = "TEST_AS_BARE" // is the URL of the exporter whose answers TestBare serves
	asText = "promhttp"     // is where it serves promhttp itself on the same series, without a cache
)

// TestBare is the baseline of TestLoad, in a process of its own: a bare net/http handler that serves the same answers from memory.
func TestBare(t *testing.T) {
	base := os.Getenv(asBare)
	if base == "" {
		t.Skip("a part of the benchmark: TestLoad runs it")
	}
	mux := http.NewServeMux()
	for _, f := range formats {
		resp, body := get(t, base+f.path, "Accept: "+f.accept, "Accept-Encoding: "+f.encoding)
		resp.Header.Del("Date")
		content := []byte(body)
		mux.HandleFunc("/"+f.name, func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), resp.Header)
			w.Write(content)
		})
	}
	s := poller.Status{Snapshot: &poller.Snapshot{Rates: simulator.RecordedRates()}, LastSuccess: time.Now(), LastPoll: time.Now()}
	mux.Handle("/"+asText, exporter.PlainMetrics(collector.New(collector.Options{Status: func() poller.Status { return s }})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "msg=\"Listening on\" address=%s\n", l.Addr())
	t.Fatal(http.Serve(l, mux))
}

// shipped is the released exporter.
var shipped = os.Getenv("EXPORTER_BINARY")

// pinned runs a program on the first core.
func pinned(t *testing.T, env, program string, args ...string) (pid int, url string) {
	t.Helper()
	c := exec.Command("taskset", append([]string{"-c", "0", program}, args...)...)
	c.Env = append(os.Environ(), env, "GOMAXPROCS=1")
	p := testbed.Start(t, c)
	return p.Process.Pid, "http://" + p.Says(t, listening.String())[1]
}

// measured is the result of wrk.
type measured struct {
	rate float64 // requests per second
	cost float64 // microseconds of processor time for a request: hardly depends on what else the machine does
	p99  string
	rss  uint64 // most memory in bytes that the process ever had
}

var (
	figures   = regexp.MustCompile(`(?s)99%\s+(\S+).* (\d+) requests in.*Requests/sec:\s+([\d.]+)`)
	errorLine = regexp.MustCompile(`(?m)^\s*(Socket errors:.*|Non-2xx.*)$`)
)

// wrk loads a process from the second core.
func wrk(t *testing.T, pid, connections int, url string, headers ...string) measured {
	t.Helper()
	args := []string{"-c", "1", "wrk", "-t1", "-c" + strconv.Itoa(connections), "-d" + load.String(), "--latency", "--timeout", "30s"}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	used := cpu(t, pid)
	out := testbed.Run(t, "taskset", append(args, url)...)
	used = cpu(t, pid) - used
	if e := errorLine.FindString(out); e != "" {
		t.Errorf("%s: %s", url, strings.TrimSpace(e))
	}
	said := figures.FindStringSubmatch(out)
	if said == nil {
		t.Fatalf("wrk said\n%s", out)
	}
	m := measured{p99: said[1], rss: proc(t, pid, procfs.Proc.NewStatus).VmHWM}
	var requests float64
	if _, err := fmt.Sscan(said[2]+" "+said[3], &requests, &m.rate); err != nil {
		t.Fatal(err)
	}
	m.cost = used * 1e6 / requests
	return m
}

// proc reads something of a process, such as proc(t, pid, procfs.Proc.Stat).
func proc[T any](t *testing.T, pid int, read func(procfs.Proc) (T, error)) T {
	t.Helper()
	p, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	v, err := read(p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	return proc(t, pid, procfs.Proc.FileDescriptorsLen)
}

// cpu returns the CPU time of a process in seconds.
func cpu(t *testing.T, pid int) float64 { t.Helper(); return proc(t, pid, procfs.Proc.Stat).CPUTime() }

// TestLoad prints the figures of docs/performance.md. It needs taskset, wrk and two cores.
func TestLoad(t *testing.T) {
	if *load == 0 {
		t.Skip("a benchmark: make bench runs it")
	}
	upstream := httptest.NewServer(testbed.Answers(200, string(simulator.Recorded())))
	t.Cleanup(upstream.Close)
	if shipped == "" {
		t.Fatal("EXPORTER_BINARY names no exporter; make bench does")
	}
	pid, url := pinned(t, "EXPORTER=1", shipped, "--web.listen-address=127.0.0.1:0", "--coingecko.url="+upstream.URL+"/api/v3")
	testbed.Until(t, "rates", func() bool { return up(t, url) })

	barePid, bare := pinned(t, asBare+"="+url, os.Args[0], "-test.run=^TestBare$")

	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "64 connections\tbare req/s\texporter req/s\tratio\tp99\tpromhttp req/s\ttimes\tbare CPU\texporter CPU\tratio")
	for _, f := range formats {
		headers := []string{"Accept: " + f.accept, "Accept-Encoding: " + f.encoding}
		b, e := wrk(t, barePid, 64, bare+"/"+f.name, headers...), wrk(t, pid, 64, url+f.path, headers...)
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.2f\t%s", f.name, b.rate, e.rate, e.rate/b.rate, e.p99)
		if f.path == "/metrics" {
			p := wrk(t, barePid, 64, bare+"/"+asText, headers...)
			fmt.Fprintf(table, "\t%.0f\t%.1f", p.rate, e.rate/p.rate)
		} else {
			fmt.Fprint(table, "\t\t")
		}
		fmt.Fprintf(table, "\t%.1f µs\t%.1f µs\t%.2f\n", b.cost, e.cost, b.cost/e.cost)
	}
	table.Flush()

	// Memory, by a fresh process.
	pid, url = pinned(t, "EXPORTER=1", shipped, "--web.listen-address=127.0.0.1:0", "--coingecko.url="+upstream.URL+"/api/v3")
	testbed.Until(t, "rates", func() bool { return up(t, url) })
	goroutines := func() float64 { return series(t, url)["go_goroutines"] }
	time.Sleep(1100 * time.Millisecond) // what is cached is as old as that
	before, files := goroutines(), descriptors(t, pid)
	for _, n := range []int{1, 1000} {
		m := wrk(t, pid, n, url+"/metrics")
		fmt.Fprintf(&out, "%d readers: %.1f MiB at most, %.0f req/s, p99 %s\n", n, float64(m.rss)/(1<<20), m.rate, m.p99)
	}
	http.DefaultClient.CloseIdleConnections()
	testbed.Until(t, "no descriptor left", func() bool { return descriptors(t, pid) <= files })
	time.Sleep(1100 * time.Millisecond)
	fmt.Fprintf(&out, "goroutines before %.0f, after %.0f; descriptors before %d, after %d\n", before, goroutines(), files, descriptors(t, pid))

	begun, used := time.Now(), cpu(t, pid)
	time.Sleep(max(6*(*load), 30*time.Second))
	fmt.Fprintf(&out, "idle: %.3f %% of a core over %v, a poll each 10 s\n", 100*(cpu(t, pid)-used)/time.Since(begun).Seconds(), time.Since(begun).Round(time.Second))

	var starts []time.Duration
	for range 10 {
		starts = append(starts, firstScrape(t))
	}
	fmt.Fprintf(&out, "from exec to the first scrape: %v\n", starts)
	t.Log("\n" + out.String())
}

// firstScrape returns the time from the start of a process to its first answered scrape.
func firstScrape(t *testing.T) time.Duration {
	t.Helper()
	address := testbed.FreeAddress(t)
	c := exec.Command(shipped, "--web.listen-address="+address, "--coingecko.url=http://127.0.0.1:1/api/v3")
	begun := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	for {
		if resp, err := http.Get("http://" + address + "/metrics"); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return time.Since(begun).Round(100 * time.Microsecond)
		}
		time.Sleep(200 * time.Microsecond)
	}
}
