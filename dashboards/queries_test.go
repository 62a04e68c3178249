// Every query of every panel, in a real Prometheus with the rules of alerts/ as they are shipped, over
// eight days of the simulator's history and exporters that run.

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const (
	scrapes     = 2 * time.Second
	evaluations = 5 * time.Second
	shortLived  = 10 * time.Second // --rates.max-age of the exporter whose rates expire
)

// oldAlerts puts an hour of alerts of all kinds into the past, since not each can be made to fire here.
func oldAlerts(t *testing.T, dir string, from time.Time) {
	t.Helper()
	var b strings.Builder
	var since strings.Builder // each series in one piece
	b.WriteString("# TYPE ALERTS gauge\n")
	for _, labels := range []string{
		`job="coingecko-exporter",alertname="CoinGeckoPriceSwing",currency="eth",severity="critical",alertstate="firing"`,
		`job="coingecko-exporter",alertname="CoinGeckoKeyRejected",severity="critical",alertstate="firing"`,
		`job="coingecko-exporter",alertname="CoinGeckoRatesStale",severity="critical",alertstate="firing"`,
		`job="coingecko-exporter",alertname="CoinGeckoRateLimited",severity="warning",alertstate="firing"`,
		`job="coingecko-exporter",alertname="CoinGeckoUnusualVolatility",currency="btc",severity="info",alertstate="firing"`,
		`job="coingecko-exporter",alertname="CoinGeckoPollsFailing",severity="warning",alertstate="pending"`,
		`job="coingecko-exporter",alertname="SomebodyElses",severity="critical",alertstate="firing"`,
	} {
		for i := range 60 {
			fmt.Fprintf(&b, "ALERTS{%s} 1 %d\n", labels, from.Unix()+int64(60*i))
			fmt.Fprintf(&since, "ALERTS_FOR_STATE{%s} %d %d\n", regexp.MustCompile(`,alertstate="\w+"`).ReplaceAllString(labels, ""), from.Unix(), from.Unix()+int64(60*i))
		}
	}
	b.WriteString("# TYPE ALERTS_FOR_STATE gauge\n" + since.String())
	// And rates that are not simulated.
	fmt.Fprintf(&b, "# TYPE coingecko_last_success_timestamp_seconds gauge\ncoingecko_last_success_timestamp_seconds{job=\"real\"} %[1]d %[1]d\n# EOF\n", from.Unix())
	testbed.Run(t, "promtool", "tsdb", "create-blocks-from", "openmetrics", file(t, "alerts.om", b.String()), dir)
}

// viewer runs dashboards' queries as Grafana would for somebody who looks at a moment.
type viewer struct {
	t    *testing.T
	api  prometheus.API
	at   time.Time
	vars map[string]string // variables of the URL
}

// instant gives what an expression finds at a moment. One that does not parse or cannot run is an error.
func (v viewer) instant(expr string, at time.Time) model.Vector {
	v.t.Helper()
	value, _, _, err := v.api.Query(v.t.Context(), expr, at)
	if err != nil {
		v.t.Errorf("%v\n%s", err, expr)
	}
	found, _ := value.(model.Vector)
	return found
}

// look finds the values of a dashboard's variables, as Grafana does: from the URL, else the default,
// else the first that the query gives.
func (v viewer) look(b boardJSON) map[string]string {
	v.t.Helper()
	values := map[string]string{}
	for _, variable := range b.Templating.List {
		if given, found := v.vars[variable.Name]; found {
			values[variable.Name] = given
			continue
		}
		list, isList := variable.Current.Value.([]any)
		if !isList {
			list = []any{variable.Current.Value}
		}
		var current []string
		for _, c := range list {
			current = append(current, fmt.Sprint(c))
		}
		if variable.Type != "query" {
			values[variable.Name] = current[0]
			continue
		}
		options := v.options(variable, values)
		switch {
		case current[0] == "$__all" && variable.AllValue != "":
			values[variable.Name] = variable.AllValue
		case current[0] == "$__all":
			values[variable.Name] = "(" + strings.Join(options, "|") + ")"
		case isList:
			values[variable.Name] = "(" + strings.Join(current, "|") + ")"
		case slices.Contains(options, current[0]):
			values[variable.Name] = current[0]
		case len(options) > 0:
			values[variable.Name] = options[0]
		}
		if len(options) == 0 && variable.Name != "namespace" { // a plain Prometheus has none
			v.t.Errorf("%s: variable %s finds no value", b.UID, variable.Name)
		}
	}
	return values
}

