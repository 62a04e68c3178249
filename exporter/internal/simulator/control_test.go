package simulator

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestControl(t *testing.T) {
	s := serve(t, None, Options{Calm: true})
	post := func(path string) answer { return s.mustAsk(http.MethodPost, path) }

	for _, m := range Modes() {
		post("/fail/"+string(m)).want(200, "text/plain", string(m)+": "+m.About())
		index := s.mustAsk(http.MethodGet, "/")
		index.want(200, "text/plain", "Mode    "+string(m)+": ")
		for _, other := range Modes() {
			index.want(200, "text/plain", fmt.Sprintf("\n%-13s %s\n", other, other.About()))
		}
		index.want(200, "text/plain", s.URL()+"/exchange_rates")
		for _, path := range []string{"swing/eth", "fail/MODE", "recover", "history?hours=192"} {
			index.want(200, "text/plain", s.ControlURL()+path)
		}
	}
	post("/fail/empty")
	s.get().want(200, jsonType, `{"rates":{}}`)
	post("/recover").want(200, "text/plain", "none: answers as CoinGecko does")
	s.get().want(200, jsonType, `"btc"`)

	post("/swing/eth").want(200, "text/plain", "eth moves by -12.0 %")
	if got, want := s.swings(), []swing{{s.market.index("eth"), start, math.Log1p(-0.12)}}; !slices.Equal(got, want) {
		t.Errorf("swings %v, want %v", got, want)
	}
	post("/swing/market?change=0.3").want(200, "text/plain", "market moves by +30.0 %")
}

func TestControlRefuses(t *testing.T) {
	s := serve(t, None, Options{})
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"POST", "/fail/explode", 400, `unknown mode "explode": use one of [none refuse stall`},
		{"POST", "/swing/doge", 400, `unknown currency "doge"`},
		{"POST", "/swing/ETH", 400, "in lower case"},
		{"POST", "/swing/sats", 400, "swing btc"},
		{"POST", "/swing/bits", 400, "swing btc"},
		{"POST", "/swing/eth?change=much", 400, `change "much" is not a number`},
		{"POST", "/swing/eth?change=0", 400, "change 0 is not a swing"},
		{"POST", "/swing/eth?change=-1", 400, "from -0.9 to 9"},
		{"POST", "/swing/eth?change=9.1", 400, "from -0.9 to 9"},
		{"POST", "/swing/eth?change=NaN", 400, "change NaN is not a swing"},
		{"POST", "/swing/eth?change=Inf", 400, "from -0.9 to 9"},
		{"GET", "/swing/eth", 405, "Method Not Allowed"},
		{"GET", "/fail/none", 405, "Method Not Allowed"},
		{"GET", "/recover", 405, "Method Not Allowed"},
		{"POST", "/", 405, "Method Not Allowed"},
		{"POST", "/history", 405, "Method Not Allowed"},
		{"GET", "/elsewhere", 404, "not found"},
		{"POST", "/swing/", 404, "not found"},
		{"GET", "/history?hours=many", 400, `hours "many": use a number`},
		{"GET", "/history?hours=0", 400, "above 0"},
		{"GET", "/history?hours=-1", 400, "above 0"},
		{"GET", "/history?hours=NaN", 400, "above 0"},
		{"GET", "/history?hours=1e9", 400, "up to 10000"},
		{"GET", "/history?step=60", 400, `step "60": use a duration`},
		{"GET", "/history?step=1ms", 400, "at least 1s"},
		{"GET", "/history?step=-1m", 400, "at least 1s"},
		{"GET", "/history?hours=1000&step=1s", 400, "are more than 50000"},
		{"GET", "/history?hours=1&step=2h", 400, "longer than the history"},
		{"GET", "/history?hour=1", 400, `unknown parameter "hour"`},
		{"GET", "/history?job=%ff", 400, "job: use UTF-8"},
		{"GET", "/history?namespace=" + strings.Repeat("n", 201), 400, "at most 200 bytes"},
	} {
		s.mustAsk(test.method, test.path).want(test.status, "text/plain", test.body)
	}
	if s.Requests() != 0 || len(s.swings()) != 0 {
		t.Errorf("%d requests, %d swings, want none", s.Requests(), len(s.swings()))
	}
}

// A page of another site must not be able to control the simulator.
func TestControlRefusesOtherSites(t *testing.T) {
	s := serve(t, None, Options{})
	s.mustAsk(http.MethodPost, "/fail/empty", "Origin", "https://example.org").want(403, "text/plain", "")
	s.mustAsk(http.MethodPost, "/fail/empty", "Sec-Fetch-Site", "cross-site").want(403, "text/plain", "")
	s.mustAsk(http.MethodGet, "/").want(200, "text/plain", "Mode    none")
}
