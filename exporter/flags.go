// Flags: declaration and validation.

package exporter

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for --screen.timezone: the image contains only the binary

	"github.com/agext/levenshtein"
	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/history"
	"github.com/heycard/coingecko-exporter/exporter/internal/logging"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
)

const (
	keyEnv            = "COINGECKO_API_KEY" // an alternative to --coingecko.api-key-file
	simulatedInterval = 2 * time.Second
	leastMaxAge       = 10 * time.Minute // least default of --rates.max-age
	leastTimeout      = 10 * time.Millisecond
)

// settings are the flags and what is derived from them.
type settings struct {
	// Web.
	web                    *web.FlagConfig
	telemetryPath          string
	maxRequests            int
	maxConnections         int
	disableExporterMetrics bool
	healthAddress          string
	shutdownDelay          time.Duration
	shutdownTimeout        time.Duration
	externalFlag           string
	externalPath           string // the prefix as seen from outside, without a trailing slash
	hasExternal            bool   // externalFlag is set
	prefixFlag             string
	prefix                 string // of all paths, without a trailing slash
	corsFlag               string
	cors                   cors

	// Upstream.
	urls       []string
	planName   string
	keyFile    string
	httpFile   string
	interval   time.Duration
	timeout    time.Duration
	maxAge     time.Duration
	maxJump    float64 // above 1; 0 for no limit
	plan       coingecko.Plan
	endpoints  []coingecko.Endpoint
	key        func() (string, error) // nil without a key
	keyFrom    string                 // the flag or variable with the key or its file
	httpConfig *config.HTTPClientConfig

	// Not set by flags.
	given                               map[string]given // by flag
	unknown                             []string         // warnings about unknown variables
	minInterval, backoffMin, backoffMax time.Duration

	// Screen, history and program.
	quote         string
	coins         []string
	coinsList     string
	basketFlag    string
	basket        screen.Basket
	zoneFlag      string
	zone          *time.Location
	limitsFlag    string
	thresholds    screen.Thresholds
	hasTLS        bool // according to --web.config.file at start
	simulate      bool
	check         bool
	healthCheck   bool
	healthURLFlag string
	healthURL     *url.URL // of healthURLFlag; nil for the local exporter
	historyFlag   string
	historyURL    *url.URL // of historyFlag; nil for none. It may contain a password
	selector      string
	logLevel      string
	logFormat     string
	logger        *slog.Logger
}

