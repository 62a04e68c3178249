//go:build e2e

// The chart on the cluster that KUBECONFIG points at: installed, tested, upgraded under load, broken and removed.
// `make e2e` runs it; charts/targets.mk says what it takes from the environment.

package charts

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const release = "coingecko-exporter"

// cluster is a namespace of the test's own, gone at its end.
type cluster struct {
	*testing.T
	namespace string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t, "coingecko-e2e-" + strings.ToLower(rand.Text()[:6])}
	c.run("kubectl", "create", "namespace", c.namespace)
	// Whatever breaks the restricted Pod Security Standard is refused.
	c.run("kubectl", "label", "namespace", c.namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	t.Cleanup(func() { c.run("kubectl", "delete", "namespace", c.namespace, "--timeout=5m") })
	return c
}

func (c *cluster) try(name string, args ...string) (string, error) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

func (c *cluster) run(name string, args ...string) string {
	c.Helper()
	out, err := c.try(name, args...)
	if err != nil {
		c.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) helm(args ...string) string {
	c.Helper()
	return c.run(os.Getenv("HELM"), append(args, "--namespace", c.namespace)...)
}

// helmTest wants the test of a release to succeed.
func (c *cluster) helmTest(release string) {
	c.Helper()
	if out := c.helm("test", release); !strings.Contains(out, "Phase:          Succeeded") {
		c.Errorf("helm test: %s", out)
	}
}

// install installs or upgrades; the image is the one under test.
func (c *cluster) install(args ...string) string {
	c.Helper()
	start := time.Now()
	out := c.helm(append([]string{"upgrade", "--install", release, chart, "--wait", "--timeout=10m", "--set", image(c.T, "image", "E2E_IMAGE")}, args...)...)
	c.Logf("helm upgrade --install --wait %s: %.0f s", strings.Join(args, " "), time.Since(start).Seconds())
	return out
}

// image gives the chart's settings below prefix for the image that the environment names, by tag or by digest.
func image(t *testing.T, prefix, variable string) string {
	t.Helper()
	reference := os.Getenv(variable)
	repository, digest, byDigest := strings.Cut(reference, "@")
	tag := ""
	if !byDigest {
		colon := strings.LastIndex(reference, ":")
		if colon <= strings.LastIndex(reference, "/") {
			t.Fatalf("%s=%q is no image with a tag or digest", variable, reference)
		}
		repository, tag = reference[:colon], reference[colon+1:]
	}
	return fmt.Sprintf("%[1]s.registry=,%[1]s.repository=%[2]s,%[1]s.tag=%[3]s,%[1]s.digest=%[4]s", prefix, repository, tag, digest)
}

func (c *cluster) kubectl(args ...string) string {
	c.Helper()
	return c.run("kubectl", append(args, "--namespace", c.namespace)...)
}

// count is how many objects of the release there are, by kind and component.
func (c *cluster) count(kind, component string) int {
	c.Helper()
	return len(strings.Fields(c.kubectl("get", kind, "--output=name", "--selector=app.kubernetes.io/instance="+release+",app.kubernetes.io/component="+component)))
}

func (c *cluster) eventually(what string, timeout time.Duration, ok func() bool) {
	c.Helper()
	for end := time.Now().Add(timeout); !ok(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			c.Fatalf("not within %v: %s\n%s", timeout, what, c.kubectl("get", "pods,events"))
		}
	}
}

// serviceURL is where a Service answers: at its own address where that can be reached from here, or else through
// the API server.
func (c *cluster) serviceURL(name string, port int) string {
	c.Helper()
	address := net.JoinHostPort(c.kubectl("get", "service", name, "--output=jsonpath={.spec.clusterIP}"), strconv.Itoa(port))
	if conn, err := net.DialTimeout("tcp", address, 2*time.Second); err == nil {
		conn.Close()
		return "http://" + address
	}
	c.Logf("%s cannot be reached from here: through the API server", address)
	proxy := testbed.Start(c.T, exec.Command("kubectl", "proxy", "--port=0")).Says(c.T, `127\.0\.0\.1:[0-9]+`)[0]
	return fmt.Sprintf("http://%s/api/v1/namespaces/%s/services/http:%s:%d/proxy", proxy, c.namespace, name, port)
}

