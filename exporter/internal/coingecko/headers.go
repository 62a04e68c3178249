// Headers of answers.

package coingecko

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SimulatedHeader marks simulated rates. Relays pass it on. Any value except a false one is a mark.
const SimulatedHeader = "X-Rates-Simulated"

func simulated(h http.Header) bool {
	for _, v := range h.Values(SimulatedHeader) {
		if yes, err := strconv.ParseBool(v); yes || err != nil {
			return true
		}
	}
	return false
}

// WithheldHeader says that the upstream compares each rate with the one before and withholds implausible ones. It lists the codes of
// withheld rates, or says none.
const WithheldHeader = "X-Rates-Withheld"

const noneWithheld = "none"

// Withheld returns the value of WithheldHeader.
func Withheld(rates []Rate) string {
	var codes []string
	for _, r := range rates {
		codes = append(codes, r.Code)
	}
	return cmp.Or(strings.Join(codes, ", "), noneWithheld)
}

// withheld parses WithheldHeader. The codes are sorted and exclude those in rates. ok is false if the header is missing or invalid:
// the caller then compares the rates itself.
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
	if len(rates)+len(codes) > MaxEntries {
		return nil, false
	}
	return codes, true
}

// declaredAge returns the age from the Age headers; the largest, if there are several. An invalid one is an error: the rates would
// seem younger than they are.
func declaredAge(h http.Header) (time.Duration, error) {
	oldest := time.Duration(0)
	for v := range strings.SplitSeq(strings.Join(h.Values("Age"), ","), ",") {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		age, err := seconds(v)
		if err != nil {
			return 0, fmt.Errorf("the Age header is %q and not a number of seconds; the age of the rates is unknown", clip(v, 32))
		}
		oldest = max(oldest, age)
	}
	return oldest, nil
}

// maxAge returns the smallest max-age of Cache-Control; 0 without a valid one.
func maxAge(h http.Header) time.Duration {
	least := time.Duration(0)
	for d := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(d), "=")
		if !ok || !strings.EqualFold(name, "max-age") {
			continue
		}
		if age, err := seconds(strings.Trim(value, `"`)); err == nil && age > 0 && (least == 0 || age < least) {
			least = age
		}
	}
	return least
}

// seconds parses a number of seconds in a header. It limits the number to 2^31, as RFC 9111, section 1.2.2, asks of caches.
func seconds(s string) (time.Duration, error) {
	const most = 1 << 31
	s = strings.TrimSpace(s)
	n, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) && strings.Trim(s, "0123456789") == "" { // ParseUint stops at the digit that is too many
		n, err = most, nil
	}
	return time.Duration(min(n, most)) * time.Second, err
}

// resetLayout is the layout of x-ratelimit-reset, which is neither RFC 3339 nor a number.
const resetLayout = "2006-01-02 15:04:05 -0700"

// askedWait returns the wait that the server requests; 0 without a request or if its time has passed. Dates are compared with the
// server's Date header, if present.
func askedWait(h http.Header, now time.Time) time.Duration {
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	after := h.Get("Retry-After")
	if w, err := seconds(after); err == nil && w > 0 {
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
