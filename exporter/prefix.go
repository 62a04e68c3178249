// External URL and route prefix, for use behind a reverse proxy.

package exporter

import (
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"
)

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// checkPrefix derives the paths as Prometheus does from its flags of the same names.
func (s *settings) checkPrefix() error {
	if s.externalFlag != "" {
		u, problem := baseURL(s.externalFlag)
		if problem == userInURL {
			problem += "; remove it"
		}
		if problem != "" {
			return s.wrong("web.external-url", "%s", problem)
		}
		s.externalPath = strings.TrimRight(u.Path, "/")
		if !isPrefix(s.externalPath) {
			return s.wrong("web.external-url", "the path must consist of letters, digits and ._~-")
		}
		s.prefix = s.externalPath
	}
	if s.prefixFlag != "" {
		s.prefix = strings.TrimRight("/"+strings.Trim(s.prefixFlag, "/"), "/")
		if !isPrefix(s.prefix) {
			return s.wrong("web.route-prefix", "not a path of letters, digits and ._~-")
		}
	}
	if s.externalFlag == "" {
		s.externalPath = s.prefix
	}
	return nil
}

func isPrefix(p string) bool {
	return plainPath.MatchString(p) && (p == "" || p == path.Clean(p))
}

// announce logs the URLs of the screen and the metrics for a listen address.
func (s *settings) announce(at net.Addr) {
	if at.Network() != "tcp" { // vsock and Unix sockets have no URL
		return
	}
	u := ownURL(at.String())
	if s.hasTLS {
		u.Scheme = "https"
	}
	u = u.JoinPath(s.prefix)
	s.logger.Info("Serving", "screen", u.JoinPath("/").String(), "metrics", u.JoinPath(s.telemetryPath).String())
}

// linkBase is the beginning of the screen's links. Without an external URL they are relative, so they also work behind a
// reverse proxy that is not configured here.
func (s *settings) linkBase() string {
	if s.externalFlag != "" {
		return s.externalPath
	}
	return "."
}

// prefixed serves next below the route prefix. It redirects / and paths that are not clean to their external paths.
func prefixed(s *settings, next http.Handler) http.Handler {
	if s.prefix == "" && s.externalPath == "" {
		return next
	}
	within := http.StripPrefix(s.prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		below, ok := strings.CutPrefix(r.URL.Path, s.prefix)
		to := path.Clean("/" + below)
		if to != "/" && strings.HasSuffix(below, "/") {
			to += "/"
		}
		switch {
		case r.URL.Path == "/" && s.prefix != "":
			to = "/"
		case !ok || below != "" && below[0] != '/', strings.Contains(below, `\`): // browsers read /\ as //, another host
			http.NotFound(w, r)
			return
		case below == to:
			within.ServeHTTP(w, r)
			return
		}
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, s.externalPath+to, http.StatusFound) //nolint:gosec // the path begins with this exporter's own
	})
}
