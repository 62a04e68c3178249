variable "repositories" {
  description = "Names of the ECR repositories."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for r in var.repositories : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", r))])
    error_message = "repositories has invalid names: ${join(", ", [for r in var.repositories : r if !can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", r))])}. Use lower-case letters and digits, with single . _ - / between them."
  }
}

variable "force_delete" {
  description = "Whether to delete the images when a repository is destroyed."
  type        = bool
  default     = false
  nullable    = false
}
