# production: three independent zones, a private Kubernetes API, the pro plan, and samples that outlive the cluster.

environment          = "production"
region               = "eu-central-1"
tags                 = { Team = "e-commerce" }
permissions_boundary = "coingecko-exporter-production-boundary"

network = {
  cidr                       = "10.22.0.0/16"
  azs                        = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  private_subnets            = ["10.22.0.0/20", "10.22.16.0/20", "10.22.32.0/20"]
  public_subnets             = ["10.22.240.0/24", "10.22.241.0/24", "10.22.242.0/24"]
  single_nat_gateway         = false
  interface_endpoints        = ["ecr.api", "ecr.dkr", "sts", "eks-auth"]
  flow_log_retention_in_days = 90
}

kubernetes = {
  version                      = "1.36"
  service_ipv4_cidr            = "172.20.0.0/16"
  compute_mode                 = "auto"
  node_groups                  = {}
  addons                       = { metrics-server = "v0.8.1-eksbuild.10" }
  endpoint_public_access_cidrs = []
  # Networks of the people and pipelines that use the Kubernetes API. Replace the example with your VPN and your runners.
  endpoint_private_access_cidrs = ["10.99.0.0/24"]
  admin_principal_arns          = []
  viewer_principal_arns         = []
  planner_principal_arns        = []
  log_retention_in_days         = 365
  create_kms_key                = true
}

services = {
  managed_prometheus = true
  external_secrets   = false
}

budget = {
  limit         = 900
  account_limit = 1800 # all environments in the account
  emails        = ["e-commerce@heycard.example"]
}

monitoring = {
  install             = true
  chart_version       = "88.5.3"
  replicas            = 2
  retention           = "30d"
  volume_size         = 50
  keep_volumes        = true
  alertmanager_secret = "alertmanager-routes" # receivers of alerts: created in step 6 of README.md
  alerts_reach_nobody = false
}

exporter = {
  chart_version       = "0.1.0"
  image_tag           = null
  image_from_registry = true
  plan                = "pro"
  api_key_secret      = "coingecko-api-key"
  secret_store        = null
  relay               = { enabled = true, min_replicas = 3, max_replicas = 6 }
  wall                = { host = "coingecko-wall.heycard.example", certificate_arn = null, viewer_cidrs = ["10.99.0.0/24"] } # replace the example with your VPN or office
  values              = {}
}
