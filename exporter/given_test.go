package exporter

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// fails runs --config.check with settings that are wrong, and gives what it says: one line, and exit code 2.
func fails(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if code := Run(t.Context(), append(args, "--config.check"), environ, &stdout, &stderr); code != exitUsage {
		t.Errorf("%q %q: exit code %d, %s", args, environ, code, &stdout)
	}
	got, ok := strings.CutPrefix(stderr.String(), "coingecko-exporter: error: ")
	if !ok || strings.Count(got, "\n") != 1 || stdout.Len() > 0 {
		t.Errorf("%q %q: stdout %q, stderr %q", args, environ, &stdout, &stderr)
	}
	for _, secret := range []string{"CG-s", "hunter2"} {
		if strings.Contains(got, secret) {
			t.Errorf("a secret stands in the error: %s", got)
		}
	}
	return strings.TrimSuffix(got, "\n")
}

const (
	several  = "several URLs in one; repeat the flag, or give the variable one on each line"
	duration = "no duration, which is a number with a unit: ms, s, m or h"
	noFile   = "it cannot be read: no such file or directory; write the path of a file that is there"
	aFolder  = "it cannot be read: is a directory; write the path of a file"
	noHost   = "the host is neither an IP address nor a name"
	noLabels = "no list of label matchers, as they stand between braces in PromQL, with values in double quotes"
	escaped  = "in user and password, write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25"
	noScheme = "there is no http:// or https:// with a host behind it"
	noKey    = "; keys look like CG- and 24 letters and digits, and come from https://www.coingecko.com/en/developers/dashboard"
)

