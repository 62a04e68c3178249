# Every attribute of these objects has to be given: a misspelt one is missing, and that is an error.

variable "name" {
  description = "Name of the project: all names begin with it and the environment."
  type        = string
  default     = "coingecko-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "name is ${var.name}. Use 3 to 30 small letters, digits and hyphens, a letter first: with the environment and a purpose it becomes the name of roles, which end at 64."
  }
}

variable "environment" {
  description = "dev, staging or production."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment is ${var.environment}. There are dev, staging and production, each with its file in environments/."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags on everything, beside Project, Environment and ManagedBy."
  type        = map(string)
  nullable    = false
}

variable "permissions_boundary" {
  description = "Name of the policy in this account that bounds every role made here, or null. The pipeline may make none without it."
  type        = string
}

variable "network" {
  description = "As in modules/network."
  type = object({
    cidr                       = string
    azs                        = list(string)
    private_subnets            = list(string)
    public_subnets             = list(string)
    single_nat_gateway         = bool
    interface_endpoints        = set(string)
    flow_log_retention_in_days = number
  })
  nullable = false

  validation {
    condition     = var.environment != "production" || length(var.network.azs) >= 3
    error_message = "production has ${length(var.network.azs)} availability zone(s). Give three in network.azs: with two, the loss of one takes half of the pods."
  }

  validation {
    condition     = var.environment != "production" || !var.network.single_nat_gateway
    error_message = "production has one NAT gateway for all zones, so the loss of its zone cuts off the others, and rates stop. Set network.single_nat_gateway = false."
  }

  validation {
    condition     = alltrue([for z in var.network.azs : startswith(z, var.region)])
    error_message = "network.azs names zones that are not of ${var.region}: ${join(", ", [for z in var.network.azs : z if !startswith(z, var.region)])}."
  }
}

variable "kubernetes" {
  description = "As in modules/eks."
  type = object({
    version                       = string
    service_ipv4_cidr             = string
    addons                        = map(string)
    compute_mode                  = string
    node_groups                   = map(object({ instance_types = list(string), capacity_type = string, min_size = number, max_size = number, disk_size = number, labels = map(string) }))
    endpoint_public_access        = bool
    endpoint_public_access_cidrs  = list(string)
    endpoint_private_access_cidrs = set(string)
    admin_principal_arns          = set(string)
    viewer_principal_arns         = set(string)
    log_retention_in_days         = number
    create_kms_key                = bool
  })
  nullable = false

  validation {
    condition     = var.environment != "production" || alltrue([for c in var.kubernetes.endpoint_public_access_cidrs : try(split("/", c)[1] >= 16, true)])
    error_message = "The Kubernetes API of production is open to ${join(", ", var.kubernetes.endpoint_public_access_cidrs)}. In kubernetes.endpoint_public_access_cidrs give networks of yours, none wider than /16; better, set kubernetes.endpoint_public_access = false and come in by endpoint_private_access_cidrs."
  }

  validation {
    condition     = var.environment != "production" || alltrue([for g in var.kubernetes.node_groups : g.capacity_type != "SPOT"])
    error_message = "production has spot nodes, which AWS takes back with two minutes' notice, all of a kind at once: ${join(", ", [for name, g in var.kubernetes.node_groups : name if g.capacity_type == "SPOT"])}. Set capacity_type = \"ON_DEMAND\" in kubernetes.node_groups."
  }

  validation {
    condition = try(cidrsubnet("${split("/", var.network.cidr)[0]}/${min(split("/", var.network.cidr)[1], split("/", var.kubernetes.service_ipv4_cidr)[1])}", 0, 0) !=
    cidrsubnet("${split("/", var.kubernetes.service_ipv4_cidr)[0]}/${min(split("/", var.network.cidr)[1], split("/", var.kubernetes.service_ipv4_cidr)[1])}", 0, 0), true)
    error_message = "kubernetes.service_ipv4_cidr ${var.kubernetes.service_ipv4_cidr} overlaps network.cidr ${var.network.cidr}. Services would hide machines. Change one of them."
  }
}

variable "temporary_api_cidrs" {
  description = "Networks from which the Kubernetes API can be reached for the time being, beside the settings: for a first apply, or for help in an emergency. The next apply without it closes the API again."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for c in var.temporary_api_cidrs : can(cidrnetmask(c)) && try(split("/", c)[1] >= 24, false)])
    error_message = "temporary_api_cidrs is [${join(", ", var.temporary_api_cidrs)}]. Give IPv4 networks of yours, none wider than /24, such as 198.51.100.7/32."
  }
}

variable "services" {
  description = "What AWS runs beside the cluster: managed_prometheus, a workspace that the cluster's Prometheus writes to; external_secrets, the right of the External Secrets Operator to read the API key."
  type = object({
    managed_prometheus = bool
    external_secrets   = bool
  })
  nullable = false
}

variable "budget" {
  description = "US dollars a month of what is tagged with the environment, and of the whole account (null: no such budget), and who is told when they are about to be spent."
  type = object({
    limit         = number
    account_limit = number
    emails        = list(string)
  })
  nullable = false
}

# One file of settings serves both roots. These are for platform/.

# tflint-ignore: terraform_unused_declarations
variable "monitoring" {
  description = "For platform/."
  type        = any
  default     = null
}

# tflint-ignore: terraform_unused_declarations
variable "exporter" {
  description = "For platform/."
  type        = any
  default     = null
}
