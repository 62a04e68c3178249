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
	queued   = 1000        // lines that wait while nobody reads
	patience = time.Second // how long a line is waited for before nobody waits any more
)

// Queue is a writer that a reader who does not read cannot stop: of a pipe to a log collector, for one. As long as
// lines are taken, Write returns when its line has been. When one is not taken within a second, nobody waits for lines
// until all of them are gone; meanwhile a thousand are kept, and more are dropped and counted.
type Queue struct {
	to      io.Writer
	report  func(dropped int64) // told, by the goroutine that writes, when lines are taken again
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

// NewQueued makes a logger like New whose lines go to w through a Queue. Close ends it.
func NewQueued(w io.Writer, level, format string) (*slog.Logger, *Queue, error) {
	direct, err := New(w, level, format)
	if err != nil {
		return nil, nil, err
	}
	q := newQueue(w, func(dropped int64) {
		direct.Warn("Log lines were dropped because they were not read in time", "lines", dropped)
	})
	l, err := New(q, level, format)
	return l, q, err
}

func newQueue(w io.Writer, report func(int64)) *Queue {
	q := &Queue{to: w, report: report, lines: make(chan line, queued), closed: make(chan struct{})}
	go q.run()
	return q
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
		if _, err := q.to.Write(l.text); err != nil { // a closed pipe, say: there is nobody to tell
			q.dropped.Add(1)
			return
		}
	}
	if n := q.dropped.Swap(0); n > 0 {
		q.report(n)
	}
	if len(q.lines) == 0 {
		q.stuck.Store(false)
	}
}

// Close waits, for a second at most, until the lines are taken that were written before. Later ones are lost.
func (q *Queue) Close() {
	q.close.Do(func() {
		last := line{taken: make(chan struct{})}
		select {
		case q.lines <- last:
			q.wait(last)
		default: // full: they were not taken for long
		}
		close(q.closed)
	})
}