// newApp declares the flags. The README's table is generated from it.
func newApp(s *settings) *kingpin.Application {
	app := kingpin.New(name, "Prometheus exporter and screen for CoinGecko's bitcoin exchange rates. "+
		"It polls on its own timer, so any number of scrapers use one quota. "+
		"Each flag can also be set by the environment variable in brackets.")
	app.Version(version.Print(name))
	app.HelpFlag.Short('h')

	s.web = kingpinflag.AddFlags(app, ":9880")
	app.Flag("web.telemetry-path", "Path under which to expose metrics.").Default("/metrics").StringVar(&s.telemetryPath)
	app.Flag("web.external-url", "URL under which the exporter is reachable from outside, such as https://shop.example/rates behind a reverse proxy. Used for links and redirects. Its path prefixes all endpoints.").PlaceHolder("URL").StringVar(&s.externalFlag)
	app.Flag("web.route-prefix", "Prefix of all endpoints, including those for probes and scrapes. Defaults to the path of --web.external-url. Use / if the proxy strips the prefix.").PlaceHolder("PATH").StringVar(&s.prefixFlag)
	app.Flag("web.cors.origin", "Regular expression for CORS origins that may read /api/v3/. It is fully anchored.").Default(".*").StringVar(&s.corsFlag)
	app.Flag("web.max-requests", "Maximum number of parallel requests, not counting health endpoints. Further requests get a 503. 0 means no limit.").Default("0").IntVar(&s.maxRequests)
	app.Flag("web.max-connections", "Maximum number of open connections. Further connections are closed at once, which limits the memory that slow clients can use. Probes then need --web.health-listen-address. 0 means no limit.").Default("0").IntVar(&s.maxConnections)
	app.Flag("web.disable-exporter-metrics", "Exclude metrics about the exporter itself (promhttp_*, process_*, go_*).").BoolVar(&s.disableExporterMetrics)
	app.Flag("web.health-listen-address", "Additional plain HTTP listen address for /-/healthy and /-/ready only. For probes if the main address requires TLS or basic auth.").PlaceHolder("ADDRESS").StringVar(&s.healthAddress)
	app.Flag("web.shutdown-delay", "Time to keep serving after SIGTERM while not ready, so that load balancers can stop sending requests.").Default("0s").DurationVar(&s.shutdownDelay)
	app.Flag("web.shutdown-timeout", "Maximum time to wait for in-flight requests after the shutdown delay.").Default("10s").DurationVar(&s.shutdownTimeout)

	app.Flag("coingecko.url", "Base URL of the upstream, including /api/v3: CoinGecko or another exporter. Defaults to the plan's URL. Repeatable: the next URL is used when a connection to the previous one fails.").PlaceHolder("URL").StringsVar(&s.urls)
	app.Flag("coingecko.plan", "CoinGecko plan. One of "+strings.Join(planNames(), ", ")+".").Default(planNames()[0]).EnumVar(&s.planName, planNames()...)
	app.Flag("coingecko.api-key-file", "File that contains the API key of a demo or pro plan. It is read at each poll. The environment variable "+keyEnv+" can be used instead.").PlaceHolder("FILE").StringVar(&s.keyFile)
	app.Flag("coingecko.http-config-file", "File with a Prometheus HTTP client configuration (TLS, basic auth, proxy) for the upstream.").PlaceHolder("FILE").StringVar(&s.httpFile)
	app.Flag("coingecko.interval", "Time between polls, at least 10s. Defaults to 60s for keyless, 5m for demo, 60s for pro. A relay defaults to 10s until its upstream says when newer rates are due.").PlaceHolder("DURATION").DurationVar(&s.interval)
	app.Flag("coingecko.timeout", "Timeout of a poll.").Default("10s").DurationVar(&s.timeout)
	app.Flag("rates.max-age", "Maximum age of rates. Older rates expire. Defaults to 10m or three intervals, whichever is longer.").PlaceHolder("DURATION").DurationVar(&s.maxAge)
	app.Flag("rates.max-jump", "Maximum factor between a rate and the one before. A rate beyond it is withheld until a later, different answer confirms it. 0 means no limit.").Default("1.5").Float64Var(&s.maxJump)

	app.Flag("screen.quote", "Currency in which the screen shows prices.").Default("usd").StringVar(&s.quote)
	app.Flag("screen.coins", "Comma-separated codes of the coins on the screen. Defaults to all coins except bits and sats.").PlaceHolder("btc,eth,...").StringVar(&s.coinsList)

	app.Flag("screen.basket", "Amount that the screen converts into each coin, such as 49.90eur.").PlaceHolder("AMOUNT").StringVar(&s.basketFlag)
	app.Flag("screen.thresholds", "Price changes that the screen highlights, as ratios by kind or currency and by window (15m, 1h, 24h). Defaults to the thresholds of the shipped alerts. Empty means none.").Default(screen.DefaultThresholds).StringVar(&s.limitsFlag)
	app.Flag("screen.timezone", "Time zone of the screen, such as Europe/Madrid.").Default("UTC").StringVar(&s.zoneFlag)

	app.Flag("history.prometheus-url", "URL of a Prometheus that scrapes this exporter, such as http://prometheus:9090. The screen then starts with the changes and curves of the last day. A user and password in the URL are never logged.").PlaceHolder("URL").StringVar(&s.historyFlag)
	app.Flag("history.selector", "Label matchers for the exporter's series in that Prometheus.").Default(`job="coingecko-exporter"`).StringVar(&s.selector)

	app.Flag("simulate", "Serve a simulated market instead of polling CoinGecko. Makes no requests to other machines.").BoolVar(&s.simulate)
	app.Flag("config.check", "Check flags and files, report what is wrong, and exit.").BoolVar(&s.check)
	app.Flag("health.check", "Check whether the local exporter with the same flags is ready, and exit with 0 or 1. For images without a shell.").BoolVar(&s.healthCheck)
	app.Flag("health.url", "With --health.check, URL of another exporter to check, such as http://rates:9880. It must be ready and have current rates. Set its CA and password with --coingecko.http-config-file.").PlaceHolder("URL").StringVar(&s.healthURLFlag)
	app.Flag("log.level", "Only log messages with the given severity or above. One of "+strings.Join(logging.Levels(), ", ")+".").Default("info").EnumVar(&s.logLevel, logging.Levels()...)
	app.Flag("log.format", "Output format of log messages. One of "+strings.Join(logging.Formats(), ", ")+".").Default(logging.Formats()[0]).EnumVar(&s.logFormat, logging.Formats()...)
	return app
}

