// What the wall says while coins are missing, at every minute of an hour, and of swings.

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const job = `job="coingecko-exporter"`

// What promtool's test files are made of.
type (
	input struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	sample struct {
		Labels string  `json:"labels"`
		Value  float64 `json:"value"`
	}
	check struct {
		Expr    string   `json:"expr"`
		At      string   `json:"eval_time"`
		Samples []sample `json:"exp_samples"`
	}
)

// promtool evaluates expressions over series with a value each minute.
func promtool(t *testing.T, inputs []input, checks []check) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"tests": []any{map[string]any{"interval": "1m", "input_series": inputs, "promql_expr_test": checks}}})
	if err != nil {
		t.Fatal(err)
	}
	testbed.Run(t, testbed.Tool(t, "promtool"), "test", "rules", file(t, "test.yaml", string(raw)))
}

// TestMissingCoin lets another coin be without a price in each minute of an hour: its tile says so in that minute and only then, and
// no tile ever shows a price that is not its coin's. From minute 40 on the exporter withholds rates: what is missing then is not
// confirmed, but not when all prices are gone, as they are from minute 63 on.
func TestMissingCoin(t *testing.T) {
	wall := boards(t)[0]
	tile := wall.tile()

	// Grafana ends a range at a whole step before now, and an instant query at now: a price that went in between would be shown beside "no rate".
	for _, q := range tile.Targets {
		if q.Instant || q.Interval != tile.Targets[0].Interval {
			t.Errorf("query %s of the tile does not look at the moment of the others", q.RefID)
		}
	}

	inputs := []input{
		{`coingecko_last_success_timestamp_seconds{` + job + `}`, "0+60x70"},
		{`coingecko_poll_interval_seconds{` + job + `}`, "60x70"},
		{`coingecko_rejected_rates_total{` + job + `,reason="implausible"}`, "0x39 1+1x30"},
	}
	// Two shops at once have two baskets, which must not cost the tile its price.
	for _, shop := range []string{"one", "two"} {
		inputs = append(inputs, input{`currency:coingecko_basket:amount{` + job + `,namespace="` + shop + `",currency="c1",basket="` + shop + ` EUR"}`, "1x70"})
	}
	var checks []check
	for minute := 1; minute <= 60; minute++ {
		code, own := fmt.Sprintf("c%d", minute), float64(100+minute)
		inputs = append(inputs,
			input{`currency_quote:coingecko_price:ratio{` + job + `,currency="` + code + `",quote="usd"}`, fmt.Sprintf("%vx%d stale %vx%d stale", own, minute-1, own, 61-minute)},
			input{`coingecko_currency_info{` + job + `,currency="` + code + `",unit="` + code + `"}`, "1x70"})
		values := map[string]string{"namespace": ".*", "job": ".+", "quote": "usd", "coin": code}
		for _, at := range []int{minute - 1, minute, minute + 1, 65} {
			shown := []sample{{Labels: "{}", Value: own}}
			says := []sample(nil)
			if at == minute || at == 65 {
				shown, says = nil, []sample{{Labels: "{}", Value: 0}} // no rate
				if at >= 40 && at < 63 {
					says[0].Value = 1 // not confirmed
				}
			}
			checks = append(checks,
				check{"max(" + fill(tile.Targets[0].Expr, values) + ")", fmt.Sprintf("%dm", at), shown},
				check{"max(" + fill(tile.Targets[1].Expr, values) + ")", fmt.Sprintf("%dm", at), says})
		}
	}
	promtool(t, inputs, checks)
}

// TestAge lowers interval and max-age with a new pod, lets its polls fail, and then takes it away: what the wall says of the age follows
// the new durations at once, and goes on when nobody reports them.
func TestAge(t *testing.T) {
	var inputs []input
	series := func(name, old, now string) {
		for instance, values := range map[string]string{"old": old + " stale", "new": "_x10 " + now + " stale"} {
			inputs = append(inputs, input{name + "{" + job + `,instance="` + instance + `"}`, values})
		}
	}
	series("coingecko_up", "1x9", "1x20")
	series("coingecko_poll_interval_seconds", "600x9", "60x20")
	series("coingecko_rates_max_age_seconds", "3600x9", "300x20")
	series("coingecko_last_success_timestamp_seconds", "0+60x9", "600x20")
	says := map[string]string{}
	for _, p := range boards(t)[0].Panels {
		for _, q := range p.Targets {
			says[q.LegendFormat] = fill(q.Expr, map[string]string{"namespace": ".*", "job": ".+"})
		}
	}
	var checks []check
	for _, want := range []struct {
		minute int
		words  string
	}{{9, "Rates fetched"}, {13, "Rates fetched"}, {14, "A poll was missed"}, {15, "A poll was missed"}, {16, "No current rates for"}, {31, "No exporter for"}} {
		for _, words := range []string{"Rates fetched", "A poll was missed", "No current rates for", "No exporter for", "No rates yet"} {
			c := check{Expr: says[words], At: fmt.Sprintf("%dm", want.minute)}
			if words == want.words {
				c.Samples = []sample{{"{}", float64(60 * max(want.minute-10, 0))}}
			}
			checks = append(checks, c)
		}
	}
	promtool(t, inputs, checks)
}

