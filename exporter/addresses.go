// Validation of addresses and URLs without the network.

package exporter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// portProblem describes what is wrong with a port; empty if nothing is.
func portProblem(port string) string {
	n, err := strconv.Atoi(port)
	switch {
	case err == nil && n >= 0 && n <= 65535:
		return ""
	case err == nil || errors.Is(err, strconv.ErrRange):
		return "the port must be between 0 and 65535"
	}
	if _, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err != nil { // not a service name such as http
		return "the port is not a number between 0 and 65535"
	}
	return ""
}

// hostName matches labels of letters, digits, hyphens and, for Docker, underscores, with or without a trailing dot.
var hostName = regexp.MustCompile(`^[\pL\pN_]([\pL\pN_-]{0,61}[\pL\pN_])?(\.[\pL\pN_]([\pL\pN_-]{0,61}[\pL\pN_])?)*\.?$`)

// hostProblem describes what is wrong with a host; empty if nothing is.
func hostProblem(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	if strings.Trim(host, "0123456789.") == "" || !hostName.MatchString(host) {
		return "the host is neither an IP address nor a host name"
	}
	return ""
}

// isIPv6 reports whether a text is an IPv6 address without brackets, alone or before a port.
func isIPv6(s string) bool {
	before := s[:max(strings.LastIndex(s, ":"), 0)]
	for _, candidate := range []string{s, before} {
		if ip, err := netip.ParseAddr(candidate); err == nil && ip.Is6() {
			return true
		}
	}
	return false
}

const (
	severalURLs = "contains several URLs"
	userInURL   = "a user or password in the URL would be logged"
	noQuery     = "must not contain ? or #"
	noBrackets  = "an IPv6 address must be in brackets"
	escapes     = "in user and password, escape @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25"
)

// listenProblem describes what is wrong with a listen address; empty if nothing is.
func listenProblem(address string) string {
	rest, isVsock := strings.CutPrefix(address, "vsock://")
	if strings.ContainsAny(rest, ",; \n") && strings.Count(rest, ":") > 1 {
		return "contains several addresses; repeat the flag, or write one per line in the variable"
	}
	if !isVsock && strings.Contains(address, "://") {
		return "must not begin with a scheme such as http://"
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		switch {
		case !strings.Contains(rest, ":"):
			return "the colon before the port is missing"
		case isIPv6(rest):
			return noBrackets
		case strings.Contains(err.Error(), "too many colons"):
			return "there is more than one colon"
		case strings.Contains(err.Error(), "missing port"):
			return "the port is missing"
		}
		return "not a host and a port"
	}
	if port == "" {
		return "the port after the colon is missing"
	}
	if isVsock {
		if _, err := strconv.ParseUint(port, 10, 32); err != nil {
			return "the port is not a number below 4294967296"
		}
		return ""
	}
	if problem := portProblem(port); problem != "" {
		return problem
	}
	if host == "" {
		return ""
	}
	return hostProblem(host)
}

// sameListener reports whether two listen addresses conflict.
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

// parseURL parses the URL of a server, or describes what is wrong with it.
func parseURL(raw string) (_ *url.URL, problem string) {
	_, authority, found := strings.Cut(raw, "://")
	if !found {
		authority = raw
	}
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	u, err := url.Parse(raw)
	switch {
	case strings.Contains(authority, "://"), strings.Count(raw, "://") > 1 && (authority == "http:" || authority == "https:"):
		return nil, "http:// or https:// appears twice"
	case strings.Count(raw, "://") > 1 && strings.ContainsAny(raw, ",; \t\r\n|\\"), err == nil && strings.ContainsAny(u.Host+u.Path, ",;|"):
		return nil, severalURLs
	case isIPv6(authority):
		return nil, noBrackets
	case strings.Contains(raw, "@") && !strings.Contains(authority, "@"), err != nil && strings.Contains(err.Error(), "userinfo"):
		return nil, escapes
	case err != nil && strings.Contains(err.Error(), "invalid port"):
		return nil, "the port is not a number between 0 and 65535"
	case err != nil && strings.ContainsAny(authority, "${}<>"):
		return nil, hostProblem(authority)
	case err != nil:
		return nil, "not a URL"
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, "must begin with http:// or https:// and a host"
	case strings.HasSuffix(u.Host, ":"):
		return nil, "the port after the colon is missing"
	case u.Port() == "0":
		return nil, "port 0 cannot be used"
	case portProblem(u.Port()) != "" && u.Port() != "":
		return nil, portProblem(u.Port())
	case hostProblem(u.Hostname()) != "":
		return nil, hostProblem(u.Hostname())
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return nil, noQuery
	}
	return u, ""
}

