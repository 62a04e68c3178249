package exporter_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

func TestHealthCheck(t *testing.T) {
	ready := startWithRates(t, "--simulate")
	gone := simulate(t, simulator.Options{})
	gone.Close()
	waiting := start(t, "--coingecko.url="+gone.URL())
	address := func(e *running) string { return strings.TrimPrefix(e.url, "http://") }
	_, port, err := net.SplitHostPort(address(ready))
	if err != nil {
		t.Fatal(err)
	}
	goneURL := strings.TrimSuffix(gone.URL(), "/api/v3")
	serve := func(metrics string) string {
		s := httptest.NewServer(testbed.Answers(200, metrics))
		t.Cleanup(s.Close)
		return s.URL
	}
	proxied := filepath.Join(t.TempDir(), "proxied.yml")
	if err := os.WriteFile(proxied, []byte("proxy_url: "+goneURL), 0o600); err != nil {
		t.Fatal(err)
	}
	const listen, probes, url = "--web.listen-address=", "--web.health-listen-address=", "--health.url="
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{listen + "127.0.0.1:" + port, 0, ""},
		{listen + ":" + port, 0, ""},
		{listen + "0.0.0.0:" + port, 0, ""},
		{listen + "[::]:" + port, 0, ""},
		{listen + "localhost:" + port, 0, ""},
		{listen + ":1 " + probes + "127.0.0.1:" + port, 0, ""},
		{listen + address(waiting), 1, "unhealthy: 503: Not ready: no rates yet."},
		{listen + strings.TrimPrefix(goneURL, "http://"), 1, "connection refused"},
		{listen + "localhost", 2, "the colon before the port is missing"},
		{"--web.systemd-socket", 2, "set --web.health-listen-address=:9881 for the check"},

		{url + ready.url, 0, ""},
		{url + ready.url + "/", 0, ""},
		{url + ready.url + " --coingecko.http-config-file=" + proxied, 0, ""}, // loopback, past the proxy
		{url + waiting.url, 1, "unhealthy: 503: Not ready: no rates yet."},
		{url + serve("coingecko_up 0\n"), 1, "no current rates"},
		{url + serve("<html>"), 1, "/metrics returned no metrics"},
		{url + ready.url + " --web.telemetry-path=/elsewhere", 1, ready.url + "/elsewhere returned 404"},
		{url + goneURL, 1, "connection refused"},
		{url + "rates:9880", 2, "for example --health.url=http://rates:9880"},
		{url + "http://a:secret@rates", 2, "a user or password in the URL"},
	} {
		var stderr strings.Builder
		code := exporter.Run(t.Context(), append(strings.Fields(tc.args), "--health.check"), none, io.Discard, &stderr)
		said := stderr.String()
		if code != tc.code || !strings.Contains(said, tc.want) || strings.Count(said, "\n") > 2 || strings.Contains(said, "secret@") || code == 0 && said != "" {
			t.Errorf("%s: exit code %d, %q", tc.args, code, said)
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
