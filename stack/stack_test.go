// The whole system as `make stack` runs it: started, watched, made to fail, restarted part by part, and ended. 3 to 4 minutes.

package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

const maxAge = 20 * time.Second // of rates, so that they grow old within a test's patience

func TestSystem(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("minutes of waiting are not short")
	}
	s := start(t)

	s.step("targets are up, with the past behind them", func() error {
		if err := s.up(); err != nil {
			return err
		}
		coins, err := s.number(`count(coingecko:store_coin:info)`)
		if err != nil {
			return err
		}
		for _, quote := range []string{"usd", "eur", "gbp"} {
			for _, series := range []string{"currency_quote:coingecko_price:ratio", "currency_quote:coingecko_price_change:ratio24h"} {
				expr := fmt.Sprintf(`count(%s{quote=%q} and on (currency) coingecko:store_coin:info)`, series, quote)
				if n, err := s.number(expr); err != nil || n != coins {
					return fmt.Errorf("%s is %v, not one for each of %v coins (%w)", expr, n, coins, err)
				}
			}
		}
		return nil
	})
	if s.grafana != "" {
		s.step("Grafana has a data source and all dashboards", s.dashboards)
	}

	s.silence("kept over a restart")
	s.control("swing/xrp?change=-0.3")
	s.restart("alertmanager")
	s.step("a swing reaches Alertmanager", func() error {
		return errors.Join(
			s.alerting(true, `alertname="CoinGeckoPriceSwing"`, `currency="xrp"`, `severity="warning"`),
			s.alerting(true, `alertname="CoinGeckoPriceSwingCritical"`, `currency="xrp"`, `severity="critical"`))
	})
	s.step("a silence outlives a restart of Alertmanager", func() error {
		var silences []struct{ Comment string }
		if err := get(s.alertmanager+"/api/v2/silences", &silences); err != nil || len(silences) != 1 || silences[0].Comment != "kept over a restart" {
			return fmt.Errorf("the silences are %v (%w)", silences, err)
		}
		return nil
	})
	s.control("swing/xrp?change=0.42")
	s.step("the price is back, and the swing is not told twice", func() error { // its alert is held, and goes on
		return errors.Join(
			s.alerting(true, `alertname="CoinGeckoPriceSwing"`, `currency="xrp"`),
			s.equal(`count(currency_quote:coingecko_price:ratio{currency="xrp",quote="usd"})`, 1))
	})

	s.control("fail/error")
	s.step("polls fail", func() error { return s.equal(`coingecko_up`, 0) })
	s.step("rates are no longer fresh", func() error { return s.equal(`job:coingecko_rates_fresh:bool`, 0) })
	s.step("rates that are too old are gone", func() error {
		code, metrics, err := testbed.Get(s.exporter + "/metrics")
		if err != nil || code != http.StatusOK || strings.Contains(metrics, "\ncoingecko_exchange_rate{") {
			return fmt.Errorf("the exporter answers %d and still shows rates (%w)", code, err)
		}
		if code, _, err := testbed.Get(s.exporter + "/api/v3/exchange_rates"); code != http.StatusServiceUnavailable {
			return fmt.Errorf("the relay endpoint answers %d (%w)", code, err)
		}
		return errors.Join(
			s.none(`coingecko_exchange_rate`), s.none(`currency_quote:coingecko_price:ratio`),
			s.alerting(false, `alertname="CoinGeckoPriceSwing"`))
	})
	s.step("old rates reach Alertmanager", func() error {
		return s.alerting(true, `alertname="CoinGeckoRatesStale"`, `severity="critical"`)
	})
	s.control("recover")
	s.step("everything is well again", func() error {
		return errors.Join(
			s.equal(`coingecko_up`, 1), s.equal(`job:coingecko_rates_fresh:bool`, 1),
			s.equal(`count(currency_quote:coingecko_price:ratio{currency="btc",quote="usd"})`, 1),
			s.alerting(false, `alertname="CoinGeckoRatesStale"`))
	})

	// What was known before a restart is known after it: samples of the past and of the last minutes, to the last.
	now := time.Now().Unix()
	s.step("what was scraped and evaluated before now is stored", func() error {
		return errors.Join(
			s.none(fmt.Sprintf(`timestamp(coingecko_exchange_rate) <= %d`, now)),
			// A group with an interval of minutes need not be evaluated anew: it is enough that this was not due.
			s.none(fmt.Sprintf(`prometheus_rule_group_last_evaluation_timestamp_seconds + prometheus_rule_group_interval_seconds * (prometheus_rule_group_interval_seconds > bool 60) <= %d`, now+5)))
	})
	past := fmt.Sprintf(` @ %d`, now)
	known := map[string]float64{}
	for _, expr := range []string{
		`count_over_time(currency_quote:coingecko_price:ratio{currency="btc",quote="usd"}[1d%s])`,
		`sum_over_time(currency_quote:coingecko_price:ratio{currency="btc",quote="usd"}[1d%s])`,
		`count_over_time(coingecko_exchange_rate{currency="usd"}[10m%s])`,
		`sum(count_over_time(ALERTS[10m%s]))`,
	} {
		expr = strings.Replace(expr, "%s]", "]"+past, 1)
		n, err := s.number(expr)
		if err != nil || n == 0 {
			t.Fatalf("%s is %v: %v", expr, n, err)
		}
		known[expr] = n
	}
	for _, part := range []string{"prometheus", "exporter"} {
		s.restart(part)
		s.step("after a restart of the "+part+" nothing is lost and it goes on", func() error {
			err := s.up()
			for expr, n := range known {
				err = errors.Join(err, s.equal(expr, n))
			}
			return errors.Join(err,
				s.equal(`coingecko_up`, 1), s.equal(`job:coingecko_rates_fresh:bool`, 1),
				s.equal(`count(timestamp(currency_quote:coingecko_price:ratio{currency="btc",quote="usd"}) > `+s.since()+`)`, 1))
		})
	}

	s.step("all rules are healthy", s.rules)
	s.interrupt()
}

