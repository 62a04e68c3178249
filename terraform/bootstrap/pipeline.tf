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
  is_own = { for environment in var.environments : environment => {
    StringEquals = { "aws:ResourceTag/Project" = var.name, "aws:ResourceTag/Environment" = environment }
  } }
  creates_own = { for environment in var.environments : environment => {
    StringEquals         = { "aws:RequestTag/Project" = var.name, "aws:RequestTag/Environment" = environment }
    StringEqualsIfExists = { "aws:ResourceTag/Project" = var.name, "aws:ResourceTag/Environment" = environment }
  } }
  is_others = { for environment in var.environments : environment => {
    StringEquals = { "aws:ResourceTag/Project" = var.name, "aws:ResourceTag/Environment" = local.others[environment] }
  } }
  in_region = { StringEquals = { "aws:RequestedRegion" = var.region } }

  # By tags that EKS sets on the nodes, volumes, network interfaces, load balancers and security groups of a cluster. They have no Environment tag.
  is_other_clusters = { for environment in var.environments : environment => {
    for kind, tag in { EKS = "aws:eks:cluster-name", AutoMode = "eks:eks-cluster-name" } :
    kind => { StringEquals = { "aws:ResourceTag/${tag}" = [for other in local.others[environment] : "${var.name}-${other}"] } }
  } }

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

# Who can assume a role: workflows of the repository, for one environment or for pull requests.
locals {
  trust = { for role, claim in merge({ plan = "pull_request" }, { for environment in var.environments : environment => "environment:${environment}" }) :
    role => jsonencode({ Version = "2012-10-17", Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.github }
      Condition = { StringEquals = {
        "${local.issuer}:aud" = "sts.amazonaws.com"
        "${local.issuer}:sub" = [for subject in local.subjects : "${subject}:${claim}"]
      } }
    }] })
  }
}

# The path protects the pipeline's roles from its own permissions, which only cover roles without a path.
resource "aws_iam_role" "plan" {
  name               = "${var.name}-plan"
  path               = "/pipeline/"
  description        = "Plans pull requests of ${var.github_repository}"
  assume_role_policy = local.trust["plan"]
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = aws_iam_role.plan.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [for sid, statement in {
    Reads = {
      Action   = local.reads
      Resource = "*"
    }

    States = {
      Action   = ["s3:GetObject", "s3:ListBucket"]
      Resource = flatten([for e in var.environments : [aws_s3_bucket.state[e].arn, "${aws_s3_bucket.state[e].arn}/*"]])
    }

    StateKey = {
      Action   = ["kms:Decrypt"]
      Resource = [aws_kms_key.state.arn]
    }
  } : merge({ Sid = sid, Effect = "Allow" }, statement)] })
}

