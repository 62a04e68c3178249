# Make targets for the backtest of the alert rules. It is a separate Go module, because only it needs Prometheus' query engine.

##@ Alert rules
TESTS += test-backtest
test-backtest: ## Test the backtest of the alert rules with generated prices
	@go test -C alerts/backtest -timeout $(PATIENCE) ./...
