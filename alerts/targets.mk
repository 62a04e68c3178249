# Make targets of the alert rules' backtest, a module of its own: it needs Prometheus' engine, which nothing else here does.

TESTS += test-backtest
test-backtest: ## Test the backtest, with generated prices
	@go test -C alerts/backtest -timeout $(PATIENCE) ./...
