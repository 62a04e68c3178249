// Package exporter polls CoinGecko's exchange rates and serves them as Prometheus metrics, as a screen, and in
// CoinGecko's format for relays. Run is the whole program.
package exporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	oklog "github.com/oklog/run"
	"github.com/prometheus/common/version"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/collector"
	"github.com/heycard/coingecko-exporter/exporter/internal/history"
	"github.com/heycard/coingecko-exporter/exporter/internal/logging"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

const (
	name = "coingecko-exporter"
	home = "https://github.com/heycard/coingecko-exporter"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it failed while it ran
	exitUsage  = 2 // flags, files or environment are invalid
)

// Run runs the program until the context is done, or until SIGTERM or SIGINT. environ has the form of os.Environ. Run returns the
// exit code: 0, 1 if the program failed, 2 if flags, files or the environment are invalid.
func Run(ctx context.Context, args []string, environ []string, stdout, stderr io.Writer) int {
	// Half of Go's default: most answers come from the cache, so there is little garbage, and a thousand concurrent readers
	// need several MiB less. docs/performance.md has the figures.
	env := newEnvironment(environ)
	if env["GOGC"] == "" {
		debug.SetGCPercent(50)
	}
	s, err := parse(args, env, stdout, stderr)
	if errors.Is(err, errHelped) {
		return exitOK
	}
	if err == nil && s.healthCheck {
		return checkHealth(ctx, s, stderr)
	}
	var e *exporter
	if err == nil {
		var log *logging.Queue
		s.logger, log = logging.NewQueued(stderr, s.logLevel, s.logFormat)
		outliveReaders()
		defer log.Close()
		e, err = build(s)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: error: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
		return exitUsage
	}
	if s.check {
		fmt.Fprintln(stdout, "The configuration is valid.")
		for _, w := range s.warnings() {
			fmt.Fprintln(stdout, "Warning:", w)
		}
		return exitOK
	}
	if err := e.serve(ctx); err != nil {
		s.logger.Error("Exporter failed", "err", err)
		return exitFailed
	}
	return exitOK
}

// exporter holds the parts of the program.
type exporter struct {
	settings *settings
	poller   *poller.Poller
	screen   *screen.Screen
	health   *health
	handler  http.Handler
	sim      *simulator.Simulator // of --simulate; nil otherwise
}

// build creates the parts. Only the simulator already serves.
func build(s *settings) (_ *exporter, err error) {
	e := &exporter{settings: s, health: &health{started: time.Now()}}
	build := cmp.Or(version.Version, "dev")
	if s.simulate {
		if e.sim, err = simulator.Start(simulator.Options{}); err != nil {
			return nil, err
		}
		u, err := url.Parse(e.sim.URL())
		if err != nil {
			return nil, err
		}
		s.endpoints = []coingecko.Endpoint{{URL: u, Upstream: coingecko.CoinGecko}} // the simulator stands in for CoinGecko
	}
	client, err := coingecko.New(coingecko.Options{
		Endpoints: s.endpoints,
		KeyHeader: s.plan.KeyHeader,
		Key:       s.key,
		KeyFrom:   s.keyFrom,
		UserAgent: fmt.Sprintf("%s/%s (+%s)", name, build, home),
		Timeout:   s.timeout,
		HTTP:      s.httpConfig,
	})
	if err != nil {
		return nil, err // readHTTPConfig has already checked it
	}
	status := func() poller.Status { return e.poller.Status() }
	rates := collector.New(collector.Options{Status: status, Quota: s.quota()})
	e.screen = screen.New(screen.Options{
		Status:      status,
		Quote:       s.quote,
		Coins:       s.coins,
		Thresholds:  s.thresholds,
		Basket:      s.basket,
		Zone:        s.zone,
		Version:     build,
		LinkBase:    s.linkBase(),
		MetricsPath: s.telemetryPath,
		Logger:      s.logger,
	})
	if e.sim != nil {
		for at, rates := range e.sim.History(history.Reach+history.Tolerance, time.Minute) {
			e.screen.Remember(at, rates, true)
		}
	}
	e.poller = poller.New(poller.Options{
		Client:      client,
		Interval:    s.interval,
		MinInterval: s.minInterval,
		MaxAge:      s.maxAge,
		MaxJump:     coingecko.Jump(s.maxJump),
		BackoffMin:  s.backoffMin,
		BackoffMax:  s.backoffMax,
		Simulated:   s.simulate,
		Logger:      s.logger,
		Observers:   []poller.Observer{rates, e.screen},
	})
	e.health.poller = e.poller
	e.handler = newHandler(s, e.poller, e.health, rates, e.screen)
	return e, nil
}

