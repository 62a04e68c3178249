package exporter

import (
	"path/filepath"
	"strings"
	"testing"
)

// fails runs --config.check with invalid settings and returns its error: one line, with exit code 2.
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
	several  = "contains several URLs; repeat the flag, or write one per line in the variable"
	duration = "not a duration; write a number with a unit: ms, s, m, h, d or w"
	noFile   = "cannot be read: no such file or directory; write the path of an existing file"
	aFolder  = "cannot be read: is a directory; write the path of a file"
	noHost   = "the host is neither an IP address nor a host name"
	noLabels = "not a list of PromQL label matchers without braces and with values in double quotes"
	escaped  = "in user and password, escape @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25"
	noScheme = "must begin with http:// or https:// and a host"
	noKey    = "; keys look like CG- and 24 letters and digits, get one at https://www.coingecko.com/en/developers/dashboard"
)

// Invalid values of each flag and their errors. The error begins with the setting and ends with an example, unless it has one already.
var wrongValues = []struct{ flag, value, problem string }{
	{"web.systemd-socket", "yes", "must be true or false"},
	{"web.listen-address", "9880", "the colon before the port is missing"},
	{"web.listen-address", ":99999", "the port must be between 0 and 65535"},
	{"web.listen-address", "::1:9880", "an IPv6 address must be in brackets"},
	{"web.listen-address", "localhost:", "the port after the colon is missing"},
	{"web.listen-address", "http://:9880", "must not begin with a scheme such as http://"},
	{"web.listen-address", "300.1.1.1:9880", noHost},
	{"web.listen-address", "*:9880", noHost},
	{"web.listen-address", ":9880,:9881", "contains several addresses; repeat the flag, or write one per line in the variable"},
	{"web.listen-address", "localhost:9880:9881", "there is more than one colon"},
	{"web.listen-address", `":9880"`, "the port is not a number between 0 and 65535; remove the quotes around it"},
	{"web.config.file", "/nowhere", noFile},
	{"web.config.file", "/", aFolder},
	{"web.config.file", "file:///nowhere", "cannot be read: no such file or directory; remove file://"},
	{"web.config.file", "~/web.yml", "cannot be read: no such file or directory; ~ and $ are not expanded, write the full path"},
	{"web.config.file", `"/nowhere"`, "cannot be read: no such file or directory; remove the quotes around it"},
	{"web.telemetry-path", "metrics", "not a path that begins with / and consists of letters, digits and ._~-"},
	{"web.telemetry-path", "/", "the screen uses this path"},
	{"web.telemetry-path", "/metrics/", "remove the trailing slash"},
	{"web.telemetry-path", "/-/ready", "another endpoint uses this path"},
	{"web.telemetry-path", "/api/v3/ping", "another endpoint uses this path"},
	{"web.external-url", "shop.example/rates", noScheme},
	{"web.external-url", "https://shop.example/a//b", "the path must consist of letters, digits and ._~-"},
	{"web.external-url", "https://shop.example/rates?a=b", "must not contain ? or #"},
	{"web.external-url", "https://<host>/rates", noHost},
	{"web.route-prefix", "/a/../b", "not a path of letters, digits and ._~-"},
	{"web.cors.origin", "*", "this is a regular expression; write .* instead of *"},
	{"web.cors.origin", "https?://(", "not a valid regular expression"},
	{"web.cors.origin", "https://*.shop.example", "this is a regular expression; write .* instead of *"},
	{"web.cors.origin", "https://shop.example/", "an origin has no trailing slash"},
	{"web.cors.origin", "shop.example", "an origin must begin with http:// or https://"},
	{"web.cors.origin", "https://a.example,https://b.example", "an origin has no spaces or quotes; separate origins with |"},
	{"web.max-requests", "many", "not a number"},
	{"web.max-requests", "1.5", "not a whole number"},
	{"web.max-requests", "99999999999999999999", "the number is too large"},
	{"web.max-requests", "-1", "must not be negative; 0 means no limit"},
	{"web.max-connections", "-1", "must not be negative; 0 means no limit"},
	{"web.disable-exporter-metrics", "yes", "must be true or false"},
	{"web.health-listen-address", ":9880", "uses the same port as :9880"},
	{"web.health-listen-address", "vsock://:9881", "the health endpoints cannot use vsock"},
	{"web.shutdown-delay", "-1s", "must not be negative"},
	{"web.shutdown-timeout", "0s", "must be above 0"},
	{"coingecko.url", "relay:9880", noScheme},
	{"coingecko.url", "http://relay:9880", "must end in /api/v3"},
	{"coingecko.url", "http://relay/api/v3/exchange_rates", "remove /exchange_rates, which the exporter appends"},
	{"coingecko.url", "http://a/api/v3,http://b/api/v3", several},
	{"coingecko.url", "http://relay:99999/api/v3", "the port must be between 0 and 65535"},
	{"coingecko.url", "http://[::1", "not a URL"},
	{"coingecko.url", "https://https://relay/api/v3", "http:// or https:// appears twice"},
	{"coingecko.url", "http://a/api/v3,b/api/v3", several},
	{"coingecko.url", `http://a/api/v3\nhttp://b/api/v3`, several},
	{"coingecko.url", "http://${HOST}:9880/api/v3", noHost},
	{"coingecko.url", "http://relay..example/api/v3", noHost},
	{"coingecko.url", "http://::1:9880/api/v3", "an IPv6 address must be in brackets"},
	{"coingecko.url", "http://relay:0/api/v3", "port 0 cannot be used"},
	{"coingecko.url", "http://localhost:9880/api/v3", "this is the exporter's own listen address"},
	{"coingecko.plan", "free", "must be one of keyless, demo, pro"},
	{"coingecko.http-config-file", "/nowhere", noFile},
	{"coingecko.interval", "60", duration},
	{"coingecko.interval", "9s", "must be at least 10s"},
	{"coingecko.interval", "25h", "must be at most 24h"},
	{"coingecko.interval", "0d", "must be at least 10s"},
	{"coingecko.timeout", "0s", "must be at least 10ms"},
	{"coingecko.timeout", "1h", "must not be above --rates.max-age=10m0s; rates would expire during a poll"},
	{"rates.max-age", "0w", "rates would expire at once"},
	{"rates.max-age", "59s", "must not be below the poll interval --coingecko.interval=1m0s; rates would expire before the next poll"},
	{"rates.max-jump", "50%", "not a number"},
	{"rates.max-jump", "0.5", "must be above 1, or 0 for no limit"},
	{"rates.max-jump", "Inf", "must be above 1, or 0 for no limit"},
	{"screen.quote", "US Dollar", "not a currency code"},
	{"screen.quote", "usd,eur", "not a currency code"},
	{"screen.coins", "btc;eth", "btc;eth is not a coin code; separate codes with commas"},
	{"screen.coins", "btc,,eth", `"" is not a coin code; separate codes with commas`},
	{"screen.coins", "btc,eth,BTC", "btc is listed twice"},
	{"screen.coins", "btc eth", `"btc eth" is not a coin code; separate codes with commas`},
	{"screen.basket", "49,90 €", `"49,90 €" is not an amount with a currency code`},
	{"screen.basket", "1e9eur", `"1e9eur" is not an amount with a currency code`},
	{"screen.basket", "0eur", `"0eur" is not above 0 and up to 1,000,000,000,000`},
	{"screen.thresholds", "5", `"5" is not a threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h and 24h`},
	{"screen.thresholds", "crypto.2h=0.1", `"crypto.2h=0.1" is not a threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h and 24h`},
	{"screen.thresholds", "btc.7d=0.3", `"btc.7d=0.3" is not a threshold such as crypto.1h=0.05 or btc.24h=0.1; windows are 15m, 1h and 24h`},
	{"screen.thresholds", "btc.1h=5%", `"btc.1h=5%" has no ratio above 0 and up to 1, such as 0.05 for 5 %`},
	{"screen.thresholds", "btc.1h=5", `"btc.1h=5" has no ratio above 0 and up to 1, such as 0.05 for 5 %`},
	{"screen.thresholds", "btc.1h=0.1,BTC.1h=0.2", "btc.1h is listed twice"},
	{"screen.timezone", "CEST+2", "not a time zone of the IANA database"},
	{"screen.timezone", "Local", "not a time zone of the IANA database"},
	{"history.prometheus-url", "ftp://p:9090", noScheme},
	{"history.prometheus-url", "http://p:9090/graph", "must be the URL of Prometheus without a page or endpoint"},
	{"history.selector", "job=shop", noLabels},
	{"history.selector", `job=~"["`, noLabels},
	{"history.selector", `__name__="up"`, noLabels},
	{"simulate", "yes", "must be true or false"},
	{"log.level", "loud", "must be one of debug, info, warn, error"},
	{"log.format", "xml", "must be one of logfmt, json"},
}

