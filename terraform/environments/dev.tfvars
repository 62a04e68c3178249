# dev, for experiments: one NAT gateway, two zones, spot nodes, the keyless plan.

environment          = "dev"
region               = "eu-central-1"
tags                 = { Team = "e-commerce" }
permissions_boundary = "coingecko-exporter-dev-boundary"

network = {
  cidr                       = "10.20.0.0/16"
  azs                        = ["eu-central-1a", "eu-central-1b"]
  private_subnets            = ["10.20.0.0/20", "10.20.16.0/20"]
  public_subnets             = ["10.20.240.0/24", "10.20.241.0/24"]
  single_nat_gateway         = true
  interface_endpoints        = []
  flow_log_retention_in_days = 7
}

kubernetes = {
  version           = "1.36"
  service_ipv4_cidr = "172.20.0.0/16"
  compute_mode      = "managed"
  node_groups = {
    general = {
      # Several types with two CPUs, so that spot capacity is easier to find. T types bill CPU time beyond their baseline.
      instance_types = ["m6g.large", "m7g.large", "r6g.large"]
      capacity_type  = "SPOT"
      min_size       = 2
      max_size       = 4
      disk_size      = 30
      labels         = {}
    }
  }
  addons = {
    vpc-cni                = "v1.22.4-eksbuild.3"
    kube-proxy             = "v1.36.0-eksbuild.21"
    coredns                = "v1.14.3-eksbuild.16"
    eks-pod-identity-agent = "v1.3.10-eksbuild.3"
    aws-ebs-csi-driver     = "v1.63.1-eksbuild.1"
    metrics-server         = "v0.8.1-eksbuild.10"
  }
  # Networks of the people and pipelines that use the Kubernetes API. Replace the example.
  endpoint_public_access_cidrs  = ["203.0.113.0/24"]
  endpoint_private_access_cidrs = []
  admin_principal_arns          = []
  viewer_principal_arns         = []
  planner_principal_arns        = []
  log_retention_in_days         = 7
  create_kms_key                = false
}

services = {
  managed_prometheus = false
  external_secrets   = false
}

budget = {
  limit         = 300
  account_limit = 1800 # all environments in the account
  emails        = ["e-commerce@heycard.example"]
}

monitoring = {
  install             = true
  chart_version       = "88.5.3"
  replicas            = 1
  retention           = "15d"
  volume_size         = 20
  keep_volumes        = false
  alertmanager_secret = null
  alerts_reach_nobody = true
}

exporter = {
  chart_version       = "0.1.0"
  image_tag           = null
  image_from_registry = false
  plan                = "keyless"
  api_key_secret      = null
  secret_store        = null
  relay               = { enabled = false, min_replicas = 2, max_replicas = 2 }
  wall                = { host = null, certificate_arn = null, viewer_cidrs = [] }
  values              = {}
}
