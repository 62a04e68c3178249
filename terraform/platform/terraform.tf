terraform {
  required_version = ">= 1.11"

  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "3.2.0"
    }
  }

  # Bucket and region are set in environments/*.backend.hcl. Each environment has its own bucket.
  backend "s3" {
    key          = "platform.tfstate"
    use_lockfile = true
    # Without encrypt, which would request an S3-managed key instead of the bucket's default, the key of bootstrap/.
  }
}

# Each run gets a new token from the AWS CLI, so no cluster credentials are stored.
provider "helm" {
  kubernetes = {
    config_path            = var.kubeconfig
    host                   = var.kubeconfig == null ? var.cluster.endpoint : null
    cluster_ca_certificate = var.kubeconfig == null ? base64decode(var.cluster.certificate_authority_data) : null
    exec = var.kubeconfig == null ? {
      api_version = "client.authentication.k8s.io/v1"
      command     = "aws"
      args        = ["--region", var.cluster.region, "eks", "get-token", "--cluster-name", var.cluster.name]
    } : null
  }
}
