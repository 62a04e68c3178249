package coingecko_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/config"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const userAgent = "coingecko-exporter/test (+https://github.com/heycard/coingecko-exporter)"

func endpoint(t testing.TB, base string, upstream coingecko.Upstream) coingecko.Endpoint {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return coingecko.Endpoint{URL: u, Upstream: upstream}
}

// client returns a client of one upstream that serves as CoinGecko.
func client(t testing.TB, base string, change ...func(*coingecko.Options)) *coingecko.Client {
	t.Helper()
	o := coingecko.Options{
		Endpoints: []coingecko.Endpoint{endpoint(t, base, coingecko.CoinGecko)},
		UserAgent: userAgent,
		Timeout:   time.Minute,
	}
	for _, f := range change {
		f(&o)
	}
	c, err := coingecko.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func timeout(d time.Duration) func(*coingecko.Options) {
	return func(o *coingecko.Options) { o.Timeout = d }
}

// configured returns the option of an HTTP configuration that differs from the default.
func configured(change func(*config.HTTPClientConfig)) func(*coingecko.Options) {
	c := config.DefaultHTTPClientConfig
	change(&c)
	return func(o *coingecko.Options) { o.HTTP = &c }
}

func withKey(header, key string) func(*coingecko.Options) {
	return func(o *coingecko.Options) {
		o.KeyHeader, o.Key = header, func() (string, error) { return key, nil }
	}
}

// serve answers every request with f.
func serve(t testing.TB, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func mustFail(t testing.TB, c *coingecko.Client) *coingecko.Error {
	t.Helper()
	answer, err := c.ExchangeRates(t.Context())
	var e *coingecko.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a *coingecko.Error", err)
	}
	if answer.Rates != nil {
		t.Error("rates beside an error")
	}
	if len(e.Excerpt) > 512 {
		t.Errorf("%d bytes of the answer were kept", len(e.Excerpt))
	}
	return e
}

func TestClientAsksAsCoinGeckoWants(t *testing.T) {
	body := simulator.Recorded()
	var got *http.Request
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Age", "17")
		w.Header().Set("Cache-Control", "max-age=30, public, must-revalidate, s-maxage=60")
		w.Write(body)
	})
	// A slash too many is no reason to fail.
	answer, err := client(t, s.URL+"/api/v3/", withKey("x-cg-demo-api-key", "CG-secret")).ExchangeRates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "GET" || got.URL.String() != "/api/v3/exchange_rates" {
		t.Errorf("asked %s %s", got.Method, got.URL)
	}
	want := http.Header{"User-Agent": {userAgent}, "X-Cg-Demo-Api-Key": {"CG-secret"}, "Accept-Encoding": {"gzip"}, "Accept": {"application/json"}}
	if d := cmp.Diff(want, got.Header); d != "" {
		t.Error(d)
	}
	if len(answer.Rates) != 76 || answer.Upstream != coingecko.CoinGecko || answer.Age != 17*time.Second || answer.MaxAge != 30*time.Second {
		t.Errorf("%d rates, upstream %s, age %v, max-age %v", len(answer.Rates), answer.Upstream, answer.Age, answer.MaxAge)
	}
}

// Bodies and headers recorded from CoinGecko.
func TestClientReadsRecordedErrors(t *testing.T) {
	for file, want := range map[string]struct {
		status int
		reason coingecko.Reason
		code   int
		detail string
	}{
		"429-json-2022.json":                       {429, coingecko.RateLimited, 429, "You've exceeded the Rate Limit."},
		"429-plain-throttled-2024.txt":             {429, coingecko.RateLimited, 0, ""},
		"403-user-agent-2026.json":                 {403, coingecko.Unauthorized, 403, "Please add a descriptive User-Agent"},
		"403-cloudflare-1020-like-2022-head.html":  {403, coingecko.Unauthorized, 0, ""},
		"400-10011-demo-key-on-pro-host-2025.json": {400, coingecko.Unauthorized, 10011, "If you are using Demo API key"},
	} {
		t.Run(file, func(t *testing.T) {
			body := recorded(t, "testdata/errors/"+file)
			e := mustFail(t, client(t, serve(t, testbed.Answers(want.status, string(body))).URL))
			if e.Status != want.status || e.Reason != want.reason || e.Code != want.code || !strings.HasPrefix(e.Detail, want.detail) {
				t.Errorf("got %+v", e)
			}
			if start := strings.Join(strings.Fields(string(body[:min(len(body), 16)])), " "); !strings.HasPrefix(e.Excerpt, start) {
				t.Errorf("excerpt %q, want it to begin with %q", e.Excerpt, start)
			}
		})
	}
}

// What TestFaults does not send.
func TestClientFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		reason coingecko.Reason
		detail string
	}{
		"400 of another kind": {testbed.Answers(400, `{"status":{"error_code":4}}`), coingecko.HTTPError, ""},
		"a bad redirect":      {testbed.Answers(302, "", "Location: http://%zz"), coingecko.Network, "failed to parse Location"},
		"a byte order mark":   {testbed.Answers(401, "\xEF\xBB\xBF"+`{"status":{"error_message":"API Key Missing"}}`), coingecko.Unauthorized, "API Key Missing"},
	} {
		if e := mustFail(t, client(t, serve(t, tc.answer).URL)); e.Reason != tc.reason || !strings.Contains(e.Detail, tc.detail) {
			t.Errorf("%s: got %s: %s, want %s with %q", name, e.Reason, e.Detail, tc.reason, tc.detail)
		}
	}
	broken := config.DefaultHTTPClientConfig
	broken.TLSConfig.CA = "no certificate"
	if _, err := coingecko.New(coingecko.Options{HTTP: &broken}); err == nil {
		t.Error("a CA that is none was accepted")
	}
}

