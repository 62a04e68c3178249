// What the headers of an answer say.

package coingecko

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SimulatedHeader marks an answer whose rates are not real. Whoever passes the rates on passes it on, too.
// Any value is such a mark, but for one that says no.
const SimulatedHeader = "X-Rates-Simulated"

func simulated(h http.Header) bool {
	for _, v := range h.Values(SimulatedHeader) {
		if yes, err := strconv.ParseBool(v); yes || err != nil {
			return true
		}
	}
	return false
}

// WithheldHeader says that whoever answers compares each rate with the one before, and keeps back what is
// implausible until it is confirmed. It lists the codes of the rates that are kept back, or says none.
const WithheldHeader = "X-Rates-Withheld"

const noneWithheld = "none"

// Withheld is the value of WithheldHeader.
func Withheld(codes []string) string { return cmp.Or(strings.Join(codes, ", "), noneWithheld) }

// withheld reads WithheldHeader, sorted and without the codes of rates that are there. What cannot be read says
// nothing: whoever asked then compares for itself.
func withheld(h http.Header, rates []Rate) (codes []string, ok bool) {
	values := h.Values(WithheldHeader)
	if len(values) == 0 {
		return nil, false
	}
	if len(values) == 1 && strings.TrimSpace(values[0]) == noneWithheld {
		return nil, true
	}
	for code := range strings.SplitSeq(strings.Join(values, ","), ",") {
		code = strings.TrimSpace(code)
		if !IsCode(code) {
			return nil, false
		}
		if _, there := Find(rates, code); !there {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	return codes, len(rates)+len(codes) <= MaxEntries
}

// seconds reads a header that counts seconds. Nonsense is 0; more than RFC 9111, section 1.2.2, wants
// a cache to tell apart is as much as it wants told apart.
func seconds(s string) time.Duration {
	const most = 1 << 31
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		n = most
	case err != nil:
		return 0
	}
	return time.Duration(min(n, most)) * time.Second
}

func maxAge(cacheControl string) time.Duration {
	for d := range strings.SplitSeq(cacheControl, ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(d), "="); ok && strings.EqualFold(name, "max-age") {
			return seconds(strings.Trim(value, `"`))
		}
	}
	return 0
}

// resetLayout is that of x-ratelimit-reset, which is neither RFC 3339 nor a number.
const resetLayout = "2006-01-02 15:04:05 -0700"

// askedWait is how long a server that refused wants to be left alone; 0 when it did not say, or when
// what it said has passed. Dates are compared with the server's own clock where it tells it.
func askedWait(h http.Header, now time.Time) time.Duration {
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	after := h.Get("Retry-After")
	if w := seconds(after); w > 0 {
		return w
	}
	if t, err := http.ParseTime(after); err == nil && t.After(now) {
		return t.Sub(now)
	}
	if t, err := time.Parse(resetLayout, h.Get("X-Ratelimit-Reset")); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
