// Builders: each makes one thing of a dashboard in one call, so that a new panel is one call, too.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grafana-tools/sdk"
)

const (
	schemaVersion = 41 // of Grafana 12.0: newer ones migrate it when they load it, older ones ignore the number
	columns       = 24 // of Grafana's grid

	// dataSource is the variable that every query goes through, so that no dashboard knows an uid.
	dataSource = "${datasource}"
)

// dashboard is a board, and what the SDK's Board has no field for.
type dashboard struct {
	*sdk.Board
	description string
	wall        bool // no time picker: kiosk mode stopped hiding it in Grafana 11.3
}

// newDashboard starts a board that shows the time from `from` until now.
func newDashboard(uid, title, description, from, refresh string) *dashboard {
	b := sdk.NewBoard(title)
	b.UID = uid
	b.Timezone = "browser"
	b.SchemaVersion = schemaVersion
	b.Time = sdk.Time{From: from, To: "now"}
	b.Refresh = &sdk.BoolString{Value: refresh}
	b.Timepicker.RefreshIntervals = []string{"10s", "30s", "1m", "5m", "15m", "1h"}
	b.GraphTooltip = 1
	b.AddTags("coingecko")
	return &dashboard{Board: b, description: description}
}

// place is where a panel stands and how large it is, in units of the grid: 24 to a row, 30 pixels high
// with 8 between them.
type place struct{ x, y, w, h int }

// add puts panels on the board.
func (d *dashboard) add(panels ...*panel) {
	for _, p := range panels {
		d.Panels = append(d.Panels, p.Panel)
	}
}

// variable adds a variable whose values a query finds. An empty current value takes the first one.
func (d *dashboard) variable(v sdk.TemplateVar, query string) {
	v.Type = "query"
	v.Datasource = reference()
	v.Query = map[string]any{"query": query, "refId": "variable-" + v.Name}
	v.Refresh = onLoad()
	if v.Current.Value == nil {
		v.Current = sdk.Current{Text: words(""), Value: ""}
		if v.IncludeAll {
			v.Current = sdk.Current{Text: words("All"), Value: "$__all"}
		}
	}
	d.Templating.List = append(d.Templating.List, v)
}

// onLoad has variables asked for when the dashboard is opened, not before each refresh: a Prometheus that hangs would keep panels from
// asking, and what is old would stay.
func onLoad() sdk.BoolInt { return sdk.BoolInt{Value: new(int64(1))} }

// choice adds a variable with fixed values, the first being the default.
func (d *dashboard) choice(name, label string, values ...string) {
	v := sdk.TemplateVar{Name: name, Label: label, Type: "custom", Query: strings.Join(values, ","), Refresh: sdk.BoolInt{Value: new(int64(0))}}
	for i, value := range values {
		v.Options = append(v.Options, sdk.Option{Text: value, Value: value, Selected: i == 0})
	}
	v.Current = sdk.Current{Text: words(values[0]), Value: values[0]}
	d.Templating.List = append(d.Templating.List, v)
}

// scope adds the variables that every dashboard has: which Prometheus, and which exporters in it. allJobs is the regular expression
// for all of them; empty for those that are there when the dashboard is opened.
func (d *dashboard) scope(hide uint8, allJobs string) {
	d.Templating.List = append(d.Templating.List, sdk.TemplateVar{
		Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Hide: hide, Refresh: onLoad(),
		Current: sdk.Current{Text: words("default"), Value: "default"},
	})
	// The empty namespace of a plain Prometheus matches .* as well.
	d.variable(sdk.TemplateVar{Name: "namespace", Label: "Namespace", Hide: hide, IncludeAll: true, AllValue: ".*", Sort: 1},
		"label_values(coingecko_poll_interval_seconds, namespace)")
	d.variable(sdk.TemplateVar{Name: "job", Label: "Job", Hide: hide, IncludeAll: true, AllValue: allJobs, Sort: 1},
		`label_values(coingecko_poll_interval_seconds{namespace=~"$namespace"}, job)`)
}

