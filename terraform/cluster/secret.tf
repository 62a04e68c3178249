# CoinGecko's API key.

locals {
  # All that the role may do.
  reads_api_key = { Effect = "Allow", Action = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], Resource = [aws_secretsmanager_secret.api_key.arn] }
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
