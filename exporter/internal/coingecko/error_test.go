package coingecko_test

import (
	"testing"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// The text depends on the upstream, on whether a key was sent, and on where the key came from.
func TestExplain(t *testing.T) {
	const (
		file = "--coingecko.api-key-file"
		env  = "COINGECKO_API_KEY"
		free = "A demo key is free. Get one at https://www.coingecko.com/en/api/pricing and set --coingecko.plan=demo and --coingecko.api-key-file."
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
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 403}, "CoinGecko refused access without an API key (403). It blocks this IP address or requires a key. " + free},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Key: file}, "CoinGecko refused the API key (401). Check --coingecko.api-key-file."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Key: env}, "CoinGecko refused the API key (401). Check COINGECKO_API_KEY."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 403, Key: env}, "CoinGecko refused access with an API key (403). It blocks this IP address or the key. Check COINGECKO_API_KEY."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 401, Unsent: true}, "CoinGecko refused access (401). The API key was not sent because it requires HTTPS. Write https:// in --coingecko.url."},
		{coingecko.Error{Reason: coingecko.Unauthorized, Status: 400, Code: 10010, Key: file}, "CoinGecko refused access (10010): the API key belongs to another plan. Check --coingecko.plan and the key."},
		{coingecko.Error{Reason: coingecko.Unauthorized}, "The API key cannot be read. Check --coingecko.api-key-file."},
		{coingecko.Error{Reason: coingecko.RateLimited, Status: 429}, "CoinGecko rate limited this exporter (429). Without an API key, everybody behind the same IP address shares the limit. " + free},
		{coingecko.Error{Reason: coingecko.RateLimited, Status: 429, Key: file}, "CoinGecko rate limited this exporter (429). Poll less often. If that does not help, the monthly quota is used up. It is renewed next month, or with a larger plan."},
		{coingecko.Error{Reason: coingecko.HTTPError, Status: 404}, "CoinGecko has no rates at this address (404). Check that --coingecko.url ends in /api/v3."},
		{coingecko.Error{Reason: coingecko.HTTPError, Status: 502}, "CoinGecko answered with an error (502). See https://status.coingecko.com"},
		{coingecko.Error{Reason: coingecko.BadPayload, Status: 200}, "CoinGecko sent an invalid answer. The log shows its beginning."},

		{relay(coingecko.Error{Reason: coingecko.Unauthorized, Status: 401}), "The upstream poller:9880 refused access (401). Check --coingecko.http-config-file."},
		{relay(coingecko.Error{Reason: coingecko.RateLimited, Status: 429}), "The upstream poller:9880 rate limited this exporter (429). Poll it less often, or raise rate_limit in its web configuration."},
		{relay(coingecko.Error{Reason: coingecko.HTTPError, Status: 404}), "The upstream poller:9880 has no rates at this address (404). Check that --coingecko.url ends in /api/v3."},
		{relay(coingecko.Error{Reason: coingecko.HTTPError, Status: 503}), "The upstream poller:9880 answered with an error (503). Check its screen or its log."},
		{relay(coingecko.Error{Reason: coingecko.Network}), "The upstream poller:9880 cannot be reached. Check the network, the proxy and --coingecko.url."},
		{relay(coingecko.Error{Reason: coingecko.Timeout}), "The upstream poller:9880 did not answer in time. Check the network, the proxy and --coingecko.timeout."},
		{relay(coingecko.Error{Reason: coingecko.Network, Cause: coingecko.UnknownCA}), "The certificate of the upstream poller:9880 is signed by a CA that this machine does not trust. " +
			"Add the CA of the proxy or upstream to the system's trust store, or set tls_config.ca_file in --coingecko.http-config-file."},
	} {
		if got := tc.e.Explain(); got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}
