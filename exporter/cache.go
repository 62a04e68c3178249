// A cache of answers, so that the cost of creating an answer does not grow with the number of readers. The cost of net/http, the
// kernel and the connections still does.

package exporter

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/poller"
)

const (
	cacheAge   = time.Second // maximum age of an answer
	cacheMost  = 64          // maximum number of answers: formats and encodings are few, but a query may be anything
	cacheQuery = 64          // maximum length of a cached query, in bytes
)

// cache wraps handlers whose answer to a GET depends only on the path, the query, the headers Accept and Accept-Encoding, and the
// poller's status. An answer is invalid once it is older than cacheAge, a poll has ended, or its rates have expired.
type cache struct {
	status func() poller.Status

	mu    sync.Mutex
	slots map[cacheKey]*cacheSlot
}

type cacheKey struct{ path, query, accept, encoding string }

// cacheSlot holds the answer for one key. The first request that finds it invalid creates a new one while the others wait.
type cacheSlot struct {
	mu     sync.Mutex
	answer *cachedAnswer
}

// cachedAnswer is an http.ResponseWriter that stores the answer. It is immutable once it is in a slot.
type cachedAnswer struct {
	of     poller.Status
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *cachedAnswer) Header() http.Header         { return a.header }
func (a *cachedAnswer) WriteHeader(status int)      { a.status = status }
func (a *cachedAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }

func newCache(status func() poller.Status) *cache {
	return &cache{status: status, slots: map[cacheKey]*cacheSlot{}}
}

func (c *cache) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !cacheable(r) {
			next.ServeHTTP(w, r)
			return
		}
		a, now := c.get(next, r)
		a.send(w, now)
	})
}

// cacheable reports whether the key alone determines the answer. Conditional and range requests go to the handler.
func cacheable(r *http.Request) bool {
	if r.Method != http.MethodGet || len(r.URL.RawQuery) > cacheQuery || len(r.Header["Accept"]) > 1 || len(r.Header["Accept-Encoding"]) > 1 {
		return false
	}
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"} {
		if _, ok := r.Header[name]; ok {
			return false
		}
	}
	return true
}

func (c *cache) slot(r *http.Request) *cacheSlot {
	key := cacheKey{r.URL.Path, r.URL.RawQuery, r.Header.Get("Accept"), r.Header.Get("Accept-Encoding")}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[key]
	if s == nil {
		if len(c.slots) >= cacheMost {
			clear(c.slots) // those in use are created again within a second
		}
		s = &cacheSlot{}
		c.slots[key] = s
	}
	return s
}

// get returns the answer to a request, and the status at the time of the request.
func (c *cache) get(next http.Handler, r *http.Request) (*cachedAnswer, poller.Status) {
	slot := c.slot(r)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	// The status is read before the answer is created: if it changes meanwhile, the answer is invalid at once.
	now := c.status()
	if !slot.answer.good(now) {
		a := &cachedAnswer{of: now, status: http.StatusOK, header: http.Header{}}
		next.ServeHTTP(a, r)
		a.header.Set("Content-Length", strconv.Itoa(a.body.Len()))
		slot.answer = a
	}
	return slot.answer, now
}

// good reports whether an answer is still valid. The age of the rates considers both clocks of the machine, so an answer from
// before a suspend is invalid.
func (a *cachedAnswer) good(now poller.Status) bool {
	return a != nil && now.Now.Sub(a.of.Now).Abs() <= cacheAge && now.Age-a.of.Age <= cacheAge &&
		now.Snapshot == a.of.Snapshot && (now.Previous == nil) == (a.of.Previous == nil) && now.LastPoll.Equal(a.of.LastPoll)
}

func (a *cachedAnswer) send(w http.ResponseWriter, now poller.Status) {
	h := w.Header()
	maps.Copy(h, a.header)
	if _, ok := a.header["Age"]; ok { // the answer has aged in the cache
		h.Set("Age", wholeSeconds(max(now.Age, a.of.Age)))
	}
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes()) //nolint:errcheck // the reader has gone, and nothing is lost
}
