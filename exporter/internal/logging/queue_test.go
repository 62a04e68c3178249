package logging

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// reader is the reader of a log, which may stop reading.
type reader struct {
	testbed.Log
	read chan struct{} // nil: reads at once
	err  error
}

func (r *reader) Write(p []byte) (int, error) {
	if r.read != nil {
		<-r.read
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.Log.Write(p)
}

func queue(t *testing.T, r *reader) (*slog.Logger, *Queue) {
	t.Helper()
	l, q := NewQueued(r, "info", "logfmt")
	t.Cleanup(q.Close)
	return l, q
}

// A logged line is written when the call returns, as without a queue.
func TestQueueWritesAtOnce(t *testing.T) {
	r := &reader{}
	l, _ := queue(t, r)
	for i := range 3 * queued {
		l.Info("m", "i", i)
		if !strings.HasSuffix(r.String(), fmt.Sprintf("i=%d\n", i)) {
			t.Fatalf("line %d is not there", i)
		}
	}
}

// Logging blocks at most a second, once, and dropped lines are reported.
func TestQueueIsNotStoppedByItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{read: make(chan struct{})}
		l, _ := queue(t, r)
		begun := time.Now()
		const lines = 3 * queued
		for i := range lines {
			l.Info("m", "i", i)
		}
		if d := time.Since(begun); d != patience {
			t.Errorf("%d lines took %v", lines, d)
		}
		close(r.read)
		synctest.Wait()
		// One was being written, and as many as can wait waited.
		kept := queued + 1
		if got := r.String(); strings.Count(got, "msg=m ") != kept || strings.Count(got, fmt.Sprintf(
			`level=warn msg="Log lines were dropped because they were not read in time" lines=%d`, lines-kept)) != 1 {
			t.Errorf("%d lines, ends with %q", strings.Count(got, "msg=m "), got[len(got)-300:])
		}
		begun = time.Now()
		l.Info("again")
		if !strings.HasSuffix(r.String(), "msg=again\n") || time.Since(begun) != 0 {
			t.Error("what comes later is not written at once")
		}
	})
}

// Close does not wait for a stuck reader.
func TestQueueCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lines := range []int{0, 1, 2 * queued} {
			r := &reader{read: make(chan struct{})}
			l, q := queue(t, r)
			for range lines {
				l.Info("m")
			}
			begun := time.Now()
			q.Close()
			q.Close()
			if d := time.Since(begun); d > patience {
				t.Errorf("%d lines: closing took %v", lines, d)
			}
			begun = time.Now()
			l.Info("later")
			if d := time.Since(begun); d > patience {
				t.Errorf("%d lines: logging after the end took %v", lines, d)
			}
			close(r.read)
		}
	})
}

func TestQueueOfAClosedPipe(t *testing.T) {
	r := &reader{err: errors.New("broken pipe")}
	l, _ := queue(t, r)
	l.Info("one")
	l.Info("two")
	r.err = nil
	l.Info("three")
	if got := r.String(); !strings.Contains(got, "msg=three") || !strings.Contains(got, "lines=2") {
		t.Errorf("got %q", got)
	}
}