func get(u string) (int, string, error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(u)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// underLoad asks for metrics and rates all the time while something is done, each time by a new connection, and
// wants every answer to be good.
func (c *cluster) underLoad(base, what string, do func()) {
	c.Helper()
	var mu sync.Mutex
	asked, failed := 0, map[string]int{}
	ctx, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for _, path := range []string{"/metrics", "/api/v3/exchange_rates", "/metrics", "/"} {
		workers.Go(func() {
			for ctx.Err() == nil {
				status, body, err := get(base + path)
				wrong := ""
				switch {
				case err != nil:
					wrong = err.Error()
				case status != http.StatusOK:
					wrong = fmt.Sprintf("%s: %d %.100s", path, status, body)
				case path == "/metrics" && !strings.Contains(body, "coingecko_exchange_rate{"):
					wrong = "metrics without rates"
				}
				mu.Lock()
				asked++
				if wrong != "" {
					failed[wrong]++
				}
				mu.Unlock()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	time.Sleep(2 * time.Second)
	do()
	time.Sleep(8 * time.Second) // what ends, ends under load too
	stop()
	workers.Wait()
	if asked < 100 || len(failed) > 0 {
		c.Errorf("%s: of %d requests failed: %v", what, asked, failed)
		return
	}
	c.Logf("%s: %d requests, none failed", what, asked)
}

func (c *cluster) hasAPI(group string) bool {
	_, err := c.try("kubectl", "get", "--raw", "/apis/"+group)
	return err == nil
}

// notRun says plainly what this cluster could not show.
func notRun(t *testing.T, what, how string) {
	t.Helper()
	line := fmt.Sprintf("not run here: %s. To provide it: %s", what, how)
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal(line)
	}
	t.Skip(line)
}

// TestSwing: a coin that swings is heard of beside one whose swing is worse, under whatever inhibition that Alertmanager has;
// kube-prometheus-stack's default lets a critical alert hold back the warnings of its name and namespace. A change over a quarter
// of an hour needs one of data: this test installs before all others, and looks when they are through.
func TestSwing(t *testing.T) {
	if os.Getenv("E2E_PROMETHEUS") == "" {
		notRun(t, "an alert that reaches Alertmanager", "set E2E_PROMETHEUS to a Prometheus of kube-prometheus-stack")
	}
	c := newCluster(t)
	// Any change is too much for eth, and a warning for ltc. The thresholds of a whole market are out of reach.
	c.install("--set", "simulate=true,store.quotes={usd},store.coins={eth,ltc}", "--set-json",
		`store.thresholds={"kinds":{"crypto":null,"market":null,"quote":null},"currencies":{"eth":{"15m":{"warning":1e-7,"critical":2e-7}},"ltc":{"15m":{"warning":1e-7,"critical":0.9}}}}`)
	t.Parallel()
	namespace, _, _ := strings.Cut(os.Getenv("E2E_PROMETHEUS"), "/")
	var last string
	for _, alert := range []struct{ name, currency string }{{"CoinGeckoPriceSwingCritical", "eth"}, {"CoinGeckoPriceSwing", "ltc"}} {
		filter := url.Values{"filter": {fmt.Sprintf("namespace=%q", c.namespace), fmt.Sprintf("alertname=%q", alert.name), fmt.Sprintf("currency=%q", alert.currency)}}
		c.eventually(alert.name+" of "+alert.currency+" is active in Alertmanager", 25*time.Minute, func() bool {
			last, _ = c.try("kubectl", "get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/services/http:alertmanager-operated:9093/proxy/api/v2/alerts?%s", namespace, filter.Encode()))
			return strings.Contains(last, `"state":"active"`)
		})
		t.Logf("%.600s", last)
	}
	c.uninstall()
}

// TestValidation: the API server itself takes what the chart makes of each file of values.
func TestValidation(t *testing.T) {
	c := newCluster(t)
	for _, file := range valueFiles(t) {
		out := c.helm("template", release, chart, "--values="+file, "--no-hooks", "--api-versions=none")
		var kept []string
		_, out, _ = strings.Cut(out, "---\n") // what stands before is not YAML
		for document := range strings.SplitSeq(out, "\n---\n") {
			group := regexp.MustCompile(`(?m)^apiVersion: ([a-z0-9.-]+/[a-z0-9]+)$`).FindStringSubmatch(document)
			if group != nil && !c.hasAPI(group[1]) {
				t.Logf("%s: %s is not in this cluster; kubeconform has checked it", filepath.Base(file), group[1])
				continue
			}
			kept = append(kept, strings.ReplaceAll(document, "namespace: monitoring\n", "namespace: "+c.namespace+"\n"))
		}
		rendered := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(rendered, []byte(strings.Join(kept, "\n---\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		out = c.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", rendered)
		if strings.Contains(strings.ToLower(out), "would violate") {
			t.Errorf("%s: %s", file, out)
		}
		t.Logf("%s: %d objects", filepath.Base(file), strings.Count(out, "server dry run"))
	}
}

// TestNoValues: with nothing set the chart installs, with and without the operator's API, and whether or not
// CoinGecko can be reached.
func TestNoValues(t *testing.T) {
	c := newCluster(t)
	c.install()
	operator := c.hasAPI("monitoring.coreos.com/v1")
	t.Logf("with the operator's API: %v", operator)
	if operator {
		if got := len(strings.Fields(c.kubectl("get", "prometheusrules", "--output=name"))); got != 4 {
			t.Errorf("there are %d PrometheusRules", got)
		}
	}
	status, body, err := get(c.serviceURL(release, 9880) + "/metrics")
	if err != nil || status != http.StatusOK || !strings.Contains(body, "coingecko_polls_total") {
		t.Errorf("%d %v", status, err)
	}
	c.uninstall()
}

// uninstall wants nothing to be left.
func (c *cluster) uninstall() {
	c.Helper()
	c.helm("uninstall", release, "--wait", "--timeout=5m")
	kinds := strings.Join(strings.Fields(c.run("kubectl", "api-resources", "--namespaced", "--verbs=list,delete", "--output=name")), ",")
	kinds = regexp.MustCompile(`,?(endpoints\b|events(\.events\.k8s\.io)?|pods\.metrics\.k8s\.io)`).ReplaceAllString(kinds, "")
	c.eventually("nothing is left", 5*time.Minute, func() bool {
		left := c.kubectl("get", strings.TrimPrefix(kinds, ","), "--output=name", "--selector=app.kubernetes.io/instance="+release, "--ignore-not-found")
		return !strings.Contains(left, "/") // as in deployment.apps/NAME; the rest are warnings
	})
}

// TestLife: relays in front of a poller, through everything that happens to them in a cluster.
func TestLife(t *testing.T) {
	c := newCluster(t)
	settings := []string{"--set", "simulate=true,relay.enabled=true"}
	if out := c.install(settings...); !strings.Contains(out, "SIMULATED") {
		t.Errorf("the notes do not say that the rates are simulated:\n%s", out)
	}
	base := c.serviceURL(release, 9880)
	c.helmTest(release)

	t.Run("PrometheusSeesIt", func(t *testing.T) { c.prometheus(t, 3) })

	c.underLoad(base, "upgrade to another image", func() {
		c.install(append(settings, "--set", image(t, "image", "E2E_IMAGE_NEXT"))...)
	})
	c.underLoad(base, "the poller's pod is killed", func() {
		c.kubectl("delete", "pod", "--selector=app.kubernetes.io/component=poller", "--grace-period=0", "--force")
		c.kubectl("rollout", "status", "deployment/"+release+"-poller", "--timeout=5m")
	})
	c.underLoad(base, "a node is drained", c.evict)

	out, err := c.try(os.Getenv("HELM"), "upgrade", release, chart, "--namespace", c.namespace, "--reuse-values", "--set", "image.tag=none", "--wait", "--timeout=20s")
	if err == nil {
		t.Errorf("an upgrade to an image that is not there succeeded:\n%s", out)
	}
	c.underLoad(base, "a bad upgrade is rolled back", func() {
		c.helm("rollback", release, "--wait", "--timeout=5m")
	})
	c.eventually("no pod of the bad upgrade is left", 5*time.Minute, func() bool {
		return !strings.Contains(c.kubectl("get", "pods", "--output=jsonpath={.items[*].spec.containers[0].image}"), ":none")
	})

	t.Run("Scales", func(t *testing.T) {
		if !c.hasAPI("metrics.k8s.io/v1beta1") {
			notRun(t, "the HorizontalPodAutoscaler", "install metrics-server")
		}
		c.install(append(settings, "--set", "relay.autoscaling.enabled=true,relay.autoscaling.maxReplicas=3,relay.autoscaling.targetCPUUtilizationPercentage=2")...)
		c.underLoad(base, "relays scale out", func() {
			c.eventually("three relays", 10*time.Minute, func() bool { return c.count("pods", "relay") == 3 })
		})
	})

	// The price of an hour-old answer: none. Without its poller a relay keeps rates until max-age, and says nothing after.
	c.install(append(settings, "--set", "rates.maxAge=20s")...)
	c.kubectl("scale", "deployment/"+release+"-poller", "--replicas=0")
	c.eventually("no relay with rates that are too old", 5*time.Minute, func() bool {
		for range 30 { // Each request reaches another relay, and one can have younger rates than the others.
			status, _, _ := get(base + "/api/v3/exchange_rates")
			_, metrics, _ := get(base + "/metrics")
			if status != http.StatusServiceUnavailable || strings.Contains(metrics, "coingecko_exchange_rate{") {
				return false
			}
		}
		return true
	})
	if out, err := c.try(os.Getenv("HELM"), "test", release, "--namespace", c.namespace); err == nil {
		t.Errorf("helm test passes without rates:\n%s", out)
	}
	c.kubectl("delete", "pod", release+"-test") // Helm leaves a test that failed, for its log to be read
	c.uninstall()
}

// evict does what a drain does: it asks for each pod's eviction, and the budget of the relays is kept.
func (c *cluster) evict() {
	c.Helper()
	evicted, refused := 0, 0
	for pod := range strings.FieldsSeq(c.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.name}", "--field-selector=status.phase=Running")) {
		body := filepath.Join(c.TempDir(), "eviction.json")
		text := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, c.namespace)
		if err := os.WriteFile(body, []byte(text), 0o600); err != nil {
			c.Fatal(err)
		}
		path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", c.namespace, pod)
		out, err := c.try("kubectl", "create", "--raw", path, "-f", body)
		switch {
		case err == nil:
			evicted++
		case strings.Contains(out, "disruption budget"):
			refused++
		default:
			c.Fatalf("eviction of %s: %v\n%s", pod, err, out)
		}
	}
	if evicted != 2 || refused != 1 { // the poller and one relay; the other one has to wait
		c.Errorf("%d pods were evicted, and the budget kept %d", evicted, refused)
	}
	for _, component := range []string{"poller", "relay"} {
		c.kubectl("rollout", "status", "deployment/"+release+"-"+component, "--timeout=5m")
	}
}

// query asks the Prometheus that E2E_PROMETHEUS names, and gives the values that it finds.
func (c *cluster) query(path, q string) string {
	namespace, service, _ := strings.Cut(os.Getenv("E2E_PROMETHEUS"), "/")
	out, _ := c.try("kubectl", "get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/services/http:%s/proxy/api/v1/%s?query=%s", namespace, service, path, url.QueryEscape(q)))
	return out
}

// prometheus wants the operator's Prometheus to scrape all pods as one job, and to have loaded every rule.
func (c *cluster) prometheus(t *testing.T, pods int) {
	if os.Getenv("E2E_PROMETHEUS") == "" {
		notRun(t, "Prometheus with the operator", "set E2E_PROMETHEUS=NAMESPACE/SERVICE:PORT, such as monitoring/prometheus-operated:9090")
	}
	c.eventually("all pods are scraped", 10*time.Minute, func() bool {
		answer := c.query("query", fmt.Sprintf(`count(up{job="coingecko-exporter", namespace=%q} == 1)`, c.namespace))
		return strings.Contains(answer, fmt.Sprintf(`,"%d"]`, pods))
	})
	c.eventually("the rules are loaded and make prices", 10*time.Minute, func() bool {
		loaded := c.query("rules", "")
		for _, alert := range []string{"CoinGeckoPriceSwing", "CoinGeckoRatesStale", "CoinGeckoUnusualVolatility"} {
			if !strings.Contains(loaded, `"`+alert+`"`) {
				return false
			}
		}
		price := c.query("query", fmt.Sprintf(`currency_quote:coingecko_price:ratio{currency="btc", quote="usd", job="coingecko-exporter", namespace=%q}`, c.namespace))
		return strings.Contains(price, `"value":[`) && strings.Contains(c.query("query", `coingecko:store_coin:info{currency="btc"}`), `"value":[`)
	})
	t.Logf("%d pods are scraped, the rules are loaded, prices are recorded", pods)
}

// TestWeb: TLS and basic auth within the cluster; relays, test and Prometheus have what they need, and nobody else.
func TestWeb(t *testing.T) {
	c := newCluster(t)
	c.certificate()
	c.auth("tls_server_config: {cert_file: /etc/tls/tls.crt, key_file: /etc/tls/tls.key}\n")
	c.install("--set", "simulate=true,relay.enabled=true,web.tls.enabled=true,web.tls.existingSecret=tls,web.basicAuth.enabled=true,web.basicAuth.existingSecret=auth")
	c.helmTest(release)
	t.Run("PrometheusSeesIt", func(t *testing.T) { c.prometheus(t, 3) })
	status, body, err := get(c.serviceURL(release, 9880) + "/metrics")
	if err != nil || status < 400 || strings.Contains(body, "coingecko_exchange_rate{") {
		t.Errorf("without TLS and password: %d %.200s %v", status, body, err)
	}
	c.uninstall()
}

// auth makes a user, as the Secret auth. Its web.yaml has further settings.
func (c *cluster) auth(further string) {
	c.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("e2e"), bcrypt.MinCost)
	if err != nil {
		c.Fatal(err)
	}
	c.kubectl("create", "secret", "generic", "auth", "--from-literal=username=e2e", "--from-literal=password=e2e",
		"--from-literal=web.yaml="+fmt.Sprintf("basic_auth_users: {e2e: %q}\n%s", hash, further))
}

// certificate makes a CA and a certificate of it, as the Secret tls.
func (c *cluster) certificate() {
	c.Helper()
	dir, ca := c.TempDir(), testbed.NewAuthority(c.T)
	testbed.WritePair(c.T, ca.Issue(c.T, time.Now().Add(24*time.Hour), release+"."+c.namespace+".svc"), dir+"/tls.crt", dir+"/tls.key")
	c.kubectl("create", "secret", "generic", "tls", "--from-file="+dir, "--from-file=ca.crt="+ca.File)
}

// TestWall: the dedicated Grafana shows the wall to everybody, and nothing else.
func TestWall(t *testing.T) {
	if os.Getenv("E2E_WALL_IMAGE") == "" {
		notRun(t, "the dedicated Grafana", "set E2E_WALL_IMAGE to a Grafana image that the cluster can pull, or to chart for the one that the chart names")
	}
	c := newCluster(t)
	settings := "simulate=true,wall.enabled=true,wall.prometheusURL=http://prometheus-operated.monitoring:9090"
	if os.Getenv("E2E_WALL_IMAGE") != "chart" {
		settings += "," + image(t, "wall.image", "E2E_WALL_IMAGE")
	}
	c.install("--set", settings)
	base := c.serviceURL(release+"-wall", 3000)
	for path, want := range map[string]string{
		"/api/dashboards/home":                              "{\"redirectUri\":\"/d/coingecko-wall-" + c.namespace + "?kiosk\\u0026refresh=30s\\u0026_dash.hideTimePicker=true\\u0026_dash.hideVariables=true\\u0026_dash.hideLinks=true\"}",
		"/api/dashboards/uid/coingecko-wall-" + c.namespace: `"uid":"coingecko-wall-` + c.namespace,
	} {
		if status, body, err := get(base + path); err != nil || status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.300s %v", path, status, body, err)
		}
	}
	_, found, err := get(base + "/api/search?type=dash-db")
	if err != nil || strings.Count(found, `"uid"`) != 1 {
		t.Errorf("an anonymous viewer finds %s %v", found, err)
	}
	for _, path := range []string{"/api/admin/settings", "/api/org/users", "/api/users", "/api/plugins/grafana-clock-panel/settings"} {
		if status, body, err := get(base + path); err != nil || status < 400 {
			t.Errorf("an anonymous viewer gets %s: %d %.200s %v", path, status, body, err)
		}
	}
	c.uninstall()
}

