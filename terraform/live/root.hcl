# Terragrunt configuration of all units. live/ is used by Terragrunt only: roots, settings and backends are those of the folders
# next to it, and the units only define dependencies and order. A unit's path is ENVIRONMENT/ROOT.

locals {
  root        = basename(path_relative_to_include())
  environment = dirname(path_relative_to_include())
}

terraform {
  # The double slash includes modules/ in Terragrunt's copy.
  source = "${get_parent_terragrunt_dir()}/..//${local.root}"

  # Do not copy lock files back to the units, where nobody commits them.
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
