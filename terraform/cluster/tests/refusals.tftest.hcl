# Rejected settings, each in combination with those of production, whatever these are: terraform test -filter=tests/refusals.tftest.hcl -var-file=../environments/production.tfvars

mock_provider "aws" {
  source = "../mocks"
}

run "name_with_capitals" {
  command = plan
  variables {
    name = "CoinGecko"
  }
  expect_failures = [var.name]
}

run "unknown_environment" {
  command = plan
  variables {
    environment = "prod"
  }
  expect_failures = [var.environment]
}

run "production_in_two_zones" {
  command = plan
  variables {
    network = merge(var.network, { for key in ["azs", "private_subnets", "public_subnets"] : key => slice(var.network[key], 0, 2) })
  }
  expect_failures = [var.network]
}

run "production_behind_one_nat_gateway" {
  command = plan
  variables {
    network = merge(var.network, { single_nat_gateway = true })
  }
  expect_failures = [var.network]
}

run "zones_of_another_region" {
  command = plan
  variables {
    region = "elsewhere"
  }
  expect_failures = [var.network]
}

run "production_open_to_the_internet" {
  command = plan
  variables {
    kubernetes = merge(var.kubernetes, { endpoint_public_access = true, endpoint_public_access_cidrs = ["0.0.0.0/0"] })
  }
  expect_failures = [var.kubernetes]
}

run "production_open_to_half_the_internet" {
  command = plan
  variables {
    kubernetes = merge(var.kubernetes, { endpoint_public_access = true, endpoint_public_access_cidrs = ["0.0.0.0/1", "128.0.0.0/1"] })
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

run "temporary_access_from_everywhere" {
  command = plan
  variables {
    temporary_api_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.temporary_api_cidrs]
}
