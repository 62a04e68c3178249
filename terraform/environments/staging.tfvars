# staging, a smaller production: Auto Mode, a demo key, one NAT gateway.

environment          = "staging"
region               = "eu-central-1"
tags                 = { Team = "e-commerce" }
permissions_boundary = "coingecko-exporter-staging-boundary"

network = {
  cidr                       = "10.21.0.0/16"
  azs                        = ["eu-central-1a", "eu-central-1b"]
  private_subnets            = ["10.21.0.0/20", "10.21.16.0/20"]
  public_subnets             = ["10.21.240.0/24", "10.21.241.0/24"]
  single_nat_gateway         = true
  interface_endpoints        = []
  flow_log_retention_in_days = 30
}

kubernetes = {
  version           = "1.36"
  service_ipv4_cidr = "172.20.0.0/16"
  compute_mode      = "auto"
  node_groups       = {}
  addons            = { metrics-server = "v0.8.1-eksbuild.10" }
  # Networks of the people and pipelines that use the Kubernetes API. Replace the example.
  endpoint_public_access_cidrs  = ["203.0.113.0/24"]
  endpoint_private_access_cidrs = []
  admin_principal_arns          = []
  viewer_principal_arns         = []
  planner_principal_arns        = []
  log_retention_in_days         = 30
  create_kms_key                = true
}

services = {
  managed_prometheus = false
  external_secrets   = false
}

budget = {
  limit         = 400
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
  image_from_registry = true
  plan                = "demo"
  api_key_secret      = "coingecko-api-key"
  secret_store        = null
  relay               = { enabled = true, min_replicas = 2, max_replicas = 4 }
  wall                = { host = "coingecko-wall.staging.heycard.example", certificate_arn = null, viewer_cidrs = ["10.99.0.0/24"] } # replace the example with your VPN or office
  values              = {}
}
