variable "name" {
  description = "Name of the project: what the pipeline may touch begins with it."
  type        = string
  default     = "coingecko-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "name is ${var.name}. Use 3 to 30 small letters, digits and hyphens, a letter first: with the environment and a purpose it becomes the name of roles, which end at 64."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
  nullable    = false
}

variable "environments" {
  description = "Environments of this account: with an account for each, one each time."
  type        = set(string)
  default     = ["dev", "staging", "production"]
  nullable    = false

  validation {
    condition     = length(var.environments) > 0 && length(setsubtract(var.environments, ["dev", "staging", "production"])) == 0
    error_message = "environments is [${join(", ", var.environments)}]. There are dev, staging and production; give at least one."
  }
}

variable "state_bucket_prefix" {
  description = "Buckets are called by this and the environment, as in environments/*.backend.hcl. Bucket names are unique in the world."
  type        = string
  default     = "heycard-coingecko-exporter-tfstate"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,50}[a-z0-9]$", var.state_bucket_prefix))
    error_message = "state_bucket_prefix is ${var.state_bucket_prefix}. Use 3 to 52 small letters, digits and hyphens."
  }
}

variable "github_repository" {
  description = "Repository whose workflows become the pipeline, as owner/name."
  type        = string
  default     = "heycard/coingecko-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository is ${var.github_repository}. Write owner/name, without wildcards: who may become the pipeline is decided by it."
  }
}

variable "create_github_oidc_provider" {
  description = "Whether to make the account's identity provider for GitHub. An account has one at most: false if it is there."
  type        = bool
  default     = true
  nullable    = false
}

variable "force_destroy" {
  description = "Whether destroying deletes buckets with the states in them. Set it, apply, and then destroy."
  type        = bool
  default     = false
  nullable    = false
}
