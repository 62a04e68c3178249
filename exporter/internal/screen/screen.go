// Package screen is the page at /: the current rates for people, on a wall and on a phone.
//
// The page is complete without JavaScript. With it, the page asks for itself again and again and
// takes over what has changed, so there is one way in which prices come onto it. It never shows a
// price that is too old: the exporter leaves it out, and the page hides it when the exporter is gone.
package screen

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/history"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// Options says what the screen shows and where it gets it from.
type Options struct {
	Status      func() poller.Status // asked for at each request
	Quote       string               // code of the currency that prices are in, unless ?quote= says another
	Coins       []string             // codes of the tiles, in their order; none: every coin but bits and sats
	Thresholds  Thresholds           // from which on a move is marked
	Basket      Basket               // an amount that is shown in each coin
	Zone        *time.Location       // of times of day; nil for UTC
	Version     string               // of the exporter
	LinkBase    string               // of links to other endpoints: a path without a slash at its end; "." when empty
	MetricsPath string               // where the metrics are; "/metrics" when empty
	Logger      *slog.Logger
}

// Screen serves the page and remembers what it needs for changes and curves.
// It is safe for concurrent use.
type Screen struct {
	opts  Options
	links []link
	build string
	drift func() time.Duration

	// Kept apart, because a relay may be turned from one to the other: no change and no curve joins the two.
	real, simulated history.History
}

//go:embed page.html
var pageText string

//go:embed screen.css
var style string

//go:embed screen.js
var script string

// guard stands before everything else. A page that was cut off so early that the script did not come is loaded again, and so
// is one whose script the browser does not understand.
const guard = `setTimeout(function () { if (!document.documentElement.classList.contains('live')) location.reload(); }, 30000);`

//go:embed screen.svg
var icon []byte

var page = template.Must(template.New("page.html").Parse(pageText))

// policy lets the page use what stands in it, load its icon and ask for itself, and nothing else. It may stand in a
// frame of its own origin only. The hashes of scripts and style sheet go in; the sizes' hash is that of a page.
const policy = "default-src 'none'; script-src '%s' '%s'; style-src '%s' '%s'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// hash is how a policy names a text that stands in the page.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var styleHash, scriptHash, guardHash = hash(style), hash(script), hash(guard)

// New prepares a screen. It fails on nothing: whether the quote is there shows with the first rates.
func New(opts Options) *Screen {
	opts.Quote = code(opts.Quote)
	var coins []string
	seen := map[string]bool{}
	for _, c := range opts.Coins {
		if c = code(c); c != "" && !seen[c] {
			seen[c] = true
			coins = append(coins, c)
		}
	}
	opts.Coins = coins
	if opts.Zone == nil {
		opts.Zone = time.UTC
	}
	if opts.LinkBase == "" {
		opts.LinkBase = "."
	}
	if opts.MetricsPath == "" {
		opts.MetricsPath = "/metrics"
	}
	s := &Screen{opts: opts, drift: clockDrift()}
	s.links = []link{
		{opts.LinkBase + opts.MetricsPath, "Metrics"},
		{opts.LinkBase + "/api/v3/exchange_rates", "Rates as JSON"},
		{opts.LinkBase + "/-/healthy", "Health"},
		{opts.LinkBase + "/-/ready", "Readiness"},
		{"https://github.com/heycard/coingecko-exporter", "Documentation"},
	}

	build := sha256.Sum256([]byte(opts.Version + pageText + style + guard + script))
	s.build = hex.EncodeToString(build[:8])
	return s
}

// code makes a currency's code of what somebody typed.
func code(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// clockDrift tells by how much the wall clock has left the monotonic one since it was made.
func clockDrift() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		now := time.Now()
		return now.Round(0).Sub(start.Round(0)) - now.Sub(start)
	}
}

// Register hands over the page at / and its icon, each with its pattern for http.ServeMux.
func (s *Screen) Register(handle func(pattern string, h http.Handler)) {
	handle("GET /{$}", http.HandlerFunc(s.serve))
	handle("GET /screen.svg", http.HandlerFunc(serveIcon))
}

// Polled remembers the new rates. It makes a Screen a poller.Observer.
func (s *Screen) Polled(p poller.Poll) {
	if p.Snapshot != nil {
		s.Remember(p.Snapshot.Left(), p.Snapshot.Rates, p.Snapshot.Simulated)
	}
}

// Remember keeps rates that left CoinGecko at the time given, sorted by code, simulated or not. They come in the order
// of time: a minute that is over is not changed any more.
func (s *Screen) Remember(at time.Time, rates []coingecko.Rate, simulated bool) {
	s.history(simulated).Remember(at, rates, s.drift())
}

// Restore adds what the real rates were before this process started.
func (s *Screen) Restore(past []history.Sample) { s.real.Restore(past) }

// history is what is remembered of simulated rates, or of real ones.
func (s *Screen) history(simulated bool) *history.History {
	if simulated {
		return &s.simulated
	}
	return &s.real
}

func (s *Screen) serve(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(s.opts.Status(), code(r.URL.Query().Get("quote")))
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		s.opts.Logger.Error("Rendering the screen failed, which is a bug in the exporter", "err", err)
		http.Error(w, "The screen cannot be rendered. See the exporter's log.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // a price from a cache would be old
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, guardHash, scriptHash, styleHash, hash(string(v.SizeSheet()))))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
	}
	if _, err := body.WriteTo(w); err != nil {
		s.opts.Logger.Debug("Browser disconnected while the screen was sent", "err", err)
	}
}

// serveIcon lets browsers keep the icon for a day.
func serveIcon(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "max-age=86400")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "screen.svg", time.Time{}, bytes.NewReader(icon))
}
