package coingecko

import (
	"net/http"
	"testing"
	"time"
)

func TestAskedWait(t *testing.T) {
	now := time.Date(2025, 7, 25, 14, 53, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		headers map[string]string
		want    time.Duration
	}{
		"nothing":                  {nil, 0},
		"seconds, as recorded":     {map[string]string{"Retry-After": "119"}, 119 * time.Second},
		"a date":                   {map[string]string{"Retry-After": "Fri, 25 Jul 2025 14:55:00 GMT"}, 2 * time.Minute},
		"a date by their clock":    {map[string]string{"Retry-After": "Fri, 25 Jul 2025 14:55:00 GMT", "Date": "Fri, 25 Jul 2025 14:54:50 GMT"}, 10 * time.Second},
		"a date that has passed":   {map[string]string{"Retry-After": "Fri, 25 Jul 2025 14:00:00 GMT"}, 0},
		"no seconds":               {map[string]string{"Retry-After": "0"}, 0},
		"negative":                 {map[string]string{"Retry-After": "-5"}, 0},
		"nonsense":                 {map[string]string{"Retry-After": "soon"}, 0},
		"a reset, as recorded":     {map[string]string{"x-ratelimit-reset": "2025-07-25 14:54:00 +0000"}, time.Minute},
		"a reset in another zone":  {map[string]string{"x-ratelimit-reset": "2025-07-25 22:54:00 +0800"}, time.Minute},
		"a reset that has passed":  {map[string]string{"x-ratelimit-reset": "2025-07-25 14:52:00 +0000"}, 0},
		"nonsense, then a reset":   {map[string]string{"Retry-After": "soon", "x-ratelimit-reset": "2025-07-25 14:54:00 +0000"}, time.Minute},
		"both":                     {map[string]string{"Retry-After": "7", "x-ratelimit-reset": "2025-07-25 14:54:00 +0000"}, 7 * time.Second},
		"a year":                   {map[string]string{"Retry-After": "31536000"}, 8760 * time.Hour},
		"more than a number holds": {map[string]string{"Retry-After": "99999999999999999999"}, 1 << 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range tc.headers {
				h.Set(k, v)
			}
			if got := askedWait(h, now); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestMaxAge(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                         0,
		"no-store":                 0,
		"max-age=30":               30 * time.Second,
		"public, Max-Age=\"60\"":   time.Minute,
		"s-maxage=9, max-age=3":    3 * time.Second,
		"max-age=-1":               0,
		"max-age=soon":             0,
		"max-age=1e3, max-age = 5": 0,
	} {
		if got := maxAge(header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("119", "2025-07-25 14:54:00 +0000", "max-age=30, public")
	f.Add("Fri, 25 Jul 2025 14:55:00 GMT", "", `max-age="60"`)
	f.Fuzz(func(t *testing.T, retry, reset, control string) {
		h := http.Header{"Retry-After": {retry}, "X-Ratelimit-Reset": {reset}}
		if w := askedWait(h, time.Now()); w < 0 {
			t.Errorf("a wait of %v", w)
		}
		if a := maxAge(control); a < 0 {
			t.Errorf("a max-age of %v", a)
		}
	})
}
