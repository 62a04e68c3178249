mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name   = "shop-test"
  limit  = 300
  tag    = { key = "Environment", value = "test" }
  emails = ["platform@shop.example"]
}

run "counts_one_environment" {
  command = plan

  assert {
    condition     = toset(one(aws_budgets_budget.this["shop-test"].cost_filter).values) == toset(["user:Environment$test"])
    error_message = "The budget counts what carries the tag, in AWS's notation user:KEY$VALUE."
  }
  assert {
    condition     = toset([for n in aws_budgets_budget.this["shop-test"].notification : "${n.notification_type} ${n.threshold}"]) == toset(["ACTUAL 80", "FORECASTED 100"])
    error_message = "People are told at 80 % spent, and when the forecast passes the limit."
  }
}

run "the_whole_account_as_well" {
  command = plan

  variables {
    account_limit = 600
  }

  assert {
    condition     = length(aws_budgets_budget.this["shop-test-account"].cost_filter) == 0 && aws_budgets_budget.this["shop-test-account"].limit_amount == "600.0"
    error_message = "The account's budget counts everything."
  }
}

run "an_account_that_costs_less_than_its_part" {
  command = plan
  variables {
    account_limit = 200
  }
  expect_failures = [var.account_limit]
}

run "no_limit" {
  command = plan
  variables {
    limit = 0
  }
  expect_failures = [var.limit]
}

run "nobody_to_tell" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}

run "no_address" {
  command = plan
  variables {
    emails = ["platform"]
  }
  expect_failures = [var.emails]
}