// TestSwingInWords says of a swing how far it went, that it is fading, or, without rates, neither.
func TestSwingInWords(t *testing.T) {
	var inputs []input
	series := func(name, labels, value string) {
		inputs = append(inputs, input{name + "{" + job + "," + labels + "}", value + "x10"})
	}
	for _, code := range []string{"eth", "ltc", "xrp"} {
		labels := `alertname="CoinGeckoPriceSwing",severity="warning",currency="` + code + `"`
		series("ALERTS", labels+`,alertstate="firing"`, "1")
		series("ALERTS_FOR_STATE", labels, "0")
		series("currency:coingecko_watched:info", `currency="`+code+`",quote="usd"`, "1")
	}
	for code, by := range map[string]struct{ swing, change string }{"eth": {"-1.2", "-0.084"}, "ltc": {"0.5", "0.035"}} {
		series("currency:coingecko_swing:ratio", `currency="`+code+`",quote="usd",window="1h",severity="warning"`, by.swing)
		series("currency_quote:coingecko_price_change:ratio1h", `currency="`+code+`",quote="usd"`, by.change)
	}
	expr := fill(alerts().Expr, map[string]string{"namespace": ".*", "job": ".+"})
	promtool(t, inputs, []check{{"group by (currency, how) (" + expr + ")", "5m", []sample{
		{`{currency="eth",how="fell 8.4 % in ` + tied("1 h") + `"}`, 1},
		{`{currency="ltc",how="swing, now fading"}`, 1},
		{`{currency="xrp",how="moved past its threshold"}`, 1},
	}}})
}

// TestTwoShops lets two shops with namespaces, and one without, share a Prometheus: each wall has its own settings, cross rates and
// alerts. A namespace without settings has those without a namespace, as in the rules.
func TestTwoShops(t *testing.T) {
	wall := boards(t)[0]
	inputs := []input{{`ALERTS{` + job + `,namespace="there",alertname="CoinGeckoRatesStale",severity="critical",alertstate="firing"}`, "1x10"}}
	for namespace, own := range map[string][2]string{"here": {"eur", "btc"}, "there": {"jpy", "doge"}, "": {"gbp", "sol"}} {
		labels := `{namespace="` + namespace + `",rank="2",`
		inputs = append(inputs,
			input{`coingecko:store_quote:info` + labels + `quote="` + own[0] + `"}`, "1x10"},
			input{`coingecko:store_coin:info` + labels + `currency="` + own[1] + `"}`, "1x10"})
		for _, quote := range []string{"eur", "jpy", "gbp"} {
			inputs = append(inputs, input{`currency_quote:coingecko_price:ratio{` + job + `,namespace="` + namespace + `",currency="` + quote + `",quote="usd"}`, "2x10"})
		}
	}
	asked := map[string]string{}
	for _, v := range wall.Templating.List {
		asked[v.Name] = strings.TrimSuffix(strings.TrimPrefix(v.query(), "query_result("), ")")
	}
	for _, p := range wall.Panels {
		for _, q := range p.Targets {
			asked[q.LegendFormat] = q.Expr
		}
	}
	var checks []check
	for namespace, want := range map[string]struct{ quote, coin string }{"here": {"eur", "btc"}, "there": {"jpy", "doge"}, "third": {"gbp", "sol"}, "": {"gbp", "sol"}} {
		values := map[string]string{"namespace": namespace, "job": ".+", "quote": "usd"}
		one := func(expr, labels string) {
			checks = append(checks, check{fill(expr, values), "5m", []sample{{labels, 1}}})
		}
		one(`count by (quote) (`+asked["quote"]+`)`, `{quote="`+want.quote+`"}`)
		one(`count by (currency) (`+asked["coin"]+`)`, `{currency="`+want.coin+`"}`)
		if namespace != "third" { // which has no prices
			one(`count by (currency) (`+asked["{{currency}} in {{quote}}"]+`)`, `{currency="`+want.quote+`"}`)
		}
		calm := check{Expr: fill(asked["No alert is firing"], values), At: "5m"}
		if namespace != "there" {
			calm.Samples = []sample{{"{}", 0}}
		}
		checks = append(checks, calm)
	}
	promtool(t, inputs, checks)

	// Settings of another shop alone say nothing about this one.
	nobody := fill(asked["No alert is firing"], map[string]string{"namespace": "third", "job": ".+"})
	promtool(t, []input{{`coingecko:store_quote:info{namespace="here",quote="eur",rank="1"}`, "1x10"}}, []check{{Expr: nobody, At: "5m"}})
}
