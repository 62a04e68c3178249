# Settings of the tests, instead of those in terraform.tfvars, so that they pass with yours.
name                        = "coingecko-exporter"
region                      = "eu-central-1"
environments                = ["dev", "staging", "production"]
state_bucket_prefix         = "heycard-coingecko-exporter-tfstate"
github_repository           = "heycard/coingecko-exporter"
github_repository_ids       = null
trust_subject_without_ids   = true
create_github_oidc_provider = true
