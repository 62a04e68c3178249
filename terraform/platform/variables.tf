# All attributes of these objects are required, so a misspelt attribute is an error.

variable "environment" {
  description = "Environment: dev, staging or production."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment is ${var.environment}. Use dev, staging or production, with its file in environments/."
  }
}

variable "cluster" {
  description = "Output of cluster/. Run terraform -chdir=../cluster output -json platform > cluster.auto.tfvars.json"
  type = object({
    environment                = string
    region                     = string
    name                       = string
    endpoint                   = string
    certificate_authority_data = string
    compute_mode               = string
    image_repository           = string
    remote_write_url           = string
    prometheus                 = object({ namespace = string, service_account = string })
    api_key_secret             = string
  })
  nullable = false

  validation {
    condition     = var.cluster.environment == var.environment
    error_message = "The settings are those of ${var.environment}, but cluster.auto.tfvars.json is that of ${var.cluster.environment}. To write it again, run terraform -chdir=../cluster output -json platform > cluster.auto.tfvars.json"
  }
}

variable "kubeconfig" {
  description = "Path of a kubeconfig, for access that the AWS CLI does not provide, such as through a bastion, or for a cluster other than EKS."
  type        = string
  default     = null
}

variable "namespace" {
  description = "Namespace of the exporter."
  type        = string
  default     = "coingecko-exporter"
  nullable    = false
}

variable "chart_repositories" {
  description = "Chart repositories: OCI or HTTPS URLs, or folders."
  type = object({
    kube_prometheus_stack = optional(string, "oci://ghcr.io/prometheus-community/charts")
    coingecko_exporter    = optional(string, "oci://ghcr.io/heycard/charts")
  })
  default  = {}
  nullable = false
}

variable "monitoring" {
  description = "kube-prometheus-stack. Set install = false if the cluster already has a Prometheus Operator with the same namespace and name."
  type = object({
    install             = bool
    chart_version       = string
    replicas            = number
    retention           = string
    volume_size         = number # GiB
    keep_volumes        = bool
    alertmanager_secret = string
    alerts_reach_nobody = bool
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.monitoring.chart_version))
    error_message = "monitoring.chart_version is ${var.monitoring.chart_version}. Set a full version such as 88.5.3, so that all runs install the same chart."
  }

  validation {
    condition     = can(regex("^[0-9]+(d|w|y)$", var.monitoring.retention)) && var.monitoring.retention != "0d"
    error_message = "monitoring.retention is ${var.monitoring.retention}. Use days, weeks or years, such as 15d. Volatility alerts need at least seven days."
  }

  validation {
    condition     = var.monitoring.replicas >= 1 && var.monitoring.volume_size >= 5
    error_message = "monitoring.replicas is ${var.monitoring.replicas} and monitoring.volume_size is ${var.monitoring.volume_size}. Set at least one replica and at least 5 GiB."
  }

  validation {
    condition     = var.environment != "production" || !var.monitoring.install || var.monitoring.alertmanager_secret != null || var.monitoring.alerts_reach_nobody
    error_message = "monitoring.alertmanager_secret is null in production, so alerts have no receiver. Create a Secret with alertmanager.yaml in the namespace monitoring and set its name (step 6 of terraform/README.md), or set monitoring.alerts_reach_nobody = true to accept this."
  }

  validation {
    condition     = var.environment != "production" || var.monitoring.keep_volumes
    error_message = "monitoring.keep_volumes is false in production, so uninstalling the stack would delete all samples. Set it to true."
  }
}

variable "exporter" {
  description = "The exporter. api_key_secret: name of the Secret with the API key of a demo or pro plan. secret_store: ClusterSecretStore of the External Secrets Operator that creates this Secret from Secrets Manager. values: additional values of the chart."
  type = object({
    chart_version       = string
    image_tag           = string
    image_from_registry = bool
    plan                = string
    api_key_secret      = string
    secret_store        = string
    relay               = object({ enabled = bool, min_replicas = number, max_replicas = number })
    wall                = object({ host = string, certificate_arn = string, viewer_cidrs = list(string) })
    values              = any
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?$", var.exporter.chart_version))
    error_message = "exporter.chart_version is ${var.exporter.chart_version}. Set a full version such as 0.1.0."
  }

  validation {
    condition     = !contains(["latest", "main", "master", "edge"], coalesce(var.exporter.image_tag, "none"))
    error_message = "exporter.image_tag is ${coalesce(var.exporter.image_tag, "none")}, which is not a fixed version and cannot be rolled back. Use a version such as 0.1.0, or null for the chart's default."
  }

  validation {
    condition     = contains(["keyless", "demo", "pro"], var.exporter.plan)
    error_message = "exporter.plan is ${var.exporter.plan}. Use keyless, demo or pro."
  }

  validation {
    condition     = (var.exporter.plan == "keyless") == (var.exporter.api_key_secret == null && var.exporter.secret_store == null)
    error_message = "exporter.plan is ${var.exporter.plan}. For demo or pro, set exporter.api_key_secret to a Secret or exporter.secret_store to a ClusterSecretStore. For keyless, set both to null."
  }

  validation {
    condition     = var.exporter.api_key_secret == null || var.exporter.secret_store == null
    error_message = "exporter.api_key_secret and exporter.secret_store are both set. Set one of them to null."
  }

  validation {
    condition     = var.exporter.relay.min_replicas >= 2 && var.exporter.relay.max_replicas >= var.exporter.relay.min_replicas
    error_message = "exporter.relay has ${var.exporter.relay.min_replicas} to ${var.exporter.relay.max_replicas} replicas. Set min_replicas to at least two, so that one serves while the other moves, and max_replicas to no less than min_replicas."
  }

  validation {
    condition     = var.exporter.wall.host != null || var.exporter.wall.certificate_arn == null
    error_message = "exporter.wall.certificate_arn is set without exporter.wall.host. Set exporter.wall.host to the name in the certificate."
  }

  validation {
    condition     = (var.exporter.wall.host != null) == (length(var.exporter.wall.viewer_cidrs) > 0)
    error_message = "exporter.wall.viewer_cidrs has ${length(var.exporter.wall.viewer_cidrs)} networks, and exporter.wall.host is ${coalesce(var.exporter.wall.host, "not set")}. With a host, set the networks that can reach the wall, such as [\"10.99.0.0/24\"]. Without a host, the wall is reached through port forwarding: set no networks."
  }

  validation {
    condition     = alltrue([for cidr in var.exporter.wall.viewer_cidrs : can(cidrnetmask(cidr))])
    error_message = "exporter.wall.viewer_cidrs has invalid IPv4 networks: ${join(", ", [for cidr in var.exporter.wall.viewer_cidrs : cidr if !can(cidrnetmask(cidr))])}. Use the first address and prefix length, such as 10.99.0.0/24."
  }
}