# The permissions boundary of all roles that the pipeline of an environment creates. It limits them regardless of their policies, and denies
# access to resources with the tag of another environment or of its cluster. In EC2, resources without such a tag are accessible: a separate
# account for production is safer.
resource "aws_iam_policy" "boundary" {
  for_each = var.environments

  name        = "${var.name}-${each.key}-boundary"
  description = "Limits the roles that the pipeline of ${var.name} creates in ${each.key}"
  policy = jsonencode({ Version = "2012-10-17", Statement = [for sid, statement in merge(
    {
      Nodes = {
        Action = [
          "acm:DescribeCertificate", "acm:ListCertificates",
          "autoscaling:*", "ec2:*", "elasticloadbalancing:*",
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:BatchImportUpstreamImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
          "logs:DescribeLogGroups",
        ]
        Resource  = "*"
        Condition = local.in_region
      }

      Cluster = {
        Action   = ["eks:*", "eks-auth:*"]
        Resource = local.clusters[each.key]
      }

      Logs = {
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = local.log_groups[each.key]
      }

      Keys = {
        Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ListGrants", "kms:ReEncrypt*"]
        Resource  = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]
        Condition = local.is_own[each.key]
      }

      # Volumes are encrypted with an AWS-managed key, which has no tag of this project.
      VolumeKeys = {
        Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
        Resource  = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]
        Condition = { StringEquals = { "kms:ViaService" = ["ec2.${var.region}.amazonaws.com"] } }
      }

      Metrics = {
        Action    = ["aps:RemoteWrite"]
        Resource  = ["${local.arn}:aps:${var.region}:${local.account}:workspace/*"]
        Condition = local.is_own[each.key]
      }

      Secrets = {
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = ["${local.arn}:secretsmanager:${var.region}:${local.account}:secret:${var.name}-${each.key}/*"]
      }

      # Auto Mode creates the instance profile of its nodes and assigns the node role to it.
      InstanceProfiles = {
        Action   = ["iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile"]
        Resource = ["${local.arn}:iam::${local.account}:instance-profile/eks*"]
      }

      NodeRole = {
        Action    = ["iam:GetRole", "iam:PassRole"]
        Resource  = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-node"]
        Condition = { StringEqualsIfExists = { "iam:PassedToService" = ["ec2.amazonaws.com"] } }
      }

      ServiceLinkedRoles = {
        Action   = ["iam:CreateServiceLinkedRole"]
        Resource = ["${local.arn}:iam::${local.account}:role/aws-service-role/*"]
      }

      OtherEnvironments = {
        Effect    = "Deny"
        Action    = ["autoscaling:*", "ec2:*", "elasticloadbalancing:*", "kms:*"]
        Resource  = "*"
        Condition = local.is_others[each.key]
      }
    },
    { for kind, condition in local.is_other_clusters[each.key] : "OtherClusters${kind}" => {
      Effect    = "Deny"
      Action    = ["autoscaling:*", "ec2:*", "elasticloadbalancing:*"]
      Resource  = "*"
      Condition = condition
    } },
  ) : merge({ Sid = sid, Effect = "Allow" }, statement)] })
}

resource "aws_iam_role" "deploy" {
  for_each = var.environments

  name                 = "${var.name}-${each.key}-deploy"
  path                 = "/pipeline/"
  description          = "Applies ${each.key} from ${var.github_repository}"
  assume_role_policy   = local.trust[each.key]
  max_session_duration = 7200

  tags = { Environment = each.key }
}

