// Flags and the environment, checked: what comes out of here can be run.

package exporter

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // for --screen.timezone: the image has no files but the program

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
	keyEnv            = "COINGECKO_API_KEY" // beside --coingecko.api-key-file
	simulatedInterval = 2 * time.Second
	leastMaxAge       = 10 * time.Minute // of the default of --rates.max-age
)

// settings are the flags as given, and what follows from them.
type settings struct {
	// The web side.
	web                    *web.FlagConfig
	telemetryPath          string
	maxRequests            int
	maxConnections         int
	disableExporterMetrics bool
	healthAddress          string
	shutdownDelay          time.Duration
	shutdownTimeout        time.Duration
	externalFlag           string
	externalPath           string // what the prefix is from outside; without a slash at its end
	hasExternal            bool   // externalFlag is given
	prefixFlag             string
	prefix                 string // of every path; without a slash at its end
	corsFlag               string
	cors                   cors

	// The upstream side.
	urls       []string
	planName   string
	keyFile    string
	httpFile   string
	interval   time.Duration
	timeout    time.Duration
	maxAge     time.Duration
	maxJump    float64 // above 1; 0 for any
	plan       coingecko.Plan
	endpoints  []coingecko.Endpoint
	key        func() (string, error) // nil without a key
	keyFrom    string                 // the flag or variable that holds the key, or says where it is
	httpConfig *config.HTTPClientConfig

	// What no flag sets.
	minInterval, backoffMin, backoffMax time.Duration

	// The rest.
	quote         string
	coins         []string
	coinsList     string
	basketFlag    string
	basket        screen.Basket
	zoneFlag      string
	zone          *time.Location
	limitsFlag    string
	thresholds    screen.Thresholds
	simulate      bool
	check         bool
	healthCheck   bool
	healthURLFlag string
	healthURL     *url.URL // healthURLFlag; nil for the exporter that runs here
	historyFlag   string
	historyURL    *url.URL // historyFlag; nil for no past. It may hold a password
	selector      string
	logLevel      string
	logFormat     string
	logger        *slog.Logger
}

