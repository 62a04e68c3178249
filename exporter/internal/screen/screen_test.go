package screen

import (
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// served are the routes of a screen.
func served(s *Screen) http.Handler {
	mux := http.NewServeMux()
	s.Register(mux.Handle)
	return mux
}

// get requests a screen like a browser, through its routes.
func get(s *Screen, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	served(s).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

// bare returns a page without the inline texts of all pages.
func bare(page string) string { return strings.NewReplacer(style, "", script, "").Replace(page) }

// some are few rates, so that a complete page is readable.
func some(rates []coingecko.Rate) []coingecko.Rate {
	codes := strings.Fields("btc eth xlm bits sats usd eur jpy lbp cop xau")
	return slices.DeleteFunc(slices.Clone(rates), func(r coingecko.Rate) bool { return !slices.Contains(codes, r.Code) })
}

// pageCase is a request for a screen.
type pageCase struct {
	options Options
	status  poller.Status
	minutes int // of history
	target  string
}

// show requests the page of a case with few rates.
func (c pageCase) show(t *testing.T, all []coingecko.Rate) *httptest.ResponseRecorder {
	t.Helper()
	s := newScreen(t, c.options, c.status)
	remember(s, all, c.minutes, func(minute int) bool { return minute > 70 && minute < 90 })
	return get(s, c.target)
}

func TestPages(t *testing.T) {
	all := simulator.RecordedRates()
	ok := healthy(some(all))
	for name, c := range map[string]struct {
		pageCase
		code int
	}{
		"first_start": {pageCase{Options{}, notYet, 0, "/"}, 200},
		"healthy":     {pageCase{Options{MetricsPath: "/probe/metrics"}, ok, 100, "/"}, 200},
		"healthy_day": {pageCase{Options{Coins: []string{"btc", "eth", "gone"}}, healthy(all), 1440, "/?quote="}, 200},
		"quote_eur":   {pageCase{Options{Coins: []string{"btc"}}, ok, 20, "/?quote=%20EUR"}, 200},
		"quote_btc":   {pageCase{Options{}, ok, 20, "/?quote=btc"}, 200},
		"missed":      {pageCase{Options{Coins: []string{"btc"}}, overdue(ok, refusedKey(), 3*time.Minute), 5, "/"}, 200},
		"expired":     {pageCase{Options{}, overdue(ok, refusedKey(), 11*time.Minute), 5, "/?quote=eur"}, 200},
		"simulated":   {pageCase{Options{Coins: []string{"btc"}}, simulated(ok), 20, "/"}, 200},
		"withheld":    {pageCase{Options{}, withheld(ok, "eth", "eur"), 20, "/"}, 200},
		"bad_quote":   {pageCase{Options{}, ok, 20, "/?quote=doge"}, 400},
		"basket":      {pageCase{Options{Coins: []string{"btc", "eth", "gone"}, Basket: Basket{49.9, "49.90", "eur"}, Zone: time.FixedZone("CEST", 7200)}, ok, 20, "/"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.show(t, all)
			if w.Code != c.code {
				t.Errorf("status %d, want %d", w.Code, c.code)
			}
			got := w.Body.String()
			for _, whole := range []string{style, script} { // as their files have them
				if !strings.Contains(got, ">"+whole+"<") {
					t.Fatal("the page has not all that it needs in itself")
				}
				got = strings.Replace(got, whole, "...", 1)
			}
			testbed.Golden(t, filepath.Join("testdata", name+".html"), got)
		})
	}
}

// Pages that differ from those of the golden files in some texts.
func TestWords(t *testing.T) {
	all := simulator.RecordedRates()
	ok := healthy(some(all))
	extreme := healthy(with(some(all), coingecko.Rate{Code: "eth", Name: "Ether", Type: "crypto", Value: 1e-300},
		coingecko.Rate{Code: "eur", Name: "Euro", Type: "fiat", Value: 1e-300},
		coingecko.Rate{Code: "usd", Name: "Dollar", Type: "fiat", Value: math.MaxFloat64}))
	for name, c := range map[string]struct {
		pageCase
		holds []string
	}{
		"prices that are no numbers": {pageCase{Options{}, extreme, 20, "/"}, []string{`<p class="price"><em>no rate</em></p>`}},
		"first poll failed": {pageCase{Options{}, overdue(notYet, &coingecko.Error{Reason: coingecko.Network, Upstream: coingecko.CoinGecko}, 0), 0, "/"}, []string{
			"No rates yet", "CoinGecko cannot be reached.", "Next poll at 14:04:17 UTC.",
		}},
		"healthy, no history": {pageCase{Options{}, ok, 0, "/"}, []string{
			`<div class="curve"></div>`, `<div class="none"><dt>1 h</dt><dd>–</dd></div>`,
		}},
		"a price of many digits": {pageCase{Options{Coins: []string{"btc"}}, ok, 20, "/?quote=lbp"}, []string{
			"Lebanese Pound", "<span>6,790,586,630</span> <bdi>ل.ل</bdi>",
		}},
		"a basket in what is not there": {pageCase{Options{Coins: []string{"btc"}, Basket: Basket{5, "5", "doge"}}, ok, 20, "/"}, []string{"5 DOGE = –</p>"}},
		"missed by a relay":             {pageCase{Options{}, overdue(ok, nil, 4*time.Minute), 5, "/"}, []string{"A poll was missed", "No newer rates are available."}},
		"expired by a relay":            {pageCase{Options{}, overdue(ok, nil, 36*time.Hour), 5, "/"}, []string{"No newer rates are available.", "1 d 12 h</span> ago", "2026-06-15 14:03:22 UTC"}},
		"simulated, expired":            {pageCase{Options{}, simulated(overdue(ok, nil, 11*time.Minute)), 20, "/"}, []string{"SIMULATED: No current rates", "</strong> rates, not real"}},
		"a quote that is withheld": {pageCase{Options{}, withheld(ok, "usd"), 20, "/"}, []string{
			"USD is not confirmed", "It is shown once a different answer confirms it.",
		}},
		"a quote of the flags": {pageCase{Options{Quote: "doge"}, ok, 20, "/"}, []string{"No rate for &#34;doge&#34;", "Change --screen.quote, or choose one of these."}},
	} {
		t.Run(name, func(t *testing.T) {
			page := c.show(t, all).Body.String()
			for _, words := range c.holds {
				if !strings.Contains(page, words) {
					t.Errorf("the page has no %q:\n%s", words, page)
				}
			}
			if found := regexp.MustCompile("Inf|NaN").FindString(bare(page)); found != "" {
				t.Errorf("%s on the page:\n%s", found, page)
			}
		})
	}
}

func TestDefaultTiles(t *testing.T) {
	for want, rates := range map[string][]coingecko.Rate{
		"BTC ETH BCH BNB DOT EOS LINK LTC SOL XLM XRP YFI": simulator.RecordedRates(),
		"BTC": {{Code: "btc", Type: "crypto", Value: 1}, {Code: "usd", Value: 75817.765}},
	} {
		var labels []string
		page := get(newScreen(t, Options{}, healthy(rates)), "/").Body.String()
		for _, m := range regexp.MustCompile(`<h3><b>(.*?)</b>`).FindAllStringSubmatch(page, -1) {
			labels = append(labels, m[1])
		}
		if got := strings.Join(labels, " "); got != want {
			t.Errorf("tiles %q of %d rates, want %q", got, len(rates), want)
		}
	}
}

func TestColumns(t *testing.T) {
	for tiles, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 9: 3, 10: 4, 12: 4, 13: 4, 16: 4, 17: 5, 26: 6, 500: 6} {
		if got := wallColumns(tiles); got != want {
			t.Errorf("%d tiles stand in %d columns, want %d", tiles, got, want)
		}
	}
}

// FuzzQuery has hostile queries.
func TestHostileTextsAreHarmless(t *testing.T) {
	const bad = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	rates := with(simulator.RecordedRates(),
		coingecko.Rate{Code: "btc", Name: bad, Unit: bad, Type: "crypto", Value: 1},
		coingecko.Rate{Code: "eur", Name: bad, Unit: "'\"<b>", Type: "fiat", Value: 65223.37},
		coingecko.Rate{Code: "zzz", Name: bad, Unit: bad, Type: bad, Value: 2})
	s := newScreen(t, Options{}, overdue(healthy(rates), &coingecko.Error{Reason: coingecko.Network, Upstream: coingecko.Relay, Host: bad}, time.Minute))
	s.opts.Version = bad
	remember(s, rates, 20, nil)
	for _, target := range []string{"/", "/?quote=eur", "/?quote=none"} {
		page := bare(get(s, target).Body.String())
		for _, tag := range []string{"<script>alert", "<img", "<b>\"", "onerror=alert(1)>", "'\"<b>"} {
			if strings.Contains(page, tag) {
				t.Errorf("%s: %s comes through:\n%s", target, tag, page)
			}
		}
	}
}

// policies parses the content security policy of a page.
var policies = regexp.MustCompile(`script-src '(sha256-[^']+)' '(sha256-[^']+)'; style-src '(sha256-[^']+)' '(sha256-[^']+)'`)

func TestHeaders(t *testing.T) {
	s := newScreen(t, Options{}, healthy(simulator.RecordedRates()))
	w := get(s, "/")
	policy := w.Header().Get("Content-Security-Policy")
	found := policies.FindStringSubmatch(policy)
	for name, want := range map[string]string{
		"Content-Type":    "text/html; charset=utf-8",
		"Cache-Control":   "no-store",
		"Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; " + found[0] + "; img-src 'self'; " +
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	page := w.Body.String()
	var inside []string
	for _, m := range regexp.MustCompile(`(?s)<(?:script|style)>(.*?)</(?:script|style)>`).FindAllStringSubmatch(page, -1) {
		inside = append(inside, hash(m[1]))
		page = strings.Replace(page, m[1], "", 1)
	}
	if want := []string{found[1], found[3], found[4], found[2]}; !slices.Equal(inside, want) {
		t.Errorf("the page has %v in itself, and may use %v", inside, want)
	}
	for _, bad := range []string{" style=", " onload=", "<style ", "<script ", "http://", "stylesheet"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q stands in the page", bad)
		}
	}
	for _, link := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if strings.HasPrefix(link[1], "/") {
			t.Errorf("the link %s leads away from a path prefix", link[1])
		}
	}
	for _, outside := range regexp.MustCompile(`(?:https?:)?//[a-z][^ ]*|@import|url\(|</`).FindAllString(style+script, -1) {
		t.Errorf("style sheet or script refer to %s", outside)
	}
}

