// Package screen is the page at /: the current rates for people, on a wall and on a phone.
//
// The page is complete without JavaScript. With it, the page asks for itself again and again and
// takes over what has changed, so there is one way in which prices come onto it. It never shows a
// price that is too old: the exporter leaves it out, and the page hides it when the exporter is gone.
package screen

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
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
	Version     string               // of the exporter
	MetricsPath string               // where the metrics are; "/metrics" when empty
	Logger      *slog.Logger
}

// Screen serves the page and remembers what it needs for changes and curves.
// It is safe for concurrent use.
type Screen struct {
	opts    Options
	links   []link
	build   string
	history *history.History
	drift   func() time.Duration
	routes  map[string]http.Handler // by the pattern of http.ServeMux
}

//go:embed page.html screen.css screen.js screen.svg
var files embed.FS

// assets are what the page loads, and their types.
var assets = map[string]string{
	"screen.css": "text/css; charset=utf-8",
	"screen.js":  "text/javascript; charset=utf-8",
	"screen.svg": "image/svg+xml",
}

var page = template.Must(template.New("page.html").ParseFS(files, "page.html"))

// policy lets the page load its own assets and ask for itself, and nothing else.
// It may stand in a frame of its own origin only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

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
	if opts.MetricsPath == "" {
		opts.MetricsPath = "/metrics"
	}
	s := &Screen{opts: opts, history: &history.History{}, drift: clockDrift(), routes: map[string]http.Handler{}}
	// Relative, so that they also lead somewhere behind a reverse proxy that adds a prefix.
	s.links = []link{
		{"." + opts.MetricsPath, "Metrics"},
		{"./api/v3/exchange_rates", "Rates as JSON"},
		{"./-/healthy", "Health"},
		{"./-/ready", "Readiness"},
		{"https://github.com/heycard/coingecko-exporter", "Documentation"},
	}

	all := sha256.New()
	all.Write([]byte(opts.Version))
	for _, name := range []string{"page.html", "screen.css", "screen.js", "screen.svg"} {
		content, err := files.ReadFile(name)
		if err != nil { // embedded: it is there, or this did not compile
			panic("screen: " + err.Error())
		}
		all.Write(content)
		if mediaType, ok := assets[name]; ok {
			s.routes["GET /"+name] = asset(name, mediaType, content)
		}
	}
	s.build = hex.EncodeToString(all.Sum(nil)[:8])
	s.routes["GET /{$}"] = http.HandlerFunc(s.serve)
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

// Register hands over the page at / and its assets beside it, each with its pattern for http.ServeMux.
func (s *Screen) Register(handle func(pattern string, h http.Handler)) {
	for pattern, h := range s.routes {
		handle(pattern, h)
	}
}

// Polled remembers the new rates. It makes a Screen a poller.Observer.
func (s *Screen) Polled(p poller.Poll) {
	if p.Snapshot != nil {
		s.Remember(p.Snapshot.Left(), p.Snapshot.Rates)
	}
}

// Remember keeps rates that left CoinGecko at the time given, sorted by code. They come in the order
// of time: a minute that is over is not changed any more.
func (s *Screen) Remember(at time.Time, rates []coingecko.Rate) {
	s.history.Remember(at, rates, s.drift())
}

// Restore adds what the rates were before this process started.
func (s *Screen) Restore(past []history.Sample) { s.history.Restore(past) }

func (s *Screen) serve(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(s.opts.Status(), code(r.URL.Query().Get("quote")))
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		s.opts.Logger.Error("The screen cannot be rendered; this is a defect of the exporter", "err", err)
		http.Error(w, "The screen cannot be rendered. The log of the exporter says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // a price from a cache would be old
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
	}
	if _, err := body.WriteTo(w); err != nil {
		s.opts.Logger.Debug("A browser went away while it was served the screen", "err", err)
	}
}

// asset serves an embedded file. Browsers keep it, but ask whether it has changed.
func asset(name, mediaType string, content []byte) http.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", mediaType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		h.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}
