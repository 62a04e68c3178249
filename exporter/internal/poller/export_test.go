package poller

import "time"

// SetClock sets the two clocks of a poller, which tests move apart.
func (o *Options) SetClock(read func() (wall time.Time, mono time.Duration)) {
	o.clock = func() instant {
		wall, mono := read()
		return instant{wall, mono}
	}
}

// WithoutJitter makes the waits of a poller the same in each run.
func (p *Poller) WithoutJitter() { p.backoff.RandomizationFactor = 0 }