// TestRefused: an upgrade that the upstream refuses fails and goes back, and the pod that has rates serves meanwhile.
// The upstream is another release, which wants a password that the first one has and the upgrade has not.
func TestRefused(t *testing.T) {
	upstream, c := newCluster(t), newCluster(t)
	upstream.auth("")
	upstream.install("--set", "simulate=true,web.basicAuth.enabled=true,web.basicAuth.existingSecret=auth")
	for name, password := range map[string]string{"right": "e2e", "wrong": "none"} {
		c.kubectl("create", "secret", "generic", name, "--from-literal=http-config.yaml="+fmt.Sprintf("basic_auth: {username: e2e, password: %s}\n", password))
	}
	settings := []string{"--set", "coingecko.urls={http://" + release + "." + upstream.namespace + ".svc:9880/api/v3}", "--set", "coingecko.httpConfig.existingSecret=right"}
	c.install(settings...)

	goBack := "--rollback-on-failure"
	if strings.HasPrefix(c.run(os.Getenv("HELM"), "version", "--short"), "v3") {
		goBack = "--atomic"
	}
	c.underLoad(c.serviceURL(release, 9880), "an upgrade that is refused", func() {
		upgrade := append([]string{"upgrade", release, chart, "--namespace", c.namespace, goBack, "--wait", "--timeout=3m", "--set", image(t, "image", "E2E_IMAGE")}, settings...)
		if out, err := c.try(os.Getenv("HELM"), append(upgrade, "--set", "coingecko.httpConfig.existingSecret=wrong")...); err == nil {
			t.Errorf("it succeeded:\n%s", out)
		}
	})
	if got := c.kubectl("get", "deployment", release+"-poller", "--output=jsonpath={.spec.template.spec.volumes[?(@.name=='client')].secret.secretName}"); got != "right" {
		t.Errorf("after it the poller has the Secret %q", got)
	}
	c.uninstall()
	upstream.uninstall()
}

