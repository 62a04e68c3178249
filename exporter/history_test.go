package exporter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// A new exporter shows the last day from a Prometheus that is not available at first. The test of package history uses a real one.
func TestPastComesBack(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(coingecko.Encode(simulator.RecordedRates()))
	}))
	defer upstream.Close()
	var asked atomic.Int32
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
			return
		}
		if user, password, _ := r.BasicAuth(); user != "reader" || password != "pa55word" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		query := r.FormValue("query")
		if !strings.Contains(query, `coingecko_last_success_timestamp_seconds{namespace="shop"}`) {
			http.Error(w, "another query: "+query, http.StatusBadRequest)
			return
		}
		from, err := strconv.ParseFloat(r.FormValue("start"), 64)
		if err != nil {
			t.Error(err)
		}
		to, err := strconv.ParseFloat(r.FormValue("end"), 64)
		if err != nil {
			t.Error(err)
		}
		matrix := func(labels string, value func(at float64) float64) string {
			var points []string
			for at := from; at <= to; at += 60 {
				points = append(points, fmt.Sprintf(`[%f,"%f"]`, at, value(at)))
			}
			return fmt.Sprintf(`{"metric":{%s},"values":[%s]}`, labels, strings.Join(points, ","))
		}
		constant := func(v float64) func(float64) float64 { return func(float64) float64 { return v } }
		var all []string
		if strings.Contains(query, "coingecko_exchange_rate") {
			all = append(all, matrix(`"currency":"btc"`, constant(1)), matrix(`"currency":"usd"`, constant(10_000)), matrix(`"currency":"eth"`, constant(20)))
		} else {
			all = append(all, matrix("", func(at float64) float64 { return at - 5 }))
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[%s]}}`, strings.Join(all, ","))
	}))
	defer prometheus.Close()

	flags := []string{"--coingecko.url=" + upstream.URL + "/api/v3", `--history.selector=namespace="shop"`, "--history.prometheus-url=" + strings.Replace(prometheus.URL, "//", "//reader:pa55word@", 1)}
	e := start(t, flags...)
	testbed.Until(t, "the past", func() bool { return strings.Contains(e.log.String(), "Fetched the last day of rates") })
	if _, page := get(t, e.url+"/"); strings.Count(page, `class="curve" viewBox`) != 2 || !strings.Contains(page, "last 24 h") {
		t.Errorf("not two coins with a curve of a day:\n%s", page)
	}

	flags[1] = `--history.selector=namespace="other"`
	other := start(t, flags...)
	began := time.Now()
	other.stop()
	if time.Since(began) > exporter.RecallFor/2 {
		t.Error("the end waits for the past")
	}
	for _, log := range []*testbed.Log{e.log, other.log} {
		if text := log.String(); strings.Contains(text, "pa55word") || strings.Contains(text, "reader") {
			t.Errorf("the password is in the log:\n%s", text)
		}
	}

	// Rates that are simulated somewhere up the chain have no past in a Prometheus.
	sim := simulate(t, simulator.Options{})
	before := asked.Load()
	simulated := start(t, "--coingecko.url="+sim.URL(), flags[2])
	testbed.Until(t, "a word about the past", func() bool { return strings.Contains(simulated.log.String(), "Rates are simulated") })
	if asked.Load() != before {
		t.Error("the past of simulated rates is asked for")
	}
}