func TestEveryFlagExplainsItself(t *testing.T) {
	tried := map[string]bool{"coingecko.api-key-file": true, "health.url": true} // by TestKeys and TestHealthCheck
	for _, tc := range wrongValues {
		tried[tc.flag] = true
		for _, name := range []string{"--" + tc.flag, variable(tc.flag)} {
			setting := name + "=" + tc.value
			args, environ := []string{setting}, []string(nil)
			if name == variable(tc.flag) {
				args, environ = environ, args
			}
			want := name + "=" + shown(tc.value) + ": " + tc.problem
			switch {
			case tc.problem == "must be true or false" && environ == nil:
				want = setting + ": the flag takes no value; write " + name + ", or --no-" + tc.flag
			case tc.flag == "coingecko.url":
				want += "; for example " + name + "=http://poller:9880/api/v3"
			case !strings.HasPrefix(tc.problem, "cannot be read"):
				want += "; for example " + with(name, examples[tc.flag])
			}
			if got := fails(t, environ, args...); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
	for _, f := range newApp(&settings{}).Model().Flags {
		if isAction(f.Name) {
			continue
		}
		if !tried[f.Name] {
			t.Errorf("no wrong value of --%s", f.Name)
		}
		switch f.Name {
		case "web.config.file", "coingecko.http-config-file", "coingecko.api-key-file", "coingecko.plan", "health.url":
			continue // the example names a file or needs something else
		}
		var out strings.Builder
		example := variable(f.Name) + "=" + examples[f.Name]
		if code := Run(t.Context(), []string{"--config.check"}, []string{example}, &out, &out); examples[f.Name] == "" || code != exitOK {
			t.Errorf("%s: exit code %d, %s", example, code, &out)
		}
	}
}

// Errors that do not concern a single value.
func TestWrongSettings(t *testing.T) {
	key := file(t, "CG-secret0123456789")
	const demo = "--coingecko.plan=demo"
	for _, tc := range []struct {
		args []string
		env  []string
		want string
	}{
		{[]string{"--coingecko.intervall=5m"}, nil, "--coingecko.intervall: unknown flag; did you mean --coingecko.interval?"},
		{[]string{"--plan=demo"}, nil, "--plan: unknown flag; did you mean --coingecko.plan?"},
		{[]string{"--coingecko.key=CG-secret"}, nil, "--coingecko.key: unknown flag; did you mean --coingecko.api-key-file?"},
		{[]string{"--nonsense-at-all"}, nil, "--nonsense-at-all: unknown flag; --help lists them"},
		{[]string{"-simulate"}, nil, "-simulate: unknown flag; did you mean --simulate?"},
		{[]string{"--url=x"}, nil, "--url: unknown flag; did you mean --coingecko.url?"},
		{[]string{"--port=9880"}, nil, "--port: unknown flag; did you mean --web.listen-address?"},
		{[]string{"--", "--simulate"}, nil, "--simulate: flags after -- are not read; remove the --"},
		{[]string{"--simulate", "false"}, nil, "--simulate=false: the flag takes no value; write --simulate, or --no-simulate"},
		{[]string{"--version=1"}, nil, "--version=1: the flag takes no value; write --version"},
		{[]string{"--health.check"}, nil, "--config.check and --health.check cannot be used together; remove one of them"},
		{[]string{"--config.check"}, nil, "--config.check is set twice; set it once, for example --config.check"},
		{[]string{"me:hunter2@relay"}, nil, "<password>@relay: unexpected argument; write flags as --flag=value, for example --log.level=info"},
		{[]string{"--coingecko.interval"}, nil, "--coingecko.interval has no value; for example --coingecko.interval=5m"},
		{[]string{"COINGECKO_API_KEY=hunter2"}, nil, "COINGECKO_API_KEY=<value>: set a variable before the command, not after it"},
		{[]string{"CG-secret"}, nil, "<key>: unexpected argument; write flags as --flag=value, for example --log.level=info"},
		{[]string{"--log.level=info", "--log.level=warn"}, nil, "--log.level is set twice; set it once, for example --log.level=info"},

		{[]string{"--web.listen-address=:1", "--web.listen-address=127.0.0.1:1"}, nil, "--web.listen-address=127.0.0.1:1: uses the same port as :1; for example --web.listen-address=:9880"},
		{
			[]string{"--web.listen-address=:9880", "--web.listen-address=:9881", "--web.listen-address=:9882", "--web.listen-address=:9882"},
			nil,
			"--web.listen-address=:9882: uses the same port as :9882; for example --web.listen-address=:9883",
		},
		{[]string{"--health.url=http://rates:9880"}, nil, "--health.url=http://rates:9880: requires --health.check; for example --health.url=http://rates:9880"},
		{[]string{"--coingecko.url=http://me:hunter2@relay/api/v3"}, nil, "--coingecko.url=http://<password>@relay/api/v3: a user or password in the URL would be logged; use --coingecko.http-config-file; for example --coingecko.url=http://poller:9880/api/v3"},
		{[]string{"--coingecko.url=https://relay/api/v3?x=CG-secret"}, nil, "--coingecko.url=https://relay/api/v3?<secret>: must not contain ? or #; set an API key with --coingecko.api-key-file; for example --coingecko.url=http://poller:9880/api/v3"},
		{[]string{"--coingecko.url=me:hunter2@relay/api/v3"}, nil, "--coingecko.url=<password>@relay/api/v3: must begin with http:// or https:// and a host; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--coingecko.url=http://me:hunter2/x@relay/api/v3"}, nil, "--coingecko.url=http://<password>@relay/api/v3: a user or password in the URL would be logged; use --coingecko.http-config-file; for example --coingecko.url=http://poller:9880/api/v3"},
		{[]string{"--coingecko.url=http://relay/api/v3 "}, nil, `--coingecko.url="http://relay/api/v3 ": must end in /api/v3; remove the space around it; for example --coingecko.url=http://poller:9880/api/v3`},
		{[]string{"--coingecko.url=relay/api/v3?key=hunter2"}, nil, "--coingecko.url=relay/api/v3?<secret>: must begin with http:// or https:// and a host; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{[]string{"--web.external-url=http://me:hunter2@shop.example"}, nil, "--web.external-url=http://<password>@shop.example: a user or password in the URL would be logged; remove it; for example --web.external-url=https://shop.example/rates"},
		{[]string{"--history.prometheus-url=http://me:hun/ter2@p:9090"}, nil, "--history.prometheus-url=http://<password>@p:9090: " + escaped + "; for example --history.prometheus-url=http://prometheus:9090"},
		{[]string{"--history.prometheus-url=http://me:hunter2@p:x"}, nil, "--history.prometheus-url=http://<password>@p:x: the port is not a number between 0 and 65535; for example --history.prometheus-url=http://prometheus:9090"},
		{[]string{"--coingecko.url=https://Pro-API.coingecko.com./api/v3"}, nil, "--coingecko.url=https://Pro-API.coingecko.com./api/v3: this is the host of plan pro, but --coingecko.plan is keyless; for example --coingecko.url=https://api.coingecko.com/api/v3"},
		{nil, []string{"COINGECKO_EXPORTER_COINGECKO_PLAN=pro", "COINGECKO_EXPORTER_COINGECKO_URL=https://api.coingecko.com/api/v3"}, "COINGECKO_EXPORTER_COINGECKO_URL=https://api.coingecko.com/api/v3: this is the host of plan keyless and demo, but COINGECKO_EXPORTER_COINGECKO_PLAN is pro; for example COINGECKO_EXPORTER_COINGECKO_URL=https://pro-api.coingecko.com/api/v3"},
		{[]string{"--simulate", "--coingecko.url=http://relay/api/v3"}, nil, "--coingecko.url=http://relay/api/v3 cannot be used with --simulate, which has its own rates; remove one of them"},
		{[]string{"--simulate"}, []string{"COINGECKO_EXPORTER_COINGECKO_PLAN=pro"}, "COINGECKO_EXPORTER_COINGECKO_PLAN=pro cannot be used with --simulate, which has its own rates; remove one of them"},
		{[]string{"--simulate", "--history.prometheus-url=http://p:9090"}, nil, "--history.prometheus-url=http://p:9090 cannot be used with --simulate, which has its own rates; remove one of them"},

		{nil, []string{"HTTPS_PROXY=http://me:hunter2@proxy:x"}, "HTTPS_PROXY=http://<password>@proxy:x: " + noProxyURL},
		{[]string{"--coingecko.url=http://relay/api/v3"}, []string{"http_proxy=ftp://me:hunter2@proxy"}, "http_proxy=ftp://<password>@proxy: " + noProxyURL},

		{[]string{demo}, nil, "--coingecko.plan=demo: the plan requires an API key; set --coingecko.api-key-file=/run/secrets/coingecko_api_key or the environment variable COINGECKO_API_KEY"},
		{[]string{demo}, []string{"COINGECKO_DEMO_API_KEY=CG-secret0123456789"}, "--coingecko.plan=demo: the plan requires an API key; set --coingecko.api-key-file=/run/secrets/coingecko_api_key or the environment variable COINGECKO_API_KEY; COINGECKO_DEMO_API_KEY is ignored; did you mean COINGECKO_API_KEY"},
		{[]string{"--coingecko.api-key-file=" + key}, nil, "--coingecko.api-key-file is set, but --coingecko.plan=keyless uses no API key; set --coingecko.plan=demo or pro, or remove the key"},
		{nil, []string{"COINGECKO_API_KEY=CG-secret"}, "COINGECKO_API_KEY is set, but --coingecko.plan=keyless uses no API key; set --coingecko.plan=demo or pro, or remove the key"},
		{[]string{demo, "--coingecko.api-key-file=" + key}, []string{"COINGECKO_API_KEY=CG-secret"}, "--coingecko.api-key-file and COINGECKO_API_KEY both set an API key; remove one of them"},
		{[]string{demo, "--coingecko.api-key-file=CG-secret0123456789"}, nil, "--coingecko.api-key-file=<key>: must be the path of a file that contains the key, not the key itself; for example --coingecko.api-key-file=/run/secrets/coingecko_api_key"},
		{[]string{demo, "--coingecko.api-key-file=/nowhere"}, nil, "--coingecko.api-key-file=/nowhere: " + noFile},
		{[]string{demo}, []string{"COINGECKO_EXPORTER_COINGECKO_API_KEY_FILE=/"}, "COINGECKO_EXPORTER_COINGECKO_API_KEY_FILE=/: " + aFolder},
	} {
		if got := fails(t, tc.env, tc.args...); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

// What is wrong with configuration files by their content. Each is DIR/file.
func TestWrongFiles(t *testing.T) {
	const noHash = `the password of user "anna" in basic_auth_users is not a bcrypt hash; run htpasswd -nB anna and use the part after the colon`
	for flag, problems := range map[string]map[string]string{
		"--web.config.file=": {
			"basic_auth_users: {anna: hunter2}":                           noHash,
			"basic_auth_users: {anna: $2y$10$hunter2hunter2}":             noHash,
			"basic_auth_users: hunter2":                                   "line 1: found a string instead of a mapping; " + webConfigForm,
			"rate_limit: {interval: 1s}":                                  "burst in rate_limit is 0, so no request would be answered; it must be at least 1",
			"tls_server_config: {min_version: TLS13, max_version: TLS12}": "min_version in tls_server_config is above max_version",
			"tls_server_config: {cert_file: file, key_file: file}":        "cert_file DIR/file and key_file DIR/file are not a pair of PEM files: failed to find any PEM data in certificate input",
			"tls_server_config: {cert_file: c, key_file: k}":              "cert_file DIR/c: " + noFile,
		},
		"--coingecko.http-config-file=": {
			"oauth2: {client_id: me, client_secret: hunter2, token_url: 'me:hunter2@idp'}": "oauth2.token_url: " + noScheme,
			"http_headers: {X-Team: {files: [nowhere]}}":                                   "http_headers.X-Team.files[0] DIR/nowhere: " + noFile,
			`http_headers: {"X Team": {values: [a]}}`:                                      `http_headers: "X Team" is not the name of a header`,
			`http_headers: {X-Team: {secrets: ["hunter2\nb"]}}`:                            "http_headers: a value of X-Team contains a line break or another control character; remove it",
			`authorization: {credentials: "hunter2\n"}`:                                    "authorization.credentials contains a line break; remove it",
			"proxy_url: 'http://me:hunter2/x@proxy:3128'":                                  "proxy_url is " + noProxyURL,
			"proxy_url: proxy:3128":                                                        "proxy_url is " + noProxyURL,
			"tls_config: {ca_file: file}":                                                  "tls_config.ca_file DIR/file contains no PEM certificate, which begins with -----BEGIN CERTIFICATE-----",
			"basic_auth: {username: me, password_file: nowhere}":                           "basic_auth.password_file DIR/nowhere: " + noFile,
			"basic_auth: hunter2":                                                          "line 1: found a string instead of a mapping; " + httpConfigForm,
			"password: hunter2":                                                            "line 1: unknown field password; " + httpConfigForm,
		},
	} {
		for content, problem := range problems {
			path := file(t, content)
			want := flag + path + ": " + strings.ReplaceAll(problem, "DIR", filepath.Dir(path))
			if got := fails(t, nil, flag+path); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
}

// Keys with anything around them are invalid, whether from a file or a variable.
func TestKeys(t *testing.T) {
	for _, tc := range []struct{ key, problem string }{
		{" \n", "is empty; it must contain the API key and nothing else"},
		{`"CG-secret0123456789"`, "the key is in quotes; remove them"},
		{`'CG-secret0123456789'`, "the key is in quotes; remove them"},
		{"“CG-secret0123456789”", "the key is in quotes; remove them"},
		{"Q0ctc2VjcmV0MDEyMzQ1Njc4OQ==", "the key is base64 encoded; decode it"},
		{"CG-s1", "is too short to be a key"},
		{"CG-" + strings.Repeat("secret", 100), "is too long to be a key"},
		{"key=CG-secret0123456789", "there is text before the key, such as key=; remove it"},
		{"x-cg-demo-api-key: CG-secret0123456789", "there is text before the key, such as key=; remove it"},
		{"YOUR_API_KEY", "contains a placeholder instead of a key"},
		{"<key>", "contains a placeholder instead of a key"},
		{"${COINGECKO_API_KEY}", "contains a placeholder instead of a key"},
		{"changeme", "contains a placeholder instead of a key"},
		{"CG-xxxxxxxxxxxxxxxxxxxxxxxx", "contains a placeholder instead of a key"},
		{"CG-secret\nCG-secret", "contains more than one word; it must contain the API key and nothing else"},
		{"CG-secrét", "contains characters that are not ASCII letters, digits, hyphens or underscores"},
		{"\uFEFFCG-secret0123456789", "the file begins with a byte order mark; save it as UTF-8 without it"},
		{"C\x00G\x00-\x00", "the file is UTF-16 or binary; save it as UTF-8 or ASCII"},
		{"\xFF\xFEC\x00G\x00-\x00", "the file is UTF-16; save it as UTF-8 or ASCII"},
		{"\xFE\xFF\x00C\x00G\x00-", "the file is UTF-16; save it as UTF-8 or ASCII"},
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

// Variables that images, Compose files and Kubernetes set do not prevent a start, and misspelt ones cause warnings.
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
	want := `COINGECKO_API_KEY_FILE is ignored; did you mean COINGECKO_EXPORTER_COINGECKO_API_KEY_FILE?
COINGECKO_EXPORTER_COINGECKO_API_KEY is ignored: unknown setting; did you mean COINGECKO_API_KEY?
COINGECKO_EXPORTER_COINGECKO_INTERVALL is ignored: unknown setting; did you mean COINGECKO_EXPORTER_COINGECKO_INTERVAL?
COINGECKO_EXPORTER_COMPLETION_BASH is ignored: --completion-bash can only be an argument
COINGECKO_EXPORTER_CONFIG_CHECK is ignored: --config.check can only be an argument
COINGECKO_EXPORTER_HEALTH_CHECK is ignored: --health.check can only be an argument
COINGECKO_EXPORTER_HELP is ignored: --help can only be an argument
COINGECKO_EXPORTER_HELP_MAN is ignored: --help-man can only be an argument
COINGECKO_EXPORTER_IMAGE_DIGEST_OF_SOMETHING is ignored: unknown setting
COINGECKO_EXPORTER_PLAN is ignored: unknown setting; did you mean COINGECKO_EXPORTER_COINGECKO_PLAN?
COINGECKO_EXPORTER_PORT_NUMBER is ignored: unknown setting
COINGECKO_EXPORTER_URL is ignored: unknown setting; did you mean COINGECKO_EXPORTER_COINGECKO_URL?
COINGECKO_EXPORTER_VERSION is ignored: --version can only be an argument
COINGEKO_EXPORTER_SIMULATE is ignored; did you mean COINGECKO_EXPORTER_SIMULATE?
coingecko_api_key is ignored; did you mean COINGECKO_API_KEY?
coingecko_exporter_simulate is ignored; did you mean COINGECKO_EXPORTER_SIMULATE?
"export COINGECKO_EXPORTER_LOG_LEVEL" is ignored; did you mean COINGECKO_EXPORTER_LOG_LEVEL?`
	if got := strings.Join(s.warnings(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s.check || s.healthCheck {
		t.Error("a variable made the program do something else")
	}
}
