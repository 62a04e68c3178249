# What no environment has: every option of platform/ at once, for the golden files.

environment = "dev"

monitoring = {
  install             = true
  chart_version       = "88.5.3"
  replicas            = 2
  retention           = "30d"
  volume_size         = 50
  keep_volumes        = true
  alertmanager_secret = "alertmanager-routes"
  alerts_reach_nobody = false
}

exporter = {
  chart_version       = "0.1.0"
  image_tag           = "0.1.0"
  image_from_registry = true
  plan                = "pro"
  api_key_secret      = null
  secret_store        = "secrets-manager"
  relay               = { enabled = true, min_replicas = 2, max_replicas = 6 }
  wall                = { host = "wall.heycard.example", certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/11111111-2222-3333-4444-555555555555", viewer_cidrs = ["10.99.0.0/24", "10.98.0.0/24"] }
  values              = {}
}
