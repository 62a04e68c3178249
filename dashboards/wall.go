// The wall: what the team sees from five metres. A fixed grid for 1920x1080 in kiosk mode.

package main

import (
	"fmt"
	"strings"

	"github.com/grafana-tools/sdk"
)

// What the recording rules of alerts/ give.
const (
	rate      = "currency:coingecko_exchange_rate:max"
	price     = "currency_quote:coingecko_price:ratio"
	change    = "currency_quote:coingecko_price_change:ratio" // and a window: 15m, 1h, 24h, 7d
	threshold = "currency:coingecko_swing_threshold:ratio"

	exporters = `namespace=~"$namespace",job=~"$job"`
	every     = `{` + exporters + `}`
	coin      = `{` + exporters + `,currency="$coin",quote="$quote"}`
	same      = " on (cluster, namespace, job, simulated, currency, quote) "

	// The time at the end of the range. time() would be another at each step.
	endOfRange = `last_over_time(vector(time())[2s:1s] @ end())`
)

// Colours of the built-in screen, and darker ones of them for the ground of a tile.
const (
	ink       = "#F3F6F9"
	dim       = "#A3B3C2"
	ground    = "#1A222D"
	risen     = "#12382B"
	fallen    = "#43191B"
	loudUp    = "#12804F"
	loudDown  = "#C4162A"
	up        = "#4ADE9B"
	down      = "#FF8F85"
	old       = "#3B444D"
	warn      = "#B86B00"
	bad       = "#B42318"
	note      = "#2F5FA8"
	simulated = "#A21CAF"
)

// Heights in units of the grid. header and rows of tiles are as much as 1080 pixels hold.
const (
	headerHigh = 5
	tilesHigh  = 21

	leastText = 27 // pixels, a fortieth of the height: the smallest that is read from five metres
)

// shape is how many tiles stand beside each other, and how high they are, for a number of coins. The
// chart has the same table in its template.
func shape(coins int) (across, high int) {
	for _, s := range []struct{ most, across, rows int }{{3, 3, 1}, {4, 2, 2}, {6, 3, 2}, {9, 3, 3}, {12, 4, 3}} {
		if coins <= s.most {
			return s.across, tilesHigh / s.rows
		}
	}
	return 4, tilesHigh / 4
}

func wall(coins int) *dashboard {
	d := newDashboard("coingecko-wall", "CoinGecko wall",
		"Prices of the coins that the shop takes, for a wall of 1920x1080 in kiosk mode.", "now-24h", "30s")
	d.wall = true
	d.scope(sdk.TemplatingHideVariable, ".+")
	// By rank: the shop's first quote is the default, and coins stand in the shop's order.
	byRank := func(label string) string {
		return `/` + label + `="(?<value>[^"]+)".*rank="(?<text>[^"]+)"/`
	}
	d.variable(sdk.TemplateVar{Name: "quote", Hide: sdk.TemplatingHideVariable, Sort: 3, Regex: byRank("quote")},
		"query_result("+settings("coingecko:store_quote:info")+")")
	d.variable(sdk.TemplateVar{Name: "coin", Hide: sdk.TemplatingHideVariable, Sort: 3, Multi: true, IncludeAll: true, Regex: byRank("currency")},
		"query_result("+settings("coingecko:store_coin:info")+")")
	d.add(header()...)
	d.add(tile(coins))
	return d
}

// settings are what store.rules.yaml says of the shop: its own namespace's, or else those without one, as the rules choose them.
func settings(info string) string {
	return info + `{namespace=~"$namespace"} or on () ` + info + `{namespace=""}`
}

// last is the newest value of the last day, so that the age goes on growing when the exporter is gone.
func last(metric string) string {
	return `max(last_over_time(` + metric + every + `[1d]))`
}

// setting is a duration that the exporters were given: the one of the last day only if none of them answers, so that a lowered one
// counts at once. at is a modifier such as "@ end()".
func setting(metric, at string) string {
	return `(max(` + metric + every + at + `) or max(last_over_time(` + metric + every + `[1d]` + at + `)))`
}

