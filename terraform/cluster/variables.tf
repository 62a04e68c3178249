# All attributes of these objects are required, so a misspelt attribute is an error.

variable "name" {
  description = "Name of the project. All resource names begin with it and the environment."
  type        = string
  default     = "coingecko-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "name is ${var.name}. Use 3 to 30 lower-case letters, digits and single hyphens, beginning with a letter: it is the prefix of role names, which have at most 64 characters."
  }
}

variable "environment" {
  description = "Environment: dev, staging or production."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment is ${var.environment}. Use dev, staging or production, with its file in environments/."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of all resources, in addition to Project, Environment and ManagedBy."
  type        = map(string)
  nullable    = false
}

variable "permissions_boundary" {
  description = "Name of the policy in this account that is the permissions boundary of all roles, or null. The pipeline cannot create roles without it."
  type        = string
}

variable "network" {
  description = "Inputs of modules/network."
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
    error_message = "production has ${length(var.network.azs)} availability zone(s). Set three in network.azs: with two, the failure of one affects half of the pods."
  }

  validation {
    condition     = var.environment != "production" || !var.network.single_nat_gateway
    error_message = "production has one NAT gateway for all zones. If its zone fails, the others lose access to the internet and to rates. Set network.single_nat_gateway = false."
  }

  validation {
    condition     = alltrue([for z in var.network.azs : startswith(z, var.region)])
    error_message = "network.azs has zones outside ${var.region}: ${join(", ", [for z in var.network.azs : z if !startswith(z, var.region)])}."
  }
}

variable "kubernetes" {
  description = "Inputs of modules/eks."
  type = object({
    version                       = string
    service_ipv4_cidr             = string
    addons                        = map(string)
    compute_mode                  = string
    node_groups                   = map(object({ instance_types = list(string), capacity_type = string, min_size = number, max_size = number, disk_size = number, labels = map(string) }))
    endpoint_public_access_cidrs  = list(string)
    endpoint_private_access_cidrs = set(string)
    admin_principal_arns          = set(string)
    viewer_principal_arns         = set(string)
    planner_principal_arns        = set(string)
    log_retention_in_days         = number
    create_kms_key                = bool
  })
  nullable = false

  validation {
    condition     = var.environment != "production" || alltrue([for c in var.kubernetes.endpoint_public_access_cidrs : try(split("/", c)[1] >= 16, true)])
    error_message = "The Kubernetes API of production is open to ${join(", ", var.kubernetes.endpoint_public_access_cidrs)}. Use kubernetes.endpoint_private_access_cidrs instead, or limit kubernetes.endpoint_public_access_cidrs to your networks, none wider than /16."
  }

  validation {
    condition     = var.environment != "production" || alltrue([for g in var.kubernetes.node_groups : g.capacity_type != "SPOT"])
    error_message = "production has spot nodes, which AWS can reclaim all at once with two minutes' notice: ${join(", ", [for name, g in var.kubernetes.node_groups : name if g.capacity_type == "SPOT"])}. Set capacity_type = \"ON_DEMAND\" in kubernetes.node_groups."
  }

  validation {
    condition = try(cidrsubnet("${split("/", var.network.cidr)[0]}/${min(split("/", var.network.cidr)[1], split("/", var.kubernetes.service_ipv4_cidr)[1])}", 0, 0) !=
    cidrsubnet("${split("/", var.kubernetes.service_ipv4_cidr)[0]}/${min(split("/", var.network.cidr)[1], split("/", var.kubernetes.service_ipv4_cidr)[1])}", 0, 0), true)
    error_message = "kubernetes.service_ipv4_cidr ${var.kubernetes.service_ipv4_cidr} overlaps network.cidr ${var.network.cidr}. Addresses in both would be unreachable. Change one of them."
  }
}

variable "temporary_api_cidrs" {
  description = "Additional networks that can temporarily reach the Kubernetes API, for a first apply or an emergency. The next apply without it closes the API again."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for c in var.temporary_api_cidrs : can(cidrnetmask(c)) && try(split("/", c)[1] >= 24, false)])
    error_message = "temporary_api_cidrs is [${join(", ", var.temporary_api_cidrs)}]. Use your own IPv4 networks, none wider than /24, such as 198.51.100.7/32."
  }
}

variable "services" {
  description = "AWS services. managed_prometheus: a workspace that the cluster's Prometheus writes to. external_secrets: permission for the External Secrets Operator to read the API key."
  type = object({
    managed_prometheus = bool
    external_secrets   = bool
  })
  nullable = false
}

variable "budget" {
  description = "Monthly limits in US dollars for the resources of the environment and for the whole account (null: no such budget), and the e-mail addresses that are notified."
  type = object({
    limit         = number
    account_limit = number
    emails        = list(string)
  })
  nullable = false

  validation {
    condition     = var.budget.limit > 0
    error_message = "budget.limit is ${var.budget.limit}. Set a monthly amount in US dollars above 0."
  }

  validation {
    condition     = var.budget.account_limit == null ? true : var.budget.account_limit >= var.budget.limit
    error_message = "budget.account_limit is ${coalesce(var.budget.account_limit, 0)}, which is less than budget.limit. Set at least ${var.budget.limit}."
  }

  validation {
    condition     = length(var.budget.emails) > 0 && length(var.budget.emails) <= 10
    error_message = "budget.emails has ${length(var.budget.emails)} addresses. Set between 1 and 10."
  }

  validation {
    condition     = alltrue([for e in var.budget.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", e))])
    error_message = "budget.emails has invalid addresses: ${join(", ", [for e in var.budget.emails : e if !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", e))])}."
  }
}
