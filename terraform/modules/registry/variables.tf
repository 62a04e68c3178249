variable "repositories" {
  description = "Names of the ECR repositories."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for r in var.repositories : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", r))])
    error_message = "repositories has invalid names: ${join(", ", [for r in var.repositories : r if !can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", r))])}. Use lower-case letters and digits, with single . _ - / between them."
  }
}

variable "keep_images" {
  description = "Number of tagged images to keep in each repository. Older ones are deleted."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.keep_images >= 2
    error_message = "keep_images is ${var.keep_images}. Set at least 2, so that a rollback is possible."
  }
}

variable "force_delete" {
  description = "Whether to delete the images when a repository is destroyed."
  type        = bool
  default     = false
  nullable    = false
}