// Wrong values of each flag, and what is said about each. The line begins with what was given, and ends with the example
// where the problem has none of its own.
var wrongValues = []struct{ flag, value, problem string }{
	{"web.systemd-socket", "yes", "neither true nor false"},
	{"web.systemd-socket", "on", "neither true nor false"},
	{"web.systemd-socket", "2", "neither true nor false"},
	{"web.listen-address", "9880", "there is no colon before the port"},
	{"web.listen-address", ":99999", "the port is not between 0 and 65535"},
	{"web.listen-address", "::1:9880", "an IPv6 address stands in brackets before the colon and the port"},
	{"web.listen-address", "localhost:", "there is no port behind the colon"},
	{"web.listen-address", "http://:9880", "a scheme such as http:// has no place here"},
	{"web.listen-address", "300.1.1.1:9880", noHost},
	{"web.listen-address", "*:9880", noHost},
	{"web.listen-address", ":9880,:9881", "several addresses in one; repeat the flag, or give the variable one on each line"},
	{"web.listen-address", "localhost:9880:9881", "there is more than one colon"},
	{"web.listen-address", `":9880"`, "the port is no number between 0 and 65535; leave out the quotes around it"},
	{"web.config.file", "/nowhere", noFile},
	{"web.config.file", "/", aFolder},
	{"web.config.file", "/nowhere/web.yml", noFile},
	{"web.config.file", "file:///nowhere", "it cannot be read: no such file or directory; leave out the file://"},
	{"web.config.file", "~/web.yml", "it cannot be read: no such file or directory; nobody replaces ~ or $ here: write the whole path"},
	{"web.config.file", `"/nowhere"`, "it cannot be read: no such file or directory; leave out the quotes around it"},
	{"web.telemetry-path", "metrics", "no path, which begins with / and holds letters, digits and ._~-"},
	{"web.telemetry-path", "/metrics/..", "no path, which begins with / and holds letters, digits and ._~-"},
	{"web.telemetry-path", "/", "the screen is there"},
	{"web.telemetry-path", "/metrics/", "leave out the / at its end"},
	{"web.telemetry-path", "/-/ready", "another endpoint has this path"},
	{"web.telemetry-path", "/api/v3/ping", "another endpoint has this path"},
	{"web.external-url", "shop.example/rates", noScheme},
	{"web.external-url", "https://shop.example/a//b", "its path holds more than letters, digits and ._~-"},
	{"web.external-url", "https://shop.example/rates?a=b", "it takes no ? and no #"},
	{"web.external-url", "https://<host>/rates", noHost},
	{"web.external-url", "https://shop.example:99999/", "the port is not between 0 and 65535"},
	{"web.route-prefix", "/a/../b", "no path of letters, digits and ._~-"},
	{"web.route-prefix", "/a b", "no path of letters, digits and ._~-"},
	{"web.route-prefix", "http://shop.example/", "no path of letters, digits and ._~-"},
	{"web.cors.origin", "(", "no regular expression"},
	{"web.cors.origin", "*", "no regular expression"},
	{"web.cors.origin", "[a", "no regular expression"},
	{"web.cors.origin", "https?://(", "no regular expression"},
	{"web.cors.origin", "https://*.shop.example", "it is a regular expression: write .* for any letters, and not *"},
	{"web.cors.origin", "https://shop.example/", "an origin ends without a /"},
	{"web.cors.origin", "shop.example", "an origin begins with http:// or https://"},
	{"web.cors.origin", "https://a.example,https://b.example", "no origin has a space or a quote, and | stands between origins"},
	{"web.max-requests", "many", "no number"},
	{"web.max-requests", "1.5", "no whole number"},
	{"web.max-requests", "99999999999999999999", "too large a number"},
	{"web.max-requests", "-1", "it is below 0; 0 is no limit"},
	{"web.max-connections", "many", "no number"},
	{"web.max-connections", "1.5", "no whole number"},
	{"web.max-connections", "-1", "it is below 0; 0 is no limit"},
	{"web.disable-exporter-metrics", "yes", "neither true nor false"},
	{"web.disable-exporter-metrics", "off", "neither true nor false"},
	{"web.disable-exporter-metrics", "process_*", "neither true nor false"},
	{"web.health-listen-address", "9881", "there is no colon before the port"},
	{"web.health-listen-address", ":http9", "the port is no number between 0 and 65535"},
	{"web.health-listen-address", ":9880", "it is the same port as that of :9880"},
	{"web.health-listen-address", "vsock://:9881", "the health endpoints have no vsock"},
	{"web.shutdown-delay", "5", duration},
	{"web.shutdown-delay", "soon", duration},
	{"web.shutdown-delay", "-1s", "it is below 0"},
	{"web.shutdown-timeout", "5", duration},
	{"web.shutdown-timeout", "never", duration},
	{"web.shutdown-timeout", "0s", "it is not above 0"},
	{"coingecko.url", "relay:9880", noScheme},
	{"coingecko.url", "http://relay:9880", "it does not end in /api/v3"},
	{"coingecko.url", "http://relay/api/v3/exchange_rates", "leave out /exchange_rates, which is appended"},
	{"coingecko.url", "http://a/api/v3,http://b/api/v3", several},
	{"coingecko.url", "http://relay:99999/api/v3", "the port is not between 0 and 65535"},
	{"coingecko.url", "http://[::1", "no URL"},
	{"coingecko.url", "https://https://relay/api/v3", "http:// or https:// stands there twice"},
	{"coingecko.url", "http://a/api/v3,b/api/v3", several},
	{"coingecko.url", `http://a/api/v3\nhttp://b/api/v3`, several},
	{"coingecko.url", "http://<host>/api/v3", noHost},
	{"coingecko.url", "http://${HOST}:9880/api/v3", noHost},
	{"coingecko.url", "http://relay..example/api/v3", noHost},
	{"coingecko.url", "http://300.1.1.1/api/v3", noHost},
	{"coingecko.url", "http://::1:9880/api/v3", "an IPv6 address stands in brackets before the colon and the port"},
	{"coingecko.url", `"http://relay/api/v3"`, "no URL; leave out the quotes around it"},
	{"coingecko.url", "http://relay:0/api/v3", "nobody can be asked at port 0"},
	{"coingecko.url", "http://localhost:9880/api/v3", "this exporter itself listens there"},
	{"coingecko.plan", "free", "none of keyless, demo, pro"},
	{"coingecko.plan", "Demo", "none of keyless, demo, pro"},
	{"coingecko.plan", `"demo"`, "none of keyless, demo, pro; leave out the quotes around it"},
	{"coingecko.http-config-file", "/nowhere", noFile},
	{"coingecko.http-config-file", "/", aFolder},
	{"coingecko.http-config-file", "/nowhere/http.yml", noFile},
	{"coingecko.interval", "60", duration},
	{"coingecko.interval", "9s", "it is below 10s"},
	{"coingecko.interval", "25h", "it is above 24h"},
	{"coingecko.interval", "0", "it is below 10s"},
	{"coingecko.interval", `"5m"`, duration + "; leave out the quotes around it"},
	{"coingecko.timeout", "10", duration},
	{"coingecko.timeout", "ten seconds", duration},
	{"coingecko.timeout", "0s", "it is below 10ms"},
	{"rates.max-age", "10", duration},
	{"rates.max-age", "10 minutes", duration},
	{"rates.max-age", "0s", "rates would be gone at once"},
	{"rates.max-age", "59s", "it is below the interval between polls, --coingecko.interval=1m0s: rates would be gone before the next poll"},
	{"rates.max-jump", "50%", "no number"},
	{"rates.max-jump", "0.5", "no factor above 1; 0 shows every rate at once"},
	{"rates.max-jump", "Inf", "no factor above 1; 0 shows every rate at once"},
	{"screen.quote", "US Dollar", "no code of a currency"},
	{"screen.quote", "€", "no code of a currency"},
	{"screen.quote", "usd,eur", "no code of a currency"},
	{"screen.coins", "btc;eth", "btc;eth is no code of a coin; commas stand between codes"},
	{"screen.coins", "btc,,eth", `"" is no code of a coin; commas stand between codes`},
	{"screen.coins", "btc,eth,BTC", "btc stands there twice"},
	{"screen.coins", "btc eth", `"btc eth" is no code of a coin; commas stand between codes`},
	{"screen.basket", "49,90 €", "no amount of money above 0 with the code of its currency"},
	{"screen.basket", "0eur", "no amount of money above 0 with the code of its currency"},
	{"screen.basket", "50", "no amount of money above 0 with the code of its currency"},
	{"screen.thresholds", "5", `"5" is no threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h, 24h, 7d`},
	{"screen.thresholds", "crypto.2h=0.1", `"crypto.2h=0.1" is no threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h, 24h, 7d`},
	{"screen.thresholds", "btc.1h=5%", `"btc.1h=5%" has no share above 0 and up to 1, such as 0.05 for 5 %`},
	{"screen.thresholds", "btc.1h=5", `"btc.1h=5" has no share above 0 and up to 1, such as 0.05 for 5 %`},
	{"screen.thresholds", "btc.1h=0.1,BTC.1h=0.2", "btc.1h stands there twice"},
	{"screen.timezone", "CEST+2", "no time zone of the IANA database"},
	{"screen.timezone", "Local", "no time zone of the IANA database"},
	{"screen.timezone", "Madrid", "no time zone of the IANA database"},
	{"history.prometheus-url", "prometheus:9090", noScheme},
	{"history.prometheus-url", "http://p:9090:9090", "the port is no number between 0 and 65535"},
	{"history.prometheus-url", "ftp://p:9090", noScheme},
	{"history.prometheus-url", "http://p:9090/?a=b", "it takes no ? and no #"},
	{"history.prometheus-url", "http://p:9090,http://q:9090", "several URLs in one"},
	{"history.prometheus-url", "http://p:9090/graph", "it is the address of Prometheus, with no page or endpoint behind it"},
	{"history.selector", "shop", noLabels},
	{"history.selector", "job=shop", noLabels},
	{"history.selector", "{}", noLabels},
	{"history.selector", `job=~"["`, noLabels},
	{"simulate", "yes", "neither true nor false"},
	{"simulate", "on", "neither true nor false"},
	{"simulate", "2", "neither true nor false"},
	{"log.level", "loud", "none of debug, info, warn, error"},
	{"log.level", "INFO", "none of debug, info, warn, error"},
	{"log.level", "1", "none of debug, info, warn, error"},
	{"log.format", "xml", "none of logfmt, json"},
	{"log.format", "JSON", "none of logfmt, json"},
	{"log.format", "text", "none of logfmt, json"},
}

