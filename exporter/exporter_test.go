package exporter_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// TestMain lets the test binary run as the exporter, for tests that need a separate process.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_EXPORTER") != "" {
		os.Exit(exporter.Run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	flag.Set("test.parallel", "8") // they wait more than they work; the command line may say otherwise
	os.Exit(m.Run())
}

// running is an exporter in this process.
type running struct {
	url  string
	log  *testbed.Log
	stop func() int // ends it, and gives its exit code

	begun time.Time
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

var none []string // is the environment

// start runs the exporter with flags, on a free port of loopback.
func start(t testing.TB, args ...string) *running {
	t.Helper()
	return launch(t, func(ctx context.Context, log io.Writer) int {
		return exporter.Run(ctx, append([]string{"--web.listen-address=127.0.0.1:0"}, args...), none, io.Discard, log)
	})
}

func startWithRates(t testing.TB, args ...string) *running {
	t.Helper()
	r := start(t, args...)
	testbed.Until(t, "rates", func() bool { return up(t, r.url) })
	return r
}

// launch runs an exporter until the test ends, and waits until it listens.
func launch(t testing.TB, run func(ctx context.Context, log io.Writer) int) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{log: &testbed.Log{}, begun: time.Now()}
	code := make(chan int, 1)
	go func() { code <- run(ctx, r.log) }()
	r.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { r.stop() })
	var address []string
	testbed.Until(t, "listening", func() bool {
		select {
		case c := <-code:
			code <- c // for stop
			t.Fatalf("ended with code %d: %s", c, r.log)
		default:
		}
		address = listening.FindStringSubmatch(r.log.String())
		return address != nil
	})
	r.url = "http://" + address[1]
	return r
}

// probes returns the URL of the probes' listener.
func (r *running) probes(t testing.TB) string {
	t.Helper()
	var address []string
	testbed.Until(t, "the probes' address", func() bool {
		address = regexp.MustCompile(`Listening for probes" address=(\S+)\n`).FindStringSubmatch(r.log.String())
		return address != nil
	})
	return "http://" + address[1]
}

// get requests a URL with header lines such as "Accept: text/html".
func get(t testing.TB, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	return ask(t, http.DefaultClient, http.MethodGet, url, headers...)
}

// ask requests a URL. On a busy machine a request may need longer than the server waits for its header. The server then closes the
// connection, as it should, so ask repeats a request that was this slow.
func ask(t testing.TB, c *http.Client, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	for deadline := time.Now().Add(testbed.Patience); ; {
		begun := time.Now()
		resp, body, err := tryAsk(t, c, method, url, headers...)
		if err == nil {
			return resp, body
		}
		if !tooSlow(begun) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		t.Logf("a slow request: %v", err)
	}
}

// tooSlow reports whether a request that began then may have exceeded the time in which the server waits for its header.
func tooSlow(begun time.Time) bool { return time.Since(begun) >= exporter.ReadHeaderTimeout/2 }

