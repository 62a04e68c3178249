# Roles and permissions of the pipeline. GitHub's tokens identify a repository and an environment, so there are no stored keys.
# Each environment has a deploy role. Pull requests have a read-only plan role.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  issuer  = "token.actions.githubusercontent.com"
  github  = var.create_github_oidc_provider ? aws_iam_openid_connect_provider.github[0].arn : "${local.arn}:iam::${local.account}:oidc-provider/${local.issuer}"

  # The repository in the subject of GitHub's tokens. For a repository that was created, renamed or transferred since 15 July 2026, it includes
  # the IDs of owner and repository (https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens).
  repository = split("/", var.github_repository)
  subjects = concat(
    var.github_repository_ids == null || var.trust_subject_without_ids ? ["repo:${var.github_repository}"] : [],
    [for ids in [var.github_repository_ids] : "repo:${local.repository[0]}@${ids.owner}/${local.repository[1]}@${ids.repository}" if ids != null],
  )

  # Environment tags that the pipeline of an environment must not touch. The KMS key of the states has the tag bootstrap.
  others = { for environment in var.environments : environment => setsubtract(["bootstrap", "dev", "staging", "production"], [environment]) }

  # Conditions for what belongs to an environment: an existing resource, by its tags, and one that is created, which has no tags yet.
  is_own = { for environment in var.environments : environment => [
    for tag, value in { Project = var.name, Environment = environment } :
    { test = "StringEquals", variable = "aws:ResourceTag/${tag}", values = [value] }
  ] }
  creates_own = { for environment in var.environments : environment => flatten([
    for tag, value in { Project = var.name, Environment = environment } : [
      { test = "StringEquals", variable = "aws:RequestTag/${tag}", values = [value] },
      { test = "StringEqualsIfExists", variable = "aws:ResourceTag/${tag}", values = [value] },
    ]
  ]) }

  # Tags that EKS sets on the nodes, volumes, network interfaces, load balancers and security groups of a cluster. They have no Environment tag.
  eks_tags = { EKS = "aws:eks:cluster-name", AutoMode = "eks:eks-cluster-name" }

  # The cluster of an environment with what belongs to it, and its log groups.
  clusters = { for environment in var.environments : environment => [
    for kind in ["cluster", "nodegroup", "addon", "access-entry", "podidentityassociation"] :
    "${local.arn}:eks:${var.region}:${local.account}:${kind}/${var.name}-${environment}${kind == "cluster" ? "" : "/*"}"
  ] }
  log_groups = { for environment in var.environments : environment => [
    for group in ["/aws/eks/${var.name}-${environment}/cluster", "/aws/vpc-flow-log/${var.name}-${environment}"] :
    "${local.arn}:logs:${var.region}:${local.account}:log-group:${group}*"
  ] }

  # Read-only actions of every plan. None of them reads the value of a secret.
  reads = [
    "aps:DescribeLoggingConfiguration", "aps:DescribeWorkspace", "aps:ListTagsForResource",
    "budgets:ListTagsForResource", "budgets:ViewBudget",
    "ec2:Describe*", "ec2:GetSecurityGroupsForVpc",
    "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource",
    "eks:Describe*", "eks:List*",
    "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies",
    "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListResourceTags",
    "logs:DescribeLogGroups", "logs:ListTagsForResource",
    "secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy",
  ]
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_github_oidc_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = merge(
    { plan = "pull_request" },
    { for environment in var.environments : environment => "environment:${environment}" },
  )

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.github]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [for subject in local.subjects : "${subject}:${each.value}"]
    }
  }
}

data "aws_iam_policy_document" "plan" {
  statement {
    sid       = "Reads"
    actions   = local.reads
    resources = ["*"]
  }

  statement {
    sid       = "States"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = flatten([for e in var.environments : [aws_s3_bucket.state[e].arn, "${aws_s3_bucket.state[e].arn}/*"]])
  }

  statement {
    sid       = "StateKey"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.state.arn]
  }
}

# The path protects the pipeline's roles from its own permissions, which only cover roles without a path.
resource "aws_iam_role" "plan" {
  name               = "${var.name}-plan"
  path               = "/pipeline/"
  description        = "Plans pull requests of ${var.github_repository}"
  assume_role_policy = data.aws_iam_policy_document.trust["plan"].json
}

resource "aws_iam_role_policy" "plan" {
  name   = "plan"
  role   = aws_iam_role.plan.name
  policy = data.aws_iam_policy_document.plan.json
}

# The permissions boundary of all roles that the pipeline of an environment creates. It limits them regardless of their policies, and denies
# access to resources with the tag of another environment or of its cluster. In EC2, resources without such a tag are accessible: a separate
# account for production is safer.
data "aws_iam_policy_document" "boundary" {
  for_each = var.environments

  statement {
    sid = "Nodes"
    actions = [
      "acm:DescribeCertificate", "acm:ListCertificates",
      "autoscaling:*", "ec2:*", "elasticloadbalancing:*",
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:BatchImportUpstreamImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
      "logs:DescribeLogGroups",
    ]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = [var.region]
    }
  }

  statement {
    sid       = "Cluster"
    actions   = ["eks:*", "eks-auth:*"]
    resources = local.clusters[each.key]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = local.log_groups[each.key]
  }

  statement {
    sid       = "Keys"
    actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ListGrants", "kms:ReEncrypt*"]
    resources = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]

    dynamic "condition" {
      for_each = local.is_own[each.key]

      content {
        test     = condition.value.test
        variable = condition.value.variable
        values   = condition.value.values
      }
    }
  }

  # Volumes are encrypted with an AWS-managed key, which has no tag of this project.
  statement {
    sid       = "VolumeKeys"
    actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
    resources = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["ec2.${var.region}.amazonaws.com"]
    }
  }

  statement {
    sid       = "Metrics"
    actions   = ["aps:RemoteWrite"]
    resources = ["${local.arn}:aps:${var.region}:${local.account}:workspace/*"]

    dynamic "condition" {
      for_each = local.is_own[each.key]

      content {
        test     = condition.value.test
        variable = condition.value.variable
        values   = condition.value.values
      }
    }
  }

  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    resources = ["${local.arn}:secretsmanager:${var.region}:${local.account}:secret:${var.name}-${each.key}/*"]
  }

  # Auto Mode creates the instance profile of its nodes and assigns the node role to it.
  statement {
    sid       = "InstanceProfiles"
    actions   = ["iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile"]
    resources = ["${local.arn}:iam::${local.account}:instance-profile/eks*"]
  }

  statement {
    sid       = "NodeRole"
    actions   = ["iam:GetRole", "iam:PassRole"]
    resources = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-node"]

    condition {
      test     = "StringEqualsIfExists"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }

  statement {
    sid       = "ServiceLinkedRoles"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.arn}:iam::${local.account}:role/aws-service-role/*"]
  }

  statement {
    sid       = "OtherEnvironments"
    effect    = "Deny"
    actions   = ["autoscaling:*", "ec2:*", "elasticloadbalancing:*", "kms:*"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Project"
      values   = [var.name]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Environment"
      values   = local.others[each.key]
    }
  }

  dynamic "statement" {
    for_each = local.eks_tags

    content {
      sid       = "OtherClusters${statement.key}"
      effect    = "Deny"
      actions   = ["autoscaling:*", "ec2:*", "elasticloadbalancing:*"]
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/${statement.value}"
        values   = [for other in local.others[each.key] : "${var.name}-${other}"]
      }
    }
  }
}

resource "aws_iam_policy" "boundary" {
  for_each = var.environments

  name        = "${var.name}-${each.key}-boundary"
  description = "Limits the roles that the pipeline of ${var.name} creates in ${each.key}"
  policy      = data.aws_iam_policy_document.boundary[each.key].json
}

data "aws_iam_policy_document" "deploy" {
  for_each = var.environments

  statement {
    sid       = "Reads"
    actions   = local.reads
    resources = ["*"]
  }

  # Most EC2 ARNs do not identify an environment. The region and tags below do.
  statement {
    sid = "Network"
    actions = [
      "ec2:AllocateAddress", "ec2:DisassociateAddress", "ec2:ReleaseAddress",
      "ec2:AssociateRouteTable", "ec2:CreateRoute", "ec2:CreateRouteTable", "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DisassociateRouteTable", "ec2:ReplaceRoute",
      "ec2:AttachInternetGateway", "ec2:CreateInternetGateway", "ec2:DeleteInternetGateway", "ec2:DetachInternetGateway",
      "ec2:AuthorizeSecurityGroup*", "ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroup*", "ec2:UpdateSecurityGroupRuleDescriptions*",
      "ec2:CreateFlowLogs", "ec2:DeleteFlowLogs",
      "ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate", "ec2:ModifyLaunchTemplate", "ec2:RunInstances",
      "ec2:CreateNatGateway", "ec2:DeleteNatGateway",
      "ec2:CreateSubnet", "ec2:DeleteSubnet", "ec2:ModifySubnetAttribute",
      "ec2:CreateTags", "ec2:DeleteTags",
      "ec2:CreateVpc", "ec2:DeleteVpc", "ec2:ModifyVpcAttribute",
      "ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:ModifyVpcEndpoint",
    ]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = [var.region]
    }
  }

  # The private DNS of interface endpoints. AWS owns the zones.
  statement {
    sid       = "PrivateDNS"
    actions   = ["route53:AssociateVPCWithHostedZone"]
    resources = ["*"]
  }

  statement {
    sid         = "OtherEnvironments"
    effect      = "Deny"
    not_actions = concat(local.reads, ["kms:Decrypt", "kms:GenerateDataKey"]) # for the key of the states, see StateKey
    resources   = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Project"
      values   = [var.name]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Environment"
      values   = local.others[each.key]
    }
  }

  dynamic "statement" {
    for_each = local.eks_tags

    content {
      sid       = "OtherClusters${statement.key}"
      effect    = "Deny"
      actions   = ["ec2:*", "iam:RemoveRoleFromInstanceProfile"]
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/${statement.value}"
        values   = [for other in local.others[each.key] : "${var.name}-${other}"]
      }
    }
  }

  # A cluster that does not exist yet has no ARN for IAM to match.
  statement {
    sid       = "NewCluster"
    actions   = ["eks:CreateCluster"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/Environment"
      values   = [each.key]
    }
  }

  statement {
    sid       = "Cluster"
    actions   = ["eks:*"]
    resources = local.clusters[each.key]
  }

  statement {
    sid       = "RolesWithBoundary"
    actions   = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
    resources = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = [aws_iam_policy.boundary[each.key].arn]
    }
  }

  statement {
    sid       = "Roles"
    actions   = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
    resources = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-*"]
  }

  # When a cluster of Auto Mode is deleted, its instance profile may remain for some time. The provider removes the node role from it before
  # it deletes the role.
  statement {
    sid       = "InstanceProfiles"
    actions   = ["iam:RemoveRoleFromInstanceProfile"]
    resources = ["${local.arn}:iam::${local.account}:instance-profile/eks*"]
  }

  statement {
    sid       = "PassRoles"
    actions   = ["iam:PassRole"]
    resources = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
    }
  }

  statement {
    sid       = "ServiceLinkedRoles"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.arn}:iam::${local.account}:role/aws-service-role/*"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["autoscaling.amazonaws.com", "eks-nodegroup.amazonaws.com", "eks.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com"]
    }
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DisassociateKmsKey", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource"]
    resources = local.log_groups[each.key]
  }

  # EC2 and EKS need these to deliver logs.
  statement {
    sid       = "LogDelivery"
    actions   = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery"]
    resources = ["*"]
  }

  # New resources have no tags yet, so the conditions check the tags of the request. Tags give access to a key, so those of a key that
  # belongs to somebody else, which has other tags or an alias, must not be changed.
  statement {
    sid       = "NewKeys"
    actions   = ["kms:CreateKey", "kms:TagResource"]
    resources = ["*"]

    dynamic "condition" {
      for_each = local.creates_own[each.key]

      content {
        test     = condition.value.test
        variable = condition.value.variable
        values   = condition.value.values
      }
    }

    condition {
      test     = "Null"
      variable = "kms:ResourceAliases"
      values   = ["true"]
    }
  }

  # KMS may take five minutes to recognize the tags of a new key in conditions, but the provider enables rotation at once, and replaces a
  # key whose rotation it could not enable.
  statement {
    sid       = "Rotation"
    actions   = ["kms:EnableKeyRotation"]
    resources = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]
  }

  statement {
    sid       = "OwnKeys"
    actions   = ["kms:CreateAlias", "kms:CreateGrant", "kms:DeleteAlias", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"]
    resources = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]

    dynamic "condition" {
      for_each = local.is_own[each.key]

      content {
        test     = condition.value.test
        variable = condition.value.variable
        values   = condition.value.values
      }
    }
  }

  statement {
    sid       = "Aliases"
    actions   = ["kms:CreateAlias", "kms:DeleteAlias"]
    resources = ["${local.arn}:kms:${var.region}:${local.account}:alias/eks/${var.name}-${each.key}"]
  }

  statement {
    sid       = "Registry"
    actions   = ["ecr:CreateRepository", "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource"]
    resources = ["${local.arn}:ecr:${var.region}:${local.account}:repository/${each.key}/*"]
  }

  statement {
    sid       = "NewWorkspace"
    actions   = ["aps:CreateWorkspace", "aps:TagResource"]
    resources = ["*"]

    dynamic "condition" {
      for_each = local.creates_own[each.key]

      content {
        test     = condition.value.test
        variable = condition.value.variable
        values   = condition.value.values
      }
    }
  }

  statement {
    sid       = "Workspace"
    actions   = ["aps:DeleteWorkspace", "aps:TagResource", "aps:UntagResource", "aps:UpdateWorkspaceAlias"]
    resources = ["${local.arn}:aps:${var.region}:${local.account}:workspace/*"]

    dynamic "condition" {
      for_each = local.is_own[each.key]

      content {
        test     = condition.value.test
        variable = condition.value.variable
        values   = condition.value.values
      }
    }
  }

  statement {
    sid       = "Budget"
    actions   = ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"]
    resources = ["${local.arn}:budgets::${local.account}:budget/${var.name}-${each.key}", "${local.arn}:budgets::${local.account}:budget/${var.name}-${each.key}-account"]
  }

  # Manages the secret, but cannot read its value.
  statement {
    sid       = "Secret"
    actions   = ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecret"]
    resources = ["${local.arn}:secretsmanager:${var.region}:${local.account}:secret:${var.name}-${each.key}/*"]
  }

  statement {
    sid       = "State"
    actions   = ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    resources = [aws_s3_bucket.state[each.key].arn, "${aws_s3_bucket.state[each.key].arn}/*"]
  }

  statement {
    sid       = "StateKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.state.arn]
  }
}

resource "aws_iam_role" "deploy" {
  for_each = var.environments

  name                 = "${var.name}-${each.key}-deploy"
  path                 = "/pipeline/"
  description          = "Applies ${each.key} from ${var.github_repository}"
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = 7200

  tags = { Environment = each.key }
}

resource "aws_iam_role_policy" "deploy" {
  for_each = var.environments

  name   = "deploy"
  role   = aws_iam_role.deploy[each.key].name
  policy = data.aws_iam_policy_document.deploy[each.key].json
}
