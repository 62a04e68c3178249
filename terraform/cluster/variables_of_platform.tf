# tflint-ignore-file: terraform_documented_variables, terraform_standard_module_structure, terraform_typed_variables, terraform_unused_declarations
# Settings that only ../platform uses. Both roots read the same settings file, and Terraform warns about values without a variable.

variable "monitoring" { default = null }
variable "exporter" { default = null }
variable "chart_repositories" { default = null }
