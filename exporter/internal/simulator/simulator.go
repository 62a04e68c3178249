// Package simulator is a CoinGecko that runs in process, on loopback: for --simulate, and for tests.
//
// It starts from a recorded answer of GET /exchange_rates and moves like a market, repeatably: the
// same seed, start and time always give the same rates. It answers as CoinGecko does, keeps what
// CoinGecko keeps (key, host, User-Agent, quota), and can be told to fail in each way that clients
// of CoinGecko have met.
package simulator

import (
	"context"
	"errors"
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

// Options of a simulation. The zero value is a keyless CoinGecko that starts now.
type Options struct {
	Seed    uint64           // another seed is another market
	Start   time.Time        // when the rates are the recorded ones; default: now
	Now     func() time.Time // default: time.Now
	Refresh time.Duration    // how often the rates change; default: 2s, where CoinGecko takes 1 to 5 minutes
	Calm    bool             // no coin swings by itself

	Listen         string        // loopback address for Start; default: 127.0.0.1 and a free port
	Plan           string        // keyless (default), demo or pro: the host that is played
	Key            string        // API key that requests need; default: any or none. Not for keyless
	QuotaPerMinute int           // requests in a minute; default: no limit
	RetryAfter     time.Duration // the wait that modes throttled and ratelimit ask for; default: 5s
}

// Simulator is a CoinGecko. All its methods may be called from any goroutine.
type Simulator struct {
	options Options
	market  *market

	mu       sync.Mutex
	manual   []swing // replaced, never changed
	mode     Mode
	frozen   time.Time // when mode freeze began
	requests int
	errors   int       // answers in mode error, which alternate
	minute   time.Time // that used belongs to
	used     int

	listener net.Listener // nil without Start
	server   *http.Server
}

// complete fills in the defaults. It is an error if the plan is unknown, or if there is a key without
// a plan that takes one.
func (o *Options) complete() error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Start.IsZero() {
		o.Start = o.Now()
	}
	o.Start = o.Start.Round(0)
	if o.Refresh <= 0 {
		o.Refresh = 2 * time.Second
	}
	if o.RetryAfter <= 0 {
		o.RetryAfter = 5 * time.Second
	}
	switch o.Plan {
	case "":
		o.Plan = "keyless"
	case "keyless", "demo", "pro":
	default:
		return fmt.Errorf("simulator: unknown plan %q: use keyless, demo or pro", o.Plan)
	}
	if o.Key != "" && o.Plan == "keyless" {
		return errors.New("simulator: plan keyless takes no key: remove it, or use plan demo or pro")
	}
	return nil
}

// New makes a simulator that is not yet served anywhere; see Handler. It panics where Start would
// give an error about the plan or the key.
func New(o Options) *Simulator {
	if err := o.complete(); err != nil {
		panic(err)
	}
	return &Simulator{options: o, market: newMarket(o), mode: None}
}

// Start makes a simulator and serves it on loopback until Close. An address that is not loopback is
// an error: what it serves must not be taken for real rates by anybody else.
func Start(o Options) (*Simulator, error) {
	address := o.Listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("simulator: listen address %q: %w: use a loopback host and a port, such as 127.0.0.1:9881", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("simulator: listen address %q is not loopback: use 127.0.0.1, [::1] or localhost", address)
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := New(o)
	if s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", address); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s.server = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// Neither ReadTimeout nor WriteTimeout: they would end stall and slow before the client does.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = s.server.Serve(s.listener) }() // ends with ErrServerClosed
	return s, nil
}

// URL is the base URL of the API, with /api/v3 and without a slash at the end. Only after Start.
func (s *Simulator) URL() string { return "http://" + s.listener.Addr().String() + "/api/v3" }

// ControlURL is where a presenter makes it fail, swing and recover; GET shows how. Only after Start.
func (s *Simulator) ControlURL() string { return "http://" + s.listener.Addr().String() + "/" }

// Close ends the service of Start at once, with all requests that are still in flight.
func (s *Simulator) Close() error {
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	_ = s.listener.Close() // the server knows it only once Serve has begun; a second Close does no harm
	return err
}

// Requests is how many requests for exchange rates have come, those included that were refused.
func (s *Simulator) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Rates are all rates at t, sorted by code: a function of seed, start and t, and of the manual
// swings up to t. The times before the start are the history of what follows.
func (s *Simulator) Rates(t time.Time) []coingecko.Rate {
	values := make([]float64, len(s.market.rates))
	s.market.at(t, s.swings(), values)
	rates := slices.Clone(s.market.rates)
	for i := range rates {
		rates[i].Value = values[i]
	}
	return rates
}

// History gives the rates of the last span, oldest first, at every whole step of the clock up to now.
// It is empty if span or step is not above 0.
func (s *Simulator) History(span, step time.Duration) iter.Seq2[time.Time, []coingecko.Rate] {
	return func(yield func(time.Time, []coingecko.Rate) bool) {
		for t := range s.times(span, step) {
			if !yield(t, s.Rates(t)) {
				return
			}
		}
	}
}

// times are the moments of a history.
func (s *Simulator) times(span, step time.Duration) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if span <= 0 || step <= 0 {
			return
		}
		now := s.options.Now().Round(0).UTC()
		for t := now.Add(-span).Truncate(step).Add(step); !t.After(now); t = t.Add(step) {
			if !yield(t) {
				return
			}
		}
	}
}

// Market stands for every coin, bitcoin too, when Swing is given it as a code.
const Market = "market"

// Bounds of a manual swing.
const (
	changeLeast, changeMost = -0.9, 9
	swingsMost              = 1000 // that are remembered
)

// Swing changes what a currency is worth by change (-0.12 is a fall of 12 %), against all others,
// within half a minute from now; it comes back within a quarter of an hour. Bitcoin falls against
// everything else, so every rate falls. It is an error if the code is unknown, or a mere part of
// bitcoin, or if change is 0 or not within -0.9 and 9. Swings of one currency add up, to a factor of
// 100 at most.
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

// Fail makes every answer from now on fail in one way, until the next Fail or Recover.
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

// Recover ends a failure. Swings go on.
func (s *Simulator) Recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = None
}
