// The upstream of the fault table: a CoinGecko over real sockets that can fail and recover, with a name server and certificates.

package exporter_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const (
	rightKey = "CG-0123456789abcdefghijkl" // that the exporter of the table is given
	poison   = "666"                       // values of answers that must not be used
)

// upstream answers each request with different prices, until it fails.
type upstream struct {
	url   string   // for --coingecko.url
	args  []string // more flags for the exporter
	home  string   // a folder
	ca    *testbed.Authority
	inner *httptest.Server

	isBroken          atomic.Bool
	onBreak, onMend   func()
	answer            http.HandlerFunc // when broken; nil for well
	eth               string           // when broken: the entry of eth in an answer that is good otherwise
	onConnection      func(net.Conn)   // when broken: instead of HTTP
	brokenCertificate *tls.Certificate // when broken
	certificate       *tls.Certificate

	good  atomic.Int64 // answers so far that were good
	mu    sync.Mutex
	asked []time.Time // when, while broken
	foul  []string    // what it saw and must not have seen
}

// newUpstream serves as CoinGecko on an address, over HTTPS if secure.
func newUpstream(t *testing.T, address string, secure bool) *upstream {
	t.Helper()
	u := &upstream{home: t.TempDir(), onBreak: func() {}, onMend: func() {}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skip("not on this machine: ", err)
	}
	u.inner = httptest.NewUnstartedServer(u)
	u.inner.Listener.Close()
	u.inner.Listener = &gate{l, u}
	u.inner.Config.ErrorLog = log.New(io.Discard, "", 0)
	u.url = "http://" + l.Addr().String() + "/api/v3"
	if secure {
		u.ca = testbed.NewAuthority(t)
		u.certificate = u.ca.Issue(t, time.Now().Add(time.Hour), "127.0.0.1")
		u.inner.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := u.certificate
			if u.isBroken.Load() && u.brokenCertificate != nil {
				c = u.brokenCertificate
			}
			return &tls.Config{Certificates: []tls.Certificate{*c}}, nil
		}}
		u.inner.StartTLS()
		u.url = "https://" + l.Addr().String() + "/api/v3"
		u.args = append(u.args, "--coingecko.http-config-file="+u.file(t, "http.yml", "tls_config:\n  ca_file: "+u.ca.File+"\n"))
	} else {
		u.inner.Start()
	}
	t.Cleanup(u.inner.Close)
	u.args = append(u.args, "--coingecko.plan=demo", "--coingecko.api-key-file="+u.file(t, "key", rightKey+"\n"))
	return u
}

func (u *upstream) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(u.home, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// anew gives each request a new connection, so that a broken connection does not affect other requests.
func (u *upstream) anew() { u.inner.Config.SetKeepAlivesEnabled(false) }

func (u *upstream) breaks() {
	u.mu.Lock()
	u.asked = nil
	u.mu.Unlock()
	u.onBreak()
	u.isBroken.Store(true)
}

func (u *upstream) mends() { u.isBroken.Store(false); u.onMend() }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	broken := u.isBroken.Load()
	u.mu.Lock()
	if broken {
		u.asked = append(u.asked, time.Now())
	}
	if r.Method != http.MethodGet || r.URL.Path != exporter.RelayPath || r.URL.RawQuery != "" {
		u.foul = append(u.foul, r.Method+" "+r.URL.String())
	}
	u.mu.Unlock()
	if broken && u.answer != nil {
		u.answer(w, r)
		return
	}
	eth := ""
	if broken {
		eth = u.eth
	}
	io.WriteString(w, u.prices(eth))
}

// prices returns a good answer whose values identify it. The entry of eth can be replaced.
func (u *upstream) prices(eth string) string {
	n := u.good.Add(1)
	if eth == "" {
		eth = fmt.Sprintf(`{"name":"Ether","unit":"ETH","value":%d,"type":"crypto"}`, n+base["eth"])
	}
	return fmt.Sprintf(`{"rates":{"btc":{"name":"Bitcoin","unit":"BTC","value":1.0,"type":"crypto"},"eth":%s,`+
		`"usd":{"name":"US Dollar","unit":"$","value":%d,"type":"fiat"},"eur":{"name":"Euro","unit":"€","value":%d,"type":"fiat"},`+
		`"xau":{"name":"Gold","unit":"XAU","value":%d,"type":"commodity"}}}`, eth, n+base["usd"], n+base["eur"], n+base["xau"])
}

