// Both clocks of the machine, for ages that hold across a suspend or a change of the clock.

package poller

import "time"

// instant is a time on both clocks of the machine. They differ after a suspend, during which Linux stops the monotonic clock, and
// after the wall clock was set.
type instant struct {
	wall time.Time     // without a monotonic reading
	mono time.Duration // since the process started
}

var processStart = time.Now()

func systemClock() instant {
	now := time.Now()
	return instant{wall: now.Round(0), mono: now.Sub(processStart)}
}

// add returns the instant moved by d on both clocks.
func (i instant) add(d time.Duration) instant {
	return instant{wall: i.wall.Add(d), mono: i.mono + d}
}

// since returns the larger difference of the two clocks, at least 0: a price may seem older than it is, never younger.
func (i instant) since(then instant) time.Duration {
	return max(i.wall.Sub(then.wall), i.mono-then.mono, 0)
}
