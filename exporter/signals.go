// Signals that do not end the process.

package exporter

import (
	"os"
	"os/signal"
	"syscall"
)

// brokenPipes is never read: Notify is enough to keep Go from exiting on SIGPIPE.
var brokenPipes = make(chan os.Signal, 1)

// outliveReaders keeps the process alive if the reader of its log closes the pipe.
func outliveReaders() { signal.Notify(brokenPipes, syscall.SIGPIPE) }

// heedHangUps checks the files on SIGHUP instead of ending the process, until reset is called.
func (s *settings) heedHangUps() (reset func()) {
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	go func() {
		for range hangUps {
			s.reread()
		}
	}()
	return func() {
		signal.Stop(hangUps)
		close(hangUps)
	}
}

// reread logs whether the files that are read repeatedly are usable: the key at each poll, certificates and passwords at each
// connection. Flags and the environment are read only at start.
func (s *settings) reread() {
	good := true
	checks := []func() error{func() error { _, err := s.checkWebConfig(); return err }, func() error { _, err := s.readHTTPConfig(); return err }}
	if s.key != nil {
		checks = append(checks, func() error { _, err := s.key(); return err })
	}
	for _, check := range checks {
		if err := check(); err != nil {
			good = false
			s.logger.Error("SIGHUP: file is not usable", "err", err)
		}
	}
	if good {
		s.logger.Info("SIGHUP: key, password and TLS files are usable; flags, environment and --coingecko.http-config-file itself are read only at start")
	}
}
