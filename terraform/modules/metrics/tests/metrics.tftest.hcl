mock_provider "aws" {
  source = "../../mocks"

  mock_resource "aws_prometheus_workspace" {
    defaults = {
      arn                 = "arn:aws:aps:eu-central-1:123456789012:workspace/ws-1"
      prometheus_endpoint = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/"
    }
  }
}

variables {
  name            = "shop-test"
  cluster_name    = "shop-test"
  cluster_arn     = "arn:aws:eks:eu-central-1:123456789012:cluster/shop-test"
  namespace       = "monitoring"
  service_account = "prometheus"
}

run "a_region_without_it" {
  command = plan

  override_data {
    target = data.aws_service.this
    values = { supported = false }
  }

  expect_failures = [aws_prometheus_workspace.this]
}

run "one_writer" {
  command = apply

  assert {
    condition     = data.aws_iam_policy_document.write.statement[0].actions == toset(["aps:RemoteWrite"]) && data.aws_iam_policy_document.write.statement[0].resources == toset([aws_prometheus_workspace.this.arn])
    error_message = "Prometheus may write into this workspace, and nothing else."
  }
  assert {
    condition     = output.remote_write_url == "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
    error_message = "The workspace's endpoint ends with a slash already."
  }
}
