// The fault table: faults of the upstream, their symptoms, and the recovery. Each row of docs/reliability.md is a subtest of TestFaults,
// or names its test.

package exporter_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// fault is a row of the fault table.
type fault struct {
	group string // which begins with this row
	name  string

	// How it is made: the upstream answers well, but when it is broken ...
	answer  http.HandlerFunc            // ... it answers like this,
	wire    func(net.Conn)              // ... or it does this with connections,
	eth     string                      // ... or it has this entry in an answer that is good otherwise,
	set     func(*testing.T, *upstream) // ... or what this prepares.
	at      string                      // where it listens; default: loopback, IPv4
	secure  bool                        // by https
	timeout time.Duration               // of polls; default: 5m
	alone   func(*testing.T)            // or it is a test of its own,
	told    string                      // this is what it shows,
	over    string                      // and when it is over

	// What is seen.
	reason   coingecko.Reason    // of failed polls; none: they succeed
	log      string              // in the one line about it
	screen   string              // default: what the reason says
	rejected coingecko.Rejection // what happens to eth
	value    float64             // of eth on /metrics; 0 is absent
	kind     string              // of eth; default: crypto
	pause    time.Duration       // between polls, at least
	later    bool                // not from the start: that cannot be, or takes long
	turns    int                 // kinds of failure that take turns, if more than one
}

// usual is the screen's text by reason.
var usual = map[coingecko.Reason]string{
	coingecko.Timeout:      "CoinGecko did not answer in time.",
	coingecko.Network:      "CoinGecko cannot be reached.",
	coingecko.RateLimited:  "CoinGecko rate limited this exporter (429).",
	coingecko.Unauthorized: "Check --coingecko.api-key-file.",
	coingecko.HTTPError:    "CoinGecko answered with an error (",
	coingecko.BadPayload:   "CoinGecko sent an invalid answer.",
}

// short is the timeout of polls that should time out. On a busy machine, others may time out too.
const short = 2 * time.Second

const shownAtAnyJump = "`coingecko_up` 1; with `--rates.max-jump=0` shown as it was sent, and otherwise a jump: see below"

func anyJump(_ *testing.T, u *upstream) { u.args = append(u.args, "--rates.max-jump=0") }

