# A secret without its value. A person sets the value, so it is in no plan and no state.

resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = var.description
  recovery_window_in_days = var.recovery_window_in_days
}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    resources = [aws_secretsmanager_secret.this.arn]
  }
}

module "reader" {
  source = "../pod-identity"
  count  = var.reader == null ? 0 : 1

  name                 = var.role_name
  cluster_name         = var.reader.cluster_name
  cluster_arn          = var.reader.cluster_arn
  namespace            = var.reader.namespace
  service_account      = var.reader.service_account
  policies             = { read = data.aws_iam_policy_document.read.json }
  permissions_boundary = var.permissions_boundary
}
