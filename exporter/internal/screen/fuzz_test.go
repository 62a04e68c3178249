package screen

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
)

// FuzzQuery checks that for any query, the page has its usual tags, and prices in a known quote or none.
func FuzzQuery(f *testing.F) {
	rates := simulator.RecordedRates()
	s := newScreen(f, Options{}, healthy(some(rates)))
	// tags counts those of a page.
	tags := func(page string) int { return strings.Count(page, "<") }
	choices := get(s, "/?quote=none").Body.String()
	for _, q := range []string{
		"", "quote=eur", "quote=%20EUR%20", "quote=none", "quote=", "quote=a&quote=usd", "?", "quote=%", "quote;eur", "q=" + strings.Repeat("x", 5000),
		"quote=%3Cscript%3Ealert(1)%3C/script%3E", "quote=%22%20onload=%22x", "quote=%FF%FE%00", "quote=%E2%80%AE", "quote=" + strings.Repeat("%3C", 1000),
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		asked := ""
		if values, err := url.ParseQuery(query); err == nil || len(values) > 0 { // what can be read of it counts
			asked = strings.ToLower(strings.TrimSpace(values.Get("quote")))
		}
		if asked == "" {
			asked = "usd"
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		served(s).ServeHTTP(w, r)
		status, page := w.Code, w.Body.String()
		_, known := coingecko.Find(some(rates), asked)
		switch {
		case known && status != 200, !known && status != 400:
			t.Errorf("quote %q: %d", asked, status)
		case known && (!strings.Contains(page, "Crypto rates in "+strings.ToUpper(asked)+" <small>") || strings.Contains(page, "No rate for")):
			t.Errorf("quote %q: prices in something else", asked)
		case !known && (tags(page) != tags(choices) || strings.Contains(page, `class="price"`)):
			t.Errorf("quote %q: %d tags, want %d:\n%s", asked, tags(page), tags(choices), page)
		case !known && len(page) > len(choices)+500:
			t.Errorf("an absurd query is repeated at length: %d bytes", len(page))
		}
	})
}
