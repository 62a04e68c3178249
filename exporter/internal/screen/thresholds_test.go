package screen

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

func TestParseThresholds(t *testing.T) {
	got, err := ParseThresholds(" crypto.1h=0.05, BTC.15m = 0.03,,usd.24h=1")
	if d := cmp.Diff(Thresholds{"crypto.1h": 0.05, "btc.15m": 0.03, "usd.24h": 1}, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	btc, eth := coingecko.Rate{Code: "btc", Type: "crypto"}, coingecko.Rate{Code: "eth", Type: "crypto"}
	for _, c := range []struct {
		of     coingecko.Rate
		window string
		want   float64
	}{{btc, "1h", 0.05}, {btc, "15m", 0.03}, {eth, "1h", 0.05}, {eth, "15m", math.Inf(1)}} {
		if share := got.of(c.of, c.window); share != c.want {
			t.Errorf("%s in %s: %v, want %v", c.of.Code, c.window, share, c.want)
		}
	}
	for _, bad := range []string{"crypto", "crypto.1h", "crypto.1h=", "crypto.1h=0", "crypto.1h=-1", "crypto.1h=NaN", "crypto.1h=Inf", "crypto.2h=0.1", "btc.7d=0.3", "1h=0.1", "crypto.1h=5%", "cry pto.1h=1"} {
		if _, err := ParseThresholds(bad); err == nil || !strings.Contains(err.Error(), strconv.Quote(bad)) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// The default thresholds of the screen are the warning thresholds of the shipped rules.
func TestDefaultThresholdsAreTheShops(t *testing.T) {
	text, err := os.ReadFile("../../../alerts/store.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shop := Thresholds{}
	for _, m := range regexp.MustCompile(`labels: {(?:kind|currency): (\w+), window: (\w+), severity: warning}, expr: vector\(([0-9.]+)\)`).FindAllStringSubmatch(string(text), -1) {
		share, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if who := m[1]; who == "crypto" || who == "btc" { // what has a tile by default
			shop[who+"."+m[2]] = share
		}
	}
	got, err := ParseThresholds(DefaultThresholds)
	if d := cmp.Diff(shop, got); d != "" || err != nil {
		t.Errorf("DefaultThresholds: %v (-shop +got):\n%s", err, d)
	}
}