// link adds a link to another dashboard or page above the panels. It keeps the time range.
func (d *dashboard) link(title, url, tooltip string) {
	icon, keep := "dashboard", true
	if strings.Contains(url, "://") {
		icon, keep = "external link", false
	}
	d.AddLink(sdk.Link{
		Title: title, Type: "link", URL: &url, Icon: &icon, Tooltip: &tooltip, KeepTime: &keep,
		AsDropdown: new(false), TargetBlank: new(false),
	})
}

func words(s ...string) *sdk.StringSliceString { return &sdk.StringSliceString{Value: s, Valid: true} }

func reference() map[string]any { return map[string]any{"type": "prometheus", "uid": dataSource} }

// panel is a panel of any kind. The SDK's own types are those of 2022, so all of it is custom.
type panel struct{ *sdk.Panel }

func newPanel(kind, title, description string, at place, queries ...sdk.Target) *panel {
	p := &panel{&sdk.Panel{
		CommonPanel: sdk.CommonPanel{OfType: sdk.CustomType, Type: kind, Title: title, Description: &description},
		CustomPanel: &sdk.CustomPanel{},
	}}
	p.GridPos.X, p.GridPos.Y, p.GridPos.W, p.GridPos.H = &at.x, &at.y, &at.w, &at.h
	for i := range queries {
		queries[i].RefID = string(rune('A' + i))
		queries[i].Datasource = reference()
	}
	if len(queries) > 0 {
		p.Datasource = reference()
		p.set("targets", queries)
		p.set("fieldConfig.overrides", []any{})
	}
	return p
}

// ranged is a query over the whole time range; instant one at its end; listed one at its end as a table.
func ranged(expr, legend string) sdk.Target {
	return sdk.Target{Expr: expr, LegendFormat: legend}
}

func instant(expr, legend string) sdk.Target {
	return sdk.Target{Expr: expr, LegendFormat: legend, Instant: true}
}

func listed(expr string) sdk.Target {
	return sdk.Target{Expr: expr, Instant: true, Format: "table"}
}

// stat is one large number for each series, or its name, without a curve.
func stat(title, description string, at place, queries ...sdk.Target) *panel {
	return newPanel("stat", title, description, at, queries...).
		set("options.reduceOptions", map[string]any{"values": false, "fields": "", "calcs": []string{"lastNotNull"}}).
		set("options.colorMode", "value").set("options.graphMode", "none").set("options.textMode", "auto").
		set("options.orientation", "auto").set("options.justifyMode", "auto").set("options.wideLayout", true).
		set("fieldConfig.defaults.color.mode", "thresholds").steps("text")
}

// timeseries is a chart of lines with a legend below.
func timeseries(title, description string, at place, queries ...sdk.Target) *panel {
	return newPanel("timeseries", title, description, at, queries...).
		set("fieldConfig.defaults.color.mode", "palette-classic").
		custom("drawStyle", "line").custom("lineWidth", 1).custom("fillOpacity", 0).
		custom("showPoints", "never").custom("spanNulls", false).
		legend(true).tooltip("multi", "desc")
}

// table is a table that can be sorted and filtered by its heads.
func table(title, description string, at place, queries ...sdk.Target) *panel {
	return newPanel("table", title, description, at, queries...).
		set("fieldConfig.defaults.color.mode", "thresholds").steps("text").
		custom("filterable", true).custom("align", "auto").
		set("options.showHeader", true).set("options.cellHeight", "sm")
}

// text is text in Markdown or HTML.
func text(mode, content, description string, at place) *panel {
	return newPanel("text", "", description, at).
		set("options.mode", mode).set("options.content", content)
}

// heading begins a part of a dashboard.
func heading(title string, y int) *panel {
	p := newPanel("row", title, "", place{0, y, columns, 1})
	p.Description = nil
	return p.set("collapsed", false).set("panels", []any{})
}

