// Checks of flags against each other and against what they mean, without the network.

package exporter

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/history"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/screen"
)

func (s *settings) checkWeb() error {
	switch p := s.telemetryPath; {
	case p == "/":
		return s.wrong("web.telemetry-path", "the screen uses this path")
	case strings.HasSuffix(p, "/"):
		return s.wrong("web.telemetry-path", "remove the trailing slash")
	case p == "", !isPrefix(p):
		return s.wrong("web.telemetry-path", "not a path that begins with / and consists of letters, digits and ._~-")
	case p == relayPath, p == pingPath, strings.HasPrefix(p+"/", "/-/"), strings.HasPrefix(p, "/screen"):
		return s.wrong("web.telemetry-path", "another endpoint uses this path")
	}
	for _, flag := range []string{"web.max-requests", "web.max-connections"} {
		if g := s.given[flag]; len(g.values) > 0 {
			switch n, err := strconv.Atoi(g.values[len(g.values)-1]); {
			case errors.Is(err, strconv.ErrRange):
				return s.wrong(flag, "the number is too large")
			case err != nil: // kingpin parses 1.5 as 1
				return s.wrong(flag, "not a whole number")
			case n < 0:
				return s.wrong(flag, "must not be negative; 0 means no limit")
			}
		}
	}
	if err := s.checkPrefix(); err != nil {
		return err
	}
	if problem := originProblem(s.corsFlag); problem != "" {
		return s.wrong("web.cors.origin", "%s", problem)
	}
	var err error
	if s.cors, err = regexp.Compile(anchored(s.corsFlag)); err != nil {
		return s.wrong("web.cors.origin", "not a valid regular expression")
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
	var addresses []string
	if !*s.web.WebSystemdSocket {
		addresses = slices.Clone(*s.web.WebListenAddresses)
	}
	flag, health := "web.listen-address", len(addresses)
	if s.healthAddress != "" {
		addresses = append(addresses, s.healthAddress)
	}
	for i, address := range addresses {
		problem := listenProblem(address)
		if i == health {
			flag = "web.health-listen-address"
			if strings.HasPrefix(address, "vsock://") {
				problem = "the health endpoints cannot use vsock"
			}
		}
		if problem != "" {
			return s.wrongValue(flag, address, problem)
		}
		taken := func(a string) int {
			return slices.IndexFunc(addresses[:i], func(other string) bool { return sameListener(a, other) })
		}
		if at := taken(address); at >= 0 {
			port := 9880
			for taken(fmt.Sprint(":", port)) >= 0 {
				port++
			}
			return s.wrongExample(flag, address, "uses the same port as "+addresses[at], fmt.Sprint(":", port))
		}
	}
	return nil
}

// checkSocket checks that systemd has passed a socket if --web.systemd-socket is set.
func (s *settings) checkSocket() error {
	if *s.web.WebSystemdSocket && !s.check && !s.healthCheck && s.environment["LISTEN_FDS"] == "" {
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
	plans := coingecko.Plans()
	s.plan = plans[slices.IndexFunc(plans, func(p coingecko.Plan) bool { return p.Name == s.planName })]
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
	interval, least := poller.MinInterval, poller.MinInterval
	switch {
	case s.simulate: // no quota is used, and an audience waits
		interval, least = simulatedInterval, 100*time.Millisecond
	case s.spendsQuota():
		interval = s.plan.Interval
	}
	if s.given["coingecko.interval"].name == "" {
		s.interval = interval
	}
	if s.given["rates.max-age"].name == "" {
		s.maxAge = max(leastMaxAge, 3*s.interval)
	}
	s.minInterval, s.backoffMin, s.backoffMax = poller.MinInterval, time.Minute, 15*time.Minute
	if s.simulate {
		s.minInterval, s.backoffMin, s.backoffMax = s.interval, 5*time.Second, 15*time.Second
	}
	switch {
	case s.interval < least:
		return s.wrong("coingecko.interval", "must be at least %v", least)
	case s.interval > 24*time.Hour:
		return s.wrong("coingecko.interval", "must be at most 24h")
	case s.timeout < leastTimeout:
		return s.wrong("coingecko.timeout", "must be at least %v", leastTimeout)
	case s.maxAge == 0:
		return s.wrong("rates.max-age", "rates would expire at once")
	case s.maxAge < s.interval:
		return s.wrong("rates.max-age", "must not be below the poll interval %s=%v; rates would expire before the next poll", s.name("coingecko.interval"), s.interval)
	case s.timeout > s.maxAge && !s.simulate: // the simulator may have a max-age below the default timeout
		return s.wrong("coingecko.timeout", "must not be above %s=%v; rates would expire during a poll", s.name("rates.max-age"), s.maxAge)
	case s.maxJump != 0 && !(s.maxJump > 1 && s.maxJump <= math.MaxFloat64):
		return s.wrong("rates.max-jump", "must be above 1, or 0 for no limit")
	case s.shutdownDelay < 0:
		return s.wrong("web.shutdown-delay", "must not be negative")
	case s.shutdownTimeout <= 0:
		return s.wrong("web.shutdown-timeout", "must be above 0")
	}
	return nil
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
			return s.wrong("screen.basket", "%s", err)
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
