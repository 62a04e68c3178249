// The analyst's desk: prices, moves and risk of any currencies, and a table of all.

package main

import "github.com/grafana-tools/sdk"

const (
	volatility = "currency_quote:coingecko_price_volatility:stddev24h"
	chosen     = `{` + exporters + `,currency=~"$currency",quote="$quote"}`
	whole      = `{` + exporters + `,quote="$quote"}`
)

func analysis() *dashboard {
	d := newDashboard("coingecko-analysis", "CoinGecko analysis",
		"Prices, moves and risk of the currencies that you choose. Indicative rates, provided by CoinGecko.", "now-7d", "1m")
	d.scope(sdk.TemplatingHideNone, ".+")
	d.variable(sdk.TemplateVar{Name: "quote", Label: "Quote", Sort: 1, Current: sdk.Current{Text: words("usd"), Value: "usd"}},
		`label_values(`+price+every+`, quote)`)
	d.variable(sdk.TemplateVar{
		Name: "currency", Label: "Currencies", Sort: 1, Multi: true, IncludeAll: true,
		Current: sdk.Current{Text: words("btc", "eth", "ltc", "sol"), Value: []string{"btc", "eth", "ltc", "sol"}},
	},
		`label_values(`+price+whole+`, currency)`)
	d.choice("window", "Window", "1h", "15m", "24h", "7d")
	d.variable(sdk.TemplateVar{Name: "against", Label: "One currency", Sort: 1, Current: sdk.Current{Text: words("btc"), Value: "btc"}},
		`label_values(`+price+whole+`, currency)`)
	d.link("Wall", "/d/coingecko-wall", "Prices of the accepted coins")
	d.link("Exporter", "/d/coingecko-exporter", "Whether the rates come, and on time")
	d.link("Data provided by CoinGecko", "https://www.coingecko.com", "Indicative rates, not a quote")

	const left, right = 0, 12
	d.add(
		heading("Prices", 0),
		timeseries("Performance since the left edge", "How much more or less the price is than at the start of the time range. "+
			"Formula: price / price at the start - 1.",
			place{left, 1, 12, 9}, ranged(price+chosen+` /`+same+`(`+price+chosen+` @ start()) - 1`, "{{currency}}")).
			unit("percentunit").custom("fillOpacity", 5).none("No price at the left edge: choose a shorter time range"),
		timeseries("Price of $against", "Price of one unit of that currency in the chosen quote. On one axis with others nothing would be seen to move. "+
			"Formula: rate of the quote / rate of the currency, both per bitcoin.",
			place{right, 1, 12, 9}, ranged(price+`{`+exporters+`,currency="$against",quote="$quote"}`, "{{currency}}")).
			unit("locale").custom("fillOpacity", 5),

		heading("Moves and risk", 10),
		timeseries("Change over $window", "Change within the chosen window, at each moment. A gap in the data gives no value. "+
			"Formula: price / price one window ago - 1.",
			place{left, 11, 12, 9}, ranged(change+"$window"+chosen, "{{currency}}")).
			unit("percentunit"),
		timeseries("Drawdown within a week", "How far the price is below the highest price of the seven days before. "+
			"Formula: price / max_over_time(price[7d]) - 1.",
			place{right, 11, 12, 9}, ranged(price+chosen+` / max_over_time(`+price+chosen+`[7d]) - 1`, "{{currency}}")).
			unit("percentunit").custom("fillOpacity", 15).set("fieldConfig.defaults.max", 0),
		timeseries("Volatility, annualised", "How restless the price was in the last 24 hours, scaled to a year of as much. "+
			"Formula: standard deviation of the 15-minute changes of 24 h × √(96 × 365).",
			place{left, 20, 12, 9}, ranged(volatility+chosen+` * (96 * 365) ^ 0.5`, "{{currency}}")).
			unit("percentunit").min(0),
		timeseries("Correlation with $against over 24 h", "Whether the 15-minute changes go the same way: 1 is in step, 0 is unrelated, -1 is opposite. "+
			"Formula: Pearson's coefficient, (E[xy] - E[x] E[y]) / (σx σy), over 24 h.",
			place{right, 20, 12, 9}, correlation()).
			unit("none").decimals(2).min(-1).set("fieldConfig.defaults.max", 1),
		newPanel("histogram", "Distribution of 15-minute moves", "How often a move of which size happened in the time range, one move in 15 minutes. "+
			"Formula: counts of price / price 15 m ago - 1, in steps of 0.25 %.",
			place{left, 29, 12, 9}, sdk.Target{Expr: "100 * " + change + "15m" + chosen, LegendFormat: "{{currency}}", Interval: "15m"}).
			unit("percent").set("fieldConfig.defaults.color.mode", "palette-classic").
			custom("fillOpacity", 35).custom("lineWidth", 1).
			set("options.bucketSize", 0.25).set("options.combine", false).
			legend(true).tooltip("multi", "none"),
		newPanel("status-history", "Heat map of hourly changes", "One field for each currency and hour: green rose, red fell, in steps of 0.3, 1 and 2 %. "+
			"Formula: price / price 1 h ago - 1, at the end of each hour.",
			place{right, 29, 12, 9}, sdk.Target{Expr: change + "1h" + chosen, LegendFormat: "{{currency}}", Interval: "1h"}).
			unit("percentunit").decimals(2).set("maxDataPoints", 400).
			set("fieldConfig.defaults.color.mode", "thresholds").
			steps("#D6404F", -0.02, "#A83A46", -0.01, "#73343C", -0.003, "#2B2F36", 0.003, "#2C5A3F", 0.01, "#37834F", 0.02, "#4FB56C").
			custom("fillOpacity", 100).custom("lineWidth", 0).
			set("options.showValue", "never").set("options.rowHeight", 0.95).set("options.colWidth", 1).
			legend(false).tooltip("single", "none"),

		heading("All currencies", 38),
		currencies(),
	)
	return d
}

