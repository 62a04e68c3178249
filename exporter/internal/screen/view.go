// The page's data, derived from the poller's status.

package screen

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/history"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

// States of the screen. The page itself changes to the latter two if the exporter does not answer.
const (
	fresh   = "fresh"   // prices without a notice
	missed  = "missed"  // prices; a newer answer is overdue
	expired = "expired" // no prices
)

// The page refreshes at the poll interval, but at least every 10 s and at most every 2 s. It removes its prices after three such
// intervals without an answer, and not before ten seconds.
const (
	minRefresh  = 2 * time.Second
	maxRefresh  = 10 * time.Second
	minPatience = 10 * time.Second
)

// view is the data of the page.
type view struct {
	Build, Version string
	Style          template.CSS
	Guard, Script  template.JS
	Sizes          template.CSS // custom properties; depend on the tiles
	Layout         string       // classes; depend on the tiles, empty without any
	Simulated      bool
	Icon           string
	Links          []link

	State           string
	Notice          *notice
	Fetched         string // empty before the first success
	FetchedISO      string
	Age             string
	AgeSeconds      float64
	MaxAgeSeconds   float64
	RefreshSeconds  float64
	PatienceSeconds float64
	ReloadSeconds   int // for browsers without JavaScript

	Quote   *currency // nil if it is not among the rates
	Choices []currency
	Tiles   []tile
	Span    string
	Groups  []section
}

// SizeSheet is the style sheet with the sizes of one page.
func (v view) SizeSheet() template.CSS { return ":root{" + v.Sizes + "}" }

// link is a link in the footer.
type link struct{ Path, Text string }

// notice is a message above the prices.
type notice struct {
	Head   string
	Reason []string // sentences
	Next   string
}

// currency is a rate as text.
type currency struct {
	Code  string // as in ?quote=
	Label string // code in capitals
	Name  string
	Unit  string // as sent by CoinGecko
	Short string // text after an amount: the unit, or the code if that is ambiguous
	Rate  string // for one bitcoin
	Price string // in the quote
}

// tile is a coin.
type tile struct {
	currency
	Changes []change
	Loud    string // up or down if a change is past its threshold
	Curve   *curve // nil if there is nothing to draw
	Basket  string
}

// curve is the price over the last day.
type curve struct {
	Path  string
	Label string
}

// section is a section of the table.
type section struct {
	Name string
	Rows []currency
}

// windows are the windows of a tile's changes. The names are those of thresholds.
var windows = []struct {
	name, text string
	long       time.Duration
}{{"15m", "15 min", 15 * time.Minute}, {"1h", "1 h", time.Hour}, {"24h", "24 h", history.Reach}}

// view returns the data of the page. asked is the quote of the request, or empty. The second result is false if that quote is unknown.
func (s *Screen) view(st poller.Status, asked string) (view, bool) {
	refresh := min(max(st.Interval, minRefresh), maxRefresh)
	if st.LastPoll.IsZero() {
		refresh = minRefresh // the first rates will arrive soon
	}
	v := view{
		Build:           s.build,
		Style:           template.CSS(style), //nolint:gosec // a file of this package
		Guard:           guard,
		Script:          template.JS(script), //nolint:gosec // a file of this package
		Version:         s.opts.Version,
		Simulated:       st.Simulated,
		Icon:            s.opts.LinkBase + "/screen.svg",
		Links:           s.links,
		State:           fresh,
		MaxAgeSeconds:   st.MaxAge.Seconds(),
		RefreshSeconds:  refresh.Seconds(),
		PatienceSeconds: max(3*refresh, minPatience).Seconds(),
		ReloadSeconds:   int(maxRefresh.Seconds()),
	}
	if !st.LastSuccess.IsZero() {
		v.Fetched = s.clock(st.LastSuccess, st.Now)
		v.FetchedISO = st.LastSuccess.UTC().Format(time.RFC3339)
		v.Age = age(st.Age)
		v.AgeSeconds = math.Ceil(st.Age.Seconds()*10) / 10 // rounded up: older, never younger
	}
	v.Sizes, _ = layout(0, 8, false, v.Simulated)
	next := ""
	if st.NextPoll.After(st.Now) {
		next = "Next poll at " + s.clock(st.NextPoll, st.Now) + "."
	}

	if st.Snapshot == nil {
		v.State = expired
		v.Notice = missing(st)
		v.Notice.Next = next
		return v, true
	}
	if st.Missed() {
		v.State = missed
		v.Notice = &notice{Head: "A poll was missed", Reason: reason(st, nothingNewer), Next: next}
	}

	rates := st.Snapshot.Rates
	quote := s.opts.Quote
	if asked != "" {
		quote = asked
	}
	short := units(rates)
	q, ok := coingecko.Find(rates, quote)
	if !ok {
		v.Notice = &notice{
			Head:   fmt.Sprintf("No rate for %q", fmt.Sprintf("%.32s", quote)), // no code is longer
			Reason: []string{"Choose one of these quotes."},
		}
		if asked == "" {
			v.Notice.Reason = []string{"CoinGecko has no such currency.", "Change --screen.quote, or choose one of these."}
		}
		_, withheld := coingecko.Find(st.Snapshot.Withheld, quote)
		if withheld {
			v.Notice = &notice{Head: strings.ToUpper(quote) + " is " + notConfirmed, Reason: []string{
				"The last rate differs too much from the one before. It is shown once a different answer confirms it.",
			}}
		}
		for _, r := range rates {
			v.Choices = append(v.Choices, newCurrency(r, short))
		}
		return v, asked == "" || withheld
	}
	qc := newCurrency(q, short)
	v.Quote = &qc
	s.addTiles(&v, st, rates, q.Code, short)
	addTable(&v, st.Snapshot, q, short)
	return v, true
}