// age is how long ago the newest rates left CoinGecko, in seconds.
func age() string { return `floor(time() - ` + last("coingecko_last_success_timestamp_seconds") + `)` }

// late is the age from which on a poll was missed: two intervals, and a minute for the scrape.
func late(at string) string {
	return `(2 * ` + setting("coingecko_poll_interval_seconds", at) + ` + 60)`
}

func header() []*panel {
	age, late, most := age(), late(""), setting("coingecko_rates_max_age_seconds", "")
	const there = ` and on () group(coingecko_up` + every + `)`
	// The rule keeps the mark of an exporter that cannot be scraped.
	simulates := `max(coingecko_exporter_simulated` + every + ` or instance:coingecko_exporter:info{` + exporters + `,simulated="true"})`
	quotes := settings("coingecko:store_quote:info")
	return []*panel{
		text("html", `<div style="font-size:44px;margin-top:-8px;font-weight:500;white-space:nowrap">Crypto rates in <b style="text-transform:uppercase;color:#fff">${quote}</b></div>`+
			`<div style="font-size:27px;margin-top:-14px;color:`+dim+`;white-space:nowrap">Indicative rates. `+
			`<a href="https://www.coingecko.com" target="_blank" rel="noopener">Data provided by CoinGecko</a></div>`,
			"What the wall shows, and whose data it is.", place{0, 0, 10, 3}).withoutBox(),
		stat("", "Seconds since the newest rates left CoinGecko. Amber when a poll was missed (two intervals and a minute), red when "+
			"the rates have expired (--rates.max-age), there never were any, or no exporter answers.", place{10, 0, 5, 3},
			instant(age+" <= "+late+there, "Rates fetched"),
			instant(age+" > "+late+" <= "+most+there, "A poll was missed"),
			instant(age+" > "+most+there, "No current rates for"),
			instant(age+` unless on () group(coingecko_up`+every+`)`, "No exporter for"),
			instant(`absent(`+last("coingecko_last_success_timestamp_seconds")+`)`, "No rates yet")).
			unit("s").decimals(0).none("Prometheus does not answer").steps(bad).
			override(query("A"), "color", fixed(ground)).
			override(query("B"), "color", fixed(warn)).
			override(query("C"), "color", fixed(bad)).
			override(query("D"), "color", fixed(bad)).
			override(query("E"), "color", fixed(bad), "mappings", []any{exactly("1", "–", bad)}).
			set("options.colorMode", "background_solid").set("options.textMode", "value_and_name").
			set("options.text", map[string]any{"titleSize": leastText, "valueSize": 38}),
		stat("", "Alerts of this shop that fire, worst first: what makes prices untrustworthy, then what somebody was paged for, then warnings. "+
			"From the series ALERTS of the Prometheus that evaluates alerts/.", place{15, 0, 9, headerHigh},
			alerts(), alertsLeft(),
			instant(`vector(0) unless on () count(`+firing("")+`) and on () count(`+quotes+`)`, "No alert is firing")).
			unit("none").set("options.textMode", "value_and_name").set("options.colorMode", "background_solid").
			set("options.orientation", "horizontal").set("options.text", map[string]any{"titleSize": leastText, "valueSize": leastText}).
			// Names alone would leave the box empty without an answer, so there are values, of no width.
			mappings(map[string]any{"type": "range", "options": map[string]any{"from": 0, "to": 9, "result": map[string]any{"text": "\u200b"}}}).
			steps(bad, 0, ground, 1, note, 2, warn, 3, bad).none("Alerts are not known"),
		stat("", "Rates between the quote of this wall and the shop's other quotes: what one unit of the first costs in the second. From "+price+".",
			place{0, 3, 10, 2},
			instant(`max by (currency, quote) (`+price+whole+` and on (currency) `+replaced(quotes, "currency", "$1", "quote", "(.+)")+` or `+
				price+`{`+exporters+`,currency="$quote"} and on (quote) (`+quotes+`))`, "{{currency}} in {{quote}}")).
			unit("none").decimals(4).set("options.textMode", "value_and_name").set("options.orientation", "vertical").
			set("options.text", map[string]any{"titleSize": leastText, "valueSize": 32}).
			steps(dim).none("–").withoutBox(),
		stat("", "When the rates left CoinGecko, by the clock of the browser; and whether they are simulated. From coingecko_exporter_simulated.", place{10, 3, 5, 2},
			instant(`1000 * `+last("coingecko_last_success_timestamp_seconds")+` unless on () `+simulates, ""),
			instant(simulates, "")).
			unit("time:[fetched] HH:mm:ss Z").none("–").
			override(query("A"), "color", fixed(ground)).
			override(query("B"), "mappings", []any{exactly("1", "SIMULATED", simulated)}).
			steps(ground).
			set("options.colorMode", "background_solid").set("options.textMode", "value").
			set("options.justifyMode", "center"),
	}
}