var faults = []fault{
	{group: "No connection", name: "DNS: no such name", set: byName(nxdomain), reason: coingecko.Network, log: "no such host", screen: "CoinGecko cannot be reached: its name cannot be resolved. Check DNS and --coingecko.url."},
	{name: "DNS: no answer", set: byName(silent), timeout: short, later: true, reason: coingecko.Timeout, log: "no complete answer within", over: "with the first poll after the resolver's own time-out"},
	{name: "connection refused", set: refusing, reason: coingecko.Network, log: "dial tcp 127.0.0.1:"},
	{name: "connection reset", wire: raw("", resets), reason: coingecko.Network, log: "connection reset by peer"},
	{name: "connection closed without an answer", answer: mode(simulator.Refuse), reason: coingecko.Network},
	{name: "no HTTP", wire: raw("SSH-2.0-OpenSSH_10.0\r\n", holds), reason: coingecko.Network, log: "malformed HTTP"},
	{name: "IPv6 only, refused", at: "[::1]:0", set: refusing, reason: coingecko.Network, log: "dial tcp [::1]:"},

	{group: "TLS", name: "TLS: certificate expired", secure: true, set: certified(-time.Minute, "127.0.0.1"), reason: coingecko.Network, log: "certificate has expired", screen: "The certificate of CoinGecko is not valid at this time."},
	{name: "TLS: certificate of another host", secure: true, set: certified(time.Hour, "other.test"), reason: coingecko.Network, log: "cannot validate certificate for 127.0.0.1", screen: "The certificate of CoinGecko is for another host name."},
	{name: "TLS: unknown CA", secure: true, set: func(t *testing.T, u *upstream) {
		u.brokenCertificate = testbed.NewAuthority(t).Issue(t, time.Now().Add(time.Hour), "127.0.0.1")
	}, reason: coingecko.Network, log: "certificate signed by unknown authority", screen: "The certificate of CoinGecko is signed by a CA that this machine does not trust."},
	{name: "TLS: silence in the handshake", secure: true, wire: holds, timeout: short, reason: coingecko.Timeout, log: "no complete answer within"},
	{name: "TLS: plain text", secure: true, wire: raw("HTTP/1.1 400 Bad Request\r\n\r\n", func(net.Conn) {}), reason: coingecko.Network, log: "server gave HTTP response to HTTPS client", screen: "CoinGecko uses plain HTTP."},

	{group: "Redirects", name: "redirect to another host", set: redirecting, reason: coingecko.HTTPError, log: "which is not followed", screen: "CoinGecko redirects to another address (302), which is not followed."},
	{name: "redirect in a loop", answer: answers(301, "", "Location: "+exporter.RelayPath), reason: coingecko.HTTPError, log: "HTTP status 301", screen: "CoinGecko redirects to another address (301), which is not followed."},

	{group: "Answers that do not come, or not whole", name: "stall before the headers", answer: mode(simulator.Stall), timeout: short, reason: coingecko.Timeout, log: "no complete answer within"},
	{name: "one byte a second", answer: mode(simulator.Slow), timeout: short, reason: coingecko.Timeout, log: "no complete answer within"},
	{name: "cut off in the body", answer: mode(simulator.Cutoff), reason: coingecko.Network, log: "unexpected EOF"},
	{name: "reset in the body", wire: raw("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"+poisoned(""), resets), reason: coingecko.Network, log: "connection reset by peer"},
	{name: "empty body", answer: answers(200, ""), reason: coingecko.BadPayload, log: "unexpected end"},
	{name: "endless headers", wire: raw("HTTP/1.1 200 OK\r\n", func(c net.Conn) { flood(c, "X: "+strings.Repeat("x", 4000)+"\r\n") }), reason: coingecko.Network, log: "response headers exceeded 65536 bytes"},
	{name: "2 GiB body", set: huge, reason: coingecko.BadPayload, log: "more than 1048576 bytes"},
	{name: "gzip: truncated", answer: func(w http.ResponseWriter, _ *http.Request) {
		packed := zipped(poisoned(""))
		answers(200, packed[:len(packed)-12], "Content-Encoding: gzip")(w, nil)
	}, reason: coingecko.BadPayload, log: "gzip: unexpected EOF"},
	{name: "gzip: bomb", answer: func(w http.ResponseWriter, _ *http.Request) {
		answers(200, bomb(), "Content-Encoding: gzip")(w, nil)
	}, reason: coingecko.BadPayload, log: "gzip: more than 1048576 bytes"},
	{name: "gzip: none, although it says so", answer: answers(200, poisoned(""), "Content-Encoding: gzip"), reason: coingecko.BadPayload, log: "invalid gzip"},
	{name: "unknown content encoding", answer: answers(200, poisoned(""), "Content-Encoding: br"), reason: coingecko.BadPayload, log: "unexpected content encoding"},

	{group: "Answers of another kind", name: "web page with status 200", answer: mode(simulator.Portal), reason: coingecko.BadPayload, log: "not JSON"},
	{name: "garbage with status 200", answer: mode(simulator.Garbage), reason: coingecko.BadPayload, log: "not JSON"},
	{name: "error with status 200", answer: answers(200, `{"status":{"error_code":1020}}`), reason: coingecko.BadPayload, log: "no member"},
	{name: "deep nesting", answer: answers(200, `{"rates":`+strings.Repeat(`{"a":`, 100_000)), reason: coingecko.BadPayload, log: "exceeded max depth"},
	{name: "something behind the answer", answer: answers(200, poisoned("")+"x"), reason: coingecko.BadPayload, log: "trailing data"},
	{name: "value NaN", answer: answers(200, poisoned(`,"eth":{"value":NaN}`)), reason: coingecko.BadPayload, log: "not JSON"},

	{group: "Whole answers that must not be used", name: "no entries", answer: mode(simulator.Empty), reason: coingecko.BadPayload, log: "none of 0 entries is usable"},
	{name: "10,000 entries", answer: answers(200, poisoned(strings.Repeat(`,"x":{"value":1}`, 10_000))), reason: coingecko.BadPayload, log: "more than 500 entries"},
	{name: "btc missing", answer: mode(simulator.NoBTC), reason: coingecko.BadPayload, log: "btc is missing"},
	{name: "btc is not 1", answer: answers(200, strings.Replace(poisoned(""), `"btc":{"value":1`, `"btc":{"value":1.0001`, 1)), reason: coingecko.BadPayload, log: "btc is 1.0001 instead of 1"},
	{name: "sats with another value", answer: answers(200, poisoned(`,"sats":{"value":1e7}`)), reason: coingecko.BadPayload, log: "sats is 1e+07 instead of 1e+08"},
	{name: "the list twice", answer: answers(200, strings.TrimSuffix(poisoned(""), "}")+`,`+strings.TrimPrefix(poisoned(""), "{")), reason: coingecko.BadPayload, log: "two members"},
	{name: "half the list gone", answer: answers(200, `{"rates":{"btc":{"value":1,"type":"crypto"}}}`), later: true, reason: coingecko.BadPayload, log: "1 usable entries, fewer than half of the 5 before", told: "`coingecko_up` 0, reason `bad_payload`; log: “1 usable entries, fewer than half of the 5 before”; the whole list stays. When that has expired, half is better than nothing", over: "with the next whole answer, or when the whole list has expired"},

	{group: "Entries that must not be used, among good ones", name: "value null", eth: `{"value":null,"type":"crypto"}`, rejected: coingecko.Missing},
	{name: "value a string", eth: `{"value":"1","type":"crypto"}`, rejected: coingecko.NotNumber},
	{name: "value beyond a float64", eth: `{"value":1e999,"type":"crypto"}`, rejected: coingecko.NotFinite},
	{name: "value 0", eth: `{"value":0,"type":"crypto"}`, rejected: coingecko.Zero},
	{name: "value -0", eth: `{"value":-0,"type":"crypto"}`, rejected: coingecko.Zero},
	{name: "value below 0", eth: `{"value":-1,"type":"crypto"}`, rejected: coingecko.Negative},
	{name: "entry that is no object", eth: `2001.5`, rejected: coingecko.Malformed},
	{name: "duplicate keys", eth: `{"value":2001},"eth":{"value":2002}`, rejected: coingecko.Ambiguous},
	{name: "NUL and invalid UTF-8 in a code", eth: `{"value":2001,"type":"crypto"},"e\u0000` + "\xff" + `h":{"value":` + poison + `}`, rejected: coingecko.BadCode, value: 2001},

	{group: "Entries that are strange, and used as they were sent", name: "value 1e308", eth: `{"value":1e308,"type":"crypto"}`, value: 1e308, set: anyJump, told: shownAtAnyJump},
	{name: "value 1e-300", eth: `{"value":1e-300,"type":"crypto"}`, value: 1e-300, set: anyJump, told: shownAtAnyJump},
	{
		name: "NUL and invalid UTF-8 in a name", eth: `{"name":"\u0000E` + "\xff\xfe" + `\u202e","unit":"\n","value":2001,"type":"crypto"}`, value: 2001,
		told: "`coingecko_up` 1; the value is shown, and the texts without what is not fit to print",
	},
	{name: "a currency changes its kind", eth: `{"value":2001,"type":"commodity"}`, kind: "commodity", value: 2001},
	{name: "a kind that is not known", eth: `{"value":2001,"type":"stablecoin"}`, kind: "other", value: 2001},
	{name: "frozen rates", set: func(_ *testing.T, u *upstream) { u.answer = answers(200, u.prices("")) }, value: 2001, told: "`coingecko_up` 1, and the time of the rates goes on: the exporter cannot know. The alert `CoinGeckoRatesFrozen` compares values", over: "with the next poll"},

	{
		group: "Rates that jump", name: "a rate far from the one before", alone: jumps, over: "with the next different answer that is near the old rate, or near the new one",
		told: "`coingecko_up` 1; that rate is absent from `/metrics` and the relay endpoint, “not confirmed” on the screen, and counted in `coingecko_rejected_rates_total` as `implausible`; one line in the log",
	},

	{group: "Refusals", name: "429 with seconds", answer: answers(429, "Throttled", "Retry-After: 1"), later: true, reason: coingecko.RateLimited, log: "HTTP status 429", pause: time.Second},
	{name: "429 with a date", answer: hint("Retry-After", http.TimeFormat), later: true, reason: coingecko.RateLimited, log: "HTTP status 429", pause: time.Second},
	{name: "429 with a reset", answer: hint("x-ratelimit-reset", "2006-01-02 15:04:05 -0700"), later: true, reason: coingecko.RateLimited, log: "HTTP status 429", pause: time.Second},
	{name: "429 with a time that has passed", answer: answers(429, "", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), reason: coingecko.RateLimited, log: "HTTP status 429", pause: 20 * time.Millisecond},
	{name: "429 without a hint", answer: answers(429, `{"status":{"error_code":429,"error_message":"You've exceeded the Rate Limit."}}`), reason: coingecko.RateLimited, log: "You've exceeded the Rate Limit.", pause: 20 * time.Millisecond},
	{name: "401", answer: mode(simulator.Unauthorized), reason: coingecko.Unauthorized, log: "HTTP status 401 Unauthorized, code 10002", pause: 20 * time.Millisecond},
	{name: "403 and a web page", answer: mode(simulator.HTML), reason: coingecko.Unauthorized, log: "HTTP status 403", pause: 20 * time.Millisecond},
	{name: "400 with code 10010", answer: answers(400, `{"error_code":10010}`), reason: coingecko.Unauthorized, log: "code 10010", pause: 20 * time.Millisecond, screen: "the API key belongs to another plan. Check --coingecko.plan and the key."},
	{name: "400 with code 10011", answer: mode(simulator.WrongHost), reason: coingecko.Unauthorized, log: "code 10011", pause: 20 * time.Millisecond, screen: "the API key belongs to another plan. Check --coingecko.plan and the key."},
	{name: "500", answer: answers(500, `{"error":"Internal error"}`), reason: coingecko.HTTPError, log: "HTTP status 500 Internal Server Error: Internal error", screen: "CoinGecko answered with an error (500)."},
	{name: "500 and 503 in turn", answer: mode(simulator.ServerError), reason: coingecko.HTTPError, log: "HTTP status 503", turns: 2},
	{name: "404", answer: answers(404, `{"error":"not found"}`), reason: coingecko.HTTPError, log: "HTTP status 404 Not Found", screen: "CoinGecko has no rates at this address (404). Check that --coingecko.url ends in /api/v3."},
	{name: "407, plain HTTP", answer: answers(407, ""), reason: coingecko.HTTPError, log: "HTTP status 407", screen: "the proxy requires a password (407)."},
	{name: "304 out of nowhere", answer: answers(304, ""), reason: coingecko.HTTPError, log: "HTTP status 304", screen: "CoinGecko answered with an error (304)."},

	{group: "The key", name: "key withdrawn, and another put into the file", set: rotating, reason: coingecko.Unauthorized, log: "HTTP status 401", pause: 20 * time.Millisecond},
	{name: "key file gone", set: keyGone, later: true, reason: coingecko.Unauthorized, log: "no such file or directory", screen: "The API key cannot be read."},
	{name: "key sent back in an error", answer: func(w http.ResponseWriter, r *http.Request) {
		answers(401, `{"error":"no key is `+r.Header.Get("x-cg-demo-api-key")+`"}`)(w, nil)
	}, reason: coingecko.Unauthorized, log: "no key is <key>"},
	{name: "key sent back in a broken header", wire: raw("HTTP/1.1 200 OK\r\n"+rightKey+"\r\n\r\n", func(net.Conn) {}), reason: coingecko.Network, log: "malformed MIME header"},
	{name: "key sent back in a redirect", answer: answers(302, "", "Location: http://"+rightKey+".test/"), reason: coingecko.HTTPError, log: "which is not followed", screen: "CoinGecko redirects to another address (302), which is not followed."},
	{name: "key sent back as the encoding", answer: answers(200, poisoned(""), "Content-Encoding: "+rightKey), reason: coingecko.BadPayload, log: "unexpected content encoding"},

	{group: "Time", name: "outage longer than max-age", alone: outage, told: "The rates vanish from `/metrics`, the screen says “No current rates” and why, other exporters get 503 with `Retry-After`; one line of level error; `/-/ready` stays 200", over: "with the next poll"},

	{group: "The process and its surroundings", name: "HTTPS_PROXY, and the proxy fails", alone: proxied, told: "`coingecko_up` 0, reason `network`; log: “Bad Gateway”. Through the proxy go a CONNECT and TLS, and the proxy does not see the key", over: "with the next poll"},
	{name: "read-only file system", alone: readOnly, told: `Nothing: no file is written`},
	{name: "64 descriptors, and more idle connections than that", alone: fewDescriptors, told: `Polls go on over the connection that they have. Scrapes wait for at most five seconds for each batch of silent connections, which are then closed; the log is quiet`, over: "as soon as connections close"},
	{name: "memory limit of 32 MiB, and 200 readers", alone: littleMemory, told: "`GOMEMLIMIT=32MiB` is kept, and every reader is answered"},
	{name: "process stopped for a while", alone: stopped, told: `Whoever asked meanwhile gets no rates older than max-age, and new ones follow at once`, over: "with the next poll"},
	{name: "SIGTERM while starting", alone: endsWhileStarting, told: `Ends at once: by the signal in the first milliseconds, later with exit code 0`},
	{name: "SIGTERM in a stalled poll", alone: endsInPoll, told: `Exit code 0 at once; the poll is nobody's failure`},
	{name: "SIGTERM between polls", alone: endsBetweenPolls, told: `Exit code 0 at once`},
	{name: "SIGTERM in a scrape", alone: endsInScrape, told: "The scrape is answered, whole and with `Connection: close`, though half of its request came after the signal; exit code 0"},
	{name: "SIGHUP", alone: hangsUp, told: "One line in the log, which says whether the files that are read again anyway (key, TLS) can be used. Nothing else happens", over: "–"},
	{name: "log pipe closed", alone: logClosed, told: "Lines of the log are lost. Nothing else happens; SIGTERM drains as ever", over: "–"},
	{name: "log pipe that nobody reads", alone: logBlocked, told: "Polls, readers and SIGTERM go on. A thousand lines are kept; more are dropped, and counted in a line of their own when the log is read again", over: "when it is read again"},
	{name: "SIGTERM again while draining", alone: endsTwice, told: `The second one ends the process at once`},

	{group: "Readers", name: "slow readers", alone: slowReaders, told: `50 connections that take nothing of 100 answers each: other readers and polls go on`},
	{name: "half-open connections", alone: halfOpen, told: `200 connections that say nothing, or half a request: other readers and polls go on; they are closed after five seconds`},
	{name: "a flood past --web.max-requests", alone: flooded, told: "503 for those beyond the limit; `/-/healthy` and polls go on; nothing in the log", over: "as soon as there is room"},
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && (f.alone != nil || f.timeout > 0 || f.pause >= time.Second) {
				t.Skip("seconds of waiting are not short")
			}
			if f.alone != nil {
				f.alone(t)
				return
			}
			f.test(t)
		})
	}
}

