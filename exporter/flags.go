// Flags: declaration and parsing.

package exporter

import (
	"errors"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // for --screen.timezone: the image contains only the binary

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/logging"
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
	prefixFlag             string
	prefix                 string // of all paths, without a trailing slash
	corsFlag               string
	cors                   *regexp.Regexp

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
	environment                         environment
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
	app.Flag("rates.max-age", "Maximum age of rates. Older rates expire. Defaults to 10m or three intervals, whichever is longer. On a relay, set it to that of the poller.").PlaceHolder("DURATION").DurationVar(&s.maxAge)
	app.Flag("rates.max-jump", "Maximum factor between a rate and the one before. A rate beyond it is withheld until a later, different answer confirms it. 0 means no limit.").Default("1.5").Float64Var(&s.maxJump)

	app.Flag("screen.quote", "Currency in which the screen shows prices.").Default("usd").StringVar(&s.quote)
	app.Flag("screen.coins", "Comma-separated codes of the coins on the screen. Defaults to all coins except bits and sats.").PlaceHolder("btc,eth,...").StringVar(&s.coinsList)

	app.Flag("screen.basket", "Amount that the screen converts into each coin, such as 49.90eur.").PlaceHolder("AMOUNT").StringVar(&s.basketFlag)
	app.Flag("screen.thresholds", "Price changes that the screen highlights, as ratios by kind or currency and by window (15m, 1h, 24h). Defaults to the thresholds of the shipped alerts. An empty flag means none; an empty variable is ignored.").Default(screen.DefaultThresholds).StringVar(&s.limitsFlag)
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
	s := &settings{environment: env}
	app := newApp(s)
	helped := false
	app.Terminate(func(int) { helped = true })
	app.UsageWriter(stdout)
	app.ErrorWriter(stderr)
	err := s.read(app, args)
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
	for _, check := range []func() error{s.checkWeb, s.checkUpstream, s.checkTimes, s.checkScreen, s.checkHistory, s.checkKey, s.checkProxy, s.checkSocket} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	s.logger = logging.New(stderr, s.logLevel, s.logFormat)
	return s, nil
}
