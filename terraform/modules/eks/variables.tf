variable "name" {
  description = "Name of the cluster, and prefix of the names of its roles."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,44}$", var.name))
    error_message = "name is ${var.name}. Use 2 to 45 lower-case letters, digits and hyphens, beginning with a letter: it is the prefix of role names, which have at most 64 characters."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  nullable    = false

  validation {
    condition     = contains(keys(local.end_of_standard_support), var.kubernetes_version)
    error_message = "kubernetes_version is ${var.kubernetes_version}, but this module only knows the end of support of ${join(", ", keys(local.end_of_standard_support))}. Use one of these, or add the version and its date from the EKS release calendar to end_of_standard_support in modules/eks/main.tf."
  }
}

variable "subnet_ids" {
  description = "IDs of the private subnets, in at least two zones."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids has ${length(var.subnet_ids)} subnet(s). EKS needs at least two in different zones."
  }
}

variable "service_ipv4_cidr" {
  description = "IPv4 range of the cluster's Services. It must not overlap any network that the cluster connects to."
  type        = string
  default     = "172.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.service_ipv4_cidr)) && try(split("/", var.service_ipv4_cidr)[1] >= 12 && split("/", var.service_ipv4_cidr)[1] <= 24, false)
    error_message = "service_ipv4_cidr is ${var.service_ipv4_cidr}. Use an IPv4 network between /12 and /24, such as 172.20.0.0/16."
  }
}

variable "compute_mode" {
  description = "auto: EKS Auto Mode chooses, scales, patches and replaces nodes. managed: Graviton node groups with a fixed size range."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["auto", "managed"], var.compute_mode)
    error_message = "compute_mode is ${var.compute_mode}. Use auto (EKS Auto Mode) or managed (managed node groups)."
  }
}

variable "node_groups" {
  description = "Managed node groups, by name. Only with compute_mode managed."
  type = map(object({
    instance_types = list(string)
    capacity_type  = optional(string, "ON_DEMAND")
    min_size       = number
    max_size       = number
    disk_size      = optional(number, 50)
    labels         = optional(map(string), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = (var.compute_mode == "managed") == (length(var.node_groups) > 0)
    error_message = "compute_mode is ${var.compute_mode}, but node_groups has ${length(var.node_groups)} group(s). Set at least one group with managed, and none with auto, which creates its own nodes."
  }

  validation {
    condition     = alltrue([for g in var.node_groups : contains(["ON_DEMAND", "SPOT"], g.capacity_type)])
    error_message = "capacity_type must be ON_DEMAND or SPOT, not ${join(", ", [for g in var.node_groups : g.capacity_type if !contains(["ON_DEMAND", "SPOT"], g.capacity_type)])}."
  }

  validation {
    condition     = alltrue([for g in var.node_groups : alltrue([for t in g.instance_types : can(regex("^[a-z]+[0-9]+g[a-z]*\\.", t))]) && length(g.instance_types) > 0])
    error_message = "Nodes use the arm64 image, so instance_types needs at least one type, and only Graviton types (t4g, m7g, m8g, ...): ${join("; ", [for name, g in var.node_groups : "${name} has ${join(", ", g.instance_types)}"])}."
  }

  validation {
    condition     = alltrue([for g in var.node_groups : g.min_size >= 1 && g.max_size >= g.min_size])
    error_message = "Node groups must have 1 <= min_size <= max_size: ${join("; ", [for name, g in var.node_groups : "${name} has ${g.min_size} to ${g.max_size}"])}."
  }
}

variable "addons" {
  description = "Version of each EKS add-on. Auto Mode includes all but metrics-server."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for v in values(var.addons) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", v))])
    error_message = "addons needs full versions such as v1.22.4-eksbuild.3, as listed by `aws eks describe-addon-versions`. Invalid: ${join(", ", [for n, v in var.addons : "${n} ${v}" if !can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", v))])}."
  }

  validation {
    condition     = length(setsubtract(local.addons, keys(var.addons))) == 0
    error_message = "addons has no version for: ${join(", ", setsubtract(local.addons, keys(var.addons)))}."
  }

  validation {
    condition     = try(split(".", var.addons["kube-proxy"])[1] <= split(".", var.kubernetes_version)[1], true)
    error_message = "kube-proxy ${try(var.addons["kube-proxy"], "")} is newer than Kubernetes ${var.kubernetes_version}. Use the same or an earlier minor version."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Networks that can reach the API server from the internet. If empty, it is private. The private endpoint is always enabled."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for c in var.endpoint_public_access_cidrs : can(cidrnetmask(c))])
    error_message = "endpoint_public_access_cidrs has invalid IPv4 networks: ${join(", ", [for c in var.endpoint_public_access_cidrs : c if !can(cidrnetmask(c))])}. Use an address and a prefix length, such as 203.0.113.7/32."
  }
}

variable "endpoint_private_access_cidrs" {
  description = "Additional networks that can reach the private endpoint, such as those of the VPN and of the pipeline's runners."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for c in var.endpoint_private_access_cidrs : can(cidrnetmask(c)) && !endswith(c, "/0")])
    error_message = "endpoint_private_access_cidrs must be IPv4 networks, and not the whole internet: ${join(", ", var.endpoint_private_access_cidrs)}."
  }
}

variable "admin_principal_arns" {
  description = "IAM roles and users that administer the cluster. If empty, the principal that creates the cluster."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.admin_principal_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", a))])
    error_message = "admin_principal_arns must be ARNs of IAM roles or users (of a role, not of its session): ${join(", ", var.admin_principal_arns)}."
  }
}

variable "viewer_principal_arns" {
  description = "IAM roles and users with read-only access to everything but Secrets."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.viewer_principal_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", a))])
    error_message = "viewer_principal_arns must be ARNs of IAM roles or users (of a role, not of its session): ${join(", ", var.viewer_principal_arns)}."
  }

  validation {
    condition     = length(setintersection(var.viewer_principal_arns, var.admin_principal_arns)) == 0
    error_message = "These principals are in both admin_principal_arns and viewer_principal_arns: ${join(", ", setintersection(var.viewer_principal_arns, var.admin_principal_arns))}. List each principal once."
  }
}

variable "planner_principal_arns" {
  description = "IAM roles and users with read-only access to everything including Secrets, in which Helm stores its releases. A plan of platform/ needs it."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.planner_principal_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", a))])
    error_message = "planner_principal_arns must be ARNs of IAM roles or users (of a role, not of its session): ${join(", ", var.planner_principal_arns)}."
  }

  validation {
    condition     = length(setintersection(var.planner_principal_arns, setunion(var.admin_principal_arns, var.viewer_principal_arns))) == 0
    error_message = "These principals are in planner_principal_arns and also in admin_principal_arns or viewer_principal_arns: ${join(", ", setintersection(var.planner_principal_arns, setunion(var.admin_principal_arns, var.viewer_principal_arns)))}. List each principal once."
  }
}

variable "cloudwatch_log_group_retention_in_days" {
  description = "Retention of the control plane logs in CloudWatch, in days."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.cloudwatch_log_group_retention_in_days)
    error_message = "cloudwatch_log_group_retention_in_days is ${var.cloudwatch_log_group_retention_in_days}, which CloudWatch does not support. Use 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827."
  }
}

variable "create_kms_key" {
  description = "Whether to encrypt Secrets in etcd and the control plane logs with a customer-managed KMS key instead of AWS-managed keys."
  type        = bool
  default     = false
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of all roles, or null."
  type        = string
  default     = null
}
