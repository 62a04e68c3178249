// What can be known of the dashboards without a Grafana or a Prometheus.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The parts of a dashboard's JSON that these tests look at.
type boardJSON struct {
	UID        string
	Refresh    string
	Timepicker struct{ Hidden bool }
	Time       struct{ From string }
	Panels     []panelJSON
	Templating struct{ List []variableJSON }
	Links      []struct{ Title, URL string }
}

type panelJSON struct {
	ID              int
	Type            string
	Title           string
	Description     string
	GridPos         struct{ X, Y, W, H int }
	Datasource      sourceJSON
	Targets         []targetJSON
	TimeFrom        string
	MaxDataPoints   int
	Repeat          string
	Panels          []panelJSON
	MaxPerRow       int
	Transformations []struct {
		Options struct{ RenameByName map[string]string }
	}
	Options     struct{ Content string }
	FieldConfig struct{ Defaults map[string]any }
}

type sourceJSON struct{ Type, UID string }

type targetJSON struct {
	RefID        string
	Expr         string
	LegendFormat string
	Interval     string
	Instant      bool
	Format       string
	Datasource   sourceJSON
}

type variableJSON struct {
	Name       string
	Type       string
	Hide       int
	Refresh    int
	AllValue   string
	Regex      string
	Sort       int
	Query      any
	Datasource sourceJSON
	Current    struct{ Value any }
}

// query is what a variable of that type asks for; empty for another.
func (v variableJSON) query() string {
	q, _ := v.Query.(map[string]any)
	text, _ := q["query"].(string)
	return text
}

func parsed(t *testing.T, raw []byte) (b boardJSON) {
	t.Helper()
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// boards are the dashboards, as TestCommittedIsGenerated finds them committed.
func boards(t *testing.T) []boardJSON {
	t.Helper()
	var list []boardJSON
	for _, d := range all(coins) {
		b := parsed(t, d.JSON())
		// What a closed row holds counts like the others.
		for _, p := range b.Panels {
			b.Panels = append(b.Panels, p.Panels...)
		}
		list = append(list, b)
	}
	return list
}

// file writes a file of its own, and gives its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommittedIsGenerated(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"generate", "--output", dir}, &stdout, &stderr); code != exitOK {
		t.Fatalf("generate ended with %d: %s", code, stderr.String())
	}
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) != len(all(coins)) {
		t.Errorf("%d dashboards are committed, %d generated (%v)", len(files), len(all(coins)), err)
	}
	for _, d := range all(coins) {
		want, err := os.ReadFile(filepath.Join(dir, d.UID+".json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(d.UID + ".json")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.json is not what the generator writes: run `go run ./dashboards generate`", d.UID)
		}
	}
}

// TestCurrentIsCurrent: Grafana rounds the end of a range down to a step, so `@ end()` is a moment that long ago. On the
// wall no step may be longer than a minute, or a price that is gone would stay.
func TestCurrentIsCurrent(t *testing.T) {
	wall := boards(t)[0]
	if minutes := 24 * 60; wall.tile().MaxDataPoints < minutes {
		t.Errorf("the range of the tile is not a day in %d steps", minutes)
	}
	for _, p := range wall.Panels {
		if p.Repeat == "" && slices.ContainsFunc(p.Targets, func(q targetJSON) bool { return !q.Instant }) {
			t.Errorf("panel %d has a curve, and not the tile alone", p.ID)
		}
	}
}

// Every key that Grafana's classic schema (version 42, of Grafana 12.4) has for these objects. What else
// stood there would be a mistake, or a leftover of the SDK's older schema.
var (
	boardKeys = keys("annotations description editable fiscalYearStartMonth gnetId graphTooltip id links liveNow panels preload " +
		"refresh revision schemaVersion snapshot tags templating time timepicker timezone title uid version weekStart")
	panelKeys = keys("autoMigrateFrom cacheTimeout datasource description fieldConfig gridPos hideTimeOverride id interval libraryPanel " +
		"links maxDataPoints maxPerRow options pluginVersion queryCachingTTL repeat repeatDirection targets timeCompare timeFrom timeShift " +
		"title transformations transparent type")
	rowKeys     = keys("collapsed datasource gridPos id panels repeat title type")
	defaultKeys = keys("actions color custom decimals description displayName displayNameFromDS filterable links mappings max min noValue " +
		"path thresholds unit writeable")
	pickerKeys = keys("hidden nowDelay quick_ranges refresh_intervals")
	linkKeys   = keys("asDropdown icon includeVars keepTime placement tags targetBlank title tooltip type url")
)

func keys(s string) []string { return strings.Fields(s) }

