// Command dashboards writes the Grafana dashboards of this project, and uploads them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"

	"github.com/alecthomas/kingpin/v2"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the work could not be done
	exitUsage  = 2 // the command line or the token file is wrong; nothing was done
)

// coins is how many the wall has room for, unless it is written for another number.
const coins = 12

// all is every dashboard of the project, with a wall for so many coins.
func all(coins int) []*dashboard { return []*dashboard{wall(coins), analysis(), health()} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := kingpin.New("dashboards", "Writes the project's Grafana dashboards, and uploads them.")
	app.HelpFlag.Short('h')
	app.UsageWriter(stdout).ErrorWriter(stderr)
	helped := false
	app.Terminate(func(int) { helped = true })

	write := app.Command("generate", "Write each dashboard to a file, <uid>.json.")
	to := write.Flag("output", "Folder to write to.").Default("dashboards").ExistingDir()
	number := app.Flag("coins", "How many coins the wall shows: its tiles are larger for fewer.").Default(strconv.Itoa(coins)).Int()
	upload := app.Command("push", "Upload each dashboard to a Grafana, into the folder "+folderTitle+".")
	address := upload.Flag("grafana.url", "Base URL of Grafana.").Required().String()
	tokenFile := upload.Flag("grafana.token-file", "File with the token of a service account that has the role Editor.").Required().String()

	command, err := app.Parse(args)
	if helped && len(args) == 0 {
		return exitUsage // no command is not a question for help
	}
	if helped {
		return exitOK
	}
	wrong := func(err error, code int) int {
		fmt.Fprintf(stderr, "dashboards: error: %v\n", err)
		return code
	}
	if err != nil {
		return wrong(err, exitUsage)
	}
	switch command {
	case write.FullCommand():
		err = generate(*to, *number, stdout)
	case upload.FullCommand():
		client, problem := newClient(*address, *tokenFile)
		if problem != nil {
			return wrong(problem, exitUsage)
		}
		err = push(ctx, client, all(*number), stdout)
	}
	if err != nil {
		return wrong(err, exitFailed)
	}
	return exitOK
}

func generate(dir string, coins int, stdout io.Writer) error {
	for _, d := range all(coins) {
		path := filepath.Join(dir, d.UID+".json")
		if err := os.WriteFile(path, d.JSON(), 0o644); err != nil { //nolint:gosec // for Grafana to read, and no secret
			return fmt.Errorf("cannot write the dashboard: %w", err)
		}
		fmt.Fprintln(stdout, path)
	}
	return nil
}
