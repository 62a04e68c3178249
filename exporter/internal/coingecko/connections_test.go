package coingecko_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// wire is a listener of lines.
type wire struct {
	net.Listener
	mu     sync.Mutex
	opened []*line
}

// line is a connection that may fall silent: it stays open but passes nothing, as behind a firewall that has dropped its state.
type line struct {
	net.Conn
	silent atomic.Bool
}

func (w *wire) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &line{Conn: c}
	w.opened = append(w.opened, l)
	return l, nil
}

// lines returns the connections that were accepted so far.
func (w *wire) lines() []*line {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.opened)
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	for err == nil && l.silent.Load() {
		n, err = l.Conn.Read(b)
	}
	return n, err
}

func (l *line) Write(b []byte) (int, error) {
	if l.silent.Load() {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

// A silent connection fails one poll, over HTTP/2 and over HTTP/1.1.
func TestClientLeavesASilentConnection(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		t.Run(fmt.Sprintf("HTTP2=%v", http2), func(t *testing.T) {
			t.Parallel()
			protocol := 0
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				protocol = r.ProtoMajor
				io.WriteString(w, value("2"))
			}))
			w := &wire{Listener: s.Listener}
			s.Listener, s.EnableHTTP2 = w, http2
			s.StartTLS()
			t.Cleanup(s.Close)
			trusting := config.DefaultHTTPClientConfig
			trusting.TLSConfig.CA = pemOf(s.TLS)
			c := client(t, s.URL, timeout(10*time.Second), func(o *coingecko.Options) { o.HTTP = &trusting })
			poll := func() error { _, err := c.ExchangeRates(t.Context()); return err }
			for range 3 {
				if err := poll(); err != nil {
					t.Fatal(err)
				}
			}
			if want := map[bool]int{true: 2, false: 1}[http2]; protocol != want || len(w.lines()) != 1 {
				t.Fatalf("HTTP/%d on %d connections", protocol, len(w.lines()))
			}
			w.lines()[0].silent.Store(true)
			if e := mustFail(t, c); e.Reason != coingecko.Timeout {
				t.Errorf("on the silent connection: %v", e)
			}
			if err := poll(); err != nil {
				t.Errorf("the poll after: %v", err)
			}
		})
	}
}