// TestNeighbours: two shops in two namespaces, with the same release name. Each has objects of its own, and where there
// is a Prometheus it keeps them apart.
func TestNeighbours(t *testing.T) {
	shops := map[string]*cluster{"store.coins={btc,eth}": newCluster(t), "store.quotes={eur},store.coins={btc,sol}": newCluster(t)}
	for settings, c := range shops {
		c.install("--set", "simulate=true", "--set", settings)
	}
	for settings, c := range shops {
		t.Run(settings, func(t *testing.T) {
			c.prometheus(t, 1)
			coins := c.query("query", fmt.Sprintf(`count(coingecko:store_coin:info{namespace=%q})`, c.namespace))
			if !strings.Contains(coins, `,"2"]`) {
				t.Errorf("the shop's coins: %s", coins)
			}
			if broken := c.query("query", `prometheus_rule_evaluation_failures_total{rule_group=~".*coingecko.*"} > 0`); strings.Contains(broken, `"value":[`) {
				t.Errorf("rules failed: %s", broken)
			}
		})
	}
	for _, c := range shops {
		c.uninstall()
	}
}

// TestGivenUsers: pods run under whatever user the cluster picks, and read their Secrets.
func TestGivenUsers(t *testing.T) {
	c := newCluster(t)
	c.auth("")
	user, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		t.Fatal(err)
	}
	c.install("--set", fmt.Sprintf("simulate=true,relay.enabled=true,web.basicAuth.enabled=true,web.basicAuth.existingSecret=auth,"+
		"podSecurityContext.runAsUser=%d,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null", user.Int64()+1_000_000_000))
	c.helmTest(release)
	c.uninstall()
}

// TestDependency: the chart as a dependency of another, which then has it switched off.
func TestDependency(t *testing.T) {
	c := newCluster(t)
	const parent = "shop"
	upgrade := []string{"upgrade", "--install", parent, umbrella(t, ""), "--wait", "--timeout=10m", "--set", image(t, "coingecko-exporter.image", "E2E_IMAGE")}
	c.helm(append(upgrade, "--set", "coingecko-exporter.simulate=true")...)
	c.helmTest(parent)
	c.helm(append(upgrade, "--set", "coingecko-exporter.enabled=false")...)
	c.eventually("nothing of it is left", 5*time.Minute, func() bool {
		return !strings.Contains(c.kubectl("get", "deployments,services,configmaps", "--output=name", "--selector=app.kubernetes.io/instance="+parent), "/")
	})
	c.helm("uninstall", parent, "--wait", "--timeout=5m")
}
