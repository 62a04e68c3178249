// Queries of a Prometheus.

package testbed

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Sample is one series of an answer. A scalar has no labels.
type Sample struct {
	Metric map[string]string
	Value  float64
}

// Query asks a Prometheus for the value of an expression now.
func Query(base, expr string) ([]Sample, error) {
	answer, err := http.PostForm(base+"/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var in struct {
		Error string
		Data  struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&in); err != nil {
		return nil, err
	}
	if in.Error != "" {
		return nil, errors.New(in.Error)
	}
	number := func(pair [2]any) (float64, error) { return strconv.ParseFloat(fmt.Sprint(pair[1]), 64) }
	if in.Data.ResultType == "scalar" {
		var pair [2]any
		if err := json.Unmarshal(in.Data.Result, &pair); err != nil {
			return nil, err
		}
		v, err := number(pair)
		return []Sample{{Value: v}}, err
	}
	var vector []struct {
		Metric map[string]string
		Value  [2]any
	}
	if err := json.Unmarshal(in.Data.Result, &vector); err != nil {
		return nil, fmt.Errorf("%s: %w", in.Data.ResultType, err)
	}
	samples := make([]Sample, 0, len(vector))
	for _, in := range vector {
		v, err := number(in.Value)
		if err != nil {
			return nil, err
		}
		samples = append(samples, Sample{in.Metric, v})
	}
	return samples, nil
}
