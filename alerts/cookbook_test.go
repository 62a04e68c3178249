// Each query of docs/promql.md is run, and what it gives is held against what is known otherwise.

package alerts

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// check looks at the answer to a query. Prices move between two questions, so comparisons have a tolerance.
type check func(s server, query string, got []sample) error

// series wants so many of them, at least, and every value within bounds.
func series(least, most int, low, high float64) check {
	return func(_ server, _ string, got []sample) error {
		if len(got) < least || len(got) > most {
			return fmt.Errorf("%d series, not %d to %d", len(got), least, most)
		}
		for _, g := range got {
			if math.IsNaN(g.Value) || g.Value < low || g.Value > high {
				return fmt.Errorf("%v is %v, not within %v and %v", g.Metric, g.Value, low, high)
			}
		}
		return nil
	}
}

// like wants the one value that another expression gives, but for a share of it.
func like(expr string, share float64) check {
	return func(s server, _ string, got []sample) error {
		want, err := s.query(expr)
		if err != nil {
			return fmt.Errorf("%s: %w", expr, err)
		}
		if len(want) != 1 || len(got) != 1 {
			return fmt.Errorf("%d series against %d of %s", len(got), len(want), expr)
		}
		if math.Abs(got[0].Value-want[0].Value) > share*math.Abs(want[0].Value) {
			return fmt.Errorf("%v, but %s is %v", got[0].Value, expr, want[0].Value)
		}
		return nil
	}
}

// swapped wants another value when the query speaks of something else.
func swapped(from, to string, want float64) check {
	return func(s server, query string, _ []sample) error {
		other, err := s.query(strings.ReplaceAll(query, from, to))
		if err != nil {
			return err
		}
		if len(other) != 1 || math.Abs(other[0].Value-want) > 1e-6 {
			return fmt.Errorf("with %s for %s it gives %v, not %v", to, from, other, want)
		}
		return nil
	}
}

func all(checks ...check) check {
	return func(s server, query string, got []sample) error {
		for _, c := range checks {
			if err := c(s, query, got); err != nil {
				return err
			}
		}
		return nil
	}
}

const (
	week   = 7 * 86400.0
	rate   = `max(coingecko_exchange_rate{currency=%q})`
	rateOf = `max(last_over_time(coingecko_exchange_rate{currency=%q}[10m]%s))`
)

// price is made of raw rates, without any recording rule.
func price(currency, quote, when string) string {
	return fmt.Sprintf(rateOf+" / "+rateOf, quote, when, currency, when)
}