// options are the values that a variable's query gives, in the order of its setting.
func (v viewer) options(variable variableJSON, values map[string]string) (options []string) {
	v.t.Helper()
	query := fill(variable.query(), values)
	if m := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(query); m != nil {
		found, _, _, err := v.api.LabelValues(v.t.Context(), m[2], []string{m[1]}, v.at.Add(-24*time.Hour), v.at)
		if err != nil {
			v.t.Errorf("variable %s: %v", variable.Name, err)
		}
		for _, value := range found {
			options = append(options, string(value))
		}
		return options
	}
	m := regexp.MustCompile(`^query_result\((.+)\)$`).FindStringSubmatch(query)
	if m == nil || variable.Sort != 3 {
		v.t.Fatalf("variable %s asks for %q, sorted by %d, which this test does not know", variable.Name, query, variable.Sort)
	}
	pattern := regexp.MustCompile(strings.Trim(variable.Regex, "/"))
	byNumber := map[string]int{}
	for _, s := range v.instant(m[1], v.at) {
		// Grafana matches against the series as text, labels in their order.
		if m := pattern.FindStringSubmatch(s.Metric.String()); m != nil {
			byNumber[m[pattern.SubexpIndex("value")]], _ = strconv.Atoi(m[pattern.SubexpIndex("text")])
		}
	}
	return slices.SortedFunc(maps.Keys(byNumber), func(a, b string) int { return byNumber[a] - byNumber[b] })
}

// fill puts values into a query. What has none is left in it, and Prometheus will not parse it.
func fill(query string, values map[string]string) string {
	return os.Expand(query, func(name string) string {
		if value, found := values[strings.Split(name, ":")[0]]; found {
			return value
		}
		return "${" + name + "}"
	})
}

// run gives what a panel's query finds.
func (v viewer) run(b boardJSON, p panelJSON, q targetJSON, values map[string]string) (found model.Matrix) {
	v.t.Helper()
	from := v.at.Add(-span(v.t, b.Time.From))
	if p.TimeFrom == "now/M" {
		from = time.Date(v.at.Year(), v.at.Month(), 1, 0, 0, 0, 0, v.at.Location())
	} else if p.TimeFrom != "" {
		from = v.at.Add(-span(v.t, p.TimeFrom))
	}
	length := v.at.Sub(from)
	points := p.MaxDataPoints
	if points == 0 {
		points = 1000 // about the width of a panel in pixels
	}
	least := time.Minute // the data source's scrape interval
	if q.Interval != "" {
		least = span(v.t, q.Interval)
	}
	step := max(length/time.Duration(points), least).Round(time.Second)
	expr := fill(fill(q.Expr, values), map[string]string{ // Grafana's own variables
		"__range":         fmt.Sprintf("%ds", int(length.Seconds())),
		"__rate_interval": fmt.Sprintf("%ds", int(max(step+time.Minute, 4*time.Minute).Seconds())),
	})
	if q.Instant {
		for _, s := range v.instant(expr, v.at) {
			found = append(found, &model.SampleStream{Metric: s.Metric, Values: []model.SamplePair{{Timestamp: s.Timestamp, Value: s.Value}}})
		}
		return found
	}
	if q.Format == "table" {
		v.t.Errorf("panel %q: a table of a range has a row for each moment", p.Title)
	}
	// Grafana begins and ends at whole steps.
	value, _, _, err := v.api.QueryRange(v.t.Context(), expr, prometheus.Range{Start: from.Truncate(step), End: v.at.Truncate(step), Step: step})
	if err != nil {
		v.t.Errorf("%s: %v\n%s", queryName(b, p, q), err, q.Expr)
	}
	found, _ = value.(model.Matrix)
	return found
}

