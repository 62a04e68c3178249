// The page in a real Chromium: the script and the layout.

package screen

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

var shots = flag.String("screenshots", "", "folder for pictures of the page in its states, to look at")

// TestMain runs browser tests in parallel even on small machines, because they mostly wait. With more at a time, pages on a busy machine
// would time out.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// exporter is a screen behind a web server that can fail.
type exporter struct {
	*httptest.Server
	screen  atomic.Pointer[Screen]
	handler http.Handler
	status  atomic.Pointer[poller.Status]
	fails   atomic.Pointer[http.HandlerFunc] // answers in the screen's place
}

// serve starts an exporter that polls every 2 s, so that its pages refresh every 2 s.
func serve(t *testing.T) *exporter {
	t.Helper()
	e := &exporter{}
	st := healthy(simulator.RecordedRates())
	st.Interval, st.Age = 2*time.Second, time.Second
	e.status.Store(&st)
	s := newScreen(t, Options{Status: func() poller.Status { return *e.status.Load() }}, st)
	e.screen.Store(s)
	remember(s, st.Snapshot.Rates, 1440, nil)
	e.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := e.fails.Load(); f != nil {
			(*f)(w, r)
			return
		}
		served(e.screen.Load()).ServeHTTP(w, r)
	})
	e.listen(t, "127.0.0.1:0")
	t.Cleanup(func() { e.CloseClientConnections(); e.Close() })
	return e
}

// listen starts the web server. It cancels requests when the test ends: the page keeps sending them, and a hanging answer would keep
// the server from closing.
func (e *exporter) listen(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	base := func(net.Listener) context.Context { return t.Context() }
	e.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: e.handler, BaseContext: base}}
	e.Start()
}

func (e *exporter) fail(f http.HandlerFunc) { e.fails.Store(&f) }

// hang answers nothing.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// stop interrupts the next load of the page before a text, for what is done meanwhile.
func (e *exporter) stop(before string, meanwhile func()) {
	e.fail(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		e.fails.Store(nil)
		page := httptest.NewRecorder()
		e.handler.ServeHTTP(page, r)
		maps.Copy(w.Header(), page.Header())
		w.Header().Set("Content-Length", strconv.Itoa(page.Body.Len()))
		part, rest, _ := strings.Cut(page.Body.String(), before)
		fmt.Fprint(w, part)
		w.(http.Flusher).Flush()
		meanwhile()
		fmt.Fprint(w, before, rest)
	})
}

// change modifies the status.
func (e *exporter) change(f func(*poller.Status)) {
	st := *e.status.Load()
	f(&st)
	e.status.Store(&st)
}

// tab is a tab of the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open opens a tab in the browser of another tab, or the first one in a new browser.
func open(beside context.Context, t *testing.T) tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(beside)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return tab{t, ctx}
}

