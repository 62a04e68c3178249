// --health.check: the question that a container asks itself.

package exporter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// checkHealth asks an exporter whether it is well, and says on stderr why not: the one that runs with the same
// flags, whether it is ready; one at --health.url, whether it has rates, too.
func checkHealth(ctx context.Context, s *settings, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := askHealth(ctx, s); err != nil {
		fmt.Fprintf(stderr, "%s: unhealthy: %s\n", name, err)
		return exitFailed
	}
	return exitOK
}

func askHealth(ctx context.Context, s *settings) error {
	if s.healthURL == nil {
		base, err := ownURL(cmp.Or(s.healthAddress, (*s.web.WebListenAddresses)[0]))
		if err != nil {
			return err
		}
		if s.healthAddress == "" {
			base = base.JoinPath(s.prefix) // the address for probes has none
		}
		direct := &http.Client{Transport: &http.Transport{}} // a proxy is for others
		_, err = fetch(ctx, direct, base.JoinPath("/-/ready"))
		return err
	}
	client := http.DefaultClient
	if s.httpConfig != nil {
		var err error
		if client, err = config.NewClientFromConfig(*s.httpConfig, name); err != nil {
			return err // which readHTTPConfig would have found
		}
	}
	if _, err := fetch(ctx, client, s.healthURL.JoinPath("/-/ready")); err != nil {
		return err
	}
	metrics, err := fetch(ctx, client, s.healthURL.JoinPath(s.telemetryPath))
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(metrics))
	if err != nil {
		return fmt.Errorf("%s returned no metrics: %w", s.telemetryPath, err)
	}
	if len(families["coingecko_exchange_rate"].GetMetric()) == 0 {
		return errors.New("no current rates: coingecko_exchange_rate is absent")
	}
	return nil
}

// ownURL is where a listen address can be reached from here.
func ownURL(address string) (*url.URL, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address without a port: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // who listens everywhere listens there
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}, nil
}

// fetch gives the body of an answer; any but 200 is an error that says what the server says.
func fetch(ctx context.Context, client *http.Client, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %.1024s", resp.StatusCode, body)
	}
	return body, err
}
