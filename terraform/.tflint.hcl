# Every rule of tflint's own ruleset for Terraform.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
