# The network and the cluster of one environment. ../platform contains the workloads of the cluster.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

locals {
  name     = "${var.name}-${var.environment}"
  boundary = var.permissions_boundary == null ? null : "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:policy/${var.permissions_boundary}"

  # Namespace and service account of kube-prometheus-stack's Prometheus, as in ../platform.
  prometheus = { namespace = "monitoring", service_account = "prometheus" }
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
  endpoint_public_access_cidrs           = distinct(concat(var.kubernetes.endpoint_public_access_cidrs, var.temporary_api_cidrs))
  endpoint_private_access_cidrs          = var.kubernetes.endpoint_private_access_cidrs
  admin_principal_arns                   = var.kubernetes.admin_principal_arns
  viewer_principal_arns                  = var.kubernetes.viewer_principal_arns
  planner_principal_arns                 = var.kubernetes.planner_principal_arns
  cloudwatch_log_group_retention_in_days = var.kubernetes.log_retention_in_days
  create_kms_key                         = var.kubernetes.create_kms_key
  permissions_boundary                   = local.boundary
}
