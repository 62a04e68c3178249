package main

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/heycard/coingecko-exporter/exporter/simulator"
)

func TestHealthCheck(t *testing.T) {
	check := func(args ...string) (int, string) {
		var stderr strings.Builder
		code := run(t.Context(), append(args, "--health.check"), none, io.Discard, &stderr)
		return code, stderr.String()
	}
	ready := start(t, "--demo")
	eventually(t, "rates", func() bool { return up(t, ready.url) })
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
		"not ready":       {[]string{"--web.listen-address=" + strings.TrimPrefix(waiting.url, "http://")}, 1, "not healthy: 503: Not ready: no rates yet."},
		"nobody there":    {[]string{"--web.listen-address=" + strings.TrimSuffix(strings.TrimPrefix(gone.URL(), "http://"), "/api/v3")}, 1, "connection refused"},
		"the probes' own": {[]string{"--web.listen-address=:1", "--web.health-listen-address=127.0.0.1:" + port}, 0, ""},
		"no port":         {[]string{"--web.listen-address=localhost"}, 1, "no listen address with a port"},
		"a socket":        {[]string{"--web.systemd-socket"}, 2, "set --web.health-listen-address for it"},
	} {
		if code, said := check(tc.args...); code != tc.code || !strings.Contains(said, tc.want) || strings.Count(said, "\n") > 2 {
			t.Errorf("%s: exit code %d, %q", what, code, said)
		}
	}
}
