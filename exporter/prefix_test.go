package exporter_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// behind starts a reverse proxy that serves an exporter only under /rates.
func behind(t *testing.T, e *running, strip bool) *httptest.Server {
	t.Helper()
	target, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	var next http.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	if strip {
		next = http.StripPrefix("/rates", next)
	}
	mux := http.NewServeMux()
	mux.Handle("/rates/", next)
	mux.HandleFunc("/rates", next.ServeHTTP) // not a redirect of the proxy's own
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

var inPage = regexp.MustCompile(`(?:href|src)="([^"#]*)"`)

// Every link and asset of the screen and every endpoint works, whatever a reverse proxy does with the prefix.
func TestBehindAPrefix(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		strip bool
		bare  bool // nobody told the exporter, so the page must be asked for with its slash
	}{
		"by external URL":              {flags: []string{"--web.external-url=https://shop.example/rates/"}},
		"by route prefix":              {flags: []string{"--web.route-prefix=rates"}},
		"by both":                      {flags: []string{"--web.external-url=https://shop.example/rates", "--web.route-prefix=/rates"}},
		"stripped, with external URL":  {flags: []string{"--web.external-url=https://shop.example/rates", "--web.route-prefix=/"}, strip: true},
		"stripped, and nobody said so": {strip: true, bare: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, append(c.flags, "--simulate")...)
			proxy := behind(t, e, c.strip)
			testbed.Until(t, "rates", func() bool { return up(t, proxy.URL+"/rates") })
			starts := []string{"/rates/", "/rates", "/rates?quote=eur", "/rates/?quote=eur"}
			if c.bare {
				starts = []string{"/rates/", "/rates/?quote=eur"}
			}
			for _, at := range starts {
				resp, page := get(t, proxy.URL+at)
				if resp.StatusCode != 200 || !strings.Contains(page, `class="price"`) || strings.Contains(at, "eur") != strings.Contains(page, "rates in EUR") {
					t.Errorf("%s: %d\n%s", at, resp.StatusCode, page)
				}
				seen := 0
				for _, m := range inPage.FindAllStringSubmatch(page, -1) {
					to, err := resp.Request.URL.Parse(m[1])
					if err != nil {
						t.Fatal(err)
					}
					if to.Host != resp.Request.URL.Host {
						continue
					}
					if seen++; strings.Contains(m[1], "quote=") && seen > 9 {
						continue // one link to another quote is as good as seventy
					}
					if resp, _ := get(t, to.String()); resp.StatusCode != 200 {
						t.Errorf("%s: the link %s leads to %s: %d", at, m[1], to, resp.StatusCode)
					}
				}
				if seen < 5 {
					t.Errorf("%s: %d links", at, seen)
				}
			}
			for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, exporter.RelayPath: 200, "/none": 404, "//metrics": 200, "/x/../metrics": 200} {
				resp, _ := get(t, proxy.URL+"/rates"+path)
				if resp.StatusCode != want && !c.bare || resp.StatusCode != want && path[1] != '/' && path[1] != 'x' {
					t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
				}
			}
			// Another exporter can be pointed at it.
			other := start(t, "--coingecko.url="+proxy.URL+"/rates/api/v3")
			testbed.Until(t, "rates by the prefix", func() bool { return up(t, other.url) })
		})
	}
}

func TestPrefixIsTheOnlyWayIn(t *testing.T) {
	e := start(t, "--simulate", "--web.external-url=https://shop.example/shop/rates", "--web.route-prefix=/rates")
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{
		"/":                  "302 /shop/rates/",
		"/?quote=eur":        "302 /shop/rates/?quote=eur",
		"/rates":             "302 /shop/rates/",
		"/rates?quote=eur":   "302 /shop/rates/?quote=eur",
		"/rates//metrics":    "302 /shop/rates/metrics",
		"/rates/../metrics":  "302 /shop/rates/metrics",
		"/metrics":           "404 ",
		"/-/ready":           "404 ",
		"/ratesx":            "404 ",
		`/rates/./%5Cx.test`: "404 ", // without an external path, browsers would leave for x.test
		"/rates/-/healthy":   "200 ",
		"/rates/":            "200 ",
	} {
		resp, _ := ask(t, plain, http.MethodGet, e.url+path)
		if got := resp.Status[:3] + " " + resp.Header.Get("Location"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if serving := fmt.Sprintf("screen=%s/rates/ metrics=%[1]s/rates/metrics", e.url); !strings.Contains(e.log.String(), serving) {
		t.Errorf("the log does not say %s: %s", serving, e.log)
	}
	healthy := func(prefix string) bool {
		args := []string{"--health.check", "--web.listen-address=" + strings.TrimPrefix(e.url, "http://"), "--web.route-prefix=" + prefix}
		return exporter.Run(t.Context(), args, none, io.Discard, io.Discard) == 0
	}
	testbed.Until(t, "the health check", func() bool { return healthy("/rates") })
	if healthy("") {
		t.Error("the health check does not need the prefix")
	}
}

func TestCORS(t *testing.T) {
	const shop = "https://www.shop.example"
	open, closed := start(t, "--simulate"), start(t, "--simulate", `--web.cors.origin=https://(www|m)\.shop\.example`)
	for _, c := range []struct {
		e            *running
		origin, want string
	}{
		{open, shop, "*"},
		{open, "", ""},
		{closed, shop, shop},
		{closed, "https://m.shop.example", "https://m.shop.example"},
		{closed, "https://m.shop.example.evil.example", ""},
		{closed, "http://m.shop.example", ""},
		{closed, "", ""},
		{closed, shop, shop}, // the cache keeps nobody's origin
	} {
		testbed.Until(t, "rates", func() bool { return up(t, c.e.url) })
		for _, path := range []string{exporter.RelayPath, "/api/v3/ping"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				resp, body := ask(t, http.DefaultClient, method, c.e.url+path, "Origin: "+c.origin)
				h := resp.Header
				allowed := h.Get("Access-Control-Allow-Headers") + h.Get("Access-Control-Expose-Headers")
				named := strings.Contains(allowed, "X-Cg-Demo-Api-Key") && strings.Contains(allowed, coingecko.SimulatedHeader)
				got := []any{resp.StatusCode, h.Get("Allow"), body != "", h.Get("Access-Control-Allow-Origin"), named, slices.Contains(h.Values("Vary"), "Origin")}
				want := []any{200, "", method == http.MethodGet, c.want, c.want != "", true}
				if method == http.MethodOptions {
					want[0], want[1] = 204, "GET, HEAD, OPTIONS"
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s %s from %q: %s", method, path, c.origin, d)
				}
			}
		}
	}
	if resp, body := get(t, open.url+"/api/v3/ping"); body != `{"gecko_says":"(V3) To the Moon!"}` || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("ping: %s %v", body, resp.Header)
	}
	for _, path := range []string{"/", "/metrics", "/-/ready"} { // prices are for everybody, the rest is not
		if resp, _ := get(t, open.url+path, "Origin: "+shop); resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by other sites", path)
		}
	}
}
