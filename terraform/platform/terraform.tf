terraform {
  required_version = ">= 1.11"

  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.2"
    }
  }

  # Bucket and region come from environments/*.backend.hcl: each environment has a bucket of its own.
  backend "s3" {
    key          = "platform.tfstate"
    use_lockfile = true
    # No encrypt: it would ask S3 for a key of its own, where the bucket's default is the key of bootstrap/.
  }
}

# A token of the AWS command line, new for each run: no credential of the cluster is kept anywhere.
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
