package exporter

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func file(t *testing.T, content string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// Settings that are valid, what follows from them, and warnings about those that are probably wrong.
func TestUsableSettings(t *testing.T) {
	const (
		demo   = "--coingecko.plan=demo "
		url    = "--coingecko.url="
		relay  = url + "http://poller:9880/api/v3 "
		unsent = ": the API key from --coingecko.api-key-file is not sent to this host, only to CoinGecko over https:// and to loopback addresses"
		socket = "--web.systemd-socket is set; the exporter starts only from a systemd .socket unit"
	)
	key := "--coingecko.api-key-file=" + file(t, "CG-0123456789\n") + " "
	for _, tc := range []struct {
		args     string
		variable string
		interval time.Duration
		maxAge   time.Duration
		warnings []string
	}{
		{"", "COINGECKO_API_KEY=", time.Minute, 10 * time.Minute, nil},
		{demo + key, "", 5 * time.Minute, 15 * time.Minute, nil},
		{"--coingecko.plan=pro", "COINGECKO_API_KEY=CG-0123456789", time.Minute, 10 * time.Minute, nil},
		{relay, "", 10 * time.Second, 10 * time.Minute, nil},
		{relay + url + "https://api.coingecko.com/api/v3", "", time.Minute, 10 * time.Minute, nil},
		{"--simulate", "COINGECKO_API_KEY=CG-0123456789", 2 * time.Second, 10 * time.Minute, nil},
		{"--simulate --rates.max-age=6s --coingecko.timeout=10s", "", 2 * time.Second, 6 * time.Second, nil},
		{"--coingecko.interval=30m", "", 30 * time.Minute, 90 * time.Minute, nil},
		{"", "COINGECKO_EXPORTER_HEALTH_URL=http://rates:9880", time.Minute, 10 * time.Minute, nil}, // waits for --health.check
		{demo + key + url + "https://API.coingecko.com./api/v3/", "", 5 * time.Minute, 15 * time.Minute, nil},
		{"--coingecko.interval=5m --rates.max-age=5m", "", 5 * time.Minute, 5 * time.Minute, []string{
			"--rates.max-age=5m0s is so close to the poll interval of 5m0s that a single missed poll makes the rates stale; set at least 13m21s",
		}},
		{demo + key + "--coingecko.interval=60s", "", time.Minute, 10 * time.Minute, []string{
			"--coingecko.interval=1m0s makes 44640 polls in a month of 31 days; the demo plan allows 10000, which last 6.9 days; set at least 4m29s",
		}},
		{demo + key + relay, "", 10 * time.Second, 10 * time.Minute, []string{
			"--coingecko.url=http://poller:9880/api/v3" + unsent,
		}},
		{demo + key + url + "http://api.coingecko.com/api/v3", "", 5 * time.Minute, 15 * time.Minute, []string{
			"--coingecko.url=http://api.coingecko.com/api/v3" + unsent,
		}},
		{url + "http://api.coingecko.com/api/v3", "", time.Minute, 10 * time.Minute, []string{
			"--coingecko.url=http://api.coingecko.com/api/v3: CoinGecko requires https://",
		}},
		{url + "https://www.coingecko.com/api/v3", "", time.Minute, 10 * time.Minute, []string{
			"--coingecko.url=https://www.coingecko.com/api/v3: no plan uses this host; CoinGecko's API is at https://api.coingecko.com/api/v3",
		}},
		{url + "https://api.coingeko.com/api/v3", "", 10 * time.Second, 10 * time.Minute, []string{
			"--coingecko.url=https://api.coingeko.com/api/v3: this is not a CoinGecko host and is treated as another exporter; did you mean https://api.coingecko.com/api/v3?",
		}},
		{"--web.systemd-socket", "", time.Minute, 10 * time.Minute, []string{socket}},
		{"--web.listen-address=:1 --web.systemd-socket --no-simulate", "", time.Minute, 10 * time.Minute, []string{
			"--web.listen-address=:1 is ignored because --web.systemd-socket is set", socket,
		}},
	} {
		args, environ := append(strings.Fields(tc.args), "--config.check"), []string{tc.variable}
		s, err := parse(args, newEnvironment(environ), io.Discard, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if s.interval != tc.interval || s.maxAge != tc.maxAge {
			t.Errorf("%s: interval %v, max-age %v, want %v and %v", args, s.interval, s.maxAge, tc.interval, tc.maxAge)
		}
		want := strings.Join(append([]string{"The configuration is valid."}, tc.warnings...), "\nWarning: ") + "\n"
		var out strings.Builder
		if code := Run(t.Context(), args, environ, &out, &out); code != 0 || out.String() != want {
			t.Errorf("%s: exit code %d, got\n%s\nwant\n%s", args, code, &out, want)
		}
	}
}

func TestEnvironmentSetsFlags(t *testing.T) {
	t.Setenv("COINGECKO_EXPORTER_RATES_MAX_AGE", "the process's own environment is none of Run's business")
	environ := []string{
		"COINGECKO_EXPORTER_COINGECKO_URL=http://a/api/v3\r\nhttp://b/api/v3\n",
		"COINGECKO_EXPORTER_RATES_MAX_AGE=30m",
		"COINGECKO_EXPORTER_SCREEN_COINS=BTC, eth",
		"COINGECKO_EXPORTER_SCREEN_QUOTE=EUR",
		"COINGECKO_EXPORTER_WEB_MAX_REQUESTS=7",
		"COINGECKO_EXPORTER_WEB_LISTEN_ADDRESS=:1\n:2",
		"COINGECKO_EXPORTER_COINGECKO_INTERVAL=20s",
		"COINGECKO_EXPORTER_WEB_SHUTDOWN_TIMEOUT=3s",
		"COINGECKO_EXPORTER_WEB_SHUTDOWN_DELAY=nonsense that a flag overrides",
		"COINGECKO_EXPORTER_WEB_DISABLE_EXPORTER_METRICS=true",
	}
	s, err := parse([]string{"--coingecko.interval=30s", "--web.shutdown-delay=1s"}, newEnvironment(environ), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.endpoints) != 2 || s.endpoints[1].URL.Host != "b" || s.maxAge != 30*time.Minute || strings.Join(s.coins, "+") != "btc+eth" ||
		s.quote != "eur" || s.maxRequests != 7 || len(*s.web.WebListenAddresses) != 2 || !s.disableExporterMetrics || s.shutdownTimeout != 3*time.Second {
		t.Errorf("got %+v", s)
	}
	if s.interval != 30*time.Second {
		t.Errorf("the flag did not win over the environment: %v", s.interval)
	}
}

func TestHelpAndVersion(t *testing.T) {
	environ := []string{"COINGECKO_EXPORTER_SCREEN_QUOTE=EUR"} // help tells the defaults of the program
	for flag, want := range map[string]string{"--help": `--screen.quote="usd"`, "-h": "$COINGECKO_EXPORTER_COINGECKO_PLAN", "--version": "coingecko-exporter, version"} {
		var stdout, stderr strings.Builder
		code := Run(t.Context(), []string{flag}, environ, &stdout, &stderr)
		if code != 0 || !strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", flag, code, &stdout, &stderr)
		}
	}
}
