package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Every rule as shipped comes after those that it reads, and none is left out.
func TestPassesOfTheShippedRules(t *testing.T) {
	t.Parallel()
	passes, err := readPasses("../../alerts/*.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pass := map[string]int{}
	count := 0
	for i, rules := range passes {
		for _, r := range rules {
			pass[r.Record] = i
			count++
		}
	}
	for _, rules := range passes {
		for _, r := range rules {
			for series, i := range pass {
				if series != r.Record && strings.Contains(" "+r.Expr+" ", series+"{") && i >= pass[r.Record] {
					t.Errorf("%s is made in pass %d and reads %s of pass %d", r.Record, pass[r.Record], series, i)
				}
			}
		}
	}
	if n := pass["coingecko:store_quote:info"]; n != 0 {
		t.Errorf("what reads no rule is made in pass %d", n)
	}
	recorded := 0
	files, _ := filepath.Glob("../../alerts/*.rules.yaml")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		recorded += len(regexp.MustCompile(`(?m)^[^#\n]*record: `).FindAll(text, -1))
	}
	if count != recorded {
		t.Errorf("%d rules, but the files hold %d", count, recorded)
	}
}

func TestPassesRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":    {`groups: [{name: a, rules: [{alert: b, expr: up}]}]`, "no recording rules in"},
		"a circle":   {`groups: [{name: a, rules: [{record: "a:a", expr: "b:b"}, {record: "b:b", expr: "a:a"}]}]`, "in a circle"},
		"no YAML":    {"groups: [", "rules.yaml: yaml"},
		"of itself":  {`groups: [{name: a, rules: [{record: "a:a", expr: "up or a:a"}]}]`, ""},
		"many parts": {`groups: [{name: a, rules: [{record: "a:a", expr: up}, {record: "a:a", expr: up}]}]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "rules.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			passes, err := readPasses(file)
			switch {
			case c.want == "" && (err != nil || len(passes) != 1):
				t.Errorf("%d passes, %v", len(passes), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

// What goes wrong is told, and nothing half done is left.
func TestNoHistory(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for control, want := range map[string]string{
		refusing.URL + "/": "the simulator answers 404 Not Found to " + refusing.URL + "/history?hours=1.5",
		gone.URL + "/":     "the simulator cannot be asked for its history",
	} {
		data := filepath.Join(t.TempDir(), "prometheus")
		b := backfill{control: control, data: data, rules: "../../alerts/*.rules.yaml", span: 90 * time.Minute}
		if err := b.run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
		if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
			t.Errorf("%v is left (%v)", left, err)
		}
	}
}