func TestEveryFlagExplainsItself(t *testing.T) {
	tried := map[string]int{"coingecko.api-key-file": 3, "health.url": 3} // by TestKeys and TestHealthURL
	for _, tc := range wrongValues {
		tried[tc.flag]++
		ofFile := strings.HasPrefix(tc.problem, "it cannot be read")
		for _, name := range []string{"--" + tc.flag, variable(tc.flag)} {
			want := name + "=" + shown(tc.value) + ": " + tc.problem
			if !ofFile {
				want += "; for example " + sample(name, tc.flag)
			}
			var got string
			if strings.HasPrefix(name, "--") {
				if strings.HasPrefix(tc.problem, "neither") {
					want = name + "=" + tc.value + ": it takes no value; write " + name + ", or --no-" + tc.flag
				}
				got = fails(t, nil, name+"="+tc.value)
			} else {
				got = fails(t, []string{name + "=" + tc.value})
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
	for _, f := range newApp(&settings{}).Model().Flags {
		if isAction(f.Name) {
			continue
		}
		if tried[f.Name] < 3 {
			t.Errorf("%d wrong values of --%s", tried[f.Name], f.Name)
		}
		// The example works, but where it names a file or needs something else.
		args, value := []string{"--config.check"}, examples[f.Name]
		switch f.Name {
		case "web.config.file", "coingecko.http-config-file", "coingecko.api-key-file", "coingecko.plan":
			continue
		case "health.url":
			continue // it goes with --health.check, which asks
		}
		var stdout, stderr strings.Builder
		if code := Run(t.Context(), args, []string{variable(f.Name) + "=" + value}, &stdout, &stderr); value == "" || code != exitOK {
			t.Errorf("--%s: the example %q: exit code %d, %s", f.Name, value, code, &stderr)
		}
	}
}

// What no single value is to blame for.
func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := write("key", "CG-secret0123456789")
	empty := write("empty", "")
	hash := write("hash.yml", "basic_auth_users: {anna: hunter2}")
	text := write("text.yml", "basic_auth_users: hunter2")
	pair := write("pair.yml", "tls_server_config: {cert_file: empty, key_file: empty}")
	ca := write("ca.yml", "tls_server_config: {cert_file: c, key_file: k, client_ca_file: empty, client_auth_type: RequireAndVerifyClientCert}")
	proxy := write("proxy.yml", "proxy_url: 'http://me:hunter2/x@proxy:3128'")
	bare := write("bare.yml", "proxy_url: proxy:3128")
	clientCA := write("clientca.yml", "tls_config: {ca_file: empty}")
	password := write("password.yml", "basic_auth: {username: me, password_file: nowhere}")
	basic := write("basic.yml", "basic_auth: hunter2")
	unknown := write("unknown.yml", "password: hunter2")
	half := write("half.yml", "basic_auth_users: {anna: $2y$10$hunter2hunter2}")
	versions := write("versions.yml", "tls_server_config: {min_version: TLS13, max_version: TLS12}")
	token := write("token.yml", "oauth2: {client_id: me, client_secret: hunter2, token_url: 'me:hunter2@idp'}")
	headers := write("headers.yml", "http_headers: {X-Team: {files: [nowhere]}}")
	bearer := write("bearer.yml", `authorization: {credentials: "hunter2\n"}`)
	const (
		proxyURL = "no URL of a proxy, such as http://user:password@proxy:3128; " + escaped
		demo     = "--coingecko.plan=demo"
		http     = "--coingecko.http-config-file="
		web      = "--web.config.file="
	)
	for _, tc := range []struct {
		args []string
		env  []string
		want string
	}{
		{[]string{"--coingecko.intervall=5m"}, nil, "--coingecko.intervall: there is no such flag; did you mean --coingecko.interval?"},
		{[]string{"--plan=demo"}, nil, "--plan: there is no such flag; did you mean --coingecko.plan?"},
		{[]string{"--coingecko.key=CG-secret"}, nil, "--coingecko.key: there is no such flag; did you mean --coingecko.api-key-file?"},
		{[]string{"--nonsense-at-all"}, nil, "--nonsense-at-all: there is no such flag; --help lists them"},
		{[]string{"-simulate"}, nil, "-simulate: there is no such flag; did you mean --simulate?"},
		{[]string{"--url=x"}, nil, "--url: there is no such flag; did you mean --coingecko.url?"},
		{[]string{"--port=9880"}, nil, "--port: there is no such flag; did you mean --web.listen-address?"},
		{[]string{"--", "--simulate"}, nil, "--simulate: it stands behind --, where no flag is read; leave out the --"},
		{[]string{"--simulate", "false"}, nil, "--simulate=false: it takes no value; write --simulate, or --no-simulate"},
		{[]string{"--version=1"}, nil, "--version=1: it takes no value; write --version"},
		{[]string{"--health.check"}, nil, "--config.check does not go with --health.check; leave out one of them"},
		{[]string{"--config.check"}, nil, "--config.check is given twice; give it once, for example --config.check"},
		{[]string{"me:hunter2@relay"}, nil, "<password>@relay: flags begin with -- and hold their value behind a =; for example --log.level=info"},
		{[]string{"--coingecko.interval"}, nil, "--coingecko.interval has no value; for example --coingecko.interval=5m"},
		{[]string{"COINGECKO_API_KEY=hunter2"}, nil, "COINGECKO_API_KEY=<value>: a variable is set before the command and not behind it"},
		{[]string{"now"}, nil, "now: flags begin with -- and hold their value behind a =; for example --log.level=info"},
		{[]string{"CG-secret"}, nil, "<key>: flags begin with -- and hold their value behind a =; for example --log.level=info"},
		{[]string{"--log.level=info", "--log.level=warn"}, nil, "--log.level is given twice; give it once, for example --log.level=info"},

		{[]string{"--web.listen-address=:1", "--web.listen-address=127.0.0.1:1"}, nil, "--web.listen-address=127.0.0.1:1: it is the same port as that of :1; for example --web.listen-address=:9880"},
		{[]string{"--health.url=http://rates:9880"}, nil, "--health.url=http://rates:9880: it goes with --health.check, which is not given; for example --health.url=http://rates:9880"},
		{[]string{"--coingecko.url=http://me:hunter2@relay/api/v3"}, nil, "--coingecko.url=http://<password>@relay/api/v3: a user or password in a URL ends up in logs; put it into --coingecko.http-config-file; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--coingecko.url=https://relay/api/v3?x=CG-secret"}, nil, "--coingecko.url=https://relay/api/v3?<secret>: it takes no ? and no #; an API key belongs into --coingecko.api-key-file; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--coingecko.url=me:hunter2@relay/api/v3"}, nil, "--coingecko.url=<password>@relay/api/v3: there is no http:// or https:// with a host behind it; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--coingecko.url=http://me:hunter2/x@relay/api/v3"}, nil, "--coingecko.url=http://<password>@relay/api/v3: a user or password in a URL ends up in logs; put it into --coingecko.http-config-file; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--coingecko.url=http://relay/api/v3 "}, nil, `--coingecko.url="http://relay/api/v3 ": it does not end in /api/v3; leave out the space around it; for example --coingecko.url=https://api.coingecko.com/api/v3`},
		{[]string{"--coingecko.url=relay/api/v3?key=hunter2"}, nil, "--coingecko.url=relay/api/v3?<secret>: there is no http:// or https:// with a host behind it; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--web.external-url=http://me:hunter2@shop.example"}, nil, "--web.external-url=http://<password>@shop.example: a user or password in a URL ends up in logs; leave it out; for example --web.external-url=https://shop.example/rates"},
		{[]string{"--history.prometheus-url=http://me:hun/ter2@p:9090"}, nil, "--history.prometheus-url=http://<password>@p:9090: " + escaped + "; for example --history.prometheus-url=http://prometheus:9090"},
		{[]string{"--history.prometheus-url=http://me:hunter2@p:x"}, nil, "--history.prometheus-url=http://<password>@p:x: the port is no number between 0 and 65535; for example --history.prometheus-url=http://prometheus:9090"},
		{[]string{"--coingecko.url=https://Pro-API.coingecko.com./api/v3"}, nil, "--coingecko.url=https://Pro-API.coingecko.com./api/v3: that is the host of plan pro, and --coingecko.plan is keyless; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{nil, []string{"COINGECKO_EXPORTER_COINGECKO_PLAN=pro", "COINGECKO_EXPORTER_COINGECKO_URL=https://api.coingecko.com/api/v3"}, "COINGECKO_EXPORTER_COINGECKO_URL=https://api.coingecko.com/api/v3: that is the host of plan keyless and demo, and COINGECKO_EXPORTER_COINGECKO_PLAN is pro; for example COINGECKO_EXPORTER_COINGECKO_URL=https://pro-api.coingecko.com/api/v3"},
		{[]string{"--simulate", "--coingecko.url=http://relay/api/v3"}, nil, "--coingecko.url=http://relay/api/v3 does not go with --simulate, which brings rates of its own; leave out one of them"},
		{[]string{"--simulate"}, []string{"COINGECKO_EXPORTER_COINGECKO_PLAN=pro"}, "COINGECKO_EXPORTER_COINGECKO_PLAN=pro does not go with --simulate, which brings rates of its own; leave out one of them"},
		{[]string{"--simulate", "--history.prometheus-url=http://p:9090"}, nil, "--history.prometheus-url=http://p:9090 does not go with --simulate, which brings rates of its own; leave out one of them"},

		{[]string{web + hash}, nil, web + hash + `: the password of user "anna" in basic_auth_users is no hash of bcrypt; make one with htpasswd -nB anna, and write what stands behind the colon`},
		{[]string{web + text}, nil, web + text + ": line 1: a text stands where a group of fields belongs; " + webConfigForm},
		{[]string{web + half}, nil, web + half + `: the password of user "anna" in basic_auth_users is no hash of bcrypt; make one with htpasswd -nB anna, and write what stands behind the colon`},
		{[]string{web + versions}, nil, web + versions + ": min_version in tls_server_config is above max_version"},
		{[]string{http + token}, nil, http + token + ": oauth2.token_url: there is no http:// or https:// with a host behind it"},
		{[]string{http + headers}, nil, http + headers + ": http_headers.X-Team.files[0] " + dir + "/nowhere: " + noFile},
		{[]string{http + bearer}, nil, http + bearer + ": authorization.credentials holds the end of a line; leave it out"},
		{[]string{web + pair}, nil, web + pair + ": cert_file " + empty + " and key_file " + empty + " are no pair of PEM files: failed to find any PEM data in certificate input"},
		{[]string{web + ca}, nil, web + ca + ": cert_file " + dir + "/c: " + noFile},
		{[]string{http + proxy}, nil, http + proxy + ": proxy_url is " + proxyURL},
		{[]string{http + bare}, nil, http + bare + ": proxy_url is " + proxyURL},
		{[]string{http + clientCA}, nil, http + clientCA + ": tls_config.ca_file " + empty + " holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----"},
		{[]string{http + password}, nil, http + password + ": basic_auth.password_file " + dir + "/nowhere: " + noFile},
		{[]string{http + basic}, nil, http + basic + ": line 1: a text stands where a group of fields belongs; " + httpConfigForm},
		{[]string{http + unknown}, nil, http + unknown + ": line 1: there is no field password; " + httpConfigForm},
		{nil, []string{"HTTPS_PROXY=http://me:hunter2@proxy:x"}, "HTTPS_PROXY=http://<password>@proxy:x: " + proxyURL},
		{[]string{"--coingecko.url=http://relay/api/v3"}, []string{"http_proxy=ftp://me:hunter2@proxy"}, "http_proxy=ftp://<password>@proxy: " + proxyURL},

		{[]string{demo}, nil, "--coingecko.plan=demo: the plan needs a key; set --coingecko.api-key-file=/run/secrets/coingecko_api_key, or COINGECKO_API_KEY in the environment"},
		{[]string{demo}, []string{"COINGECKO_DEMO_API_KEY=CG-secret0123456789"}, "--coingecko.plan=demo: the plan needs a key; set --coingecko.api-key-file=/run/secrets/coingecko_api_key, or COINGECKO_API_KEY in the environment; COINGECKO_DEMO_API_KEY is not read; did you mean COINGECKO_API_KEY"},
		{[]string{"--coingecko.api-key-file=" + key}, nil, "--coingecko.api-key-file is set, and --coingecko.plan=keyless takes no API key; set --coingecko.plan=demo or pro, or leave out the key"},
		{nil, []string{"COINGECKO_API_KEY=CG-secret"}, "COINGECKO_API_KEY is set, and --coingecko.plan=keyless takes no API key; set --coingecko.plan=demo or pro, or leave out the key"},
		{[]string{demo, "--coingecko.api-key-file=" + key}, []string{"COINGECKO_API_KEY=CG-secret"}, "--coingecko.api-key-file and COINGECKO_API_KEY both give a key; leave one of them out"},
		{[]string{demo, "--coingecko.api-key-file=CG-secret0123456789"}, nil, "--coingecko.api-key-file=<key>: it names the file that holds the key, and not the key; for example --coingecko.api-key-file=/run/secrets/coingecko_api_key"},
		{[]string{demo, "--coingecko.api-key-file=/nowhere"}, nil, "--coingecko.api-key-file=/nowhere: " + noFile},
		{[]string{demo}, []string{"COINGECKO_EXPORTER_COINGECKO_API_KEY_FILE=/"}, "COINGECKO_EXPORTER_COINGECKO_API_KEY_FILE=/: " + aFolder},
	} {
		if got := fails(t, tc.env, tc.args...); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

// A key with something around it is no key, wherever it comes from.
func TestKeys(t *testing.T) {
	var utf16le strings.Builder
	utf16le.WriteString("\xFF\xFE")
	for _, u := range utf16.Encode([]rune("CG-secret0123456789")) {
		utf16le.Write(binary.LittleEndian.AppendUint16(nil, u))
	}
	for _, tc := range []struct{ key, problem string }{
		{" \n", "it is empty; it holds the API key and nothing else"},
		{`"CG-secret0123456789"`, "there are quotes around the key; leave them out"},
		{`'CG-secret0123456789'`, "there are quotes around the key; leave them out"},
		{"“CG-secret0123456789”", "there are quotes around the key; leave them out"},
		{"Q0ctc2VjcmV0MDEyMzQ1Njc4OQ==", "the key is in base64; write what it stands for"},
		{"CG-s1", "it is too short for a key"},
		{"key=CG-secret0123456789", "something stands before the key, such as key=; leave that out"},
		{"x-cg-demo-api-key: CG-secret0123456789", "something stands before the key, such as key=; leave that out"},
		{"YOUR_API_KEY", "it holds a placeholder and no key"},
		{"<key>", "it holds a placeholder and no key"},
		{"${COINGECKO_API_KEY}", "it holds a placeholder and no key"},
		{"changeme", "it holds a placeholder and no key"},
		{"CG-xxxxxxxxxxxxxxxxxxxxxxxx", "it holds a placeholder and no key"},
		{"CG-secret\nCG-secret", "there is more than one word; it holds the API key and nothing else"},
		{"CG-secrét", "it holds no API key, which is made of ASCII letters, digits and hyphens"},
		{"\uFEFFCG-secret0123456789", "the file begins with a byte order mark; save it as UTF-8 without one"},
		{"C\x00G\x00-\x00", "the file is in UTF-16, or no text; save it as UTF-8 or ASCII"},
		{utf16le.String(), "the file is in UTF-16; save it as UTF-8 or ASCII"},
	} {
		path := file(t, tc.key)
		from := "--coingecko.api-key-file=" + path
		if got := fails(t, nil, "--coingecko.plan=demo", from); got != from+": "+tc.problem+noKey && got != from+": "+tc.problem {
			t.Errorf("got  %s\nwant %s", got, tc.problem)
		}
		if strings.TrimSpace(tc.key) == "" || strings.Contains(tc.problem, "the file") {
			continue
		}
		if got := fails(t, []string{"COINGECKO_API_KEY=" + tc.key}, "--coingecko.plan=demo"); got != "COINGECKO_API_KEY: "+tc.problem+noKey {
			t.Errorf("got  %s\nwant %s", got, tc.problem)
		}
	}
}

// What images, Compose files and Kubernetes set keeps nothing from starting, and what is mistyped is told.
func TestVariablesThatAreNoSettings(t *testing.T) {
	env := newEnvironment([]string{
		"COINGECKO_EXPORTER_VERSION=1.2.3", "COINGECKO_EXPORTER_HELP=yes", "COINGECKO_EXPORTER_HELP_MAN=x", "COINGECKO_EXPORTER_COMPLETION_BASH=x",
		"COINGECKO_EXPORTER_CONFIG_CHECK=no", "COINGECKO_EXPORTER_HEALTH_CHECK=CMD", "COINGECKO_EXPORTER_HEALTH_URL=http://rates:9880",
		"COINGECKO_EXPORTER_PLAN=demo", "COINGECKO_EXPORTER_COINGECKO_INTERVALL=5m", "COINGECKO_EXPORTER_COINGECKO_API_KEY=CG-secret",
		"COINGECKO_EXPORTER_IMAGE_DIGEST_OF_SOMETHING=x", "COINGECKO_EXPORTER_URL=x", "COINGECKO_EXPORTER_PORT_NUMBER=1",
		"COINGECKO_API_KEY_FILE=x", "coingecko_api_key=x", "export COINGECKO_EXPORTER_LOG_LEVEL=debug", "coingecko_exporter_simulate=true", "COINGEKO_EXPORTER_SIMULATE=true",
		"COINGECKO_SERVICE_HOST=10.0.0.3", "COINGECKO_PORT=tcp://10.0.0.3:80", "OTHER_EXPORTER_LOG_LEVEL=x",
		"COINGECKO_EXPORTER_SERVICE_HOST=10.0.0.1", "COINGECKO_EXPORTER_SERVICE_PORT_HTTP=9880", "COINGECKO_EXPORTER_PORT=tcp://10.0.0.1:9880", "COINGECKO_EXPORTER_PORT_9880_TCP_ADDR=10.0.0.1",
		"COINGECKO_EXPORTER_POLLER_SERVICE_HOST=10.0.0.2", "COINGECKO_EXPORTER_POLLER_PORT_9880_TCP=tcp://10.0.0.2:9880",
	})
	var out strings.Builder
	s, err := parse(nil, env, &out, &out)
	if err != nil || out.Len() > 0 {
		t.Fatalf("error %v, %s", err, &out)
	}
	want := `COINGECKO_API_KEY_FILE is not read; did you mean COINGECKO_EXPORTER_COINGECKO_API_KEY_FILE?
COINGECKO_EXPORTER_COINGECKO_API_KEY is not read: there is no such setting; did you mean COINGECKO_API_KEY?
COINGECKO_EXPORTER_COINGECKO_INTERVALL is not read: there is no such setting; did you mean COINGECKO_EXPORTER_COINGECKO_INTERVAL?
COINGECKO_EXPORTER_COMPLETION_BASH is not read: --completion-bash is given as an argument only
COINGECKO_EXPORTER_CONFIG_CHECK is not read: --config.check is given as an argument only
COINGECKO_EXPORTER_HEALTH_CHECK is not read: --health.check is given as an argument only
COINGECKO_EXPORTER_HELP is not read: --help is given as an argument only
COINGECKO_EXPORTER_HELP_MAN is not read: --help-man is given as an argument only
COINGECKO_EXPORTER_IMAGE_DIGEST_OF_SOMETHING is not read: there is no such setting
COINGECKO_EXPORTER_PLAN is not read: there is no such setting; did you mean COINGECKO_EXPORTER_COINGECKO_PLAN?
COINGECKO_EXPORTER_PORT_NUMBER is not read: there is no such setting
COINGECKO_EXPORTER_URL is not read: there is no such setting; did you mean COINGECKO_EXPORTER_COINGECKO_URL?
COINGECKO_EXPORTER_VERSION is not read: --version is given as an argument only
COINGEKO_EXPORTER_SIMULATE is not read; did you mean COINGECKO_EXPORTER_SIMULATE?
coingecko_api_key is not read; did you mean COINGECKO_API_KEY?
coingecko_exporter_simulate is not read; did you mean COINGECKO_EXPORTER_SIMULATE?
"export COINGECKO_EXPORTER_LOG_LEVEL" is not read; did you mean COINGECKO_EXPORTER_LOG_LEVEL?`
	if got := strings.Join(s.warnings(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s.check || s.healthCheck {
		t.Error("a variable made the program do something else")
	}
}

// What can be run, and probably should not.
func TestWarnings(t *testing.T) {
	for args, want := range map[string]string{
		"--coingecko.url=https://www.coingecko.com/api/v3":           "--coingecko.url=https://www.coingecko.com/api/v3: no plan has this host; CoinGecko's API is at https://api.coingecko.com/api/v3",
		"--coingecko.url=http://api.coingecko.com/api/v3":            "--coingecko.url=http://api.coingecko.com/api/v3: CoinGecko is asked by https://; write that",
		"--coingecko.url=https://api.coingeko.com/api/v3":            "--coingecko.url=https://api.coingeko.com/api/v3: that is no host of CoinGecko, and counts as another exporter; did you mean https://api.coingecko.com/api/v3?",
		"--coingecko.url=http://relay:9880/api/v3":                   "",
		"--web.listen-address=:1 --web.systemd-socket --no-simulate": "--web.listen-address=:1 is not read: --web.systemd-socket is set, and systemd listens",
		"--simulate": "",
	} {
		var out strings.Builder
		s, err := parse(strings.Fields(args), environment{"LISTEN_FDS": "1"}, &out, &out)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.warnings(), "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", args, got, want)
		}
	}
}
