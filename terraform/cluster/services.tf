# AWS services beside the cluster: images, metrics that outlive it, the API key, and budgets.

locals {
  # All that the roles of the modules below may do.
  writes_metrics = { Effect = "Allow", Action = ["aps:RemoteWrite"], Resource = aws_prometheus_workspace.this[*].arn }
  reads_api_key  = { Effect = "Allow", Action = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], Resource = [aws_secretsmanager_secret.api_key.arn] }
}

# Tags are immutable, so a tag that was pushed never means another image.
resource "aws_ecr_repository" "exporter" {
  name                 = "${var.environment}/${var.name}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.environment != "production"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "AES256"
  }
}

resource "aws_ecr_lifecycle_policy" "exporter" {
  repository = aws_ecr_repository.exporter.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Untagged images after a week"
        selection = {
          tagStatus   = "untagged"
          countType   = "sinceImagePushed"
          countUnit   = "days"
          countNumber = 7
        }
        action = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "All but the newest 30"
        selection = {
          tagStatus   = "any"
          countType   = "imageCountMoreThan"
          countNumber = 30
        }
        action = { type = "expire" }
      },
    ]
  })
}

# Read from the provider's data, not from AWS.
data "aws_service" "prometheus" {
  service_id = "aps"
  region     = var.region
}

# Amazon Managed Prometheus.
resource "aws_prometheus_workspace" "this" {
  count = var.services.managed_prometheus ? 1 : 0

  alias = local.name

  lifecycle {
    precondition {
      condition     = data.aws_service.prometheus.supported
      error_message = "Amazon Managed Prometheus is not available in ${var.region}. Choose another region, or set services.managed_prometheus = false."
    }
  }
}

module "prometheus_writer" {
  source = "../modules/pod-identity"
  count  = var.services.managed_prometheus ? 1 : 0

  name                 = "${local.name}-remote-write"
  cluster_name         = module.eks.cluster_name
  cluster_arn          = module.eks.cluster_arn
  namespace            = local.prometheus.namespace
  service_account      = local.prometheus.service_account
  policies             = { remote-write = jsonencode({ Version = "2012-10-17", Statement = [local.writes_metrics] }) }
  permissions_boundary = local.boundary
}

# The secret without its value. A person sets the value, so it is in no plan and no state.
resource "aws_secretsmanager_secret" "api_key" {
  name                    = "${local.name}/coingecko-api-key"
  description             = "API key of CoinGecko's demo or pro plan"
  recovery_window_in_days = var.environment == "production" ? 7 : 0
}

module "api_key_reader" {
  source = "../modules/pod-identity"
  count  = var.services.external_secrets ? 1 : 0

  name         = "${local.name}-external-secrets"
  cluster_name = module.eks.cluster_name
  cluster_arn  = module.eks.cluster_arn
  # The defaults of the External Secrets Operator's chart.
  namespace            = "external-secrets"
  service_account      = "external-secrets"
  policies             = { read = jsonencode({ Version = "2012-10-17", Statement = [local.reads_api_key] }) }
  permissions_boundary = local.boundary
}

# One budget of the resources with the environment's tag, and one of the whole account, because resources that controllers in the
# cluster create (Auto Mode's nodes, volumes, load balancers) lack the tag.
resource "aws_budgets_budget" "this" {
  for_each = merge({ (local.name) = var.budget.limit }, { for limit in [var.budget.account_limit] : "${local.name}-account" => limit if limit != null })

  name         = each.key
  budget_type  = "COST"
  limit_amount = format("%.1f", each.value) # AWS's own format. Other formats show a change in each plan.
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "cost_filter" {
    for_each = each.key == local.name ? [format("user:Environment$%s", var.environment)] : []

    content {
      name   = "TagKeyValue"
      values = [cost_filter.value]
    }
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.budget.emails
    }
  }
}
