variable "name" {
  description = "Alias of the workspace, and prefix of the role's name."
  type        = string
  nullable    = false
}

variable "cluster_name" {
  description = "Name of the EKS cluster whose Prometheus writes to the workspace."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "ARN of that cluster."
  type        = string
  nullable    = false
}

variable "namespace" {
  description = "Namespace of that Prometheus."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "Service account of that Prometheus."
  type        = string
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the role, or null."
  type        = string
  default     = null
}
