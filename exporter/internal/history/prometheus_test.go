package history

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// scraped is an exporter as scraped by a Prometheus.
type scraped struct {
	labels string
	at     func(minute int) map[string]float64 // metric or currency to value, minutes before fetched; nil for no scrape
}

// backfill runs a Prometheus that has scraped exporters each minute in the day before fetched.
func backfill(t *testing.T, exporters ...scraped) *url.URL {
	t.Helper()
	prometheus, promtool := testbed.Tool(t, "prometheus"), testbed.Tool(t, "promtool")
	var text strings.Builder
	names := []string{"coingecko_last_success_timestamp_seconds", "coingecko_exporter_simulated", "btc", "usd", "eth", "bits", "LOUD"}
	for i, name := range names {
		metric, label := name, ""
		if i >= 2 {
			metric, label = "coingecko_exchange_rate", fmt.Sprintf(`currency="%s",kind="fiat",`, name)
		}
		if i <= 2 {
			fmt.Fprintf(&text, "# TYPE %s gauge\n", metric)
		}
		for _, e := range exporters {
			for m := 24*60 + 30; m >= 0; m-- {
				if v, ok := e.at(m)[name]; ok {
					fmt.Fprintf(&text, "%s{%s%s} %v %d\n", metric, label, e.labels, v, fetched.Add(-time.Duration(m)*time.Minute).Unix())
				}
			}
		}
	}
	text.WriteString("# EOF\n")
	dir := t.TempDir()
	file, data := filepath.Join(dir, "metrics"), filepath.Join(dir, "data")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testbed.Run(t, promtool, "tsdb", "create-blocks-from", "openmetrics", file, data)
	config := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u := &url.URL{Scheme: "http", Host: testbed.FreeAddress(t), Path: "/prom/"}
	testbed.Start(t, exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=100y",
		"--web.listen-address="+u.Host, "--web.route-prefix="+u.Path))
	testbed.Eventually(t, "Prometheus is ready", func() error { _, err := testbed.Query(u.String(), "1"); return err })
	return u
}

// left returns the timestamp in a scrape m minutes before fetched of rates that were fetched some seconds earlier.
func left(m int, before time.Duration) float64 {
	return float64(fetched.Add(-time.Duration(m)*time.Minute-before).UnixMilli()) / 1000
}

