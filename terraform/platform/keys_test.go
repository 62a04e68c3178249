// Package platform only contains this check of the Helm values in main.tf.
package platform

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v2"
)

// TestKeys compares each key in the golden files with the values.yaml of the pinned chart, because Helm ignores misspelt keys
// silently. terraform/test runs it.
func TestKeys(t *testing.T) {
	t.Parallel()
	stack, grafana := os.Getenv("KUBE_PROMETHEUS_STACK_VALUES"), os.Getenv("GRAFANA_VALUES")
	if stack == "" || grafana == "" {
		t.Skip("not run here: set KUBE_PROMETHEUS_STACK_VALUES and GRAFANA_VALUES, as make test-terraform says")
	}
	known, text := read(t, stack)
	grafanaKnown, grafanaText := read(t, grafana)
	text += grafanaText
	// Subcharts accept more values than the stack lists. The values.yaml of these two are not available; both have had
	// resources since their first versions.
	merge(known, map[any]any{
		"grafana":                  grafanaKnown,
		"kube-state-metrics":       map[any]any{"resources": map[any]any{}},
		"prometheus-node-exporter": map[any]any{"resources": map[any]any{}},
	})
	files, err := filepath.Glob("tests/golden/*.monitoring.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d golden files (%v), and not 4", len(files), err)
	}
	for _, file := range files {
		given, _ := read(t, file)
		for _, key := range unknown(given, known, text, "") {
			t.Errorf("%s: the chart knows no %s", file, key)
		}
	}
	if got := unknown(map[any]any{"prometheus": map[any]any{"prometheusSpec": map[any]any{"retentoin": "1d"}}}, known, text, ""); fmt.Sprint(got) != "[prometheus.prometheusSpec.retentoin]" {
		t.Errorf("a misspelt key was not found: %v", got)
	}
}

// unknown lists the paths of given that the chart does not have. Below an empty map, a list or a scalar of the chart, every key
// is accepted, because Kubernetes or Prometheus defines it.
func unknown(given, known map[any]any, text, path string) []string {
	var out []string
	for name, value := range given {
		key := fmt.Sprint(name)
		if path+key == "grafana.grafana.ini" {
			continue // its contents are Grafana's
		}
		chart, ok := known[name]
		if !ok {
			// values.yaml lists optional keys in comments.
			if !regexp.MustCompile(`(?m)^\s*# ?` + regexp.QuoteMeta(key) + `:`).MatchString(text) {
				out = append(out, path+key)
			}
			continue
		}
		given, both := value.(map[any]any)
		known, isMap := chart.(map[any]any)
		if both && isMap && len(known) > 0 {
			out = append(out, unknown(given, known, text, path+key+".")...)
		}
	}
	return out
}

// merge adds the missing keys of the other map, at any depth.
func merge(to, from map[any]any) {
	for key, value := range from {
		here, isMap := to[key].(map[any]any)
		there, both := value.(map[any]any)
		if isMap && both {
			merge(here, there)
		} else if _, ok := to[key]; !ok {
			to[key] = value
		}
	}
}

func read(t *testing.T, file string) (map[any]any, string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	var out map[any]any
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out, string(text)
}