// Before anything starts, each thing that is wrong is told in one line.
func TestRefusals(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, taken, _ := net.SplitHostPort(l.Addr().String())

	with := func(files ...string) string {
		folder := t.TempDir()
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(folder, name), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return folder
	}
	// Programs that are found, but never get as far as to run.
	path := "PATH=" + with("prometheus", "promtool", "prometheus-alertmanager") + ":" + os.Getenv("PATH")
	full, simulated := with("prometheus"), with("simulated")

	for name, c := range map[string]struct {
		extra []string
		want  []string
	}{
		"programs": {extra: []string{"PATH="}, want: []string{
			"stack: prometheus is missing: apt-get install prometheus, or https://prometheus.io/download/",
			"stack: promtool is missing: it comes with prometheus: apt-get install prometheus, or https://prometheus.io/download/",
			"stack: alertmanager is missing: apt-get install prometheus-alertmanager, or https://prometheus.io/download/",
		}},
		"port": {extra: []string{"ALERTMANAGER_PORT=" + taken}, want: []string{
			"stack: port " + taken + " is in use: choose another with make stack ALERTMANAGER_PORT=...",
		}},
		"data of a former simulation": {extra: []string{"DATA=" + full}, want: []string{
			"stack: " + full + " holds data already, and a simulation begins a market of its own: remove them, or choose another folder with make stack DATA=...",
		}},
		"real rates among simulated ones": {extra: []string{"SIMULATE=0", "DATA=" + simulated}, want: []string{
			"stack: " + simulated + " holds simulated rates: remove them, or choose another folder with make stack DATA=...",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), "bash", "./start")
			command.Env = append([]string{path, "SIMULATE=1", "DATA="}, settings(ports(t))...)
			command.Env = append(command.Env, c.extra...) // the last one counts
			out, err := command.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("it ends with %v", err)
			}
			told := strings.Split(strings.TrimSpace(string(out)), "\n")
			told = slices.DeleteFunc(told, func(line string) bool { return strings.HasPrefix(line, "stack: grafana is missing") })
			if !slices.Equal(told, c.want) {
				t.Errorf("it says\n%s\nand not\n%s", strings.Join(told, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// The Alertmanager here follows the example, without receivers.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../alerts/alertmanager.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("# alerts/alertmanager.example.yaml without receivers: set ALERTMANAGER_CONFIG to a file with yours.\n" +
		"# Written by `go test ./stack -run TestAlertmanager -update`.\n")
	section, heading := "", true
	for line := range strings.Lines(string(example)) {
		if heading = heading && strings.HasPrefix(line, "#"); heading {
			continue
		}
		if key := regexp.MustCompile(`^\w+:`).FindString(line); key != "" {
			section = key
		}
		if section == "templates:" {
			continue
		}
		if section != "receivers:" || regexp.MustCompile(`^(receivers:|  - name: .*)?\n$`).MatchString(line) {
			want.WriteString(line)
		}
	}
	testbed.Golden(t, "alertmanager.yaml", want.String())
}

// Every container is confined, and whatever compose.yaml takes from this repository is there.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Image    string
			User     string
			ReadOnly bool     `yaml:"read_only"`
			CapDrop  []string `yaml:"cap_drop"`
			Security []string `yaml:"security_opt"`
			Memory   string   `yaml:"mem_limit"`
			Volumes  []string
			Ports    []struct {
				HostIP string `yaml:"host_ip"`
			}
			Build       any
			Environment map[string]any
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(compose.Services)); !slices.Equal(got, []string{"alertmanager", "exporter", "grafana", "prometheus"}) {
		t.Errorf("the services are %v", got)
	}
	pinned := regexp.MustCompile(`^[a-z/]+:v?[0-9.]+@sha256:[0-9a-f]{64}$`)
	fallback := regexp.MustCompile(`^\$\{\w+:-(.*)\}$`)
	for name, s := range compose.Services {
		if s.Build == nil && !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %s is not pinned by tag and digest", name, s.Image)
		}
		uid, _, _ := strings.Cut(s.User, ":")
		if n, err := strconv.Atoi(uid); err != nil || n == 0 {
			t.Errorf("%s runs as user %q", name, s.User)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.Security, []string{"no-new-privileges:true"}) || s.Memory == "" {
			t.Errorf("%s is not confined: %+v", name, s)
		}
		if len(s.Ports) != 1 || s.Ports[0].HostIP != "${BIND_ADDRESS:-127.0.0.1}" {
			t.Errorf("%s listens at %v", name, s.Ports)
		}
		if _, limited := s.Environment["COINGECKO_EXPORTER_WEB_MAX_CONNECTIONS"]; limited && s.Environment["COINGECKO_EXPORTER_WEB_HEALTH_LISTEN_ADDRESS"] == nil {
			t.Errorf("%s: readers can take all connections from the health check", name)
		}
		for _, mount := range s.Volumes {
			source, _, _ := strings.Cut(mount, ":/")
			source = fallback.ReplaceAllString(source, "$1")
			if _, named := compose.Volumes[source]; named {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", source)); err != nil || !strings.HasSuffix(mount, ":ro") {
				t.Errorf("%s: the mount %s is not read-only, or not there (%v)", name, mount, err)
			}
		}
	}
}