func TestFetch(t *testing.T) {
	price := func(m int) float64 { return 60000 + float64(m) }
	good := func(m int) map[string]float64 {
		if m > 300 && m < 400 { // nobody was there
			return nil
		}
		return map[string]float64{"coingecko_last_success_timestamp_seconds": left(m, 10*time.Second), "btc": 1, "usd": price(m), "eth": 30, "bits": 1e6}
	}
	u := backfill(t,
		scraped{`job="coingecko-exporter",instance="poller"`, func(m int) map[string]float64 {
			v := good(m)
			switch m {
			case 100:
				v["btc"] = 2 // no rates of one bitcoin
			case 101:
				v["bits"] = 5
			case 110:
				v["usd"] = 0
			case 111:
				v["usd"] = -5
			case 112:
				v["usd"] = math.Inf(1)
			case 113:
				v["usd"] = 100 * price(m)
			case 114:
				v["LOUD"] = 7 // not a currency code
			case 130:
				v["coingecko_last_success_timestamp_seconds"] = left(m, 11*time.Minute) // an exporter that shows what is too old
			}
			return v
		}},
		scraped{`job="coingecko-exporter",instance="relay"`, func(m int) map[string]float64 { // a generation behind: never mixed in
			v := good(m)
			if v != nil {
				v["coingecko_last_success_timestamp_seconds"] = left(m, 70*time.Second)
				v["usd"], v["eth"] = 10*price(m), 5
			}
			return v
		}},
		scraped{`job="coingecko-exporter",instance="fast"`, func(m int) map[string]float64 { // its clock is an hour ahead
			v := good(m)
			if v != nil {
				v["coingecko_last_success_timestamp_seconds"] = left(m-60, 0)
				v["usd"] = 1
			}
			return v
		}},
		scraped{`job="coingecko-exporter",instance="simulated"`, func(m int) map[string]float64 {
			return map[string]float64{"coingecko_last_success_timestamp_seconds": left(m, 0), "coingecko_exporter_simulated": 1, "btc": 1, "usd": 2, "eth": 3, "bits": 1e6}
		}},
		scraped{`job="coingecko-exporter-of-others",instance="poller"`, func(m int) map[string]float64 {
			return map[string]float64{"coingecko_last_success_timestamp_seconds": left(m, 0), "btc": 1, "usd": 3, "eth": 3, "bits": 1e6}
		}},
	)
	source := Source{URL: u, Selector: `job="coingecko-exporter"`, MaxAge: 10 * time.Minute, Jump: 1.5}
	now := fetched.Add(30 * time.Second)
	samples, err := source.Fetch(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	minutes := map[int]Sample{}
	for _, s := range samples {
		back := fetched.Add(-10 * time.Second).Sub(s.At)
		m := int(back / time.Minute)
		if back%time.Minute != 0 || m > 24*60+6 {
			t.Errorf("a sample of %v, which is not when rates left CoinGecko in the last day", s.At)
		}
		minutes[m] = s
	}
	// At a whole minute, Prometheus gives what was scraped before it: the last scrape, 22 s after one, is too young.
	for m := 1; m <= 24*60+5; m++ {
		s, ok := minutes[m]
		usd, hasUSD := s.Price("btc", "usd")
		eth, _ := s.Price("eth", "btc")
		switch {
		case m > 305 && m < 400, m == 100, m == 101, m == 130:
			if ok {
				t.Errorf("%d minutes before: there is a sample of %v: %v %v", m, s.At, s.codes, s.values)
			}
		case m > 300 && m < 400: // within the five minutes for which Prometheus goes on
		case !ok:
			t.Errorf("%d minutes before: no sample", m)
		case m >= 110 && m <= 113:
			if hasUSD {
				t.Errorf("%d minutes before: %v usd", m, usd)
			}
		case usd != price(m) || math.Abs(eth-1./30) > 1e-9:
			t.Errorf("%d minutes before: %v usd and %v, want %v", m, usd, eth, price(m))
		}
	}

	// Whoever asks within the same minute gets the same.
	again, err := source.Fetch(t.Context(), now.Add(7*time.Second))
	if err != nil || len(again) != len(samples) {
		t.Fatalf("%d samples, and then %d: %v", len(samples), len(again), err)
	}
	var h History
	h.Remember(fetched, tiny(7), 0)
	h.Restore(samples)
	h.Restore(again)
	if len(h.samples) != len(samples)+1 {
		t.Errorf("%d samples of %d and one more", len(h.samples), len(samples))
	}
	if s, ok := h.Before(fetched.Add(-24 * time.Hour)); !ok {
		t.Error("nothing is known of a day ago")
	} else if usd, _ := s.Price("btc", "usd"); usd != price(24*60) {
		t.Errorf("a day ago: %v usd", usd)
	}

	source.Selector = `job="none"`
	if samples, err := source.Fetch(t.Context(), now); err != nil || len(samples) > 0 {
		t.Errorf("a job that is not there: %d samples, %v", len(samples), err)
	}
	source.Selector = `job=~"("`
	if _, err := source.Fetch(t.Context(), now); err == nil || !strings.Contains(err.Error(), "bad_data") {
		t.Errorf("a bad expression: %v", err)
	}
}

func TestAnswersThatWouldNotBeBelievedAreLeftOut(t *testing.T) {
	p := past{source: Source{MaxAge: 10 * time.Minute}, beliefs: map[string]belief{}}
	full := append(tiny(100), coingecko.Rate{Code: "eth", Value: 30}, coingecko.Rate{Code: "xau", Value: 20}, coingecko.Rate{Code: "eur", Value: 90})
	for _, c := range []struct {
		minute int
		rates  []coingecko.Rate
		kept   int
	}{
		{0, full, 1},
		{1, tiny(100), 1},      // under half
		{2, full[1:], 1},       // no btc
		{3, full[:3], 2},       // half, and more
		{3, full, 2},           // the same minute
		{2, full, 2},           // earlier
		{15, tiny(100)[:1], 3}, // nothing young is there to protect
		{16, make([]coingecko.Rate, coingecko.MaxEntries+1), 3},
	} {
		if p.keep(fetched.Add(time.Duration(c.minute)*time.Minute), slices.Clone(c.rates)); len(p.samples) != c.kept {
			t.Errorf("after minute %d: %d samples, want %d", c.minute, len(p.samples), c.kept)
		}
	}
}

// A repeated wrong rate is omitted; a real change is included with the next answer.
func TestRatesThatJumpAreBelievedWhenAnotherAnswerConfirmsThem(t *testing.T) {
	p := past{source: Source{MaxAge: 10 * time.Minute, Jump: 1.5}, beliefs: map[string]belief{}}
	got := ""
	for m, usd := range []float64{100, 1000, 1000, 1000, 101, 200, 200, 201, 202, 500, 203} {
		p.keep(fetched.Add(time.Duration(m)*time.Minute), tiny(usd))
		price, _ := p.samples[len(p.samples)-1].Price("btc", "usd")
		got += fmt.Sprint(price, " ")
	}
	if got != "100 0 0 0 101 0 0 201 202 0 203 " {
		t.Errorf("believed: %s", got)
	}
}

func TestRestoreKeepsWhatIsThere(t *testing.T) {
	h := filled(3*time.Minute, time.Minute)
	past := []Sample{
		NewSample(fetched.Add(-4*time.Minute), tiny(1), Sample{}),
		NewSample(fetched.Add(-3*time.Minute+time.Second), tiny(2), Sample{}),
		NewSample(fetched.Add(-2*time.Minute), tiny(3), Sample{}),
	}
	h.Restore(past)
	got := ""
	for _, s := range h.samples {
		usd, _ := s.Price("btc", "usd")
		got += fmt.Sprint(usd, " ")
	}
	if got != "1 180 3 60 " {
		t.Errorf("got %s", got)
	}
	h.Remember(fetched, tiny(9), 0)
	if len(h.samples) != 5 {
		t.Error("history does not grow any more")
	}
}

// Errors of a Prometheus that cannot be reached or is replaced by another server, without the password.
func TestFetchErrors(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc // nil for none
		want   string
	}{
		"not there":      {nil, "connection refused"},
		"refused":        {testbed.Answers(401, "token of reader is wrong"), "client error: 401"},
		"starting":       {testbed.Answers(503, "Service Unavailable"), "503"},
		"a login page":   {testbed.Answers(200, "<html>"), "bad_response"},
		"too much":       {testbed.Answers(200, strings.Repeat(" ", maxBody+1)), "too large"},
		"something else": {testbed.Answers(200, `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`), "scalar"},
		"redirected":     {testbed.Answers(302, "", "Location: http://127.0.0.1:1/"), "connection refused"},
	} {
		server := httptest.NewServer(c.answer)
		if c.answer == nil {
			server.Close()
		}
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("reader", "pa55word")
		_, err = Source{URL: u, Selector: `job="x"`}.Fetch(t.Context(), fetched)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), u.Host) {
			t.Errorf("%s: %v", name, err)
		} else if text := err.Error(); strings.Contains(text, "reader:") || strings.Contains(text, "pa55word") || strings.Contains(text, "\n") {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Source{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}).Fetch(ctx, fetched); err == nil {
		t.Error("a context that has ended is no error")
	}
}

func TestIsSelector(t *testing.T) {
	for text, want := range map[string]bool{
		`job="coingecko-exporter"`:                        true,
		`job="a",namespace=~"shop-(eu|us)", cluster!="x"`: true,
		`job="a",`:                    true,
		`job="a\"b"`:                  true,
		``:                            false,
		`job`:                         false,
		`{job="a"}`:                   false,
		`job='a'`:                     false,
		`job="a"} or vector(1) or x{`: false,
		`job="a" namespace="b"`:       false,
		`job="a\"`:                    false,
		"job=\"a\n\"":                 false,
	} {
		if IsSelector(text) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
