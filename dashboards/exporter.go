// The exporter's health: whether the rates come, in time, within the quota.

package main

import "github.com/grafana-tools/sdk"

const (
	freshness = "job:coingecko_rates_fresh:bool"
	objective = 0.999 // of the time with fresh rates; alerts/README.md has the same
	instances = `{` + exporters + `,instance=~"$instance"}`
)

func health() *dashboard {
	d := newDashboard("coingecko-exporter", "CoinGecko exporter",
		"Whether the rates come, in time, and within the quota of CoinGecko's plan.", "now-6h", "30s")
	d.scope(sdk.TemplatingHideNone, "") // these jobs alone: every program has the metrics of a process
	d.variable(sdk.TemplateVar{Name: "instance", Label: "Instance", Multi: true, IncludeAll: true, AllValue: ".+", Sort: 1},
		`label_values(coingecko_poll_interval_seconds{`+exporters+`}, instance)`)
	d.link("Wall", "/d/coingecko-wall", "Prices of the accepted coins")
	d.link("Analysis", "/d/coingecko-analysis", "Prices, moves and risk")
	d.link("Data provided by CoinGecko", "https://www.coingecko.com", "Indicative rates, not a quote")

	used := `sum(increase(coingecko_polls_total{` + exporters + `,upstream="coingecko"}[$__range]))`
	quota := `max(coingecko_quota_requests{` + exporters + `,period="month"})`

	age, most := age(), setting("coingecko_rates_max_age_seconds", "")

	d.add(
		stat("Rates", "Age: seconds since the newest rates left CoinGecko. It goes on growing for a day when the exporter is gone; amber from half of "+
			"--rates.max-age, red from three quarters on. Last poll: whether that of each instance succeeded.", place{0, 0, 8, 4},
			instant(age+` < 0.5 * `+most, "age"),
			instant(age+` >= 0.5 * `+most+` < 0.75 * `+most, "age"),
			instant(age+` >= 0.75 * `+most, "age"),
			instant(`min(coingecko_up`+instances+`)`, "last poll")).
			unit("s").decimals(0).none("no exporter").set("options.textMode", "value_and_name").
			override(query("A"), "color", fixed("green")).
			override(query("B"), "color", fixed("orange")).
			override(query("C"), "color", fixed("red")).
			override(query("D"), "unit", "none", "mappings", []any{exactly("0", "failed", "red"), exactly("1", "good", "green")}),
		stat("Objective: fresh 99.9 % of 30 days", "Fresh: share of the last 30 days with fresh rates, the mean of "+freshness+". Left: how much of the 0.1 % that the "+
			"objective allows to be without them is left, 1 - share of stale time / 0.001.", place{8, 0, 8, 4},
			instant(`min(avg_over_time(`+freshness+every+`[30d]))`, "fresh"),
			instant(`1 - (1 - min(avg_over_time(`+freshness+every+`[30d]))) / 0.001`, "budget left")).
			unit("percentunit").set("options.textMode", "value_and_name").
			override(query("A"), "decimals", 3, "thresholds", steps("red", 0.998, "orange", objective, "green")).
			override(query("B"), "decimals", 0, "thresholds", steps("red", 0, "orange", 0.25, "green")),
		stat("Quota this month", "Calls: polls of CoinGecko itself since the month began, by the clock of the browser; those of relays spend no quota. "+
			"Used: as a share of what the plan allows; absent where the plan has no quota by the month. "+
			"From coingecko_polls_total and coingecko_quota_requests.", place{16, 0, 8, 4},
			instant(used, "calls"), instant(used+` / `+quota, "used")).
			unit("locale").decimals(0).set("options.textMode", "value_and_name").
			override(query("B"), "unit", "percentunit", "decimals", 1, "thresholds", steps("green", 0.8, "orange", 1, "red")).
			set("timeFrom", "now/M").set("hideTimeOverride", true),

		heading("Freshness", 4),
		timeseries("Age of the rates", "How old the newest rates are at each moment, the age at which they stop to count as fresh, and the one at which they vanish.",
			place{0, 5, 12, 8},
			ranged(`job:coingecko_rates_age_seconds:min`+every, "age"),
			ranged(`0.75 * max(coingecko_rates_max_age_seconds`+every+`)`, "not fresh any more"),
			ranged(`max(coingecko_rates_max_age_seconds`+every+`)`, "expired")).
			unit("s").min(0).
			override(query("A"), "custom.fillOpacity", 15, "color", fixed("blue")).
			override(query("B"), "custom.lineStyle", dashed, "color", fixed("orange")).
			override(query("C"), "custom.lineStyle", dashed, "color", fixed("red")),
		timeseries("Burn of the error budget", "How many times faster than allowed the 0.1 % of stale time is used up. 1 uses up a month's in a month. "+
			"Above 14.4 in 1 h or 6 in 6 h it is critical. Formula: share of stale time / 0.001.",
			place{12, 5, 12, 8},
			ranged(`job:coingecko_rates_stale:ratio1h`+every+` / 0.001`, "1 h"),
			ranged(`job:coingecko_rates_stale:ratio6h`+every+` / 0.001`, "6 h"),
			ranged(`job:coingecko_rates_stale:ratio1d`+every+` / 0.001`, "1 d"),
			ranged(`job:coingecko_rates_stale:ratio3d`+every+` / 0.001`, "3 d")).
			unit("none").min(0).custom("axisSoftMax", 2),

		heading("Polls", 13),
		timeseries("Polls by result", "Polls by the minute that succeeded or failed, by reason. "+
			"Formula: rates of coingecko_polls_total and coingecko_poll_failures_total, × 60.",
			place{0, 14, 12, 8},
			ranged(`60 * (sum(rate(coingecko_polls_total`+instances+`[$__rate_interval])) - sum(rate(coingecko_poll_failures_total`+instances+`[$__rate_interval])))`, "good"),
			ranged(`60 * sum by (reason) (rate(coingecko_poll_failures_total`+instances+`[$__rate_interval])) > 0`, "{{reason}}")).
			unit("suffix:/min").custom("drawStyle", "bars").custom("fillOpacity", 60).custom("stacking", map[string]any{"mode": "normal", "group": "A"}).
			min(0).
			override(named("good"), "color", fixed("green")),
		timeseries("Duration of polls", "How long polls took: half of them less than the first line, 99 in 100 less than the last. "+
			"Formula: histogram_quantile over coingecko_poll_duration_seconds.",
			place{12, 14, 12, 8},
			ranged(quantile("0.5"), "half"), ranged(quantile("0.9"), "9 in 10"), ranged(quantile("0.99"), "99 in 100")).
			unit("s").min(0),
		timeseries("Calls against the limit by the minute", "Polls of CoinGecko in a minute, those that it refused with 429, and what the plan allows. "+
			"Empty limit: the plan has none. Keyless, the limit is shared by all behind the same address.",
			place{0, 22, 8, 8},
			ranged(`60 * sum(rate(coingecko_polls_total{`+exporters+`,upstream="coingecko"}[$__rate_interval]))`, "calls"),
			ranged(`60 * sum(rate(coingecko_poll_failures_total{`+exporters+`,upstream="coingecko",reason="rate_limited"}[$__rate_interval]))`, "refused (429)"),
			ranged(`max(coingecko_quota_requests{`+exporters+`,period="minute"})`, "limit")).
			unit("none").min(0).
			override(named("refused (429)"), "color", fixed("red")).
			override(named("limit"), "custom.lineStyle", dashed, "color", fixed("orange")),
		timeseries("Pace against the monthly quota", "Calls that a month would have at the pace of the last six hours, and what the plan allows. "+
			"Formula: increase of coingecko_polls_total in 6 h × 4 × days of the month.",
			place{8, 22, 8, 8},
			ranged(`4 * scalar(days_in_month()) * sum(increase(coingecko_polls_total{`+exporters+`,upstream="coingecko"}[6h]))`, "at this pace"),
			ranged(quota, "quota")).
			unit("short").min(0).
			override(named("quota"), "custom.lineStyle", dashed, "color", fixed("orange")),
		timeseries("Rejected rates", "Entries of answers that were dropped in five minutes, by reason. The rest of each answer was used. "+
			"Formula: increase of coingecko_rejected_rates_total.",
			place{16, 22, 8, 8},
			ranged(`sum by (reason) (increase(coingecko_rejected_rates_total`+instances+`[5m]))`, "{{reason}}")).
			unit("short").min(0),

		heading("Poller and relays", 30),
		replicas(),

		heading("Alerts", 38),
		newPanel("state-timeline", "Alerts", "When which alert of this project was pending or firing. From the series ALERTS.", place{0, 39, columns, 8},
			ranged(`2 * `+firing("")+` or max by (alertname, currency, severity) (`+shop("ALERTS", `,alertstate="pending"`)+`)`, "{{alertname}} {{currency}} ({{severity}})")).
			unit("none").none("no alert in this time").
			set("fieldConfig.defaults.color", fixed("red")).
			mappings(exactly("1", "pending", "orange"), exactly("2", "firing", "red")).
			custom("fillOpacity", 80).custom("lineWidth", 0).
			set("options.mergeValues", true).set("options.showValue", "never").set("options.alignValue", "left").set("options.rowHeight", 0.85).
			legend(false).tooltip("single", "none"),
		// Folded, so that nothing is asked for it before somebody opens it.
		folded("Process", 47,
			timeseries("CPU", "Processor time used, in cores.", place{0, 48, 6, 7},
				ranged(`rate(process_cpu_seconds_total`+instances+`[$__rate_interval])`, "{{instance}}")).
				unit("none").decimals(3).min(0),
			timeseries("Memory", "Resident memory.", place{6, 48, 6, 7},
				ranged(`process_resident_memory_bytes`+instances, "{{instance}}")).
				unit("bytes").min(0),
			timeseries("Goroutines", "Goroutines that exist. A line that only grows is a leak.", place{12, 48, 6, 7},
				ranged(`go_goroutines`+instances, "{{instance}}")).
				unit("none").decimals(0).min(0),
			timeseries("Scrapes", "Scrapes of /metrics in a minute, by status.", place{18, 48, 6, 7},
				ranged(`60 * sum by (code) (rate(promhttp_metric_handler_requests_total`+instances+`[$__rate_interval]))`, "{{code}}")).
				unit("suffix:/min").min(0),
		),
	)
	return d
}

