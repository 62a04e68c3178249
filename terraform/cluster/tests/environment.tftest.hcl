# Run with the settings of each environment: terraform test -filter=tests/environment.tftest.hcl -var-file=../environments/NAME.tfvars

mock_provider "aws" {
  source = "../mocks"
}

variables {
  permissions_boundary = "coingecko-exporter-boundary"
}

run "as_the_settings_say" {
  command = apply

  assert {
    condition     = output.platform.cluster.name == "coingecko-exporter-${var.environment}" && output.platform.cluster.environment == var.environment
    error_message = "Names begin with the project and the environment."
  }
  assert {
    condition     = length(module.network.nat_public_ips) == (var.network.single_nat_gateway ? 1 : length(var.network.azs))
    error_message = "The number of NAT gateways is not as the settings say."
  }
  assert {
    condition     = output.platform.cluster.remote_write_url == (var.services.managed_prometheus ? "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write" : null)
    error_message = "Managed Prometheus is there if and only if it was asked for. Its endpoint ends with a slash already."
  }
  assert {
    condition     = local.writes_metrics == { Effect = "Allow", Action = ["aps:RemoteWrite"], Resource = aws_prometheus_workspace.this[*].arn }
    error_message = "Prometheus may write into this workspace, and nothing else."
  }
  assert {
    condition     = aws_ecr_repository.exporter.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.exporter.image_scanning_configuration[0].scan_on_push
    error_message = "A tag that was pushed must never mean another image. Each push is scanned."
  }
  assert {
    condition     = [for r in jsondecode(aws_ecr_lifecycle_policy.exporter.policy).rules : r.selection.countNumber] == [7, 30]
    error_message = "Untagged images go after 7 days, tagged ones beyond 30."
  }
  assert {
    condition     = aws_ecr_repository.exporter.force_delete == (var.environment != "production") && aws_secretsmanager_secret.api_key.recovery_window_in_days == (var.environment == "production" ? 7 : 0)
    error_message = "Production's images are not deleted unasked, and its secret can be had back."
  }
  assert {
    condition     = local.reads_api_key.Resource == [aws_secretsmanager_secret.api_key.arn] && length(module.api_key_reader) == (var.services.external_secrets ? 1 : 0)
    error_message = "The reader is there if and only if it was asked for. It reads this secret, and no other."
  }
  assert {
    condition = { for name, budget in aws_budgets_budget.this : name => flatten([for filter in budget.cost_filter : tolist(filter.values)]) } == merge(
      { "coingecko-exporter-${var.environment}" = [format("user:Environment$%s", var.environment)] },
      { for limit in [var.budget.account_limit] : "coingecko-exporter-${var.environment}-account" => [] if limit != null },
    )
    error_message = "The budget counts what carries the tag, in AWS's notation user:KEY$VALUE. The account's budget counts everything."
  }
  assert {
    condition     = alltrue([for budget in aws_budgets_budget.this : can(regex("^[0-9]+\\.[0-9]$", budget.limit_amount)) && toset([for n in budget.notification : "${n.notification_type} ${n.threshold}"]) == toset(["ACTUAL 80", "FORECASTED 100"])])
    error_message = "People are told at 80 % spent, and when the forecast passes the limit."
  }
  assert {
    condition     = local.boundary == "arn:aws:iam::123456789012:policy/coingecko-exporter-boundary"
    error_message = "The boundary's name becomes its ARN in this account."
  }
  assert {
    condition     = keys(output.platform) == ["cluster"]
    error_message = "The output is a file of settings for platform/, and has its variable's name."
  }
  assert {
    condition     = var.environment != "production" || (length(var.network.azs) >= 3 && var.kubernetes.create_kms_key && var.services.managed_prometheus)
    error_message = "Production spans three zones, has a key of its own, and keeps samples outside of the cluster."
  }
  assert {
    condition     = can(regex("^[a-z-]+$", var.tags["Team"]))
    error_message = "Somebody answers for each environment."
  }
}

run "opened_for_a_first_apply" {
  command = plan

  variables {
    temporary_api_cidrs = ["198.51.100.7/32"]
    services            = merge(var.services, { external_secrets = true })
  }

  assert {
    condition     = module.eks.endpoint_public_access_cidrs == toset(concat(var.kubernetes.endpoint_public_access_cidrs, ["198.51.100.7/32"]))
    error_message = "The API is open to the given networks and to those of the settings, and to nobody else."
  }
  assert {
    condition     = length(module.api_key_reader) == 1
    error_message = "The reader of the API key has no role."
  }
}
