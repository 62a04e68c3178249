# What every unit has in common. The roots, their settings and their backends are those of the folders beside live/; here is
# only what belongs together, and in which order. A unit's folder says what it is: ENVIRONMENT/ROOT.

locals {
  root        = basename(path_relative_to_include())
  environment = dirname(path_relative_to_include())
}

terraform {
  # The double slash brings modules/ along.
  source = "${get_parent_terragrunt_dir()}/..//${local.root}"

  # Terragrunt's copies are its own affair; nobody commits a lock file of them.
  copy_terraform_lock_file = false

  extra_arguments "settings" {
    commands           = get_terraform_commands_that_need_vars()
    required_var_files = ["${get_parent_terragrunt_dir()}/../environments/${local.environment}.tfvars"]
  }

  extra_arguments "backend" {
    commands  = ["init"]
    arguments = ["-backend-config=${get_parent_terragrunt_dir()}/../environments/${local.environment}.backend.hcl"]
  }
}