// baseURL is parseURL for URLs that are logged and so must not contain a user.
func baseURL(raw string) (_ *url.URL, problem string) {
	u, problem := parseURL(raw)
	if problem == escapes || problem == "" && u.User != nil {
		problem = userInURL
	}
	return u, problem
}

// upstreamURL parses one value of --coingecko.url.
func (s *settings) upstreamURL(raw string) (*url.URL, error) {
	u, problem := baseURL(raw)
	switch problem {
	case severalURLs:
		problem += "; repeat the flag, or write one per line in the variable"
	case userInURL:
		problem += "; use --coingecko.http-config-file"
	case noQuery:
		problem += "; set an API key with --coingecko.api-key-file"
	case "":
		switch path := strings.TrimSuffix(u.Path, "/"); {
		case strings.HasSuffix(path, coingecko.Path):
			problem = "remove " + coingecko.Path + ", which the exporter appends"
		case !strings.HasSuffix(path, coingecko.APIPath):
			problem = "must end in " + coingecko.APIPath
		case s.isOwnAddress(u):
			problem = "this is the exporter's own listen address"
		}
	}
	if problem != "" {
		return nil, s.wrongExample("coingecko.url", raw, problem, upstreamExample(raw))
	}
	if of := plansAt(u); len(of) > 0 && coingecko.Host(u) != hostOf(s.plan.URL) {
		return nil, fmt.Errorf("%s=%s: this is the host of plan %s, but %s is %s; for example %s=%s", s.name("coingecko.url"), shown(raw),
			strings.Join(of, " and "), s.name("coingecko.plan"), s.plan.Name, s.name("coingecko.url"), s.plan.URL)
	}
	return u, nil
}

var portInURL = regexp.MustCompile(`:\d+(/|$)`)

// upstreamExample returns an example of the kind that was probably meant: another exporter or CoinGecko.
func upstreamExample(raw string) string {
	raw = strings.ToLower(raw)
	switch {
	case strings.Contains(raw, "coingecko.com"):
	case portInURL.MatchString(raw), strings.Contains(raw, "://") && !strings.Contains(raw, "coinge"):
		return "http://poller:9880" + coingecko.APIPath
	}
	return examples["coingecko.url"]
}

// isOwnAddress reports whether a URL is one of this exporter's listen addresses: it would wait for its own rates.
func (s *settings) isOwnAddress(u *url.URL) bool {
	if *s.web.WebSystemdSocket {
		return false
	}
	host, port := coingecko.Host(u), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback() && !ip.IsUnspecified()) {
		return false
	}
	return slices.ContainsFunc(*s.web.WebListenAddresses, func(address string) bool {
		return sameListener(address, net.JoinHostPort(host, port))
	})
}

// plansAt returns the plans whose API is at the host of a URL.
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

// noProxyURL is what is wrong with the URL of a proxy. It does not quote the URL, which may contain a password.
const noProxyURL = "not a proxy URL such as http://user:password@proxy:3128; " + escapes

func isProxyURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) && hostProblem(u.Hostname()) == "" &&
		!strings.HasSuffix(u.Host, ":") && strings.Trim(u.Path, "/") == "" && (u.Port() == "" || portProblem(u.Port()) == "")
}

// checkProxy checks the variables from which net/http takes a proxy. net/http itself ignores invalid ones.
func (s *settings) checkProxy() error {
	if s.httpConfig != nil && (s.httpConfig.ProxyURL.URL != nil || s.httpConfig.NoProxy != "") {
		return nil // takes precedence over the variables
	}
	for _, e := range s.endpoints {
		of := map[string][]string{"https": {"HTTPS_PROXY", "https_proxy"}, "http": {"HTTP_PROXY", "http_proxy"}}[e.URL.Scheme]
		for _, v := range of {
			proxy := s.environment[v]
			if proxy == "" {
				continue
			}
			if !strings.Contains(proxy, "://") { // variables may omit the scheme
				proxy = "http://" + proxy
			}
			if !isProxyURL(proxy) {
				return fmt.Errorf("%s=%s: %s", v, shown(s.environment[v]), noProxyURL)
			}
			break // the first one that is set takes precedence
		}
	}
	return nil
}