// nothingNewer is the reason if the last poll did not fail: the upstream of a relay has no newer rates, or the machine was suspended and
// has not polled yet.
const nothingNewer = "No newer rates are available."

// notConfirmed replaces a withheld rate.
const notConfirmed = "not confirmed"

// missing returns the notice if there are no rates.
func missing(st poller.Status) *notice {
	if st.LastSuccess.IsZero() {
		return &notice{Head: "No rates yet", Reason: reason(st, "The first poll is in progress.")}
	}
	return &notice{Head: "No current rates", Reason: append(reason(st, nothingNewer),
		"The last rates are older than "+strings.ReplaceAll(age(st.MaxAge), " ", "\u00a0")+" and are no longer shown.")}
}

// reason returns why the last poll failed, or other if it did not.
func reason(st poller.Status, other string) []string {
	if st.Err == nil {
		return []string{other}
	}
	return strings.Split(strings.ReplaceAll(st.Err.Explain(), ". ", ".\n"), "\n")
}

// coins returns the codes of the tiles: the configured ones, or else all coins except the units of bitcoin, with the two largest
// first. It omits the quote, which has no price in itself.
func (s *Screen) coins(of *poller.Snapshot, quote string) []string {
	codes := slices.Clone(s.opts.Coins)
	if len(codes) == 0 {
		for _, r := range whole(of) {
			if r.Kind() == coingecko.Crypto && r.Code != "bits" && r.Code != "sats" {
				codes = append(codes, r.Code)
			}
		}
		large := []string{"eth", "btc"} // in reverse order
		slices.SortStableFunc(codes, func(a, b string) int { return slices.Index(large, b) - slices.Index(large, a) })
	}
	return slices.DeleteFunc(codes, func(code string) bool { return code == quote })
}

func (s *Screen) addTiles(v *view, st poller.Status, rates []coingecko.Rate, quote string, short map[string]string) {
	now := history.NewSample(st.LastSuccess, rates, history.Sample{})
	past := s.past[st.Simulated]
	points, span := past.Curve(now, max(history.Tolerance, 2*st.Interval))
	switch {
	case span > history.Reach-history.Tolerance: // the oldest sample is never exactly a day old
		v.Span = "24 h"
	case span > 0:
		v.Span = age(max(span.Truncate(time.Minute), time.Minute))
	}
	var then [3]history.Sample
	for i, w := range windows {
		then[i], _ = past.Before(now.At.Add(-w.long))
	}
	basket, _ := coingecko.Find(rates, s.opts.Basket.Code) // a rate of 0 gives a dash
	all := whole(st.Snapshot)
	digits := 0
	for _, code := range s.coins(st.Snapshot, quote) {
		t := tile{currency: currency{Code: code, Label: strings.ToUpper(code), Name: strings.ToUpper(code)}}
		r, known := coingecko.Find(all, code)
		if known {
			t.currency = newCurrency(r, short)
		}
		price, ok := now.Price(code, quote)
		if ok {
			t.Price = number(price)
			t.Curve = draw(points, code, quote, v.Span)
			digits = max(digits, len(t.Price))
		}
		largest := 1.0
		for i, w := range windows {
			c := change{Window: w.text, Text: dash, Way: "none"}
			if old, had := then[i].Price(code, quote); ok && had {
				limit := s.opts.Thresholds.of(r, w.name)
				c = newChange(w.text, price, old, limit)
				if part := math.Abs(price/old-1) / limit; c.Size == loud && part >= largest {
					largest, t.Loud = part, c.Way
				}
			}
			t.Changes = append(t.Changes, c)
		}
		if b := s.opts.Basket; b.Code != "" {
			buys := dash
			if amount, ok := history.Ratio(r.Value*b.Amount, basket.Value); ok {
				buys = significant(amount) + " " + t.Label
			}
			t.Basket = b.Text + " " + strings.ToUpper(b.Code) + " = " + buys
		}
		v.Tiles = append(v.Tiles, t)
	}
	v.Sizes, v.Layout = layout(len(v.Tiles), min(max(digits, 8), 18), s.opts.Basket.Code != "", v.Simulated)
}

