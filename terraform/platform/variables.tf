# Every attribute of these objects has to be given: a misspelt one is missing, and that is an error.

variable "environment" {
  description = "dev, staging or production."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment is ${var.environment}. There are dev, staging and production, each with its file in environments/."
  }
}

variable "cluster" {
  description = "What cluster/ says of itself: terraform -chdir=../cluster output -json platform > cluster.auto.tfvars.json"
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
    error_message = "These are settings of ${var.environment}, and cluster.auto.tfvars.json is of ${var.cluster.environment}. Write it anew: terraform -chdir=../cluster output -json platform > cluster.auto.tfvars.json"
  }
}

variable "kubeconfig" {
  description = "File to reach the Kubernetes API by, where the AWS command line cannot: a bastion, or a cluster that is not EKS."
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
  description = "Where the charts come from: an OCI or HTTPS address, or a folder."
  type = object({
    kube_prometheus_stack = optional(string, "oci://ghcr.io/prometheus-community/charts")
    coingecko_exporter    = optional(string, "oci://ghcr.io/heycard/charts")
  })
  default  = {}
  nullable = false
}

variable "monitoring" {
  description = "kube-prometheus-stack. install = false is for a cluster that has a Prometheus operator already, in the namespace and under the name that it would have here."
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
    error_message = "monitoring.chart_version is ${var.monitoring.chart_version}. Pin the chart to a full version such as 88.5.3, so that each run installs the same."
  }

  validation {
    condition     = can(regex("^[0-9]+(d|w|y)$", var.monitoring.retention)) && var.monitoring.retention != "0d"
    error_message = "monitoring.retention is ${var.monitoring.retention}. Use days, weeks or years, such as 15d. Alerts on volatility look back seven days."
  }

  validation {
    condition     = var.monitoring.replicas >= 1 && var.monitoring.volume_size >= 5
    error_message = "monitoring.replicas is ${var.monitoring.replicas} and monitoring.volume_size is ${var.monitoring.volume_size}. There is at least one Prometheus, with at least 5 GiB."
  }

  validation {
    condition     = var.environment != "production" || !var.monitoring.install || var.monitoring.alertmanager_secret != null || var.monitoring.alerts_reach_nobody
    error_message = "monitoring.alertmanager_secret is null in production, so nobody would be told of any alert. Make a Secret with alertmanager.yaml in the namespace monitoring and name it there (step 6 of terraform/README.md), or say that you want it so: monitoring.alerts_reach_nobody = true."
  }

  validation {
    condition     = var.environment != "production" || var.monitoring.keep_volumes
    error_message = "monitoring.keep_volumes is false in production, so uninstalling the stack would delete all samples. Set it to true."
  }
}

variable "exporter" {
  description = "The exporter. api_key_secret names the Secret that holds the key of a demo or pro plan; secret_store, a ClusterSecretStore of the External Secrets Operator that makes it from Secrets Manager. values is for further values of the chart."
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
    error_message = "exporter.chart_version is ${var.exporter.chart_version}. Pin the chart to a full version such as 0.1.0."
  }

  validation {
    condition     = !contains(["latest", "main", "master", "edge"], coalesce(var.exporter.image_tag, "none"))
    error_message = "exporter.image_tag is ${coalesce(var.exporter.image_tag, "none")}, which means another image every day, and nothing to roll back to. Use a version such as 0.1.0, or null for the chart's own."
  }

  validation {
    condition     = contains(["keyless", "demo", "pro"], var.exporter.plan)
    error_message = "exporter.plan is ${var.exporter.plan}. CoinGecko's plans are keyless, demo and pro."
  }

  validation {
    condition     = (var.exporter.plan == "keyless") == (var.exporter.api_key_secret == null && var.exporter.secret_store == null)
    error_message = "exporter.plan is ${var.exporter.plan}. A demo or pro plan needs the key: name a Secret in exporter.api_key_secret, or a ClusterSecretStore in exporter.secret_store. The keyless plan has no key."
  }

  validation {
    condition     = var.exporter.api_key_secret == null || var.exporter.secret_store == null
    error_message = "exporter.api_key_secret and exporter.secret_store are both set. The key comes from one of them; set the other to null."
  }

  validation {
    condition     = var.exporter.relay.min_replicas >= 2 && var.exporter.relay.max_replicas >= var.exporter.relay.min_replicas
    error_message = "exporter.relay has ${var.exporter.relay.min_replicas} to ${var.exporter.relay.max_replicas} replicas. Two at least, so that one is there while the other moves, and no fewer at most."
  }

  validation {
    condition     = var.exporter.wall.host != null || var.exporter.wall.certificate_arn == null
    error_message = "exporter.wall.certificate_arn is set without exporter.wall.host. A certificate is for a name: set the host."
  }

  validation {
    condition     = (var.exporter.wall.host != null) == (length(var.exporter.wall.viewer_cidrs) > 0)
    error_message = "exporter.wall.viewer_cidrs has ${length(var.exporter.wall.viewer_cidrs)} networks, and exporter.wall.host is ${coalesce(var.exporter.wall.host, "not set")}. Name the networks of those who look at a wall with a host, such as [\"10.99.0.0/24\"]; a wall without one is reached by a forwarded port, and has none."
  }

  validation {
    condition     = alltrue([for cidr in var.exporter.wall.viewer_cidrs : can(cidrnetmask(cidr))])
    error_message = "exporter.wall.viewer_cidrs has a range that is no IPv4 network: ${join(", ", [for cidr in var.exporter.wall.viewer_cidrs : cidr if !can(cidrnetmask(cidr))])}. Write first address and prefix, such as 10.99.0.0/24."
  }
}

# One file of settings serves both roots. These are for cluster/.

# tflint-ignore: terraform_unused_declarations
variable "region" {
  description = "For cluster/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "tags" {
  description = "For cluster/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "permissions_boundary" {
  description = "For cluster/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "network" {
  description = "For cluster/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "kubernetes" {
  description = "For cluster/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "services" {
  description = "For cluster/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "budget" {
  description = "For cluster/."
  type        = any
  default     = null
}
