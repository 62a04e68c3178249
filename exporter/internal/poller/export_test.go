package poller

import "time"

// SetClock gives a poller the two clocks of a machine, to be moved apart.
func (o *Options) SetClock(read func() (wall time.Time, mono time.Duration)) {
	o.clock = func() instant {
		wall, mono := read()
		return instant{wall, mono}
	}
}
