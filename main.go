// Command coingecko-exporter exports CoinGecko's exchange rates as Prometheus metrics and shows them on a screen.
package main

import (
	"context"
	"os"

	"github.com/heycard/coingecko-exporter/exporter"
)

func main() {
	os.Exit(exporter.Run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