func tryAsk(t testing.TB, c *http.Client, method, url string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// series returns the samples of /metrics, by name and labels as written there.
func series(t testing.TB, base string) map[string]float64 {
	t.Helper()
	_, body := get(t, base+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for line := range strings.Lines(body) {
		if i := strings.LastIndexByte(line, ' '); line[0] != '#' && i > 0 {
			var v float64
			if _, err := fmt.Sscan(line[i+1:], &v); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			out[line[:i]] = v
		}
	}
	return out
}

func up(t testing.TB, base string) bool { t.Helper(); return series(t, base)["coingecko_up"] == 1 }

func simulate(t testing.TB, o simulator.Options) *simulator.Simulator {
	t.Helper()
	sim, err := simulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return sim
}

// A presenter can let the market fail, and it recovers within a few polls.
func TestSimulate(t *testing.T) {
	e := startWithRates(t, "--simulate", "--coingecko.interval=100ms")
	first := series(t, e.url)
	for name, want := range map[string]float64{
		`coingecko_exporter_simulated`:                           1,
		`coingecko_exchange_rate{currency="btc",kind="crypto"}`:  1,
		`coingecko_exchange_rate{currency="sats",kind="crypto"}`: 1e8,
	} {
		if got, ok := first[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	resp, page := get(t, e.url+"/")
	if resp.StatusCode != 200 || !strings.Contains(page, "SIMULATED") || !strings.Contains(page, "Data provided by CoinGecko") {
		t.Errorf("the screen: %d\n%s", resp.StatusCode, page)
	}
	serving := fmt.Sprintf("screen=%s/ metrics=%[1]s/metrics", e.url)
	testbed.Until(t, serving, func() bool { return strings.Contains(e.log.String(), serving) })
	usd := `coingecko_exchange_rate{currency="usd",kind="fiat"}`
	testbed.Until(t, "rates that move", func() bool { return series(t, e.url)[usd] != first[usd] })
	control := regexp.MustCompile(`SIMULATED: these rates are not real" control=(http://127\.0\.0\.1:\S+)`).FindStringSubmatch(e.log.String())
	if control == nil {
		t.Fatalf("the log does not say that the rates are simulated: %s", e.log)
	}
	testbed.Post(t, control[1]+"fail/portal")
	testbed.Until(t, "polls that fail", func() bool { return !up(t, e.url) })
	testbed.Post(t, control[1]+"recover")
	testbed.Until(t, "rates again", func() bool { return up(t, e.url) })
	if code := e.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := e.log.String(); !strings.Contains(log, "msg=Stopped") {
		t.Errorf("the log has no end: %s", log)
	}
}

func TestEndpoints(t *testing.T) {
	e := startWithRates(t, "--simulate")
	for request, want := range map[string]int{
		"GET /":                      200,
		"HEAD /":                     200,
		"GET /?quote=eur":            200,
		"GET /metrics":               200,
		"HEAD /metrics":              200,
		"GET " + exporter.RelayPath:  200,
		"HEAD " + exporter.RelayPath: 200,
		"GET /-/healthy":             200,
		"GET /-/ready":               200,
		"GET /nope":                  404,
		"GET /metrics/":              404,
		"GET /api/v3/ping":           200,
		"GET /api/v3/coins":          404,
		"GET /-/":                    404,
		"POST /":                     405,
		"DELETE /metrics":            405,
		"GET /screen.css":            404,
		"DELETE /screen.svg":         405,
		"PUT " + exporter.RelayPath:  405,
		"POST /-/healthy":            405,
	} {
		method, path, _ := strings.Cut(request, " ")
		resp, _ := ask(t, http.DefaultClient, method, e.url+path)
		if sniffed := resp.Header.Get("X-Content-Type-Options") != "nosniff"; resp.StatusCode != want || sniffed {
			t.Errorf("%s: %d, want %d; may be sniffed: %v", request, resp.StatusCode, want, sniffed)
		}
	}
	resp, page := get(t, e.url+"/?quote=%3Cscript%3Ealert(1)%3C/script%3E")
	if strings.Contains(page, "<script>alert") {
		t.Errorf("the query got into the page: %d", resp.StatusCode)
	}
}

func TestFormats(t *testing.T) {
	e := startWithRates(t, "--simulate")

	resp, text := get(t, e.url+"/metrics") // Go's client asks for gzip
	if !resp.Uncompressed {
		t.Error("/metrics is not compressed")
	}
	testbed.CheckMetrics(t, text)

	resp, open := get(t, e.url+"/metrics", "Accept: application/openmetrics-text; version=1.0.0", "Accept-Encoding: identity")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(open, "# EOF\n") {
		t.Errorf("OpenMetrics: %s", resp.Header.Get("Content-Type"))
	}
	openMetrics(t, open)

	resp, relayed := get(t, e.url+exporter.RelayPath)
	if !resp.Uncompressed || resp.Header.Get("Vary") != "Accept-Encoding" || resp.Header.Get("Age") == "" || resp.Header.Get("ETag") == "" {
		t.Errorf("headers: %v", resp.Header)
	}
	if rates, _, err := coingecko.Decode([]byte(relayed)); err != nil || len(rates) != 76 {
		t.Errorf("%d rates, error %v", len(rates), err)
	}
}

func TestOwnMetricsCanBeLeftOut(t *testing.T) {
	for flag, want := range map[string]bool{"--no-web.disable-exporter-metrics": true, "--web.disable-exporter-metrics": false} {
		e := start(t, "--simulate", flag)
		_, body := get(t, e.url+"/metrics")
		for _, prefix := range []string{"\ngo_", "\nprocess_", "\npromhttp_"} {
			if strings.Contains(body, prefix) != want {
				t.Errorf("%s: %q in /metrics is not %v", flag, prefix, want)
			}
		}
		if !strings.Contains(body, "\ncoingecko_exporter_build_info") {
			t.Errorf("%s: no build info", flag)
		}
	}
}

// Relays have the same rates with the same age, whatever the number of hops.
func TestChainOfRelays(t *testing.T) {
	sim := simulate(t, simulator.Options{Refresh: time.Hour})
	var chain []*running
	for url := sim.URL(); len(chain) < 3; url = chain[len(chain)-1].url + "/api/v3/" { // the slash is no reason to fail
		e := start(t, "--coingecko.url="+url)
		testbed.Until(t, "rates", func() bool { return series(t, e.url)["coingecko_last_success_timestamp_seconds"] > 0 })
		chain = append(chain, e)
	}
	rates := func(s map[string]float64) map[string]float64 {
		maps.DeleteFunc(s, func(name string, _ float64) bool {
			return !strings.HasPrefix(name, "coingecko_exchange_rate{") && !strings.HasPrefix(name, "coingecko_currency_info{")
		})
		return s
	}
	want := rates(series(t, chain[0].url))
	for hops, e := range chain {
		got := series(t, e.url)
		if d := cmp.Diff(want, rates(maps.Clone(got))); d != "" {
			t.Errorf("hop %d: %s", hops, d)
		}
		// Rates are never younger than at the poller; TestChainNeverLies looks at how much older.
		const name = "coingecko_last_success_timestamp_seconds"
		if left := series(t, chain[0].url)[name]; got[name] > left+0.001 {
			t.Errorf("hop %d: the rates left CoinGecko at %v, and at the poller at %v", hops, got[name], left)
		}
		if polls := `coingecko_polls_total{upstream="coingecko"}`; got[polls] != 0 {
			t.Errorf("hop %d counts polls of CoinGecko, and has asked none", hops)
		}
		if strings.Contains(e.log.String(), "plan=") {
			t.Errorf("hop %d names a plan, which is no setting of a relay: %s", hops, e.log)
		}
		resp, _ := get(t, e.url+exporter.RelayPath)
		if _, page := get(t, e.url+"/"); got["coingecko_exporter_simulated"] != 1 || !strings.Contains(page, "SIMULATED") || resp.Header.Get("X-Rates-Simulated") != "true" {
			t.Errorf("hop %d shows simulated rates as real ones: metric %v, header %q, page %.300s", hops, got["coingecko_exporter_simulated"], resp.Header.Get("X-Rates-Simulated"), page)
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"--web.listen-address", "--web.health-listen-address"} {
		var stderr testbed.Log
		// Nothing is served, so nobody is waited for.
		args := []string{"--simulate", "--web.shutdown-delay=1h", "--web.shutdown-timeout=1h", flag + "=" + l.Addr().String()}
		if flag == "--web.health-listen-address" {
			args = append(args, "--web.listen-address=127.0.0.1:0")
		}
		code := exporter.Run(t.Context(), args, none, io.Discard, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), "address already in use; choose another address with "+flag) {
			t.Errorf("exit code %d, stderr: %s", code, &stderr)
		}
	}
}

// A connection beyond the limit is closed at once, probes on their own address are not, and closing a connection allows a new one.
func TestConnectionLimit(t *testing.T) {
	e := startWithRates(t, "--simulate", "--web.max-connections=2", "--web.health-listen-address=127.0.0.1:0")
	http.DefaultClient.CloseIdleConnections()
	var kept []*http.Client // each with a connection
	request := func() bool {
		c := &http.Client{Transport: &http.Transport{}}
		if _, _, err := tryAsk(t, c, http.MethodGet, e.url+"/-/healthy"); err != nil {
			return false
		}
		kept = append(kept, c)
		t.Cleanup(c.CloseIdleConnections)
		return true
	}
	testbed.Until(t, "room for two", func() bool { return request() && len(kept) == 2 })
	for range 3 {
		if request() {
			t.Error("a third connection was served")
		}
	}
	if resp, _ := get(t, e.probes(t)+"/-/healthy"); resp.StatusCode != http.StatusOK {
		t.Errorf("a probe: %s", resp.Status)
	}
	kept[0].CloseIdleConnections()
	testbed.Until(t, "room for one that comes", request)
}

// Flags are checked before CoinGecko's list is known, so a code that it does not have is a warning with the first rates.
func TestUnknownCurrenciesAreTold(t *testing.T) {
	e := start(t, "--simulate", "--screen.coins=btc,doge,eth,shib", "--screen.quote=abc", "--screen.basket=5eur")
	message := regexp.MustCompile(`level=warn msg="CoinGecko has no rates for some currencies of a setting" (.*)\n`)
	told := func() [][]string { return message.FindAllStringSubmatch(e.log.String(), -1) }
	testbed.Until(t, "two warnings", func() bool { return len(told()) >= 2 })
	for i, want := range []string{"setting=--screen.coins currencies=doge,shib", "setting=--screen.quote currencies=abc"} {
		if got := told(); len(got) != 2 || got[i][1] != want {
			t.Errorf("got %q, want %s", got, want)
		}
	}
}
