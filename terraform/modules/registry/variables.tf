variable "repositories" {
  description = "Names of the ECR repositories."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for r in var.repositories : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", r))])
    error_message = "ECR takes no such name: ${join(", ", [for r in var.repositories : r if !can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", r))])}. Use small letters, digits, and single . _ - / between them."
  }
}

variable "keep_images" {
  description = "Tagged images kept in each repository; older ones are deleted."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.keep_images >= 2
    error_message = "keep_images is ${var.keep_images}. Keep at least 2, or there is nothing to roll back to."
  }
}

variable "force_delete" {
  description = "Whether destroying a repository deletes the images in it."
  type        = bool
  default     = false
  nullable    = false
}
