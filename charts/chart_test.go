// Package charts tests the resources that the chart renders from its values.
package charts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v2"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const chart = "coingecko-exporter"

type object = map[any]any

// render returns the objects that helm renders with these arguments.
func render(t *testing.T, args ...string) []object {
	t.Helper()
	helm := os.Getenv("HELM")
	if helm == "" {
		t.Skip("not run here: the chart's rendering. To provide it: make test-chart")
	}
	cmd := exec.Command(helm, append([]string{"template", chart, chart, "--namespace=rates"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", args, err, stderr.String())
	}
	var objects []object
	for document := range strings.SplitSeq(string(out), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
	return objects
}

// valueFiles returns the chart's example values.
func valueFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %s, %v", files, err)
	}
	return append(files, chart+"/values-production.yaml")
}

// at returns the value at a path of keys, or nil.
func at(v any, keys ...any) any {
	for _, key := range keys {
		m, _ := v.(object)
		v = m[key]
	}
	return v
}

func named(t *testing.T, objects []object, kind, name string) object {
	t.Helper()
	for _, o := range objects {
		if o["kind"] == kind && at(o, "metadata", "name") == name {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, file string) object {
	t.Helper()
	var o object
	if err := yaml.Unmarshal(read(t, file), &o); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return o
}

// TestFiles: the packaged files are copies of the originals, not links, which Flux omits from what it fetches.
func TestFiles(t *testing.T) {
	packaged := regexp.MustCompile(`^([a-z]+\.rules\.yaml|coingecko-[a-z]+\.json)$`)
	for copies, folder := range map[string]string{"rules": "../alerts", "dashboards": "../dashboards"} {
		want, got := tree(t, folder), tree(t, chart+"/files/"+copies)
		maps.DeleteFunc(want, func(name, _ string) bool { return !packaged.MatchString(name) })
		delete(want, "store.rules.yaml") // which the chart generates from its values
		if diff := cmp.Diff(want, got); len(want) < 3 || diff != "" {
			t.Errorf("files/%s differs from %d files of %s: make chart-files\n%s", copies, len(want), folder, diff)
		}
	}
}

// TestRules: the rules are those that alerts/ tests, with the release's namespace in each selector. The default values generate
// the settings of alerts/store.rules.yaml.
func TestRules(t *testing.T) {
	objects := render(t, "--set=prometheusRule.enabled=true")
	files, err := filepath.Glob("../alerts/*.rules.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %s, %v", files, err)
	}
	scoped := strings.NewReplacer(`namespace="rates",`, "", `{namespace="rates"}`, "", "-rates", "")
	for _, file := range files {
		topic := strings.TrimSuffix(filepath.Base(file), ".rules.yaml")
		got, want := named(t, objects, "PrometheusRule", chart+"-"+topic)["spec"].(object), parse(t, file)
		for _, group := range got["groups"].([]any) {
			for _, rule := range group.(object)["rules"].([]any) {
				rule := rule.(object)
				rule["expr"] = scoped.Replace(rule["expr"].(string))
				switch {
				case topic == "store":
					if at(rule, "labels", "namespace") != "rates" {
						t.Errorf("a setting of all namespaces: %v", rule)
					}
					delete(rule["labels"].(object), "namespace")
				case at(rule, "annotations", "dashboard_url") != nil:
					rule["annotations"].(object)["dashboard_url"] = scoped.Replace(at(rule, "annotations", "dashboard_url").(string))
				}
			}
		}
		var options cmp.Options
		if topic == "store" { // the order of settings is irrelevant
			options = append(options, cmpopts.SortSlices(func(a, b any) bool { return fmt.Sprint(a) < fmt.Sprint(b) }))
		}
		if diff := cmp.Diff(want, got, options); diff != "" {
			t.Errorf("%s and the chart's rules differ: set store in the chart's values.yaml as in store.rules.yaml, or run make chart-files\n- only in the file, + only in the chart:\n%s",
				file, diff)
		}
	}
}

var (
	quoted = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'[^']*'|`[^`]*`|#[^\n]*")
	lists  = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)`)
	names  = regexp.MustCompile(`([a-zA-Z0-9_:.]+)\s*(\(|\{[^}]*\})?`)
	words  = strings.Fields("and or unless by on without ignoring group_left group_right offset bool start end Inf")
)

// TestScope: no selector in a rule matches another namespace. Whatever is not a function, a keyword or a label list is a selector.
func TestScope(t *testing.T) {
	selectors := 0
	for _, o := range render(t, "--set=prometheusRule.enabled=true") {
		if o["kind"] != "PrometheusRule" {
			continue
		}
		for _, group := range at(o, "spec", "groups").([]any) {
			for _, rule := range group.(object)["rules"].([]any) {
				expr := rule.(object)["expr"].(string)
				plain := lists.ReplaceAllString(quoted.ReplaceAllStringFunc(expr, func(s string) string {
					if s == `"rates"` {
						return s
					}
					return `""`
				}), " ")
				for _, m := range names.FindAllStringSubmatch(plain, -1) {
					if m[2] == "(" || slices.Contains(words, m[1]) || strings.ContainsRune(".0123456789", rune(m[1][0])) {
						continue
					}
					selectors++
					if !strings.HasPrefix(m[2], `{namespace="rates"`) {
						t.Errorf("%s%s sees all namespaces, in\n%s", m[1], m[2], expr)
					}
				}
			}
		}
	}
	if selectors < 100 {
		t.Errorf("only %d selectors were found", selectors)
	}
}

// TestDashboards: the dashboards are the generated files, except for the file name, UID, title, links and selected namespace, which
// distinguish shops: a sidecar writes the files of all namespaces to one folder.
func TestDashboards(t *testing.T) {
	objects := render(t, "--set=wall.enabled=true,wall.prometheusURL=http://prometheus")
	for _, name := range []string{"wall", "analysis", "exporter"} {
		text := at(named(t, objects, "ConfigMap", chart+"-"+name+"-dashboard"), "data", "coingecko-"+name+"-rates.json").(string)
		if dedicated := at(named(t, objects, "ConfigMap", chart+"-wall"), "data", "coingecko-wall.json"); name == "wall" && dedicated != text {
			t.Error("the dedicated Grafana has another wall")
		}
		original := regexp.MustCompile(`/d/coingecko-[a-z]+`).ReplaceAll(read(t, "../dashboards/coingecko-"+name+".json"), []byte("$0-rates"))
		var got, want map[string]any
		if err := errors.Join(json.Unmarshal([]byte(text), &got), json.Unmarshal(original, &want)); err != nil {
			t.Fatal(err)
		}
		want["uid"], want["title"] = fmt.Sprint(want["uid"], "-rates"), fmt.Sprint(want["title"], " (rates)")
		list := func(dashboard map[string]any) []any { return dashboard["templating"].(map[string]any)["list"].([]any) }
		namespace := slices.IndexFunc(list(want), func(variable any) bool { return variable.(map[string]any)["name"] == "namespace" })
		scoped := list(got)[namespace].(map[string]any)
		if scoped["name"] != "namespace" || scoped["type"] != "custom" || scoped["current"].(map[string]any)["value"] != "rates" {
			t.Errorf("%s does not begin with the release's namespace: %v", name, scoped)
		}
		list(want)[namespace] = scoped
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is not the file of dashboards/:\n%s", name, diff)
		}
	}
}

// TestNothingMoreThanNeeded: with any values, no object grants permissions, no pod has a token, and all pods comply with the
// restricted Pod Security Standard: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func TestNothingMoreThanNeeded(t *testing.T) {
	files := valueFiles(t)
	pods := 0
	for _, file := range files {
		for _, o := range render(t, "--values="+file) {
			kind := o["kind"].(string)
			if strings.Contains(kind, "Role") {
				t.Errorf("%s: there is a %s", file, kind)
			}
			spec := o["spec"]
			switch kind {
			case "ServiceAccount":
				if o["automountServiceAccountToken"] != false {
					t.Errorf("%s: the account %v mounts a token", file, at(o, "metadata", "name"))
				}
			case "Deployment":
				spec = at(spec, "template", "spec")
				fallthrough
			case "Pod":
				pods++
				checkPod(t, file, spec)
			}
		}
	}
	if pods < 2*len(files) {
		t.Errorf("only %d pods were seen", pods)
	}
}

func checkPod(t *testing.T, file string, spec any) {
	t.Helper()
	container := at(spec, "containers").([]any)[0]
	for what, ok := range map[string]bool{
		"mounts a token":              at(spec, "automountServiceAccountToken") == false,
		"may run as root":             at(spec, "securityContext", "runAsNonRoot") == true && at(spec, "securityContext", "runAsUser") != 0,
		"has no seccomp profile":      at(spec, "securityContext", "seccompProfile", "type") == "RuntimeDefault",
		"may gain privileges":         at(container, "securityContext", "allowPrivilegeEscalation") == false,
		"has capabilities":            reflect.DeepEqual(at(container, "securityContext", "capabilities"), object{"drop": []any{"ALL"}}),
		"can write to its root":       at(container, "securityContext", "readOnlyRootFilesystem") == true,
		"has no limit of memory":      at(container, "resources", "limits", "memory") != nil,
		"takes its host's namespaces": at(spec, "hostNetwork") == nil && at(spec, "hostPID") == nil && at(spec, "hostIPC") == nil,
		"gets variables of services":  at(spec, "enableServiceLinks") == false,
	} {
		if !ok {
			t.Errorf("%s: the pod of %v %s", file, at(container, "name"), what)
		}
	}
	volumes, _ := at(spec, "volumes").([]any)
	for _, volume := range volumes {
		for kind := range volume.(object) {
			if !slices.Contains([]any{"name", "configMap", "secret", "emptyDir"}, kind) {
				t.Errorf("%s: a volume of kind %v", file, kind)
			}
		}
	}
}

// TestSchema: the schema has exactly the values of values.yaml, and rejects unknown keys except where Kubernetes defines them.
func TestSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(read(t, chart+"/values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	values := parse(t, chart+"/values.yaml")
	delete(values, "global")
	for _, key := range []string{"global", "enabled", "tags"} { // a parent chart's
		delete(schema["properties"].(map[string]any), key)
	}
	compareSchema(t, "", schema, schema["$defs"].(map[string]any), values)
}

func compareSchema(t *testing.T, path string, schema, definitions map[string]any, values object) {
	t.Helper()
	if schema["additionalProperties"] != false {
		t.Errorf("the schema of %q is open", path)
	}
	properties := schema["properties"].(map[string]any)
	for key := range properties {
		if _, ok := values[key]; !ok {
			t.Errorf("the schema has %s.%s, values.yaml has not", path, key)
		}
	}
	for key, value := range values {
		property, ok := properties[key.(string)].(map[string]any)
		if !ok {
			t.Errorf("values.yaml has %s.%s, the schema has not", path, key)
			continue
		}
		if ref, ok := property["$ref"].(string); ok {
			property = definitions[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		inner := path + "." + key.(string)
		optional := key == "resources" || inner == ".store.thresholds.kinds" // have properties without a default
		if value, ok := value.(object); ok && property["properties"] != nil && !optional {
			compareSchema(t, inner, property, definitions, value)
		}
	}
}

// TestVersions: chart, image and program have the version in the file VERSION.
func TestVersions(t *testing.T) {
	want := strings.TrimSpace(string(read(t, "../VERSION")))
	about := parse(t, chart+"/Chart.yaml")
	for _, key := range []string{"version", "appVersion"} {
		if about[key] != want {
			t.Errorf("Chart.yaml has %s %v, VERSION has %s", key, about[key], want)
		}
	}
	images := at(about, "annotations", "artifacthub.io/images").(string)
	wall := at(parse(t, chart+"/values.yaml"), "wall", "image")
	for _, image := range []string{"coingecko-exporter:" + want, at(wall, "registry").(string) + "/" + at(wall, "repository").(string) + ":" + at(wall, "tag").(string)} {
		if !strings.Contains(images, image+"\n") {
			t.Errorf("Chart.yaml's list of images lacks %s", image)
		}
	}
	named := regexp.MustCompile(`(?:coingecko-exporter:|repository:|\bVERSION=)(\d+\.\d+\.\d+)`)
	for _, file := range []string{"../README.md", "../SECURITY.md", "../.env.example", "../terraform/README.md"} {
		found := named.FindAllStringSubmatch(string(read(t, file)), -1)
		if len(found) == 0 {
			t.Errorf("%s names no version", file)
		}
		for _, m := range found {
			if m[1] != want {
				t.Errorf("%s has %s, VERSION has %s", file, m[0], want)
			}
		}
	}
}

// TestPackage: the package contains the files that the chart needs, and no others.
func TestPackage(t *testing.T) {
	render(t)
	dir := t.TempDir()
	testbed.Run(t, os.Getenv("HELM"), "package", chart, "--version=0.0.1", "--destination", dir)
	testbed.Run(t, "tar", "-xzf", dir+"/"+chart+"-0.0.1.tgz", "-C", dir)
	want, got := tree(t, chart), tree(t, dir+"/"+chart)
	maps.DeleteFunc(want, func(name, _ string) bool {
		return regexp.MustCompile(`^(ci|tests)/|\.(gotmpl|orig|swp|DS_Store)$|~$`).MatchString(name)
	})
	delete(want, "Chart.yaml") // rewritten by Helm
	delete(got, "Chart.yaml")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- missing, + not wanted in the package:\n%s", diff)
	}
}

// tree returns the texts of all files in a folder, by path. None may be a link.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if !entry.Type().IsRegular() {
				t.Errorf("%s/%s is no regular file", folder, path)
			}
			texts[path] = string(read(t, folder+"/"+path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestIncomplete: an incomplete copy of the chart fails with an error, and is not installed without alerts or dashboards.
func TestIncomplete(t *testing.T) {
	render(t)
	for what, spoil := range map[string]func(string) error{
		"files/rules/*.rules.yaml": func(dir string) error { return os.RemoveAll(dir + "/files/rules") },
		"files/dashboards/*.json":  func(dir string) error { return os.RemoveAll(dir + "/files/dashboards") },
		"files/rules/data.rules.yaml contains no rules": func(dir string) error {
			return os.WriteFile(dir+"/files/rules/data.rules.yaml", []byte("../../../../alerts/data.rules.yaml"), 0o600)
		},
		"files/dashboards/coingecko-wall.json contains no dashboard": func(dir string) error { return os.WriteFile(dir+"/files/dashboards/coingecko-wall.json", nil, 0o600) },
	} {
		dir := t.TempDir() + "/" + chart
		if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(os.Getenv("HELM"), "template", dir, "--set=prometheusRule.enabled=true").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "the chart is incomplete: ") || !strings.Contains(string(out), what) {
			t.Errorf("without %s: %v %.500s", what, err, out)
		}
	}
}

// TestSettings: what cannot work is refused with a message that says what to set.
func TestSettings(t *testing.T) {
	render(t)
	for _, tc := range []struct{ set, refusal string }{
		{"coingecko.plan=demo", "coingecko.plan=demo requires an API key: set coingecko.apiKey.existingSecret.name (or externalSecret, or value for a trial)"},
		{"coingecko.apiKey.value=x", "coingecko.plan=keyless does not use an API key: set coingecko.plan to demo or pro, or remove coingecko.apiKey"},
		{"coingecko.plan=pro coingecko.apiKey.value=x coingecko.apiKey.existingSecret.name=y", "coingecko.apiKey has more than one source: set only one of value, existingSecret.name and externalSecret"},
		{"coingecko.plan=pro coingecko.apiKey.externalSecret.enabled=true", "coingecko.apiKey.externalSecret.enabled=true requires secretStoreRef.name and remoteRef.key: set both"},
		{"coingecko.plan=demo coingecko.apiKey.value=x coingecko.interval=1m", "coingecko.interval=60s exceeds the quota: 2,678,400 s / 60 s = 44640 polls in a month of 31 days, but the demo plan allows 10000. Set coingecko.interval to 268s or more, or coingecko.quotaPerMonth to the quota of your plan"},
		{"coingecko.plan=demo coingecko.apiKey.value=x coingecko.interval=268s", ""}, // as the refusal below names it
		{"coingecko.plan=demo coingecko.apiKey.value=x coingecko.interval=267s", "coingecko.interval=267s exceeds the quota: 2,678,400 s / 267 s = 10032 polls in a month of 31 days, but the demo plan allows 10000. Set coingecko.interval to 268s or more, or coingecko.quotaPerMonth to the quota of your plan"},
		{"coingecko.plan=pro coingecko.apiKey.value=x coingecko.interval=20s", "coingecko.interval=20s exceeds the quota: 2,678,400 s / 20 s = 133920 polls in a month of 31 days, but the pro plan allows 100000. Set coingecko.interval to 27s or more, or coingecko.quotaPerMonth to the quota of your plan"},
		{"coingecko.plan=pro coingecko.apiKey.value=x coingecko.interval=20s coingecko.quotaPerMonth=133920", ""},                   // a larger plan
		{"coingecko.plan=pro coingecko.apiKey.value=x coingecko.interval=10s coingecko.urls={https://notcoingecko.com/api/v3}", ""}, // a gateway has no quota that is known
		{"coingecko.plan=pro coingecko.apiKey.value=x coingecko.interval=10s coingecko.urls={http://gateway/api/v3,https://pro-api.coingecko.com/api/v3}", "coingecko.interval=10s exceeds the quota: 2,678,400 s / 10 s = 267840 polls in a month of 31 days, but the pro plan allows 100000. Set coingecko.interval to 27s or more, or coingecko.quotaPerMonth to the quota of your plan"},
		{"coingecko.interval=11s", "coingecko.interval=11s makes 6 polls a minute, but keyless access allows 5 to 15, shared by all clients behind one IP address: set coingecko.interval to 12s or more"},
		{"coingecko.interval=9s", "coingecko.interval=9s is below the minimum of 10s"},
		{"coingecko.interval=5m rates.maxAge=4m59s", "rates.maxAge=4m59s is shorter than the polling interval of 300s, so rates would expire before the next poll: set rates.maxAge to 300s or more"},
		{"coingecko.timeout=20m", "coingecko.timeout=20m is longer than the maximum age of 600s, so rates would expire during a poll: set coingecko.timeout to 600s or less"},
		{"simulate=true rates.maxAge=6s", ""}, // below the timeout, which does not matter on loopback
		{"simulate=true coingecko.plan=pro", "simulate=true cannot be combined with coingecko.plan, coingecko.apiKey, coingecko.urls or coingecko.httpConfig: remove them or set simulate=false"},
		{"relay.autoscaling.enabled=true", "relay.autoscaling.enabled=true requires relay.enabled=true: the poller is never scaled, because each poller uses the quota"},
		{"relay.enabled=true relay.autoscaling.minReplicas=7", "relay.autoscaling.minReplicas=7 is above relay.autoscaling.maxReplicas=6"},
		{"web.tls.enabled=true", "web.tls.enabled=true requires one certificate: set either web.tls.existingSecret or web.tls.certManager.enabled"},
		{"web.tls.enabled=true web.tls.existingSecret=a web.tls.certManager.enabled=true", "web.tls.enabled=true requires one certificate: set either web.tls.existingSecret or web.tls.certManager.enabled"},
		{"web.tls.enabled=true web.tls.certManager.enabled=true", "web.tls.certManager.enabled=true requires an issuer: set web.tls.certManager.issuerRef.name"},
		{"web.basicAuth.enabled=true", "web.basicAuth.enabled=true requires one password: set either web.basicAuth.existingSecret or, for a trial, web.basicAuth.password"},
		{"serviceMonitor.namespace=monitoring web.basicAuth.enabled=true web.basicAuth.existingSecret=auth", "serviceMonitor.namespace=monitoring cannot be combined with web.tls or web.basicAuth: the ServiceMonitor must be in the namespace of its Secrets, rates. Remove serviceMonitor.namespace, or web.tls and web.basicAuth"},
		{"image.tag=latest", "image.tag=latest is not a fixed version: set a version or a digest"},
		{"wall.image.tag=latest", "wall.image.tag=latest is not a fixed version: set a version or a digest"},
		{"wall.enabled=true", "wall.enabled=true requires wall.prometheusURL: set the URL of the Prometheus that scrapes this exporter and evaluates its rules, such as http://kube-prometheus-stack-prometheus.monitoring:9090"},
		{"httpRoute.enabled=true", "httpRoute.enabled=true requires httpRoute.parentRefs: set at least one Gateway"},
		{"coingecko.intervall=5m", "at '/coingecko': additional properties 'intervall' not allowed"},
		{"coingecko.interval=5min", "at '/coingecko/interval': '5min' does not match pattern '^([0-9]+h)?([0-9]+m)?([0-9]+s)?$'"},
		{"store.coins={btc,eth,btc}", "at '/store/coins': items at 0 and 2 are equal"},
		{"--set-json=store.thresholds.kinds.crypto.2h.warning=0.1", "at '/store/thresholds/kinds/crypto': additional properties '2h' not allowed"},
		{"store.thresholds.kinds.crypto.1h.critical=10", "store.thresholds.kinds.crypto.1h.critical=10 is 1000 %: set a share, such as 0.05 for 5 %"},
		{"store.thresholds.currencies.eth.1h.warning=5%", `at '/store/thresholds/currencies/eth/1h/warning': '5%' does not match pattern '^0?\\.[0-9]+$'`},
		{"--set-json=store.thresholds.currencies.btc.24h.warning=0.3", "store.thresholds.currencies.btc.24h: warning=0.3 is not below critical=0.3"},
		{"store.thresholds.currencies.btc.24h.warning=null", ""}, // a critical threshold alone
		{`commonLabels.app\.kubernetes\.io/instance=shop`, "commonLabels must not contain app.kubernetes.io/instance, which the chart uses in selectors: remove it. To change name and instance, set nameOverride and the release name"},
		{`service.labels.app\.kubernetes\.io/name=x`, "service.labels must not contain app.kubernetes.io/name, which the chart uses in selectors: remove it. To change name and instance, set nameOverride and the release name"},
		{`relay.podLabels.app\.kubernetes\.io/component=x`, "relay.podLabels must not contain app.kubernetes.io/component, which the chart uses in selectors: remove it. To change name and instance, set nameOverride and the release name"},
		{"--set-json=image.tag=1.1", "at '/image/tag': got number, want integer or string"},
		{"enabled=false", "enabled=false works only in a parent chart: set condition: coingecko-exporter.enabled on the dependency"},
		{"serviceMonitor.scrapeTimeout=1m", "serviceMonitor.scrapeTimeout=1m is longer than serviceMonitor.interval=30s, which Prometheus rejects: shorten the timeout"},
		{"serviceMonitor.interval=5m", "serviceMonitor.interval=5m is longer than 2m, so that one failed scrape could interrupt alerts: shorten the interval"},
		{"--set-json=rates.maxJump=0.5", "rates.maxJump=0.5 is not above 1: set a factor such as 1.5, or 0 to withhold no rate"},
		{"prometheusRule.alertLabels.severity=page", "invalid propertyName 'severity'"},
	} {
		t.Run(tc.set, func(t *testing.T) {
			t.Parallel()
			args := []string{"template", chart, chart, "--namespace=rates"}
			for setting := range strings.FieldsSeq(tc.set) {
				if !strings.HasPrefix(setting, "--") {
					setting = "--set=" + setting
				}
				args = append(args, setting)
			}
			out, err := exec.Command(os.Getenv("HELM"), args...).CombinedOutput()
			if (err == nil) != (tc.refusal == "") || !strings.Contains(string(out), tc.refusal+"\n") {
				t.Errorf("%v\n%.1000s\nwant %s", err, out, tc.refusal)
			}
		})
	}
}

// TestMetadata: each resource has the labels and annotations that the values have for it.
func TestMetadata(t *testing.T) {
	resources := []struct{ values, kind, suffix string }{
		{"poller", "Deployment", "-poller"},
		{"relay", "Deployment", "-relay"},
		{"relay.autoscaling", "HorizontalPodAutoscaler", "-relay"},
		{"relay.podDisruptionBudget", "PodDisruptionBudget", "-relay"},
		{"wall", "Deployment", "-wall"},
		{"wall.service", "Service", "-wall"},
		{"wall.ingress", "Ingress", "-wall"},
		{"service", "Service", ""},
		{"serviceAccount", "ServiceAccount", ""},
		{"ingress", "Ingress", ""},
		{"httpRoute", "HTTPRoute", ""},
		{"networkPolicy", "NetworkPolicy", "-poller"},
		{"networkPolicy", "NetworkPolicy", "-wall"},
		{"serviceMonitor", "ServiceMonitor", ""},
		{"prometheusRule", "PrometheusRule", "-data"},
		{"prometheusRule", "PrometheusRule", "-store"},
		{"dashboards", "ConfigMap", "-wall-dashboard"},
		{"coingecko.apiKey", "Secret", "-api-key"},
		{"coingecko.apiKey", "ExternalSecret", "-api-key"},
		{"web", "Secret", "-web"},
		{"web", "ConfigMap", "-web"},
		{"web", "ConfigMap", "-client"},
		{"web", "Certificate", ""},
	}
	args := []string{"--values=" + chart + "/ci/pods-values.yaml", "--set=networkPolicy.enabled=true,coingecko.plan=demo"}
	for _, r := range resources {
		args = append(args, fmt.Sprintf("--set=%[1]s.labels.of=%[1]s,%[1]s.annotations.of=%[1]s", r.values))
	}
	objects := slices.Concat(
		render(t, append(args, "--set=coingecko.apiKey.value=x")...),
		render(t, append(args, "--values="+chart+"/ci/external-secret-values.yaml", "--set=web.basicAuth.enabled=true,web.basicAuth.password=x,"+
			"web.tls.existingSecret=,web.tls.certManager.enabled=true,web.tls.certManager.issuerRef.name=internal")...))
	for _, r := range resources {
		metadata := at(named(t, objects, r.kind, chart+r.suffix), "metadata")
		if at(metadata, "labels", "of") != r.values || at(metadata, "annotations", "of") != r.values {
			t.Errorf("the %s for %s has other labels or annotations: %v", r.kind, r.values, metadata)
		}
	}
}

// umbrella makes a chart of which this one is a dependency, and returns its folder.
func umbrella(t *testing.T, values string) string {
	t.Helper()
	own, err := filepath.Abs(chart)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies:\n" +
			"  - {name: coingecko-exporter, version: '*', repository: 'file://" + own + "', condition: coingecko-exporter.enabled, tags: [rates]}\n",
		"values.yaml": values,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testbed.Run(t, os.Getenv("HELM"), "dependency", "build", dir)
	return dir
}

// TestUmbrella: as a dependency, the chart respects condition and tags, and uses the parent's global values.
func TestUmbrella(t *testing.T) {
	render(t)
	dir := umbrella(t, "global: {imageRegistry: mirror.example.com, imagePullSecrets: [one, {name: two}], storageClass: fast}\ntags: {rates: true}\n"+
		"coingecko-exporter: {imagePullSecrets: [{name: three}], wall: {enabled: true, prometheusURL: 'http://prometheus'}}\n")
	for _, tc := range []struct {
		set  string
		want bool
	}{
		{"tags.rates=true", true}, {"tags.rates=false", false}, {"coingecko-exporter.enabled=true", true}, {"coingecko-exporter.enabled=false", false},
	} {
		out := testbed.Run(t, os.Getenv("HELM"), "template", "shop", dir, "--set", tc.set)
		if strings.Contains(out, "kind: Deployment") != tc.want {
			t.Errorf("with %s: %.300s", tc.set, out)
		}
		if !tc.want {
			continue
		}
		for _, image := range regexp.MustCompile(`image: .*`).FindAllString(out, -1) {
			if !strings.HasPrefix(image, `image: "mirror.example.com/`) {
				t.Errorf("with %s: %s", tc.set, image)
			}
		}
		if pods, secrets := strings.Count(out, "serviceAccountName:"), strings.Count(out, "- name: one\n"); pods < 3 || secrets != pods {
			t.Errorf("of %d pods %d have the parent's secret", pods, secrets)
		}
	}
}

