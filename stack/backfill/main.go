// Command backfill gives a Prometheus that is not yet running the past of a simulated market: first the
// exporter's series, then what the recording rules would have made of them.
//
// promtool evaluates rules in a running Prometheus, which does not see what it writes. So rules go in passes:
// each holds those that need nothing of the same pass, and before the next one Prometheus starts anew.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"go.yaml.in/yaml/v2"
)

func main() {
	var b backfill
	flag.StringVar(&b.control, "control", "", "`URL` of the simulator's control endpoints, as the exporter logs it")
	flag.StringVar(&b.instance, "instance", "localhost:9880", "`address` under which Prometheus will scrape the exporter")
	flag.StringVar(&b.data, "data", "", "`folder` of Prometheus' storage, empty or not yet there")
	flag.StringVar(&b.rules, "rules", "alerts/*.rules.yaml", "`pattern` of rule files, in an order in which each needs only those before")
	flag.StringVar(&b.listen, "listen", "", "free `address` for the Prometheus that evaluates them")
	flag.DurationVar(&b.span, "span", 8*24*time.Hour, "how far back")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := b.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "backfill:", err)
		os.Exit(1)
	}
}

const (
	// patience is for machines that are slow or busy: a query of a rule over all the past, and Prometheus' start.
	patience = 15 * time.Minute
	step     = 5 * time.Minute // between evaluations of a rule: how far Prometheus looks back
)

type backfill struct {
	control, instance, data, rules, listen string
	span                                   time.Duration
	end                                    time.Time // the moments of all passes are the same
	scratch                                string    // folder within data
}

func (b *backfill) run(ctx context.Context) (err error) {
	passes, err := readPasses(b.rules)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.data, 0o750); err != nil {
		return err
	}
	if b.scratch, err = os.MkdirTemp(b.data, "backfill.tmp-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.scratch)) }()

	b.end = time.Now()
	history := filepath.Join(b.scratch, "history")
	if err := b.fetch(ctx, history); err != nil {
		return err
	}
	if err := createBlocks(ctx, "openmetrics", history, b.data); err != nil {
		return err
	}
	if err := os.Remove(history); err != nil {
		return err
	}
	fmt.Printf("%v of rates written in %v\n", b.span, time.Since(b.end).Round(time.Second))

	for i, p := range passes {
		began := time.Now()
		if err := b.pass(ctx, p); err != nil {
			return err
		}
		fmt.Printf("Rules, pass %d of %d: %d rules in %v\n", i+1, len(passes), len(p), time.Since(began).Round(time.Second))
	}
	return nil
}

// fetch writes the simulator's history into a file.
func (b *backfill) fetch(ctx context.Context, file string) error {
	q := url.Values{"hours": {strconv.FormatFloat(b.span.Hours(), 'f', -1, 64)}, "instance": {b.instance}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.control+"history?"+q.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the simulator cannot be asked for its history: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answers %s to %s", answer.Status, request.URL)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	return errors.Join(err, f.Close())
}

// pass evaluates rules over the past, in a Prometheus that runs only meanwhile.
func (b *backfill) pass(ctx context.Context, rules []rule) error {
	file, config := filepath.Join(b.scratch, "rules.yaml"), filepath.Join(b.scratch, "prometheus.yaml")
	text, err := yaml.Marshal(groups{Groups: []group{{Name: "backfill", Rules: rules}}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(file, text, 0o600), os.WriteFile(config, nil, 0o600)); err != nil {
		return err
	}

	running, stop := context.WithCancelCause(ctx)
	prometheus := command(running, "prometheus", "--config.file="+config, "--storage.tsdb.path="+b.data,
		"--storage.tsdb.retention.time=10y", "--web.listen-address="+b.listen, "--log.level=error", "--query.timeout="+patience.String())
	if err := prometheus.Start(); err != nil {
		stop(nil)
		return err
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		_ = prometheus.Wait() // how it ends is no news: it is told to
		stop(errors.New("prometheus ended before it was ready; what it says is above"))
	})
	defer func() { stop(nil); ended.Wait() }()
	if err := b.ready(running); err != nil {
		return err
	}

	err = createBlocks(ctx, "rules",
		"--url=http://"+b.listen, "--output-dir="+b.data, "--eval-interval="+step.String(),
		"--start="+strconv.FormatInt(b.end.Add(-b.span).Unix(), 10), "--end="+strconv.FormatInt(b.end.Unix(), 10), file)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w\nIf this machine is too slow for %v of rates, ask for less: make stack HISTORY=26h, which is --span=26h here", err, b.span)
	}
	return err
}

// ready waits until Prometheus answers.
func (b *backfill) ready(ctx context.Context) error {
	client, err := api.NewClient(api.Config{Address: "http://" + b.listen})
	if err != nil {
		return err
	}
	_, err = backoff.Retry(ctx, func() (v1.BuildinfoResult, error) { return v1.NewAPI(client).Buildinfo(ctx) },
		backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(patience))
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("prometheus is not ready at %s after %v: %w", b.listen, patience, err)
	}
	return err
}

// command ends with the context: at first politely.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // the names stand in this file
	c.Stderr = os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 20 * time.Second
	return c
}

// createBlocks lets promtool write blocks. Large ones: few are made, and soon Prometheus would merge small ones.
func createBlocks(ctx context.Context, args ...string) error {
	c := command(ctx, "promtool", append([]string{"tsdb", "create-blocks-from", "--quiet", "--max-block-duration=486h"}, args...)...)
	var said bytes.Buffer // of interest only if it fails
	c.Stderr = &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, said.Bytes())
	}
	return nil
}

// rule, group and groups are of a rule file what backfilling needs.
type (
	rule struct {
		Record, Expr string
		Labels       map[string]string `yaml:",omitempty"`
	}
	group struct {
		Name  string
		Rules []rule
	}
	groups struct{ Groups []group }
)

var word = regexp.MustCompile(`[\w:]+`)

// readPasses sorts the recording rules of all files into passes: each rule comes after all those whose
// series it reads.
func readPasses(pattern string) ([][]rule, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var rules []rule
	depth := map[string]int{} // of a series: the pass after which it is complete
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var g groups
		if err := yaml.Unmarshal(text, &g); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, g := range g.Groups {
			for _, r := range g.Rules {
				if r.Record != "" {
					rules = append(rules, r)
					depth[r.Record] = 1
				}
			}
		}
	}
	if len(rules) == 0 {
		return nil, fmt.Errorf("no recording rules in %q", pattern)
	}
	deepest := 0
	for settled := false; !settled; {
		settled = true
		for _, r := range rules {
			for _, series := range word.FindAllString(r.Expr, -1) {
				if d, recorded := depth[series]; recorded && series != r.Record && depth[r.Record] <= d {
					depth[r.Record], settled = d+1, false
				}
			}
			if deepest = max(deepest, depth[r.Record]); deepest > len(depth) {
				return nil, fmt.Errorf("the rules in %q read each other in a circle; one of them is %s", pattern, r.Record)
			}
		}
	}
	passes := make([][]rule, deepest)
	for _, r := range rules {
		passes[depth[r.Record]-1] = append(passes[depth[r.Record]-1], r)
	}
	return passes, nil
}