// test triggers the fault twice: at start, without rates, and between good polls.
func (f *fault) test(t *testing.T) {
	u := newUpstream(t, cmp.Or(f.at, "127.0.0.1:0"), f.secure)
	u.answer, u.eth, u.onConnection = f.answer, f.eth, f.wire
	if f.wire != nil || f.secure {
		u.anew()
	}
	if f.set != nil {
		f.set(t, u)
	}
	late := 1.0
	if f.timeout > 0 {
		u.args = append(u.args, "--coingecko.timeout="+f.timeout.String())
		late = math.Inf(1)
	}
	if !f.later {
		u.breaks()
	}
	e := hasty(t, 0, u)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log: %s", e.log)
		}
	})
	shows := func(before moment) {
		if f.reason != "" {
			f.fails(t, e, u, before)
		} else {
			f.isStrange(t, e, u)
		}
		if t.Failed() {
			t.FailNow()
		}
		recovers(t, e, u, late)
	}
	if !f.later {
		shows(moment{})
	}
	before := now(t, e)
	u.breaks()
	shows(before)
	secret(t, e)
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.foul) > 0 {
		t.Errorf("the upstream saw %q", u.foul)
	}
}

const polls = `coingecko_polls_total{upstream="coingecko"}`

// failures returns the counter of a reason.
func failures(r coingecko.Reason) string {
	return fmt.Sprintf(`coingecko_poll_failures_total{reason="%s",upstream="coingecko"}`, r)
}

