variable "name" {
  description = "Name of the budget."
  type        = string
  nullable    = false
}

variable "limit" {
  description = "US dollars in a month that are expected at most."
  type        = number
  nullable    = false

  validation {
    condition     = var.limit > 0
    error_message = "limit is ${var.limit}. Give the US dollars of a month, more than 0."
  }
}

variable "account_limit" {
  description = "US dollars in a month that the whole account is expected to cost at most, or null for no such budget."
  type        = number
  default     = null

  validation {
    condition     = var.account_limit == null ? true : var.account_limit >= var.limit
    error_message = "account_limit is ${coalesce(var.account_limit, 0)}, less than limit, which is a part of it. Give at least ${var.limit}."
  }
}

variable "tag" {
  description = "Cost allocation tag that the budget counts. It has to be activated in the billing console of the payer account."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "emails" {
  description = "Addresses that are told."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.emails) > 0 && length(var.emails) <= 10
    error_message = "emails has ${length(var.emails)} addresses. A budget tells at least one and at most ten."
  }

  validation {
    condition     = alltrue([for e in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", e))])
    error_message = "This is no e-mail address: ${join(", ", [for e in var.emails : e if !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", e))])}."
  }
}
