# Rejected settings, each in combination with those of production, whatever these are: terraform test -filter=tests/refusals.tftest.hcl -var-file=../environments/production.tfvars
# Each variable in expect_failures must be rejected.

mock_provider "aws" {
  source = "../mocks"
}

run "refused_1" {
  command = plan
  variables {
    name                = "CoinGecko"
    budget              = merge(var.budget, { limit = 0 })
    kubernetes          = merge(var.kubernetes, { endpoint_public_access_cidrs = ["0.0.0.0/0"] })
    temporary_api_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.name, var.budget, var.kubernetes, var.temporary_api_cidrs]
}

run "refused_2" {
  command = plan
  variables {
    environment = "prod"
    budget      = merge(var.budget, { emails = [] })
  }
  expect_failures = [var.environment, var.budget]
}

run "production_in_two_zones" {
  command = plan
  variables {
    network = merge(var.network, { for key in ["azs", "private_subnets", "public_subnets"] : key => slice(var.network[key], 0, 2) })
    budget  = merge(var.budget, { account_limit = var.budget.limit - 1 })
  }
  expect_failures = [var.network, var.budget]
}

run "production_behind_one_nat_gateway" {
  command = plan
  variables {
    network = merge(var.network, { single_nat_gateway = true })
    budget  = merge(var.budget, { emails = ["platform"] })
  }
  expect_failures = [var.network, var.budget]
}

run "zones_of_another_region" {
  command = plan
  variables {
    region = "elsewhere"
  }
  expect_failures = [var.network]
}

run "production_open_to_half_the_internet" {
  command = plan
  variables {
    kubernetes = merge(var.kubernetes, { endpoint_public_access_cidrs = ["0.0.0.0/1", "128.0.0.0/1"] })
  }
  expect_failures = [var.kubernetes]
}

run "production_on_spot" {
  command = plan
  variables {
    kubernetes = merge(var.kubernetes, { compute_mode = "managed", node_groups = { cheap = { instance_types = ["m7g.large"], capacity_type = "SPOT", min_size = 3, max_size = 6, disk_size = 50, labels = {} } } })
  }
  expect_failures = [var.kubernetes]
}

run "services_overlap_the_vpc" {
  command = plan
  variables {
    kubernetes = merge(var.kubernetes, { service_ipv4_cidr = cidrsubnet(var.network.cidr, 4, 8) })
  }
  expect_failures = [var.kubernetes]
}

run "a_region_without_managed_prometheus" {
  command = plan
  variables {
    services = merge(var.services, { managed_prometheus = true })
  }

  override_data {
    target = data.aws_service.prometheus
    values = { supported = false }
  }

  expect_failures = [aws_prometheus_workspace.this]
}