// moment is the state before the fault; the zero value is that before the exporter started.
type moment struct {
	series map[string]float64
	logged int
}

// now waits for the end of a failure that a busy machine may have caused meanwhile: the next one is logged again.
func now(t *testing.T, e *running) (m moment) {
	t.Helper()
	testbed.Until(t, "rates", func() bool {
		m.logged = len(e.log.String())
		m.series = series(t, e.url)
		return m.series["coingecko_up"] == 1
	})
	return m
}

// fails checks the symptoms of failing polls.
func (f *fault) fails(t *testing.T, e *running, u *upstream, before moment) {
	t.Helper()
	known := before.series != nil // so there are rates from before
	least := 4.0
	switch {
	case f.pause >= time.Second:
		least = 1
	case f.timeout > 0:
		least = 2
	}
	var s map[string]float64
	last := int64(-1) // of the answers whose rates are shown
	looks := 0        // since the failure was counted
	testbed.Until(t, fmt.Sprintf("%v polls that fail with %s, and coingecko_up 0", least, f.reason), func() bool {
		s = series(t, e.url)
		if s[failures(f.reason)] > before.series[failures(f.reason)] {
			looks++
		}
		switch shown := u.shown(t, s); {
		case looks < 2: // a scrape takes its rates a moment before it takes its counters
		case looks == 2:
			last = shown
		case shown != last:
			t.Errorf("rates of answer %d are shown, and %d when it broke", shown, last)
		}
		return looks >= 2 && s[failures(f.reason)] >= before.series[failures(f.reason)]+least && s["coingecko_up"] == 0
	})
	if (last > 0) != known {
		t.Errorf("rates of answer %d are shown; rates from before: %v", last, known)
	}
	for _, r := range coingecko.Reasons() {
		if r != f.reason && s[failures(r)] != before.series[failures(r)] {
			t.Errorf("polls count as failed by %s, too", r)
		}
	}
	log := e.log.String()[before.logged:]
	f.saysSo(t, e, log, known)
	f.waits(t, u)
}

