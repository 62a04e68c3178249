# Prerequisites of Terraform states in S3 and of the pipeline. Applied once per account.

locals {
  # No pipeline can write the state of this root, because this root defines the pipelines' permissions.
  buckets = setunion(var.environments, ["bootstrap"])
}

resource "aws_kms_key" "state" {
  description             = "Terraform states of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  tags = { Environment = "bootstrap" }
}

resource "aws_kms_alias" "state" {
  name          = "alias/${var.name}-tfstate"
  target_key_id = aws_kms_key.state.key_id
}

resource "aws_s3_bucket" "state" {
  for_each = local.buckets

  bucket        = "${var.state_bucket_prefix}-${each.key}"
  force_destroy = var.force_destroy

  tags = { Environment = each.key }
}

resource "aws_s3_bucket_versioning" "state" {
  for_each = local.buckets

  bucket = aws_s3_bucket.state[each.key].bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  for_each = local.buckets

  bucket = aws_s3_bucket.state[each.key].bucket

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.state.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.state[each.key].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  for_each = local.buckets

  bucket = aws_s3_bucket.state[each.key].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  for_each = local.buckets

  bucket = aws_s3_bucket.state[each.key].bucket

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

resource "aws_s3_bucket_policy" "state" {
  for_each = local.buckets

  bucket = aws_s3_bucket.state[each.key].bucket
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    {
      Sid       = "TLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state[each.key].arn, "${aws_s3_bucket.state[each.key].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
    # A backend with encrypt = true and without kms_key_id requests an S3-managed key instead of the bucket's default key.
    {
      Sid       = "OwnKey"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.state[each.key].arn}/*"
      Condition = { StringEquals = { "s3:x-amz-server-side-encryption" = "AES256" } }
    },
  ] })

  depends_on = [aws_s3_bucket_public_access_block.state]
}
