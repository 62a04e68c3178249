// Package charts tests what the chart makes of its values, as Kubernetes would get it.
package charts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

const chart = "coingecko-exporter"

type object = map[any]any

// render gives the objects that helm makes of the chart with these arguments.
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

// at follows keys into maps; nil where there is nothing.
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

// TestRules: Prometheus gets the rules that alerts/ tests, and with the default values the settings that lie there.
func TestRules(t *testing.T) {
	objects := render(t, "--set=prometheusRule.enabled=true")
	files, err := filepath.Glob("../alerts/*.rules.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("found %s, %v", files, err)
	}
	for _, file := range files {
		topic := strings.TrimSuffix(filepath.Base(file), ".rules.yaml")
		got, want := named(t, objects, "PrometheusRule", chart+"-"+topic)["spec"].(object), parse(t, file)
		if topic == "store" { // settings have no order
			for _, o := range []object{got, want} {
				sortRules(o)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the chart has\n%v\nand the file\n%v", file, got, want)
		}
	}
}

func sortRules(rules object) {
	for _, group := range rules["groups"].([]any) {
		slices.SortFunc(group.(object)["rules"].([]any), func(a, b any) int {
			x, _ := yaml.Marshal(a)
			y, _ := yaml.Marshal(b)
			return bytes.Compare(x, y)
		})
	}
}

// TestDashboards: Grafana gets the generated files, byte for byte but for the last line's end.
func TestDashboards(t *testing.T) {
	objects := render(t, "--set=wall.enabled=true,wall.prometheusURL=http://prometheus")
	for _, name := range []string{"wall", "analysis", "exporter"} {
		want := strings.TrimSpace(string(read(t, "../dashboards/coingecko-"+name+".json")))
		if got := at(named(t, objects, "ConfigMap", chart+"-"+name+"-dashboard"), "data", "coingecko-"+name+".json"); got != want {
			t.Errorf("%s is not the file of dashboards/", name)
		}
		if name == "wall" {
			if got := at(named(t, objects, "ConfigMap", chart+"-wall"), "data", "coingecko-wall.json"); got != want {
				t.Error("the dedicated Grafana has another wall")
			}
		}
	}
}

// TestNothingMoreThanNeeded: whatever is set, no object gives rights, no pod has a token, and each keeps to the
// restricted Pod Security Standard: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func TestNothingMoreThanNeeded(t *testing.T) {
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %s, %v", files, err)
	}
	pods := 0
	for _, file := range append(files, chart+"/values-production.yaml") {
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

// TestSchema: the schema has each value and no other, and every level is closed but those that Kubernetes defines.
func TestSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(read(t, chart+"/values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema["properties"].(map[string]any), "global") // a parent chart's
	compareSchema(t, "", schema, parse(t, chart+"/values.yaml"))
}

func compareSchema(t *testing.T, path string, schema map[string]any, values object) {
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
		if inner, ok := value.(object); ok && property["properties"] != nil && property["type"] == "object" && path+"."+key.(string) != ".store.thresholds.kinds" {
			compareSchema(t, path+"."+key.(string), property, inner)
		}
	}
}

// TestVersions: chart, image and program are of one version, that of the file VERSION.
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
	for _, image := range []string{"coingecko-exporter:" + want, at(wall, "repository").(string) + ":" + at(wall, "tag").(string)} {
		if !strings.Contains(images, image+"\n") {
			t.Errorf("Chart.yaml's list of images lacks %s", image)
		}
	}
}

// TestPackage: what helm packs is what the chart needs, with files where links were.
func TestPackage(t *testing.T) {
	render(t)
	dir := t.TempDir()
	if out, err := exec.Command(os.Getenv("HELM"), "package", chart, "--destination", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	archives, err := filepath.Glob(dir + "/*.tgz")
	if err != nil || len(archives) != 1 {
		t.Fatalf("%s, %v", archives, err)
	}
	if out, err := exec.Command("tar", "-xzf", archives[0], "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packed := map[string][]byte{}
	err = filepath.Walk(dir+"/"+chart, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			packed[strings.TrimPrefix(path, dir+"/"+chart+"/")], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.SortedFunc(maps.Keys(packed), cmp.Compare)
	for _, name := range names {
		if strings.HasPrefix(name, "ci/") || strings.HasPrefix(name, "tests/") || strings.HasSuffix(name, ".gotmpl") {
			t.Errorf("%s is packed", name)
		}
	}
	for _, name := range []string{"README.md", "values.schema.json", "values-production.yaml", "templates/tests/rates.yaml"} {
		if packed[name] == nil {
			t.Errorf("%s is missing among %s", name, names)
		}
	}
	for name, source := range map[string]string{"files/rules/data.rules.yaml": "../alerts/data.rules.yaml", "files/dashboards/coingecko-wall.json": "../dashboards/coingecko-wall.json"} {
		if !bytes.Equal(packed[name], read(t, source)) {
			t.Errorf("%s is not %s", name, source)
		}
	}
}