// saysSo checks the log, the screen and the relay endpoint.
func (f *fault) saysSo(t *testing.T, e *running, log string, known bool) {
	t.Helper()
	lines := strings.Count(log, `msg="Poll failed"`)
	if lines != max(f.turns, 1) && f.timeout == 0 || !strings.Contains(log, "level=warn") || !strings.Contains(log, "reason="+string(f.reason)) || !strings.Contains(log, f.log) {
		t.Errorf("%d lines in the log, want one with %q: %s", lines, f.log, log)
	}
	want := cmp.Or(f.screen, usual[f.reason])
	_, page := get(t, e.url+"/")
	if !strings.Contains(strings.ReplaceAll(page, "</span> <span>", " "), want) {
		t.Errorf("the screen does not say %q:\n%s", want, page)
	}
	head, status := "No rates yet", 503
	if known {
		head, status = "A poll was missed", 200
	}
	if !strings.Contains(page, head) {
		t.Errorf("the screen does not say %q", head)
	}
	for _, path := range []string{exporter.RelayPath, "/-/ready"} {
		resp, body := get(t, e.url+path)
		if path == "/-/ready" && strings.HasPrefix(body, "Ready, but there are no rates yet") && time.Since(e.begun) > 2*time.Minute {
			continue // the row took that long, on a busy machine
		}
		if resp.StatusCode != status || !known && !strings.Contains(body, want) {
			t.Errorf("%s answers %d: %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := get(t, e.url+"/-/healthy"); resp.StatusCode != 200 {
		t.Errorf("/-/healthy answers %d", resp.StatusCode)
	}
}

// waits checks that the exporter waits as the upstream requested.
func (f *fault) waits(t *testing.T, u *upstream) {
	t.Helper()
	if f.pause >= time.Second {
		testbed.Until(t, "the next poll", func() bool { u.mu.Lock(); defer u.mu.Unlock(); return len(u.asked) > 1 })
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := 1; i < len(u.asked); i++ {
		if d := u.asked[i].Sub(u.asked[i-1]); d < f.pause {
			t.Errorf("asked again after %v", d)
		}
	}
}

// isStrange checks the symptoms of answers with a strange entry.
func (f *fault) isStrange(t *testing.T, e *running, u *upstream) {
	t.Helper()
	logged := len(e.log.String())
	first := series(t, e.url)
	var s map[string]float64
	testbed.Until(t, "three polls", func() bool {
		s = series(t, e.url)
		u.shown(t, s)
		return s[polls] >= first[polls]+3
	})
	const fetched = "coingecko_last_success_timestamp_seconds"
	if s["coingecko_up"] != 1 || s[fetched] <= first[fetched] {
		t.Errorf("coingecko_up is not 1, or the time of the rates does not go on: %s", e.log)
	}
	want := map[string]float64{}
	if f.value != 0 {
		want[fmt.Sprintf(`coingecko_exchange_rate{currency="eth",kind="%s"}`, cmp.Or(f.kind, "crypto"))] = f.value
	}
	got := maps.Clone(s)
	maps.DeleteFunc(got, func(name string, _ float64) bool {
		return !strings.HasPrefix(name, `coingecko_exchange_rate{currency="eth"`)
	})
	if !maps.Equal(want, got) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, r := range coingecko.Rejections() {
		if n := s[fmt.Sprintf(`coingecko_rejected_rates_total{reason="%s"}`, r)]; (n > 0) != (r == f.rejected) {
			t.Errorf("%v entries count as dropped by %s", n, r)
		}
	}
	log := e.log.String()
	if n := strings.Count(log[logged:], "Entries were dropped from the answer"); n > 1 || f.rejected == "" && n > 0 {
		t.Errorf("%d log lines: %s", n, log)
	}
	if f.rejected != "" && !strings.Contains(log, string(f.rejected)) {
		t.Errorf("the log does not name %s: %s", f.rejected, log)
	}
	_, page := get(t, e.url+"/")
	_, scrape := get(t, e.url+"/metrics")
	if there := strings.Contains(page, "<b>ETH</b>") || strings.Contains(page, `href="?quote=eth"`); there != (f.value != 0) {
		t.Errorf("eth stands on the screen: %v\n%s", there, page)
	}
	for _, text := range []string{page, scrape} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("something unprintable in\n%q", text)
		}
	}
	if strings.Contains(page, "NaN<") || strings.Contains(page, "Inf<") {
		t.Errorf("the screen shows what is no price:\n%s", page)
	}
}

// recovers repairs the upstream and checks that the next poll recovers and that this is logged once. A limited number of polls may
// still fail.
func recovers(t *testing.T, e *running, u *upstream, most float64) {
	t.Helper()
	_, told := outages(t, e.log.String())
	failed := series(t, e.url)["coingecko_up"] == 0
	before := u.good.Load()
	u.mends()
	mended := series(t, e.url)
	var s map[string]float64
	testbed.Until(t, "new rates", func() bool {
		s = series(t, e.url)
		return u.shown(t, s) > before+1 && s["coingecko_up"] == 1 // one may have been on its way
	})
	if _, eth := s[`coingecko_exchange_rate{currency="eth",kind="crypto"}`]; !eth {
		t.Error("eth did not come back")
	}
	// A poll that was under way may fail yet; the first one after it is good.
	late := 0.0
	for _, r := range coingecko.Reasons() {
		late += s[failures(r)] - mended[failures(r)]
	}
	if late > most {
		t.Errorf("%v polls failed after it was mended", late)
	}
	if _, over := outages(t, e.log.String()); failed && over == told {
		t.Errorf("the log does not say that they have recovered: %s", e.log)
	}
	if resp, _ := get(t, e.url+"/-/ready"); resp.StatusCode != 200 {
		t.Errorf("/-/ready answers %d", resp.StatusCode)
	}
	testbed.Until(t, "rates from the relay endpoint", func() bool { // on a busy machine, the new ones may have expired already
		resp, body := get(t, e.url+exporter.RelayPath)
		if strings.Contains(body, poison) {
			t.Errorf("%s answers %s", exporter.RelayPath, body)
		}
		return resp.StatusCode == 200
	})
}

// secret checks that the key appears nowhere.
func secret(t *testing.T, e *running) {
	t.Helper()
	seen := e.log.String()
	for _, path := range []string{"/", "/metrics", exporter.RelayPath, "/-/ready"} {
		_, body := get(t, e.url+path)
		seen += body
	}
	if strings.Contains(strings.ToLower(seen), strings.ToLower(rightKey)) {
		t.Errorf("the key can be read: %s", e.log)
	}
}

// byName gives the upstream a name, which does not resolve during the fault.
func byName(code dnsmessage.RCode) func(*testing.T, *upstream) {
	return func(_ *testing.T, u *upstream) {
		name := fmt.Sprintf("coingecko-%d.test", code)
		u.url = strings.Replace(u.url, "127.0.0.1", name, 1)
		u.anew()
		names.Store(name+".", found)
		u.onBreak = func() { names.Store(name+".", code) }
		u.onMend = func() { names.Store(name+".", found) }
	}
}

// refusing closes the port during the fault.
func refusing(t *testing.T, u *upstream) {
	u.anew()
	first := u.inner.Listener.Addr().String()
	opened := u.inner.Listener
	t.Cleanup(func() { opened.Close() })
	u.onBreak = func() { opened.Close() }
	u.onMend = func() {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", first)
		if err != nil {
			t.Error(err)
			return
		}
		opened = &gate{l, u}
		go u.inner.Config.Serve(opened)
	}
}

// certified gives the upstream a different certificate during the fault.
func certified(valid time.Duration, host string) func(*testing.T, *upstream) {
	return func(t *testing.T, u *upstream) {
		u.brokenCertificate = u.ca.Issue(t, time.Now().Add(valid), host)
	}
}

// redirecting redirects to a thief, which must not get a request.
func redirecting(t *testing.T, u *upstream) {
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the thief got %v", r.Header) }))
	t.Cleanup(thief.Close)
	u.answer = answers(302, "", "Location: "+thief.URL+exporter.RelayPath)
}

// hint is a 429 for two seconds.
func hint(header, layout string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answers(429, "", header+": "+time.Now().Add(2*time.Second).UTC().Format(layout))(w, nil)
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// bomb is 256 MiB of spaces, compressed; a gzip stream may consist of several parts.
var bomb = sync.OnceValue(func() string { return strings.Repeat(zipped(strings.Repeat(" ", 1<<20)), 256) })

func flood(w io.Writer, what string) (sent int) {
	for block := strings.Repeat(what, 1+(64<<10)/len(what)); sent < 2<<30; {
		n, err := io.WriteString(w, block)
		sent += n
		if err != nil {
			break
		}
	}
	return sent
}

// huge announces 2 GiB and would send them. Nobody reads more than the socket buffers hold.
func huge(t *testing.T, u *upstream) {
	var most atomic.Int64
	u.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2147483648")
		most.Store(max(most.Load(), int64(flood(w, " "))))
	}
	t.Cleanup(func() {
		if most.Load() > 32<<20 {
			t.Errorf("%d bytes were taken", most.Load())
		}
	})
}

// rotating revokes the key, and replaces the key file by a rename, as Kubernetes does.
func rotating(t *testing.T, u *upstream) {
	var want atomic.Value
	want.Store(rightKey)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-cg-demo-api-key") != want.Load() {
			answers(401, `{"status":{"error_code":10002}}`)(w, r)
			return
		}
		io.WriteString(w, u.prices(""))
	}
	round := 0
	u.onBreak = func() { round++; want.Store(fmt.Sprint("CG-another-", round)) }
	u.onMend = func() {
		fresh := u.file(t, "fresh", want.Load().(string)+"\n")
		if err := os.Rename(fresh, u.home+"/key"); err != nil {
			t.Error(err)
		}
		u.isBroken.Store(true) // and stays strict
	}
}

