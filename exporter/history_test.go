package exporter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/heycard/coingecko-exporter/exporter"
	"github.com/heycard/coingecko-exporter/exporter/internal/simulator"
	"github.com/heycard/coingecko-exporter/internal/testbed"
)

// A new exporter shows the last day from a Prometheus that is not available at first. The test of package history uses a real one.
func TestPastComesBack(t *testing.T) {
	upstream := httptest.NewServer(testbed.Answers(200, string(simulator.Recorded())))
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
		var from, to float64
		if _, err := fmt.Sscan(r.FormValue("start")+" "+r.FormValue("end"), &from, &to); err != nil {
			t.Error(err)
		}
		var matrix model.Matrix
		add := func(currency string, value func(at float64) float64) {
			s := &model.SampleStream{Metric: model.Metric{"currency": model.LabelValue(currency)}}
			for at := from; at <= to; at += 60 {
				s.Values = append(s.Values, model.SamplePair{Timestamp: model.Time(at * 1000), Value: model.SampleValue(value(at))})
			}
			matrix = append(matrix, s)
		}
		if strings.Contains(query, "coingecko_exchange_rate") {
			for currency, rate := range map[string]float64{"btc": 1, "usd": 10_000, "eth": 20} {
				add(currency, func(float64) float64 { return rate })
			}
		} else {
			add("", func(at float64) float64 { return at - 5 })
		}
		json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": matrix}})
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
	if logs := e.log.String() + other.log.String(); strings.Contains(logs, "pa55word") || strings.Contains(logs, "reader") {
		t.Errorf("the password is in the log:\n%s", logs)
	}

	// Rates that are simulated somewhere up the chain have no past in a Prometheus.
	sim := simulate(t, simulator.Options{})
	unasked := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the past of simulated rates is asked for") }))
	defer unasked.Close()
	simulated := start(t, "--coingecko.url="+sim.URL(), "--history.prometheus-url="+unasked.URL)
	testbed.Until(t, "a word about the past", func() bool { return strings.Contains(simulated.log.String(), "Rates are simulated") })
}
