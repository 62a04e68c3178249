# Production in small: Auto Mode, a demo key, one NAT gateway.

environment          = "staging"
region               = "eu-central-1"
tags                 = { Team = "e-commerce" }
permissions_boundary = null

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
  # From here people and pipelines reach the Kubernetes API: your own networks instead of this example.
  endpoint_public_access        = true
  endpoint_public_access_cidrs  = ["203.0.113.0/24"]
  endpoint_private_access_cidrs = []
  admin_principal_arns          = []
  viewer_principal_arns         = []
  log_retention_in_days         = 30
  create_kms_key                = true
}

services = {
  managed_prometheus = false
  external_secrets   = true
}

budget = {
  limit  = 400
  emails = ["e-commerce@heycard.example"]
}