var base = map[string]int64{"eth": 2_000, "usd": 70_000, "eur": 60_000, "xau": 1_000}

// shown returns the number of the good answer with the rates of a scrape; 0 for none. Rates that were never sent, or not together, are an
// error. If a row changes eth, the row itself checks it.
func (u *upstream) shown(t testing.TB, s map[string]float64) int64 {
	t.Helper()
	sent := u.good.Load()
	from := map[int64]bool{}
	count := 0
	for name, v := range s {
		rest, ok := strings.CutPrefix(name, `coingecko_exchange_rate{currency="`)
		if !ok {
			continue
		}
		currency, _, _ := strings.Cut(rest, `"`)
		first, known := base[currency]
		switch {
		case currency == "eth" && u.eth != "":
		case currency == "btc" && v == 1:
			count++
		case known && v == float64(int64(v)) && int64(v)-first >= 1 && int64(v)-first <= sent:
			count++
			from[int64(v)-first] = true
		default:
			t.Errorf("%s is %v, which was never sent", name, v)
		}
	}
	if len(from) > 1 || len(from) == 1 && count < 4 || len(from) == 0 && count > 0 {
		t.Errorf("rates of answers %v, %d in all: not one answer, whole", from, count)
	}
	for n := range from {
		return n
	}
	return 0
}

// gate is a listener whose connections can bypass the server.
type gate struct {
	net.Listener
	*upstream
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || !g.isBroken.Load() || g.onConnection == nil {
			return c, err
		}
		g.mu.Lock()
		g.asked = append(g.asked, time.Now())
		g.mu.Unlock()
		go g.onConnection(c)
	}
}

// raw reads the request from a connection, sends bytes, and then ends the connection with a function.
func raw(sent string, end func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		c.Read(make([]byte, 4096)) // whatever was asked
		io.WriteString(c, sent)
		end(c)
	}
}

// resets ends a connection with RST.
func resets(c net.Conn) {
	time.Sleep(10 * time.Millisecond) // what was sent before shall arrive
	c.(*net.TCPConn).SetLinger(0)
}

// holds waits until the client closes the connection.
func holds(c net.Conn) { io.Copy(io.Discard, c) } // that is what is waited for

// mode is a simulator in a failure mode.
func mode(m simulator.Mode) http.HandlerFunc {
	sim := simulator.New(simulator.Options{RetryAfter: time.Second})
	if err := sim.Fail(m); err != nil {
		panic(err)
	}
	return sim.Handler().ServeHTTP
}

var answers = testbed.Answers

// poisoned returns a good list whose values must not be shown, with further entries after it.
func poisoned(more string) string {
	return `{"rates":{"btc":{"value":1,"type":"crypto"},"usd":{"value":` + poison + `,"type":"fiat"},"eur":{"value":` + poison + `,"type":"fiat"}` + more + `}}`
}

// names are what the name server of this process answers, by name: found, nxdomain or silent. It is set up before any test runs, because
// the resolver is global.
var names = func() *sync.Map {
	names := &sync.Map{}
	c, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		return names // then the tests that look for names fail, and say why
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	go serveNames(c, names)
	return names
}()

const (
	found    = dnsmessage.RCodeSuccess
	nxdomain = dnsmessage.RCodeNameError
	silent   = dnsmessage.RCode(255)
)

func serveNames(c net.PacketConn, names *sync.Map) {
	packet := make([]byte, 1500)
	for {
		size, from, err := c.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(packet[:size]); err != nil || len(m.Questions) != 1 {
			continue
		}
		asked := m.Questions[0]
		code, known := names.Load(strings.ToLower(asked.Name.String()))
		if code == silent {
			continue
		}
		m.Response, m.RecursionAvailable, m.RCode, m.Additionals = true, true, nxdomain, nil
		if known {
			m.RCode = code.(dnsmessage.RCode)
		}
		if m.RCode == found && asked.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			c.WriteTo(answer, from) // a name server promises nothing
		}
	}
}

// hasty runs the exporter with waits of milliseconds. It treats its upstream as CoinGecko.
func hasty(t testing.TB, maxAge time.Duration, u *upstream) *running {
	t.Helper()
	args := append([]string{"--web.listen-address=127.0.0.1:0", "--coingecko.url=" + u.url}, u.args...)
	return launch(t, func(ctx context.Context, log io.Writer) int { return exporter.RunHasty(ctx, args, maxAge, log) })
}
