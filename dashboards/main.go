// Command dashboards writes the Grafana dashboards of this project, and uploads them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
)

// Exit codes.
const (
	ok       = 0
	failed   = 1 // the work could not be done
	misasked = 2 // the command line is wrong; nothing was done
)

// all is every dashboard of the project.
func all() []*dashboard { return []*dashboard{screen()} }

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	done := errors.New("done") // kingpin wants to exit after --help
	app := kingpin.New("dashboards", "Writes the project's Grafana dashboards, and uploads them.")
	app.HelpFlag.Short('h')
	app.UsageWriter(stdout).ErrorWriter(stderr)
	app.Terminate(func(int) { panic(done) })

	write := app.Command("generate", "Write each dashboard as <uid>.json.")
	to := write.Flag("output", "Folder to write to.").Default("dashboards").ExistingDir()

	var command string
	help, err := func() (help bool, err error) {
		defer func() {
			if r := recover(); r != nil {
				if r != any(done) {
					panic(r)
				}
				help = true
			}
		}()
		command, err = app.Parse(args)
		return false, err
	}()
	switch {
	case help:
		return ok
	case err != nil:
		fmt.Fprintf(stderr, "dashboards: error: %v\n", err)
		return misasked
	}

	switch command {
	case write.FullCommand():
		err = generate(*to, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "dashboards: error: %v\n", err)
		return failed
	}
	_ = ctx
	return ok
}

func generate(dir string, stdout io.Writer) error {
	for _, d := range all() {
		raw, err := d.JSON()
		if err != nil {
			return err
		}
		path := filepath.Join(dir, d.UID+".json")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			return fmt.Errorf("cannot write the dashboard: %w", err)
		}
		fmt.Fprintln(stdout, path)
	}
	return nil
}
