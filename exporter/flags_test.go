package exporter

import (
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

func file(t *testing.T, content string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func withKeyInEnv(key string) func(string) string {
	return func(name string) string {
		if name == "COINGECKO_API_KEY" {
			return key
		}
		return ""
	}
}

// One line on stderr that says what to change, nothing else, and exit code 2.
func TestWrongSettings(t *testing.T) {
	key := file(t, "CG-0123456789")
	for name, tc := range map[string]struct {
		args []string
		env  string
		want string
	}{
		"unknown flag":          {args: []string{"--coingecko.key=CG-secret"}, want: "unknown long flag '--coingecko.key', try --help"},
		"unknown argument":      {args: []string{"now"}, want: "unexpected now, try --help"},
		"unknown plan":          {args: []string{"--coingecko.plan=free"}, want: "enum value must be one of keyless,demo,pro, got 'free', try --help"},
		"no duration":           {args: []string{"--coingecko.interval=60"}, want: `missing unit in duration "60", try --help`},
		"too short an interval": {args: []string{"--coingecko.interval=9s"}, want: "--coingecko.interval=9s is below 10s"},
		"too long an interval":  {args: []string{"--coingecko.interval=25h"}, want: "--coingecko.interval=25h0m0s is above 24h"},
		"negative interval":     {args: []string{"--coingecko.interval=-1m"}, want: "--coingecko.interval=-1m0s is below 10s"},
		"no timeout":            {args: []string{"--coingecko.timeout=0s"}, want: "--coingecko.timeout=0s is not above 0"},
		"max-age below":         {args: []string{"--rates.max-age=59s"}, want: "--rates.max-age=59s is below --coingecko.interval=1m0s: rates would be gone before the next poll"},
		"a jump below 1":        {args: []string{"--rates.max-jump=0.5"}, want: "--rates.max-jump=0.5 is no factor above 1, such as 1.5; 0 shows every rate at once"},
		"a jump of 1":           {args: []string{"--rates.max-jump=1"}, want: "--rates.max-jump=1 is no factor above 1"},
		"a negative jump":       {args: []string{"--rates.max-jump=-2"}, want: "--rates.max-jump=-2 is no factor above 1"},
		"an endless jump":       {args: []string{"--rates.max-jump=Inf"}, want: "--rates.max-jump=+Inf is no factor above 1"},
		"a jump of no number":   {args: []string{"--rates.max-jump=NaN"}, want: "--rates.max-jump=NaN is no factor above 1"},
		"negative delay":        {args: []string{"--web.shutdown-delay=-1s"}, want: "--web.shutdown-delay=-1s is below 0"},
		"no shutdown timeout":   {args: []string{"--web.shutdown-timeout=0s"}, want: "--web.shutdown-timeout=0s is not above 0"},
		"negative requests":     {args: []string{"--web.max-requests=-1"}, want: "--web.max-requests=-1 is below 0; use 0 for no limit"},
		"telemetry path":        {args: []string{"--web.telemetry-path=metrics"}, want: `--web.telemetry-path="metrics" is no path such as /metrics`},
		"telemetry pattern":     {args: []string{"--web.telemetry-path=/{x...}"}, want: "is no path such as /metrics"},
		"telemetry path taken":  {args: []string{"--web.telemetry-path=/-/ready"}, want: `--web.telemetry-path="/-/ready" is taken by another endpoint; /metrics is free`},
		"telemetry dots":        {args: []string{"--web.telemetry-path=/metrics/.."}, want: `--web.telemetry-path="/metrics/.." is no path such as /metrics`},
		"telemetry dot":         {args: []string{"--web.telemetry-path=/./metrics"}, want: "is no path such as /metrics"},
		"telemetry of probes":   {args: []string{"--web.telemetry-path=/-"}, want: "is taken by another endpoint"},
		"telemetry root":        {args: []string{"--web.telemetry-path=/"}, want: "is no path such as /metrics"},
		"external URL":          {args: []string{"--web.external-url=shop.example/rates"}, want: `--web.external-url: "shop.example/rates" has no http:// or https:// with a host behind it; it looks like https://shop.example/rates`},
		"external path":         {args: []string{"--web.external-url=https://shop.example/a//b"}, want: "--web.external-url=https://shop.example/a//b: its path is none of letters, digits, ., _, ~ and -; it looks like https://shop.example/rates"},
		"route prefix":          {args: []string{"--web.route-prefix=/a/../b"}, want: "--web.route-prefix=/a/../b is no path such as /rates"},
		"CORS origin":           {args: []string{"--web.cors.origin=("}, want: `--web.cors.origin=( is no regular expression such as https?://(shop|www)\.example: error parsing regexp`},
		"telemetry of ping":     {args: []string{"--web.telemetry-path=/api/v3/ping"}, want: "is taken by another endpoint"},
		"time zone":             {args: []string{"--screen.timezone=CEST+2"}, want: `--screen.timezone="CEST+2" is no time zone such as Europe/Madrid or UTC`},
		"time zone of here":     {args: []string{"--screen.timezone=Local"}, want: `--screen.timezone="Local" is no time zone such as Europe/Madrid or UTC`},
		"thresholds":            {args: []string{"--screen.thresholds=crypto.2h=0.1"}, want: `--screen.thresholds: "crypto.2h=0.1" is no threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h, 24h, 7d`},
		"thresholds in percent": {args: []string{"--screen.thresholds=btc.1h=5%"}, want: `--screen.thresholds: "btc.1h=5%" has no share above 0, such as 0.05 for 5 %`},
		"basket":                {args: []string{"--screen.basket=49,90 €"}, want: `--screen.basket: "49,90 €" is no amount such as 49.90eur`},
		"basket of nothing":     {args: []string{"--screen.basket=0eur"}, want: `--screen.basket: "0eur" is no amount above 0 and up to a million millions, such as 49.90eur`},
		"history URL":           {args: []string{"--history.prometheus-url=prometheus:9090"}, want: "--history.prometheus-url: \"prometheus:9090\" has no http:// or https:// with a host behind it; it looks like http://prometheus:9090"},
		"history URL, password": {args: []string{"--history.prometheus-url=http://user:pa55 word@h:x"}, want: "--history.prometheus-url: not a URL; it looks like http://prometheus:9090"},
		"history URL, query":    {args: []string{"--history.prometheus-url=http://user:pa55@h?x"}, want: `--history.prometheus-url: "http://h" takes no ? and no #`},
		"history selector":      {args: []string{`--history.selector={job="x"}`}, want: `--history.selector={job="x"} is no list of label matchers; it looks like job="coingecko-exporter",namespace="shop"`},
		"history of simulated":  {args: []string{"--simulate", "--history.prometheus-url=http://p:9090"}, want: "--simulate brings a past of its own; leave out --history.prometheus-url, or leave out --simulate"},
		"web config missing":    {args: []string{"--web.config.file=/nowhere/web.yml"}, want: "--web.config.file=/nowhere/web.yml cannot be used: open /nowhere/web.yml: no such file or directory"},
		"web config bad":        {args: []string{"--web.config.file=" + file(t, "tls: yes")}, want: "field tls not found"},
		"HTTP config missing":   {args: []string{"--coingecko.http-config-file=/nowhere"}, want: "--coingecko.http-config-file=/nowhere cannot be used: open /nowhere: no such file or directory"},
		"HTTP config bad":       {args: []string{"--coingecko.http-config-file=" + file(t, "tls_config: {ca_file: /nowhere}")}, want: "cannot be used"},
		"HTTP config unknown":   {args: []string{"--coingecko.http-config-file=" + file(t, "password: hunter2")}, want: "cannot be used"},
		"no URL":                {args: []string{"--coingecko.url=relay:9880"}, want: `--coingecko.url: "relay:9880" has no http:// or https:// with a host behind it; it looks like https://api.coingecko.com/api/v3`},
		"not a URL":             {args: []string{"--coingecko.url=http://[::1"}, want: "--coingecko.url: not a URL; it looks like https://api.coingecko.com/api/v3"},
		"other scheme":          {args: []string{"--coingecko.url=ftp://host/api/v3"}, want: "has no http:// or https://"},
		"password in a URL":     {args: []string{"--coingecko.url=http://me:hunter2@relay/api/v3"}, want: "--coingecko.url: a user or password in a URL ends up in logs; put it into --coingecko.http-config-file"},
		"key in a URL":          {args: []string{"--coingecko.url=https://relay/api/v3?x_cg_demo_api_key=CG-secret"}, want: `--coingecko.url: "https://relay/api/v3" takes no ? and no #; an API key belongs into --coingecko.api-key-file`},
		"whole path in a URL":   {args: []string{"--coingecko.url=http://relay/api/v3/exchange_rates"}, want: "leave out /exchange_rates, which is appended"},
		"plan without a key":    {args: []string{"--coingecko.plan=demo"}, want: "--coingecko.plan=demo needs a key: set --coingecko.api-key-file, or COINGECKO_API_KEY in the environment"},
		"pro without a key":     {args: []string{"--coingecko.plan=pro"}, want: "--coingecko.plan=pro needs a key"},
		"key without a plan":    {args: []string{"--coingecko.api-key-file=" + key}, want: "--coingecko.plan=keyless takes no API key; set --coingecko.plan=demo or pro, or leave out the key"},
		"key in env, no plan":   {env: "CG-secret", want: "--coingecko.plan=keyless takes no API key"},
		"two keys":              {args: []string{"--coingecko.plan=demo", "--coingecko.api-key-file=" + key}, env: "CG-secret", want: "--coingecko.api-key-file and COINGECKO_API_KEY both hold a key; leave one of them out"},
		"no key file":           {args: []string{"--coingecko.plan=demo", "--coingecko.api-key-file=/nowhere"}, want: "--coingecko.api-key-file: open /nowhere: no such file or directory"},
		"empty key file":        {args: []string{"--coingecko.plan=demo", "--coingecko.api-key-file=" + file(t, " \n")}, want: "is empty; it holds the API key and nothing else"},
		"two lines of key":      {args: []string{"--coingecko.plan=demo", "--coingecko.api-key-file=" + file(t, "CG-secret\nCG-secret")}, want: "holds no API key: one word of ASCII letters and digits"},
		"key with a letter":     {args: []string{"--coingecko.plan=pro"}, env: "CG-secrét", want: "COINGECKO_API_KEY holds no API key: one word of ASCII letters and digits"},
		"simulate with a URL":   {args: []string{"--simulate", "--coingecko.url=http://relay/api/v3"}, want: "--simulate brings an upstream of its own; leave out the flags that begin with --coingecko, or leave out --simulate"},
		"simulate with a plan":  {args: []string{"--simulate", "--coingecko.plan=pro"}, env: "CG-secret", want: "--simulate brings an upstream of its own"},
		"quote":                 {args: []string{"--screen.quote=US Dollar"}, want: `--screen.quote="us dollar" is no code of a currency such as usd`},
		"coins":                 {args: []string{"--screen.coins=btc;eth"}, want: `--screen.coins: "btc;eth" is no code of a coin such as btc; separate codes by commas`},
		"level":                 {args: []string{"--log.level=loud"}, want: "must be one of debug,info,warn,error, got 'loud', try --help"},
		"format":                {args: []string{"--log.format=xml"}, want: "must be one of logfmt,json, got 'xml', try --help"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if code := Run(t.Context(), tc.args, withKeyInEnv(tc.env), &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d", code)
			}
			got := stderr.String()
			if !strings.HasPrefix(got, "coingecko-exporter: error: ") || !strings.Contains(got, tc.want) || strings.Count(got, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("stdout %q, stderr %q, want one line with %q", &stdout, got, tc.want)
			}
			if secrets := strings.NewReplacer("--coingecko.key=CG-secret", "").Replace(got); strings.Contains(secrets, "CG-") || strings.Contains(secrets, "hunter2") {
				t.Errorf("a secret stands in the error: %s", got)
			}
		})
	}
}

func TestUsableSettings(t *testing.T) {
	key := file(t, "CG-0123456789\n")
	for name, tc := range map[string]struct {
		args     []string
		env      string
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
		"long intervals":       {args: []string{"--coingecko.interval=30m"}, interval: 30 * time.Minute, maxAge: 90 * time.Minute},
		"beyond the quota": {
			args: []string{"--coingecko.plan=demo", "--coingecko.interval=60s"}, env: "CG-0123456789",
			interval: time.Minute, maxAge: 10 * time.Minute,
			warning: "--coingecko.interval=1m0s makes 44640 polls in a month of 31 days; the demo plan allows 10000, which last for 6.9 days; 4m29s would do",
		},
		"a key for relays": {
			args: []string{"--coingecko.plan=demo", "--coingecko.url=http://poller:9880/api/v3"}, env: "CG-0123456789",
			interval: 10 * time.Second, maxAge: 10 * time.Minute,
			warning: "the API key is sent to CoinGecko and within this machine only, not to the relays of --coingecko.url",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse(tc.args, withKeyInEnv(tc.env), io.Discard, io.Discard)
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
			if code := Run(t.Context(), append(tc.args, "--config.check"), withKeyInEnv(tc.env), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
				t.Errorf("--config.check: exit code %d, stderr %q", code, &stderr)
			}
			if want := "The configuration is usable.\n"; !strings.HasPrefix(stdout.String(), want) || !strings.Contains(stdout.String(), tc.warning) {
				t.Errorf("--config.check said %q", &stdout)
			}
		})
	}
}