// tile is a coin: name, changes, price and curve in one panel, so that nothing can stand beside a wrong neighbour. Grafana
// repeats it for each coin. All of it comes from one query whose series carries the words, and colours follow from the words.
func tile(coins int) *panel {
	across, high := shape(coins)
	p := stat("", "Price of one coin in the quote, its changes in 1 h and 24 h, and its curve of 24 hours. A move past the store's threshold stands "+
		"alone and in full colour. Grey: a poll was missed. From the recording rules "+price+" and "+change+".",
		place{0, headerHigh, columns, high},
		// A range query would show the last old value of a price that is gone: hence `@ end()`.
		sdk.Target{
			Expr: `max by (currency) (` + price + coin + ` and` + same + `(` + price + coin + ` @ end())) * on (currency) group_left (words) ` + wordsOfTile() +
				` * on (currency) group_left (unit) ` + unitOfTile() + ` * on (currency) group_left (basket) ` + basketOfTile(),
			LegendFormat: tied("{{unit}}  {{words}}") + " {{basket}}", Interval: "1m",
		},
		// No price: the coin's name, and whether the exporter withholds it. If there is no price of any coin, that is not why. It looks at
		// the moment at which the curve ends, or for up to a minute both would be shown; one point, so that it has no curve of its own.
		sdk.Target{
			Expr: `(0 * ` + unitOfTile() + ` + on () group_left () ((sum(increase(coingecko_rejected_rates_total{` + exporters + `,reason="implausible"}[10m] @ end())) > bool 0)` +
				` and on () group(` + price + every + ` @ end()) or vector(0)) unless on (currency) ` + price + coin + ` @ end())` +
				` and on () vector(time()) > ` + endOfRange + ` - 30`,
			LegendFormat: "{{unit}}", Interval: "1m",
		}).
		unit("currency:financial:\u200b").decimals(2).none("no rate").
		set("repeat", "coin").set("repeatDirection", "h").set("maxPerRow", across).
		set("maxDataPoints", 1440).
		set("options.textMode", "value_and_name").set("options.graphMode", "area").set("options.colorMode", "background_solid").
		set("options.wideLayout", false).set("options.justifyMode", "auto").
		set("options.text", map[string]any{"titleSize": leastText}). // Grafana would make the basket's line a part of the width, and all of it small
		steps(ground).
		override(query("B"), "mappings", []any{exactly("0", "no rate", ground), exactly("1", "not confirmed", warn)})
	p.override(valued("gte", 1e6), "decimals", 0)
	// At least three digits that count, as on the screen.
	for i, bound := range []float64{10, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7} {
		p.override(valued("lt", bound), "decimals", 4+i)
	}
	for _, c := range []struct{ words, colour string }{
		{"24 h ▲", risen},
		{"24 h ▼", fallen},
		{`^\S+\s+▲`, loudUp},
		{`^\S+\s+▼`, loudDown},
		{"not renewed", old},
	} {
		p.override(matching(tied(c.words)), "color", fixed(c.colour))
	}
	return p.set("fieldConfig.defaults.links", []any{map[string]any{
		"title": "Analysis of this coin", "url": "/d/coingecko-analysis?var-currency=$coin&var-quote=$quote", "targetBlank": false,
	}})
}

// unitOfTile is 1 with how people write the tile's coin: the unit that CoinGecko gives it. It looks back a day, for a coin without
// a price, and if two exporters disagree one of them wins.
func unitOfTile() string {
	return `topk by (currency) (1, max by (currency, unit) (last_over_time(coingecko_currency_info{` + exporters + `,currency="$coin"}[1d] @ end())))`
}

