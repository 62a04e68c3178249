# Metrics that outlive the cluster.

locals {
  # All that the role may do.
  writes_metrics = { Effect = "Allow", Action = ["aps:RemoteWrite"], Resource = aws_prometheus_workspace.this[*].arn }
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
