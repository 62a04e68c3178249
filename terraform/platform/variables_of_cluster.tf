# tflint-ignore-file: terraform_documented_variables, terraform_standard_module_structure, terraform_typed_variables, terraform_unused_declarations
# Settings that only ../cluster uses. Both roots read the same settings file, and Terraform warns about values without a variable.

variable "region" { default = null }
variable "tags" { default = null }
variable "permissions_boundary" { default = null }
variable "network" { default = null }
variable "kubernetes" { default = null }
variable "services" { default = null }
variable "budget" { default = null }
