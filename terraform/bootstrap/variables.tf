variable "name" {
  description = "Name of the project, and prefix of all resources that the pipeline can access."
  type        = string
  default     = "coingecko-exporter"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "name is ${var.name}. Use 3 to 30 lower-case letters, digits and hyphens, beginning with a letter: it is the prefix of role names, which have at most 64 characters."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
  nullable    = false
}

variable "environments" {
  description = "Environments in this account. With separate accounts, set one environment per account."
  type        = set(string)
  default     = ["dev", "staging", "production"]
  nullable    = false

  validation {
    condition     = length(var.environments) > 0 && length(setsubtract(var.environments, ["dev", "staging", "production"])) == 0
    error_message = "environments is [${join(", ", var.environments)}]. Set at least one of dev, staging and production."
  }
}

variable "state_bucket_prefix" {
  description = "Prefix of the state buckets, before the environment, as in environments/*.backend.hcl. Bucket names are globally unique."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,50}[a-z0-9]$", var.state_bucket_prefix))
    error_message = "state_bucket_prefix is ${var.state_bucket_prefix}. Use 3 to 52 lower-case letters, digits and hyphens."
  }
}

variable "github_repository" {
  description = "GitHub repository whose workflows can assume the pipeline's roles, as owner/name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository is ${var.github_repository}. Use owner/name without wildcards, because it decides who can assume the pipeline's roles."
  }
}

variable "github_repository_ids" {
  description = "Numeric IDs of the repository and its owner, which are part of the tokens of repositories that were created, renamed or transferred since 15 July 2026. To print them, run gh api repos/OWNER/NAME --jq '{owner: .owner.id, repository: .id}'. null for an older repository."
  type        = object({ owner = number, repository = number })
  default     = null

  validation {
    condition     = var.github_repository_ids == null ? true : alltrue([for id in values(var.github_repository_ids) : id > 0 && floor(id) == id])
    error_message = "github_repository_ids must be whole numbers above 0. To print them, run gh api repos/${var.github_repository} --jq '{owner: .owner.id, repository: .id}'"
  }
}

variable "trust_subject_without_ids" {
  description = "Whether tokens without IDs are also trusted if github_repository_ids is set. Set it to false when a run of the pipeline has shown that its tokens contain IDs: a later owner of the repository's name then cannot assume the roles."
  type        = bool
  default     = true
  nullable    = false
}

variable "create_github_oidc_provider" {
  description = "Whether to create the account's identity provider for GitHub. Set it to false if the account already has one."
  type        = bool
  default     = true
  nullable    = false
}

variable "force_destroy" {
  description = "Whether to delete the state buckets with their contents on destroy. Set it, apply, and then destroy."
  type        = bool
  default     = false
  nullable    = false
}
