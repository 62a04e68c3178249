// The relay endpoint: the last good answer in CoinGecko's format.

package exporter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

const (
	relayPath = coingecko.APIPath + coingecko.Path
	pingPath  = coingecko.APIPath + "/ping"
)

// relay serves GET /api/v3/exchange_rates.
type relay struct {
	status func() poller.Status
	last   atomic.Pointer[encoded]
}

// encoded is a snapshot in CoinGecko's format, which is the same for all readers.
type encoded struct {
	of   *poller.Snapshot
	body []byte
	etag string
}

func (r *relay) encode(s *poller.Snapshot) *encoded {
	if e := r.last.Load(); e != nil && e.of == s {
		return e
	}
	e := &encoded{of: s, body: coingecko.Encode(s.Rates)}
	sum := fnv.New64a()
	sum.Write(e.body)
	e.etag = fmt.Sprintf(`W/"%x"`, sum.Sum64()) // weak: the same for compressed and plain bodies
	r.last.Store(e)
	return e
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s := r.status()
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Add("Vary", "Origin") // see cors
	if s.Simulated {
		h.Set(coingecko.SimulatedHeader, "true")
	}
	if s.Snapshot == nil {
		h.Set("Retry-After", wholeSeconds(poller.Retry))
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write(refusal(s)) //nolint:errcheck // the reader has gone, and nothing is lost
		return
	}
	if s.Snapshot.Checked {
		h.Set(coingecko.WithheldHeader, coingecko.Withheld(s.Snapshot.Withheld))
	}
	e := r.encode(s.Snapshot)
	// RFC 9111, section 4.2: the remaining lifetime is max-age minus Age. No cache keeps a price for longer than this
	// exporter shows it. nginx's cache keeps Age as it was, so it must not store the answer.
	h.Set("X-Accel-Expires", "0")
	h.Set("Age", wholeSeconds(s.Age))
	h.Set("Cache-Control", "public, must-revalidate, max-age="+wholeSeconds(min(s.Age+due(s), s.MaxAge.Truncate(time.Second))))
	h.Set("ETag", e.etag)
	req.Header.Del("If-Modified-Since") // after a change of the clock, an older Last-Modified may belong to newer rates
	http.ServeContent(w, req, "", s.LastSuccess, bytes.NewReader(e.body))
}

// due returns the time until newer rates are expected: the next poll, or poller.Retry if the last poll failed or the next is late.
func due(s poller.Status) time.Duration {
	if next := s.NextPoll.Sub(s.Now); s.Up() && next > 0 {
		return next
	}
	return poller.Retry
}

// wholeSeconds rounds up: rates may seem older than they are, never younger.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// refusal returns a body in the shape of CoinGecko's errors.
func refusal(s poller.Status) []byte {
	b, err := json.Marshal(map[string]any{"status": map[string]any{
		"error_code":    http.StatusServiceUnavailable,
		"error_message": "No current rates. " + whyNone(s),
	}})
	if err != nil { // cannot happen for a string and a number
		panic(err)
	}
	return b
}

// whyNone returns the reason for which there are no current rates, as a sentence.
func whyNone(s poller.Status) string {
	switch {
	case s.Err != nil:
		return s.Err.Explain()
	case s.LastPoll.IsZero():
		return "The first poll is in progress."
	default:
		return "The last rates have expired."
	}
}
