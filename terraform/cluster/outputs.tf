output "platform" {
  description = "Input of platform/, in the format of its variable. Run terraform output -json platform > ../platform/cluster.auto.tfvars.json"
  value = {
    cluster = {
      environment                = var.environment
      region                     = var.region
      name                       = module.eks.cluster_name
      endpoint                   = module.eks.cluster_endpoint
      certificate_authority_data = module.eks.cluster_certificate_authority_data
      compute_mode               = var.kubernetes.compute_mode
      image_repository           = aws_ecr_repository.exporter.repository_url
      remote_write_url           = one([for workspace in aws_prometheus_workspace.this : "${workspace.prometheus_endpoint}api/v1/remote_write"])
      prometheus                 = local.prometheus
      api_key_secret             = aws_secretsmanager_secret.api_key.name
    }
  }
}

output "kubeconfig" {
  description = "Command that writes a kubeconfig for the cluster."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${module.eks.cluster_name}"
}

output "image_repository" {
  description = "Image repository that exporter.image_from_registry uses."
  value       = aws_ecr_repository.exporter.repository_url
}

output "vpc_id" {
  description = "ID of the VPC, for a connection to your network."
  value       = module.network.vpc_id
}

output "private_subnets" {
  description = "IDs of the private subnets, in the order of network.azs."
  value       = module.network.private_subnets
}

output "private_route_table_ids" {
  description = "IDs of the route tables of the private subnets, which need the routes to your network."
  value       = module.network.private_route_table_ids
}

output "nat_public_ips" {
  description = "Public addresses of outgoing traffic, as CoinGecko sees them."
  value       = module.network.nat_public_ips
}

output "query_url" {
  description = "Query URL of Amazon Managed Prometheus, or null if it is disabled."
  value       = one(aws_prometheus_workspace.this[*].prometheus_endpoint)
}
