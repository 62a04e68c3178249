output "state_buckets" {
  description = "State buckets of each environment and of this root."
  value       = { for environment, bucket in aws_s3_bucket.state : environment => bucket.bucket }
}

output "deploy_role_arns" {
  description = "ARN of the deploy role of each environment, for its GitHub variable AWS_DEPLOY_ROLE and for kubernetes.admin_principal_arns."
  value       = { for environment, role in aws_iam_role.deploy : environment => role.arn }
}

output "plan_role_arn" {
  description = "ARN of the plan role of pull requests, for the repository's variable AWS_PLAN_ROLE."
  value       = aws_iam_role.plan.arn
}

output "permissions_boundaries" {
  description = "Permissions boundary of each environment, for permissions_boundary in environments/*.tfvars. The pipeline cannot create roles without it."
  value       = { for environment, policy in aws_iam_policy.boundary : environment => policy.name }
}

output "backend" {
  description = "Backend of this root's own state: run terraform output -raw backend > backend.tf && terraform init -migrate-state"
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
