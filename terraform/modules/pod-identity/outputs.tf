output "role_arn" {
  description = "ARN of the role. Available when pods can use it."
  value       = aws_iam_role.this.arn

  # Resources that depend on this output can use the role.
  depends_on = [aws_eks_pod_identity_association.this, aws_iam_role_policy_attachment.this, aws_iam_role_policy.this]
}
