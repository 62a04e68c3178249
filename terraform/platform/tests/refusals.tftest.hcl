# Rejected settings, each in combination with those of production, whatever these are: terraform test -filter=tests/refusals.tftest.hcl -var-file=../environments/production.tfvars -var-file=tests/cluster.production.json

mock_provider "helm" {}

run "unknown_environment" {
  command = plan
  variables {
    environment = "prod"
  }
  expect_failures = [var.environment]
}

run "cluster_of_another_environment" {
  command = plan
  variables {
    cluster = merge(var.cluster, { environment = "dev" })
  }
  expect_failures = [var.cluster]
}

run "stack_not_pinned" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { chart_version = "88.x" })
  }
  expect_failures = [var.monitoring]
}

run "retention_without_unit" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { retention = "15" })
  }
  expect_failures = [var.monitoring]
}

run "no_prometheus" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { replicas = 0 })
  }
  expect_failures = [var.monitoring]
}

run "production_that_forgets" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { keep_volumes = false })
  }
  expect_failures = [var.monitoring]
}

run "chart_not_pinned" {
  command = plan
  variables {
    exporter = merge(var.exporter, { chart_version = "latest" })
  }
  expect_failures = [var.exporter]
}

run "image_latest" {
  command = plan
  variables {
    exporter = merge(var.exporter, { image_tag = "latest" })
  }
  expect_failures = [var.exporter]
}

run "unknown_plan" {
  command = plan
  variables {
    exporter = merge(var.exporter, { plan = "free" })
  }
  expect_failures = [var.exporter]
}

run "pro_plan_without_key" {
  command = plan
  variables {
    exporter = merge(var.exporter, { plan = "pro", api_key_secret = null, secret_store = null })
  }
  expect_failures = [var.exporter]
}

run "keyless_plan_with_key" {
  command = plan
  variables {
    exporter = merge(var.exporter, { plan = "keyless", api_key_secret = "coingecko-api-key", secret_store = null })
  }
  expect_failures = [var.exporter]
}

run "key_from_two_places" {
  command = plan
  variables {
    exporter = merge(var.exporter, { plan = "pro", api_key_secret = "coingecko-api-key", secret_store = "aws" })
  }
  expect_failures = [var.exporter]
}

run "one_relay" {
  command = plan
  variables {
    exporter = merge(var.exporter, { relay = { enabled = true, min_replicas = 1, max_replicas = 3 } })
  }
  expect_failures = [var.exporter]
}

run "more_relays_at_least_than_at_most" {
  command = plan
  variables {
    exporter = merge(var.exporter, { relay = { enabled = true, min_replicas = 3, max_replicas = 2 } })
  }
  expect_failures = [var.exporter]
}

run "certificate_without_host" {
  command = plan
  variables {
    exporter = merge(var.exporter, { wall = { host = null, certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1", viewer_cidrs = [] } })
  }
  expect_failures = [var.exporter]
}

run "wall_for_nobody" {
  command = plan
  variables {
    exporter = merge(var.exporter, { wall = { host = "wall.heycard.example", certificate_arn = null, viewer_cidrs = [] } })
  }
  expect_failures = [var.exporter]
}

run "viewers_without_a_wall" {
  command = plan
  variables {
    exporter = merge(var.exporter, { wall = { host = null, certificate_arn = null, viewer_cidrs = ["10.99.0.0/24"] } })
  }
  expect_failures = [var.exporter]
}

run "viewers_that_are_no_network" {
  command = plan
  variables {
    exporter = merge(var.exporter, { wall = { host = "wall.heycard.example", certificate_arn = null, viewer_cidrs = ["10.99.0.0"] } })
  }
  expect_failures = [var.exporter]
}

run "alerts_that_reach_nobody" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { alertmanager_secret = null, alerts_reach_nobody = false })
  }
  expect_failures = [var.monitoring]
}

run "alerts_that_reach_nobody_on_purpose" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { alertmanager_secret = null, alerts_reach_nobody = true })
  }
}