func TestIcon(t *testing.T) {
	w := get(newScreen(t, Options{}, healthy(simulator.RecordedRates())), "/screen.svg")
	if w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(w.Body.String(), "<svg") ||
		w.Header().Get("Cache-Control") != "max-age=86400" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A relay's upstream may change between simulated and real rates. Curves and changes never mix the two, and neither deletes the other's
// history.
func TestSimulatedAndRealRatesHaveNoCommonPast(t *testing.T) {
	rates := simulator.RecordedRates()
	s := newScreen(t, Options{Coins: []string{"eth"}}, poller.Status{})
	minutes := func(from, to int, simulated bool) {
		for m := from; m > to; m-- {
			s.Remember(fetched.Add(-time.Duration(m)*time.Minute), rates, simulated)
		}
	}
	expect := func(when string, st poller.Status, wantSpan string, wantChanges int) {
		t.Helper()
		v, _ := s.view(st, "")
		changes := len(slices.DeleteFunc(v.Tiles[0].Changes, func(c change) bool { return c.Text == dash }))
		if v.Span != wantSpan || changes != wantChanges {
			t.Errorf("%s: a curve of %q and %d changes, want %q and %d", when, v.Span, changes, wantSpan, wantChanges)
		}
	}
	genuine := healthy(rates)
	minutes(90, 30, false)
	minutes(30, 10, true)
	expect("simulated after real ones", simulated(genuine), "30 min", 1)
	minutes(10, 0, false)
	expect("real ones again", genuine, "1 h 30 min", 1)
}

// A poll is remembered among the real or the simulated rates, and one that failed nowhere.
func TestPollsAreRemembered(t *testing.T) {
	s := newScreen(t, Options{}, poller.Status{})
	rates := simulator.RecordedRates()
	for _, c := range []struct {
		poll            poller.Poll
		real, simulated int // samples afterwards
	}{
		{poller.Poll{Err: refusedKey()}, 0, 0},
		{poller.Poll{Snapshot: &poller.Snapshot{Rates: rates, Simulated: true}}, 0, 1},
		{poller.Poll{Snapshot: &poller.Snapshot{Rates: rates}}, 1, 1},
	} {
		poller.Observer(s).Polled(c.poll)
		if r, simulated := s.past[false].Len(), s.past[true].Len(); r != c.real || simulated != c.simulated {
			t.Errorf("%d real and %d simulated samples, want %d and %d", r, simulated, c.real, c.simulated)
		}
	}
}

func TestBuildChangesWithTheVersion(t *testing.T) {
	a, b := New(Options{Version: "1"}), New(Options{Version: "2"})
	if a.build == b.build || a.build == "" {
		t.Errorf("two versions have the builds %q and %q: pages on walls would not load the new script", a.build, b.build)
	}
	if d := a.drift().Abs(); d > time.Second {
		t.Errorf("the clocks of this machine differ by %v after no time", d)
	}
}

// deaf is a browser that disconnects.
type deaf struct{ http.ResponseWriter }

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestBrowserThatGoesAwayIsNoError(t *testing.T) {
	var log strings.Builder
	s := newScreen(t, Options{}, healthy(simulator.RecordedRates()))
	s.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	served(s).ServeHTTP(deaf{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
	if log.Len() > 0 {
		t.Errorf("logged: %s", log.String())
	}
}

func BenchmarkScreen(b *testing.B) {
	rates := simulator.RecordedRates()
	s := newScreen(b, Options{}, healthy(rates))
	remember(s, rates, 1445, nil)
	q, h := httptest.NewRequest("GET", "/", nil), served(s)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		b.SetBytes(int64(w.Body.Len()))
	}
}
