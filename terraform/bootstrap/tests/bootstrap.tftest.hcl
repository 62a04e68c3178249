mock_provider "aws" {
  source = "../mocks"

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mocked" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/coingecko-exporter-boundary" }
  }
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
    condition     = alltrue([for e in aws_s3_bucket_server_side_encryption_configuration.state : one(one(e.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"])
    error_message = "States are encrypted with the own key."
  }
  assert {
    condition     = alltrue([for b in aws_s3_bucket_public_access_block.state : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets])
    error_message = "Nothing of a state may ever be public."
  }
  assert {
    condition     = aws_kms_key.state.enable_key_rotation
    error_message = "The key rotates."
  }

  # Who may become which role.
  assert {
    condition = { for role, doc in data.aws_iam_policy_document.trust : role => [for c in doc.statement[0].condition : c.values[0] if endswith(c.variable, ":sub")] } == {
      dev        = ["repo:heycard/coingecko-exporter:environment:dev"]
      staging    = ["repo:heycard/coingecko-exporter:environment:staging"]
      production = ["repo:heycard/coingecko-exporter:environment:production"]
      plan       = ["repo:heycard/coingecko-exporter:pull_request"]
    }
    error_message = "A role is for one GitHub environment, and the planning one for pull requests."
  }
  assert {
    condition     = alltrue(flatten([for doc in data.aws_iam_policy_document.trust : [for c in doc.statement[0].condition : c.test == "StringEquals"]]))
    error_message = "Trust is exact: a wildcard would let other repositories in."
  }

  # What the roles may do.
  assert {
    condition     = length([for s in data.aws_iam_policy_document.deploy["dev"].statement : s if contains(s.actions, "*") || contains(s.actions, "iam:*") || contains(s.actions, "ec2:*") || contains(s.actions, "s3:*") || contains(s.actions, "kms:*")]) == 0
    error_message = "The pipeline is no administrator."
  }
  assert {
    condition = alltrue([for s in data.aws_iam_policy_document.deploy["dev"].statement :
    contains([for c in s.condition : c.variable], "iam:PermissionsBoundary") if length(setintersection(s.actions, ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy"])) > 0])
    error_message = "Whoever can make a role without a boundary can make himself an administrator."
  }
  assert {
    condition     = !contains(flatten([for s in concat(data.aws_iam_policy_document.deploy["production"].statement, data.aws_iam_policy_document.plan.statement) : tolist(s.actions)]), "secretsmanager:GetSecretValue")
    error_message = "No pipeline reads the API key."
  }
  assert {
    condition = alltrue(flatten([for s in data.aws_iam_policy_document.deploy["dev"].statement : [
      for r in s.resources : strcontains(r, "dev") if contains(["Cluster", "Registry", "Secret", "Budget", "Logs", "Roles", "RolesWithBoundary", "PassRoles"], s.sid)
    ]]))
    error_message = "The pipeline of one environment reaches into another."
  }
  assert {
    condition     = alltrue([for a in flatten([for s in data.aws_iam_policy_document.plan.statement : tolist(s.actions)]) : can(regex(":(Describe|Get|List|View|Decrypt)", a))])
    error_message = "Planning changes nothing."
  }
  assert {
    condition     = alltrue([for r in aws_iam_role.deploy : r.path == "/pipeline/"])
    error_message = "A pipeline that can reach its own role can widen it."
  }
  assert {
    condition     = !contains(flatten([for s in data.aws_iam_policy_document.boundary.statement : tolist(s.actions)]), "iam:*") && !contains(flatten([for s in data.aws_iam_policy_document.boundary.statement : tolist(s.actions)]), "*")
    error_message = "A boundary that allows everything bounds nothing."
  }
  assert {
    condition     = strcontains(output.backend, "heycard-coingecko-exporter-tfstate-bootstrap")
    error_message = "This root's state moves into its own bucket."
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
    condition     = contains(one(data.aws_iam_policy_document.trust["production"].statement[0].principals).identifiers, "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com")
    error_message = "Trust goes to the account's provider."
  }
}

run "unknown_environment" {
  command = plan
  variables {
    environments = ["test"]
  }
  expect_failures = [var.environments]
}

run "bucket_name_that_s3_refuses" {
  command = plan
  variables {
    state_bucket_prefix = "HeyCard_state"
  }
  expect_failures = [var.state_bucket_prefix]
}

run "any_repository" {
  command = plan
  variables {
    github_repository = "heycard/*"
  }
  expect_failures = [var.github_repository]
}

run "name_too_long" {
  command = plan
  variables {
    name = "a-name-that-is-much-too-long-for-roles"
  }
  expect_failures = [var.name]
}