// folded begins a part of a dashboard that is closed at first, with its panels.
func folded(title string, y int, panels ...*panel) *panel {
	var list []any
	for _, p := range panels {
		list = append(list, p.Panel)
	}
	return heading(title, y).set("collapsed", true).set("panels", list)
}

// set puts a value at a dotted path of the panel's JSON.
func (p *panel) set(path string, value any) *panel {
	put(*p.CustomPanel, path, value)
	return p
}

func put(at map[string]any, path string, value any) {
	head, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		at[head] = value
		return
	}
	next, ok := at[head].(map[string]any)
	if !ok {
		next = map[string]any{}
		at[head] = next
	}
	put(next, rest, value)
}

// custom sets what only this kind of panel knows, for all fields.
func (p *panel) custom(key string, value any) *panel {
	return p.set("fieldConfig.defaults.custom."+key, value)
}

// unit sets the unit, by Grafana's id, for all fields.
func (p *panel) unit(id string) *panel { return p.set("fieldConfig.defaults.unit", id) }

// decimals sets the digits after the point for all fields.
func (p *panel) decimals(n int) *panel { return p.set("fieldConfig.defaults.decimals", n) }

// min is where the axis begins.
func (p *panel) min(n int) *panel { return p.set("fieldConfig.defaults.min", n) }

// legend names the series below a chart, or does not.
func (p *panel) legend(show bool) *panel {
	return p.set("options.legend", map[string]any{"showLegend": show, "displayMode": "list", "placement": "bottom", "calcs": []string{}})
}

// tooltip says what is under the pointer: "single" the one series, "multi" all of them, sorted.
func (p *panel) tooltip(mode, sort string) *panel {
	return p.set("options.tooltip", map[string]any{"mode": mode, "sort": sort})
}

// none is what stands there when there is no data.
func (p *panel) none(s string) *panel { return p.set("fieldConfig.defaults.noValue", s) }

// withoutBox takes away the panel's box.
func (p *panel) withoutBox() *panel {
	p.Transparent = true
	return p
}

// steps colours values: the first colour from below, each further one from its bound on.
func (p *panel) steps(base string, more ...any) *panel {
	return p.set("fieldConfig.defaults.thresholds", steps(base, more...))
}

func steps(base string, more ...any) map[string]any {
	list := []any{map[string]any{"color": base, "value": nil}}
	for i := 0; i+1 < len(more); i += 2 {
		list = append(list, map[string]any{"color": more[i+1], "value": more[i]})
	}
	return map[string]any{"mode": "absolute", "steps": list}
}

// mappings replaces values by text.
func (p *panel) mappings(m ...map[string]any) *panel {
	return p.set("fieldConfig.defaults.mappings", m)
}

// exactly maps one value to a text in a colour.
func exactly(value, text, color string) map[string]any {
	return map[string]any{"type": "value", "options": map[string]any{
		value: map[string]any{"text": text, "color": color},
	}}
}

// matcher picks fields for an override.
type matcher map[string]any

// query picks the fields of one query, by its letter.
func query(letter string) matcher { return matcher{"id": "byFrameRefID", "options": letter} }

// named picks the field of that name, matching those whose name matches a regular expression.
func named(name string) matcher { return matcher{"id": "byName", "options": name} }

// Without the slashes Grafana would want the whole name to match.
func matching(pattern string) matcher {
	return matcher{"id": "byRegexp", "options": "/" + pattern + "/"}
}

// valued picks the fields whose last value is less ("lt"), or that or more ("gte").
func valued(op string, than float64) matcher {
	return matcher{"id": "byValue", "options": map[string]any{"reducer": "lastNotNull", "op": op, "value": than}}
}

// override sets properties, given as id, value, id, value, of the fields that match.
func (p *panel) override(m matcher, properties ...any) *panel {
	var list []any
	for i := 0; i+1 < len(properties); i += 2 {
		list = append(list, map[string]any{"id": properties[i], "value": properties[i+1]})
	}
	config := (*p.CustomPanel)["fieldConfig"].(map[string]any)
	config["overrides"] = append(config["overrides"].([]any), map[string]any{"matcher": m, "properties": list})
	return p
}

