output "cluster_name" {
  description = "Name of the cluster. Available when it has nodes and add-ons."
  value       = aws_eks_cluster.this.name

  depends_on = [aws_eks_node_group.this, aws_eks_addon.after_nodes, aws_eks_access_policy_association.this]
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "cluster_endpoint" {
  description = "URL of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "cluster_certificate_authority_data" {
  description = "CA certificate of the Kubernetes API, in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "endpoint_public_access_cidrs" {
  description = "Networks that can reach the Kubernetes API over the internet; empty if it is private."
  value       = aws_eks_cluster.this.vpc_config[0].endpoint_public_access ? aws_eks_cluster.this.vpc_config[0].public_access_cidrs : toset([])
}