func planNames() []string {
	var names []string
	for _, p := range coingecko.Plans() {
		names = append(names, p.Name)
	}
	return names
}

// errHelped means that --help or --version was printed.
var errHelped = errors.New("helped")

// parse parses the flags and checks everything that can be checked without the network. Its errors are one line that says
// what to change.
func parse(args []string, env environment, stdout, stderr io.Writer) (*settings, error) {
	s := &settings{}
	app := newApp(s)
	helped := false
	app.Terminate(func(int) { helped = true })
	app.UsageWriter(stdout)
	app.ErrorWriter(stderr)
	err := s.read(app, args, env)
	if err == nil {
		_, err = app.Parse(args)
	}
	if helped {
		return nil, errHelped
	}
	if err != nil {
		return nil, err
	}
	if s.check && s.healthCheck {
		return nil, errors.New("--config.check and --health.check cannot be used together; remove one of them")
	}
	for _, check := range []func() error{s.checkWeb, s.checkUpstream, s.checkTimes, s.checkScreen, s.checkHistory} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	for _, check := range []func(environment) error{s.checkKey, s.checkProxy, s.checkSocket} {
		if err := check(env); err != nil {
			return nil, err
		}
	}
	s.logger, err = logging.New(stderr, s.logLevel, s.logFormat)
	return s, err
}