// keyGone removes the key file. The exporter must not poll without a key.
func keyGone(t *testing.T, u *upstream) {
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-cg-demo-api-key") == "" { // one that was under way has it
			t.Error("asked without a key")
		}
		io.WriteString(w, u.prices(""))
	}
	u.onBreak = func() { os.Rename(u.home+"/key", u.home+"/gone") }
	u.onMend = func() { os.Rename(u.home+"/gone", u.home+"/key") }
}

// A rate that jumps to a different value each time is shown nowhere.
func jumps(t *testing.T) {
	u := newUpstream(t, "127.0.0.1:0", false)
	var n atomic.Int64
	u.answer = func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, u.prices(fmt.Sprintf(`{"value":%d,"type":"crypto"}`, []int{9_000, 20_000}[n.Add(1)%2])))
	}
	e := hasty(t, 0, u)
	testbed.Until(t, "rates", func() bool { return up(t, e.url) })
	u.breaks()
	const eth = `coingecko_exchange_rate{currency="eth",kind="crypto"}`
	testbed.Until(t, "no eth", func() bool { _, there := series(t, e.url)[eth]; return !there })
	counted := func() float64 { return series(t, e.url)[`coingecko_rejected_rates_total{reason="implausible"}`] }
	before := counted()
	testbed.Until(t, "more polls", func() bool { return counted() > before+3 })
	s := series(t, e.url)
	if _, there := s[eth]; there || s["coingecko_up"] != 1 || u.shown(t, s) == 0 {
		t.Errorf("eth is there: %v; up %v", there, s["coingecko_up"])
	}
	resp, body := get(t, e.url+"/api/v3/exchange_rates")
	if resp.StatusCode != 200 || resp.Header.Get("X-Rates-Withheld") != "eth" || strings.Contains(body, "eth") {
		t.Errorf("%s: %d, withheld %q, %s", "the relay endpoint", resp.StatusCode, resp.Header.Get("X-Rates-Withheld"), body)
	}
	if _, page := get(t, e.url+"/"); !strings.Contains(page, "not confirmed") || strings.Contains(page, "9,000") || strings.Contains(page, "20,000") {
		t.Errorf("the screen:\n%s", page)
	}
	if n := strings.Count(e.log.String(), "Implausible rates withheld"); n != 1 || strings.Contains(e.log.String(), "were dropped") {
		t.Errorf("%d log lines: %s", n, e.log)
	}
	recovers(t, e, u, 0)
	if resp, _ := get(t, e.url+"/api/v3/exchange_rates"); resp.Header.Get("X-Rates-Withheld") != "none" {
		t.Errorf("withheld: %q", resp.Header.Get("X-Rates-Withheld"))
	}
}

