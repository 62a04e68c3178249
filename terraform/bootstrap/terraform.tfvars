# Settings of bootstrap/, which Terraform reads from this file.

state_bucket_prefix   = "heycard-coingecko-exporter-tfstate" # the same as in ../environments/*.backend.hcl
github_repository     = "heycard/coingecko-exporter"
github_repository_ids = null # for a repository that was created, renamed or transferred since 15 July 2026: { owner = ..., repository = ... }
