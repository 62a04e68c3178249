output "remote_write_url" {
  description = "URL for remote write, with SigV4 signatures."
  value       = "${aws_prometheus_workspace.this.prometheus_endpoint}api/v1/remote_write"
}

output "query_url" {
  description = "URL for a Prometheus data source in Grafana, with SigV4 signatures."
  value       = aws_prometheus_workspace.this.prometheus_endpoint
}

output "workspace_arn" {
  description = "ARN of the workspace."
  value       = aws_prometheus_workspace.this.arn
}

output "writer_role_arn" {
  description = "ARN of the role for remote write."
  value       = module.writer.role_arn
}
