# Terragrunt configuration of the platform units: passes cluster/'s output to platform/, and sets their order.

dependency "cluster" {
  config_path = "../cluster"

  # For a plan before the cluster exists.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    platform = {
      cluster = {
        environment                = dirname(path_relative_to_include())
        region                     = "eu-central-1"
        name                       = "planned"
        endpoint                   = "https://planned.invalid"
        certificate_authority_data = base64encode("planned")
        compute_mode               = "auto"
        image_repository           = "planned.invalid/coingecko-exporter"
        remote_write_url           = null
        prometheus                 = { namespace = "monitoring", service_account = "prometheus" }
        api_key_secret             = "planned"
      }
    }
  }
}

inputs = dependency.cluster.outputs.platform