// newApp declares the flags. The exporter's documentation is made from it, too.
func newApp(s *settings) *kingpin.Application {
	app := kingpin.New(name, "Prometheus exporter and wall screen for CoinGecko's exchange rates of bitcoin. "+
		"It polls on a timer of its own, so that any number of scrapers spends one quota. "+
		"Each flag can also be set by the environment variable that stands behind it.")
	app.Version(version.Print(name))
	app.HelpFlag.Short('h')

	s.web = kingpinflag.AddFlags(app, ":9880")
	app.Flag("web.telemetry-path", "Path under which to expose metrics.").Default("/metrics").StringVar(&s.telemetryPath)
	app.Flag("web.external-url", "URL under which the exporter is reached from outside, such as https://shop.example/rates behind a reverse proxy. For links and redirects; its path is also the prefix of every endpoint.").PlaceHolder("URL").StringVar(&s.externalFlag)
	app.Flag("web.route-prefix", "Prefix of every endpoint, those for probes and scrapes among them. Default: the path of --web.external-url. / where the proxy takes the prefix away.").PlaceHolder("PATH").StringVar(&s.prefixFlag)
	app.Flag("web.cors.origin", "Regular expression, anchored on both sides, of the origins whose pages may read /api/v3/.").Default(".*").StringVar(&s.corsFlag)
	app.Flag("web.max-requests", "Requests served in parallel, health endpoints aside; more are answered with 503. 0 is no limit.").Default("0").IntVar(&s.maxRequests)
	app.Flag("web.max-connections", "Connections at once; more are closed as soon as they come, so that readers who do not read cannot use up the memory. Probes then need --web.health-listen-address. 0 is no limit.").Default("0").IntVar(&s.maxConnections)
	app.Flag("web.disable-exporter-metrics", "Exclude metrics about the exporter itself (promhttp_*, process_*, go_*).").BoolVar(&s.disableExporterMetrics)
	app.Flag("web.health-listen-address", "Second address, plain HTTP, with nothing but /-/healthy and /-/ready: for probes beside TLS or basic auth.").PlaceHolder("ADDRESS").StringVar(&s.healthAddress)
	app.Flag("web.shutdown-delay", "How long to go on serving after SIGTERM, not ready any more, while load balancers take note.").Default("0s").DurationVar(&s.shutdownDelay)
	app.Flag("web.shutdown-timeout", "How long requests in flight may then take to end.").Default("10s").DurationVar(&s.shutdownTimeout)

	app.Flag("coingecko.url", "Base URL to ask instead of the plan's, including /api/v3: CoinGecko, or another exporter. Repeatable: the next one is asked when the one before cannot be reached.").PlaceHolder("URL").StringsVar(&s.urls)
	app.Flag("coingecko.plan", "CoinGecko plan: "+strings.Join(planNames(), ", ")+".").Default(planNames()[0]).EnumVar(&s.planName, planNames()...)
	app.Flag("coingecko.api-key-file", "File with the API key of a demo or pro plan, read again at each poll. Instead of it, the environment may hold "+keyEnv+".").PlaceHolder("FILE").StringVar(&s.keyFile)
	app.Flag("coingecko.http-config-file", "Prometheus HTTP client configuration (TLS, basic auth, proxy) for a relay or a gateway.").PlaceHolder("FILE").StringVar(&s.httpFile)
	app.Flag("coingecko.interval", "Time between polls, at least 10s. Default: keyless 60s, demo 5m, pro 60s; of relays 10s, which counts only until a relay says when it has newer rates.").PlaceHolder("DURATION").DurationVar(&s.interval)
	app.Flag("coingecko.timeout", "How long one poll may take.").Default("10s").DurationVar(&s.timeout)
	app.Flag("rates.max-age", "Age beyond which rates are not shown any more. Default: 10m or three intervals, whichever is longer.").PlaceHolder("DURATION").DurationVar(&s.maxAge)
	app.Flag("rates.max-jump", "Factor by which a rate may differ from the one before. One that differs more is not shown until a later, different answer confirms it. 0 shows every rate at once.").Default("1.5").Float64Var(&s.maxJump)

	app.Flag("screen.quote", "Currency in which the screen shows prices.").Default("usd").StringVar(&s.quote)
	app.Flag("screen.coins", "Codes of the coins on the screen, separated by commas. Default: every coin of the answer but bits and sats.").PlaceHolder("btc,eth,...").StringVar(&s.coinsList)

	app.Flag("screen.basket", "Amount of money that the screen shows in each coin, such as 49.90eur.").PlaceHolder("AMOUNT").StringVar(&s.basketFlag)
	app.Flag("screen.thresholds", "How far a price may move before the screen marks it, as a share, for kinds of currencies and for currencies, in the windows 15m, 1h and 24h. Default: those of the alerts as shipped. Empty: none.").Default(screen.DefaultThresholds).StringVar(&s.limitsFlag)
	app.Flag("screen.timezone", "Time zone of the times of day on the screen, such as Europe/Madrid.").Default("UTC").StringVar(&s.zoneFlag)

	app.Flag("history.prometheus-url", "Prometheus that scrapes these exporters, such as http://prometheus:9090. The screen then starts with the changes and curves of the last day. A user and password in the URL are sent to it and never logged.").PlaceHolder("URL").StringVar(&s.historyFlag)
	app.Flag("history.selector", "Label matchers of these exporters in that Prometheus.").Default(`job="coingecko-exporter"`).StringVar(&s.selector)

	app.Flag("simulate", "Show a simulated market instead of asking CoinGecko. Nothing leaves this machine.").BoolVar(&s.simulate)
	app.Flag("config.check", "Check flags and files, say what is wrong, and exit.").BoolVar(&s.check)
	app.Flag("health.check", "Ask the exporter that runs here with the same flags whether it is ready, and exit with 0 or 1: for images without a shell.").BoolVar(&s.healthCheck)
	app.Flag("health.url", "With --health.check: the exporter elsewhere to ask instead, such as http://rates:9880. It must be ready and have current rates. CA and password: --coingecko.http-config-file.").PlaceHolder("URL").StringVar(&s.healthURLFlag)
	app.Flag("log.level", "Least severe lines to log: "+strings.Join(logging.Levels(), ", ")+".").Default("info").EnumVar(&s.logLevel, logging.Levels()...)
	app.Flag("log.format", "Form of log lines: "+strings.Join(logging.Formats(), ", ")+".").Default(logging.Formats()[0]).EnumVar(&s.logFormat, logging.Formats()...)
	return app
}

