output "wall_url" {
  description = "URL of the wall. Without exporter.wall.host, run the command in wall_forward and open http://localhost:3000/."
  value       = local.wall ? local.exporter_values.wall.rootURL : "http://localhost:3000/"
}

output "wall_load_balancer" {
  description = "Command that prints the name of the load balancer, for the DNS record (CNAME) of exporter.wall.host."
  value       = "kubectl --namespace ${var.namespace} get service coingecko-exporter-wall --output jsonpath='{.status.loadBalancer.ingress[0].hostname}'"
}

output "wall_forward" {
  description = "Command that forwards the wall to this machine."
  value       = "kubectl --namespace ${var.namespace} port-forward service/coingecko-exporter-wall 3000:${local.exporter_values.wall.service.port}"
}

output "grafana_password" {
  description = "Command that prints the password of Grafana's admin. The password is stored only in the cluster."
  value       = "kubectl --namespace ${var.cluster.prometheus.namespace} get secret kube-prometheus-stack-grafana --output jsonpath='{.data.admin-password}' | base64 --decode"
}
