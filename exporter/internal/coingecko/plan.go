// What CoinGecko's plans differ in.

package coingecko

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// Plan is a way of access to the API.
// Source: https://docs.coingecko.com/reference/authentication and https://www.coingecko.com/en/api/pricing
type Plan struct {
	Name      string
	URL       string        // base URL
	KeyHeader string        // header that carries the key; empty for a plan without one
	Interval  time.Duration // between polls, unless told otherwise
	PerMinute int           // requests; 0 where CoinGecko promises no number
	PerMonth  int           // requests; 0 where there is no such limit
}

var plans = []Plan{
	// Five to fifteen requests a minute for each IP address, shared by all behind it: no number to hold on to.
	// For demo keys CoinGecko names two numbers: docs/operations.md has both. The smaller one stands here.
	{Name: "keyless", URL: "https://api.coingecko.com/api/v3", Interval: time.Minute},
	{
		Name: "demo", URL: "https://api.coingecko.com/api/v3", KeyHeader: "x-cg-demo-api-key",
		Interval: 5 * time.Minute, PerMinute: 30, PerMonth: 10_000,
	},
	// The smallest pro plan; larger ones have more of both.
	{
		Name: "pro", URL: "https://pro-api.coingecko.com/api/v3", KeyHeader: "x-cg-pro-api-key",
		Interval: time.Minute, PerMinute: 250, PerMonth: 100_000,
	},
}

// Plans lists every plan, the default first.
func Plans() []Plan { return plans }

// Month is the longest month: quotas are counted by calendar months.
const Month = 31 * 24 * time.Hour

// PollsPerMonth is how many polls an interval (above 0) makes in the longest month.
func PollsPerMonth(interval time.Duration) int {
	return int((Month + interval - 1) / interval)
}

// UpstreamOf tells CoinGecko itself from anybody else, by the host of a base URL.
func UpstreamOf(base *url.URL) Upstream {
	if isCoinGecko(Host(base)) {
		return CoinGecko
	}
	return Relay
}

// Host is the host of a URL as DNS compares names: in lower case, and without the dot of the root.
func Host(u *url.URL) string {
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

func isCoinGecko(host string) bool {
	return host == "coingecko.com" || strings.HasSuffix(host, ".coingecko.com")
}

// MayCarryKey says whether the API key may travel to a URL: to CoinGecko by HTTPS, or within this machine.
func MayCarryKey(u *url.URL) bool {
	host := Host(u)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	return u.Scheme == "https" && isCoinGecko(host)
}