func span(t *testing.T, from string) time.Duration {
	t.Helper()
	d, err := model.ParseDuration(strings.TrimPrefix(from, "now-"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(d)
}

// Alerts are not all about a currency, and not every store has a basket.
var mayLack = keys("unit says how since currency basket")

// label is a label in a legend.
var label = regexp.MustCompile(`\{\{(\w+)\}\}`)

// visit runs the queries of a dashboard, all or those that are wanted, and notes which of them found something.
func (v viewer) visit(b boardJSON, values map[string]string, found map[string]int, wanted func(targetJSON) bool) {
	v.t.Helper()
	for _, p := range b.Panels {
		values := p.each(values)[0]
		for _, q := range p.Targets {
			if wanted != nil && !wanted(q) {
				continue
			}
			name := queryName(b, p, q)
			found[name] += 0
			windows := keys("15m 1h 24h 7d")
			if !strings.Contains(q.Expr, "$window") {
				windows = windows[:1]
			}
			for _, w := range windows {
				values["window"] = w
				list := v.run(b, p, q, values)
				if len(list) == 0 && len(windows) > 1 {
					v.t.Errorf("%s finds nothing for the window %s", name, w)
				}
				found[name] += len(list)
				v.checkTable(name, p, q, list)
				seen := map[string]bool{}
				for _, s := range list {
					for _, m := range label.FindAllStringSubmatch(q.LegendFormat, -1) {
						optional := (strings.Contains(q.Expr, "ALERTS{") || p.Repeat != "") && slices.Contains(mayLack, m[1])
						if s.Metric[model.LabelName(m[1])] == "" && !optional {
							v.t.Errorf("%s: the legend wants %s, which %v lacks", name, m[1], s.Metric)
						}
					}
					text := legend(q, s)
					if seen[text] && q.LegendFormat != "" {
						v.t.Errorf("%s: two series are called %q", name, text)
					}
					seen[text] = true
				}
			}
		}
	}
}

func queryName(b boardJSON, p panelJSON, q targetJSON) string {
	return fmt.Sprintf("%s, panel %d %q, query %s", b.UID, p.ID, p.Title, q.RefID)
}

// legend is a series' name, as Grafana writes it.
func legend(q targetJSON, s *model.SampleStream) string {
	return label.ReplaceAllStringFunc(q.LegendFormat, func(m string) string {
		return string(s.Metric[model.LabelName(strings.Trim(m, "{}"))])
	})
}

// checkTable makes sure that the columns which a table renames are there.
func (v viewer) checkTable(name string, p panelJSON, q targetJSON, list model.Matrix) {
	v.t.Helper()
	if p.Type != "table" || q.RefID != "A" || len(list) == 0 {
		return
	}
	there := keys("namespace version") // neither is on a developer's machine
	for label := range list[0].Metric {
		there = append(there, string(label))
	}
	for _, q := range p.Targets {
		there = append(there, "Value #"+q.RefID)
	}
	for _, t := range p.Transformations {
		for column := range t.Options.RenameByName {
			if !slices.Contains(there, column) {
				v.t.Errorf("%s: no query has the column %q", name, column)
			}
		}
	}
}

// each gives the values for each panel that Grafana makes of one: those of the variable that it is repeated by, one after the other.
func (p panelJSON) each(values map[string]string) (list []map[string]string) {
	if p.Repeat == "" {
		return []map[string]string{values}
	}
	for one := range strings.SplitSeq(strings.Trim(values[p.Repeat], "()"), "|") {
		single := maps.Clone(values)
		single[p.Repeat] = one
		list = append(list, single)
	}
	return list
}

// tile is the wall's panel of a coin.
func (b boardJSON) tile() panelJSON {
	return b.Panels[slices.IndexFunc(b.Panels, func(p panelJSON) bool { return p.Repeat == "coin" })]
}

// shown counts the values that the tiles of coins and cross rates show, and says which.
func (v viewer) shown(b boardJSON) (n int, where string) {
	v.t.Helper()
	values := v.look(b)
	for _, p := range b.Panels {
		if len(p.Targets) == 0 || !strings.Contains(p.Targets[0].Expr, price) {
			continue
		}
		q := p.Targets[0] // the second says that there is no price
		for _, values := range p.each(values) {
			list := v.run(b, p, q, values)
			if n += len(list); len(list) > 0 {
				where += fmt.Sprintf(" %d in panel %d of %s,", len(list), p.ID, values["coin"])
			}
		}
	}
	return n, where
}

// until waits until the tiles show the right number of values, at a moment that is asked for each time.
func (v *viewer) until(b boardJSON, at func() time.Time, right func(n int) bool) {
	v.t.Helper()
	testbed.Eventually(v.t, "the values in the tiles", func() error {
		v.at = at()
		if n, where := v.shown(b); !right(n) {
			return fmt.Errorf("they show %d:%s", n, where)
		}
		return nil
	})
}

// emptied waits until the tiles show nothing. Its moment is the next whole minute: the curves end at
// whole minutes, and a price that went within one was true when it began.
func (v *viewer) emptied(b boardJSON) {
	v.t.Helper()
	v.until(b, func() time.Time { return time.Now().Truncate(time.Minute).Add(time.Minute) }, func(n int) bool { return n == 0 })
}

func TestQueries(t *testing.T) {
	testbed.Tool(t, "promtool")
	testbed.Tool(t, "prometheus")
	binary := testbed.Build(t, ".")
	list := boards(t)
	wall := list[0]

	simulated := testbed.StartExporter(t, exec.Command(binary, "--simulate"))
	shortly := testbed.StartExporter(t, exec.Command(binary, "--simulate", "--rates.max-age="+shortLived.String()))
	// One that CoinGecko's plan counts for and that cannot reach it: through a proxy that is not there.
	proxy := file(t, "http.yaml", "proxy_url: http://"+testbed.FreeAddress(t)+"\n")
	unreachable := exec.Command(binary, "--coingecko.plan=demo", "--coingecko.http-config-file="+proxy, "--coingecko.interval=10s")
	unreachable.Env = append(os.Environ(), "COINGECKO_API_KEY=CG-7dKq2mXw9TbR4vNs8HcY3pLz")
	cut := testbed.StartExporter(t, unreachable)

	rules, err := filepath.Abs("../alerts")
	if err != nil {
		t.Fatal(err)
	}
	basket := file(t, "basket.rules.yaml",
		`{groups: [{name: basket, rules: [{record: "coingecko:store_basket:amount", labels: {basket: 49.90 EUR, currency: eur}, expr: vector(49.90)}]}]}`)
	config, err := json.Marshal(map[string]any{ // JSON is YAML
		"global":     map[string]any{"scrape_interval": scrapes.String(), "evaluation_interval": evaluations.String()},
		"rule_files": []string{rules + "/*.rules.yaml", basket},
		"scrape_configs": []any{
			map[string]any{"job_name": "coingecko-exporter", "static_configs": []any{map[string]any{"targets": []string{simulated.Address, cut.Address}}}},
			map[string]any{"job_name": "shortly", "static_configs": []any{map[string]any{"targets": []string{shortly.Address}}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}

	// Eight days, and an hour of alerts four hours ago.
	data := t.TempDir()
	testbed.Run(t, testbed.Build(t, "./stack/backfill"), "--control="+simulated.Control, "--instance="+simulated.Address, "--data="+data,
		"--rules="+rules+"/*.rules.yaml", "--listen="+testbed.FreeAddress(t))
	alertsAt := time.Now().Add(-4 * time.Hour)
	oldAlerts(t, data, alertsAt)
	server := testbed.Serve(t, testbed.FreeAddress(t), testbed.Tool(t, "prometheus"), "--config.file="+file(t, "prometheus.yml", string(config)), "--storage.tsdb.path="+data,
		"--storage.tsdb.retention.time=30d", "--query.timeout=10m")
	client, err := api.NewClient(api.Config{Address: "http://" + server.Address})
	if err != nil {
		t.Fatal(err)
	}
	asked := prometheus.NewAPI(client)
	loaded, err := asked.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range loaded.Groups {
		for _, r := range g.Rules {
			if alert, is := r.(prometheus.AlertingRule); is && !strings.HasPrefix(alert.Name, "CoinGecko") {
				t.Errorf("the dashboards do not show the alert %s: its name does not begin with CoinGecko", alert.Name)
			}
		}
	}

	// Live, with rates of each exporter that has some.
	fresh := &viewer{t, asked, time.Now(), map[string]string{"job": "coingecko-exporter"}}
	short := &viewer{t, asked, time.Now(), map[string]string{"job": "shortly"}}
	testbed.Until(t, "live rates and rules", func() bool {
		live := `count by (job) (time() - timestamp(` + price + `) < 60) and on () coingecko:store_coin:info{currency="sol"}`
		return len(fresh.instant(live, time.Now())) == 2
	})
	const crosses = 4
	full := func(n int) bool { return n >= 12+crosses }
	fresh.until(wall, time.Now, full)
	short.until(wall, time.Now, full)

	found := map[string]int{}
	t.Run("healthy", func(t *testing.T) {
		fresh.t, fresh.at = t, time.Now()
		for _, b := range list {
			fresh.visit(b, fresh.look(b), found, nil)
		}
		prices(t, *fresh, wall)
	})
	t.Run("in a quote from the URL", func(t *testing.T) {
		prices(t, viewer{t, asked, time.Now(), map[string]string{"job": "coingecko-exporter", "quote": "eur"}}, wall)
	})
	t.Run("alerts", func(t *testing.T) {
		fresh.t = t
		then := viewer{t, asked, alertsAt.Add(30 * time.Minute), fresh.vars}
		values := fresh.look(wall)
		then.visit(wall, values, found, nil)
		var shown []string
		for _, panel := range wall.Panels {
			for _, q := range panel.Targets {
				if !strings.Contains(q.Expr, "ALERTS{") {
					continue
				}
				for _, s := range then.run(wall, panel, q, values) {
					shown = append(shown, legend(q, s))
				}
			}
		}
		want := []string{"No fresh rates, for 30 min", "CoinGecko refuses access, for 30 min", "ETH moved past its threshold, for 30 min", "and 2 more"}
		if slices.Sort(shown[1:min(len(shown), 3)]); !slices.Equal(shown, want) {
			t.Errorf("the wall shows these alerts: %q, and not %q", shown, want)
		}
	})
	t.Run("a poll missed, and rates expired, by the clock", func(t *testing.T) {
		for _, later := range []time.Duration{4 * time.Minute, 6 * time.Minute, 20 * time.Minute} {
			v := viewer{t, asked, time.Now().Add(later), fresh.vars}
			for _, b := range []boardJSON{wall, list[2]} {
				values := viewer{t, asked, time.Now(), fresh.vars}.look(b)
				v.visit(b, values, found, func(q targetJSON) bool { return q.Instant && strings.Contains(q.Expr, "time() - ") })
			}
		}
	})
	t.Run("rates expired", func(t *testing.T) {
		short.t = t
		testbed.Post(t, shortly.Control+"fail/garbage")
		shortly.Says(t, "Rates have expired") // tiles without a value can also mean that a busy machine missed a scrape
		short.emptied(wall)
		short.at = time.Now()
		short.visit(list[2], short.look(list[2]), found, nil)
		short.visit(wall, short.look(wall), found, nil)
		if s := short.instant(`up{job="shortly"} == 1`, time.Now()); len(s) != 1 {
			t.Error("the exporter is not there any more")
		}
	})
	t.Run("exporter gone", func(t *testing.T) {
		fresh.t = t
		simulated.Stop()
		fresh.emptied(wall)
		fresh.visit(wall, fresh.look(wall), found, nil)       // the other exporter of the job is not simulated
		fresh.visit(list[2], fresh.look(list[2]), found, nil) // its failures are in a whole minute by now
		values := fresh.look(wall)
		values["job"] = "real"
		viewer{t, asked, alertsAt, nil}.visit(wall, values, found, func(q targetJSON) bool { return strings.HasPrefix(q.Expr, "1000 * ") })
		values["job"] = "never-there"
		viewer{t, asked, time.Now(), nil}.visit(wall, values, found, func(q targetJSON) bool {
			return strings.HasPrefix(q.Expr, "absent(") || strings.HasPrefix(q.Expr, "vector(0) unless")
		})
	})
	for name, n := range found {
		if n == 0 && !t.Failed() {
			t.Errorf("%s found nothing in any state", name)
		}
	}
}

// prices compares what the wall says of bitcoin with the exporter's own number.
func prices(t *testing.T, v viewer, wall boardJSON) {
	t.Helper()
	values := v.look(wall)
	s := v.instant(`coingecko_exchange_rate{job="coingecko-exporter",currency="`+values["quote"]+`"}`, v.at)
	if len(s) != 1 {
		t.Fatalf("the exporter says %v", s)
	}
	want := float64(s[0].Value)
	if want := "(btc|eth|ltc|bch|bnb|eos|xrp|xlm|link|dot|yfi|sol)"; values["coin"] != want {
		t.Errorf("the coins are %s, and not in the store's order, %s", values["coin"], want)
	}
	space := strings.NewReplacer(" ", "\u00a0") // none at which a name would break
	words := regexp.MustCompile(space.Replace(`^[A-Z]+  (1 h (0\.00|[+−]\d+\.\d\d)  24 h ([▲▼] [+−]\d+\.\d\d|0\.00) %|[▲▼] [+−]\d+\.\d\d % in (15 min|1 h|24 h))`) +
		` ` + space.Replace(`49\.90 EUR = ([1-9]\.\d{4}|[1-9]\d\.\d{3}|[1-9]\d\d\.\d\d|[1-9],?\d{3}\.\d|0\.0*[1-9]\d{4}) [A-Z]+$`))
	p := wall.tile()
	for _, values := range p.each(values) {
		list := v.run(wall, p, p.Targets[0], values)
		if len(list) != 1 || string(list[0].Metric["currency"]) != values["coin"] {
			t.Fatalf("the tile of %s shows %v", values["coin"], list)
		}
		if name := legend(p.Targets[0], list[0]); !words.MatchString(name) || !strings.HasPrefix(name, strings.ToUpper(values["coin"])+"\u00a0") {
			t.Errorf("the tile of %s says %q", values["coin"], name)
		}
		if values["coin"] == "btc" {
			got := float64(list[0].Values[len(list[0].Values)-1].Value)
			if math.Abs(got/want-1) > 0.02 { // a minute of the simulator's market apart, at most
				t.Errorf("the wall says %v, the exporter %v", got, want)
			}
		}
	}
}