func (b tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// is evaluates an expression.
func (b tab) is(expression string) string {
	b.t.Helper()
	got, err := b.ask(expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// want checks the value of an expression.
func (b tab) want(want, expression, what string) {
	b.t.Helper()
	if got := b.is(expression); got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (b tab) ask(expression string) (string, error) {
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[json.RawMessage](expression))
	return strings.Trim(string(got), `"`), err
}

// until waits until an expression is true, and fails the test if it takes too long.
func (b tab) until(expression string) {
	b.t.Helper()
	// While a page is loaded anew, there may be no body yet, or nobody to ask.
	expression = "document.body && (" + expression + ")"
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got, err := b.ask("!!(" + expression + ")")
		if got == "true" {
			return
		}
		if time.Since(start) > testbed.Patience {
			b.t.Fatalf("not true within %v: %s, %v\nThe page says: %s", testbed.Patience, expression, err, b.is("document.body.innerText"))
		}
	}
}

// Whether prices are visible, and the notice in their place.
const (
	priced = `/\d,\d{3}|\d\.\d\d/.test(document.body.innerText)`
	says   = `document.getElementById('notice').textContent.includes`
)

func TestBrowser(t *testing.T) {
	path := testbed.Tool(t, "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WindowSize(1920, 1080), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	browser, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}

	for name, test := range map[string]func(tab, *exporter){
		"prices change in place":               changesInPlace,
		"exporter gone and back":               gone,
		"rates grow too old":                   tooOld,
		"clock of the browser is set":          clockSet,
		"without JavaScript":                   noScript,
		"new version":                          newVersion,
		"poll missed, rates expired, and back": states,
		"ages are written alike":               agesAlike,
		"tab frozen":                           frozen,
		"first load slow":                      slowLoad,
		"cut off in the style sheet":           cutOff("</style>"),
		"cut off in the script":                cutOff("</script>\n<noscript"),
		"cut off in the tiles":                 cutOff(`<dl>`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(open(browser, t), serve(t))
		})
	}
	t.Run("everything fits", func(t *testing.T) {
		t.Parallel()
		fits(open(browser, t))
	})
}

func changesInPlace(b tab, e *exporter) {
	b.do(chromedp.Navigate(e.URL + "/?quote=eur"))
	b.until(`document.querySelector('.curve path')`)
	b.is(`document.addEventListener('securitypolicyviolation', (v) => { window.violation = v.blockedURI })`)
	// Marks on elements survive only if those elements stay.
	b.is(`document.querySelectorAll('*').forEach((node) => { node.marked = true }); 1`)
	b.want("65,223.37", `document.querySelector('.price span').textContent`, "the price before")
	b.is(`window.curve = document.querySelector('.curve path').getAttribute('d')`)
	e.change(func(st *poller.Status) {
		rates := with(st.Snapshot.Rates, coingecko.Rate{Code: "eur", Name: "Euro", Unit: "€", Type: "fiat", Value: 70000.126})
		st.Snapshot = &poller.Snapshot{Rates: rates, Upstream: coingecko.CoinGecko}
	})
	b.until(`document.querySelector('.price span').textContent === '70,000.13'`)
	b.want("true", `document.querySelector('.curve path').getAttribute('d') !== curve`, "the curve changed")
	b.want("0", `Array.from(document.querySelectorAll('*')).filter((node) => !node.marked).length`, "elements made anew")
	b.want("undefined", `String(window.violation)`, "a violation of the content security policy")
	b.want("", `document.getElementById('notice').textContent`, "an announcement")
}

// gone tests three exporters: one ends, one hangs, and another server answers for one.
func gone(b tab, ended *exporter) {
	hung, replaced := serve(b.t), serve(b.t)
	h, r := open(b.ctx, b.t), open(b.ctx, b.t)
	for at, e := range map[tab]*exporter{b: ended, h: hung, r: replaced} {
		at.do(chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(e.URL))
		at.until(priced)
	}
	// The first miss is told beside the prices. A machine that is busy may not look at that moment.
	b.hears()
	start := time.Now()
	hung.fail(hang)
	replaced.fail(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!DOCTYPE html><title>Log in</title><p>Bitcoin 99,999.99")
	})
	ended.CloseClientConnections()
	ended.Close()

	b.until(`heard.includes('true missed The exporter does not answer')`)
	shoot(b, "first-answer-missed")
	for _, at := range []tab{b, h, r} {
		at.until(`!` + priced)
		at.until(says + `('The exporter does not answer')`)
		at.want("No current rates0", `document.title + document.querySelectorAll('main *, table').length`, "title and remains")
	}
	b.t.Logf("prices of exporters that had gone were gone after %v; the page's patience is %v", time.Since(start).Round(time.Second), minPatience)
	shoot(b, "gone-1920x1080")
	b.do(chromedp.EmulateViewport(390, 844))
	shoot(b, "gone-390x844")

	ended.listen(b.t, ended.Listener.Addr().String())
	hung.fails.Store(nil)
	replaced.fails.Store(nil)
	for _, at := range []tab{b, r, h} {
		at.until(priced) // an answer that hangs is given up after five seconds
		at.want("Crypto rates in USDfreshtrue", `document.title + document.body.dataset.state + document.querySelector('.notice').hidden`,
			"after the exporter came back")
	}
}

func tooOld(b tab, e *exporter) {
	e.change(func(st *poller.Status) { st.Age = st.MaxAge - 2*time.Second })
	b.do(chromedp.Navigate(e.URL))
	b.until(priced)
	e.fail(hang)
	b.until(`!` + priced)
	b.until(says + `('have expired')`)
	b.until(`document.getElementById('age').textContent.startsWith('10 min')`)
}

func clockSet(b tab, e *exporter) {
	e.change(func(st *poller.Status) { st.Age = 23 * time.Second; st.Interval = time.Minute })
	b.do(chromedp.Navigate(e.URL))
	b.is(`const real = Date.now; Date.now = () => real() - 3 * 86400e3; 1`)
	b.until(`parseInt(document.getElementById('age').textContent) >= 26`)
	b.want("true", priced, "prices when the clock is set back")
	// Forward: the machine may have slept, so prices go until the exporter has answered.
	// One evaluation, because the answer may arrive before the next one.
	b.want("false", `Date.now = () => real() + 3 * 86400e3; tick(); `+priced, "prices when the clock is set forward")
	b.is(`window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))`)
	b.until(priced)
	b.until(`/^2\d s$/.test(document.getElementById('age').textContent)`)
}

func noScript(b tab, e *exporter) {
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}), chromedp.Navigate(e.URL+"/?quote=gbp"))
	b.until(priced)
	b.want("10", `document.querySelector('meta[http-equiv=refresh]').content`, "seconds until the page is loaded again")
	// A minute later, in a browser that could not load it again:
	b.is(`document.getAnimations().forEach((a) => a.finish())`)
	b.until(`!` + priced)
	b.until(`document.body.innerText.includes('could not be reloaded')`)
}

