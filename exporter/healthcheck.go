// --health.check, with which a container checks itself.

package exporter

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
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

	"github.com/heycard/coingecko-exporter/exporter/internal/coingecko"
)

// checkHealth checks the local exporter for readiness, or the one at --health.url for readiness and current rates. It prints
// what is wrong to stderr and returns the exit code.
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
		base := ownURL(cmp.Or(s.healthAddress, (*s.web.WebListenAddresses)[0]))
		if s.healthAddress == "" {
			base = base.JoinPath(s.prefix) // the health listener has no prefix
		}
		direct := &http.Client{Transport: &http.Transport{}} // no proxy: the exporter is local
		_, err := fetch(ctx, direct, base.JoinPath("/-/ready"))
		return err
	}
	client := http.DefaultClient
	if s.httpConfig != nil {
		var err error
		if client, err = config.NewClientFromConfig(coingecko.ExceptLoopback(*s.httpConfig), name); err != nil {
			return err // readHTTPConfig has already checked it
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

// ownURL returns the URL at which a listen address, which has a port, is reachable from this machine.
func ownURL(address string) *url.URL {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // an unspecified address includes it
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
}

// fetch returns the body of an answer. A status other than 200 is an error that contains the body. The URL has no password.
func fetch(ctx context.Context, client *http.Client, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if unverified := (*tls.CertificateVerificationError)(nil); errors.As(err, &unverified) {
		err = fmt.Errorf("%w; set its CA with --coingecko.http-config-file", err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	switch {
	case err != nil, resp.StatusCode == http.StatusOK:
		return body, err
	case resp.StatusCode == http.StatusServiceUnavailable: // the exporter says why
		return nil, fmt.Errorf("%d: %.1024s", resp.StatusCode, body)
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s returned 401; set user and password with --coingecko.http-config-file", u)
	}
	return nil, fmt.Errorf("%s returned %d: %.1024s", u, resp.StatusCode, body)
}
