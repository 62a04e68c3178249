package exporter_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

func TestHealthCheck(t *testing.T) {
	check := func(args ...string) (int, string) {
		var stderr strings.Builder
		code := exporter.Run(t.Context(), append(args, "--health.check"), none, io.Discard, &stderr)
		return code, stderr.String()
	}
	ready := startWithRates(t, "--simulate")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(ready.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"127.0.0.1:" + port, ":" + port, "0.0.0.0:" + port, "[::]:" + port, "localhost:" + port} {
		if code, said := check("--web.listen-address=" + address); code != 0 || said != "" {
			t.Errorf("%s: exit code %d, %s", address, code, said)
		}
	}

	gone := simulate(t, simulator.Options{})
	gone.Close()
	waiting := start(t, "--coingecko.url="+gone.URL())
	for what, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"not ready":       {[]string{"--web.listen-address=" + strings.TrimPrefix(waiting.url, "http://")}, 1, "unhealthy: 503: Not ready: no rates yet."},
		"nobody there":    {[]string{"--web.listen-address=" + strings.TrimSuffix(strings.TrimPrefix(gone.URL(), "http://"), "/api/v3")}, 1, "connection refused"},
		"the probes' own": {[]string{"--web.listen-address=:1", "--web.health-listen-address=127.0.0.1:" + port}, 0, ""},
		"no port":         {[]string{"--web.listen-address=localhost"}, 2, "the colon before the port is missing"},
		"a socket":        {[]string{"--web.systemd-socket"}, 2, "set --web.health-listen-address=:9881 for the check"},
	} {
		if code, said := check(tc.args...); code != tc.code || !strings.Contains(said, tc.want) || strings.Count(said, "\n") > 2 {
			t.Errorf("%s: exit code %d, %q", what, code, said)
		}
	}
}

// The health check never uses the proxy for CoinGecko. The test needs a process, because Go reads these variables once, and an address
// that is not loopback, because Go never uses a proxy for loopback.
func TestHealthCheckUsesNoProxy(t *testing.T) {
	var proxied atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Store(true) }))
	t.Cleanup(proxy.Close)
	outward := ""
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			outward = n.IP.String()
		}
	}
	if outward == "" {
		t.Skip("this machine has no address but loopback")
	}
	c := exec.Command(os.Args[0], "--health.check", "--web.listen-address="+net.JoinHostPort(outward, "9"))
	c.Env = append(os.Environ(), "TEST_AS_EXPORTER=1", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	out, err := c.CombinedOutput()
	if err == nil || proxied.Load() || !strings.Contains(string(out), "connection refused") {
		t.Errorf("asked the proxy: %v; error %v: %s", proxied.Load(), err, out)
	}
}

func TestHealthURL(t *testing.T) {
	good := startWithRates(t, "--simulate")
	gone := simulate(t, simulator.Options{})
	gone.Close()
	waiting := start(t, "--coingecko.url="+gone.URL())
	serve := func(metrics string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				io.WriteString(w, metrics)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for what, tc := range map[string]struct {
		url  string
		args []string
		code int
		want string
	}{
		"rates":           {url: good.url},
		"a slash":         {url: good.url + "/"},
		"not ready":       {url: waiting.url, code: 1, want: "unhealthy: 503: Not ready: no rates yet."},
		"ready, no rates": {url: serve("coingecko_up 0\n"), code: 1, want: "no current rates"},
		"no metrics":      {url: serve("<html>"), code: 1, want: "/metrics returned no metrics"},
		"other path":      {url: good.url, args: []string{"--web.telemetry-path=/elsewhere"}, code: 1, want: "404"},
		"not there":       {url: strings.TrimSuffix(gone.URL(), "/api/v3"), code: 1, want: "connection refused"},
		"not a URL":       {url: "rates:9880", code: 2, want: "for example --health.url=http://rates:9880"},
		"a password":      {url: "http://a:secret@rates", code: 2, want: "a user or password in the URL"},
	} {
		var stderr strings.Builder
		code := exporter.Run(t.Context(), append(tc.args, "--health.check", "--health.url="+tc.url), none, io.Discard, &stderr)
		if said := stderr.String(); code != tc.code || !strings.Contains(said, tc.want) || strings.Contains(said, "secret@") || (tc.code == 0 && said != "") {
			t.Errorf("%s: exit code %d, %q", what, code, said)
		}
	}
}