// The interval that the warning recommends is no longer warned of.
func TestRecommendedInterval(t *testing.T) {
	if n := coingecko.PollsPerMonth(4*time.Minute + 29*time.Second); n > 10_000 {
		t.Errorf("%d polls", n)
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
	getenv := func(name string) string { return environment[name] }
	s, err := parse([]string{"--coingecko.interval=30s", "--web.shutdown-delay=1s"}, getenv, io.Discard, io.Discard)
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

	// Help tells the defaults of the program, and a mistake is told with the variable that holds it.
	var help, stderr strings.Builder
	if code := Run(t.Context(), []string{"--help"}, getenv, &help, &stderr); code != 0 || !strings.Contains(help.String(), `--screen.quote="usd"`) {
		t.Errorf("exit code %d, %s%s", code, &help, &stderr)
	}
	if _, err = parse(nil, getenv, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), `COINGECKO_EXPORTER_WEB_SHUTDOWN_DELAY="nonsense that a flag overrides": `) {
		t.Errorf("error %v", err)
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

func TestUpstreamsByHost(t *testing.T) {
	for base, want := range map[string]coingecko.Upstream{
		"https://api.coingecko.com/api/v3": coingecko.CoinGecko,
		"http://coingecko-exporter:9880":   coingecko.Relay,
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := coingecko.UpstreamOf(u); got != want {
			t.Errorf("%s: %s", base, got)
		}
	}
}