// wordsOfTile is 1 with what stands beside the coin's name. A label, because that is all that one panel shows beside a value and
// its curve.
func wordsOfTile() string {
	now := `group by (currency) (` + price + coin + ` @ end())`
	notRenewed := `label_replace(` + now + ` and on () (` + endOfRange + ` - max(last_over_time(coingecko_last_success_timestamp_seconds` + every +
		`[1d] @ end())) > ` + late(" @ end()") + `), "words", "` + tied("not renewed") + `", "", "")`
	moved := func(window string) string { return `max by (currency) (` + change + window + coin + ` @ end())` }

	// Of the windows in which the move is past the threshold, the one where it is furthest.
	moves := byWindow(moved)
	limits := `min by (currency, window) (` + threshold + `{` + exporters + `,currency="$coin",severity="warning"} @ end())`
	loud := percent(`(`+moves+`) and on (currency, window) topk by (currency) (1, abs(`+moves+`) / on (currency, window) `+limits+` >= 1)`, "move", "currency, window")
	loud = `label_join(` + inWords(loud) + `, "words", "` + tied(" % in ") + `", "move", "in")`

	known := func(window, name, words, text, pattern string) string {
		return `label_replace(` + percent(moved(window), name, "currency") + `, "` + name + `", "` + words + text + `", "` + name + `", "` + pattern + `")` +
			` or on (currency) label_replace(` + now + `, "` + name + `", "` + words + `–", "", "")`
	}
	calm := `label_join((` + known("1h", "hour", tied("1 h "), "$1", "(?:[▲▼].)?(.+)") + `) * on (currency) group_left (day) (` +
		known("24h", "day", tied("24 h "), tied("$1 %"), "(.+)") + `), "words", "` + tied("  ") + `", "hour", "day")`
	return `group by (currency, words) (` + notRenewed + ` or on (currency) ` + loud + ` or on (currency) ` + calm + `)`
}

// basketOfTile is 1 with the store's basket in the tile's coin, with five digits that count as on the screen: "49.90 EUR = 0.00065784 BTC".
// Without a basket it is 1 without words. If two shops are shown at once, one of their baskets is.
func basketOfTile() string {
	amount := `topk by (currency) (1, max by (currency, basket) (currency:coingecko_basket:amount{` + exporters + `,currency="$coin"} @ end()))`
	scale := `10 ^ clamp_min(4 - floor(log10(` + amount + `)), 0)`
	amount = `count_values by (currency, basket) ("amount", round(` + amount + ` * ` + scale + `) / ` + scale + `)`
	amount = replaced(amount, "amount", "$1.0", "amount", `(\\d{1,4})`)
	for range 3 {
		amount = replaced(amount, "amount", "${1}0", "amount", `(0\\.0*[1-9]\\d{0,3}|[1-9]\\.\\d{1,3}|[1-9]\\d\\.\\d{1,2}|[1-9]\\d\\d\\.\\d)`)
	}
	amount = replaced(replaced(amount, "amount", "$1,$2", "amount", `(\\d+)(\\d{3}(?:\\..+)?)`), "amount", tied("= $1"), "amount", "(.+)")
	amount = replaced(amount, "basket", tied("$1 $2"), "basket", "(.+) (.+)")
	return `(group by (currency, basket) (label_join((` + amount + `) * on (currency) group_left (unit) ` + unitOfTile() +
		`, "basket", "` + tied(" ") + `", "basket", "amount", "unit")) or on (currency) group by (currency) (` + price + coin + ` @ end()))`
}

// tied replaces the spaces of a tile's words by those at which Grafana does not break its name into two lines.
func tied(words string) string { return strings.ReplaceAll(words, " ", "\u00a0") }

// byWindow is the union of something by window, with the label window.
func byWindow(of func(window string) string) string {
	var list []string
	for _, window := range []string{"15m", "1h", "24h", "7d"} {
		list = append(list, `label_replace(`+of(window)+`, "window", "`+window+`", "", "")`)
	}
	return strings.Join(list, " or ")
}

