mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "shop-test"
  kubernetes_version = "1.36"
  subnet_ids         = ["subnet-a", "subnet-b"]
  compute_mode       = "managed"
  node_groups = {
    general = { instance_types = ["m7g.large", "t4g.large"], min_size = 2, max_size = 4 }
  }
  addons = {
    vpc-cni                = "v1.22.4-eksbuild.3"
    kube-proxy             = "v1.36.0-eksbuild.21"
    coredns                = "v1.14.3-eksbuild.16"
    eks-pod-identity-agent = "v1.3.10-eksbuild.3"
    aws-ebs-csi-driver     = "v1.63.1-eksbuild.1"
    metrics-server         = "v0.8.1-eksbuild.10"
  }
}

run "managed" {
  command = apply

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Access is by entries, which one can read, and by nothing else."
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API server is private unless it was asked for."
  }
  assert {
    condition     = aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "Extended support costs six times as much and is never wanted by accident."
  }
  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && aws_cloudwatch_log_group.this.name == "/aws/eks/shop-test/cluster" && aws_cloudwatch_log_group.this.retention_in_days == 90
    error_message = "All logs of the control plane go to an own group that forgets."
  }
  assert {
    condition = length(aws_eks_access_entry.this) == 0 && { for a in aws_eks_access_policy_association.this : a.principal_arn => a.policy_arn } == {
      "arn:aws:iam::123456789012:role/deployer" = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    }
    error_message = "With nobody named, whoever runs Terraform is the administrator: the role, and not its session."
  }
  assert {
    condition     = aws_launch_template.node["general"].metadata_options[0].http_tokens == "required" && aws_launch_template.node["general"].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Pods must not get at the node's credentials."
  }
  assert {
    condition     = tobool(aws_launch_template.node["general"].block_device_mappings[0].ebs[0].encrypted) && aws_launch_template.node["general"].block_device_mappings[0].ebs[0].volume_type == "gp3"
    error_message = "Nodes have encrypted gp3 disks."
  }
  assert {
    condition     = aws_eks_node_group.this["general"].ami_type == "AL2023_ARM_64_STANDARD" && aws_eks_node_group.this["general"].capacity_type == "ON_DEMAND"
    error_message = "Nodes run on Graviton, and on demand unless spot was asked for."
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "Network policies are enforced."
  }
  assert {
    condition     = keys(aws_eks_addon.before_nodes) == ["eks-pod-identity-agent", "kube-proxy", "vpc-cni"] && keys(aws_eks_addon.after_nodes) == ["aws-ebs-csi-driver", "coredns", "metrics-server"]
    error_message = "Network first, then nodes, then what runs on them."
  }
  assert {
    condition     = keys(module.addon_role) == ["aws-ebs-csi-driver", "vpc-cni"] && keys(aws_iam_role_policy_attachment.node) == ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"]
    error_message = "Two add-ons call AWS, each with a role of its own: the right to change network interfaces belongs to the CNI's pods, and not to every node."
  }
  assert {
    condition     = !aws_eks_cluster.this.compute_config[0].enabled && !aws_eks_cluster.this.storage_config[0].block_storage[0].enabled && !aws_eks_cluster.this.kubernetes_network_config[0].elastic_load_balancing[0].enabled
    error_message = "AWS takes the three switches of Auto Mode together only."
  }
  assert {
    condition     = length(aws_kms_key.this) == 0 && length(aws_eks_cluster.this.encryption_config) == 0
    error_message = "No key was asked for."
  }
}

run "somebody_else_runs_terraform_later" {
  command = plan

  override_data {
    target = data.aws_iam_session_context.current
    values = { issuer_arn = "arn:aws:iam::123456789012:role/somebody-else" }
  }

  assert {
    condition     = aws_eks_access_entry.creator[0].principal_arn == "arn:aws:iam::123456789012:role/deployer"
    error_message = "The administrator must not change with whoever runs Terraform."
  }
}

