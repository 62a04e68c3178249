variable "environment" {
  description = "Name of the golden file."
  type        = string
}
