# An Amazon Managed Prometheus workspace, and a role for one Prometheus that writes to it.

data "aws_region" "current" {}

# Read from the provider's data, not from AWS.
data "aws_service" "this" {
  service_id = "aps"
  region     = data.aws_region.current.id
}

resource "aws_prometheus_workspace" "this" {
  alias = var.name

  lifecycle {
    precondition {
      condition     = data.aws_service.this.supported
      error_message = "Amazon Managed Prometheus is not available in ${data.aws_region.current.id}. Choose another region, or set services.managed_prometheus = false."
    }
  }
}

data "aws_iam_policy_document" "write" {
  statement {
    actions   = ["aps:RemoteWrite"]
    resources = [aws_prometheus_workspace.this.arn]
  }
}

module "writer" {
  source = "../pod-identity"

  name                 = "${var.name}-remote-write"
  cluster_name         = var.cluster_name
  cluster_arn          = var.cluster_arn
  namespace            = var.namespace
  service_account      = var.service_account
  policies             = { remote-write = data.aws_iam_policy_document.write.json }
  permissions_boundary = var.permissions_boundary
}
