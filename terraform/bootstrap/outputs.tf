output "state_buckets" {
  description = "Bucket of the states of each environment, and of this root."
  value       = { for environment, bucket in aws_s3_bucket.state : environment => bucket.bucket }
}

output "deploy_role_arns" {
  description = "Role of each GitHub environment, for its variable AWS_DEPLOY_ROLE and for kubernetes.admin_principal_arns."
  value       = { for environment, role in aws_iam_role.deploy : environment => role.arn }
}

output "plan_role_arn" {
  description = "Role of pull requests, for the repository's variable AWS_PLAN_ROLE."
  value       = aws_iam_role.plan.arn
}

output "permissions_boundaries" {
  description = "For permissions_boundary in environments/*.tfvars: the pipeline of an environment makes no role without it."
  value       = { for environment, policy in aws_iam_policy.boundary : environment => policy.name }
}

output "backend" {
  description = "Backend of this root's own state: terraform output -raw backend > backend.tf && terraform init -migrate-state"
  value       = <<-EOT
    terraform {
      backend "s3" {
        bucket       = "${aws_s3_bucket.state["bootstrap"].bucket}"
        key          = "bootstrap.tfstate"
        region       = "${var.region}"
        use_lockfile = true
      }
    }
  EOT
}
