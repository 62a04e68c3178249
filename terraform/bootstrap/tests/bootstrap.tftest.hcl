mock_provider "aws" {
  source = "../mocks"

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
}

# rights/rights.mjs evaluates the policies of the first run, which name these.
override_resource {
  target = aws_s3_bucket.state["bootstrap"]
  values = { arn = "arn:aws:s3:::state-bootstrap" }
}

override_resource {
  target = aws_s3_bucket.state["dev"]
  values = { arn = "arn:aws:s3:::state-dev" }
}

override_resource {
  target = aws_s3_bucket.state["staging"]
  values = { arn = "arn:aws:s3:::state-staging" }
}

override_resource {
  target = aws_s3_bucket.state["production"]
  values = { arn = "arn:aws:s3:::state-production" }
}

override_resource {
  target = aws_iam_policy.boundary["dev"]
  values = { arn = "arn:aws:iam::123456789012:policy/coingecko-exporter-dev-boundary" }
}

override_resource {
  target = aws_iam_policy.boundary["staging"]
  values = { arn = "arn:aws:iam::123456789012:policy/coingecko-exporter-staging-boundary" }
}

override_resource {
  target = aws_iam_policy.boundary["production"]
  values = { arn = "arn:aws:iam::123456789012:policy/coingecko-exporter-production-boundary" }
}

run "one_account_for_all" {
  command = apply

  assert {
    condition     = output.state_buckets == { for e in ["bootstrap", "dev", "production", "staging"] : e => "heycard-coingecko-exporter-tfstate-${e}" }
    error_message = "Each environment has its bucket, and bootstrap has one that no pipeline writes."
  }
  assert {
    condition     = alltrue([for v in aws_s3_bucket_versioning.state : v.versioning_configuration[0].status == "Enabled"])
    error_message = "A state that was spoilt must be there in an older version."
  }
  assert {
    condition     = alltrue([for e in aws_s3_bucket_server_side_encryption_configuration.state : one(one(e.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"]) && aws_kms_key.state.enable_key_rotation
    error_message = "States are encrypted with the own key, which rotates."
  }
  assert {
    condition     = alltrue([for b in aws_s3_bucket_public_access_block.state : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets])
    error_message = "Nothing of a state may ever be public."
  }

  # Trust policies.
  assert {
    condition = { for role, policy in local.trust : role => jsondecode(policy).Statement[0].Condition } == {
      for role, claim in { dev = "environment:dev", staging = "environment:staging", production = "environment:production", plan = "pull_request" } :
      role => { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:heycard/coingecko-exporter:${claim}"]
      } }
    }
    error_message = "A role is for one GitHub environment, and the planning one for pull requests. Trust is exact: a wildcard would let other repositories in."
  }

  # rights/ evaluates the permissions of the roles.
  assert {
    condition     = alltrue([for r in aws_iam_role.deploy : r.path == "/pipeline/"])
    error_message = "A pipeline that can reach its own role can widen it."
  }
  assert {
    condition     = output.permissions_boundaries == { for e in ["dev", "staging", "production"] : e => "coingecko-exporter-${e}-boundary" }
    error_message = "Each environment has a boundary of its own."
  }
  assert {
    condition     = strcontains(output.backend, "heycard-coingecko-exporter-tfstate-bootstrap")
    error_message = "This root's state moves into its own bucket."
  }
}

run "repository_made_in_2026" {
  command = plan

  variables {
    environments          = ["dev"]
    github_repository_ids = { owner = 123456, repository = 456789 }
  }

  assert {
    condition     = jsondecode(local.trust["dev"]).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:heycard/coingecko-exporter:environment:dev", "repo:heycard@123456/coingecko-exporter@456789:environment:dev"]
    error_message = "With the ids both forms of GitHub's subject are trusted, and no other."
  }
}

run "only_tokens_with_ids" {
  command = plan

  variables {
    environments              = ["dev"]
    github_repository_ids     = { owner = 123456, repository = 456789 }
    trust_subject_without_ids = false
  }

  assert {
    condition     = jsondecode(local.trust["dev"]).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:heycard@123456/coingecko-exporter@456789:environment:dev"]
    error_message = "A name that somebody else took over later gets nothing."
  }
}

run "an_account_for_production_alone" {
  command = plan

  variables {
    environments                = ["production"]
    create_github_oidc_provider = false
  }

  assert {
    condition     = keys(aws_iam_role.deploy) == ["production"] && length(aws_iam_openid_connect_provider.github) == 0
    error_message = "One environment, and the provider that is there already."
  }
  assert {
    condition     = jsondecode(local.trust["production"]).Statement[0].Principal == { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
    error_message = "Trust goes to the account's provider."
  }
}

run "refused" {
  command = plan
  variables {
    name                = "a-name-that-is-much-too-long-for-roles"
    environments        = ["test"]
    state_bucket_prefix = "HeyCard_state"
    github_repository   = "heycard/*"
  }
  expect_failures = [var.name, var.environments, var.state_bucket_prefix, var.github_repository]
}

run "an_id_that_is_none" {
  command = plan
  variables {
    github_repository_ids = { owner = 0, repository = 456789 }
  }
  expect_failures = [var.github_repository_ids]
}
