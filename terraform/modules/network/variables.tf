variable "name" {
  description = "Name of the VPC, and prefix of the names of its resources."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "IPv4 range of the VPC, between /16 and /24."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrsubnet(var.cidr, 0, 0) == var.cidr, false)
    error_message = "cidr is ${var.cidr}, which is not an IPv4 network. Use its first address and prefix length, such as 10.20.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, true)
    error_message = "cidr is ${var.cidr}. AWS supports at most /16, and EKS runs out of addresses below /24. Use a prefix length between /16 and /24."
  }
}

variable "azs" {
  description = "Availability zones, by name. EKS needs two; three keep a quorum if one fails."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.azs) >= 2
    error_message = "azs has ${length(var.azs)} zone(s): ${join(", ", var.azs)}. EKS needs at least two. Add another zone of the region."
  }

  validation {
    condition     = length(distinct(var.azs)) == length(var.azs)
    error_message = "azs has duplicate zones: ${join(", ", var.azs)}. List each zone once."
  }
}

variable "private_subnets" {
  description = "IPv4 range of each zone's private subnet, in the order of azs. Nodes and pods use these subnets."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.private_subnets) == length(var.azs)
    error_message = "private_subnets has ${length(var.private_subnets)} range(s) for ${length(var.azs)} zone(s). Set one range for each zone in azs."
  }

  validation {
    condition     = alltrue([for c in var.private_subnets : can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false)])
    error_message = "private_subnets has invalid IPv4 networks: ${join(", ", [for c in var.private_subnets : c if !(can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false))])}. Use the first address and prefix length, such as 10.20.0.0/20."
  }
}

variable "public_subnets" {
  description = "IPv4 range of each zone's public subnet, in the order of azs. Only NAT gateways and public load balancers use these subnets."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.public_subnets) == length(var.azs)
    error_message = "public_subnets has ${length(var.public_subnets)} range(s) for ${length(var.azs)} zone(s). Set one range for each zone in azs."
  }

  validation {
    condition     = alltrue([for c in var.public_subnets : can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false)])
    error_message = "public_subnets has invalid IPv4 networks: ${join(", ", [for c in var.public_subnets : c if !(can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false))])}. Use the first address and prefix length, such as 10.20.240.0/24."
  }
}

variable "single_nat_gateway" {
  description = "Whether all zones share one NAT gateway. This is cheaper, but if its zone fails, the nodes in the other zones lose access to the internet."
  type        = bool
  default     = false
  nullable    = false
}

variable "interface_endpoints" {
  description = "AWS services to reach through interface endpoints instead of NAT, such as ecr.api, ecr.dkr, sts. Each costs by zone and hour."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "flow_log_retention_in_days" {
  description = "Retention of the flow logs in CloudWatch, in days; 0 disables flow logs."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_retention_in_days)
    error_message = "flow_log_retention_in_days is ${var.flow_log_retention_in_days}, which CloudWatch does not support. Use 0 to disable flow logs, or 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the flow logs' role, or null."
  type        = string
  default     = null
}