func planNames() []string {
	var names []string
	for _, p := range coingecko.Plans() {
		names = append(names, p.Name)
	}
	return names
}

// errHelped means that --help or --version said all there is to say.
var errHelped = errors.New("helped")

// parse reads the flags and checks all that can be checked without the network. Its errors say in one
// line what to change.
func parse(args []string, getenv func(string) string, stdout, stderr io.Writer) (*settings, error) {
	s := &settings{}
	app := newApp(s)
	helped := false
	app.Terminate(func(int) { helped = true })
	app.UsageWriter(stdout)
	app.ErrorWriter(stderr)
	err := readEnvironment(app, args, getenv)
	if err == nil {
		_, err = app.Parse(args)
	}
	if helped {
		return nil, errHelped
	}
	if err != nil {
		return nil, fmt.Errorf("%w, try --help", err)
	}
	for _, check := range []func() error{s.checkWeb, s.checkUpstream, s.checkTimes, s.checkScreen, s.checkHistory} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := s.checkKey(getenv(keyEnv)); err != nil {
		return nil, err
	}
	s.logger, err = logging.New(stderr, s.logLevel, s.logFormat)
	return s, err
}

func (s *settings) checkWeb() error {
	switch p := s.telemetryPath; {
	case !regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`).MatchString(p), p != path.Clean(p):
		return fmt.Errorf("--web.telemetry-path=%q is no path such as /metrics", p)
	case p == relayPath, p == pingPath, strings.HasPrefix(p+"/", "/-/"), strings.HasPrefix(p, "/screen"):
		return fmt.Errorf("--web.telemetry-path=%q is taken by another endpoint; /metrics is free", p)
	}
	if err := s.checkPrefix(); err != nil {
		return err
	}
	var err error
	if s.cors, err = newCORS(s.corsFlag); err != nil {
		return err
	}
	if s.maxRequests < 0 {
		return fmt.Errorf("--web.max-requests=%d is below 0; use 0 for no limit", s.maxRequests)
	}
	if s.maxConnections < 0 {
		return fmt.Errorf("--web.max-connections=%d is below 0; use 0 for no limit", s.maxConnections)
	}
	if err := s.checkWebConfig(); err != nil {
		return err
	}
	switch {
	case s.healthURLFlag == "":
	case !s.healthCheck:
		return errors.New("--health.url goes with --health.check")
	default:
		var err error
		if s.healthURL, err = baseURL(s.healthURLFlag, "http://rates:9880"); err != nil {
			return fmt.Errorf("--health.url: %w", err)
		}
		return nil
	}
	if s.healthCheck && s.healthAddress == "" && (*s.web.WebConfigFile != "" || *s.web.WebSystemdSocket) {
		return errors.New("--health.check asks by plain HTTP; set --web.health-listen-address for it, here and where the exporter runs")
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
		if len(s.urls) > 0 || s.plan.KeyHeader != "" || s.keyFile != "" || s.httpFile != "" {
			return errors.New("--simulate brings an upstream of its own; leave out the flags that begin with --coingecko, or leave out --simulate")
		}
		return nil
	}
	urls := s.urls
	if len(urls) == 0 {
		urls = []string{s.plan.URL}
	}
	for _, raw := range urls {
		u, err := baseURL(raw, "https://api.coingecko.com/api/v3")
		if err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), coingecko.Path) {
			err = fmt.Errorf("%q: leave out %s, which is appended", raw, coingecko.Path)
		}
		if err != nil {
			return fmt.Errorf("--coingecko.url: %w", err)
		}
		s.endpoints = append(s.endpoints, coingecko.Endpoint{URL: u, Upstream: coingecko.UpstreamOf(u)})
	}
	var err error
	s.httpConfig, err = s.readHTTPConfig()
	return err
}

func (s *settings) checkWebConfig() error {
	if err := web.Validate(*s.web.WebConfigFile); err != nil {
		return fmt.Errorf("--web.config.file=%s cannot be used: %w", *s.web.WebConfigFile, err)
	}
	return nil
}

// readHTTPConfig gives nil without one.
func (s *settings) readHTTPConfig() (*config.HTTPClientConfig, error) {
	if s.httpFile == "" {
		return nil, nil
	}
	c, _, err := config.LoadHTTPConfigFile(s.httpFile)
	if err != nil {
		return nil, fmt.Errorf("--coingecko.http-config-file=%s cannot be used: %w", s.httpFile, err)
	}
	return c, nil
}

// baseURL checks a URL that is to look like the example. Where it may hold a password, errors do not quote it.
func baseURL(raw, example string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL; it looks like " + example)
	case u.User != nil:
		return nil, errors.New("a user or password in a URL ends up in logs; put it into --coingecko.http-config-file")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, fmt.Errorf("%q has no http:// or https:// with a host behind it; it looks like %s", raw, example)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%q takes no ? and no #; an API key belongs into --coingecko.api-key-file", u.Redacted()[:strings.IndexAny(u.Redacted(), "?#")])
	}
	return u, nil
}

// spendsQuota says whether any poll may be one of CoinGecko.
func (s *settings) spendsQuota() bool {
	for _, e := range s.endpoints {
		if e.Upstream == coingecko.CoinGecko {
			return true
		}
	}
	return false
}

func (s *settings) checkTimes() error {
	least := poller.MinInterval
	s.minInterval, s.backoffMin, s.backoffMax = poller.MinInterval, time.Minute, 15*time.Minute
	switch {
	case s.simulate: // nobody's quota is spent, and an audience waits
		least = 100 * time.Millisecond
		setDefault(&s.interval, simulatedInterval)
		s.minInterval, s.backoffMin, s.backoffMax = s.interval, 5*time.Second, 15*time.Second
	case s.spendsQuota():
		setDefault(&s.interval, s.plan.Interval)
	default:
		setDefault(&s.interval, poller.MinInterval)
	}
	setDefault(&s.maxAge, max(leastMaxAge, 3*s.interval))
	switch {
	case s.interval < least:
		return fmt.Errorf("--coingecko.interval=%v is below %v", s.interval, least)
	case s.interval > 24*time.Hour:
		return fmt.Errorf("--coingecko.interval=%v is above 24h", s.interval)
	case s.timeout <= 0:
		return fmt.Errorf("--coingecko.timeout=%v is not above 0", s.timeout)
	case s.maxAge < s.interval:
		return fmt.Errorf("--rates.max-age=%v is below --coingecko.interval=%v: rates would be gone before the next poll", s.maxAge, s.interval)
	case s.maxJump != 0 && !(s.maxJump > 1 && s.maxJump <= math.MaxFloat64):
		return fmt.Errorf("--rates.max-jump=%v is no factor above 1, such as 1.5; 0 shows every rate at once", s.maxJump)
	case s.shutdownDelay < 0:
		return fmt.Errorf("--web.shutdown-delay=%v is below 0", s.shutdownDelay)
	case s.shutdownTimeout <= 0:
		return fmt.Errorf("--web.shutdown-timeout=%v is not above 0", s.shutdownTimeout)
	}
	return nil
}

// setDefault fills in what was not given: 0 cannot be told from that, and is no use for any of these.
func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func (s *settings) checkScreen() error {
	s.quote = strings.ToLower(strings.TrimSpace(s.quote))
	if !coingecko.IsCode(s.quote) {
		return fmt.Errorf("--screen.quote=%q is no code of a currency such as usd", s.quote)
	}
	var err error
	if s.zone, err = time.LoadLocation(s.zoneFlag); err != nil || s.zoneFlag == "" || s.zoneFlag == "Local" {
		return fmt.Errorf("--screen.timezone=%q is no time zone such as Europe/Madrid or UTC", s.zoneFlag)
	}
	if s.thresholds, err = screen.ParseThresholds(s.limitsFlag); err != nil {
		return fmt.Errorf("--screen.thresholds: %w", err)
	}
	if s.basketFlag != "" {
		if s.basket, err = screen.ParseBasket(s.basketFlag); err != nil {
			return fmt.Errorf("--screen.basket: %w", err)
		}
	}
	if s.coinsList == "" {
		return nil
	}
	for c := range strings.SplitSeq(s.coinsList, ",") {
		c = strings.ToLower(strings.TrimSpace(c))
		if !coingecko.IsCode(c) {
			return fmt.Errorf("--screen.coins: %q is no code of a coin such as btc; separate codes by commas", c)
		}
		s.coins = append(s.coins, c)
	}
	return nil
}

func (s *settings) checkHistory() error {
	if !history.IsSelector(s.selector) {
		return fmt.Errorf("--history.selector=%s is no list of label matchers; it looks like job=\"coingecko-exporter\",namespace=\"shop\"", s.selector)
	}
	if s.historyFlag == "" {
		return nil
	}
	if s.simulate {
		return errors.New("--simulate brings a past of its own; leave out --history.prometheus-url, or leave out --simulate")
	}
	const example = "http://prometheus:9090"
	u, err := url.Parse(s.historyFlag)
	if err != nil { // which would quote a password
		return errors.New("--history.prometheus-url: not a URL; it looks like " + example)
	}
	user := u.User
	u.User = nil
	if s.historyURL, err = baseURL(u.String(), example); err != nil {
		return fmt.Errorf("--history.prometheus-url: %w", err)
	}
	s.historyURL.User = user
	return nil
}

// checkKey sees to it that a plan which needs a key has one, and that no key is given in vain.
func (s *settings) checkKey(env string) error {
	switch {
	case s.simulate:
		return nil // the simulator asks for none, and a key that is set for real use is no reason not to look at a simulation
	case s.keyFile != "" && env != "":
		return fmt.Errorf("--coingecko.api-key-file and %s both hold a key; leave one of them out", keyEnv)
	case s.keyFile == "" && env == "":
		if s.plan.KeyHeader != "" {
			return fmt.Errorf("--coingecko.plan=%s needs a key: set --coingecko.api-key-file, or %s in the environment", s.plan.Name, keyEnv)
		}
		return nil
	case s.plan.KeyHeader == "":
		return fmt.Errorf("--coingecko.plan=%s takes no API key; set --coingecko.plan=demo or pro, or leave out the key", s.plan.Name)
	case s.keyFile != "":
		s.key, s.keyFrom = func() (string, error) { return keyFromFile(s.keyFile) }, "--coingecko.api-key-file"
	default:
		s.key, s.keyFrom = func() (string, error) { return usableKey(keyEnv, env) }, keyEnv
	}
	_, err := s.key()
	return err
}

func keyFromFile(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--coingecko.api-key-file: %w", err)
	}
	return usableKey("--coingecko.api-key-file="+file, string(b))
}

// usableKey checks that a key can be a header's value. Its errors do not quote the key.
func usableKey(from, key string) (string, error) {
	key = strings.TrimSpace(key)
	switch {
	case key == "":
		return "", fmt.Errorf("%s is empty; it holds the API key and nothing else", from)
	case len(key) > 256, strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s holds no API key: one word of ASCII letters and digits", from)
	}
	return key, nil
}

// quota is that of the plan where polls spend it, and nil where they do not.
func (s *settings) quota() *coingecko.Plan {
	if !s.spendsQuota() {
		return nil
	}
	return &s.plan
}

// warnings are settings that can be run and probably should not.
func (s *settings) warnings() []string {
	var w []string
	if n := coingecko.PollsPerMonth(s.interval); s.spendsQuota() && s.plan.PerMonth > 0 && n > s.plan.PerMonth {
		w = append(w, fmt.Sprintf("--coingecko.interval=%v makes %d polls in a month of 31 days; the %s plan allows %d, which last for %.1f days; %v would do",
			s.interval, n, s.plan.Name, s.plan.PerMonth, float64(s.plan.PerMonth)*s.interval.Hours()/24,
			time.Duration(float64(coingecko.Month)/float64(s.plan.PerMonth)).Round(time.Second)+time.Second))
	}
	if s.key != nil && !s.spendsQuota() {
		w = append(w, "the API key is sent to CoinGecko and within this machine only, not to the relays of --coingecko.url")
	}
	return w
}
