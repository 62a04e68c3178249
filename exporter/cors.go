// CORS: which other sites may read the relay endpoint.

package exporter

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// anchored returns a regular expression that matches whole origins, as in Prometheus.
func anchored(origin string) string { return "^(?s:" + origin + ")$" }

// originProblem describes why no origin can match a regular expression; empty if one can.
func originProblem(origin string) string {
	switch {
	case origin == "":
		return ""
	case betweenOrigins.MatchString(origin):
		return "an origin has no spaces or quotes; separate origins with |"
	case strings.HasSuffix(origin, "/") || strings.HasSuffix(origin, "/$"):
		return "an origin has no trailing slash"
	case origin == "*", strings.Contains(origin, "/*."):
		return "this is a regular expression; write .* instead of *"
	case plainHost.MatchString(origin) && origin != "null":
		return "an origin must begin with http:// or https://"
	}
	return ""
}

var betweenOrigins = regexp.MustCompile(`[\s"']|[,;]\s*http`)

var plainHost = regexp.MustCompile(`^\^?[A-Za-z0-9-]+(?:\\?\.[A-Za-z0-9-]+)*(?::[0-9]+)?\$?$`)

// allowCORS lets pages of matching origins read answers, and answers preflight requests. The cached answers of next have Vary: Origin
// but not these headers.
func allowCORS(origins *regexp.Regexp, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if origin := r.Header.Get("Origin"); origin != "" && origins.MatchString(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			if origins.String() == anchored(".*") {
				h.Set("Access-Control-Allow-Origin", "*")
			}
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			// Including those that CoinGecko's clients send.
			h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, If-None-Match, Origin, X-Cg-Demo-Api-Key, X-Cg-Pro-Api-Key")
			h.Set("Access-Control-Expose-Headers", "Age, Date, ETag, Last-Modified, Retry-After, "+coingecko.SimulatedHeader+", "+coingecko.WithheldHeader)
		}
		if r.Method == http.MethodOptions {
			h.Add("Vary", "Origin")
			h.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// servePing answers as CoinGecko does, for clients that ping the API first.
func servePing(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	fmt.Fprint(w, `{"gecko_says":"(V3) To the Moon!"}`)
}
