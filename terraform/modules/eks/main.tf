# The control plane: logs, KMS key, role, and access.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

# Resolves a role session to its role.
data "aws_iam_session_context" "current" {
  arn = data.aws_caller_identity.current.arn
}

locals {
  # From https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html in November 2026. Extended support, at six times
  # the price, begins on these days.
  end_of_standard_support = {
    "1.34" = "2026-12-02T00:00:00Z"
    "1.35" = "2027-03-27T00:00:00Z"
    "1.36" = "2027-08-02T00:00:00Z"
  }

  auto   = var.compute_mode == "auto"
  iam    = "arn:${data.aws_partition.current.partition}:iam::aws:policy"
  access = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy"

  # Auto Mode includes network, DNS, storage and Pod Identity.
  addons = toset(concat(["metrics-server"], local.auto ? [] : [
    "vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "aws-ebs-csi-driver",
  ]))

  entries = merge(
    { for arn in var.admin_principal_arns : arn => "${local.access}/AmazonEKSClusterAdminPolicy" },
    { for arn in var.viewer_principal_arns : arn => "${local.access}/AmazonEKSViewPolicy" },
    { for arn in var.planner_principal_arns : arn => "${local.access}/AmazonEKSAdminViewPolicy" },
  )
}

resource "aws_iam_role" "cluster" {
  name                 = "${var.name}-cluster"
  description          = "Control plane of ${var.name}"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Action    = local.auto ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"]
    Principal = { Service = "eks.amazonaws.com" }
  }] })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  for_each = toset(concat(["AmazonEKSClusterPolicy"], local.auto ? [
    "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
  ] : []))

  role       = aws_iam_role.cluster.name
  policy_arn = "${local.iam}/${each.key}"
}

resource "aws_kms_key" "this" {
  count = var.create_kms_key ? 1 : 0

  description             = "Secrets and control plane logs of the EKS cluster ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    {
      Sid       = "Administration"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    },
    {
      Sid       = "Logs"
      Effect    = "Allow"
      Principal = { Service = "logs.${data.aws_region.current.id}.amazonaws.com" }
      Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
      Resource  = "*"
      Condition = { ArnEquals = {
        "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:log-group:/aws/eks/${var.name}/cluster"
      } }
    },
  ] })
}

resource "aws_kms_alias" "this" {
  count = var.create_kms_key ? 1 : 0

  name          = "alias/eks/${var.name}"
  target_key_id = aws_kms_key.this[0].key_id
}

# If EKS creates this group itself, it never expires logs.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = one(aws_kms_key.this[*].arn)
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  version                       = var.kubernetes_version
  role_arn                      = aws_iam_role.cluster.arn
  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  bootstrap_self_managed_addons = false

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.endpoint_public_access_cidrs) > 0
    public_access_cidrs     = length(var.endpoint_public_access_cidrs) > 0 ? var.endpoint_public_access_cidrs : null
  }

  kubernetes_network_config {
    service_ipv4_cidr = var.service_ipv4_cidr

    elastic_load_balancing {
      enabled = local.auto
    }
  }

  compute_config {
    enabled       = local.auto
    node_pools    = local.auto ? ["general-purpose", "system"] : null
    node_role_arn = local.auto ? aws_iam_role.node.arn : null
  }

  storage_config {
    block_storage {
      enabled = local.auto
    }
  }

  # The provider's defaults are 30 and 15 minutes. After a timeout, the next apply finds a cluster that it does not know.
  timeouts {
    create = "60m"
    delete = "30m"
  }

  # At the end of standard support, AWS upgrades the cluster instead of charging for extended support.
  upgrade_policy {
    support_type = "STANDARD"
  }

  # Zonal shift moves traffic away from an impaired zone. It is free.
  zonal_shift_config {
    enabled = true
  }

  dynamic "encryption_config" {
    for_each = aws_kms_key.this

    content {
      resources = ["secrets"]

      provider {
        key_arn = encryption_config.value.arn
      }
    }
  }

  depends_on = [aws_iam_role_policy_attachment.cluster, aws_cloudwatch_log_group.this]
}

# A warning, not an error: AWS upgrades the cluster on that day, and other changes must still be possible.
check "support" {
  assert {
    condition     = timecmp(local.end_of_standard_support[var.kubernetes_version], timeadd(plantimestamp(), "1440h")) > 0
    error_message = "Kubernetes ${var.kubernetes_version} leaves standard support of EKS on ${substr(local.end_of_standard_support[var.kubernetes_version], 0, 10)}, and AWS upgrades the cluster then. Before that day, raise kubernetes_version by one minor version. After it, set the version that `aws eks describe-cluster` prints."
  }
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  for_each = var.endpoint_private_access_cidrs

  security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  description       = "Kubernetes API"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_eks_access_entry" "this" {
  for_each = local.entries

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
}

# Without admin_principal_arns, the principal that created the cluster is its administrator, and remains so if others run Terraform later.
resource "aws_eks_access_entry" "creator" {
  count = length(var.admin_principal_arns) == 0 ? 1 : 0

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = data.aws_iam_session_context.current.issuer_arn

  lifecycle {
    ignore_changes = [principal_arn]
  }
}

resource "aws_eks_access_policy_association" "this" {
  for_each = merge(local.entries, { for entry in aws_eks_access_entry.creator : "creator" => "${local.access}/AmazonEKSClusterAdminPolicy" })

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key == "creator" ? aws_eks_access_entry.creator[0].principal_arn : aws_eks_access_entry.this[each.key].principal_arn
  policy_arn    = each.value

  access_scope {
    type = "cluster"
  }
}
