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

func withKeyInEnv(key string) []string { return []string{"COINGECKO_API_KEY=" + key} }

func TestUsableSettings(t *testing.T) {
	key := file(t, "CG-0123456789\n")
	for name, tc := range map[string]struct {
		args     []string
		env      string
		vars     []string
		interval time.Duration
		maxAge   time.Duration
		warning  string
	}{
		"keyless":              {interval: time.Minute, maxAge: 10 * time.Minute},
		"demo":                 {args: []string{"--coingecko.plan=demo", "--coingecko.api-key-file=" + key}, interval: 5 * time.Minute, maxAge: 15 * time.Minute},
		"pro":                  {args: []string{"--coingecko.plan=pro"}, env: "CG-0123456789", interval: time.Minute, maxAge: 10 * time.Minute},
		"a relay":              {args: []string{"--coingecko.url=http://poller:9880/api/v3"}, interval: 10 * time.Second, maxAge: 10 * time.Minute},
		"a relay first":        {args: []string{"--coingecko.url=http://poller:9880/api/v3", "--coingecko.url=https://api.coingecko.com/api/v3"}, interval: time.Minute, maxAge: 10 * time.Minute},
		"the simulated market": {args: []string{"--simulate"}, env: "CG-0123456789", interval: 2 * time.Second, maxAge: 10 * time.Minute},
		"a short max-age":      {args: []string{"--simulate", "--rates.max-age=6s", "--coingecko.timeout=10s"}, interval: 2 * time.Second, maxAge: 6 * time.Second},
		"long intervals":       {args: []string{"--coingecko.interval=30m"}, interval: 30 * time.Minute, maxAge: 90 * time.Minute},
		"a max-age of one interval": {
			args: []string{"--coingecko.interval=5m", "--rates.max-age=5m"}, interval: 5 * time.Minute, maxAge: 5 * time.Minute,
			warning: "--rates.max-age=5m0s is so close to the poll interval of 5m0s that a single missed poll makes the rates stale; set at least 13m21s",
		},
		"beyond the quota": {
			args: []string{"--coingecko.plan=demo", "--coingecko.interval=60s"}, env: "CG-0123456789",
			interval: time.Minute, maxAge: 10 * time.Minute,
			warning: "--coingecko.interval=1m0s makes 44640 polls in a month of 31 days; the demo plan allows 10000, which last 6.9 days; set at least 4m29s",
		},
		"a key for relays": {
			args: []string{"--coingecko.plan=demo", "--coingecko.url=http://poller:9880/api/v3"}, env: "CG-0123456789",
			interval: 10 * time.Second, maxAge: 10 * time.Minute,
			warning: "--coingecko.url=http://poller:9880/api/v3: the API key from COINGECKO_API_KEY is not sent to this host, only to CoinGecko over https:// and to loopback addresses",
		},
		"a key by plain HTTP": {
			args:     []string{"--coingecko.plan=demo", "--coingecko.url=http://api.coingecko.com/api/v3", "--coingecko.api-key-file=" + key},
			interval: 5 * time.Minute, maxAge: 15 * time.Minute,
			warning: "--coingecko.url=http://api.coingecko.com/api/v3: the API key from --coingecko.api-key-file is not sent to this host, only to CoinGecko over https:// and to loopback addresses",
		},
		"a name with the dot of the root": {
			args:     []string{"--coingecko.plan=demo", "--coingecko.url=https://API.coingecko.com./api/v3/", "--coingecko.api-key-file=" + key},
			interval: 5 * time.Minute, maxAge: 15 * time.Minute,
		},
		"a health check that waits": {env: "", vars: []string{"COINGECKO_EXPORTER_HEALTH_URL=http://rates:9880"}, interval: time.Minute, maxAge: 10 * time.Minute},
		"a socket": {
			args: []string{"--web.systemd-socket"}, vars: []string{"LISTEN_FDS=1"}, interval: time.Minute, maxAge: 10 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse(tc.args, newEnvironment(append(withKeyInEnv(tc.env), tc.vars...)), io.Discard, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if s.interval != tc.interval || s.maxAge != tc.maxAge {
				t.Errorf("interval %v, max-age %v, want %v and %v", s.interval, s.maxAge, tc.interval, tc.maxAge)
			}
			if got := strings.Join(s.warnings(), "\n"); got != tc.warning {
				t.Errorf("warnings %q, want %q", got, tc.warning)
			}

			// The same, by --config.check.
			var stdout, stderr strings.Builder
			if code := Run(t.Context(), append(tc.args, "--config.check"), append(withKeyInEnv(tc.env), tc.vars...), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
				t.Errorf("--config.check: exit code %d, stderr %q", code, &stderr)
			}
			if want := "The configuration is valid.\n"; !strings.HasPrefix(stdout.String(), want) || !strings.Contains(stdout.String(), tc.warning) {
				t.Errorf("--config.check said %q", &stdout)
			}
		})
	}
}

func TestEnvironmentSetsFlags(t *testing.T) {
	t.Setenv("COINGECKO_EXPORTER_RATES_MAX_AGE", "the process's own environment is none of Run's business")
	environment := map[string]string{
		"COINGECKO_EXPORTER_COINGECKO_URL":        "http://a/api/v3\r\nhttp://b/api/v3\n",
		"COINGECKO_EXPORTER_RATES_MAX_AGE":        "30m",
		"COINGECKO_EXPORTER_SCREEN_COINS":         "BTC, eth",
		"COINGECKO_EXPORTER_SCREEN_QUOTE":         "EUR",
		"COINGECKO_EXPORTER_WEB_MAX_REQUESTS":     "7",
		"COINGECKO_EXPORTER_WEB_LISTEN_ADDRESS":   ":1\n:2",
		"COINGECKO_EXPORTER_COINGECKO_INTERVAL":   "20s",
		"COINGECKO_EXPORTER_WEB_SHUTDOWN_TIMEOUT": "3s",
		"COINGECKO_EXPORTER_WEB_SHUTDOWN_DELAY":   "nonsense that a flag overrides",

		"COINGECKO_EXPORTER_WEB_DISABLE_EXPORTER_METRICS": "true",
	}
	var environ []string
	for k, v := range environment {
		environ = append(environ, k+"="+v)
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

	// Help tells the defaults of the program.
	var help, stderr strings.Builder
	if code := Run(t.Context(), []string{"--help"}, environ, &help, &stderr); code != 0 || !strings.Contains(help.String(), `--screen.quote="usd"`) {
		t.Errorf("exit code %d, %s%s", code, &help, &stderr)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "--coingecko.plan=keyless", "-h": "$COINGECKO_EXPORTER_COINGECKO_PLAN", "--version": "coingecko-exporter, version"} {
		var stdout, stderr strings.Builder
		if code := Run(t.Context(), []string{flag}, withKeyInEnv(""), &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit code %d", flag, code)
		}
		if !strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: stdout %q, stderr %q", flag, &stdout, &stderr)
		}
	}
}