// correlation takes all its means over the same samples: those at which both currencies have a change.
func correlation() sdk.Target {
	const x = change + `15m{` + exporters + `,currency=~"$currency",currency!="$against",quote="$quote"}`
	const y = change + `15m{` + exporters + `,currency="$against",quote="$quote"}`
	const matched = ` on (cluster, namespace, job, simulated, quote) group_left () `
	over := func(f, expr string) string { return f + `_over_time((` + expr + `)[24h:15m])` }
	paired := x + ` +` + matched + `0 * ` + y
	other := `0 * ` + x + ` +` + matched + y
	return sdk.Target{
		Expr: `(` + over("avg", x+` *`+matched+y) + ` - ` + over("avg", paired) + ` * ` + over("avg", other) + `)` +
			` / (` + over("stddev", paired) + ` * ` + over("stddev", other) + `)`,
		LegendFormat: "{{currency}}", Interval: "30m",
	}
}

// digits rounds to six significant digits, whatever the size.
func digits(expr string) string {
	shift := `10 ^ (5 - floor(log10(` + expr + `)))`
	return `round(` + expr + ` * ` + shift + `) / ` + shift
}

// currencies is the table of everything in the answer.
func currencies() *panel {
	by := func(expr string) sdk.Target { return listed("max by (currency) (" + expr + ")") }
	return table("All currencies", "Every currency of CoinGecko's answer, now. Price: what one unit costs in the chosen quote. Per bitcoin: units of the currency "+
		"that one bitcoin buys, as CoinGecko gives it. Changes: price / price then - 1. Sort and filter by the heads.",
		place{0, 39, columns, 20},
		listed(`max by (currency, kind, name, unit) (last_over_time(coingecko_currency_info`+every+`[10m]))`),
		by(rate+every), by(digits(price+whole)),
		by(change+`1h`+whole), by(change+`24h`+whole), by(change+`7d`+whole), by(volatility+whole+` * (96 * 365) ^ 0.5`)).
		merged(column{"name", "Name"}, column{"currency", "Code"}, column{"kind", "Kind"}, column{"unit", "Unit"},
			column{"Value #C", "Price"}, column{"Value #B", "Per bitcoin"}, column{"Value #D", "1 h"}, column{"Value #E", "24 h"},
			column{"Value #F", "7 d"}, column{"Value #G", "Volatility, annualised"}).
		unit("locale").
		override(named("Price"), "decimals", 8).
		override(named("Per bitcoin"), "decimals", 3).
		override(named("Volatility, annualised"), "unit", "percentunit", "decimals", 1).
		override(matching("^[0-9]+ [hd]$"), "unit", "percentunit", "decimals", 2, "thresholds", steps(down, 0, up),
			"custom.cellOptions", map[string]any{"type": "color-text"}).
		set("options.sortBy", []any{map[string]any{"displayName": "Kind", "desc": false}}).
		override(named("Name"), "custom.width", 260).
		override(named("Code"), "custom.width", 100).
		override(named("Kind"), "custom.width", 130).
		override(named("Unit"), "custom.width", 100)
}