// Expired rates disappear everywhere, and the next good poll brings new ones.
func outage(t *testing.T) {
	u := newUpstream(t, "127.0.0.1:0", false)
	u.answer = answers(502, "")
	const maxAge = 4 * time.Second // a busy machine may be as slow
	e := hasty(t, maxAge, u)
	testbed.Until(t, "rates", func() bool { return up(t, e.url) })
	told := 0
	for range 2 {
		u.breaks()
		testbed.Until(t, "no rates", func() bool {
			asked := time.Now()
			s := series(t, e.url)
			there := u.shown(t, s) > 0
			if age := float64(asked.UnixMilli())/1e3 - s["coingecko_last_success_timestamp_seconds"]; there && age > maxAge.Seconds()+0.002 {
				t.Errorf("rates %v s old are shown", age)
			}
			return !there
		})
		testbed.Until(t, "the relay endpoint to say why", func() bool { // on a busy machine, the rates may expire before a poll fails
			resp, body := get(t, e.url+exporter.RelayPath)
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %s", exporter.RelayPath, resp.StatusCode, body)
			}
			return strings.Contains(body, "No current rates. CoinGecko answered with an error (502).")
		})
		if _, page := get(t, e.url+"/"); !strings.Contains(page, "No current rates") || strings.Contains(page, `class="tile"`) {
			t.Errorf("the screen:\n%s", page)
		}
		if resp, _ := get(t, e.url+"/-/ready"); resp.StatusCode != 200 {
			t.Errorf("/-/ready answers %d: a roll must not replace it now", resp.StatusCode)
		}
		for range 2 { // failed polls, of which one says so and the other does not
			polled := series(t, e.url)[failures(coingecko.HTTPError)]
			testbed.Until(t, "a failed poll", func() bool { return series(t, e.url)[failures(coingecko.HTTPError)] > polled })
		}
		testbed.Until(t, "a line that they have expired", func() bool {
			expired, _ := outages(t, e.log.String())
			return expired > told
		})
		recovers(t, e, u, 1)
		told, _ = outages(t, e.log.String())
	}
}