// system is a running `make stack`.
type system struct {
	*testbed.Program
	t                                           *testing.T
	exporter, prometheus, alertmanager, grafana string // base URLs; grafana's is empty without one
	ports                                       map[string]string
	temporary                                   string // TMPDIR
	restarted                                   time.Time
}

// ports are settings with ports that nobody uses.
func ports(t *testing.T) map[string]string {
	t.Helper()
	ports := map[string]string{}
	for _, name := range []string{"EXPORTER_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT", "RUNNER_PORT"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // after all are chosen, so that they differ
		_, ports[name], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports
}

// settings formats ports as variables.
func settings(ports map[string]string) []string {
	var settings []string
	for name, port := range ports {
		settings = append(settings, name+"="+port)
	}
	return settings
}

func start(t *testing.T) *system {
	t.Helper()
	for _, names := range [][]string{{"make"}, {"prometheus"}, {"promtool"}, {"alertmanager", "prometheus-alertmanager"}} {
		testbed.Tool(t, names...)
	}

	// The rules wait for minutes of their own; the rest need not.
	config, err := os.ReadFile("prometheus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fast := regexp.MustCompile(`(scrape_interval: )\w+`).ReplaceAllString(string(config), "${1}2s")
	fast = regexp.MustCompile(`(evaluation_interval: )\w+`).ReplaceAllString(fast, "${1}5s")
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	if err := os.WriteFile(file, []byte(fast), 0o600); err != nil {
		t.Fatal(err)
	}

	s := &system{t: t, ports: ports(t), temporary: t.TempDir()}
	url := func(name string) string { return "http://127.0.0.1:" + s.ports[name] }
	s.exporter, s.prometheus, s.alertmanager = url("EXPORTER_PORT"), url("PROMETHEUS_PORT"), url("ALERTMANAGER_PORT")
	if _, err := exec.LookPath("grafana"); err == nil {
		s.grafana = url("GRAFANA_PORT")
	}

	c := exec.Command("make", append([]string{"stack", "PROMETHEUS_CONFIG=" + file, "HISTORY=26h"}, settings(s.ports)...)...)
	c.Dir = ".."
	// Not those of a make that runs this test.
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	c.Env = append(c.Env, "TMPDIR="+s.temporary, "COINGECKO_EXPORTER_RATES_MAX_AGE="+maxAge.String())
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does
	c.WaitDelay = 2 * testbed.Patience                  // parts that Ctrl-C leaves must not make this wait for ever
	s.Program = testbed.Start(t, c)
	return s
}

// step waits until a check succeeds.
func (s *system) step(name string, check func() error) {
	s.t.Helper()
	began := time.Now()
	testbed.Eventually(s.t, name, func() error {
		err := check()
		select {
		case <-s.Ended:
			s.t.Fatalf("%s? The stack has ended; before: %v", name, err)
		default:
		}
		return err
	})
	s.t.Logf("%s, after %v", name, time.Since(began).Round(time.Second))
}

var controlURL = regexp.MustCompile(`control=(http://\S+/)`)

// control presses one of the simulator's buttons. Each start of the exporter makes another market.
func (s *system) control(button string) {
	s.t.Helper()
	controls := controlURL.FindAllStringSubmatch(s.Log.String(), -1)
	testbed.Post(s.t, controls[len(controls)-1][1]+button)
}

// restart ends one part and starts it again.
func (s *system) restart(part string) {
	s.t.Helper()
	job := strings.Replace(part, "exporter", "coingecko-exporter", 1)
	started := `process_start_time_seconds{job="` + job + `"}`
	before, err := s.number(started)
	if err != nil {
		s.t.Fatal(err)
	}
	s.restarted = time.Now()
	testbed.Run(s.t, "../bin/goreman", "-p", s.ports["RUNNER_PORT"], "run", "restart", part)
	s.step("another "+part+" runs", func() error {
		if now, err := s.number(started); err != nil || now <= before {
			return fmt.Errorf("it started at %v, and before at %v (%w)", now, before, err)
		}
		return nil
	})
}

// since is when the last restart began, for PromQL.
func (s *system) since() string { return strconv.FormatInt(s.restarted.Unix(), 10) }

// interrupt is Ctrl-C. Nothing may be left.
func (s *system) interrupt() {
	s.t.Helper()
	if err := syscall.Kill(-s.Process.Pid, syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.Ended:
	case <-time.After(testbed.Patience):
		s.t.Fatal("after Ctrl-C it still runs")
	}
	for name, port := range s.ports {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			s.t.Errorf("after Ctrl-C something still answers at %s=%s", name, port)
		}
	}
	if left, err := os.ReadDir(s.temporary); err != nil || len(left) > 0 {
		s.t.Errorf("after Ctrl-C these files are left: %v (%v)", left, err)
	}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environments {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "\x00DATA="+s.temporary) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			s.t.Errorf("after Ctrl-C this still runs: %q", command)
		}
	}
}