// flattest is the least height of a curve relative to the price, so that a stable coin or a peg does not look volatile.
const flattest = 0.001

// draw returns the SVG path of a price, 240 wide and 1000 high, with gaps where there are no samples.
func draw(points []history.Point, coin, quote, span string) *curve {
	type dot struct {
		x     int
		price float64
		gap   bool
	}
	var dots []dot
	gap := true
	for _, p := range points {
		price, ok := p.Price(coin, quote)
		if ok {
			dots = append(dots, dot{p.X, price, gap || p.Gap})
		}
		gap = !ok
	}
	if len(dots) < 2 {
		return nil
	}
	low, high := dots[0].price, dots[0].price
	for _, d := range dots {
		low, high = min(low, d.price), max(high, d.price)
	}
	var path []byte
	height := max(high-low, flattest*high)
	for i, d := range dots {
		y := 500 - 1000*(d.price-(low+high)/2)/height
		letter := byte('L')
		if d.gap {
			letter = 'M'
		}
		path = strconv.AppendInt(append(path, letter), int64(d.x), 10)
		path = strconv.AppendInt(append(path, ' '), int64(math.Round(y)), 10)
		if d.gap && (i+1 == len(dots) || dots[i+1].gap) {
			path = append(path, "h0"...) // a single sample is a dot
		}
	}
	return &curve{
		Path:  string(path),
		Label: fmt.Sprintf("Last %s: lowest %s, highest %s", span, number(low), number(high)),
	}
}

// sections are the sections of the table.
var sections = []struct {
	kind coingecko.Kind
	name string
}{
	{coingecko.Commodity, "Commodities"},
	{coingecko.Fiat, "Currencies"},
	{coingecko.Crypto, "Other coins and units"},
	{coingecko.Other, "Others"},
}

// addTable adds all currencies without a tile to the table.
func addTable(v *view, of *poller.Snapshot, quote coingecko.Rate, short map[string]string) {
	for _, sec := range sections {
		g := section{Name: sec.name}
		for _, r := range whole(of) {
			if r.Kind() != sec.kind || slices.ContainsFunc(v.Tiles, func(t tile) bool { return t.Code == r.Code }) {
				continue
			}
			c := newCurrency(r, short)
			if price, ok := history.Ratio(quote.Value, r.Value); ok {
				c.Price = number(price)
			}
			g.Rows = append(g.Rows, c)
		}
		if len(g.Rows) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
}

// whole returns the rates of an answer, including withheld ones, sorted by code.
func whole(of *poller.Snapshot) []coingecko.Rate {
	if len(of.Withheld) == 0 {
		return of.Rates
	}
	all := slices.Concat(of.Rates, of.Withheld)
	slices.SortFunc(all, coingecko.ByCode)
	return all
}

// newCurrency returns a rate as text. A rate without a value is withheld.
func newCurrency(r coingecko.Rate, short map[string]string) currency {
	c := currency{
		Code:  r.Code,
		Label: strings.ToUpper(r.Code),
		Name:  r.Name,
		Unit:  r.Unit,
		Short: short[r.Code],
		Rate:  notConfirmed,
	}
	if r.Value > 0 {
		c.Rate = number(r.Value)
	}
	return c
}
