// --health.check: the question that a container asks itself.

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// probe asks the exporter that runs with the same flags whether it is ready, and says on stderr why not.
func probe(ctx context.Context, s *settings, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	why, err := askReady(ctx, cmp.Or(s.healthAddress, (*s.web.WebListenAddresses)[0]))
	if err != nil {
		why = err.Error()
	}
	if why != "" {
		fmt.Fprintf(stderr, "%s: not healthy: %s\n", name, why)
		return failed
	}
	return ok
}

// askReady asks at a listen address, and gives what a server that is not ready says.
func askReady(ctx context.Context, address string) (why string, _ error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("no listen address with a port: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // who listens everywhere listens there
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/-/ready", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return "", nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	return fmt.Sprintf("%d: %s", resp.StatusCode, body), err
}
