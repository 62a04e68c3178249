// What people receive: alerts go through a real Alertmanager with the example's routes, inhibitions and templates, to
// a chat, a mailbox, a pager and a webhook that write down what they get.

package alerts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// posted is an alert as Prometheus sends it.
type posted struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// says gives an alert: name, severity and further labels ("currency=eth kind=crypto"), its texts and where it leads.
func says(name, severity, labels, summary, description, dashboard string) posted {
	return posted{
		Labels: labelsOf("job=coingecko-exporter namespace=shop alertname=" + name + " severity=" + severity + " " + labels),
		Annotations: map[string]string{
			"summary": summary, "description": description, "dashboard_url": dashboard,
			"runbook_url": runbooks + strings.TrimSuffix(name, "Critical") + ".md",
		},
	}
}

func (p posted) isOver() bool { return !p.EndsAt.IsZero() && p.EndsAt.Before(time.Now()) }

func (p posted) over(summary string) posted {
	said := maps.Clone(p.Annotations)
	said["summary"] = summary
	p.Annotations, p.EndsAt = said, time.Now()
	return p
}

func TestMessages(t *testing.T) {
	t.Parallel()
	alertmanager := testbed.Tool(t, "alertmanager", "prometheus-alertmanager")

	swing := func(name, severity, currency, summary, thresholds string) posted {
		return says(name, severity, "kind=crypto currency="+currency, summary, thresholds, "/d/coingecko-analysis?var-currency="+currency)
	}
	const over = " The alert resolves after the change has stayed below 80 % of them for an hour."
	warning := swing("CoinGeckoPriceSwing", "warning", "eth", "ETH fell 5.4 % in 1 h to 1,742 USD", "The warning thresholds of ETH are 4 % in 15 min, 5 % in 1 h, 15 % in 24 h."+over)
	critical := swing("CoinGeckoPriceSwingCritical", "critical", "eth", "ETH fell 10.6 % in 1 h to 1,646 USD", "The critical thresholds of ETH are 8 % in 15 min, 10 % in 1 h, 25 % in 24 h."+over)
	other := swing("CoinGeckoPriceSwing", "warning", "dot", "DOT fell 8.0 % in 1 h to 5.21 USD", "The warning thresholds of DOT are 4 % in 15 min, 5 % in 1 h, 15 % in 24 h."+over)
	market := says("CoinGeckoMarketSwingCritical", "critical", "", "The market fell 11.3 % in 1 h: the median of 12 coins in USD",
		"Largest moves in 1 h: BTC -8.1 %, ETH -11.3 %, SOL -16.4 %. While this lasts, a single coin alerts only if it moves the other way or at least three times as far.", "/d/coingecko-wall")
	stale := says("CoinGeckoRatesStale", "critical", "", "No fresh rates: the newest are 9m 12s old", "No exporter of coingecko-exporter has fresh rates. At --rates.max-age the rates expire, and the exporter shows no prices. Swing alerts do not fire on stale rates.", "/d/coingecko-exporter")
	simulated := swing("CoinGeckoPriceSwingCritical", "critical", "eth", "SIMULATED ETH fell 10.6 % in 1 h to 1,646 USD", "SIMULATED.")
	simulated.Labels["simulated"] = "true"

	restless := swing("CoinGeckoUnusualVolatility", "notice", "ltc", "LTC is unusually restless: 0.6 % in a typical 15 min", "Half of the 15-minute moves of the last two hours were at least that large.")
	teams := knowsTeams(t, alertmanager)

	type step struct {
		what    string
		alerts  func() []posted
		restart bool
	}
	fire := func(alerts ...posted) func() []posted { return func() []posted { return alerts } }
	for name, steps := range map[string][]step{
		"one swing": {
			{what: "ETH falls", alerts: fire(warning)},
			{what: "it gets worse", alerts: fire(warning, critical)},
			{what: "it goes on", alerts: fire(warning, critical)},
			{what: "it is over", alerts: func() []posted {
				return []posted{warning.over("ETH is calm again at 1,655 USD"), critical.over("ETH is calm again at 1,655 USD")}
			}},
		},
		"the market": {
			{what: "one coin is first", alerts: fire(other)},
			{what: "then all fall", alerts: fire(other, market)},
			{what: "the market is over, the coin not", alerts: func() []posted { return []posted{other, market.over("The market is calm again")} }},
			{what: "the coin is over", alerts: func() []posted { return []posted{other.over("DOT is calm again at 5.40 USD")} }},
		},
		"no rates in the midst of a swing": {
			{what: "DOT falls", alerts: fire(other)},
			{what: "the rates become stale", alerts: func() []posted {
				return []posted{stale, other.over("DOT can no longer be followed: there are no fresh rates")}
			}},
			{what: "they are fresh again", alerts: func() []posted { return []posted{stale.over(stale.Annotations["summary"])} }},
		},
		"a restart": {
			{what: "ETH falls far", alerts: fire(warning, critical)},
			{what: "Alertmanager starts again, and hears the same", alerts: fire(warning, critical), restart: true},
			{what: "Prometheus was away for too long", alerts: func() []posted {
				return []posted{warning.over(critical.Annotations["summary"]), critical.over(critical.Annotations["summary"])}
			}},
		},
		"simulated": {{what: "a simulated coin falls", alerts: fire(simulated)}},
		"a notice": {
			{what: "LTC is restless", alerts: fire(restless)},
			{what: "it is over", alerts: func() []posted { return []posted{restless.over(restless.Annotations["summary"])} }},
		},
		// With the titles and texts that come with Alertmanager. They name labels, so a title has the coin, and neither direction nor
		// size: those change while an alert fires. Where there is a text, it has the alert's own.
		byDefault: {
			{what: "ETH falls", alerts: fire(warning)},
			{what: "it gets worse", alerts: fire(warning, critical)},
			{what: "all fall, and it is over", alerts: func() []posted {
				return []posted{market, warning.over("ETH is calm again at 1,655 USD"), critical.over("ETH is calm again at 1,655 USD")}
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newMailbox(t)
			dir := t.TempDir()
			args := []string{
				"--config.file=" + exampleTo(t, dir, box, teams, name == byDefault), "--storage.path=" + filepath.Join(dir, "data"),
				"--cluster.listen-address=", "--web.external-url=http://alertmanager.example.com",
			}
			address := testbed.FreeAddress(t)
			am := testbed.Serve(t, address, alertmanager, args...)
			var b strings.Builder
			for i, s := range steps {
				if s.restart {
					time.Sleep(5 * time.Second) // Alertmanager notes a message as sent a moment after it was received
					am.Stop()
					am = testbed.Serve(t, address, alertmanager, args...)
				}
				alerts := s.alerts()
				// What holds others back is known before them. Alertmanager may tell of a warning that begins at the very moment at
				// which the critical one does, also when it starts: its parts hear of alerts one after the other.
				if first := slices.DeleteFunc(slices.Clone(alerts), func(a posted) bool { return a.Labels["severity"] != "critical" }); len(first) > 0 && len(first) < len(alerts) &&
					!slices.ContainsFunc(alerts, posted.isOver) {
					postAlerts(t, address, first)
					time.Sleep(5 * time.Second)
				}
				postAlerts(t, address, alerts)
				fmt.Fprintf(&b, "# %s\n\n", s.what)
				// A message of its own, later than all others would be, ends the wait, also for one that must not come.
				end := fmt.Sprintf("step%d", i)
				postAlerts(t, address, []posted{{Labels: map[string]string{"alertname": "End", "step": end}}})
				said := box.until(t, end)
				if len(said) == 0 {
					b.WriteString("Nobody is told anything.\n\n")
				}
				if name == byDefault {
					said = inShort(said)
				}
				b.WriteString(strings.Join(said, ""))
			}
			golden := filepath.Join("testdata", "messages", strings.ReplaceAll(name, " ", "-")+".txt")
			if teams {
				testbed.Golden(t, golden, b.String())
				return
			}
			if testbed.Update() {
				t.Fatal("the golden files hold what Microsoft Teams gets: write them with Alertmanager 0.28 or later")
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(withoutTeams(want)), b.String()); diff != "" {
				t.Errorf("%s is not what is received:\n%s", golden, diff)
			}
		})
	}
}

// byDefault is the case with Alertmanager's own templates.
const byDefault = "default templates"

// inShort gives of messages in Alertmanager's own layout, which differs from version to version, the title and how far the text says
// that a price moved. A webhook has no layout.
func inShort(said []string) []string {
	var short []string
	for _, message := range said {
		lines := strings.Split(message, "\n")
		switch {
		case strings.HasPrefix(message, "## Webhook"):
			continue
		case strings.HasPrefix(message, "## E-mail"): // its title is the heading
			lines = append(lines[:2], "")
		default:
			lines = append(lines[:3], "")
		}
		size := regexp.MustCompile(`(fell|rose) \d+\.\d %|is calm again`).FindString(message)
		short = append(short, fmt.Sprintf("%s%q is in the text.\n\n", strings.Join(lines, "\n"), size))
	}
	return slices.Compact(short)
}

// knowsTeams says whether an Alertmanager has the receiver for Microsoft Teams' workflows: from 0.28 on.
func knowsTeams(t *testing.T, alertmanager string) bool {
	t.Helper()
	version := regexp.MustCompile(`version (\d+)\.(\d+)`).FindStringSubmatch(testbed.Run(t, alertmanager, "--version"))
	if version == nil {
		t.Fatalf("%s --version names no version", alertmanager)
	}
	major, _ := strconv.Atoi(version[1])
	minor, _ := strconv.Atoi(version[2])
	if major == 0 && minor < 28 {
		t.Logf("Alertmanager %s.%s does not know Microsoft Teams: what it gets is not compared", version[1], version[2])
		return false
	}
	return true
}

// withoutTeams leaves out what only Microsoft Teams gets.
func withoutTeams(golden []byte) []byte {
	var kept bytes.Buffer
	leave := false
	for line := range bytes.Lines(golden) {
		if bytes.HasPrefix(line, []byte("# ")) || bytes.HasPrefix(line, []byte("## ")) {
			leave = bytes.HasPrefix(line, []byte(teamsHeading))
		}
		if !leave {
			kept.Write(line)
		}
	}
	return kept.Bytes()
}

const teamsHeading = "## Microsoft Teams"

func postAlerts(t *testing.T, address string, alerts []posted) {
	t.Helper()
	for i := range alerts {
		if alerts[i].EndsAt.IsZero() {
			alerts[i].EndsAt = time.Now().Add(time.Hour)
		}
		if alerts[i].StartsAt.IsZero() {
			alerts[i].StartsAt = time.Now().Add(-time.Second)
		}
	}
	testbed.PostJSON(t, "http://"+address+"/api/v2/alerts", alerts)
}

// exampleTo is the shipped example with its receivers at the mailbox, and impatient; with Microsoft Teams, or without the templates.
func exampleTo(t *testing.T, dir string, box *mailbox, teams, plain bool) string {
	t.Helper()
	text, err := os.ReadFile("alertmanager.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secret := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := string(text)
	if teams {
		config = regexp.MustCompile(`(?m)^    # (msteamsv2_configs:|  (- webhook_url_file:|  \w+:))`).ReplaceAllString(config, "    $1")
		if !strings.Contains(config, "\n    msteamsv2_configs:") {
			t.Fatal("the example has no receiver for Microsoft Teams")
		}
	}
	for _, change := range [][2]string{
		{"templates: [templates/*.tmpl]", fmt.Sprintf("templates: [%q]", absolute(t, "templates/*.tmpl"))},
		{"/etc/alertmanager/slack-url", secret("slack-url", box.web.URL+"/slack")},
		{"/etc/alertmanager/teams-url", secret("teams-url", box.web.URL+"/teams")},
		{"/etc/alertmanager/mail-password", secret("mail-password", "none")},
		{"/etc/alertmanager/pagerduty-key", secret("pagerduty-key", "none") + "\n        url: " + box.web.URL + "/pagerduty"},
		{"mail.example.com:587", box.smtp + "\n        require_tls: false"},
		{"https://on-call.example.com/alertmanager", box.web.URL + "/webhook"},
		{"  routes:\n", "  routes:\n    - {matchers: ['alertname = \"End\"'], receiver: end, group_by: [step], group_wait: 5s}\n"},
		{"receivers:\n", "receivers:\n  - {name: end, webhook_configs: [{url: " + box.web.URL + "/end}]}\n"},
	} {
		if !strings.Contains(config, change[0]) {
			t.Fatalf("the example does not hold %q", change[0])
		}
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	if plain {
		config = regexp.MustCompile(`(?m)^.*\{\{ template "coingecko\..*\n`).ReplaceAllString(config, "")
	}
	config = regexp.MustCompile(`group_(wait|interval): \d+[smh]\n`).ReplaceAllString(config, "group_$1: 1s\n")
	return secret("alertmanager.yaml", config)
}

// mailbox stands for a chat, a mail server, a pager and a webhook.
type mailbox struct {
	web  *httptest.Server
	smtp string
	mu   sync.Mutex
	said []string
	ends map[string]bool
}

func newMailbox(t *testing.T) *mailbox {
	box := &mailbox{ends: map[string]bool{}}
	box.web = httptest.NewServer(box)
	t.Cleanup(box.web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	box.smtp = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go box.receive(c)
		}
	}()
	return box
}

func (m *mailbox) add(format string, a ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, fmt.Sprintf(format, a...))
}

// until waits for the message that ends a step, and gives what came meanwhile, in an order of its own.
func (m *mailbox) until(t *testing.T, end string) []string {
	t.Helper()
	testbed.Until(t, "the end of "+end, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.ends[end]
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	said := m.said
	m.said = nil
	slices.Sort(said)
	return said
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		// Slack
		Attachments []struct {
			Color, Title, Fallback, Text string
			TitleLink                    string `json:"title_link"`
			Content                      struct {
				Body []struct{ Text, Color string }
			} // Microsoft Teams
		}
		// PagerDuty
		EventAction string `json:"event_action"`
		DedupKey    string `json:"dedup_key"`
		ClientURL   string `json:"client_url"`
		Links       []struct{ Href, Text string }
		Payload     struct {
			Summary, Severity string
			Details           map[string]any `json:"custom_details"`
		}
		// Webhook
		Status      string
		GroupLabels map[string]string
		Alerts      []alert
	}
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/end":
		m.mu.Lock()
		m.ends[message.GroupLabels["step"]] = true
		m.mu.Unlock()
	case "/slack":
		for _, a := range message.Attachments {
			m.add("## Slack, %s\n\n%s\n%s\n%s\n\n", a.Color, a.Title, a.TitleLink, a.Text)
		}
		_, _ = io.WriteString(w, "ok")
	case "/teams":
		for _, a := range message.Attachments {
			m.add("%s, %s\n\n%s\n%s\n\n", teamsHeading, a.Content.Body[0].Color, a.Content.Body[0].Text, a.Content.Body[1].Text)
		}
	case "/pagerduty":
		w.WriteHeader(http.StatusAccepted)
		var b strings.Builder
		for _, l := range message.Links {
			fmt.Fprintf(&b, "%s: %s\n", l.Text, l.Href)
		}
		if message.EventAction != "resolve" {
			// Alertmanager adds details of its own, which differ from version to version.
			text, ours := message.Payload.Details["text"]
			if !ours {
				text = message.Payload.Details
			}
			fmt.Fprintf(&b, "%v\n", text)
		}
		m.add("## PagerDuty, %s %s\n\n%s\n%s\n", message.EventAction, message.Payload.Severity, message.Payload.Summary, b.String())
	case "/webhook":
		var b strings.Builder
		for _, a := range message.Alerts {
			fmt.Fprintf(&b, "%s %s %s: %s\n", a.Status, a.Labels["severity"], a.Labels["alertname"], a.Annotations["summary"])
		}
		m.add("## Webhook, %s\n\n%s\n", message.Status, b.String())
	}
}

