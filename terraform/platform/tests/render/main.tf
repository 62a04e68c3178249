# Renders the exporter's chart with the golden files of platform/: the chart's schema takes the values.

data "helm_template" "exporter" {
  for_each = var.goldens

  name         = "coingecko-exporter"
  namespace    = "coingecko-exporter"
  chart        = "${path.module}/../../../../charts/coingecko-exporter"
  values       = [file("${path.module}/../golden/${each.key}.exporter.yaml")]
  kube_version = "1.36.0"
  api_versions = ["monitoring.coreos.com/v1"]
}

locals {
  documents = { for golden, chart in data.helm_template.exporter : golden => [
    for d in flatten([for m in chart.manifests : split("\n---", "\n${m}")]) : yamldecode(d) if try(yamldecode(d).kind, "") != ""
  ] }
}
