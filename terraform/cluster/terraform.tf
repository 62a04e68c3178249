terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket and region come from environments/*.backend.hcl: each environment has a bucket of its own.
  backend "s3" {
    key          = "cluster.tfstate"
    use_lockfile = true
    # No encrypt: it would ask S3 for a key of its own, where the bucket's default is the key of bootstrap/.
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
