package simulator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

func TestControl(t *testing.T) {
	t.Parallel()
	s, clock := serve(t, Options{Calm: true})
	c := client(t)
	base := strings.TrimSuffix(s.ControlURL(), "/")
	post := func(path string) answer { return mustAsk(t, c, http.MethodPost, base+path, nil) }
	rates := func() answer { return mustAsk(t, c, http.MethodGet, s.URL()+"/exchange_rates", nil) }

	for _, m := range Modes() {
		post("/fail/"+string(m)).want(t, 200, "text/plain", string(m)+": "+m.About())
		index := mustAsk(t, c, http.MethodGet, base+"/", nil)
		index.want(t, 200, "text/plain", "Mode    "+string(m)+": ")
		for _, other := range Modes() {
			index.want(t, 200, "text/plain", string(other))
			index.want(t, 200, "text/plain", other.About())
		}
		for _, path := range []string{"/swing/eth", "/fail/MODE", "/recover", "/history?hours=192", "/api/v3/exchange_rates"} {
			index.want(t, 200, "text/plain", base+path)
		}
	}
	post("/fail/empty")
	rates().want(t, 200, jsonType, `{"rates":{}}`)
	post("/recover").want(t, 200, "text/plain", "none: answers as CoinGecko does")
	rates().want(t, 200, jsonType, `"btc"`)

	before := price(t, s.Rates(clock.now().Add(manualRise)), "eth")
	post("/swing/eth").want(t, 200, "text/plain", "eth moves by -12.0 %")
	clock.add(manualRise)
	got, _, err := coingecko.Decode([]byte(rates().body))
	if err != nil {
		t.Fatal(err)
	}
	if move := price(t, got, "eth")/before - 1; move < -0.121 || move > -0.119 {
		t.Errorf("eth moved by %v, want -0.12", move)
	}
	post("/swing/market?change=0.3").want(t, 200, "text/plain", "market moves by +30.0 %")
}

func TestControlRefuses(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, Options{})
	c := client(t)
	base := strings.TrimSuffix(s.ControlURL(), "/")
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"POST", "/fail/explode", 400, `unknown mode "explode"`},
		{"POST", "/swing/doge", 400, `unknown currency "doge"`},
		{"POST", "/swing/eth?change=much", 400, `change "much" is not a number`},
		{"POST", "/swing/eth?change=-2", 400, "change -2 is not a swing"},
		{"POST", "/swing/eth?change=NaN", 400, "change NaN is not a swing"},
		{"GET", "/swing/eth", 405, "Method Not Allowed"},
		{"GET", "/fail/none", 405, "Method Not Allowed"},
		{"GET", "/recover", 405, "Method Not Allowed"},
		{"POST", "/", 405, "Method Not Allowed"},
		{"POST", "/history", 405, "Method Not Allowed"},
		{"GET", "/elsewhere", 404, "not found"},
		{"POST", "/swing/", 404, "not found"},
	} {
		a := mustAsk(t, c, test.method, base+test.path, nil)
		if a.status != test.status || !strings.Contains(a.body, test.body) {
			t.Errorf("%s %s: status %d, body %q, want %d and %q", test.method, test.path, a.status, a.body, test.status, test.body)
		}
	}
	if s.Requests() != 0 || len(s.swings()) != 0 {
		t.Errorf("%d requests, %d swings, want none", s.Requests(), len(s.swings()))
	}
}

// A page of another site must not be able to control the simulator.
func TestControlRefusesOtherSites(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, Options{})
	c := client(t)
	for name, value := range map[string]string{"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"} {
		a := mustAsk(t, c, http.MethodPost, s.ControlURL()+"fail/empty", map[string]string{name: value})
		if a.status != http.StatusForbidden {
			t.Errorf("%s %s: status %d", name, value, a.status)
		}
	}
	mustAsk(t, c, http.MethodGet, s.ControlURL(), nil).want(t, 200, "text/plain", "Mode    none")
}
