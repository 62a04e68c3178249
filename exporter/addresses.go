// Addresses in settings: what can be said about them without the network.

package exporter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// apiPath ends the base URL of whoever has rates.
const apiPath = "/api/v3"

// portProblem says what is wrong with a port in an address.
func portProblem(port string) string {
	n, err := strconv.Atoi(port)
	switch {
	case err == nil && n >= 0 && n <= 65535:
		return ""
	case err == nil || errors.Is(err, strconv.ErrRange):
		return "the port is not between 0 and 65535"
	}
	if _, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err != nil { // such as http
		return "the port is no number between 0 and 65535"
	}
	return ""
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// listenProblem says what is wrong with an address to listen on.
func listenProblem(address string) string {
	rest, isVsock := strings.CutPrefix(address, "vsock://")
	if !isVsock && strings.Contains(address, "://") {
		return "a scheme such as http:// has no place here"
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		switch {
		case !strings.Contains(rest, ":"):
			return "there is no colon before the port"
		case strings.Contains(err.Error(), "too many colons"):
			return "an IPv6 address stands in brackets before the colon and the port"
		case strings.Contains(err.Error(), "missing port"):
			return "there is no port"
		}
		return "no host and port"
	}
	if port == "" {
		return "there is no port behind the colon"
	}
	if isVsock {
		if _, err := strconv.ParseUint(port, 10, 32); err != nil {
			return "the port is no number below 4294967296"
		}
		return ""
	}
	if problem := portProblem(port); problem != "" {
		return problem
	}
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return ""
	}
	if strings.Trim(host, "0123456789.") == "" || !hostName.MatchString(host) {
		return "the host is neither an IP address nor a name"
	}
	return ""
}

// sameListener says whether two addresses cannot both be listened on.
func sameListener(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	switch {
	case errA != nil || errB != nil: // vsock
		return a == b
	case portA != portB || portA == "0":
		return false
	}
	everywhere := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return strings.EqualFold(hostA, hostB) || everywhere(hostA) || everywhere(hostB)
}

// parseURL reads a URL of something to ask, and says what is wrong with it.
func parseURL(raw string) (_ *url.URL, problem string) {
	if strings.Count(raw, "://") > 1 && strings.ContainsAny(raw, ",; \t\n|") {
		return nil, "several URLs in one; repeat the flag, or give the variable one on each line"
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil && strings.Contains(err.Error(), "invalid port"):
		return nil, "the port is no number between 0 and 65535"
	case err != nil:
		return nil, "no URL"
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, "there is no http:// or https:// with a host behind it"
	case strings.HasSuffix(u.Host, ":"):
		return nil, "there is no port behind the colon"
	case u.Port() == "0":
		return nil, "nobody can be asked at port 0"
	case portProblem(u.Port()) != "" && u.Port() != "":
		return nil, portProblem(u.Port())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return u, "it takes no ? and no #; an API key belongs into --coingecko.api-key-file"
	}
	return u, ""
}

// baseURL is parseURL for what may hold no user: URLs end up in logs.
func baseURL(raw string) (_ *url.URL, problem string) {
	u, problem := parseURL(raw)
	if problem == "" && u.User != nil {
		problem = "a user or password in a URL ends up in logs; put it into --coingecko.http-config-file"
	}
	return u, problem
}

// upstreamURL reads one of --coingecko.url.
func (s *settings) upstreamURL(raw string) (*url.URL, error) {
	u, problem := baseURL(raw)
	if problem == "" {
		switch path := strings.TrimSuffix(u.Path, "/"); {
		case strings.HasSuffix(path, coingecko.Path):
			problem = "leave out " + coingecko.Path + ", which is appended"
		case !strings.HasSuffix(path, apiPath):
			problem = "it does not end in " + apiPath
		}
	}
	if problem != "" {
		return nil, s.wrongValue("coingecko.url", raw, problem)
	}
	if of := plansAt(u); len(of) > 0 && coingecko.Host(u) != hostOf(s.plan.URL) {
		return nil, fmt.Errorf("%s=%s: that is the host of plan %s, and %s is %s; for example %s=%s", s.name("coingecko.url"), shown(raw),
			strings.Join(of, " and "), s.name("coingecko.plan"), s.plan.Name, s.name("coingecko.url"), s.plan.URL)
	}
	return u, nil
}

// plansAt are the plans whose API is at the host of a URL.
func plansAt(u *url.URL) []string {
	var names []string
	for _, p := range coingecko.Plans() {
		if hostOf(p.URL) == coingecko.Host(u) {
			names = append(names, p.Name)
		}
	}
	return names
}

func hostOf(planURL string) string {
	u, err := url.Parse(planURL)
	if err != nil { // the plans are constants
		panic(err)
	}
	return coingecko.Host(u)
}

// proxyProblem says whether a URL of a proxy cannot be used. It may hold a password, which is not told. A scheme may be
// left out in the environment.
func proxyProblem(raw string, inEnvironment bool) string {
	if inEnvironment && !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err == nil && u.Hostname() != "" && (u.Port() == "" || portProblem(u.Port()) == "") {
		switch u.Scheme {
		case "http", "https", "socks5", "socks5h":
			return ""
		}
	}
	return "no URL of a proxy, such as http://user:password@proxy:3128; in user and password, write @ as %40, : as %3A, / as %2F, # as %23 and % as %25"
}

// checkProxy looks at the variables that net/http takes a proxy from. It would leave out one that cannot be read.
func (s *settings) checkProxy(env environment) error {
	if s.httpConfig != nil && (s.httpConfig.ProxyURL.URL != nil || s.httpConfig.NoProxy != "") {
		return nil // no variable counts
	}
	for _, e := range s.endpoints {
		of := map[string][]string{"https": {"HTTPS_PROXY", "https_proxy"}, "http": {"HTTP_PROXY", "http_proxy"}}[e.URL.Scheme]
		for _, v := range of {
			if env[v] == "" {
				continue
			}
			if problem := proxyProblem(env[v], true); problem != "" {
				return fmt.Errorf("%s: %s", v, problem)
			}
			break // the first one that is set counts
		}
	}
	return nil
}
