// Command backtest says what the alert rules, and an Alertmanager behind them, would have told of recorded prices.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/alertmanager/config"
)

var windows = []window{{"an hour", 3600, 0.08}, {"a day", 86400, 0.15}}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "backtest:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	app := kingpin.New("backtest", "Says what the alert rules, and an Alertmanager behind them, would have told of recorded prices.")
	ruleFiles := app.Flag("rules", "Rule files (a pattern; can be repeated).").Default("../*.rules.yaml").Strings()
	names := app.Flag("alerts", "Judge the alerts whose name fits this expression.").Default("Swing|Volatility").Regexp()
	configFile := app.Flag("alertmanager", "Alertmanager's configuration.").Default("../alertmanager.example.yaml").String()
	team := app.Flag("team", "Its receiver that is the team's (can be repeated).").Default("team", "notices").Strings()
	pages := app.Flag("on-call", "Its receiver that wakes somebody.").Default("on-call").String()
	poll := app.Flag("poll", "How often CoinGecko is asked.").Default("1m").Duration()
	step := app.Flag("evaluation", "How often the exporter is scraped and the rules are evaluated.").Default("1m").Duration()
	from := app.Flag("from", "Judge from this day on (2006-01-02; default: where the prices begin, and the history that the rules need with them).").String()
	to := app.Flag("to", "Judge until before this day.").String()
	seed := app.Flag("seed", "Another one lets CoinGecko refresh at other moments.").Default("1").Uint64()
	messages := app.Flag("messages", "Print every message, with its texts.").Bool()
	missed := app.Flag("missed", "Print the large moves of which nobody was told.").Bool()
	files := app.Arg("prices", "CSV files, gzipped or not: the unix time of a bar's start, its close in usd. One file a currency, called after it: btc.csv.gz, fiat_eur.csv, metal_xau.csv.").Required().Strings()
	if _, err := app.Parse(args); err != nil {
		return err
	}
	if *step < time.Second || *poll < time.Second || *step%time.Second != 0 || *poll%time.Second != 0 {
		return errors.New("--poll and --evaluation are whole seconds, and at least one")
	}
	currencies, err := readPrices(*files)
	if err != nil {
		return err
	}
	am, err := config.LoadFile(*configFile)
	if err != nil {
		return fmt.Errorf("%s: %w", *configFile, err)
	}
	f := newFeed(currencies, int64(poll.Seconds()), *seed)
	seconds := int64(step.Seconds())
	judgeFrom, judgeTo := (f.first+seconds-1)/seconds*seconds, f.last/seconds*seconds
	for _, limit := range []struct {
		text string
		t    *int64
	}{{*from, &judgeFrom}, {*to, &judgeTo}} {
		if limit.text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, limit.text)
		if err != nil {
			return fmt.Errorf("%s is no day: write 2006-01-02", limit.text)
		}
		*limit.t = t.Unix()
	}
	if judgeFrom < f.first || judgeTo > f.last || judgeFrom >= judgeTo {
		return fmt.Errorf("the prices reach from %s to %s: they do not hold %s to %s", day(f.first), day(f.last), day(judgeFrom), day(judgeTo))
	}

	begin := time.Now()
	alerts, watched, err := parallel(f, *ruleFiles, *names, seconds, judgeFrom, judgeTo)
	if err != nil {
		return err
	}
	v := verdict{months: float64(judgeTo-judgeFrom) / 86400 / (365.25 / 12), fired: firings(alerts, judgeFrom, judgeTo), team: *team, pages: *pages}
	if v.messages, err = notifications(am, alerts, judgeFrom, judgeTo); err != nil {
		return err
	}
	for i := range currencies {
		c := &currencies[i]
		if c.kind == "crypto" && !watched[c.code] {
			continue // the shop does not take it, so nobody is to be told
		}
		v.currencies = append(v.currencies, c.code)
		if c.kind != "crypto" {
			continue
		}
		for _, w := range windows {
			v.moves = append(v.moves, moves(c, w, judgeFrom, judgeTo)...)
		}
	}
	v.judge()
	fmt.Fprintf(out, "%s to %s, polls every %v, evaluations every %v. It took %v.\n\n", day(judgeFrom), day(judgeTo), *poll, *step, time.Since(begin).Round(time.Second))
	v.print(out)
	if *missed {
		for i, m := range v.moves {
			if v.toldAt[i] == 0 {
				fmt.Fprintln(out, "not told:", m)
			}
		}
	}
	if *messages {
		for _, m := range v.messages {
			m.print(out)
		}
	}
	return nil
}

// parallel evaluates parts of the time side by side, each with the history that rules need before it. It gives what a
// Prometheus sends, and the store's coins.
func parallel(f *feed, ruleFiles []string, alerts *regexp.Regexp, step, from, to int64) ([]sent, map[string]bool, error) {
	n := int64(runtime.GOMAXPROCS(0))
	if (to-from)/n < 3*int64(history.Seconds()) {
		n = 1
	}
	length := ((to-from)/n/step + 1) * step
	results, coins, errs := make([][]sent, n), make([]map[string]bool, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			begin := from + i*length
			results[i], coins[i], errs[i] = part(f, ruleFiles, alerts, step, begin, min(begin+length, to))
		})
	}
	wg.Wait()
	return slices.Concat(results...), coins[0], errors.Join(errs...)
}

func part(f *feed, ruleFiles []string, alerts *regexp.Regexp, step, from, to int64) ([]sent, map[string]bool, error) {
	dir, err := os.MkdirTemp("", "backtest")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	e, err := newEvaluation(dir, ruleFiles, alerts, time.Duration(step)*time.Second)
	if err != nil {
		return nil, nil, err
	}
	defer e.db.Close()
	if err := e.run(f, max(from-int64(history.Seconds()), (f.first+step-1)/step*step), to, step); err != nil {
		return nil, nil, err
	}
	e.sent = slices.DeleteFunc(e.sent, func(s sent) bool { return s.at < from })
	slices.SortStableFunc(e.sent, func(a, b sent) int { return cmp.Compare(a.at, b.at) })
	return e.sent, e.storeCoins(), nil
}

// print writes what a message says, by the alerts' own texts.
func (m message) print(out io.Writer) {
	fmt.Fprintf(out, "%s %s\n", clock(m.at), m.receiver)
	for _, a := range m.firing {
		fmt.Fprintf(out, "    %s: %s\n", severity(a), a.Annotations["summary"])
	}
	for _, a := range m.over {
		fmt.Fprintf(out, "    over: %s\n", a.Annotations["summary"])
	}
}