func newVersion(b tab, e *exporter) {
	b.do(chromedp.Navigate(e.URL))
	b.is(`window.old = true`)
	next := newScreen(b.t, e.screen.Load().opts, *e.status.Load())
	next.build = "NEXT"
	e.screen.Store(next)
	b.until(`!window.old && document.body.dataset.build === 'NEXT' && ` + priced)
}

func states(b tab, e *exporter) {
	b.do(chromedp.Navigate(e.URL))
	b.until(priced)
	good := *e.status.Load()
	e.change(func(st *poller.Status) { *st = overdue(*st, refusedKey(), 3*time.Minute) })
	b.until(says + `('CoinGecko refused the API key (401). Check --coingecko.api-key-file.')`)
	b.want("true", priced+` && document.body.dataset.state === 'missed'`, "a missed poll is amber with prices")
	e.change(func(st *poller.Status) { *st = overdue(*st, refusedKey(), 11*time.Minute) })
	b.until(`!` + priced + ` && document.body.dataset.state === 'expired'`)
	e.change(func(st *poller.Status) { *st = good })
	b.until(priced + ` && document.body.dataset.state === 'fresh' && document.querySelector('.notice').hidden`)
}

func agesAlike(b tab, e *exporter) {
	b.do(chromedp.Navigate(e.URL))
	for d, want := range ages {
		b.want(want, fmt.Sprintf("age(%v)", d.Seconds()), "the script's "+d.String())
	}
}

// hears makes a page record whether it had prices, its states and its notices.
func (b tab) hears() {
	b.t.Helper()
	b.is(`window.heard = ''; new MutationObserver(() => {
		heard += [` + priced + `, document.body.dataset.state, document.getElementById('notice').textContent].join(' ') + '|'
	}).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true}); 1`)
}

// heardNothing checks that the page did not tell that the exporter is gone.
func (b tab) heardNothing() {
	b.t.Helper()
	if heard := b.is("heard"); strings.Contains(heard, "answer") || strings.Contains(heard, "expired") {
		b.t.Errorf("the exporter did answer, and the page said: %s", heard)
	}
}

// frozen freezes a page for longer than its timeout while the exporter runs.
func frozen(b tab, e *exporter) {
	b.do(chromedp.Navigate(e.URL))
	b.until(priced)
	b.hears()
	freeze := fmt.Sprintf(`(() => { const end = performance.now() + %d; while (performance.now() < end); })(); 1`, (minPatience + 5*time.Second).Milliseconds())
	for _, before := range []string{"", "again(); "} { // asleep, and in the midst of a question
		b.is(before + freeze)
		b.until(`since(asked) < 3 && mute < 0 && ` + priced)
	}
	b.heardNothing()
	// Prices that became too old meanwhile go at once all the same.
	e.change(func(st *poller.Status) { st.Age = st.MaxAge - 5*time.Second })
	b.until(`stated('age') > 500`)
	e.fail(hang)
	b.is(freeze)
	b.until(`!` + priced)
}

// slowLoad delays the load of a page beyond its timeout.
func slowLoad(b tab, e *exporter) {
	e.stop("<dl>", func() { time.Sleep(minPatience + 2*time.Second) })
	b.do(chromedp.Navigate(e.URL))
	b.hears()
	b.until(`since(asked) < 3 && document.body.dataset.state === 'fresh' && ` + priced)
	b.heardNothing()
}

// cutOff truncates the first load of the page before a text; the next one is complete.
func cutOff(before string) func(tab, *exporter) {
	return func(b tab, e *exporter) {
		e.stop(before, func() { panic(http.ErrAbortHandler) })
		b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error { // which fails with the load
			_, err := cdp.Call(ctx, target, cdppage.Navigate, cdppage.NavigateParams{URL: e.URL})
			return err
		}))
		b.until(`document.documentElement.classList.contains('live') && document.querySelector('footer') && ` + priced)
	}
}

