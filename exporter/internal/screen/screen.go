// Package screen serves the page at / with the current rates, for large displays and phones.
//
// The page is complete without JavaScript. With JavaScript, it fetches itself repeatedly and applies the differences, so prices always
// come from one template. It never shows an expired price: the exporter omits it, and the page removes it if the exporter does not
// answer.
package screen

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
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

// Options configure a Screen.
type Options struct {
	Status      func() poller.Status // called for each request
	Quote       string               // default quote, in lower case; ?quote= takes precedence
	Coins       []string             // codes of the tiles in order, in lower case; empty for all coins except bits and sats
	Thresholds  Thresholds           // changes to highlight
	Basket      Basket               // an amount to convert into each coin
	Zone        *time.Location       // nil for UTC
	Version     string               // of the exporter
	LinkBase    string               // prefix of links to other endpoints, without a trailing slash
	MetricsPath string
	Logger      *slog.Logger
}

// Screen serves the page and keeps the history for changes and curves. It is safe for concurrent use.
type Screen struct {
	opts  Options
	links []link
	build string
	drift func() time.Duration

	// past has the simulated and the real rates, because a relay's upstream may change from one to the other: changes and curves
	// must not mix them.
	past map[bool]*history.History
}

//go:embed page.html
var pageText string

//go:embed screen.css
var style string

//go:embed screen.js
var script string

// guard is the first element of the page. It reloads a page whose script did not arrive or is not supported by the browser.
const guard = `setTimeout(function () { if (!document.documentElement.classList.contains('live')) location.reload(); }, 30000);`

//go:embed screen.svg
var icon []byte

var page = template.Must(template.New("page.html").Parse(pageText))

// policy allows the page its own inline scripts and styles by their hashes, its icon, and requests to its own origin, and nothing
// else. Only its own origin may frame it. The hash of the sizes differs from page to page.
const policy = "default-src 'none'; script-src '%s' '%s'; style-src '%s' '%s'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// hash returns the policy's name for an inline text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var styleHash, scriptHash, guardHash = hash(style), hash(script), hash(guard)

// New creates a screen. It never fails: an unknown quote is only noticed with the first rates.
func New(opts Options) *Screen {
	if opts.Zone == nil {
		opts.Zone = time.UTC
	}
	s := &Screen{opts: opts, drift: clockDrift(), past: map[bool]*history.History{true: {}, false: {}}}
	s.links = []link{
		{opts.LinkBase + opts.MetricsPath, "Metrics"},
		{opts.LinkBase + coingecko.APIPath + coingecko.Path, "Rates as JSON"},
		{opts.LinkBase + "/-/healthy", "Health"},
		{opts.LinkBase + "/-/ready", "Readiness"},
		{"https://github.com/heycard/coingecko-exporter", "Documentation"},
	}
	s.build = hash(opts.Version + pageText + style + guard + script)
	return s
}

// clockDrift returns a function that returns the difference between wall clock and monotonic clock since the call of clockDrift.
func clockDrift() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		now := time.Now()
		return now.Round(0).Sub(start.Round(0)) - now.Sub(start)
	}
}

// Register passes the page at / and its icon to handle, with patterns for http.ServeMux.
func (s *Screen) Register(handle func(pattern string, h http.Handler)) {
	handle("GET /{$}", http.HandlerFunc(s.serve))
	handle("GET /screen.svg", http.HandlerFunc(serveIcon))
}

// Polled implements poller.Observer. It remembers new rates.
func (s *Screen) Polled(p poller.Poll) {
	if p.Snapshot != nil {
		s.Remember(p.Snapshot.LeftCoinGecko(), p.Snapshot.Rates, p.Snapshot.Simulated)
	}
}

// Remember keeps rates that left CoinGecko at a time. They must be sorted by code, and calls must be in the order of time.
func (s *Screen) Remember(at time.Time, rates []coingecko.Rate, simulated bool) {
	s.past[simulated].Remember(at, rates, s.drift())
}

// Restore adds real rates from before the process started.
func (s *Screen) Restore(past []history.Sample) { s.past[false].Restore(past) }

func (s *Screen) serve(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(s.opts.Status(), strings.ToLower(strings.TrimSpace(r.URL.Query().Get("quote"))))
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		s.opts.Logger.Error("Rendering the screen failed, which is a bug in the exporter", "err", err)
		http.Error(w, "The screen cannot be rendered. See the exporter's log.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // a cached price would be old
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, guardHash, scriptHash, styleHash, hash(string(v.SizeSheet()))))
	h.Set("Referrer-Policy", "no-referrer")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
	}
	if _, err := body.WriteTo(w); err != nil {
		s.opts.Logger.Debug("Browser disconnected while the screen was sent", "err", err)
	}
}

// serveIcon serves the icon, which browsers may cache for a day.
func serveIcon(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "max-age=86400")
	http.ServeContent(w, r, "screen.svg", time.Time{}, bytes.NewReader(icon))
}
