variable "name" {
  description = "Name of the budget."
  type        = string
  nullable    = false
}

variable "limit" {
  description = "Monthly limit in US dollars."
  type        = number
  nullable    = false

  validation {
    condition     = var.limit > 0
    error_message = "limit is ${var.limit}. Set a monthly amount in US dollars above 0."
  }
}

variable "account_limit" {
  description = "Monthly limit of the whole account in US dollars, or null for no such budget."
  type        = number
  default     = null

  validation {
    condition     = var.account_limit == null ? true : var.account_limit >= var.limit
    error_message = "account_limit is ${coalesce(var.account_limit, 0)}, which is less than limit. Set at least ${var.limit}."
  }
}

variable "tag" {
  description = "Cost allocation tag that the budget counts. Activate it in the billing console of the payer account."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "emails" {
  description = "E-mail addresses that are notified."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.emails) > 0 && length(var.emails) <= 10
    error_message = "emails has ${length(var.emails)} addresses. Set between 1 and 10."
  }

  validation {
    condition     = alltrue([for e in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", e))])
    error_message = "emails has invalid addresses: ${join(", ", [for e in var.emails : e if !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", e))])}."
  }
}
