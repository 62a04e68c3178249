# Run with the settings of each environment: terraform test -filter=tests/environment.tftest.hcl -var-file=../environments/NAME.tfvars -var-file=tests/cluster.NAME.json
# terraform/test makes the other clusters from that of production.

mock_provider "helm" {}

run "releases" {
  command = apply

  variables {
    monitoring = merge(var.monitoring, { install = true })
  }

  assert {
    condition = { for r in [helm_release.monitoring[0], helm_release.exporter] : r.name => [r.namespace, r.repository, r.chart, r.version] } == {
      kube-prometheus-stack = ["monitoring", var.chart_repositories.kube_prometheus_stack, "kube-prometheus-stack", var.monitoring.chart_version]
      coingecko-exporter    = [var.namespace, var.chart_repositories.coingecko_exporter, "coingecko-exporter", var.exporter.chart_version]
    }
    error_message = "A chart is not what was pinned, or not under the name by which the exporter's chart looks for the stack."
  }
  assert {
    condition     = alltrue([for r in [helm_release.monitoring[0], helm_release.exporter] : r.atomic && r.create_namespace])
    error_message = "A release that fails must leave nothing half done."
  }
  # The golden files contain the locals. This checks that the releases use them.
  assert {
    condition     = helm_release.monitoring[0].values == tolist([yamlencode(local.monitoring_values)])
    error_message = "kube-prometheus-stack is installed with other values."
  }
  assert {
    condition     = helm_release.exporter.values == tolist([yamlencode(local.exporter_values), yamlencode(var.exporter.values)])
    error_message = "The exporter is installed with other values, or yours do not come last."
  }
  assert {
    condition     = output.wall_url == (var.exporter.wall.host == null ? "http://localhost:3000/" : "${var.exporter.wall.certificate_arn == null ? "http" : "https"}://${var.exporter.wall.host}/")
    error_message = "The wall's URL is not as the settings say."
  }
  # The wall uses the installed Prometheus, with the service account that can write to AWS.
  assert {
    condition     = local.exporter_values.wall.prometheusURL == "http://${helm_release.monitoring[0].name}-prometheus.${helm_release.monitoring[0].namespace}:9090"
    error_message = "The wall asks a Prometheus that is not there."
  }
  assert {
    condition     = local.monitoring_values.prometheus.serviceAccount.name == var.cluster.prometheus.service_account
    error_message = "Pod Identity is for another service account."
  }
}

run "another_operator_is_there" {
  command = plan

  variables {
    monitoring = merge(var.monitoring, { install = false })
  }

  assert {
    condition     = length(helm_release.monitoring) == 0
    error_message = "The stack was not wanted."
  }
}

run "charts_from_elsewhere" {
  command = plan

  variables {
    chart_repositories = { kube_prometheus_stack = "oci://registry.heycard.example/charts", coingecko_exporter = "../../charts" }
    exporter           = merge(var.exporter, { wall = { host = "wall.heycard.example", certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1", viewer_cidrs = ["10.99.0.0/24"] } })
  }

  assert {
    condition     = helm_release.monitoring[0].repository == "oci://registry.heycard.example/charts"
    error_message = "The mirror is not asked."
  }
  assert {
    condition     = helm_release.exporter.repository == null && helm_release.exporter.chart == "../../charts/coingecko-exporter"
    error_message = "The folder is not asked."
  }
  assert {
    condition     = output.wall_url == "https://wall.heycard.example/" && local.exporter_values.wall.service.port == 443 && local.exporter_values.wall.service.annotations["service.beta.kubernetes.io/aws-load-balancer-ssl-ports"] == "443"
    error_message = "With a certificate the wall is on HTTPS."
  }
}
