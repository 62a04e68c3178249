# With Helm itself, and no cluster: terraform test -test-directory=. in this folder.

run "dev" {
  command = apply

  variables {
    environment = "dev"
  }

  assert {
    condition     = length(setsubtract(["Deployment coingecko-exporter-poller", "Deployment coingecko-exporter-wall", "ServiceMonitor coingecko-exporter", "Service coingecko-exporter", "Service coingecko-exporter-wall"], output.objects)) == 0
    error_message = "Something is missing: ${join(", ", output.objects)}"
  }
  assert {
    condition     = length([for o in output.objects : o if startswith(o, "HorizontalPodAutoscaler") || startswith(o, "PodDisruptionBudget") || endswith(o, "-relay")]) == 0
    error_message = "dev has no relays: ${join(", ", output.objects)}"
  }
  assert {
    condition     = jsondecode(output.services["coingecko-exporter-wall"].spec).type == "ClusterIP"
    error_message = "The wall of dev is reached by a forwarded port."
  }
}

run "staging" {
  command = apply

  variables {
    environment = "staging"
  }

  assert {
    condition     = length(setsubtract(["HorizontalPodAutoscaler coingecko-exporter-relay", "PodDisruptionBudget coingecko-exporter-relay", "Deployment coingecko-exporter-relay"], output.objects)) == 0
    error_message = "Something is missing: ${join(", ", output.objects)}"
  }
  assert {
    condition     = jsondecode(output.services["coingecko-exporter-wall"].spec).type == output.wall_service.type && output.services["coingecko-exporter-wall"].annotations == output.wall_service.annotations
    error_message = "The wall of staging does not have the load balancer of the settings."
  }
}

run "production" {
  command = apply

  variables {
    environment = "production"
  }

  assert {
    condition = length(setsubtract([
      "Deployment coingecko-exporter-poller", "Deployment coingecko-exporter-relay", "Deployment coingecko-exporter-wall",
      "HorizontalPodAutoscaler coingecko-exporter-relay", "PodDisruptionBudget coingecko-exporter-relay",
      "NetworkPolicy coingecko-exporter-poller", "NetworkPolicy coingecko-exporter-relay", "NetworkPolicy coingecko-exporter-wall",
      "ServiceMonitor coingecko-exporter", "ConfigMap coingecko-exporter-wall",
    ], output.objects)) == 0
    error_message = "Something is missing: ${join(", ", output.objects)}"
  }
}

run "all" {
  command = apply

  variables {
    environment = "all"
  }

  assert {
    condition     = contains(output.objects, "ExternalSecret coingecko-exporter-api-key")
    error_message = "The External Secrets Operator makes the key's Secret: ${join(", ", output.objects)}"
  }
  assert {
    condition     = jsondecode(output.services["coingecko-exporter-wall"].spec).ports[0].port == 443
    error_message = "With a certificate the wall is on HTTPS."
  }
  assert {
    condition     = jsondecode(output.services["coingecko-exporter-wall"].spec).type == "LoadBalancer" && output.services["coingecko-exporter-wall"].annotations["service.beta.kubernetes.io/aws-load-balancer-internal"] == "true"
    error_message = "The wall has an internal load balancer."
  }
  assert {
    condition     = jsondecode(output.services["coingecko-exporter-wall"].spec).loadBalancerSourceRanges == ["10.99.0.0/24", "10.98.0.0/24"] && jsondecode(output.services["coingecko-exporter-wall"].spec).externalTrafficPolicy == "Local"
    error_message = "The wall is for the networks that are named, which it knows by their own addresses."
  }
}