resource "aws_iam_role_policy" "deploy" {
  for_each = var.environments

  name = "deploy"
  role = aws_iam_role.deploy[each.key].name
  policy = jsonencode({ Version = "2012-10-17", Statement = [for sid, statement in merge(
    {
      Reads = {
        Action   = local.reads
        Resource = "*"
      }

      # Most EC2 ARNs do not identify an environment. The region and tags below do.
      Network = {
        Action = [
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
        Resource  = "*"
        Condition = local.in_region
      }

      # The private DNS of interface endpoints. AWS owns the zones.
      PrivateDNS = {
        Action   = ["route53:AssociateVPCWithHostedZone"]
        Resource = "*"
      }

      OtherEnvironments = {
        Effect    = "Deny"
        NotAction = concat(local.reads, ["kms:Decrypt", "kms:GenerateDataKey"]) # for the key of the states, see StateKey
        Resource  = "*"
        Condition = local.is_others[each.key]
      }

      # A cluster that does not exist yet has no ARN for IAM to match.
      NewCluster = {
        Action    = ["eks:CreateCluster"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestTag/Environment" = [each.key] } }
      }

      Cluster = {
        Action   = ["eks:*"]
        Resource = local.clusters[each.key]
      }

      RolesWithBoundary = {
        Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
        Resource  = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-*"]
        Condition = { StringEquals = { "iam:PermissionsBoundary" = [aws_iam_policy.boundary[each.key].arn] } }
      }

      Roles = {
        Action   = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
        Resource = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-*"]
      }

      # When a cluster of Auto Mode is deleted, its instance profile may remain for some time. The provider removes the node role from it before
      # it deletes the role.
      InstanceProfiles = {
        Action   = ["iam:RemoveRoleFromInstanceProfile"]
        Resource = ["${local.arn}:iam::${local.account}:instance-profile/eks*"]
      }

      PassRoles = {
        Action    = ["iam:PassRole"]
        Resource  = ["${local.arn}:iam::${local.account}:role/${var.name}-${each.key}-*"]
        Condition = { StringEquals = { "iam:PassedToService" = ["ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com"] } }
      }

      ServiceLinkedRoles = {
        Action   = ["iam:CreateServiceLinkedRole"]
        Resource = ["${local.arn}:iam::${local.account}:role/aws-service-role/*"]
        Condition = { StringEquals = {
          "iam:AWSServiceName" = ["autoscaling.amazonaws.com", "eks-nodegroup.amazonaws.com", "eks.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com"]
        } }
      }

      Logs = {
        Action   = ["logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DisassociateKmsKey", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource"]
        Resource = local.log_groups[each.key]
      }

      # EC2 and EKS need these to deliver logs.
      LogDelivery = {
        Action   = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery"]
        Resource = "*"
      }

      # New resources have no tags yet, so the conditions check the tags of the request. Tags give access to a key, so those of a key that
      # belongs to somebody else, which has other tags or an alias, must not be changed.
      NewKeys = {
        Action    = ["kms:CreateKey", "kms:TagResource"]
        Resource  = "*"
        Condition = merge(local.creates_own[each.key], { Null = { "kms:ResourceAliases" = ["true"] } })
      }

      # KMS may take five minutes to recognize the tags of a new key in conditions, but the provider enables rotation at once, and replaces a
      # key whose rotation it could not enable.
      Rotation = {
        Action   = ["kms:EnableKeyRotation"]
        Resource = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]
      }

      OwnKeys = {
        Action    = ["kms:CreateAlias", "kms:CreateGrant", "kms:DeleteAlias", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"]
        Resource  = ["${local.arn}:kms:${var.region}:${local.account}:key/*"]
        Condition = local.is_own[each.key]
      }

      Aliases = {
        Action   = ["kms:CreateAlias", "kms:DeleteAlias"]
        Resource = ["${local.arn}:kms:${var.region}:${local.account}:alias/eks/${var.name}-${each.key}"]
      }

      Registry = {
        Action   = ["ecr:CreateRepository", "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource"]
        Resource = ["${local.arn}:ecr:${var.region}:${local.account}:repository/${each.key}/*"]
      }

      NewWorkspace = {
        Action    = ["aps:CreateWorkspace", "aps:TagResource"]
        Resource  = "*"
        Condition = local.creates_own[each.key]
      }

      Workspace = {
        Action    = ["aps:DeleteWorkspace", "aps:TagResource", "aps:UntagResource", "aps:UpdateWorkspaceAlias"]
        Resource  = ["${local.arn}:aps:${var.region}:${local.account}:workspace/*"]
        Condition = local.is_own[each.key]
      }

      Budget = {
        Action   = ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"]
        Resource = ["${local.arn}:budgets::${local.account}:budget/${var.name}-${each.key}", "${local.arn}:budgets::${local.account}:budget/${var.name}-${each.key}-account"]
      }

      # Manages the secret, but cannot read its value.
      Secret = {
        Action   = ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecret"]
        Resource = ["${local.arn}:secretsmanager:${var.region}:${local.account}:secret:${var.name}-${each.key}/*"]
      }

      State = {
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
        Resource = [aws_s3_bucket.state[each.key].arn, "${aws_s3_bucket.state[each.key].arn}/*"]
      }

      StateKey = {
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.state.arn]
      }
    },
    { for kind, condition in local.is_other_clusters[each.key] : "OtherClusters${kind}" => {
      Effect    = "Deny"
      Action    = ["ec2:*", "iam:RemoveRoleFromInstanceProfile"]
      Resource  = "*"
      Condition = condition
    } },
  ) : merge({ Sid = sid, Effect = "Allow" }, statement)] })
}
