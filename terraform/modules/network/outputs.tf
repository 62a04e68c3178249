output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.this.id
}

output "private_subnets" {
  description = "IDs of the private subnets, in the order of azs."
  value       = [for zone in var.azs : aws_subnet.private[zone].id]

  # Nodes that start before their way out is there cannot join.
  depends_on = [aws_route.nat, aws_route_table_association.private, aws_vpc_endpoint.s3]
}

output "public_subnets" {
  description = "IDs of the public subnets, in the order of azs."
  value       = [for zone in var.azs : aws_subnet.public[zone].id]
}

output "nat_public_ips" {
  description = "Addresses that the Internet sees, CoinGecko among it."
  value       = [for zone in var.azs : aws_eip.nat[zone].public_ip if contains(local.nat_zones, zone)]
}
