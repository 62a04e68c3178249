output "remote_write_url" {
  description = "URL for remote write, with SigV4 signatures."
  value       = "${aws_prometheus_workspace.this.prometheus_endpoint}api/v1/remote_write"
}

output "query_url" {
  description = "URL for a Prometheus data source in Grafana, with SigV4 signatures."
  value       = aws_prometheus_workspace.this.prometheus_endpoint
}
