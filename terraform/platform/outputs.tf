output "screen_url" {
  description = "The wall screen. Without a host of its own it is reached by the command in screen_forward, on http://localhost:3000/."
  value       = local.screen ? local.exporter_values.screen.rootURL : "http://localhost:3000/"
}

output "screen_load_balancer" {
  description = "Command that prints the load balancer's name, for the DNS record (CNAME) of exporter.screen.host."
  value       = "kubectl --namespace ${var.namespace} get service coingecko-exporter-screen --output jsonpath='{.status.loadBalancer.ingress[0].hostname}'"
}

output "screen_forward" {
  description = "Command that makes the wall screen available on this machine."
  value       = "kubectl --namespace ${var.namespace} port-forward service/coingecko-exporter-screen 3000:${local.exporter_values.screen.service.port}"
}

output "grafana_password" {
  description = "Command that prints the password of Grafana's admin. It is in the cluster, and nowhere else."
  value       = "kubectl --namespace ${var.cluster.prometheus.namespace} get secret kube-prometheus-stack-grafana --output jsonpath='{.data.admin-password}' | base64 --decode"
}
