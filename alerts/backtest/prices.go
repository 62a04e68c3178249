// Recorded prices, and the exporter's series that come of them.

package main

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

// currency is one file: what a unit of it was worth in usd.
type currency struct {
	code, kind string
	times      []int64 // s, when the price was current, rising
	prices     []float64
}

// readPrices reads CSV files, gzipped or not, with two columns: the unix time of a bar's start, and its close in usd. A
// file is called after the currency's code: btc.csv.gz, fiat_eur.csv, metal_xau.csv. A header is left out.
func readPrices(names []string) ([]currency, error) {
	var all []currency
	for _, name := range names {
		c, err := readCurrency(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if slices.ContainsFunc(all, func(other currency) bool { return other.code == c.code }) {
			return nil, fmt.Errorf("%s: a second file of %s; give one a currency", name, c.code)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b currency) int { return strings.Compare(a.code, b.code) })
	return all, nil
}

func readCurrency(name string) (currency, error) {
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	c := currency{code: strings.ToLower(base), kind: "crypto"}
	for prefix, kind := range map[string]string{"fiat_": "fiat", "metal_": "commodity"} {
		if code, ok := strings.CutPrefix(c.code, prefix); ok {
			c.code, c.kind = code, kind
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return c, err
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			return c, err
		}
	}
	rows := csv.NewReader(in)
	rows.FieldsPerRecord, rows.ReuseRecord = 2, true
	for line := 1; ; line++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c, err
		}
		t, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil && line == 1 {
			continue // a header
		}
		price, err2 := strconv.ParseFloat(row[1], 64)
		if err := errors.Join(err, err2); err != nil {
			return c, fmt.Errorf("line %d: %w", line, err)
		}
		if !(price > 0) || math.IsInf(price, 0) {
			return c, fmt.Errorf("line %d: %v is no price", line, price)
		}
		if n := len(c.times); n > 0 && t <= c.times[n-1] {
			return c, fmt.Errorf("line %d: the time %d does not come after %d", line, t, c.times[n-1])
		}
		c.times, c.prices = append(c.times, t), append(c.prices, price)
	}
	if len(c.times) < 2 {
		return c, errors.New("fewer than two prices")
	}
	// A close is known when its bar ends.
	bar := c.times[1] - c.times[0]
	for i := 2; i < len(c.times); i++ {
		bar = min(bar, c.times[i]-c.times[i-1])
	}
	for i := range c.times {
		c.times[i] += bar
	}
	return c, nil
}

// at gives the price at a time, on the line between the closes before and after it; 0 before the first and after the last.
func (c *currency) at(t int64) float64 {
	i, exactly := slices.BinarySearch(c.times, t)
	switch {
	case exactly:
		return c.prices[i]
	case i == 0 || i == len(c.times):
		return 0
	}
	share := float64(t-c.times[i-1]) / float64(c.times[i]-c.times[i-1])
	return c.prices[i-1] + share*(c.prices[i]-c.prices[i-1])
}

// answer is what the exporter believes from the moment of a poll on: units that one bitcoin buys, by currency and in the
// order of the feed's codes; 0 for one that is not in it.
type answer struct {
	from            int64 // s
	rates, previous []float64
}

// feed is CoinGecko as an exporter sees it that never misses a poll.
type feed struct {
	currencies  []currency // bitcoin and usd among them
	answers     []answer   // each differs from the one before
	first, last int64      // s
	poll        int64      // s
}

// bitcoin is what one costs where no file says so, in usd: for files of fiats alone.
const bitcoin = 100_000

// newFeed asks CoinGecko every poll seconds. CoinGecko repeats its answer until its next refresh, 1 to 5 minutes later.
func newFeed(currencies []currency, poll int64, seed uint64) *feed {
	f := &feed{poll: poll, first: math.MaxInt64}
	var btc *currency
	for i, c := range currencies {
		f.first = min(f.first, c.times[0])
		f.last = max(f.last, c.times[len(c.times)-1])
		if c.code == "btc" {
			btc = &currencies[i]
		}
	}
	f.currencies = slices.Clone(currencies)
	if btc == nil {
		f.currencies = append(f.currencies, currency{code: "btc", kind: "crypto"})
	}
	f.currencies = append(f.currencies, currency{code: "usd", kind: "fiat"})

	random := rand.New(rand.NewPCG(seed, 0))
	refreshed, refresh := f.first, f.first
	for t := f.first; t <= f.last; t += poll {
		for refresh <= t {
			refreshed = refresh
			refresh += 60 + random.Int64N(241)
		}
		now := make([]float64, len(f.currencies))
		usd := float64(bitcoin)
		if btc != nil {
			usd = btc.at(refreshed)
		}
		for i, c := range f.currencies {
			switch {
			case usd == 0:
			case c.code == "btc":
				now[i] = 1
			case c.code == "usd":
				now[i] = round(usd)
			default:
				if price := c.at(refreshed); price > 0 {
					now[i] = round(usd / price)
				}
			}
		}
		n := len(f.answers)
		if n == 0 || !slices.Equal(now, f.answers[n-1].rates) {
			a := answer{from: t, rates: now}
			if n > 0 {
				a.previous = f.answers[n-1].rates
			}
			f.answers = append(f.answers, a)
		}
	}
	return f
}

// round keeps three decimals, as CoinGecko does.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// scrape writes what the exporter shows at a time, in s.
func (f *feed) scrape(into storage.Appender, t int64) error {
	i := sort.Search(len(f.answers), func(i int) bool { return f.answers[i].from > t }) - 1
	if i < 0 {
		return nil
	}
	var errs []error
	show := func(name string, v float64, more ...map[string]string) {
		if len(more) > 0 && v == 0 { // a currency that is not in the answer
			v = math.Float64frombits(value.StaleNaN)
		}
		of := map[string]string{model.MetricNameLabel: name, "job": "coingecko-exporter", "instance": "backtest:9880"}
		_, err := into.Append(0, rules.FromMaps(append(more, of)...), t*1000, v)
		errs = append(errs, err)
	}
	for j, c := range f.currencies {
		of := map[string]string{"currency": c.code, "kind": c.kind}
		show("coingecko_exchange_rate", f.answers[i].rates[j], of)
		if f.answers[i].previous != nil {
			show("coingecko_previous_exchange_rate", f.answers[i].previous[j], of)
		}
	}
	polled := float64(f.first + (t-f.first)/f.poll*f.poll)
	show("up", 1)
	show("coingecko_up", 1)
	show("coingecko_last_success_timestamp_seconds", polled)
	show("coingecko_last_poll_timestamp_seconds", polled)
	show("coingecko_poll_interval_seconds", float64(f.poll))
	show("coingecko_rates_max_age_seconds", float64(max(600, 3*f.poll)))
	return errors.Join(errs...)
}

func day(t int64) string { return time.Unix(t, 0).UTC().Format(time.DateOnly) }