func (s *settings) checkWeb() error {
	switch p := s.telemetryPath; {
	case p == "/":
		return s.wrong("web.telemetry-path", "the screen uses this path")
	case strings.HasSuffix(p, "/"):
		return s.wrong("web.telemetry-path", "remove the trailing slash")
	case !regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`).MatchString(p), p != path.Clean(p):
		return s.wrong("web.telemetry-path", "not a path that begins with / and consists of letters, digits and ._~-")
	case p == relayPath, p == pingPath, strings.HasPrefix(p+"/", "/-/"), strings.HasPrefix(p, "/screen"):
		return s.wrong("web.telemetry-path", "another endpoint uses this path")
	}
	for _, flag := range []string{"web.max-requests", "web.max-connections"} {
		if g := s.given[flag]; len(g.values) > 0 {
			n, err := strconv.Atoi(g.values[len(g.values)-1])
			if errors.Is(err, strconv.ErrRange) {
				return s.wrong(flag, "the number is too large")
			}
			if err != nil { // kingpin parses 1.5 as 1
				return s.wrong(flag, "not a whole number")
			}
			if n < 0 {
				return s.wrong(flag, "must not be negative; 0 means no limit")
			}
		}
	}
	if err := s.checkPrefix(); err != nil {
		return err
	}
	var err error
	if s.cors, err = newCORS(s.corsFlag); err != nil {
		return s.wrong("web.cors.origin", "not a valid regular expression")
	}
	if problem := originProblem(s.corsFlag); problem != "" {
		return s.wrong("web.cors.origin", "%s", problem)
	}
	if err := s.checkListeners(); err != nil {
		return err
	}
	if s.hasTLS, err = s.checkWebConfig(); err != nil {
		return err
	}
	return s.checkHealthCheck()
}

// checkListeners checks the listen addresses.
func (s *settings) checkListeners() error {
	listeners := map[string][]string{"web.health-listen-address": {s.healthAddress}}
	if !*s.web.WebSystemdSocket {
		listeners["web.listen-address"] = *s.web.WebListenAddresses
	}
	var before []string
	for _, flag := range slices.Backward(slices.Sorted(maps.Keys(listeners))) {
		for _, address := range listeners[flag] {
			if address == "" && flag == "web.health-listen-address" {
				continue
			}
			problem := listenProblem(address)
			if strings.HasPrefix(address, "vsock://") && flag == "web.health-listen-address" {
				problem = "the health endpoints cannot use vsock"
			}
			for _, other := range before {
				if sameListener(address, other) {
					problem = "uses the same port as " + other
				}
			}
			if problem != "" {
				return s.wrongValue(flag, address, problem)
			}
			before = append(before, address)
		}
	}
	return nil
}

// checkSocket checks that systemd has passed a socket if --web.systemd-socket is set.
func (s *settings) checkSocket(env environment) error {
	if *s.web.WebSystemdSocket && !s.check && !s.healthCheck && env["LISTEN_FDS"] == "" {
		return fmt.Errorf("%s is set, but systemd passed no socket (LISTEN_FDS is not set); start the exporter from a .socket unit, or remove the flag", s.name("web.systemd-socket"))
	}
	return nil
}

func (s *settings) checkHealthCheck() error {
	if s.given["health.url"].name != "" && s.healthCheck {
		u, problem := baseURL(s.healthURLFlag)
		switch {
		case problem == userInURL:
			problem += "; use --coingecko.http-config-file"
		case problem == "" && endsIn(u, "/-/ready", "/-/healthy", s.telemetryPath, coingecko.APIPath):
			problem = "must be the URL of the exporter without an endpoint"
		}
		if problem != "" {
			return s.wrong("health.url", "%s", problem)
		}
		s.healthURL = u
		return nil
	}
	if s.given["health.url"].name == "--health.url" { // the variable may be set without --health.check
		return s.wrong("health.url", "requires --health.check")
	}
	if !s.healthCheck || s.healthAddress != "" {
		return nil
	}
	advice := "--health.check uses plain HTTP over TCP; set --web.health-listen-address=" + examples["web.health-listen-address"] + " for the check and for the exporter"
	switch {
	case *s.web.WebConfigFile != "":
		return fmt.Errorf("%s=%s: %s", s.name("web.config.file"), shown(*s.web.WebConfigFile), advice)
	case *s.web.WebSystemdSocket:
		return fmt.Errorf("%s: %s", s.name("web.systemd-socket"), advice)
	case strings.HasPrefix((*s.web.WebListenAddresses)[0], "vsock://"):
		return fmt.Errorf("%s=%s: %s", s.name("web.listen-address"), (*s.web.WebListenAddresses)[0], advice)
	}
	return nil
}

func (s *settings) checkUpstream() error {
	for _, p := range coingecko.Plans() {
		if p.Name == s.planName {
			s.plan = p
		}
	}
	if s.simulate {
		for _, flag := range []string{"coingecko.url", "coingecko.api-key-file", "coingecko.http-config-file"} {
			if g := s.given[flag]; len(g.values) > 0 && g.values[0] != "" {
				return s.simulatesAlone(flag)
			}
		}
		if s.plan.KeyHeader != "" {
			return s.simulatesAlone("coingecko.plan")
		}
		return nil
	}
	urls := s.urls
	if len(urls) == 0 {
		urls = []string{s.plan.URL}
	}
	for _, raw := range urls {
		u, err := s.upstreamURL(raw)
		if err != nil {
			return err
		}
		s.endpoints = append(s.endpoints, coingecko.Endpoint{URL: u, Upstream: coingecko.UpstreamOf(u)})
	}
	var err error
	s.httpConfig, err = s.readHTTPConfig()
	return err
}

// simulatesAlone returns the error about a flag that cannot be used with --simulate.
func (s *settings) simulatesAlone(flag string) error {
	g := s.given[flag]
	return fmt.Errorf("%s=%s cannot be used with %s, which has its own rates; remove one of them", g.name, shown(g.values[0]), s.name("simulate"))
}

// spendsQuota reports whether any upstream is CoinGecko.
func (s *settings) spendsQuota() bool {
	return slices.ContainsFunc(s.endpoints, func(e coingecko.Endpoint) bool { return e.Upstream == coingecko.CoinGecko })
}

func (s *settings) checkTimes() error {
	least := poller.MinInterval
	s.minInterval, s.backoffMin, s.backoffMax = poller.MinInterval, time.Minute, 15*time.Minute
	switch {
	case s.simulate: // no quota is used, and an audience waits
		least = 100 * time.Millisecond
		setDefault(&s.interval, simulatedInterval)
		s.minInterval, s.backoffMin, s.backoffMax = s.interval, 5*time.Second, 15*time.Second
	case s.spendsQuota():
		setDefault(&s.interval, s.plan.Interval)
	default:
		setDefault(&s.interval, poller.MinInterval)
	}
	setDefault(&s.maxAge, max(leastMaxAge, 3*s.interval))
	// 0 is the default of a flag that was not set, so an explicit 0 needs a check of its own.
	for _, given := range []struct{ flag, problem string }{
		{"coingecko.interval", fmt.Sprintf("must be at least %v", least)},
		{"rates.max-age", "rates would expire at once"},
	} {
		if g := s.given[given.flag]; len(g.values) > 0 {
			if d, err := time.ParseDuration(g.values[0]); err == nil && d == 0 {
				return s.wrong(given.flag, "%s", given.problem)
			}
		}
	}
	switch {
	case s.interval < least:
		return s.wrong("coingecko.interval", "must be at least %v", least)
	case s.interval > 24*time.Hour:
		return s.wrong("coingecko.interval", "must be at most 24h")
	case s.timeout < leastTimeout:
		return s.wrong("coingecko.timeout", "must be at least %v", leastTimeout)
	case s.maxAge < s.interval:
		return s.wrong("rates.max-age", "must not be below the poll interval %s=%v; rates would expire before the next poll", s.name("coingecko.interval"), s.interval)
	case s.maxJump != 0 && !(s.maxJump > 1 && s.maxJump <= math.MaxFloat64):
		return s.wrong("rates.max-jump", "must be above 1, or 0 for no limit")
	case s.shutdownDelay < 0:
		return s.wrong("web.shutdown-delay", "must not be negative")
	case s.shutdownTimeout <= 0:
		return s.wrong("web.shutdown-timeout", "must be above 0")
	}
	return nil
}

// setDefault sets a duration that was not set. An explicit 0 looks the same; checkTimes rejects it.
func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func (s *settings) checkScreen() error {
	s.quote = strings.ToLower(strings.TrimSpace(s.quote))
	if !coingecko.IsCode(s.quote) {
		return s.wrong("screen.quote", "not a currency code")
	}
	var err error
	if s.zone, err = time.LoadLocation(s.zoneFlag); err != nil || s.zoneFlag == "" || s.zoneFlag == "Local" {
		return s.wrong("screen.timezone", "not a time zone of the IANA database")
	}
	if s.thresholds, err = screen.ParseThresholds(s.limitsFlag); err != nil {
		return s.wrong("screen.thresholds", "%s", err)
	}
	if s.basketFlag != "" {
		if s.basket, err = screen.ParseBasket(s.basketFlag); err != nil {
			return s.wrong("screen.basket", "not an amount above 0 with a currency code")
		}
	}
	if s.coinsList == "" {
		return nil
	}
	for c := range strings.SplitSeq(s.coinsList, ",") {
		c = strings.ToLower(strings.TrimSpace(c))
		if !coingecko.IsCode(c) {
			return s.wrong("screen.coins", "%s is not a coin code; separate codes with commas", shown(c))
		}
		if slices.Contains(s.coins, c) {
			return s.wrong("screen.coins", "%s is listed twice", shown(c))
		}
		s.coins = append(s.coins, c)
	}
	return nil
}

func (s *settings) checkHistory() error {
	if !history.IsSelector(s.selector) {
		return s.wrong("history.selector", "not a list of PromQL label matchers without braces and with values in double quotes")
	}
	if s.historyFlag == "" {
		return nil
	}
	if s.simulate {
		return s.simulatesAlone("history.prometheus-url")
	}
	u, problem := parseURL(s.historyFlag)
	if problem == "" && endsIn(u, "/graph", "/query", "/api/v1", "/api/v1/query", "/api/v1/query_range", "/api/v1/write", "/metrics") {
		problem = "must be the URL of Prometheus without a page or endpoint"
	}
	if problem != "" {
		return s.wrong("history.prometheus-url", "%s", problem)
	}
	s.historyURL = u
	return nil
}

// endsIn reports whether the path of a URL ends in one of paths.
func endsIn(u *url.URL, paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), p) })
}

// quota returns the plan if polls use its quota, and nil otherwise.
func (s *settings) quota() *coingecko.Plan {
	if !s.spendsQuota() {
		return nil
	}
	return &s.plan
}

// warnings describes settings that are valid but probably wrong.
func (s *settings) warnings() []string {
	var w []string
	if n := coingecko.PollsPerMonth(s.interval); s.spendsQuota() && s.plan.PerMonth > 0 && n > s.plan.PerMonth {
		w = append(w, fmt.Sprintf("%s=%v makes %d polls in a month of 31 days; the %s plan allows %d, which last %.1f days; set at least %v",
			s.name("coingecko.interval"), s.interval, n, s.plan.Name, s.plan.PerMonth, float64(s.plan.PerMonth)*s.interval.Hours()/24,
			time.Duration(float64(coingecko.Month)/float64(s.plan.PerMonth)).Round(time.Second)+time.Second))
	}
	for _, e := range s.endpoints {
		if s.key != nil && !coingecko.MayCarryKey(e.URL) {
			w = append(w, fmt.Sprintf("%s=%s: the API key from %s is not sent to this host, only to CoinGecko over https:// and to loopback addresses",
				s.name("coingecko.url"), e.URL, s.keyFrom))
		}
	}
	for _, e := range s.endpoints {
		switch name := s.name("coingecko.url"); {
		case s.simulate:
		case e.Upstream == coingecko.CoinGecko && len(plansAt(e.URL)) == 0:
			w = append(w, fmt.Sprintf("%s=%s: no plan uses this host; CoinGecko's API is at %s", name, e.URL, s.plan.URL))
		case e.Upstream == coingecko.CoinGecko && e.URL.Scheme == "http" && s.key == nil:
			w = append(w, fmt.Sprintf("%s=%s: CoinGecko requires https://", name, e.URL))
		case e.Upstream == coingecko.Relay && levenshtein.Distance(coingecko.Host(e.URL), hostOf(s.plan.URL), nil) <= 3:
			w = append(w, fmt.Sprintf("%s=%s: this is not a CoinGecko host and is treated as another exporter; did you mean %s?", name, e.URL, s.plan.URL))
		}
	}
	if g := s.given["web.listen-address"]; *s.web.WebSystemdSocket && g.name != "" {
		w = append(w, fmt.Sprintf("%s=%s is ignored because %s is set", g.name, shown(g.values[0]), s.name("web.systemd-socket")))
	}
	if *s.web.WebSystemdSocket && s.check {
		w = append(w, s.name("web.systemd-socket")+" is set; the exporter starts only from a systemd .socket unit")
	}
	return append(w, s.unknown...)
}