// The key is removed before the excerpt is cut, or a part of it would remain.
func TestClientErrorsHoldNoPartOfTheKey(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(401)
		fmt.Fprintf(w, `%s{"status":{"error_code":10002,"error_message":"invalid key %s"}}`, strings.Repeat(" ", 505), r.Header.Get("x-cg-demo-api-key"))
	})
	e := mustFail(t, client(t, s.URL, withKey("x-cg-demo-api-key", "CG-secret-0123456789")))
	if text := fmt.Sprintf("%+v %s %s", *e, e, e.Explain()); strings.Contains(text, "CG-") {
		t.Errorf("the key stands in the error: %s", text)
	}
}

func TestClientFollowsRedirectsWithinTheHost(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old/exchange_rates" {
			http.Redirect(w, r, "/new", http.StatusMovedPermanently)
			return
		}
		io.WriteString(w, value("2"))
	})
	if _, err := client(t, s.URL+"/old").ExchangeRates(t.Context()); err != nil {
		t.Error(err)
	}
	if e := mustFail(t, client(t, s.URL+"/old", configured(func(c *config.HTTPClientConfig) { c.FollowRedirects = false }))); e.Status != 301 {
		t.Errorf("follow_redirects: false was not kept: %v", e)
	}
}

func TestClientSendsTheKeyToNobodyElse(t *testing.T) {
	var key string
	transport := testbed.RoundTripper(func(r *http.Request) (*http.Response, error) {
		key = r.Header.Get("x-cg-pro-api-key")
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(value("2"))), Header: http.Header{}, Request: r}, nil
	})
	for base, want := range map[string]string{
		"https://pro-api.coingecko.com/api/v3":  "CG-secret",
		"https://API.CoinGecko.com/api/v3":      "CG-secret",
		"https://api.coingecko.com./api/v3":     "CG-secret",
		"https://api.coingecko.com.:443/api/v3": "CG-secret",
		"http://LOCALHOST.:9880/api/v3":         "CG-secret",
		"http://127.0.0.1:9880/api/v3":          "CG-secret",
		"http://[::1]:9880/api/v3":              "CG-secret",
		"http://localhost:9880/api/v3":          "CG-secret",
		"http://pro-api.coingecko.com/api/v3":   "",
		"https://notcoingecko.com/api/v3":       "",
		"https://coingecko.com.evil.test/api":   "",
		"https://coingecko.com.evil./api":       "",
		"http://coingecko-exporter:9880/api/v3": "",
		"https://10.0.0.7/api/v3":               "",
	} {
		key = "not asked"
		c := client(t, base, withKey("x-cg-pro-api-key", "CG-secret"), func(o *coingecko.Options) { o.Transport = transport })
		if _, err := c.ExchangeRates(t.Context()); err != nil || key != want {
			t.Errorf("%s got the key %q, want %q (error %v)", base, key, want, err)
		}
	}
}

func TestClientTriesTheNextUpstream(t *testing.T) {
	t.Parallel()
	good := serve(t, testbed.Answers(200, value("2")))
	refusing := serve(t, nil)
	refusing.Close()
	hanging := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	two := func(first, second string) *coingecko.Client {
		return client(t, first, timeout(8*time.Second), func(o *coingecko.Options) {
			o.Endpoints = append(o.Endpoints, endpoint(t, second, coingecko.Relay))
		})
	}
	for name, first := range map[string]string{"refuses": refusing.URL, "hangs": hanging.URL, "unknown": "http://nowhere.invalid"} {
		if answer, err := two(first, good.URL).ExchangeRates(t.Context()); err != nil || answer.Upstream != coingecko.Relay {
			t.Errorf("%s: upstream %q, error %v", name, answer.Upstream, err)
		}
	}
	// An answer is an answer.
	for _, code := range []int{401, 403, 404, 429, 500, 503} {
		if e := mustFail(t, two(serve(t, testbed.Answers(code, "")).URL, good.URL)); e.Status != code {
			t.Errorf("after %d: %v", code, e)
		}
	}
	if e := mustFail(t, two(refusing.URL, hanging.URL)); e.Reason != coingecko.Timeout || e.Upstream != coingecko.Relay {
		t.Errorf("the last one tried is to blame: %v", e)
	}
}

func TestPlans(t *testing.T) {
	got := map[string]int{}
	for _, p := range coingecko.Plans() {
		got[p.Name] = coingecko.PollsPerMonth(p.Interval)
		if p.PerMonth > 0 && got[p.Name] > p.PerMonth {
			t.Errorf("%s: the default interval makes %d polls a month of %d", p.Name, got[p.Name], p.PerMonth)
		}
		u, err := url.Parse(p.URL)
		if err != nil || coingecko.UpstreamOf(u) != coingecko.CoinGecko {
			t.Errorf("%s: %s is not CoinGecko", p.Name, p.URL)
		}
	}
	if d := cmp.Diff(map[string]int{"keyless": 44_640, "demo": 8_928, "pro": 44_640}, got); d != "" {
		t.Error(d)
	}
	for host, want := range map[string]coingecko.Upstream{"relay:9880": coingecko.Relay, "API.CoinGecko.com.:443": coingecko.CoinGecko} {
		if got := coingecko.UpstreamOf(&url.URL{Host: host}); got != want {
			t.Errorf("%s is a %s", host, got)
		}
	}
}
