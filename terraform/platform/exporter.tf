# The exporter: poller, relays, alerts, dashboards and the wall.

locals {
  # A local folder contains one version of the chart, and has no repository URL.
  exporter_in_folder = !can(regex("^(oci|https)://", var.chart_repositories.coingecko_exporter))

  prometheus_url = "http://kube-prometheus-stack-prometheus.${var.cluster.prometheus.namespace}:9090"

  wall = var.exporter.wall.host != null
  tls  = var.exporter.wall.certificate_arn != null

  # An internal load balancer. Auto Mode's controller and the cloud controller of other EKS clusters read different annotations.
  # externalTrafficPolicy Local keeps the viewers' addresses, so that the network policy can distinguish them from other pods.
  wall_annotations = { for key, value in {
    scheme          = local.auto ? "internal" : null
    nlb-target-type = local.auto ? "instance" : null # with "ip", the wall would see the load balancer's addresses
    type            = local.auto ? null : "nlb"
    internal        = local.auto ? null : "true"
    ssl-cert        = var.exporter.wall.certificate_arn
    ssl-ports       = local.tls ? "443" : null
  } : "service.beta.kubernetes.io/aws-load-balancer-${key}" => value if value != null }

  exporter_values = {
    image = merge(
      { for key, value in { registry = "", repository = var.cluster.image_repository } : key => value if var.exporter.image_from_registry },
      { for key, value in { tag = var.exporter.image_tag } : key => value if value != null },
    )

    coingecko = {
      plan = var.exporter.plan
      apiKey = merge(
        { for key, value in { existingSecret = { name = var.exporter.api_key_secret } } : key => value if value.name != null },
        { for key, value in { externalSecret = {
          enabled        = true
          secretStoreRef = { name = var.exporter.secret_store }
          remoteRef      = { key = var.cluster.api_key_secret }
        } } : key => value if value.secretStoreRef.name != null },
      )
    }

    relay = {
      enabled  = var.exporter.relay.enabled
      replicas = var.exporter.relay.min_replicas
      autoscaling = {
        enabled     = var.exporter.relay.enabled
        minReplicas = var.exporter.relay.min_replicas
        maxReplicas = var.exporter.relay.max_replicas
      }
      podDisruptionBudget = { enabled = true }
    }

    # Nothing outside the cluster can reach the exporter, and only viewer_cidrs can reach the wall.
    networkPolicy = {
      enabled            = true
      ingressControllers = []
      viewers            = [for cidr in var.exporter.wall.viewer_cidrs : { ipBlock = { cidr = cidr } }]
    }

    serviceMonitor = { enabled = true }
    prometheusRule = { enabled = true }
    dashboards     = { enabled = true }
    log            = { format = "json" }

    history = { prometheusURL = local.prometheus_url }

    wall = {
      enabled       = true
      prometheusURL = local.prometheus_url
      rootURL       = local.wall ? "${local.tls ? "https" : "http"}://${var.exporter.wall.host}/" : ""
      service = merge({
        type        = local.wall ? "LoadBalancer" : "ClusterIP"
        port        = local.wall ? (local.tls ? 443 : 80) : 3000
        annotations = { for key, value in local.wall_annotations : key => value if local.wall }
        }, { for key, value in {
          loadBalancerSourceRanges = var.exporter.wall.viewer_cidrs
          externalTrafficPolicy    = "Local"
      } : key => value if local.wall })
    }
  }
}

resource "helm_release" "exporter" {
  name             = "coingecko-exporter"
  namespace        = var.namespace
  create_namespace = true
  repository       = local.exporter_in_folder ? null : var.chart_repositories.coingecko_exporter
  chart            = local.exporter_in_folder ? "${var.chart_repositories.coingecko_exporter}/coingecko-exporter" : "coingecko-exporter"
  version          = var.exporter.chart_version
  values           = [yamlencode(local.exporter_values), yamlencode(var.exporter.values)]

  # A failed installation is removed; a failed upgrade is rolled back.
  atomic      = true
  timeout     = 600
  max_history = 5

  # ServiceMonitor and rules need the operator's API.
  depends_on = [helm_release.monitoring]
}
