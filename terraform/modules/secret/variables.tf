variable "name" {
  description = "Name of the secret."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the secret is, for whoever finds it in the console."
  type        = string
  nullable    = false
}

variable "recovery_window_in_days" {
  description = "Days in which a deleted secret can be restored; 0 deletes at once, and frees the name."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.recovery_window_in_days == 0 || (var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30)
    error_message = "recovery_window_in_days is ${var.recovery_window_in_days}. Secrets Manager takes 0, or 7 to 30."
  }
}

variable "reader" {
  description = "Service account that may read the secret, such as that of the External Secrets Operator; null for nobody."
  type = object({
    cluster_name    = string
    cluster_arn     = string
    namespace       = string
    service_account = string
  })
  default = null
}

variable "role_name" {
  description = "Name of the reader's role."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the reader's role, or null."
  type        = string
  default     = null
}