// serve runs all parts until one of them ends. It then ends the others in the order in which they are added, so the web
// server shuts down while the poller still runs.
func (e *exporter) serve(ctx context.Context) error {
	s := e.settings
	defer s.heedHangUps()()
	s.logger.Info("Starting "+name, "version", version.Info(), "build_context", version.BuildContext())
	for _, w := range s.warnings() {
		s.logger.Warn("Configuration warning", "warning", w)
	}
	for _, u := range s.endpoints {
		polling := []any{"url", u.URL.String(), "upstream", string(u.Upstream), "interval", s.interval.String(), "max_age", s.maxAge.String()}
		if u.Upstream == coingecko.CoinGecko {
			polling = append(polling, "plan", s.plan.Name)
		}
		s.logger.Info("Polling", polling...)
	}
	if e.sim != nil {
		s.logger.Warn("SIMULATED: these rates are not real", "control", e.sim.ControlURL())
	}

	// Signals must be handled before anything listens. The first one starts a graceful shutdown, a second one kills the process.
	signalled, reset := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer reset()
	var g oklog.Group
	g.Add(func() error { <-signalled.Done(); return context.Cause(signalled) }, func(error) { reset() })

	server := newDrainer(e.handler, s)
	g.Add(server.serve, func(error) { server.drain(e.health) })

	if s.healthAddress != "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.healthAddress)
		if err != nil {
			return notListening(err, "--web.health-listen-address")
		}
		probes := newServer(e.health.handler(), s.logger)
		s.logger.Info("Listening for probes", "address", l.Addr().String())
		g.Add(func() error { return probes.Serve(l) }, func(error) { probes.Close() })
	}

	polling, stop := context.WithCancel(context.Background())
	go recall(polling, s, e.poller, e.screen.Restore)
	go e.warnUnknown(polling)
	g.Add(func() error { return e.poller.Run(polling) }, func(error) { stop() })

	if e.sim != nil {
		ended := make(chan struct{})
		g.Add(func() error { <-ended; return nil }, func(error) { e.sim.Close(); close(ended) })
	}

	err := g.Run()
	if errors.Is(err, context.Cause(signalled)) {
		s.logger.Info("Stopped", "why", err.Error())
		return nil
	}
	return notListening(err, "--web.listen-address")
}

// warnUnknown logs which currencies of the screen's settings the first good answer does not have: flags are checked
// before CoinGecko's list is known.
func (e *exporter) warnUnknown(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-e.poller.First():
	}
	first := e.poller.Status().Snapshot
	if first == nil { // expired at once
		return
	}
	s := e.settings
	for _, setting := range []struct {
		flag  string
		codes []string
	}{{"screen.coins", s.coins}, {"screen.quote", []string{s.quote}}, {"screen.basket", []string{s.basket.Code}}, {"screen.thresholds", s.thresholds.Currencies()}} {
		unknown := slices.DeleteFunc(slices.Clone(setting.codes), func(code string) bool {
			_, known := coingecko.Find(first.Rates, code)
			_, withheld := coingecko.Find(first.Withheld, code)
			return code == "" || known || withheld
		})
		if len(unknown) > 0 {
			s.logger.Warn("CoinGecko has no rates for some currencies of a setting", "setting", s.name(setting.flag), "currencies", strings.Join(unknown, ","))
		}
	}
}

// notListening adds advice to an error about an address at which the exporter cannot listen.
func notListening(err error, flag string) error {
	if listening := (*net.OpError)(nil); errors.As(err, &listening) && listening.Op == "listen" {
		return fmt.Errorf("%w; choose another address with %s", err, flag)
	}
	return err
}