run "auto" {
  command = apply

  variables {
    compute_mode                  = "auto"
    node_groups                   = {}
    create_kms_key                = true
    admin_principal_arns          = ["arn:aws:iam::123456789012:role/deploy"]
    viewer_principal_arns         = ["arn:aws:iam::123456789012:role/team"]
    planner_principal_arns        = ["arn:aws:iam::123456789012:role/plan"]
    endpoint_public_access_cidrs  = ["203.0.113.7/32"]
    endpoint_private_access_cidrs = ["10.99.0.0/24"]
    addons                        = { metrics-server = "v0.8.1-eksbuild.10" }
    permissions_boundary          = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = aws_eks_cluster.this.compute_config[0].enabled && aws_eks_cluster.this.storage_config[0].block_storage[0].enabled && aws_eks_cluster.this.kubernetes_network_config[0].elastic_load_balancing[0].enabled
    error_message = "AWS takes the three switches of Auto Mode together only."
  }
  assert {
    condition     = contains(jsondecode(aws_iam_role.cluster.assume_role_policy).Statement[0].Action, "sts:TagSession") && length(aws_iam_role_policy_attachment.cluster) == 5
    error_message = "Auto Mode needs more of the cluster's role."
  }
  assert {
    condition     = length(aws_eks_node_group.this) == 0 && length(aws_eks_addon.before_nodes) == 0 && keys(aws_eks_addon.after_nodes) == ["metrics-server"]
    error_message = "Auto Mode brings nodes and add-ons, but for metrics-server."
  }
  assert {
    condition     = contains(keys(aws_iam_role_policy_attachment.node), "AmazonEKSWorkerNodeMinimalPolicy")
    error_message = "Auto Mode's nodes need the minimal policy."
  }
  assert {
    condition = { for arn, a in aws_eks_access_policy_association.this : arn => basename(a.policy_arn) } == {
      "arn:aws:iam::123456789012:role/deploy" = "AmazonEKSClusterAdminPolicy"
      "arn:aws:iam::123456789012:role/team"   = "AmazonEKSViewPolicy"
      "arn:aws:iam::123456789012:role/plan"   = "AmazonEKSAdminViewPolicy"
    }
    error_message = "The named administrators, viewers and planners, and nobody else."
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "The public endpoint is for the given networks."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.api["10.99.0.0/24"].from_port == 443
    error_message = "The VPN does not reach the private endpoint."
  }
  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation && aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && aws_cloudwatch_log_group.this.kms_key_id == aws_kms_key.this[0].arn
    error_message = "The own key rotates, and encrypts Secrets and logs."
  }
  assert {
    condition     = alltrue([for r in [aws_iam_role.cluster, aws_iam_role.node] : r.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "A role is without its boundary."
  }
}

# Settings that are rejected, several in a run: each variable in expect_failures must be.

run "refused_1" {
  command = plan
  variables {
    name                                   = "Shop"
    kubernetes_version                     = "1.99"
    subnet_ids                             = ["subnet-a"]
    service_ipv4_cidr                      = "172.0.0.0/8"
    compute_mode                           = "fargate"
    endpoint_private_access_cidrs          = ["0.0.0.0/0"]
    admin_principal_arns                   = ["arn:aws:sts::123456789012:assumed-role/deploy/me"] # a session
    cloudwatch_log_group_retention_in_days = 31
  }
  expect_failures = [
    var.name, var.kubernetes_version, var.subnet_ids, var.service_ipv4_cidr, var.compute_mode, var.endpoint_private_access_cidrs,
    var.admin_principal_arns, var.cloudwatch_log_group_retention_in_days,
  ]
}

run "refused_2" {
  command = plan
  variables {
    kubernetes_version    = "1.33" # out of support: EKS upgrades such clusters
    node_groups           = {}
    viewer_principal_arns = ["arn:aws:sts::123456789012:assumed-role/team/me"] # a session
  }
  expect_failures = [var.kubernetes_version, var.node_groups, var.viewer_principal_arns]
}

run "refused_3" {
  command = plan
  variables {
    node_groups                  = { general = { instance_types = ["m7g.large"], capacity_type = "CHEAP", min_size = 1, max_size = 2 } }
    addons                       = merge(var.addons, { coredns = "latest" })
    endpoint_public_access_cidrs = ["office"]
    admin_principal_arns         = ["arn:aws:iam::123456789012:role/a"]
    viewer_principal_arns        = ["arn:aws:iam::123456789012:role/a"] # the administrator
  }
  expect_failures = [var.node_groups, var.addons, var.endpoint_public_access_cidrs, var.viewer_principal_arns]
}

run "refused_4" {
  command = plan
  variables {
    node_groups            = { general = { instance_types = ["m7i.large"], min_size = 1, max_size = 2 } } # not Graviton
    addons                 = { metrics-server = "v0.8.1-eksbuild.10" }                                    # the others are missing
    planner_principal_arns = ["arn:aws:sts::123456789012:assumed-role/plan/me"]                           # a session
  }
  expect_failures = [var.node_groups, var.addons, var.planner_principal_arns]
}

run "refused_5" {
  command = plan
  variables {
    node_groups            = { general = { instance_types = ["m7g.large"], min_size = 3, max_size = 2 } }
    addons                 = merge(var.addons, { kube-proxy = "v1.37.0-eksbuild.1" }) # newer than Kubernetes
    viewer_principal_arns  = ["arn:aws:iam::123456789012:role/a"]
    planner_principal_arns = ["arn:aws:iam::123456789012:role/a"] # the viewer
  }
  expect_failures = [var.node_groups, var.addons, var.planner_principal_arns]
}

run "auto_with_groups" {
  command = plan
  variables {
    compute_mode = "auto"
  }
  expect_failures = [var.node_groups]
}

run "version_about_to_leave_support" {
  command = plan
  variables {
    kubernetes_version = "1.34"
    addons             = merge(var.addons, { kube-proxy = "v1.34.0-eksbuild.1" })
  }
  expect_failures = [check.support]
}
