# With Helm itself, and no cluster: terraform test -test-directory=. in this folder.

run "charts" {
  command = apply

  assert {
    condition = { for golden, documents in local.documents : golden => {
      for kind in ["Deployment", "ExternalSecret", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor"] :
      kind => join(" ", sort([for d in documents : trimprefix(d.metadata.name, "coingecko-exporter-") if d.kind == kind]))
      } } == { for golden, relay in { all = true, dev = false, staging = true, production = true } : golden => {
      Deployment                          = relay ? "poller relay wall" : "poller wall"
      ExternalSecret                      = golden == "all" ? "api-key" : ""
      HorizontalPodAutoscaler             = relay ? "relay" : ""
      NetworkPolicy                       = relay ? "poller relay wall" : "poller wall"
      PodDisruptionBudget                 = relay ? "relay" : ""
      ServiceMonitor                      = "coingecko-exporter"
    } }
    error_message = "The chart renders other objects: ${jsonencode({ for golden, documents in local.documents : golden => [for d in documents : "${d.kind} ${d.metadata.name}"] })}"
  }
  assert {
    condition = alltrue(flatten([for golden, wall in output.walls : [
      for key, value in yamldecode(file("../golden/${golden}.exporter.yaml")).wall.service : jsonencode(wall[key]) == jsonencode(value)
    ]]))
    error_message = "The wall's Service is not that of the settings: ${jsonencode(output.walls)}"
  }
}
