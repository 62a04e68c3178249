// How old something is, also on a machine that was suspended or whose clock was set.

package poller

import "time"

// instant is a moment on both clocks of the machine. They disagree after a suspend (Linux stops the
// monotonic clock) and after the wall clock was set.
type instant struct {
	wall time.Time     // without a monotonic reading
	mono time.Duration // since the process started
}

var processStart = time.Now()

func systemClock() instant {
	now := time.Now()
	return instant{wall: now.Round(0), mono: now.Sub(processStart)}
}

// add moves an instant on both clocks.
func (i instant) add(d time.Duration) instant {
	return instant{wall: i.wall.Add(d), mono: i.mono + d}
}

// earlier is the one that comes first, by the clock that timers go by.
func earlier(a, b instant) instant {
	if a.mono < b.mono {
		return a
	}
	return b
}

// since is the larger of what the two clocks say, and never negative: a price may be taken for
// older than it is, never for younger.
func (i instant) since(then instant) time.Duration {
	return max(i.wall.Sub(then.wall), i.mono-then.mono, 0)
}
