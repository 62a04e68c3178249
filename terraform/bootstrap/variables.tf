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

variable "github_repository_ids" {
  description = "Numeric ids of the repository and its owner, which GitHub writes into the tokens of repositories made, renamed or transferred since 15 July 2026: gh api repos/OWNER/NAME --jq '{owner: .owner.id, repository: .id}'. null for an older repository."
  type        = object({ owner = number, repository = number })
  default     = null

  validation {
    condition     = var.github_repository_ids == null ? true : alltrue([for id in values(var.github_repository_ids) : id > 0 && floor(id) == id])
    error_message = "github_repository_ids has an id that is no whole number above 0. This prints both: gh api repos/${var.github_repository} --jq '{owner: .owner.id, repository: .id}'"
  }
}

variable "trust_subject_without_ids" {
  description = "With github_repository_ids: whether tokens without the ids are trusted as well. Leave it on until a run of the pipeline has shown which form its tokens have; off, whoever gets hold of the repository's name later gets no role."
  type        = bool
  default     = true
  nullable    = false
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
