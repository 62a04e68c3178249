// What other sites' pages may read.

package exporter

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// cors lets pages of other origins read an answer, as Prometheus does it.
type cors struct {
	origin *regexp.Regexp
	any    bool // every origin is allowed
}

// newCORS makes it from a regular expression that is anchored on both sides.
func newCORS(origin string) (cors, error) {
	re, err := regexp.Compile("^(?s:" + origin + ")$")
	if err != nil {
		return cors{}, err
	}
	return cors{re, origin == ".*"}, nil
}

// originProblem says what is wrong with a regular expression that no origin can match.
func originProblem(origin string) string {
	switch {
	case origin == "":
		return ""
	case betweenOrigins.MatchString(origin):
		return "an origin has no spaces or quotes; separate origins with |"
	case strings.HasSuffix(origin, "/") || strings.HasSuffix(origin, "/$"):
		return "an origin has no trailing slash"
	case strings.Contains(origin, "/*."):
		return "this is a regular expression; write .* instead of *"
	case plainHost.MatchString(origin) && origin != "null":
		return "an origin must begin with http:// or https://"
	}
	return ""
}

var betweenOrigins = regexp.MustCompile(`[\s"']|[,;]\s*http`)

var plainHost = regexp.MustCompile(`^\^?[A-Za-z0-9-]+(?:\\?\.[A-Za-z0-9-]+)*(?::[0-9]+)?\$?$`)

// wrap adds the headers, and answers what browsers ask beforehand. The answers of next vary by origin, and say so: they may
// be kept, and these headers are not kept with them.
func (c cors) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if origin := r.Header.Get("Origin"); origin != "" && c.origin.MatchString(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			if c.any {
				h.Set("Access-Control-Allow-Origin", "*")
			}
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			// With those that code for CoinGecko sends.
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

// servePing says what CoinGecko says there, for code that asks first whether the API is up.
func servePing(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	fmt.Fprint(w, `{"gecko_says":"(V3) To the Moon!"}`)
}