func quantile(q string) string {
	return `histogram_quantile(` + q + `, sum by (le) (rate(coingecko_poll_duration_seconds_bucket` + instances + `[$__rate_interval])))`
}

// replicas is a row for each pod: who asks CoinGecko, who relays, and how far behind each is.
func replicas() *panel {
	by := func(expr string) sdk.Target { return listed("max by (namespace, job, instance) (" + expr + ")") }
	polls := func(upstream string) sdk.Target {
		return by(`60 * rate(coingecko_polls_total{` + exporters + `,instance=~"$instance",upstream="` + upstream + `"}[5m])`)
	}
	return table("Poller and relays", "Each exporter. One that polls CoinGecko spends the quota; a relay asks the poller. Age: of the rates that it shows.",
		place{0, 31, columns, 7},
		listed(`max by (namespace, job, instance, version) (coingecko_exporter_build_info`+instances+`)`),
		by(`coingecko_up`+instances), by(`time() - coingecko_last_success_timestamp_seconds`+instances),
		polls("coingecko"), polls("relay"),
		by(`coingecko_poll_interval_seconds`+instances), by(`coingecko_rates_max_age_seconds`+instances)).
		merged(column{"namespace", "Namespace"}, column{"job", "Job"}, column{"instance", "Instance"}, column{"version", "Version"},
			column{"Value #B", "Last poll"}, column{"Value #C", "Age"}, column{"Value #D", "Polls of CoinGecko"},
			column{"Value #E", "Polls of a relay"}, column{"Value #F", "Interval"}, column{"Value #G", "Max age"}).
		unit("none").
		override(named("Last poll"), "mappings", []any{exactly("0", "failed", "red"), exactly("1", "good", "green")},
			"custom.cellOptions", map[string]any{"type": "color-text"}).
		override(matching("^(Age|Interval|Max age)$"), "unit", "s", "decimals", 0).
		override(matching("^Polls"), "unit", "suffix:/min", "decimals", 1)
}