// A token endpoint that does not answer, or answers with a page, fails a poll and no more.
func TestClientLeavesASilentTokenEndpoint(t *testing.T) {
	t.Parallel()
	var silent, broken atomic.Bool
	tokens := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case broken.Load():
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, strings.Repeat("<p>", 4096))
		case silent.Load():
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		default:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"granted","expires_in":1}`) // expired when it is used again
		}
	})
	gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer granted" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		io.WriteString(w, value("2"))
	})
	withTokens := config.DefaultHTTPClientConfig
	withTokens.OAuth2 = &config.OAuth2{ClientID: "shop", ClientSecret: "secret", TokenURL: tokens.URL}
	c := client(t, gateway.URL, timeout(10*time.Second), func(o *coingecko.Options) { o.HTTP = &withTokens })
	works := func(when string) {
		t.Helper()
		if _, err := c.ExchangeRates(t.Context()); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	works("at first")
	silent.Store(true)
	if e := mustFail(t, c); e.Reason != coingecko.Timeout {
		t.Errorf("while the token endpoint is silent: %v", e)
	}
	silent.Store(false)
	works("when it answers again")
	broken.Store(true)
	if e := mustFail(t, c); e.Reason != coingecko.Network || len(e.Detail) > 512 {
		t.Errorf("while the token endpoint is broken: reason %s, %d bytes", e.Reason, len(e.Detail))
	}
	broken.Store(false)
	works("when it is repaired")
}

// Causes of failed connections are distinguished if the advice differs.
func TestClientTellsWhyThereIsNoConnection(t *testing.T) {
	quiet := func(s *httptest.Server) *httptest.Server {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(s.Close)
		return s
	}
	rates := testbed.Answers(200, value("2"))
	ca := testbed.NewAuthority(t)
	secure := func(c *tls.Config) string {
		s := quiet(httptest.NewUnstartedServer(rates))
		s.TLS = c
		s.StartTLS()
		return "https://localhost" + s.URL[strings.LastIndex(s.URL, ":"):]
	}
	with := func(name string, until time.Time) string {
		return secure(&tls.Config{Certificates: []tls.Certificate{*ca.Issue(t, until, name)}})
	}
	plain := serve(t, rates).URL
	good := with("localhost", time.Now().Add(time.Hour))
	proxy := func(status int, phrase string) *url.URL {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, phrase)
			c.Close()
		})
		u, _ := url.Parse(s.URL)
		return u
	}
	gone := serve(t, nil)
	gone.Close()
	goneURL, _ := url.Parse(gone.URL)

	for name, tc := range map[string]struct {
		url    string
		proxy  *url.URL
		no     bool // trust in the CA
		file   bool // the CA comes from a file, which is read again
		reason coingecko.Reason
		cause  coingecko.Cause
		want   string
	}{
		"unknown name":           {url: "http://nowhere.invalid", reason: coingecko.Network, cause: coingecko.UnknownName, want: "its name cannot be resolved. Check DNS"},
		"unknown CA":             {url: good, no: true, reason: coingecko.Network, cause: coingecko.UnknownCA, want: "signed by a CA that this machine does not trust"},
		"another name":           {url: with("elsewhere.test", time.Now().Add(time.Hour)), reason: coingecko.Network, cause: coingecko.OtherName, want: "is for another host name"},
		"expired":                {url: with("localhost", time.Now().Add(-time.Minute)), reason: coingecko.Network, cause: coingecko.Expired, want: "Check this machine's clock"},
		"a client certificate":   {url: secure(&tls.Config{Certificates: []tls.Certificate{*ca.Issue(t, time.Now().Add(time.Hour), "localhost")}, ClientAuth: tls.RequireAnyClientCert}), reason: coingecko.Network, cause: coingecko.EndsHandshake, want: "If it requires a client certificate"},
		"plain HTTP":             {url: strings.Replace(plain, "http:", "https:", 1), reason: coingecko.Network, cause: coingecko.PlainHTTP, want: "Write http:// in --coingecko.url"},
		"HTTPS":                  {url: strings.Replace(good, "https:", "http:", 1), reason: coingecko.HTTPError, cause: coingecko.WantsHTTPS, want: "Write https:// in --coingecko.url."},
		"proxy gone":             {url: "https://relay.invalid", proxy: goneURL, reason: coingecko.Network, cause: coingecko.ProxyFails, want: "the proxy does not answer"},
		"proxy gone, plain HTTP": {url: "http://relay.invalid", proxy: goneURL, reason: coingecko.Network, cause: coingecko.ProxyFails, want: "the proxy does not answer"},
		"proxy forbids":          {url: "https://relay.invalid", proxy: proxy(403, "Forbidden"), reason: coingecko.Network, cause: coingecko.ProxyRefuses, want: "the proxy refused the connection (403)"},
		"proxy cannot":           {url: "https://relay.invalid", proxy: proxy(502, "Bad Gateway"), reason: coingecko.Network, cause: coingecko.ProxyRefuses, want: "the proxy refused the connection (502)"},
		"proxy wants a password": {url: "https://relay.invalid", proxy: proxy(407, "authenticationrequired"), reason: coingecko.Network, cause: coingecko.ProxyWantsPassword, want: "the proxy requires a password (407)"},
		"the same, CA in a file": {url: "https://relay.invalid", file: true, proxy: proxy(407, "Proxy Authentication Required"), reason: coingecko.Network, cause: coingecko.ProxyWantsPassword, want: "the proxy requires a password (407)"},
		"the same, plain HTTP":   {url: "http://relay.invalid", proxy: proxy(407, "Proxy Authentication Required"), reason: coingecko.HTTPError, cause: coingecko.ProxyWantsPassword, want: "the proxy requires a password (407)"},
		"good":                   {url: good},
		"good, CA in a file":     {url: good, file: true},
		"loopback, and a proxy":  {url: good, proxy: goneURL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.DefaultHTTPClientConfig
			cfg.ProxyURL = config.URL{URL: tc.proxy}
			switch {
			case tc.no:
			case tc.file:
				cfg.TLSConfig.CAFile = ca.File
			default:
				cfg.TLSConfig.CA = string(ca.PEM())
			}
			c := client(t, tc.url, func(o *coingecko.Options) { o.HTTP = &cfg })
			if tc.reason == "" {
				if _, err := c.ExchangeRates(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			e := mustFail(t, c)
			if e.Reason != tc.reason || e.Cause != tc.cause || !strings.Contains(e.Explain(), tc.want) {
				t.Errorf("%s, %s: %q, want %s, %s with %q; error %v", e.Reason, e.Cause, e.Explain(), tc.reason, tc.cause, tc.want, e)
			}
		})
	}
}

// A trailing dot, which avoids the search domains of resolv.conf, is not sent to the server.
func TestClientAsksANameWithADot(t *testing.T) {
	var host string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		if r.URL.Path == "/old/exchange_rates" {
			http.Redirect(w, r, "http://LocalHost"+r.Host[strings.LastIndex(r.Host, ":"):]+"/new", http.StatusMovedPermanently)
			return
		}
		io.WriteString(w, value("2"))
	})
	here := func(o *coingecko.Options) { // whatever the name is
		o.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		}}
	}
	if _, err := client(t, "http://LOCALHOST.:8080/old", here).ExchangeRates(t.Context()); err != nil {
		t.Errorf("a redirect to the same host, as DNS compares: %v", err)
	}
	if _, err := client(t, "http://LOCALHOST.:8080", here).ExchangeRates(t.Context()); err != nil || host != "localhost:8080" {
		t.Errorf("asked for %q, error %v", host, err)
	}
	u := &url.URL{Scheme: "https", Host: "API.CoinGecko.com.:443"}
	if got := coingecko.UpstreamOf(u); got != coingecko.CoinGecko {
		t.Errorf("%s is a %s", u, got)
	}
}

// RFC 8259, section 8.1: a parser may ignore a byte order mark.
func TestClientIgnoresAByteOrderMark(t *testing.T) {
	status := 200
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, "\xEF\xBB\xBF"+map[int]string{200: value("2"), 401: `{"status":{"error_code":10002,"error_message":"API Key Missing"}}`}[status])
	})
	if answer, err := client(t, s.URL).ExchangeRates(t.Context()); err != nil || len(answer.Rates) == 0 {
		t.Errorf("%d rates, error %v", len(answer.Rates), err)
	}
	status = 401
	if e := mustFail(t, client(t, s.URL)); e.Code != 10002 || e.Detail != "API Key Missing" {
		t.Errorf("got %+v", e)
	}
}
