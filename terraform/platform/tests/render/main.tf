# Renders the exporter's chart with a golden file of platform/, and says what is in it: the chart's schema takes the values.

terraform {
  required_version = ">= 1.11"

  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
  }
}

variable "environment" {
  description = "Name of the golden file."
  type        = string
}

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

output "objects" {
  description = "KIND NAME of each object."
  value       = toset([for d in local.documents : "${d.kind} ${d.metadata.name}"])
}

output "services" {
  description = "Spec and annotations of each Service, by name."
  value       = { for d in local.documents : d.metadata.name => { spec = jsonencode(d.spec), annotations = try(d.metadata.annotations, {}) } if d.kind == "Service" }
}
