// Package simulator simulates CoinGecko in process, on loopback, for --simulate and for tests.
//
// It starts from a recorded answer of GET /exchange_rates and moves like a market. It is deterministic: the same seed, start and time
// always return the same rates. It answers like CoinGecko, enforces the same rules (the host of a key, User-Agent, quota), and has a failure
// mode for each failure that clients of CoinGecko have observed.
package simulator

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// Options configure a Simulator. The zero value is a keyless CoinGecko. Its start, when the rates are the recorded ones, is now.
type Options struct {
	Seed    uint64           // a different seed is a different market
	Now     func() time.Time // default: time.Now
	Refresh time.Duration    // time between changes of the rates; default: 2s. CoinGecko's is 1 to 5 minutes
	Calm    bool             // no automatic swings

	QuotaPerMinute int           // requests in a minute; default: no limit
	RetryAfter     time.Duration // wait that the modes throttled and ratelimit request; default: 5s
}

// Simulator is a simulated CoinGecko. It is safe for concurrent use.
type Simulator struct {
	options Options
	market  *market

	mu       sync.Mutex
	manual   []swing // replaced, never modified
	mode     Mode
	frozen   time.Time // when mode freeze began
	requests int
	minute   time.Time // the minute of used
	used     int

	listener net.Listener // nil without Start
	server   *http.Server
}

// New creates a simulator without a server; see Handler.
func New(o Options) *Simulator {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Refresh, o.RetryAfter = cmp.Or(o.Refresh, 2*time.Second), cmp.Or(o.RetryAfter, 5*time.Second)
	return &Simulator{options: o, market: newMarket(o), mode: None}
}

// Start creates a simulator and serves it on a free port of loopback until Close: nobody else must mistake its rates for real ones.
func Start(o Options) (*Simulator, error) {
	s := New(o)
	var err error
	if s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s.server = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// No ReadTimeout or WriteTimeout: they would end the modes stall and slow before the client does.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = s.server.Serve(s.listener) }() // returns ErrServerClosed
	return s, nil
}

// URL returns the base URL of the API, including /api/v3, without a trailing slash. Valid only after Start.
func (s *Simulator) URL() string { return "http://" + s.listener.Addr().String() + coingecko.APIPath }

// ControlURL returns the URL of the control endpoints; GET describes them. Valid only after Start.
func (s *Simulator) ControlURL() string { return "http://" + s.listener.Addr().String() + "/" }

// Close stops the server at once, including requests in flight. Valid only after Start.
func (s *Simulator) Close() error {
	err := s.server.Close()
	_ = s.listener.Close() // the server closes it only if Serve has begun; closing it twice is harmless
	return err
}

// Requests returns the number of requests for exchange rates, including refused ones.
func (s *Simulator) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Rates returns all rates at t, sorted by code. They depend only on seed, start, t and the manual swings up to t. Times before the
// start are valid and make the history.
func (s *Simulator) Rates(t time.Time) []coingecko.Rate { return s.market.at(t, s.swings()) }

// History returns the rates of the last span, oldest first, at every whole step of the clock up to now. It is empty if span or step
// is not above 0.
func (s *Simulator) History(span, step time.Duration) iter.Seq2[time.Time, []coingecko.Rate] {
	return func(yield func(time.Time, []coingecko.Rate) bool) {
		if span <= 0 || step <= 0 {
			return
		}
		now := s.options.Now().Round(0).UTC()
		for t := now.Add(-span).Truncate(step).Add(step); !t.After(now); t = t.Add(step) {
			if !yield(t, s.Rates(t)) {
				return
			}
		}
	}
}

// Market is the code for all coins, including bitcoin, in Swing.
const Market = "market"

// Bounds of a manual swing.
const (
	changeLeast, changeMost = -0.9, 9
	swingsMost              = 1000 // maximum number kept
)

// Swing changes the value of a currency against all others by change (-0.12 is a fall of 12 %) within half a minute; it returns within
// a quarter of an hour. If bitcoin falls, every rate falls. Swing returns an error if the code is unknown or a unit of bitcoin, or if
// change is 0 or not within -0.9 and 9. Swings of one currency add up, to a factor of at most 100.
func (s *Simulator) Swing(code string, change float64) error {
	if math.IsNaN(change) || change < changeLeast || change > changeMost || change == 0 {
		return fmt.Errorf("change %v is not a swing: use a ratio from %v to %v, such as -0.12 for a fall of 12 %%",
			change, changeLeast, changeMost)
	}
	var who []int
	switch i := s.market.index(code); {
	case code == Market:
		who = append(slices.Clone(s.market.swingers), s.market.btc)
	case i < 0:
		return fmt.Errorf("unknown currency %q: use one of CoinGecko's codes in lower case, such as eth or usd, or %s for all coins",
			code, Market)
	case i != s.market.btc && constant(code):
		return fmt.Errorf("%s is a part of bitcoin and cannot swing: swing btc", code)
	default:
		who = []int{i}
	}
	now := s.options.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	swings := slices.Clone(s.manual)
	for _, i := range who {
		swings = append(swings, swing{i, now, math.Log1p(change)})
	}
	s.manual = swings[max(0, len(swings)-swingsMost):]
	return nil
}

func (s *Simulator) swings() []swing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manual
}

// Fail sets the failure mode of all answers until the next Fail or Recover.
func (s *Simulator) Fail(m Mode) error {
	if !slices.Contains(Modes(), m) {
		return fmt.Errorf("unknown mode %q: use one of %v", m, Modes())
	}
	now := s.options.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == Freeze && s.mode != Freeze {
		s.frozen = now
	}
	s.mode = m
	return nil
}

// Recover ends the failure mode. Swings continue.
func (s *Simulator) Recover() { _ = s.Fail(None) } // which is a mode
