variable "goldens" {
  description = "Names of the golden files."
  type        = set(string)
  default     = ["all", "dev", "staging", "production"]
}
