mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name            = "shop-test-ebs-csi"
  cluster_name    = "shop-test"
  cluster_arn     = "arn:aws:eks:eu-central-1:123456789012:cluster/shop-test"
  namespace       = "kube-system"
  service_account = "ebs-csi-controller-sa"
}

run "managed_policies" {
  command = apply

  variables {
    policy_arns = { ebs = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy" }
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
      Condition = { StringEquals = {
        "aws:RequestTag/eks-cluster-arn"            = "arn:aws:eks:eu-central-1:123456789012:cluster/shop-test"
        "aws:RequestTag/kubernetes-namespace"       = "kube-system"
        "aws:RequestTag/kubernetes-service-account" = "ebs-csi-controller-sa"
      } }
    }]
    error_message = "The role is for one service account of one cluster, and Pod Identity needs both actions."
  }
  assert {
    condition     = length(aws_iam_role_policy.this) == 0 && keys(aws_iam_role_policy_attachment.this) == ["ebs"]
    error_message = "The role has the managed policy, and no own one."
  }
  assert {
    condition     = aws_eks_pod_identity_association.this.role_arn == output.role_arn
    error_message = "The association hands out this role."
  }
}

run "own_policy" {
  command = plan

  variables {
    policies             = { own = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = keys(aws_iam_role_policy.this) == ["own"]
    error_message = "The own policy is missing."
  }
  assert {
    condition     = aws_iam_role.this.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "The role is without its boundary."
  }
}

run "name_too_long_for_iam" {
  command = plan

  variables {
    name = "a-name-that-is-longer-than-the-sixty-four-characters-that-iam-takes"
  }

  expect_failures = [var.name]
}
