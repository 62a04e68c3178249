# All AWS resources of one environment. ../platform contains the workloads of the cluster.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

locals {
  name     = "${var.name}-${var.environment}"
  boundary = var.permissions_boundary == null ? null : "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:policy/${var.permissions_boundary}"

  # Namespace and service account of kube-prometheus-stack's Prometheus, as in ../platform.
  prometheus = { namespace = "monitoring", service_account = "prometheus" }
  # The defaults of the External Secrets Operator's chart.
  external_secrets = { namespace = "external-secrets", service_account = "external-secrets" }
}

module "network" {
  source = "../modules/network"

  name                       = local.name
  cidr                       = var.network.cidr
  azs                        = var.network.azs
  private_subnets            = var.network.private_subnets
  public_subnets             = var.network.public_subnets
  single_nat_gateway         = var.network.single_nat_gateway
  interface_endpoints        = var.network.interface_endpoints
  flow_log_retention_in_days = var.network.flow_log_retention_in_days
  permissions_boundary       = local.boundary
}

module "eks" {
  source = "../modules/eks"

  name                                   = local.name
  kubernetes_version                     = var.kubernetes.version
  subnet_ids                             = module.network.private_subnets
  service_ipv4_cidr                      = var.kubernetes.service_ipv4_cidr
  addons                                 = var.kubernetes.addons
  compute_mode                           = var.kubernetes.compute_mode
  node_groups                            = var.kubernetes.node_groups
  endpoint_public_access                 = var.kubernetes.endpoint_public_access || length(var.temporary_api_cidrs) > 0
  endpoint_public_access_cidrs           = distinct(concat(var.kubernetes.endpoint_public_access_cidrs, var.temporary_api_cidrs))
  endpoint_private_access_cidrs          = var.kubernetes.endpoint_private_access_cidrs
  admin_principal_arns                   = var.kubernetes.admin_principal_arns
  viewer_principal_arns                  = var.kubernetes.viewer_principal_arns
  planner_principal_arns                 = var.kubernetes.planner_principal_arns
  cloudwatch_log_group_retention_in_days = var.kubernetes.log_retention_in_days
  create_kms_key                         = var.kubernetes.create_kms_key
  permissions_boundary                   = local.boundary
}

module "registry" {
  source = "../modules/registry"

  repositories = ["${var.environment}/${var.name}"]
  force_delete = var.environment != "production"
}

module "metrics" {
  source = "../modules/metrics"
  count  = var.services.managed_prometheus ? 1 : 0

  name                 = local.name
  cluster_name         = module.eks.cluster_name
  cluster_arn          = module.eks.cluster_arn
  namespace            = local.prometheus.namespace
  service_account      = local.prometheus.service_account
  permissions_boundary = local.boundary
}

module "api_key" {
  source = "../modules/secret"

  name                    = "${local.name}/coingecko-api-key"
  description             = "API key of CoinGecko's demo or pro plan"
  recovery_window_in_days = var.environment == "production" ? 7 : 0
  role_name               = "${local.name}-external-secrets"
  permissions_boundary    = local.boundary
  reader = var.services.external_secrets ? merge(local.external_secrets, {
    cluster_name = module.eks.cluster_name
    cluster_arn  = module.eks.cluster_arn
  }) : null
}

module "budget" {
  source = "../modules/budget"

  name          = local.name
  limit         = var.budget.limit
  account_limit = var.budget.account_limit
  emails        = var.budget.emails
  tag           = { key = "Environment", value = var.environment }
}