// misfit lists elements outside their tile, tiles outside the screen, and a page that is too wide.
const misfit = `(() => {
  const bad = [];
  const wall = innerWidth >= 1100;
  const text = (node) => { const r = document.createRange(); r.selectNodeContents(node); return r.getBoundingClientRect(); };
  if (document.documentElement.scrollWidth > innerWidth) bad.push('wide ' + document.documentElement.scrollWidth);
  for (const tile of document.querySelectorAll('.tile')) {
    const t = tile.getBoundingClientRect();
    if (wall && t.bottom > innerHeight) bad.push('below the fold: ' + tile.innerText);
    for (const part of tile.querySelectorAll('.price, dt, dd, .curve, .basket')) {
      const p = part.className.baseVal || part.className === 'curve' ? part.getBoundingClientRect() : text(part);
      if (p.right > t.right || p.left < t.left || p.bottom > t.bottom || p.top < t.top) bad.push('outside: ' + part.textContent);
    }
    const changes = Array.from(tile.querySelectorAll('dd')).map(text);
    changes.forEach((c, i) => { if (i && c.left < changes[i - 1].right) bad.push('overlap: ' + tile.innerText); });
  }
  const source = document.querySelector('.source').getBoundingClientRect();
  if (wall && source.bottom > innerHeight) bad.push('attribution below the fold');
  return bad.join('; ');
})()`

func fits(b tab) {
	rates := simulator.RecordedRates()
	ok := healthy(rates)
	missed := overdue(ok, &coingecko.Error{Reason: coingecko.Network, Upstream: coingecko.CoinGecko}, 3*time.Minute)
	var many []string
	for _, r := range rates {
		many = append(many, r.Code)
	}
	amount := Basket{49.9, "49.90", "eur"}
	coins13 := strings.Split("btc,eth,bch,bnb,dot,eos,link,ltc,sol,xlm,xrp,yfi,xau", ",")
	for _, c := range []struct {
		name    string
		options Options
		status  poller.Status
	}{
		{"healthy", Options{}, ok},
		{"missed", Options{}, missed},
		{"expired", Options{}, overdue(ok, refusedKey(), 11*time.Minute)},
		{"simulated-missed", Options{}, simulated(missed)},
		{"simulated", Options{}, simulated(ok)},
		{"thirteen", Options{Coins: coins13}, ok},
		{"thirteen-simulated-missed", Options{Coins: coins13}, simulated(missed)},
		{"one", Options{Coins: []string{"btc"}}, ok},
		{"two", Options{Coins: []string{"btc", "eth"}}, ok},
		{"five", Options{Coins: coins13[:4], Quote: "eur"}, ok},
		{"twenty", Options{Coins: many[:20]}, ok},
		{"vnd", Options{Quote: "vnd"}, ok},
		{"btc", Options{Quote: "btc"}, ok},
		{"three", Options{Coins: coins13[:3]}, ok},
		{"six", Options{Coins: coins13[:6]}, ok},
		{"nine", Options{Coins: coins13[:9], Basket: amount}, ok},
		{"basket", Options{Basket: amount}, ok},
		{"twelve-basket", Options{Coins: coins13[:12], Basket: amount}, ok},
		{"twelve-basket-simulated", Options{Coins: coins13[:12], Basket: amount}, simulated(ok)},
		{"fourteen-basket-simulated-missed", Options{Coins: append(coins13[:13:13], "xag"), Basket: amount}, simulated(missed)},
		{"bad-quote", Options{Quote: "doge"}, ok},
		{"first-start", Options{}, poller.Status{Now: fetched, Interval: time.Minute, MaxAge: 10 * time.Minute}},
	} {
		s := newScreen(b.t, c.options, c.status)
		remember(s, rates, 1440, nil)
		server := httptest.NewServer(served(s))
		b.do(chromedp.Navigate(server.URL))
		sizes := [][2]int64{{1920, 1080}, {390, 844}}
		if c.name == "healthy" || strings.HasSuffix(c.name, "n-simulated-missed") || strings.HasPrefix(c.name, "fourteen") {
			sizes = append(sizes, [][2]int64{{3840, 2160}, {1366, 768}, {1280, 720}, {1280, 1024}, {1080, 1920}, {820, 1180}, {320, 640}}...)
		}
		for _, size := range sizes {
			b.do(chromedp.EmulateViewport(size[0], size[1]))
			name := fmt.Sprintf("%s-%dx%d", c.name, size[0], size[1])
			b.want("", misfit, name)
			shoot(b, name)
			if size == [2]int64{1920, 1080} {
				// A machine with nothing but DejaVu has the widest digits of all.
				b.is(`document.documentElement.style.fontFamily = 'DejaVu Sans'`)
				b.want("", misfit, name+" in DejaVu Sans")
				b.is(`document.documentElement.style.fontFamily = ''`)
			}
			if c.name == "healthy" && *shots != "" {
				b.is(`document.querySelector('.others').scrollIntoView()`)
				shoot(b, "table-"+name)
				b.is(`scrollTo(0, 0)`)
			}
		}
		server.Close()
	}
}

// shoot takes a screenshot if screenshots are enabled.
func shoot(b tab, name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
