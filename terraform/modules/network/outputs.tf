output "private_subnets" {
  description = "IDs of the private subnets, in the order of azs."
  value       = [for zone in var.azs : aws_subnet.private[zone].id]

  # Nodes that start before their route to the internet exists cannot join the cluster.
  depends_on = [aws_route.nat, aws_route_table_association.private, aws_vpc_endpoint.s3]
}

output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.this.id
}

output "private_route_table_ids" {
  description = "IDs of the route tables of the private subnets, in the order of azs."
  value       = [for zone in var.azs : aws_route_table.private[zone].id]
}

output "nat_public_ips" {
  description = "Public addresses of outgoing traffic, as CoinGecko sees them."
  value       = [for zone in var.azs : aws_eip.nat[zone].public_ip if contains(local.nat_zones, zone)]
}
