# Run with the settings of each environment: terraform test -filter=tests/environment.tftest.hcl -var-file=../environments/NAME.tfvars

mock_provider "aws" {
  source = "../mocks"

  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:eu-central-1:123456789012:cluster/mocked"
      endpoint              = "https://mocked.eu-central-1.eks.amazonaws.com"
      certificate_authority = [{ data = "Y2E=" }]
    }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }

  mock_resource "aws_prometheus_workspace" {
    defaults = {
      arn                 = "arn:aws:aps:eu-central-1:123456789012:workspace/ws-1"
      prometheus_endpoint = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/"
    }
  }
}

variables {
  permissions_boundary = "coingecko-exporter-boundary"
}

run "as_the_settings_say" {
  command = apply

  assert {
    condition     = output.platform.cluster.name == "coingecko-exporter-${var.environment}" && output.platform.cluster.environment == var.environment
    error_message = "Names begin with the project and the environment."
  }
  assert {
    condition     = length(module.network.nat_public_ips) == (var.network.single_nat_gateway ? 1 : length(var.network.azs))
    error_message = "The number of NAT gateways is not as the settings say."
  }
  assert {
    condition     = (output.platform.cluster.remote_write_url != null) == var.services.managed_prometheus
    error_message = "Managed Prometheus is there if and only if it was asked for."
  }
  assert {
    condition     = local.boundary == "arn:aws:iam::123456789012:policy/coingecko-exporter-boundary"
    error_message = "The boundary's name becomes its ARN in this account."
  }
  assert {
    condition     = keys(output.platform) == ["cluster"]
    error_message = "The output is a file of settings for platform/, and has its variable's name."
  }
  assert {
    condition     = var.environment != "production" || (length(var.network.azs) >= 3 && var.kubernetes.create_kms_key && var.services.managed_prometheus)
    error_message = "Production spans three zones, has a key of its own, and keeps samples outside of the cluster."
  }
  assert {
    condition     = can(regex("^[a-z-]+$", var.tags["Team"])) && length(var.budget.emails) > 0
    error_message = "Somebody answers for each environment."
  }
}

run "opened_for_a_first_apply" {
  command = plan

  variables {
    temporary_api_cidrs = ["198.51.100.7/32"]
  }

  assert {
    condition     = module.eks.endpoint_public_access_cidrs == toset(concat(var.kubernetes.endpoint_public_access_cidrs, ["198.51.100.7/32"]))
    error_message = "The API is open to the given networks and to those of the settings, and to nobody else."
  }
}
