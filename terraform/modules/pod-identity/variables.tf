variable "name" {
  description = "Name of the role."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 64
    error_message = "The role name ${var.name} has ${length(var.name)} characters, but IAM allows 64. Shorten the name or prefix that it is built from."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "ARN of the EKS cluster. No other cluster can assign the role."
  type        = string
  nullable    = false
}

variable "namespace" {
  description = "Namespace of the service account."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "Service account whose pods get the role."
  type        = string
  nullable    = false
}

variable "policy_arns" {
  description = "ARNs of the role's managed policies, by a name of your choice."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policies" {
  description = "Inline policies of the role as JSON, by a name of your choice."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the role's permissions boundary, or null."
  type        = string
  default     = null
}
