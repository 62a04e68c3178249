// The wall: what the team sees from five metres. A fixed grid for 1920x1080 in kiosk mode.

package main

import (
	"fmt"

	"github.com/grafana-tools/sdk"
)

// What the recording rules of alerts/ give.
const (
	rate   = "currency:coingecko_exchange_rate:max"
	price  = "currency_quote:coingecko_price:ratio"
	change = "currency_quote:coingecko_price_change:ratio" // and a window: 15m, 1h, 24h, 7d

	exporters = `namespace=~"$namespace",job=~"$job"`
	accepted  = `{` + exporters + `,currency=~"$coin",quote="$quote"}`
	same      = " on (namespace, job, currency, quote) "

	// Another unit of bitcoin, a dead currency, and one that always equals the dollar: no news.
	others = `currency!~"bits|sats|vef|bmd"`
)

// fresh keeps an expression only where there is a price at the end of the time range. A tile with a
// curve runs a range query and shows the last value it finds: without this, a price that is gone now
// would stand there as if it were current.
func fresh(expr, selector string) string {
	return fmt.Sprintf("(%s) and%s(%s%s @ end())", expr, same, price, selector)
}

// The board's columns are panels of their own, because a stat panel gives all its values one size and
// one meaning. They stay in line since each has one row for each coin with a price, in the same order:
// range queries come sorted by label, and a change that is not known yet is NaN and not absent.
func column(expr, legend string) sdk.Target {
	return current(expr, accepted, legend)
}

// current is the values of now, sorted by label. Its panel looks at a short time only: the end of a long
// one is rounded down to a step of minutes, and what is gone now would stay as long.
func current(expr, selector, legend string) sdk.Target {
	return sdk.Target{Expr: fresh(expr, selector), LegendFormat: legend, Interval: "15s"}
}

func percent(window string) string {
	return fmt.Sprintf("round(100 * %s%s%s, 0.01) or%s%s%s * NaN", change, window, accepted, same, price, accepted)
}

const (
	ink  = "#F2F4F8"
	dim  = "#A9AFBA"
	up   = "#6CCF8E"
	down = "#FF7383"
	calm = "#1E5B3A"
	warn = "#B86B00"
	bad  = "#C4162A"
)

func wall() *dashboard {
	d := newDashboard("coingecko-wall", "CoinGecko wall",
		"Prices of the coins that the shop takes, for a wall of 1920x1080 in kiosk mode.", "now-24h", "30s")
	d.wall = true
	d.scope(sdk.TemplatingHideVariable)
	// By rank, so that the shop's first quote is the default.
	d.variable(sdk.TemplateVar{
		Name: "quote", Hide: sdk.TemplatingHideVariable, Sort: 3,
		Regex: `/quote="(?<value>[^"]+)".*rank="(?<text>[^"]+)"/`,
	},
		"query_result(coingecko:store_quote:info)")
	d.variable(sdk.TemplateVar{Name: "coin", Hide: sdk.TemplatingHideVariable, Sort: 1, Multi: true, IncludeAll: true},
		"label_values(coingecko:store_coin:info, currency)")
	d.variable(sdk.TemplateVar{Name: "quote_name", Hide: sdk.TemplatingHideVariable},
		`label_values(coingecko_currency_info{currency="$quote"}, name)`)

	d.add(header()...)
	d.add(board()...)
	d.add(alertsAndMoves()...)
	return d
}

// last is the newest value of the last day, so that the age goes on growing when the exporter is gone.
func last(metric string) string {
	return `max(last_over_time(` + metric + `{` + exporters + `}[1d]))`
}

// age is how long ago the newest rates left CoinGecko, in seconds.
func age() string { return `floor(time() - ` + last("coingecko_last_success_timestamp_seconds") + `)` }

func header() []*panel {
	late := `(2 * ` + last("coingecko_poll_interval_seconds") + ` + 60)` // a minute for the scrape
	age, most := age(), last("coingecko_rates_max_age_seconds")
	return []*panel{
		text("html", `<div style="font-size:44px;line-height:46px;margin-top:-8px;font-weight:500;white-space:nowrap">Crypto prices in ${quote_name:text}</div>`+
			`<div style="font-size:22px;line-height:30px;color:`+dim+`;white-space:nowrap">Indicative rates, not a quote. `+
			`Data provided by <a href="https://www.coingecko.com" target="_blank" rel="noopener">CoinGecko</a></div>`+
			`<div style="font-size:22px;line-height:28px;margin:4px -8px 0 -8px;color:`+dim+`;white-space:nowrap">`+
			over("13.3%", "coin")+over("26.7%", "now")+over("20%", "last 24 h")+over("20%", "1 h")+over("20%", "24 h")+`</div>`,
			"What the wall shows, whose data it is, and the heads of the columns below.", place{0, 0, 15, 4}).withoutBox(),
		stat("", "Whether the rates come from CoinGecko or from the simulator. From coingecko_exporter_simulated.", place{15, 0, 4, 3},
			instant(`max(coingecko_exporter_simulated{`+exporters+`}) or 0 * max(coingecko_up{`+exporters+`})`, "")).
			unit("none").none("NO EXPORTER").
			mappings(exactly("1", "SIMULATED, not real", "#B85C00"), exactly("0", "LIVE", "#2A2F38")).
			steps(bad).
			set("options.colorMode", "background_solid").set("options.textMode", "value").
			set("options.justifyMode", "center"),
		stat("", "Seconds since the newest rates left CoinGecko. Amber when a poll was missed (two intervals and a minute), red when "+
			"the rates have expired (--rates.max-age) or there are none.", place{19, 0, 5, 3},
			instant(age+" <= "+late, "Rates fetched"),
			instant(age+" > "+late+" <= "+most, "Poll missed"),
			instant(age+" > "+most, "Expired"),
			instant(`absent(`+last("coingecko_last_success_timestamp_seconds")+`)`, "Rates fetched")).
			unit("s").decimals(0).none("no data").
			override(query("A"), "color", fixed(calm)).
			override(query("B"), "color", fixed(warn)).
			override(query("C"), "color", fixed(bad)).
			override(query("D"), "color", fixed(bad), "mappings", []any{exactly("1", "never", bad)}).
			set("options.colorMode", "background_solid").set("options.textMode", "value_and_name").
			set("options.text", map[string]any{"titleSize": 28, "valueSize": 60}),
	}
}

