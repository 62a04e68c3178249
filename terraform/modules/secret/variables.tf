variable "name" {
  description = "Name of the secret."
  type        = string
  nullable    = false
}

variable "description" {
  description = "Description of the secret in the console."
  type        = string
  nullable    = false
}

variable "recovery_window_in_days" {
  description = "Days in which a deleted secret can be restored. 0 deletes it immediately and frees its name."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.recovery_window_in_days == 0 || (var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30)
    error_message = "recovery_window_in_days is ${var.recovery_window_in_days}. Use 0, or between 7 and 30."
  }
}

variable "reader" {
  description = "Service account that may read the secret, such as that of the External Secrets Operator, or null for none."
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