// inWords gives a series with a window its label in: "15 min".
func inWords(expr string) string {
	for _, unit := range []string{"m min", "h h", "d d"} {
		letter, word, _ := strings.Cut(unit, " ")
		expr = replaced(expr, "in", tied("$1 "+word), "window", `(\\d+)`+letter)
	}
	return expr
}

func replaced(expr, label, text, from, pattern string) string {
	return fmt.Sprintf(`label_replace(%s, "%s", "%s", "%s", "%s")`, expr, label, text, from, pattern)
}

// percent writes a change, a share, into a label: "▼ −0.31", "▲ +12.40", "0.00". The series that carries it has the value 1.
func percent(expr, label, by string) string {
	expr = fmt.Sprintf(`count_values by (%s) ("%s", round(1e4 * (%s)) + 0)`, by, label, expr) // 0 and not -0
	for _, r := range []struct{ from, to string }{
		{`(-?)(\\d)`, `${1}00$2`},
		{`(-?)(\\d\\d)`, `${1}0$2`},
		{`(-?\\d+)(\\d\\d)`, `$1.$2`},
		{`-(.+)`, tied("▼ −$1")},
		{`(0\\.0[1-9]|0\\.[1-9].|[1-9].*)`, tied("▲ +$1")},
	} {
		expr = replaced(expr, label, r.to, label, r.from)
	}
	return expr
}

// What makes prices untrustworthy, or keeps everybody from hearing of a swing.
const distrust = "CoinGecko(RatesStale|RatesFrozen|ExporterAbsent|NoFirstSuccess|QuoteSwing|NothingWatched)"

// sentences say what an alert means, behind the currency that it is about, if it is about one. Swings say more: how far, in how long.
var sentences = []struct{ alert, says string }{
	{"RatesStale", "No fresh rates"},
	{"RatesFrozen", "CoinGecko repeats an old answer"},
	{"ExporterAbsent", "No exporter to scrape"},
	{"ExporterDown", "An exporter cannot be scraped"},
	{"ExporterWithoutRates", "An exporter has no current rates"},
	{"NoFirstSuccess", "The exporter has never had rates"},
	{"NothingWatched", "No coin is watched for swings"},
	{"FreshnessBudgetBurn", "Rates are stale too often"},
	{"KeyRejected", "CoinGecko refuses access"},
	{"PollsFailing", "Polls of CoinGecko fail"},
	{"RateLimited", "The exporter is rate limited"},
	{"QuotaRunningOut", "The month's quota will not last"},
	{"CurrencyVanished", "no longer has a rate"},
	{"StoreCurrencyMissing", "has no rate, but the store uses it"},
	{"ThresholdMissing", "has no swing threshold"},
	{"UnusualVolatility", "is unusually volatile"},
	{"QuoteSwing", "moved: do not trust prices in it"},
}

// firing are the alerts of this shop that fire, once each, whoever of the replicas they are about. Those of the settings have no job.
func firing(more string) string {
	return `max by (alertname, currency, severity) (label_replace(` + shop("ALERTS", `,alertstate="firing"`+more) + `, "currency", "$1", "quote", "(.+)"))`
}

func shop(series, more string) string {
	return series + `{namespace=~"$namespace",job=~"$job|",alertname=~"CoinGecko.+"` + more + `}`
}

// weighed are they with their weight: 4 where prices cannot be trusted, 3 where somebody was paged, 2 and 1 for warnings and the rest, and
// among equals the largest swing first. A swing that has become critical is one alert.
func weighed() string {
	some := `((4 * ` + firing(`,alertname=~"`+distrust+`"`) + ` or 3 * ` + firing(`,severity="critical"`) + ` or 2 * ` + firing(`,severity="warning"`) + ` or ` + firing("") + `)` +
		` unless on (alertname, currency) ` + replaced(firing(`,alertname=~".+SwingCritical"`), "alertname", "$1", "alertname", "(.+)Critical") + `)`
	return `(` + some + ` + on (currency) group_left () clamp_max(max by (currency) (abs(currency:coingecko_swing:ratio` + every + `)) / 100, 0.9)) or ` + some
}