// outages counts the outages in a log. Each must begin and end once, however many there are: on a machine that is too busy to poll, rates
// expire without a fault.
func outages(t *testing.T, log string) (expired, over int) {
	t.Helper()
	down, old := false, false
	for line := range strings.Lines(log) {
		switch {
		case strings.Contains(line, `msg="Poll failed"`):
			down = true
		case strings.Contains(line, `msg="Rates have expired and are no longer shown"`):
			if old {
				t.Errorf("rates have expired twice in one outage: %s", log)
			}
			down, old = true, true
			expired++
		case strings.Contains(line, `msg="Polling recovered"`), strings.Contains(line, `msg="Rates are fresh again"`):
			if !down {
				t.Errorf("an outage is over that never began: %s", log)
			}
			down, old = false, false
			over++
		}
	}
	return expired, over
}

const reliability = "../docs/reliability.md"

// The document's table is generated from the fault table. Its other rows must name existing tests.
func TestReliabilityDocument(t *testing.T) {
	var b strings.Builder
	for _, f := range faults {
		if f.group != "" {
			fmt.Fprintf(&b, "\n### %s\n\n| fault | what you see | recovers | test |\n|---|---|---|---|\n", f.group)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `TestFaults` |\n", f.name, f.seen(), f.recovery())
	}
	testbed.GoldenSection(t, reliability, "faults", b.String()+"\n")
	text, err := os.ReadFile(reliability)
	if err != nil {
		t.Fatal(err)
	}

	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "internal/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			code, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(code)
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Errorf("%d tests are named", len(named))
	}
	for _, m := range named {
		if !strings.Contains(tests.String(), "func "+m[1]+"(") {
			t.Errorf("there is no %s", m[1])
		}
	}
}

// seen returns the symptoms that the test of a row checks.
func (f *fault) seen() string {
	screen := cmp.Or(f.screen, usual[f.reason])
	logged := ""
	if f.log != "" {
		logged = "; log: “" + strings.ReplaceAll(f.log, "<", "&lt;") + "”" // or Markdown takes it for a tag
	}
	switch {
	case f.told != "":
		return f.told
	case f.reason != "":
		return fmt.Sprintf("`coingecko_up` 0, reason `%s`%s; screen: “%s”", f.reason, logged, strings.TrimSuffix(screen, " ("))
	case f.value == 0:
		return fmt.Sprintf("`coingecko_up` 1; the entry is gone and counted in `coingecko_rejected_rates_total` as `%s`; one line in the log", f.rejected)
	case f.rejected != "":
		return fmt.Sprintf("`coingecko_up` 1; that entry is dropped and counted in `coingecko_rejected_rates_total` as `%s`; the others stay", f.rejected)
	case f.kind != "":
		return fmt.Sprintf("`coingecko_up` 1; one series, with kind `%s`", f.kind)
	default:
		return "`coingecko_up` 1; shown as it was sent"
	}
}

// recovery returns when a fault ends after the upstream has recovered.
func (f *fault) recovery() string {
	switch {
	case f.over != "":
		return f.over
	case f.alone != nil:
		return "–"
	case f.pause >= time.Second:
		return "when the wait that it asked for is over"
	case f.reason == coingecko.RateLimited, f.reason == coingecko.Unauthorized:
		return "with the next try, 1 to 15 minutes later"
	default:
		return "with the next poll"
	}
}