func board() []*panel {
	coin := stat("", "The accepted coins that have a price now.", place{0, 4, 2, 22},
		column(price+accepted+` * on (currency) group_left (name, unit) `+currencyNames(" @ end()"), "{{unit}}")).
		unit("none").set("options.textMode", "name").steps(ink).none(" ")
	now := stat("", "Price of one coin in the quote, from the recording rule "+price+".", place{2, 4, 4, 22},
		column(price+accepted, "{{currency}}")).
		unit("locale").decimals(2).set("options.textMode", "value").steps(ink).
		override(below(10), "decimals", 4).
		override(below(0.01), "decimals", 8).
		override(atLeast(100_000), "decimals", 0).
		set("options.justifyMode", "center").none("No current prices")
	const span = `over_time(` + price + accepted + `[24h] @ end()))`
	curve := stat("", "The price over the last 24 hours, each curve between its own lowest and highest price.", place{6, 4, 3, 22},
		column(`(`+price+accepted+` -`+same+`(min_`+span+`) /`+same+`((max_`+span+` -`+same+`(min_`+span+`)`, "{{currency}}")).
		unit("percentunit").set("options.textMode", "none").set("options.graphMode", "area").set("maxDataPoints", 1440).
		set("fieldConfig.defaults.min", 0).set("fieldConfig.defaults.max", 1).steps("#7AA2F7")
	list := []*panel{coin, now, curve}
	for i, window := range []string{"1h", "24h"} {
		list = append(list, signed(stat("", "Price now over the price "+window+" ago, less 1, in percent. From the recording rule "+change+window+".",
			place{9 + 3*i, 4, 3, 22}, column(percent(window), "{{currency}}"))).
			set("options.textMode", "value").set("options.justifyMode", "center").
			set("options.text", map[string]any{"valueSize": 36}).none("–")) // both columns alike
	}
	for _, p := range list {
		p.set("options.orientation", "horizontal").withoutBox()
		if p != curve {
			p.lastFiveMinutes()
		}
	}
	return list
}

// over is the head of a column. The title of a panel is too small for a wall.
func over(width, words string) string {
	return `<span style="display:inline-block;width:` + width + `;text-align:center">` + words + `</span>`
}

// signed writes percentages with arrow, sign and two digits. Grafana has no unit that shows a plus, but
// it can rewrite text: so the numbers, which the query has rounded, become text first. Spaces do not break.
func signed(p *panel) *panel {
	return p.unit("string").
		set("options.reduceOptions.fields", "/^(?!Time$)/").
		transform("convertFieldType", map[string]any{"fields": map[string]any{}, "conversions": []any{
			map[string]any{"targetField": "Value", "destinationType": "string"},
		}}).
		mappings(
			like(`^NaN$`, "–", dim),
			like(`^-?0$`, "0.00\u00a0%", dim),
			like(`^-(\d+)$`, "▼\u00a0−$1.00\u00a0%", down),
			like(`^-(\d+\.\d)$`, "▼\u00a0−$10\u00a0%", down),
			like(`^-(\d+\.\d\d)\d*$`, "▼\u00a0−$1\u00a0%", down),
			like(`^(\d+)$`, "▲\u00a0+$1.00\u00a0%", up),
			like(`^(\d+\.\d)$`, "▲\u00a0+$10\u00a0%", up),
			like(`^(\d+\.\d\d)\d*$`, "▲\u00a0+$1\u00a0%", up),
		)
}

