output "wall_url" {
  description = "The wall. Without a host of its own it is reached by the command in wall_forward, on http://localhost:3000/."
  value       = local.wall ? local.exporter_values.wall.rootURL : "http://localhost:3000/"
}

output "wall_load_balancer" {
  description = "Command that prints the load balancer's name, for the DNS record (CNAME) of exporter.wall.host."
  value       = "kubectl --namespace ${var.namespace} get service coingecko-exporter-wall --output jsonpath='{.status.loadBalancer.ingress[0].hostname}'"
}

output "wall_forward" {
  description = "Command that makes the wall available on this machine."
  value       = "kubectl --namespace ${var.namespace} port-forward service/coingecko-exporter-wall 3000:${local.exporter_values.wall.service.port}"
}

output "grafana_password" {
  description = "Command that prints the password of Grafana's admin. It is in the cluster, and nowhere else."
  value       = "kubectl --namespace ${var.cluster.prometheus.namespace} get secret kube-prometheus-stack-grafana --output jsonpath='{.data.admin-password}' | base64 --decode"
}