func TestSchema(t *testing.T) {
	for _, d := range all(coins) {
		var b map[string]any
		if err := json.Unmarshal(d.JSON(), &b); err != nil {
			t.Fatal(err)
		}
		known := func(where string, v any, keys []string) {
			m, isMap := v.(map[string]any)
			if !isMap {
				t.Errorf("%s: %s is no object", d.UID, where)
			}
			for k, value := range m {
				if !slices.Contains(keys, k) {
					t.Errorf("%s: %s has %q, which the schema does not know", d.UID, where, k)
				}
				if value == nil {
					t.Errorf("%s: %s has an empty %q", d.UID, where, k)
				}
			}
		}
		known("the dashboard", b, boardKeys)
		known("timepicker", b["timepicker"], pickerKeys)
		for _, l := range b["links"].([]any) {
			known("link", l, linkKeys)
		}
		if v := b["schemaVersion"].(float64); v < 39 || v > 42 {
			t.Errorf("%s: schemaVersion is %v", d.UID, v)
		}
		for _, v := range b["panels"].([]any) {
			p := v.(map[string]any)
			where := fmt.Sprintf("panel %v %q", p["id"], p["title"])
			if p["type"] == "row" {
				known(where, p, rowKeys)
				for _, inside := range p["panels"].([]any) {
					known(where, inside, panelKeys)
				}
				continue
			}
			known(where, p, panelKeys)
			if c, found := p["fieldConfig"].(map[string]any); found {
				known(where+" fieldConfig.defaults", c["defaults"], defaultKeys)
			}
		}
		for _, v := range b["templating"].(map[string]any)["list"].([]any) {
			current, _ := v.(map[string]any)["current"].(map[string]any)
			_, isList := current["value"].([]any)
			if multi := v.(map[string]any)["multi"] == true; multi != isList {
				t.Errorf("%s: variable %v: a list of values is for variables with several, and only for those", d.UID, v.(map[string]any)["name"])
			}
		}
	}
}

// These come with every Grafana from 11 to 13.
var corePanels = keys("row text stat timeseries table bargauge gauge histogram heatmap status-history state-timeline")

func TestPanels(t *testing.T) {
	for _, b := range boards(t) {
		ids := map[int]bool{}
		for i, p := range b.Panels {
			name := fmt.Sprintf("%s, panel %d %q", b.UID, p.ID, p.Title)
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%s: the id is not its own", name)
			}
			ids[p.ID] = true
			if !slices.Contains(corePanels, p.Type) {
				t.Errorf("%s: %s is no core panel", name, p.Type)
			}
			g := p.GridPos
			if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
				t.Errorf("%s leaves the grid: %+v", name, g)
			}
			for _, q := range b.Panels[:i] {
				o := q.GridPos
				if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
					t.Errorf("%s lies over panel %d", name, q.ID)
				}
			}
			if p.Type == "row" {
				continue
			}
			if len(p.Description) < 15 || !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s has no description", name)
			}
			// The narrowest that a column gets, at 1440 pixels beside an open menu, and how wide a letter is with room for the icons.
			if room := float64(g.W)*44 - 8; 7.5*float64(len(p.Title))+60 > room {
				t.Errorf("%s: the title is cut in a window of 1440 pixels, with %.0f for it", name, room)
			}
			if p.Type == "text" {
				continue
			}
			if unit, _ := p.FieldConfig.Defaults["unit"].(string); unit == "" {
				t.Errorf("%s has no unit", name)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s has no query", name)
			}
			for _, q := range p.Targets {
				if q.Datasource != (sourceJSON{"prometheus", "${datasource}"}) || q.Datasource != p.Datasource {
					t.Errorf("%s: query %s goes to %v, and not through the variable", name, q.RefID, q.Datasource)
				}
			}
		}
		for _, v := range b.Templating.List {
			if v.Type == "query" && v.Datasource.UID != "${datasource}" {
				t.Errorf("%s: variable %s goes to %v, and not through the variable", b.UID, v.Name, v.Datasource)
			}
			// Variables that are asked for before each refresh stand in its way when Prometheus hangs.
			if v.Type == "query" && v.Refresh != 1 {
				t.Errorf("%s: variable %s is asked for again with each refresh", b.UID, v.Name)
			}
		}
	}
}

// The numbers were measured in Grafana 12.4, kiosk mode, without signing in.
const (
	unitHigh   = 30 // pixels
	gap        = 8
	above      = 17 // pixels over the grid
	footer     = 46 // "Powered by Grafana", which only anonymous viewers see
	wallHeight = 1080
)

