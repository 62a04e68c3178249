output "platform" {
  description = "What platform/ needs, in the form of its variable: terraform output -json platform > ../platform/cluster.auto.tfvars.json"
  value = {
    cluster = {
      environment                = var.environment
      region                     = var.region
      name                       = module.eks.cluster_name
      endpoint                   = module.eks.cluster_endpoint
      certificate_authority_data = module.eks.cluster_certificate_authority_data
      compute_mode               = var.kubernetes.compute_mode
      image_repository           = one(values(module.registry.repository_urls))
      remote_write_url           = one(module.metrics[*].remote_write_url)
      prometheus                 = local.prometheus
      api_key_secret             = module.api_key.name
    }
  }
}

output "kubeconfig" {
  description = "Command that writes the kubeconfig of whoever may come in."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${module.eks.cluster_name}"
}

output "image_repository" {
  description = "Where exporter.image_from_registry takes the exporter's image from."
  value       = one(values(module.registry.repository_urls))
}

output "nat_public_ips" {
  description = "Addresses that CoinGecko sees."
  value       = module.network.nat_public_ips
}

output "query_url" {
  description = "Amazon Managed Prometheus, for queries; null where it is off."
  value       = one(module.metrics[*].query_url)
}
