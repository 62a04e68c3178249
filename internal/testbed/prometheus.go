// Queries of a Prometheus.

package testbed

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Sample is one series of an answer. A scalar has no labels.
type Sample struct {
	Metric model.Metric
	Value  float64
}

// Query asks a Prometheus for the value of an expression now.
func Query(base, expr string) ([]Sample, error) {
	client, err := api.NewClient(api.Config{Address: base})
	if err != nil {
		return nil, err
	}
	answer, _, _, err := prometheus.NewAPI(client).Query(context.Background(), expr, time.Time{})
	if err != nil {
		return nil, err
	}
	switch answer := answer.(type) {
	case *model.Scalar:
		return []Sample{{Value: float64(answer.Value)}}, nil
	case model.Vector:
		samples := make([]Sample, 0, len(answer))
		for _, s := range answer {
			samples = append(samples, Sample{s.Metric, float64(s.Value)})
		}
		return samples, nil
	default:
		return nil, fmt.Errorf("%s is a %s", expr, answer.Type())
	}
}