// TestArguments: the program accepts the flags that the chart sets. Files that exist only in a pod are omitted.
func TestArguments(t *testing.T) {
	checked := 0
	for _, file := range valueFiles(t) {
		for _, o := range render(t, "--values="+file) {
			spec := at(o, "spec", "template", "spec")
			if o["kind"] != "Deployment" || at(spec.(object)["containers"].([]any)[0], "name") != "exporter" {
				continue
			}
			args, key := []string{"--config.check"}, ""
			for _, arg := range at(spec.(object)["containers"].([]any)[0], "args").([]any) {
				switch arg := arg.(string); {
				case strings.HasPrefix(arg, "--coingecko.api-key-file="):
					key = "CG-0123456789"
				case !strings.Contains(arg, "=/etc/"):
					args = append(args, arg)
				}
			}
			var log bytes.Buffer
			if code := exporter.Run(t.Context(), args, []string{"COINGECKO_API_KEY=" + key}, &log, &log); code != 0 {
				t.Errorf("%s: %v: code %d\n%s", file, at(o, "metadata", "name"), code, &log)
			}
			checked++
		}
	}
	if checked < 20 {
		t.Errorf("only %d pods were checked", checked)
	}
}

// TestTwice: repeated rendering, as in Argo CD, gives the same result, except for the hash of a generated password. Only the test
// is a hook.
func TestTwice(t *testing.T) {
	for _, file := range valueFiles(t) {
		once, again := render(t, "--values="+file), render(t, "--values="+file)
		if !reflect.DeepEqual(once, again) && filepath.Base(file) != "web-trial-values.yaml" {
			t.Errorf("%s: not the same again", file)
		}
		for _, o := range once {
			if hook := at(o, "metadata", "annotations", "helm.sh/hook"); hook != nil && hook != "test" {
				t.Errorf("%s: %v %v is a hook: %v", file, o["kind"], at(o, "metadata", "name"), hook)
			}
		}
	}
}

