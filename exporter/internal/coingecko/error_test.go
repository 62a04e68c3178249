package coingecko_test

import (
	"strings"
	"testing"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// What is said depends on who refused, and whether a key was sent, and where it came from.
func TestExplain(t *testing.T) {
	const (
		file = "--coingecko.api-key-file"
		env  = "COINGECKO_API_KEY"
		free = "A demo key is free (https://www.coingecko.com/en/api/pricing): set --coingecko.plan=demo and --coingecko.api-key-file."
	)
	relay := func(e coingecko.Error) coingecko.Error {
		e.Upstream, e.Host = coingecko.Relay, "poller:9880"
		return e
	}
	for _, tc := range []struct {
		e    coingecko.Error
		want string
	}{
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401}, "CoinGecko refused access without an API key (401). " + free},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 403}, "CoinGecko refused access without an API key (403). It blocks this machine's address, or wants a key. " + free},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Key: file}, "CoinGecko refused the API key (401). Check --coingecko.api-key-file."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Key: env}, "CoinGecko refused the API key (401). Check COINGECKO_API_KEY."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 403, Key: env}, "CoinGecko refused access with an API key (403). It blocks this machine's address, or the key. Check COINGECKO_API_KEY."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Unsent: true}, "CoinGecko refused access (401). The API key was not sent, because it goes by HTTPS only: write https:// in --coingecko.url."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 400, Code: 10010, Key: file}, "CoinGecko refused access (10010): the API key belongs to another plan. Check --coingecko.plan and the key."},
		{coingecko.Error{Reason: coingecko.Unauthorized}, "The API key cannot be read. Check --coingecko.api-key-file."},
		{coingecko.Error{Reason: coingecko.RateLimited, Status: 429}, "CoinGecko says that its rate limit is used up (429). Without an API key, all who share this machine's address share the limit. " + free},
		{coingecko.Error{Reason: coingecko.RateLimited, Status: 429, Key: file}, "CoinGecko says that its rate limit is used up (429). Poll less often. If that does not help, the month's credits are spent: they come back next month, or with a larger plan."},
		{coingecko.Error{Reason: coingecko.HTTPError, Status: 404}, "CoinGecko has no rates at this address (404). Does --coingecko.url end in /api/v3?"},
		{coingecko.Error{Reason: coingecko.HTTPError, Status: 502}, "CoinGecko answered with an error (502). See https://status.coingecko.com"},
		{coingecko.Error{Reason: coingecko.BadPayload, Status: 200}, "CoinGecko sent an answer that cannot be trusted. The log shows how it begins."},

		{relay(coingecko.Error{Reason: coingecko.Unauthorized, Status: 401}), "The relay poller:9880 refused access (401). Check --coingecko.http-config-file."},
		{relay(coingecko.Error{Reason: coingecko.RateLimited, Status: 429}), "The relay poller:9880 says that its rate limit is used up (429). Ask it less often, or raise rate_limit in its web configuration."},
		{relay(coingecko.Error{Reason: coingecko.HTTPError, Status: 404}), "The relay poller:9880 has no rates at this address (404). Does --coingecko.url end in /api/v3?"},
		{relay(coingecko.Error{Reason: coingecko.HTTPError, Status: 503}), "The relay poller:9880 answered with an error (503). Look at its screen or its log."},
		{relay(coingecko.Error{Reason: coingecko.Network}), "The relay poller:9880 cannot be reached. Check the network, the proxy and --coingecko.url."},
		{relay(coingecko.Error{Reason: coingecko.Timeout}), "The relay poller:9880 did not answer in time. Check the network, the proxy and --coingecko.timeout."},
		{relay(coingecko.Error{Reason: coingecko.Network, Cause: coingecko.UnknownCA}), "The certificate of the relay poller:9880 is signed by a CA that this machine does not trust. " +
			"Add the CA of the proxy or relay to the system's trust store, or as tls_config.ca_file to --coingecko.http-config-file."},
	} {
		got := tc.e.Explain()
		if got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
		// A key that was not sent, or is not there, is not to blame.
		if tc.e.Key == "" && tc.e.Status == 401 && strings.Contains(got, "Check "+file) {
			t.Errorf("blames a key that was not sent: %q", got)
		}
	}
}