// alertsAndMoves is the right side of the wall: what fires, how the accepted coins moved, cross rates, and the largest moves.
func alertsAndMoves() []*panel {
	const quotes = `label_replace(coingecko:store_quote:info, "currency", "$1", "quote", "(.+)")`
	const every = `{` + exporters + `}`
	courses := `((` + price + accepted + ` / on (namespace, job, currency, quote) (` + price + accepted + ` @ start()) - 1)` +
		` and` + same + `topk(6, abs(` + change + `24h` + accepted + ` @ end()))) * on (currency) group_left (name, unit) ` + currencyNames(" @ end()")
	const moves = change + `24h{` + exporters + `,quote="$quote",` + others + `}`
	return []*panel{
		stat("", "Firing alerts of this project, from the series ALERTS of the Prometheus that evaluates alerts/. Red: critical, "+
			"amber: warning, blue: for information; two of each, and how many more. A swing of the market stands for those of its coins.",
			place{15, 3, 9, 5},
			alerts(`="critical"`), alerts(`="warning"`), alerts(`!~"critical|warning"`),
			instant(`count_values("n", sum(clamp_min(count by (severity) (`+firing("")+`) - 2, 0)) > 0)`, "and {{n}} more"),
			instant(`vector(1) unless on () count(`+firing("")+`)`, "No alert is firing")).
			unit("none").set("options.textMode", "name").set("options.colorMode", "background_solid").
			set("options.orientation", "horizontal").set("options.text", map[string]any{"valueSize": 30}).
			override(query("A"), "color", fixed(bad)).
			override(query("B"), "color", fixed(warn)).
			override(query("C"), "color", fixed("#2F5FA8")).
			override(query("D"), "color", fixed("#2A2F38")).
			override(query("E"), "color", fixed(calm)),
		timeseries("Change in the last 24 hours: the accepted coins that moved most", "Price over the price at the left edge, less 1, for the six accepted "+
			"coins with the largest change over 24 hours.", place{15, 8, 9, 8}, ranged(courses, "{{unit}}")).
			unit("percentunit").set("maxDataPoints", 1440).custom("lineWidth", 3).set("options.legend.showLegend", false).none("No current prices"),
		stat("", "Which line is which: the coins of the chart, in its colours.", place{15, 16, 9, 2}, ranged(courses, "{{unit}}")).
			unit("percentunit").set("maxDataPoints", 1440).set("options.textMode", "name").set("options.orientation", "vertical").
			set("fieldConfig.defaults.color.mode", "palette-classic").withoutBox(),
		stat("Cross rates", "Rates between the quote of this wall and the shop's other quotes: what one unit of the first costs in the second. From "+price+".",
			place{15, 18, 4, 8},
			current(price+`{`+exporters+`,quote="$quote"} and on (currency) `+quotes+` or `+
				price+`{`+exporters+`,currency="$quote"} and on (quote) coingecko:store_quote:info`, every, "1 {{currency}} in {{quote}}")).lastFiveMinutes().
			unit("none").decimals(4).set("options.textMode", "value_and_name").set("options.orientation", "horizontal").
			steps(ink).set("options.text", map[string]any{"titleSize": 26, "valueSize": 32}).none("–"),
		signed(stat("Largest moves in 24 h, all currencies", "The five currencies of any kind that moved most against the quote in 24 hours, "+
			"without those that are another unit of bitcoin. From "+change+"24h.", place{19, 18, 5, 8},
			instant(`round(sort_desc((100 * `+moves+` and on (namespace, job, currency) topk(5, abs(`+moves+`))) * on (currency) group_left (name, unit) `+currencyNames("")+`), 0.01)`, "{{name}}"))).
			set("options.textMode", "value_and_name").set("options.orientation", "horizontal").
			set("options.text", map[string]any{"titleSize": 26, "valueSize": 32}).none("–"),
	}
}

// firing are the alerts that the wall shows, once each, whoever of the replicas they are about.
func firing(severity string) string {
	const some = `ALERTS{` + exporters + `,alertstate="firing",`
	// A swing that has become critical is one of the two that fire.
	return `max by (alertname, currency, severity) (` + some + `alertname=~"CoinGecko.+"` + severity + `}` +
		` unless on (alertname, currency) label_replace(` + some + `alertname=~"CoinGecko.+SwingCritical"}, "alertname", "$1", "alertname", "(.+)Critical")` +
		` unless on (alertname) (` + some + `alertname="CoinGeckoPriceSwing"} and on () ` + some + `alertname="CoinGeckoMarketSwing"}))`
}

// alerts are two of the firing ones of some severities, named for people: "Price Swing ETH".
func alerts(severity string) sdk.Target {
	found := `topk(2, ` + firing(",severity"+severity) + `)`
	found = `label_replace(` + found + `, "what", "$1 $2 $3", "alertname", "CoinGecko([A-Z][a-z]+)([A-Z][a-z]+)?(.*)")`
	found = `label_replace(` + found + `, "who", "$1", "currency", "(.+)")`
	return instant(`label_replace(`+found+` * on (currency) group_left (name, unit) `+currencyNames("")+`, "who", "$1", "unit", "(.+)")`+
		` or on (alertname, currency) `+found, "{{what}} {{who}}")
}

// currencyNames joins names and units to currencies. An exporter that was just replaced may have none
// at this moment, and two versions may disagree: the last ten minutes count, and one of them wins.
func currencyNames(at string) string {
	return `topk by (currency) (1, max by (currency, name, unit) (last_over_time(coingecko_currency_info{` + exporters + `}[10m]` + at + `)))`
}
