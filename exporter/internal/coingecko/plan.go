// CoinGecko's plans.

package coingecko

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// Plan is a CoinGecko API plan.
// Source: https://docs.coingecko.com/reference/authentication and https://www.coingecko.com/en/api/pricing
type Plan struct {
	Name      string
	URL       string        // base URL
	KeyHeader string        // header that carries the key; empty for a plan without one
	Interval  time.Duration // default interval between polls
	PerMinute int           // requests; 0 if CoinGecko guarantees no number
	PerMonth  int           // requests; 0 if there is no limit
}

var plans = []Plan{
	// Keyless access allows five to fifteen requests a minute for each IP address, which is not a fixed number.
	// CoinGecko documents two numbers for demo keys; this is the smaller one. docs/operations.md has both.
	{Name: "keyless", URL: "https://api.coingecko.com/api/v3", Interval: time.Minute},
	{
		Name: "demo", URL: "https://api.coingecko.com/api/v3", KeyHeader: "x-cg-demo-api-key",
		Interval: 5 * time.Minute, PerMinute: 30, PerMonth: 10_000,
	},
	// The smallest pro plan; larger plans allow more.
	{
		Name: "pro", URL: "https://pro-api.coingecko.com/api/v3", KeyHeader: "x-cg-pro-api-key",
		Interval: time.Minute, PerMinute: 250, PerMonth: 100_000,
	},
}

// Plans lists every plan, the default first.
func Plans() []Plan { return plans }

// Month is the longest month: quotas are per calendar month.
const Month = 31 * 24 * time.Hour

// PollsPerMonth returns the number of polls in the longest month. The interval must be above 0.
func PollsPerMonth(interval time.Duration) int {
	return int((Month + interval - 1) / interval)
}

// UpstreamOf returns the kind of upstream by the host of its base URL.
func UpstreamOf(base *url.URL) Upstream {
	if isCoinGecko(Host(base)) {
		return CoinGecko
	}
	return Relay
}

// Host returns the host of a URL in lower case and without a trailing dot, for comparison.
func Host(u *url.URL) string {
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

func isCoinGecko(host string) bool {
	return host == "coingecko.com" || strings.HasSuffix(host, ".coingecko.com")
}

// MayCarryKey reports whether the API key may be sent to a URL: to CoinGecko over HTTPS, or to a loopback address.
func MayCarryKey(u *url.URL) bool {
	host := Host(u)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	return u.Scheme == "https" && isCoinGecko(host)
}
