output "role_arn" {
  description = "ARN of the role, once pods get it."
  value       = aws_iam_role.this.arn

  # Whoever waits for this output finds the role usable.
  depends_on = [aws_eks_pod_identity_association.this, aws_iam_role_policy_attachment.this, aws_iam_role_policy.this]
}
