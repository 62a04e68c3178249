# Prometheus, Alertmanager and Grafana: kube-prometheus-stack with values for EKS.

locals {
  # Auto Mode has its own storage driver. Its DNS and kube-proxy cannot be scraped.
  auto = var.cluster.compute_mode == "auto"

  gp3 = {
    apiVersion           = "storage.k8s.io/v1"
    kind                 = "StorageClass"
    metadata             = { name = "gp3" }
    provisioner          = local.auto ? "ebs.csi.eks.amazonaws.com" : "ebs.csi.aws.com"
    parameters           = { type = "gp3", encrypted = "true" }
    volumeBindingMode    = "WaitForFirstConsumer"
    allowVolumeExpansion = true
    reclaimPolicy        = "Delete"
  }

  # Without Auto Mode, the add-on's configuration enables network policies.
  network_policy = {
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata   = { name = "amazon-vpc-cni", namespace = "kube-system" }
    data       = { enable-network-policy-controller = "true" }
  }

  volumes = { for owner, size in { prometheus = var.monitoring.volume_size, alertmanager = 2 } : owner => {
    volumeClaimTemplate = {
      spec = {
        storageClassName = "gp3"
        accessModes      = ["ReadWriteOnce"]
        resources        = { requests = { storage = "${size}Gi" } }
      }
    }
  } }

  volume_claim_retention = {
    whenDeleted = var.monitoring.keep_volumes ? "Retain" : "Delete"
    whenScaled  = "Retain"
  }

  monitoring_values = {
    # AWS runs these, and they cannot be scraped.
    kubeControllerManager = { enabled = false }
    kubeScheduler         = { enabled = false }
    kubeEtcd              = { enabled = false }
    kubeProxy             = { enabled = false }
    coreDns               = { enabled = !local.auto }

    defaultRules = {
      rules = {
        etcd                   = false
        kubeControllerManager  = false
        kubeProxy              = false
        kubeSchedulerAlerting  = false
        kubeSchedulerRecording = false
        windows                = false
      }
    }

    prometheus = {
      serviceAccount = { name = var.cluster.prometheus.service_account }
      # With several replicas, session affinity lets one replica answer all queries of a panel.
      service = { sessionAffinity = "ClientIP" }

      prometheusSpec = merge({
        replicas = var.monitoring.replicas
        # Select all ServiceMonitors and rules of the cluster.
        serviceMonitorSelectorNilUsesHelmValues = false
        podMonitorSelectorNilUsesHelmValues     = false
        probeSelectorNilUsesHelmValues          = false
        ruleSelectorNilUsesHelmValues           = false
        scrapeConfigSelectorNilUsesHelmValues   = false

        retention = var.monitoring.retention
        # A full disk stops Prometheus, so old samples are deleted first.
        retentionSize                        = "${floor(var.monitoring.volume_size * 0.85 * 1024)}MB"
        persistentVolumeClaimRetentionPolicy = local.volume_claim_retention
        storageSpec                          = local.volumes.prometheus
        resources                            = { requests = { cpu = "250m", memory = "1Gi" }, limits = { memory = "2Gi" } }
        externalLabels                       = { cluster = var.cluster.name, environment = var.environment }
        }, { for key, value in {
          # Amazon Managed Prometheus uses this label to deduplicate the samples of replicas.
          replicaExternalLabelName = "__replica__"
          remoteWrite = [{
            url           = var.cluster.remote_write_url
            sigv4         = { region = var.cluster.region }
            queueConfig   = { maxSamplesPerSend = 1000, maxShards = 200, capacity = 2500 }
            sendExemplars = false
            # Only series that are needed for longer than the cluster exists. All metrics of the cluster would cost about forty times as much.
            writeRelabelConfigs = [{ sourceLabels = ["__name__"], regex = ".*coingecko.*|ALERTS", action = "keep" }]
          }]
      } : key => value if var.cluster.remote_write_url != null })
    }

    alertmanager = {
      alertmanagerSpec = merge({
        replicas                             = var.monitoring.replicas
        persistentVolumeClaimRetentionPolicy = local.volume_claim_retention
        storage                              = local.volumes.alertmanager
        resources                            = { requests = { cpu = "10m", memory = "64Mi" }, limits = { memory = "128Mi" } }
        }, { for key, value in {
          useExistingSecret = true
          configSecret      = var.monitoring.alertmanager_secret
      } : key => value if var.monitoring.alertmanager_secret != null })
    }

    # Without adminPassword, the chart generates a password in the cluster and keeps it.
    grafana = {
      resources = { requests = { cpu = "50m", memory = "256Mi" }, limits = { memory = "512Mi" } }
      sidecar = {
        dashboards = {
          enabled          = true
          label            = "grafana_dashboard"
          labelValue       = "1"
          searchNamespace  = "ALL"
          folderAnnotation = "grafana_folder"
          provider         = { foldersFromFilesStructure = true }
        }
      }
      "grafana.ini" = {
        "auth.anonymous" = { enabled = false }
        analytics        = { reporting_enabled = false, check_for_updates = false, check_for_plugin_updates = false }
        users            = { allow_sign_up = false }
      }
    }

    prometheusOperator = {
      resources = { requests = { cpu = "20m", memory = "64Mi" }, limits = { memory = "256Mi" } }
    }
    kube-state-metrics = {
      resources = { requests = { cpu = "10m", memory = "64Mi" }, limits = { memory = "256Mi" } }
    }
    prometheus-node-exporter = {
      resources = { requests = { cpu = "10m", memory = "32Mi" }, limits = { memory = "64Mi" } }
    }

    extraManifests = [for manifest in [local.gp3, local.network_policy] : manifest if local.auto || manifest.kind != "ConfigMap"]
  }
}

resource "helm_release" "monitoring" {
  count = var.monitoring.install ? 1 : 0

  name             = "kube-prometheus-stack"
  namespace        = var.cluster.prometheus.namespace
  create_namespace = true
  repository       = var.chart_repositories.kube_prometheus_stack
  chart            = "kube-prometheus-stack"
  version          = var.monitoring.chart_version
  values           = [yamlencode(local.monitoring_values)]

  # A failed installation is removed; a failed upgrade is rolled back.
  atomic      = true
  timeout     = 900
  max_history = 5
}
