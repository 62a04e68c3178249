# Renders the exporter's chart with a golden file of platform/, and says what is in it: the chart's schema takes the values.

data "helm_template" "exporter" {
  name         = "coingecko-exporter"
  namespace    = "coingecko-exporter"
  chart        = "${path.module}/../../../../charts/coingecko-exporter"
  values       = [file("${path.module}/../golden/${var.environment}.exporter.yaml")]
  kube_version = "1.36.0"
  api_versions = ["monitoring.coreos.com/v1"]
}

locals {
  documents = [for d in flatten([for m in data.helm_template.exporter.manifests : split("\n---", "\n${m}")]) : yamldecode(d) if try(yamldecode(d).kind, "") != ""]
}