// answers holds what is known of the answer to each question.
var answers = map[string]check{
	"What does one ETH cost in USD?":                                         like(price("eth", "usd", ""), 0.05),
	"What is a basket of 49.90 EUR in each of our coins?":                    series(12, 12, 1e-5, 1e4),
	"What is the EUR/GBP cross rate?":                                        like(price("eur", "gbp", ""), 0.01),
	"What is one Swiss franc in yen, though neither is a quote of the shop?": like(price("chf", "jpy", ""), 0.01),
	"What are half a bitcoin and ten ETH worth in EUR?":                      like("0.5 * "+price("btc", "eur", "")+" + 10 * "+price("eth", "eur", ""), 0.05),
	"All prices in USD, with the currencies' names?": all(series(75, 75, 1e-9, 1e9), func(_ server, _ string, got []sample) error {
		for _, g := range got {
			if g.Metric["name"] == "" {
				return fmt.Errorf("%v has no name", g.Metric)
			}
		}
		return nil
	}),
	"Which three of our coins moved most in 24 hours, up or down?": series(3, 3, 0, 2),
	"What share of our coins costs more than a day ago?":           all(series(1, 1, 0, 1), swapped("> bool 0", "> bool 9", 0)),
	"How long ago did a coin last move by 5 % within an hour?":     series(1, 12, 0, week),
	"In how many hours of the last week did ETH move by more than 2 %?": all(series(1, 1, 0, 169),
		// Every hour moved by more than less than nothing.
		func(s server, query string, _ []sample) error {
			n, err := s.query(strings.ReplaceAll(query, "bool 0.02", "bool -1"))
			if err != nil {
				return err
			}
			return series(1, 1, 165, 169)(s, query, n)
		}),
	// The ratio, because the change itself can be next to nothing.
	"By how much did half a bitcoin and ten ETH change in a day, together?": func(s server, query string, _ []sample) error {
		got, err := s.query("(" + query + ") + 1")
		if err != nil {
			return err
		}
		return like("(0.5 * "+price("btc", "eur", "")+" + 10 * "+price("eth", "eur", "")+
			") / (0.5 * "+price("btc", "eur", " offset 1d")+" + 10 * "+price("eth", "eur", " offset 1d")+")", 0.05)(s, query, got)
	},
	"How near is each currency to an alert?":                        series(5, 5, 0, 50),
	"What was the highest price of ETH in 24 hours?":                like(`max_over_time((`+price("eth", "usd", "")+`)[24h:5m])`, 0.05),
	"How far is each coin below its high of the week?":              series(14, 14, -0.9, 0),
	"What was the worst drawdown of ETH in a week?":                 all(series(1, 1, -0.9, -1e-6), swapped(`currency="eth",quote="usd"`, `currency="svc",quote="usd"`, 0)),
	"At which hour of the last day was ETH cheapest?":               series(1, 1, 0, 23),
	"What did ETH cost at 14:00?":                                   like(price("eth", "usd", " offset 1h"), 0.05),
	"What was the daily close of each coin?":                        series(14, 14, 1e-9, 1e9),
	"What is the value at risk of 1,000 EUR in ETH, over a day?":    series(1, 1, -500, 900),
	"How old was the price at 14:00?":                               series(1, 1, 0, 600),
	"Is ETH above its mean of the week, and by how much?":           series(1, 1, -0.9, 5),
	"What may a payment lose while it takes 15 minutes to confirm?": series(12, 12, 1e-6, 0.2),
	"Which of our coins is the calmest?": all(series(1, 1, 1e-6, 0.2), func(_ server, _ string, got []sample) error {
		if got[0].Metric["currency"] != "btc" { // the others have bitcoin's moves and their own in the simulator
			return fmt.Errorf("the calmest coin is %s", got[0].Metric["currency"])
		}
		return nil
	}),
	"What is the annualised volatility of ETH?": all(series(1, 1, 0.01, 20),
		like(`max(stddev_over_time(currency_quote:coingecko_price_change:ratio15m{currency="eth",quote="usd"}[24h:5m])) * 187.1`, 0.1)),
	"Do BTC and ETH move together?": all(series(1, 1, -1, 1), swapped(`currency="eth"`, `currency="btc"`, 1)),
	"Are weekends calmer?":          series(1, 1, 0.05, 20),
	"In what share of the last day did ETH cost less than its mean of the week?": series(1, 1, 0, 1),
	"What share of the last week had fresh rates?":                               series(1, 1, 0.99, 1),
	"What was the maximum age of the rates in a day?":                            series(1, 1, 0, 86400), // as old as the backfill took
}

func checkCookbook(t *testing.T, prom server) {
	text, err := os.ReadFile("../docs/promql.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n### ([^\n]+)\n(.*?)\n```promql\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1)
	if len(found) < 20 {
		t.Errorf("only %d questions in docs/promql.md", len(found))
	}
	if n := strings.Count(string(text), "```promql"); n != len(found) {
		t.Errorf("%d queries, but %d questions with one", n, len(found))
	}
	asked := map[string]bool{}
	anHourAgo := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	for _, m := range found {
		question, query := m[1], strings.ReplaceAll(m[3], "1767276000", anHourAgo)
		asked[question] = true
		ok, known := answers[question]
		if !known {
			t.Errorf("nothing is known of the answer to %q", question)
			continue
		}
		got, err := prom.query(query)
		if err == nil {
			err = ok(prom, query, got)
		}
		if err != nil {
			t.Errorf("%s\n%s\n%v", question, query, err)
		}
	}
	for question := range answers {
		if !asked[question] {
			t.Errorf("docs/promql.md does not ask %q", question)
		}
	}
}
