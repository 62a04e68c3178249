package coingecko_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// wire is a listener that counts its connections. The first of them may fall silent: they stay open but pass nothing, as behind a
// firewall that has dropped its state.
type wire struct {
	net.Listener
	opened, silent atomic.Int64
}

type line struct {
	net.Conn
	number int64
	among  *wire
}

func (w *wire) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return line{c, w.opened.Add(1), w}, err
}

func (l line) silent() bool { return l.number <= l.among.silent.Load() }

func (l line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	for err == nil && l.silent() {
		n, err = l.Conn.Read(b)
	}
	return n, err
}

func (l line) Write(b []byte) (int, error) {
	if l.silent() {
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
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
			c := client(t, s.URL, timeout(10*time.Second), configured(func(c *config.HTTPClientConfig) { c.TLSConfig.CA = string(ca) }))
			poll := func() error { _, err := c.ExchangeRates(t.Context()); return err }
			for range 3 {
				if err := poll(); err != nil {
					t.Fatal(err)
				}
			}
			if want := map[bool]int{true: 2, false: 1}[http2]; protocol != want || w.opened.Load() != 1 {
				t.Fatalf("HTTP/%d on %d connections", protocol, w.opened.Load())
			}
			w.silent.Store(1)
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
	good := testbed.Answers(200, `{"access_token":"granted","expires_in":1}`, "Content-Type: application/json") // expired when it is used again
	silent := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	var answer atomic.Pointer[http.HandlerFunc]
	tokens := serve(t, func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) })
	gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer granted" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		io.WriteString(w, value("2"))
	})
	c := client(t, gateway.URL, timeout(10*time.Second), configured(func(c *config.HTTPClientConfig) {
		c.OAuth2 = &config.OAuth2{ClientID: "shop", ClientSecret: "secret", TokenURL: tokens.URL}
	}))
	for i, tc := range []struct {
		tokens http.HandlerFunc
		reason coingecko.Reason
	}{
		{good, ""},
		{silent, coingecko.Timeout},
		{good, ""},
		{testbed.Answers(502, strings.Repeat("<p>", 4096)), coingecko.Network},
		{good, ""},
	} {
		answer.Store(&tc.tokens)
		if tc.reason == "" {
			if _, err := c.ExchangeRates(t.Context()); err != nil {
				t.Fatalf("poll %d: %v", i, err)
			}
		} else if e := mustFail(t, c); e.Reason != tc.reason || len(e.Detail) > 512 {
			t.Errorf("poll %d: reason %s, want %s; %d bytes", i, e.Reason, tc.reason, len(e.Detail))
		}
	}
}

// Causes of failed connections are distinguished if the advice differs. TestFaults has more of them.
func TestClientTellsWhyThereIsNoConnection(t *testing.T) {
	ca := testbed.NewAuthority(t)
	secure := func(c *tls.Config) string {
		s := httptest.NewUnstartedServer(testbed.Answers(200, value("2")))
		s.Config.ErrorLog, s.TLS = log.New(io.Discard, "", 0), c
		s.StartTLS()
		t.Cleanup(s.Close)
		return "https://localhost" + s.URL[strings.LastIndex(s.URL, ":"):]
	}
	certificates := []tls.Certificate{*ca.Issue(t, time.Now().Add(time.Hour), "localhost")}
	good := secure(&tls.Config{Certificates: certificates})
	parsed := func(s *httptest.Server) *url.URL { u, _ := url.Parse(s.URL); return u }
	proxy := func(status int) *url.URL { return parsed(serve(t, testbed.Answers(status, ""))) }
	gone := serve(t, nil)
	gone.Close()

	for name, tc := range map[string]struct {
		url    string
		proxy  *url.URL
		file   bool // the CA comes from a file, which is read again
		reason coingecko.Reason
		cause  coingecko.Cause
		want   string
	}{
		"a client certificate":   {url: secure(&tls.Config{Certificates: certificates, ClientAuth: tls.RequireAnyClientCert}), reason: coingecko.Network, cause: coingecko.EndsHandshake, want: "If it requires a client certificate"},
		"HTTPS":                  {url: strings.Replace(good, "https:", "http:", 1), reason: coingecko.HTTPError, cause: coingecko.WantsHTTPS, want: "Write https:// in --coingecko.url."},
		"proxy gone":             {url: "https://relay.invalid", proxy: parsed(gone), reason: coingecko.Network, cause: coingecko.ProxyFails, want: "the proxy does not answer"},
		"proxy gone, plain HTTP": {url: "http://relay.invalid", proxy: parsed(gone), reason: coingecko.Network, cause: coingecko.ProxyFails, want: "the proxy does not answer"},
		"proxy forbids":          {url: "https://relay.invalid", proxy: proxy(403), reason: coingecko.Network, cause: coingecko.ProxyRefuses, want: "the proxy refused the connection (403)"},
		"proxy cannot":           {url: "https://relay.invalid", proxy: proxy(502), reason: coingecko.Network, cause: coingecko.ProxyRefuses, want: "the proxy refused the connection (502)"},
		"proxy wants a password": {url: "https://relay.invalid", proxy: proxy(407), reason: coingecko.Network, cause: coingecko.ProxyWantsPassword, want: "the proxy requires a password (407)"},
		"the same, CA in a file": {url: "https://relay.invalid", file: true, proxy: proxy(407), reason: coingecko.Network, cause: coingecko.ProxyWantsPassword, want: "the proxy requires a password (407)"},
		"good":                   {url: good},
		"good, CA in a file":     {url: good, file: true},
		"loopback, and a proxy":  {url: good, proxy: parsed(gone)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, tc.url, configured(func(c *config.HTTPClientConfig) {
				c.ProxyURL = config.URL{URL: tc.proxy}
				if tc.file {
					c.TLSConfig.CAFile = ca.File
				} else {
					c.TLSConfig.CA = string(ca.PEM())
				}
			}))
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
}