// receive takes mail by as much SMTP as that needs.
func (m *mailbox) receive(c net.Conn) {
	smtp := textproto.NewConn(c)
	defer smtp.Close()
	_ = smtp.PrintfLine("220 ready")
	for {
		line, err := smtp.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); verb {
		case "DATA":
			_ = smtp.PrintfLine("354 go on")
			if text, err := readMail(smtp.DotReader()); err != nil {
				m.add("## E-mail\n\ncannot be read: %v\n\n", err)
			} else {
				m.add("## E-mail, %s\n", text)
			}
			_ = smtp.PrintfLine("250 taken")
		case "QUIT":
			_ = smtp.PrintfLine("221 bye")
			return
		default:
			_ = smtp.PrintfLine("250 ok")
		}
	}
}

// readMail gives a mail's subject, and its texts by their kind.
func readMail(in io.Reader) (string, error) {
	message, err := mail.ReadMessage(in)
	if err != nil {
		return "", err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		return "", err
	}
	_, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	all := subject + "\n\n"
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return "", err
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		shown := strings.ReplaceAll(strings.TrimSpace(string(text)), "\r\n", "\n")
		if strings.Contains(shown, "<style") { // Alertmanager's own: what is to be read in it
			shown = regexp.MustCompile(`(?s)<head>.*</head>|<[^>]*>`).ReplaceAllString(shown, "")
			shown = regexp.MustCompile(`\s*\n\s*`).ReplaceAllString(strings.TrimSpace(shown), "\n")
		}
		all += fmt.Sprintf("%s:\n%s\n", kind, shown)
	}
}

// What only newer Alertmanagers show, or no message above: alerts with different dashboards have none in common, and the
// first one's is better than a dashboard that may not exist.
func TestTemplatesRender(t *testing.T) {
	t.Parallel()
	amtool := testbed.Tool(t, "amtool")
	data := filepath.Join(t.TempDir(), "data.json")
	if err := os.WriteFile(data, []byte(`{"alerts":[{"status":"firing","labels":{"job":"coingecko-exporter","namespace":"shop"},"annotations":{
		"summary":"ETH fell","description":"Why.","dashboard_url":"/d/x","runbook_url":"https://example.com/r"}}],"commonAnnotations":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"dashboard": "https://grafana.example.com/d/x",
		"markdown":  "Why.\n\n[Dashboard](https://grafana.example.com/d/x) · [Runbook](https://example.com/r) · From coingecko-exporter in shop",
	} {
		got := testbed.Run(t, amtool, "template", "render", "--template.glob=templates/*.tmpl",
			`--template.text={{ template "coingecko.`+name+`" . }}`, "--template.data="+data)
		if got != want {
			t.Errorf("coingecko.%s gives %q, not %q", name, got, want)
		}
	}
}