const alertsShown = 3

// alerts are the worst of the firing ones, as sentences: "ETH fell 9.3 % in 15 min, for 3 min". Each join has something for every alert,
// so that none is lost by it.
func alerts() sdk.Target {
	const key = "alertname, currency, severity"
	e := replaced(fmt.Sprintf(`topk(%d, %s)`, alertsShown, weighed()), "swing", "$1", "alertname", "CoinGecko(Price|Market)Swing.*")
	for _, s := range sentences {
		e = replaced(e, "says", s.says, "alertname", "CoinGecko"+s.alert)
	}

	who := currencyNames() + ` or on (currency) ` + replaced(`group by (currency) (`+firing("")+`)`, "unit", "$1", "currency", "(.*)")

	since := `(time() - max by (` + key + `) (label_replace(` + shop("ALERTS_FOR_STATE", "") + `, "currency", "$1", "quote", "(.+)")))`
	since = replaced(`count_values by (`+key+`) ("since", floor(`+since+` / 60) < 120 or 60 * floor(`+since+` / 3600))`, "since", ", for $1 min", "since", "(.+)")
	since += ` or on (` + key + `) group by (` + key + `) (` + firing("") + `)`

	// How far a swing went, in the window where it is furthest past its threshold; below four fifths it is about to be over. Without rates
	// it is not known.
	of := byWindow(func(window string) string {
		return `max by (currency) (` + change + window + every + ` and` + same + `currency:coingecko_watched:info` + every + `)`
	})
	furthest := func(by, expr, swing string) string {
		return `(` + expr + `) and on (` + by + `) topk by (currency) (1, max by (` + by + `) (abs(` + swing + every + `) >= 0.8))`
	}
	how := replaced(furthest("currency, window", of, "currency:coingecko_swing:ratio"), "swing", "Price", "", "") + ` or ` +
		replaced(furthest("window", `max by (window) (job:coingecko_market_change:ratio`+every+`)`, "job:coingecko_market_swing:ratio"), "swing", "Market", "", "")
	how = `count_values by (swing, currency, window) ("how", round(1e3 * (` + how + `)) + 0)`
	for _, r := range []struct{ from, to string }{
		{`(-?)(\\d)`, `${1}0$2`}, {`(-?\\d+)(\\d)`, `$1.$2`}, {`-(.+)`, "fell $1 %"}, {`(\\d.*)`, "rose $1 %"},
	} {
		how = replaced(how, "how", r.to, "how", r.from)
	}
	known := `label_replace(group by (currency) (currency:coingecko_swing:ratio` + every + `), "swing", "Price", "", "") or label_replace(group(job:coingecko_market_swing:ratio` + every + `), "swing", "Market", "", "")`
	how = `label_join(` + inWords(how) + `, "how", " in ", "how", "in") or on (swing, currency) ` + replaced(known, "how", "swing, now fading", "", "") + ` or on (swing, currency) ` +
		replaced(`group by (swing, currency) (`+replaced(firing(""), "swing", "$1", "alertname", "CoinGecko(Price|Market)Swing.*")+`)`, "how", "moved past its threshold", "swing", ".+")

	e = `sort_desc(` + e + ` * on (currency) group_left (unit) (` + who + `) * on (` + key + `) group_left (since) (` + since + `) * on (swing, currency) group_left (how) (` + how + `))`
	return instant(replaced(replaced(e, "unit", "The market", "swing", "Market"), "unit", "$1 ", "unit", "(.+)"), "{{unit}}{{says}}{{how}}{{since}}")
}

// alertsLeft says how many more there are.
func alertsLeft() sdk.Target {
	return instant(fmt.Sprintf(`0 * count_values("n", count(%s) - %d > 0)`, weighed(), alertsShown), "and {{n}} more")
}

// currencyNames joins names and units to currencies. An exporter that was just replaced may have none
// at this moment, and two versions may disagree: the last ten minutes count, and one of them wins.
func currencyNames() string {
	return `topk by (currency) (1, max by (currency, name, unit) (last_over_time(coingecko_currency_info` + every + `[10m])))`
}
