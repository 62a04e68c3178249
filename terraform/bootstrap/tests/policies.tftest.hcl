# Renders the policies for rights/rights.mjs. Mocked values replace everything that AWS would return.
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

override_resource {
  target = aws_kms_key.state
  values = { arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
}

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
  target = aws_iam_openid_connect_provider.github
  values = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
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

override_resource {
  target = aws_kms_alias.state
}

override_resource {
  target = aws_s3_bucket_versioning.state
}

override_resource {
  target = aws_s3_bucket_server_side_encryption_configuration.state
}

override_resource {
  target = aws_s3_bucket_public_access_block.state
}

override_resource {
  target = aws_s3_bucket_ownership_controls.state
}

override_resource {
  target = aws_s3_bucket_lifecycle_configuration.state
}

override_resource {
  target = aws_s3_bucket_policy.state
}

override_resource {
  target = aws_iam_role.plan
}

override_resource {
  target = aws_iam_role_policy.plan
}

override_resource {
  target = aws_iam_role.deploy
}

override_resource {
  target = aws_iam_role_policy.deploy
}

run "policies" {
  command = apply
}
