package logging

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queued   = 1000        // maximum number of waiting lines
	patience = time.Second // how long Write waits before it no longer blocks
)

// Queue is a writer that a stuck reader, such as that of a pipe to a log collector, cannot block. Write normally returns once its line
// is written. If that takes longer than a second, Write no longer waits until the queue is empty again; meanwhile the queue holds a
// thousand lines, and drops and counts further ones.
type Queue struct {
	to      io.Writer
	direct  *slog.Logger // of the writing goroutine, for dropped lines when lines are written again
	lines   chan line
	stuck   atomic.Bool
	dropped atomic.Int64
	close   sync.Once
	closed  chan struct{}
}

type line struct {
	text  []byte
	taken chan struct{}
}

// NewQueued creates a logger like New that writes to w through a Queue. The caller must close the Queue.
func NewQueued(w io.Writer, level, format string) (*slog.Logger, *Queue) {
	q := &Queue{to: w, direct: New(w, level, format), lines: make(chan line, queued), closed: make(chan struct{})}
	go q.run()
	return New(q, level, format), q
}

// Write implements io.Writer. It never fails.
func (q *Queue) Write(p []byte) (int, error) {
	l := line{bytes.Clone(p), make(chan struct{})}
	select {
	case q.lines <- l:
	default:
		q.dropped.Add(1)
		return len(p), nil
	}
	if !q.stuck.Load() {
		q.wait(l)
	}
	return len(p), nil
}

func (q *Queue) wait(l line) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.taken:
	case <-q.closed:
	case <-timer.C:
		q.stuck.Store(true)
	}
}

func (q *Queue) run() {
	for {
		select {
		case <-q.closed:
			return
		case l := <-q.lines:
			q.take(l)
		}
	}
}

func (q *Queue) take(l line) {
	defer close(l.taken)
	if len(l.text) > 0 {
		if _, err := q.to.Write(l.text); err != nil { // such as a closed pipe; the error cannot be reported
			q.dropped.Add(1)
			return
		}
	}
	if n := q.dropped.Swap(0); n > 0 {
		q.direct.Warn("Log lines were dropped because they were not read in time", "lines", n)
	}
	if len(q.lines) == 0 {
		q.stuck.Store(false)
	}
}

// Close waits at most a second until all earlier lines are written. Later ones are lost.
func (q *Queue) Close() {
	q.close.Do(func() {
		last := line{taken: make(chan struct{})}
		select {
		case q.lines <- last:
			q.wait(last)
		default: // full: the reader is stuck
		}
		close(q.closed)
	})
}