// up checks that each job has exactly one target, which has answered since the last restart.
func (s *system) up() error {
	err := s.equal(`count(up)`, 3)
	for _, job := range []string{"coingecko-exporter", "prometheus", "alertmanager"} {
		err = errors.Join(err, s.equal(fmt.Sprintf(`up{job=%q} and timestamp(up) > %s`, job, s.since()), 1))
	}
	return err
}

// number is the value of an expression that has one series.
func (s *system) number(expr string) (float64, error) {
	samples, err := testbed.Query(s.prometheus, expr)
	if err != nil || len(samples) != 1 {
		return 0, fmt.Errorf("%s has the values %v (%w)", expr, samples, err)
	}
	return samples[0].Value, nil
}

func (s *system) equal(expr string, want float64) error {
	n, err := s.number(expr)
	if err == nil && n != want {
		err = fmt.Errorf("%s is %v, not %v", expr, n, want)
	}
	return err
}

func (s *system) none(expr string) error {
	samples, err := testbed.Query(s.prometheus, expr)
	if err == nil && len(samples) > 0 {
		err = fmt.Errorf("%s has the values %v", expr, samples)
	}
	return err
}

// alerting says whether an alert with these labels is not in Alertmanager as it should be.
func (s *system) alerting(want bool, labels ...string) error {
	var alerts []struct{ Annotations map[string]string }
	if err := get(s.alertmanager+"/api/v2/alerts?"+url.Values{"filter": labels}.Encode(), &alerts); err != nil {
		return err
	}
	if (len(alerts) > 0) != want {
		return fmt.Errorf("Alertmanager has %d alerts %v", len(alerts), labels)
	}
	for _, a := range alerts {
		if a.Annotations["summary"] == "" || strings.Contains(fmt.Sprint(a.Annotations), "error expanding") {
			return fmt.Errorf("the alert %v says %v", labels, a.Annotations)
		}
	}
	return nil
}

