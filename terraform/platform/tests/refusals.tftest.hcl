# Rejected settings, each in combination with those of production, whatever these are: terraform test -filter=tests/refusals.tftest.hcl -var-file=../environments/production.tfvars -var-file=tests/cluster.production.json
# Each variable in expect_failures must be rejected. Names describe the exporter's settings, which are in every run but one.

mock_provider "helm" {}

run "chart_not_pinned" {
  command = plan
  variables {
    environment = "prod"
    exporter    = merge(var.exporter, { chart_version = "latest" })
  }
  expect_failures = [var.environment, var.exporter]
}

run "image_latest" {
  command = plan
  variables {
    cluster    = merge(var.cluster, { environment = "dev" }) # of another environment
    monitoring = merge(var.monitoring, { chart_version = "88.x" })
    exporter   = merge(var.exporter, { image_tag = "latest" })
  }
  expect_failures = [var.cluster, var.monitoring, var.exporter]
}

run "unknown_plan" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { retention = "15" })
    exporter   = merge(var.exporter, { plan = "free" })
  }
  expect_failures = [var.monitoring, var.exporter]
}

run "pro_plan_without_key" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { replicas = 0 })
    exporter   = merge(var.exporter, { plan = "pro", api_key_secret = null, secret_store = null })
  }
  expect_failures = [var.monitoring, var.exporter]
}

run "keyless_plan_with_key" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { keep_volumes = false })
    exporter   = merge(var.exporter, { plan = "keyless", api_key_secret = "coingecko-api-key", secret_store = null })
  }
  expect_failures = [var.monitoring, var.exporter]
}

run "key_from_two_places" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { alertmanager_secret = null, alerts_reach_nobody = false })
    exporter   = merge(var.exporter, { plan = "pro", api_key_secret = "coingecko-api-key", secret_store = "aws" })
  }
  expect_failures = [var.monitoring, var.exporter]
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

run "alerts_that_reach_nobody_on_purpose" {
  command = plan
  variables {
    monitoring = merge(var.monitoring, { alertmanager_secret = null, alerts_reach_nobody = true })
  }
}
