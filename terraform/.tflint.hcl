# All rules of tflint's ruleset for Terraform.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