func TestWall(t *testing.T) {
	for _, n := range []int{1, 3, 4, 5, 6, 7, 9, 10, 12, 14, 16} {
		t.Run(fmt.Sprintf("%d coins", n), func(t *testing.T) {
			wall := parsed(t, wall(n).JSON())
			if !wall.Timepicker.Hidden {
				t.Error("the time picker shows: kiosk mode does not hide it")
			}
			if len(wall.Links) > 0 {
				t.Error("links show above the panels")
			}
			for _, v := range wall.Templating.List {
				if v.Hide != 2 {
					t.Errorf("variable %s shows: kiosk mode does not hide it", v.Name)
				}
			}
			bottom, tiles := 0, 0
			// The tiles' panel comes last, and each row of them is as high as it says.
			covered := map[int]int{}
			for _, p := range wall.Panels {
				high := p.GridPos.H
				if p.Repeat == "coin" {
					tiles++
					high *= (n + p.MaxPerRow - 1) / p.MaxPerRow
					if p.GridPos.W != columns {
						t.Errorf("the tiles are %d columns wide: Grafana makes %d of it", p.GridPos.W, columns)
					}
					if n > 3 && high < tilesHigh-1 {
						t.Errorf("the tiles leave %d of %d units of height empty", tilesHigh-high, tilesHigh)
					}
				}
				if p.Type == "row" || p.Title != "" {
					t.Errorf("panel %d is a row, or has a title, whose letters are too small for a wall", p.ID)
				}
				for y := p.GridPos.Y; y < p.GridPos.Y+high; y++ {
					covered[y] += p.GridPos.W
				}
				bottom = max(bottom, p.GridPos.Y+high)
			}
			if tiles != 1 {
				t.Errorf("%d panels are repeated by coin: a coin is one panel", tiles)
			}
			if high := above + bottom*(unitHigh+gap) - gap + footer; high > wallHeight {
				t.Errorf("the wall is %d pixels high: it scrolls on a wall of %d", high, wallHeight)
			}
			// No hole: a grid that Grafana compacts would not look as it was drawn.
			for y := range bottom {
				if covered[y] != columns {
					t.Errorf("row %d of the grid is covered %d of %d columns wide", y, covered[y], columns)
				}
			}
			source := regexp.MustCompile(`a href="https://www\.coingecko\.com"[^/]*>Data provided by CoinGecko`)
			if !slices.ContainsFunc(wall.Panels, func(p panelJSON) bool { return source.MatchString(p.Options.Content) }) {
				t.Error("CoinGecko is not named as the source, with a link")
			}
		})
	}
}

// Grafana's page sends five queries to data sources at a time (over HTTP/1.1). When Prometheus hangs, each five wait until the time-out, and
// a refresh cancels those that have not had their turn: their panels would show old prices for ever.
func TestHangShowsWithinARefresh(t *testing.T) {
	const atOnce, mostCoins = 5, 16
	wall := boards(t)[0]
	refresh := span(t, wall.Refresh)
	requests := mostCoins
	for _, p := range wall.Panels {
		if len(p.Targets) > 0 && p.Repeat == "" {
			requests++
		}
	}
	rounds := (requests + atOnce - 1) / atOnce
	for _, file := range []string{"provisioning/datasources/prometheus.yaml", "../stack/grafana/datasources/prometheus.yaml", "../charts/coingecko-exporter/templates/wall.yaml"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`\btimeout: (\d+)`).FindSubmatch(raw)
		if m == nil {
			t.Errorf("%s: the data source has no timeout", file)
			continue
		}
		seconds, _ := strconv.Atoi(string(m[1]))
		if all := time.Duration(rounds*seconds) * time.Second; all >= refresh {
			t.Errorf("%s: %d requests give up after %v, and the next refresh comes after %v", file, requests, all, refresh)
		}
	}
}

// A pattern without slashes has to match the whole name in Grafana, and a tile would have no colour.
func TestPatternsHaveSlashes(t *testing.T) {
	seen := 0
	for _, d := range all(coins) {
		for _, m := range regexp.MustCompile(`"byRegexp",\s+"options": (.*)`).FindAllSubmatch(d.JSON(), -1) {
			seen++
			if !regexp.MustCompile(`^"/.+/"$`).Match(m[1]) {
				t.Errorf("%s: Grafana takes the pattern %s for a whole name", d.UID, m[1])
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d patterns were found, and not those of the tile's colours", seen)
	}
}

// An alert or a runbook that links here must not lead nowhere.
func TestLinks(t *testing.T) {
	var uids []string
	for _, b := range boards(t) {
		uids = append(uids, b.UID)
	}
	if want := []string{"coingecko-wall", "coingecko-analysis", "coingecko-exporter"}; !slices.Equal(uids, want) {
		t.Errorf("uids are %v: alerts, chart and the kiosk's URL know them as %v", uids, want)
	}
	for _, b := range boards(t) {
		for _, l := range b.Links {
			if uid, inside := strings.CutPrefix(l.URL, "/d/"); inside && !slices.Contains(uids, uid) {
				t.Errorf("%s: link %q leads to %s, which is not here", b.UID, l.Title, l.URL)
			}
		}
		if b.UID != "coingecko-wall" && !slices.ContainsFunc(b.Links, func(l struct{ Title, URL string }) bool {
			return strings.Contains(l.Title, "Data provided by CoinGecko") && l.URL == "https://www.coingecko.com"
		}) {
			t.Errorf("%s: CoinGecko is not named as the source", b.UID)
		}
	}
}

func TestUsage(t *testing.T) {
	taken := t.TempDir()
	if err := os.Mkdir(filepath.Join(taken, "coingecko-wall.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, exitOK, ""},
		{nil, exitUsage, ""},
		{[]string{"bogus"}, exitUsage, "bogus"},
		{[]string{"generate", "--output", "nowhere"}, exitUsage, "nowhere"},
		{[]string{"generate", "--output", taken}, exitFailed, "cannot write"},
		{[]string{"push"}, exitUsage, "--grafana.url"},
		{[]string{"push", "--grafana.url", "http://localhost:3000"}, exitUsage, "--grafana.token-file"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), test.args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%q ended with %d, not %d: %s", test.args, code, test.code, stderr.String())
		}
	}
}
