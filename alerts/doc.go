// Package alerts holds no code but tests: they run these rules in promtool, Prometheus and Alertmanager.
package alerts
