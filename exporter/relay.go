// The last good answer, served as CoinGecko serves it: many readers, one quota.

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
	relayPath = "/api/v3" + coingecko.Path
	pingPath  = "/api/v3/ping"
)

// relay serves GET /api/v3/exchange_rates.
type relay struct {
	status func() poller.Status
	last   atomic.Pointer[encoded]
}

// encoded is a snapshot in CoinGecko's format: it is the same for every reader until the next one comes.
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
	e.etag = fmt.Sprintf(`W/"%x"`, sum.Sum64()) // weak: the same for the packed and the plain form
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
		h.Set("Retry-After", wholeSeconds(retry))
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write(refusal(s)) //nolint:errcheck // the reader has gone, and nothing is lost
		return
	}
	if s.Snapshot.Checked {
		h.Set(coingecko.WithheldHeader, coingecko.Withheld(s.Snapshot.Withheld))
	}
	e := r.encode(s.Snapshot)
	// RFC 9111, section 4.2: what is left of max-age is max-age less Age. No cache keeps a price for longer than this
	// exporter shows it.
	h.Set("Age", wholeSeconds(s.Age))
	h.Set("Cache-Control", "public, must-revalidate, max-age="+wholeSeconds(min(s.Age+due(s), s.MaxAge.Truncate(time.Second))))
	h.Set("ETag", e.etag)
	http.ServeContent(w, req, "", s.LastSuccess, bytes.NewReader(e.body))
}

// retry is when to ask again while something is wrong. How long this exporter itself has to wait is nobody else's
// business: somebody who is well may have taken its place by then.
const retry = 10 * time.Second

// due is when newer rates are expected: at the next poll, unless the last one failed or that one is late.
func due(s poller.Status) time.Duration {
	if next := s.NextPoll.Sub(s.Now); s.Up() && next > 0 {
		return next
	}
	return retry
}

// wholeSeconds rounds up: rates may be taken for older than they are.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// refusal has the shape of CoinGecko's own errors.
func refusal(s poller.Status) []byte {
	var body struct {
		Status struct {
			Code    int    `json:"error_code"`
			Message string `json:"error_message"`
		} `json:"status"`
	}
	body.Status.Code = http.StatusServiceUnavailable
	body.Status.Message = "No current rates. " + whyNone(s)
	b, err := json.Marshal(body)
	if err != nil { // a string and a number
		panic(err)
	}
	return b
}

// whyNone says in plain words why there are no rates.
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
