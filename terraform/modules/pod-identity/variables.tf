variable "name" {
  description = "Name of the role."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 64
    error_message = "The role's name ${var.name} has ${length(var.name)} characters; IAM takes 64. Shorten the name that it is made of."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "ARN of the EKS cluster: no other may hand out the role."
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
  description = "Managed policies of the role, by a name of yours."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policies" {
  description = "Own policies of the role, as JSON, by a name of yours."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the role's permissions boundary, or null."
  type        = string
  default     = null
}
