package coingecko

import (
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAskedWait(t *testing.T) {
	now := time.Date(2025, 7, 25, 14, 53, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		headers http.Header
		want    time.Duration
	}{
		"nothing":                  {nil, 0},
		"seconds, as recorded":     {http.Header{"Retry-After": {"119"}}, 119 * time.Second},
		"a date":                   {http.Header{"Retry-After": {"Fri, 25 Jul 2025 14:55:00 GMT"}}, 2 * time.Minute},
		"a date by their clock":    {http.Header{"Retry-After": {"Fri, 25 Jul 2025 14:55:00 GMT"}, "Date": {"Fri, 25 Jul 2025 14:54:50 GMT"}}, 10 * time.Second},
		"a date that has passed":   {http.Header{"Retry-After": {"Fri, 25 Jul 2025 14:00:00 GMT"}}, 0},
		"no seconds":               {http.Header{"Retry-After": {"0"}}, 0},
		"negative":                 {http.Header{"Retry-After": {"-5"}}, 0},
		"nonsense":                 {http.Header{"Retry-After": {"soon"}}, 0},
		"a reset, as recorded":     {http.Header{"X-Ratelimit-Reset": {"2025-07-25 14:54:00 +0000"}}, time.Minute},
		"a reset in another zone":  {http.Header{"X-Ratelimit-Reset": {"2025-07-25 22:54:00 +0800"}}, time.Minute},
		"a reset that has passed":  {http.Header{"X-Ratelimit-Reset": {"2025-07-25 14:52:00 +0000"}}, 0},
		"nonsense, then a reset":   {http.Header{"Retry-After": {"soon"}, "X-Ratelimit-Reset": {"2025-07-25 14:54:00 +0000"}}, time.Minute},
		"both":                     {http.Header{"Retry-After": {"7"}, "X-Ratelimit-Reset": {"2025-07-25 14:54:00 +0000"}}, 7 * time.Second},
		"a year":                   {http.Header{"Retry-After": {"31536000"}}, 8760 * time.Hour},
		"more than a number holds": {http.Header{"Retry-After": {"99999999999999999999"}}, 1 << 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := askedWait(tc.headers, now); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestMaxAge(t *testing.T) {
	for _, tc := range []struct {
		want    time.Duration
		headers []string
	}{
		{0, nil},
		{0, []string{""}},
		{0, []string{"no-store"}},
		{30 * time.Second, []string{"max-age=30"}},
		{time.Minute, []string{`public, Max-Age="60"`}},
		{3 * time.Second, []string{"s-maxage=9, max-age=3"}},
		{0, []string{"max-age=-1"}},
		{0, []string{"max-age=0"}},
		{0, []string{"max-age=soon"}},
		{0, []string{"max-age=1e3, max-age = 5"}},
		{5 * time.Second, []string{"max-age=60, max-age=5"}},
		{5 * time.Second, []string{"max-age=5", "public, max-age=3600"}},
		{5 * time.Second, []string{"max-age=0, max-age=-3", "max-age=5"}},
		{1 << 31 * time.Second, []string{"max-age=99999999999999999999"}},
	} {
		if got := maxAge(http.Header{"Cache-Control": tc.headers}); got != tc.want {
			t.Errorf("%q: %v, want %v", tc.headers, got, tc.want)
		}
	}
}

func TestDeclaredAge(t *testing.T) {
	const unknown = -1
	for _, tc := range []struct {
		want    time.Duration
		headers []string
	}{
		{0, nil},
		{0, []string{""}},
		{0, []string{"0"}},
		{17 * time.Second, []string{" 17 "}},
		{300 * time.Second, []string{"5", "300"}},
		{300 * time.Second, []string{"300, 5"}},
		{1 << 31 * time.Second, []string{"99999999999999999999"}},
		{unknown, []string{"-5"}},
		{unknown, []string{"1.5"}},
		{unknown, []string{"soon"}},
		{unknown, []string{"5, x"}},
		{unknown, []string{"5", "1e3"}},
	} {
		got, err := declaredAge(http.Header{"Age": tc.headers})
		if err != nil {
			got = unknown
		}
		if got != tc.want {
			t.Errorf("%q: %v, want %v", tc.headers, got, tc.want)
		}
	}
}

func TestWithheldHeader(t *testing.T) {
	rates := []Rate{{Code: "btc", Value: 1}, {Code: "usd", Value: 2}}
	for _, tc := range []struct {
		ok      bool
		want    string
		headers []string
	}{
		{false, "", nil},
		{false, "", []string{""}},
		{true, "", []string{"none"}},
		{true, "eur", []string{"eur"}},
		{true, "eth eur", []string{"eur,  eth, eur", "eth"}},
		{true, "eur", []string{"usd, eur"}}, // a rate that is there is not withheld
		{false, "", []string{"EUR"}},
		{false, "", []string{"eur,"}},
		{false, "", []string{"eur eth"}},
		{false, "", []string{strings.Repeat("x", 33)}},
	} {
		codes, ok := withheld(http.Header{WithheldHeader: tc.headers}, rates)
		if ok != tc.ok || strings.Join(codes, " ") != tc.want {
			t.Errorf("%q: %q, %v, want %q, %v", tc.headers, codes, ok, tc.want, tc.ok)
		}
	}
	var many []string
	for i := range MaxEntries {
		many = append(many, fmt.Sprintf("c%d", i))
	}
	if codes, ok := withheld(http.Header{WithheldHeader: many}, rates); ok || codes != nil {
		t.Errorf("%d codes are too many", len(codes))
	}
	if got := Withheld([]Rate{{Code: "eth"}, {Code: "usd"}}) + "; " + Withheld(nil); got != "eth, usd; none" {
		t.Error(got)
	}
}

// No headers make an answer younger than the largest declared age.
func FuzzHeaders(f *testing.F) {
	f.Add("119", "2025-07-25 14:54:00 +0000", "max-age=30, public", "17", "eth, usd", "true")
	f.Add("Fri, 25 Jul 2025 14:55:00 GMT", "", `max-age="60"`, "5\n300", "none", "0")
	f.Add("-1", "", "max-age=-1\nmax-age=99999999999999999999", "-5", "\x00", "")
	f.Add("31536000", "soon", "max-age=3600\nno-store, max-age=5", "99999999999999999999", "eth\nnone", "false\n1")
	f.Add("soon", "", "max-age", "soon", "none, none", "no idea")
	f.Add("", "", "", strings.Repeat("5", 400), "", "")
	f.Add("99999999999999999999s", "", "max-age=99999999999999999999s", "99999999999999999999s", "", "")
	f.Fuzz(func(t *testing.T, retry, reset, control, age, kept, mark string) {
		lines := func(s string) []string { return strings.Split(s, "\n") }
		h := http.Header{
			"Retry-After": {retry}, "X-Ratelimit-Reset": {reset}, "Cache-Control": lines(control), "Age": lines(age),
			WithheldHeader: lines(kept), SimulatedHeader: lines(mark),
		}
		if w := askedWait(h, time.Now()); w < 0 {
			t.Errorf("a wait of %v", w)
		}
		a := maxAge(h)
		if a < 0 {
			t.Errorf("a max-age of %v", a)
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(control, "\n", ","), ",") {
			n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(part), "max-age="), 10, 31)
			if err == nil && n > 0 && strings.HasPrefix(strings.TrimSpace(part), "max-age=") && (a == 0 || a > time.Duration(n)*time.Second) {
				t.Errorf("%q is a max-age of %v", control, a)
			}
		}
		if a, err := declaredAge(h); err == nil {
			for part := range strings.SplitSeq(strings.ReplaceAll(age, "\n", ","), ",") {
				part = strings.TrimSpace(part)
				if part == "" {
					continue
				}
				n, ok := new(big.Int).SetString(part, 10) // a number of any length
				if !ok || n.Sign() < 0 || a < time.Second<<31 && n.Cmp(big.NewInt(int64(a/time.Second))) > 0 {
					t.Errorf("%q is an age of %v", age, a)
				}
			}
		}
		if codes, ok := withheld(h, []Rate{{Code: "btc", Value: 1}}); !ok && codes != nil || slices.Contains(codes, "btc") ||
			!slices.IsSorted(codes) || slices.ContainsFunc(codes, func(c string) bool { return !IsCode(c) }) {
			t.Errorf("%q withholds %q, %v", kept, codes, ok)
		}
		marks := func(line string) bool { yes, err := strconv.ParseBool(line); return yes || err != nil }
		if got := simulated(h); got != slices.ContainsFunc(lines(mark), marks) {
			t.Errorf("%q as a mark: %v", mark, got)
		}
	})
}
