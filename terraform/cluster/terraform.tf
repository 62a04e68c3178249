terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket and region are set in environments/*.backend.hcl. Each environment has its own bucket.
  backend "s3" {
    key          = "cluster.tfstate"
    use_lockfile = true
    # Without encrypt, which would request an S3-managed key instead of the bucket's default, the key of bootstrap/.
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.tags, {
      Project     = var.name
      Environment = var.environment
      ManagedBy   = "terraform"
    })
  }
}