// dashed is the style of a line for a bound.
var dashed = map[string]any{"fill": "dash"}

// fixed is the colour of a field whatever its value.
func fixed(color string) map[string]any {
	return map[string]any{"mode": "fixed", "fixedColor": color}
}

// transform adds a step between the queries and the picture.
func (p *panel) transform(id string, options map[string]any) *panel {
	list, _ := (*p.CustomPanel)["transformations"].([]any)
	return p.set("transformations", append(list, map[string]any{"id": id, "options": options}))
}

// column is a column of a table: a field of its queries, and its head.
type column struct{ field, head string }

// merged makes one row of what the queries have for the same labels. The columns stand in this order; the value of the first query,
// which is there for its labels, is left out.
func (p *panel) merged(columns ...column) *panel {
	order, heads := map[string]any{}, map[string]any{}
	for i, c := range columns {
		order[c.field], heads[c.field] = i, c.head
	}
	return p.transform("merge", map[string]any{}).transform("organize", map[string]any{
		"excludeByName": map[string]any{"Time": true, "Value #A": true}, "indexByName": order, "renameByName": heads,
	})
}

// The SDK writes these as Grafana 8 wanted them. The schema of today does not know them.
var (
	oldOfBoard = []string{"slug", "originalTitle", "style", "hideControls", "sharedCrosshair", "rows"}
	oldOfPanel = []string{"editable", "error", "isNew", "span"}
)

// JSON is the dashboard as Grafana's classic schema (v1) wants it, with numbered panels. The same board gives the same bytes. It does
// not depend on any input: what cannot be written is a mistake in this program.
func (d *dashboard) JSON() []byte {
	raw, err := json.Marshal(d.Board)
	must(d, err)
	var m map[string]any
	must(d, json.Unmarshal(raw, &m))
	drop(m, append(oldOfBoard, "id", "version")...) // Grafana numbers them itself
	m["description"] = d.description
	m["annotations"] = map[string]any{"list": []any{}}
	picker := m["timepicker"].(map[string]any)
	delete(picker, "time_options")
	picker["hidden"] = d.wall
	tidyPanels(m["panels"].([]any), 0)
	for _, v := range m["templating"].(map[string]any)["list"].([]any) {
		tidyVariable(v.(map[string]any))
	}
	if m["links"] == nil {
		m["links"] = []any{}
	}
	for _, l := range m["links"].([]any) {
		l.(map[string]any)["tags"] = []any{}
	}

	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	must(d, e.Encode(m))
	return out.Bytes()
}

func must(d *dashboard, err error) {
	if err != nil {
		panic(fmt.Sprintf("dashboard %s: %v", d.UID, err))
	}
}

// tidyPanels numbers panels, and those within rows, from the number after last on. It gives the last one.
func tidyPanels(list []any, last int) int {
	for _, p := range list {
		p := p.(map[string]any)
		last++
		p["id"] = last
		drop(p, oldOfPanel...)
		if p["transparent"] == false {
			drop(p, "transparent") // rows must not have it
		}
		if inside, is := p["panels"].([]any); is {
			last = tidyPanels(inside, last)
		}
	}
	return last
}

// tidyVariable drops the empty, and unpacks texts that only multi-value variables have as a list.
func tidyVariable(v map[string]any) {
	drop(v, "allFormat", "multiFormat")
	for _, key := range slices.Collect(maps.Keys(v)) {
		if v[key] == nil || v[key] == "" {
			delete(v, key)
		}
	}
	current := v["current"].(map[string]any)
	if list, ok := current["text"].([]any); ok && v["multi"] == false {
		current["text"] = list[0]
	} else if value, ok := current["value"].(string); ok && v["multi"] == true {
		current["value"] = []any{value}
	}
}

func drop(m map[string]any, keys ...string) {
	for _, k := range keys {
		delete(m, k)
	}
}