// TestTwoShops: two releases with different shops in one Prometheus. Each has its quotes, coins and thresholds,
// and no rule of one breaks an evaluation of the other. Prometheus evaluates the rules.
func TestTwoShops(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("not run here: rules of two shops. To provide it: apt-get install prometheus")
	}
	dir := t.TempDir()
	for namespace, shop := range map[string]string{"one": "store.coins={btc,eth}", "two": "store.quotes={eur},store.coins={btc,sol},store.thresholds.kinds.crypto.1h.warning=.02"} {
		for _, o := range render(t, "--namespace="+namespace, "--set=prometheusRule.enabled=true", "--set="+shop) {
			if o["kind"] != "PrometheusRule" {
				continue
			}
			text, err := yaml.Marshal(o["spec"])
			if err != nil {
				t.Fatal(err)
			}
			file := namespace + "-" + at(o, "metadata", "name").(string) + ".rules.yaml"
			if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var series, checks []object
	for _, namespace := range []string{"one", "two"} {
		target := fmt.Sprintf(`namespace=%q,job="coingecko-exporter",instance="a"`, namespace)
		for name, values := range map[string]string{
			"up": "1x20", "coingecko_up": "1x20", "coingecko_last_success_timestamp_seconds": "0+60x20", "coingecko_last_poll_timestamp_seconds": "0+60x20",
			"coingecko_rates_max_age_seconds": "600x20", "coingecko_poll_interval_seconds": "60x20",
		} {
			series = append(series, object{"series": name + "{" + target + "}", "values": values})
		}
		for currency, rate := range map[string]string{"btc": "1", "eth": "20", "sol": "400", "usd": "60000", "eur": "50000"} {
			kind := "crypto"
			if currency == "usd" || currency == "eur" {
				kind = "fiat"
			}
			for _, name := range []string{"coingecko_exchange_rate", "coingecko_previous_exchange_rate"} {
				series = append(series, object{"series": fmt.Sprintf(`%s{%s,currency=%q,kind=%q}`, name, target, currency, kind), "values": rate + "x20"})
			}
		}
	}
	for expr, want := range map[string]map[string]float64{
		`count by (namespace, quote) (currency_quote:coingecko_price:ratio{currency="btc"})`: {
			`{namespace="one", quote="eur"}`: 1, `{namespace="one", quote="usd"}`: 1, `{namespace="two", quote="eur"}`: 1, `{namespace="two", quote="usd"}`: 1,
		},
		`count by (namespace, currency) (currency:coingecko_watched:info{kind="crypto"})`: {
			`{namespace="one", currency="btc"}`: 1, `{namespace="one", currency="eth"}`: 1, `{namespace="two", currency="btc"}`: 1, `{namespace="two", currency="sol"}`: 1,
		},
		`max by (namespace) (coingecko:swing_threshold:ratio{kind="crypto",window="1h",severity="warning"})`: {`{namespace="one"}`: 0.07, `{namespace="two"}`: 0.02},
		`count by (namespace) (coingecko:store_coin:info)`:                                                   {`{namespace="one"}`: 2, `{namespace="two"}`: 2},
		`count ({__name__=~".*coingecko.*", namespace=""})`:                                                  nil,
		`count by (alertname) (ALERTS{alertstate="firing"})`:                                                 nil,
	} {
		samples := []any{}
		for labels, value := range want {
			samples = append(samples, object{"labels": labels, "value": value})
		}
		checks = append(checks, object{"expr": expr, "eval_time": "10m", "exp_samples": samples})
	}
	text, err := yaml.Marshal(object{"rule_files": []string{"*.rules.yaml"}, "evaluation_interval": "1m", "tests": []any{
		object{"interval": "1m", "input_series": series, "promql_expr_test": checks},
	}})
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(dir, "two.test.yaml")
	if err := os.WriteFile(test, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "test", "rules", test).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
