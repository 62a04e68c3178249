mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "shop-test/api-key"
  description = "A key"
}

run "nobody_reads" {
  command = plan

  assert {
    condition     = length(module.reader) == 0 && aws_secretsmanager_secret.this.recovery_window_in_days == 7
    error_message = "Without a reader there is no role; a deleted secret can be had back."
  }
}

run "one_reader" {
  command = apply

  variables {
    role_name = "shop-test-external-secrets"
    reader = {
      cluster_name    = "shop-test"
      cluster_arn     = "arn:aws:eks:eu-central-1:123456789012:cluster/shop-test"
      namespace       = "external-secrets"
      service_account = "external-secrets"
    }
  }

  assert {
    condition     = data.aws_iam_policy_document.read.statement[0].resources == toset([aws_secretsmanager_secret.this.arn])
    error_message = "The reader reads this secret, and no other."
  }
  assert {
    condition     = length(module.reader) == 1
    error_message = "The reader has no role."
  }
}

run "window_that_aws_refuses" {
  command = plan
  variables {
    recovery_window_in_days = 3
  }
  expect_failures = [var.recovery_window_in_days]
}