// silence makes one that concerns no alert.
func (s *system) silence(comment string) {
	s.t.Helper()
	testbed.PostJSON(s.t, s.alertmanager+"/api/v2/silences", map[string]any{
		"matchers": []any{map[string]any{"name": "alertname", "value": "none", "isRegex": false, "isEqual": true}},
		"startsAt": time.Now(), "endsAt": time.Now().Add(time.Hour), "createdBy": "test", "comment": comment,
	})
}

// rules checks that every shipped rule file is loaded and evaluated, and that no evaluation has failed. Of a group that waits longer
// than this test the first evaluation may not have come.
func (s *system) rules() error {
	shipped, err := filepath.Glob("../alerts/*.rules.yaml")
	return errors.Join(err,
		s.equal(`count(count by (file) (label_replace(prometheus_rule_group_rules, "file", "$1", "rule_group", "(.*);.*")))`, float64(len(shipped))),
		s.none(`prometheus_rule_group_last_evaluation_timestamp_seconds == 0 and prometheus_rule_group_interval_seconds < 60`),
		s.none(`prometheus_rule_evaluation_failures_total > 0`))
}

// dashboards says what a viewer of Grafana who does not sign in would miss.
func (s *system) dashboards() error {
	for _, uid := range []string{"coingecko-wall", "coingecko-analysis", "coingecko-exporter"} {
		if err := get(s.grafana+"/api/dashboards/uid/"+uid, &struct{}{}); err != nil {
			return err
		}
	}
	var home struct{ Dashboard struct{ UID string } }
	if err := get(s.grafana+"/api/dashboards/home", &home); err != nil || home.Dashboard.UID != "coingecko-wall" {
		return fmt.Errorf("the home page is %q (%w)", home.Dashboard.UID, err)
	}
	password, err := os.ReadFile("secrets/grafana_admin_password")
	if err != nil {
		return err
	}
	if err := get(strings.Replace(s.grafana, "//", "//admin:"+string(password)+"@", 1)+"/api/admin/settings", &struct{}{}); err != nil {
		return fmt.Errorf("admin cannot sign in: %w", err)
	}
	return get(s.grafana+"/api/datasources/proxy/uid/prometheus/api/v1/query?query=up", &struct{}{})
}

// get reads JSON.
func get(url string, into any) error {
	code, text, err := testbed.Get(url)
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("%s: %d %.300s", url, code, text)
	}
	return json.Unmarshal([]byte(text), into)
}
