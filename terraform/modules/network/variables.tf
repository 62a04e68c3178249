variable "name" {
  description = "Name of the VPC, and the beginning of the names of all that is in it."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "IPv4 range of the VPC: /16 to /24."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrsubnet(var.cidr, 0, 0) == var.cidr, false)
    error_message = "cidr is ${var.cidr}, which is no IPv4 network. Write its first address and its prefix, such as 10.20.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, true)
    error_message = "cidr is ${var.cidr}. AWS takes no VPC larger than /16, and below /24 EKS runs out of addresses. Use a prefix from /16 to /24."
  }
}

variable "azs" {
  description = "Availability zones, by name. EKS needs two; three outlive the loss of one with a quorum."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.azs) >= 2
    error_message = "azs has ${length(var.azs)} zone(s): ${join(", ", var.azs)}. EKS refuses less than two. Add another zone of the region."
  }

  validation {
    condition     = length(distinct(var.azs)) == length(var.azs)
    error_message = "azs names a zone twice: ${join(", ", var.azs)}. Name each zone once."
  }
}

variable "private_subnets" {
  description = "IPv4 range of the private subnet of each zone, in the order of azs. Nodes and pods live here."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.private_subnets) == length(var.azs)
    error_message = "private_subnets has ${length(var.private_subnets)} range(s) for ${length(var.azs)} zone(s). Give one range for each zone of azs."
  }

  validation {
    condition     = alltrue([for c in var.private_subnets : can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false)])
    error_message = "private_subnets has a range that is no IPv4 network: ${join(", ", [for c in var.private_subnets : c if !(can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false))])}. Write first address and prefix, such as 10.20.0.0/20."
  }
}

variable "public_subnets" {
  description = "IPv4 range of the public subnet of each zone, in the order of azs. Nothing but NAT gateways and public load balancers live here."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.public_subnets) == length(var.azs)
    error_message = "public_subnets has ${length(var.public_subnets)} range(s) for ${length(var.azs)} zone(s). Give one range for each zone of azs."
  }

  validation {
    condition     = alltrue([for c in var.public_subnets : can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false)])
    error_message = "public_subnets has a range that is no IPv4 network: ${join(", ", [for c in var.public_subnets : c if !(can(cidrnetmask(c)) && try(cidrsubnet(c, 0, 0) == c, false))])}. Write first address and prefix, such as 10.20.240.0/24."
  }
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones: cheaper, and when its zone is lost, the nodes of the others lose the Internet."
  type        = bool
  default     = false
  nullable    = false
}

variable "interface_endpoints" {
  description = "AWS services reached by an interface endpoint in each private subnet instead of by NAT, such as ecr.api, ecr.dkr, sts. Each costs by zone and hour."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "flow_log_retention_in_days" {
  description = "Days for which CloudWatch keeps the flow logs; 0 turns flow logs off."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_retention_in_days)
    error_message = "flow_log_retention_in_days is ${var.flow_log_retention_in_days}, which CloudWatch does not offer. Use 0 for none, or 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the role that writes the flow logs, or null."
  type        = string
  default     = null
}
