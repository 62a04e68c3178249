// Evaluates the policies of bootstrap/ as IAM does: every request of a plan, an apply and a destroy must be allowed for the
// role of its environment, and every access to another environment or beyond the boundary must be denied.
// usage: terraform test -json -verbose -filter=tests/bootstrap.tftest.hcl -var-file=tests/settings.tfvars | node rights.mjs
//
// The simulator uses AWS's service authorization reference: it drops context keys that an action does not support,
// and rejects unknown actions and resources.

import { runSimulation } from '@cloud-copilot/iam-simulate'
import { text } from 'node:stream/consumers'

const account = '123456789012'
const region = 'eu-central-1'
const name = 'coingecko-exporter'
const environments = ['dev', 'staging', 'production']

const states = (await text(process.stdin)).split('\n').filter(Boolean).map((line) => JSON.parse(line))
const state = states.find((line) => line.type === 'test_state')
if (!state) {
  console.error(states.filter((line) => line['@level'] === 'error').map((line) => line['@message']).join('\n') || 'No state on standard input: run terraform test with -json -verbose.')
  process.exit(2)
}
const resources = state.test_state.root_module.resources.filter(({ type }) => type.startsWith('aws_iam_'))
const written = (attribute) => Object.fromEntries(
  resources.filter(({ values }) => values[attribute]).map(({ address, values }) => [address.split('.')[1], JSON.parse(values[attribute])]))
const policies = written('policy')
const stateBucket = (environment) => `arn:aws:s3:::state-${environment}`
const stateKey = `arn:aws:kms:${region}:${account}:key/${'1'.repeat(8)}-2222-3333-4444-555555555555`

const arn = (service, rest) => `arn:aws:${service}:${region}:${account}:${rest}`
const ec2 = (rest) => arn('ec2', rest)
const iam = (rest) => `arn:aws:iam::${account}:${rest}`

// The context keys of a resource's tags and of the tags in the request.
const tagged = (environment) => ({ 'aws:ResourceTag/Project': name, 'aws:ResourceTag/Environment': environment })
const clustered = (environment) => [{ 'aws:ResourceTag/eks:eks-cluster-name': `${name}-${environment}` }, { 'aws:ResourceTag/aws:eks:cluster-name': `${name}-${environment}` }]
const tagging = (environment) => ({ 'aws:RequestTag/Project': name, 'aws:RequestTag/Environment': environment, 'aws:TagKeys': ['Project', 'Environment'] })

// A KMS key whose policy delegates to IAM, the default of Terraform and AWS.
const keyPolicy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: iam('root') }, Action: 'kms:*', Resource: '*' }] }

async function decide(role, action, resource, context, { boundary } = {}) {
  const { overallResult, errors } = await runSimulation({
    identityPolicies: [{ name: 'role', policy: role }],
    permissionBoundaryPolicies: boundary && [{ name: 'boundary', policy: boundary }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: resource.startsWith('arn:aws:kms:') && resource.includes(':key/') ? keyPolicy : undefined,
    request: {
      action,
      principal: iam('role/pipeline/deploy'),
      resource: { accountId: account, resource },
      contextVariables: { 'aws:RequestedRegion': region, ...context },
    },
  }, {})
  if (!overallResult || errors) { console.log(`${action} on ${resource}: ${JSON.stringify(errors)}`); return undefined }
  return overallResult === 'Allowed'
}

// Collects requests: each action on each resource, with the contexts together.
function table(rows = []) {
  const row = (actions, resources, ...contexts) => {
    for (const action of [actions].flat()) for (const resource of [resources].flat()) rows.push([action, resource, Object.assign({}, ...contexts)])
  }
  return { rows, row }
}

// The requests of Terraform when it creates, tags, changes and deletes each resource of cluster/: actions, with the resources and tags of
// their evaluation. Sources: AWS's service authorization reference, and the API calls in the log of the emulator test.
function work(environment) {
  const own = tagged(environment)
  const make = tagging(environment)
  const cluster = `${name}-${environment}`
  const role = iam(`role/${cluster}-node`)
  const bounded = { 'iam:PermissionsBoundary': iam(`policy/${name}-${environment}-boundary`) }
  const key = arn('kms', 'key/99999999-2222-3333-4444-555555555555')
  const secret = arn('secretsmanager', `secret:${cluster}/coingecko-api-key-AbCdEf`)
  const workspace = arn('aps', 'workspace/ws-1')
  const groups = [arn('logs', `log-group:/aws/eks/${cluster}/cluster`), arn('logs', `log-group:/aws/vpc-flow-log/${cluster}`)]
  const repository = arn('ecr', `repository/${environment}/${name}`)
  const budget = [`arn:aws:budgets::${account}:budget/${cluster}`, `arn:aws:budgets::${account}:budget/${cluster}-account`]
  const { rows, row } = table()

  // Network. New resources only have the tags of the request; their parents have their own.
  row('ec2:CreateVpc', ec2('vpc/vpc-1'), make)
  row('ec2:CreateSubnet', ec2('subnet/subnet-1'), make)
  row(['ec2:CreateSubnet', 'ec2:CreateRouteTable', 'ec2:CreateSecurityGroup', 'ec2:CreateVpcEndpoint', 'ec2:AttachInternetGateway', 'ec2:CreateFlowLogs'], ec2('vpc/vpc-1'), own)
  row('ec2:CreateRouteTable', ec2('route-table/rtb-1'), make)
  row('ec2:CreateInternetGateway', ec2('internet-gateway/igw-1'), make)
  row('ec2:AllocateAddress', ec2('elastic-ip/eipalloc-1'), make)
  row('ec2:CreateNatGateway', ec2('natgateway/nat-1'), make)
  row('ec2:CreateNatGateway', [ec2('subnet/subnet-1'), ec2('elastic-ip/eipalloc-1')], own)
  row('ec2:CreateSecurityGroup', ec2('security-group/sg-1'), make)
  row('ec2:CreateVpcEndpoint', ec2('vpc-endpoint/vpce-1'), make)
  row('ec2:CreateVpcEndpoint', [ec2('route-table/rtb-1'), ec2('subnet/subnet-1'), ec2('security-group/sg-1')], own)
  row('route53:AssociateVPCWithHostedZone', 'arn:aws:route53:::hostedzone/Z1')
  row('ec2:CreateFlowLogs', ec2('vpc-flow-log/fl-1'), make)
  row('ec2:CreateLaunchTemplate', ec2('launch-template/lt-1'), make)
  for (const kind of ['vpc/vpc-1', 'subnet/subnet-1', 'route-table/rtb-1', 'internet-gateway/igw-1', 'elastic-ip/eipalloc-1', 'natgateway/nat-1', 'security-group/sg-1', 'vpc-endpoint/vpce-1', 'vpc-flow-log/fl-1', 'launch-template/lt-1']) {
    row('ec2:CreateTags', ec2(kind), make, { 'ec2:CreateAction': 'Create' })
    row(['ec2:CreateTags', 'ec2:DeleteTags'], ec2(kind), own, make)
  }
  // The default security group of a VPC has no tags until Terraform adopts it.
  row(['ec2:RevokeSecurityGroupIngress', 'ec2:RevokeSecurityGroupEgress'], ec2('security-group/sg-default'))
  row('ec2:CreateTags', ec2('security-group/sg-default'), make)
  row(['ec2:AuthorizeSecurityGroupIngress', 'ec2:RevokeSecurityGroupIngress', 'ec2:RevokeSecurityGroupEgress', 'ec2:DeleteSecurityGroup'], ec2('security-group/sg-1'), own)
  row(['ec2:CreateRoute', 'ec2:ReplaceRoute', 'ec2:DeleteRoute', 'ec2:AssociateRouteTable', 'ec2:DisassociateRouteTable', 'ec2:DeleteRouteTable'], ec2('route-table/rtb-1'), own)
  row(['ec2:ModifySubnetAttribute', 'ec2:DeleteSubnet'], ec2('subnet/subnet-1'), own)
  row(['ec2:ModifyVpcAttribute', 'ec2:DeleteVpc', 'ec2:DetachInternetGateway'], ec2('vpc/vpc-1'), own)
  row(['ec2:DetachInternetGateway', 'ec2:DeleteInternetGateway'], ec2('internet-gateway/igw-1'), own)
  row(['ec2:ReleaseAddress', 'ec2:DisassociateAddress'], ec2('elastic-ip/eipalloc-1'), own)
  row('ec2:DeleteNatGateway', ec2('natgateway/nat-1'), own)
  row(['ec2:ModifyVpcEndpoint', 'ec2:DeleteVpcEndpoints'], ec2('vpc-endpoint/vpce-1'), own)
  row('ec2:DeleteFlowLogs', ec2('vpc-flow-log/fl-1'), own)
  row(['ec2:CreateLaunchTemplateVersion', 'ec2:ModifyLaunchTemplate', 'ec2:DeleteLaunchTemplate'], ec2('launch-template/lt-1'), own)
  row(['ec2:DescribeVpcs', 'ec2:DescribeSubnets', 'ec2:DescribeNatGateways', 'ec2:DescribeAvailabilityZones'], '*')

  // Cluster.
  row('eks:CreateCluster', '*', make)
  row(['eks:TagResource', 'eks:DescribeCluster', 'eks:UpdateClusterConfig', 'eks:UpdateClusterVersion', 'eks:DeleteCluster', 'eks:CreateNodegroup', 'eks:CreateAddon', 'eks:CreateAccessEntry', 'eks:CreatePodIdentityAssociation'], arn('eks', `cluster/${cluster}`), make)
  row(['eks:DescribeNodegroup', 'eks:DeleteNodegroup', 'eks:UpdateNodegroupConfig', 'eks:UpdateNodegroupVersion'], arn('eks', `nodegroup/${cluster}/general/1`), own)
  row(['eks:DescribeAddon', 'eks:UpdateAddon', 'eks:DeleteAddon'], arn('eks', `addon/${cluster}/coredns/1`), own)
  row(['eks:AssociateAccessPolicy', 'eks:DisassociateAccessPolicy', 'eks:DeleteAccessEntry', 'eks:DescribeAccessEntry'], arn('eks', `access-entry/${cluster}/role/${account}/admin/1`), own)
  row(['eks:DescribePodIdentityAssociation', 'eks:DeletePodIdentityAssociation', 'eks:UpdatePodIdentityAssociation'], arn('eks', `podidentityassociation/${cluster}/a-1`), own)
  row('ec2:RunInstances', ec2('launch-template/lt-1'), own)
  for (const tag of clustered(environment)) row(['ec2:AuthorizeSecurityGroupIngress', 'ec2:RevokeSecurityGroupIngress'], ec2('security-group/sg-cluster'), tag)

  // Roles, each within the boundary.
  row(['iam:CreateRole', 'iam:AttachRolePolicy', 'iam:PutRolePolicy', 'iam:PutRolePermissionsBoundary'], role, bounded)
  row('iam:TagRole', role, make)
  row(['iam:GetRole', 'iam:UpdateAssumeRolePolicy', 'iam:DetachRolePolicy', 'iam:DeleteRolePolicy', 'iam:DeleteRole'], role)
  for (const service of ['eks.amazonaws.com', 'ec2.amazonaws.com', 'pods.eks.amazonaws.com', 'vpc-flow-logs.amazonaws.com']) row('iam:PassRole', role, { 'iam:PassedToService': service })
  row('iam:RemoveRoleFromInstanceProfile', iam('instance-profile/eks-1'))
  row('iam:CreateServiceLinkedRole', iam('role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS'), { 'iam:AWSServiceName': 'eks.amazonaws.com' })

  // The rest.
  row('kms:CreateKey', '*', make)
  row('kms:TagResource', key, make)
  row('kms:EnableKeyRotation', key) // KMS does not know the tags of a new key for some minutes
  row(['kms:EnableKeyRotation', 'kms:PutKeyPolicy', 'kms:CreateAlias', 'kms:DeleteAlias', 'kms:CreateGrant', 'kms:ScheduleKeyDeletion', 'kms:DescribeKey', 'kms:GetKeyPolicy', 'kms:GetKeyRotationStatus', 'kms:ListResourceTags'], key, own)
  row(['kms:CreateAlias', 'kms:DeleteAlias'], arn('kms', `alias/eks/${cluster}`))
  row(['logs:CreateLogGroup', 'logs:TagResource', 'logs:PutRetentionPolicy', 'logs:AssociateKmsKey', 'logs:ListTagsForResource', 'logs:DeleteLogGroup'], groups, make)
  row(['ecr:CreateRepository', 'ecr:TagResource', 'ecr:PutLifecyclePolicy', 'ecr:DescribeRepositories', 'ecr:ListTagsForResource', 'ecr:GetLifecyclePolicy', 'ecr:DeleteLifecyclePolicy', 'ecr:DeleteRepository'], repository, make)
  row(['aps:CreateWorkspace'], '*', make)
  row('aps:TagResource', workspace, make)
  row(['aps:DescribeWorkspace', 'aps:ListTagsForResource', 'aps:DeleteWorkspace'], workspace, own)
  row(['budgets:ModifyBudget', 'budgets:ViewBudget', 'budgets:TagResource', 'budgets:ListTagsForResource'], budget)
  row(['secretsmanager:CreateSecret', 'secretsmanager:TagResource', 'secretsmanager:UpdateSecret', 'secretsmanager:DescribeSecret', 'secretsmanager:GetResourcePolicy', 'secretsmanager:DeleteSecret'], secret, make)
  row('s3:ListBucket', stateBucket(environment))
  row(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], `${stateBucket(environment)}/cluster.tfstate`)
  row(['kms:Decrypt', 'kms:GenerateDataKey'], stateKey, tagged('bootstrap'))
  return rows
}

// Everything that a role may do in its own environment must be denied in another, and so must the values of secrets.
function foreign(environment, other) {
  const key = arn('kms', 'key/77777777-2222-3333-4444-555555555555')
  const { rows, row } = table(work(other).filter(([action, resource, context]) =>
    // Existing resources of the other environment, and new resources with its tags; without reads and actions that are always allowed.
    resource !== '*' && !/^(?:[a-z0-9]+:(?:Describe|Get|List|View))/.test(action) && (context['aws:ResourceTag/Environment'] === other || resource.includes(`${name}-${other}`) || resource.includes(`/${other}/`) || resource.includes(`state-${other}`))))
  row('secretsmanager:GetSecretValue', arn('secretsmanager', `secret:${name}-${other}/coingecko-api-key-AbCdEf`), tagged(other))
  row('secretsmanager:GetSecretValue', arn('secretsmanager', `secret:${name}-${environment}/coingecko-api-key-AbCdEf`), tagged(environment))
  // Changing the tags of another environment's resource would give access to it.
  row('kms:TagResource', key, { ...tagged(other), ...tagging(environment) })
  row('kms:TagResource', stateKey, { ...tagged('bootstrap'), ...tagging(environment) })
  row('kms:UntagResource', key, tagged(other))
  row(['kms:ScheduleKeyDeletion', 'kms:PutKeyPolicy'], stateKey, tagged('bootstrap'))
  row('ec2:CreateTags', ec2('vpc/vpc-9'), { ...tagged(other), ...tagging(environment) })
  row('aps:TagResource', arn('aps', 'workspace/ws-9'), { ...tagged(other), ...tagging(environment) })
  // Resources of others in the account: with tags of another project, or without tags, which could be added.
  const theirs = { 'aws:ResourceTag/Project': 'theirs', 'aws:ResourceTag/Environment': environment }
  row(['kms:PutKeyPolicy', 'kms:ScheduleKeyDeletion', 'kms:CreateGrant'], key, theirs)
  row('kms:TagResource', key, theirs, tagging(environment))
  row('kms:TagResource', key, { 'kms:ResourceAliases': ['alias/theirs'] }, tagging(environment))
  row('aps:DeleteWorkspace', arn('aps', 'workspace/ws-9'), theirs)
  row('aps:TagResource', arn('aps', 'workspace/ws-9'), theirs, tagging(environment))
  // What EKS created for another cluster has no Environment tag.
  for (const tag of clustered(other)) {
    row('ec2:AuthorizeSecurityGroupIngress', ec2('security-group/sg-9'), tag)
    row('ec2:CreateTags', ec2('instance/i-9'), tag, tagging(environment))
    row('iam:RemoveRoleFromInstanceProfile', iam('instance-profile/eks-9'), tag)
  }
  row(['s3:GetObject', 's3:PutObject'], `${stateBucket('bootstrap')}/bootstrap.tfstate`)
  return rows
}

// Privilege escalation.
function escalations(environment, other) {
  const { rows, row } = table()
  const role = iam(`role/${name}-${environment}-admin`)
  row('iam:CreateRole', role)
  row('iam:CreateRole', role, { 'iam:PermissionsBoundary': iam(`policy/${name}-${other}-boundary`) })
  row('iam:CreateRole', role, { 'iam:PermissionsBoundary': iam('policy/mine') })
  row('iam:AttachRolePolicy', role, { 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AdministratorAccess' })
  row('iam:PutRolePolicy', iam(`role/pipeline/${name}-${environment}-deploy`), { 'iam:PermissionsBoundary': iam(`policy/${name}-${environment}-boundary`) })
  row('iam:UpdateAssumeRolePolicy', [iam(`role/pipeline/${name}-${environment}-deploy`), iam(`role/pipeline/${name}-${other}-deploy`)])
  row('iam:DeleteRolePermissionsBoundary', role, { 'iam:PermissionsBoundary': iam(`policy/${name}-${environment}-boundary`) })
  row(['iam:CreatePolicyVersion', 'iam:SetDefaultPolicyVersion', 'iam:DeletePolicy'], iam(`policy/${name}-${environment}-boundary`))
  row(['iam:CreateUser', 'iam:CreateAccessKey'], iam('user/me'))
  row('iam:UpdateOpenIDConnectProviderThumbprint', iam('oidc-provider/token.actions.githubusercontent.com'))
  row('iam:PassRole', iam(`role/${name}-${other}-node`), { 'iam:PassedToService': 'ec2.amazonaws.com' })
  row('iam:PassRole', role, { 'iam:PassedToService': 'lambda.amazonaws.com' })
  row('sts:AssumeRole', iam(`role/${name}-${other}-external-secrets`))
  row('eks:CreateAccessEntry', arn('eks', `cluster/${name}-${other}`))
  row('eks:AssociateAccessPolicy', arn('eks', `access-entry/${name}-${other}/role/${account}/me/1`))
  return rows
}

// The most that a role created by the pipeline can do, regardless of its policy.
function bounded(environment, other) {
  const cluster = `${name}-${environment}`
  const allowed = [
    ['ec2:DescribeInstances', '*', {}],
    ['ecr:BatchGetImage', arn('ecr', `repository/${environment}/${name}`), {}],
    ['eks:DescribeCluster', arn('eks', `cluster/${cluster}`), {}],
    ['eks-auth:AssumeRoleForPodIdentity', arn('eks', `cluster/${cluster}`), {}],
    ['ec2:CreateVolume', ec2('volume/vol-1'), tagging(environment)],
    ...clustered(environment).flatMap((tag) => [['ec2:TerminateInstances', ec2('instance/i-1'), tag], ['ec2:AttachVolume', ec2('volume/vol-1'), tag]]),
    ['kms:CreateGrant', arn('kms', 'key/88888888-2222-3333-4444-555555555555'), { 'kms:ViaService': `ec2.${region}.amazonaws.com` }],
    ['kms:Decrypt', arn('kms', 'key/99999999-2222-3333-4444-555555555555'), tagged(environment)],
    ['aps:RemoteWrite', arn('aps', 'workspace/ws-1'), tagged(environment)],
    ['secretsmanager:GetSecretValue', arn('secretsmanager', `secret:${cluster}/coingecko-api-key-AbCdEf`), {}],
    ['iam:PassRole', iam(`role/${cluster}-node`), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ['elasticloadbalancing:CreateLoadBalancer', arn('elasticloadbalancing', 'loadbalancer/net/a/1'), tagging(environment)],
    ['logs:PutLogEvents', arn('logs', `log-group:/aws/vpc-flow-log/${cluster}:log-stream:a`), {}],
  ]
  const denied = [
    ['secretsmanager:GetSecretValue', arn('secretsmanager', `secret:${name}-${other}/coingecko-api-key-AbCdEf`), {}],
    ['kms:Decrypt', arn('kms', 'key/77777777-2222-3333-4444-555555555555'), tagged(other)],
    ['kms:Decrypt', stateKey, tagged('bootstrap')],
    ['kms:CreateGrant', arn('kms', 'key/77777777-2222-3333-4444-555555555555'), { ...tagged(other), 'kms:ViaService': `ec2.${region}.amazonaws.com` }],
    ['aps:RemoteWrite', arn('aps', 'workspace/ws-9'), tagged(other)],
    ['ec2:TerminateInstances', ec2('instance/i-9'), tagged(other)],
    ['ec2:AttachVolume', ec2('volume/vol-9'), tagged(other)],
    ['ec2:RunInstances', arn('ec2', 'subnet/subnet-9'), tagged(other)],
    ...clustered(other).flatMap((tag) => [
      ['ec2:TerminateInstances', ec2('instance/i-9'), tag],
      ['ec2:AttachVolume', ec2('volume/vol-9'), tag],
      ['ec2:AuthorizeSecurityGroupIngress', ec2('security-group/sg-9'), tag],
      ['elasticloadbalancing:DeleteLoadBalancer', arn('elasticloadbalancing', 'loadbalancer/net/c/1'), tag],
    ]),
    ['kms:Decrypt', arn('kms', 'key/77777777-2222-3333-4444-555555555555'), { 'aws:ResourceTag/Project': 'theirs', 'aws:ResourceTag/Environment': environment }],
    ['aps:RemoteWrite', arn('aps', 'workspace/ws-9'), { 'aws:ResourceTag/Project': 'theirs', 'aws:ResourceTag/Environment': environment }],
    ['elasticloadbalancing:DeleteLoadBalancer', arn('elasticloadbalancing', 'loadbalancer/net/b/1'), tagged(other)],
    ['eks:DeleteCluster', arn('eks', `cluster/${name}-${other}`), {}],
    ['eks:CreateAccessEntry', arn('eks', `cluster/${name}-${other}`), {}],
    ['iam:PassRole', iam(`role/${name}-${other}-node`), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ['iam:PassRole', iam(`role/${name}-${other}-external-secrets`), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ['iam:CreateRole', iam(`role/${name}-${environment}-more`), {}],
    ['iam:PutRolePolicy', iam(`role/${name}-${environment}-node`), {}],
    ['sts:AssumeRole', iam(`role/pipeline/${name}-${other}-deploy`), {}],
    ['s3:GetObject', `${stateBucket(other)}/cluster.tfstate`, {}],
    ['s3:GetObject', `${stateBucket(environment)}/cluster.tfstate`, {}],
  ]
  return { allowed, denied }
}

let asked = 0
const wrong = []
async function expect(want, who, policy, rows, options) {
  for (const [action, resource, context] of rows) {
    asked++
    if ((await decide(policy, action, resource, context, options)) !== want) wrong.push(`${who}: ${action} on ${resource} ${JSON.stringify(context)} is ${want ? 'denied' : 'allowed'}`)
  }
}

const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
for (const environment of environments) {
  const role = policies[`deploy["${environment}"]`]
  const boundary = policies[`boundary["${environment}"]`]
  await expect(true, `deploy of ${environment}`, role, work(environment))
  await expect(true, `plan of ${environment}`, policies.plan, work(environment).filter(([action, resource]) =>
    /^(?:(?:ec2|eks|iam|kms|logs|ecr|aps|budgets|secretsmanager):(?:Describe|Get|List|View)|s3:(?:Get|List)|kms:Decrypt)/.test(action) && !/:GetSecretValue/.test(action)))
  await expect(false, `plan of ${environment}`, policies.plan, work(environment).filter(([action]) => !/:(Describe|Get|List|View|Decrypt)/.test(action)))
  for (const other of environments.filter((one) => one !== environment)) {
    await expect(false, `deploy of ${environment} in ${other}`, role, foreign(environment, other))
    await expect(false, `deploy of ${environment}, escalating`, role, escalations(environment, other))
    const limits = bounded(environment, other)
    await expect(true, `a role of ${environment} within its boundary`, everything, limits.allowed, { boundary })
    await expect(false, `a role of ${environment} past its boundary`, everything, limits.denied, { boundary })
  }
}

// IAM's limits of characters, with the longest name that variables.tf accepts.
for (const [address, policy] of [...Object.entries(policies), ...Object.entries(written('assume_role_policy')).map(([role, policy]) => [`trust of ${role}`, policy])]) {
  const limit = { boundary: 6144, deploy: 10240, plan: 10240, trust: 2048 }[address.split(/[[ ]/)[0]]
  const size = JSON.stringify(policy).replaceAll(name, 'n'.repeat(30)).length
  if (size > limit) wrong.push(`${address} has ${size} characters, and IAM allows ${limit}`)
}

for (const line of wrong) console.log(line)
console.log(`${asked} requests evaluated, ${wrong.length} not as they should be`)
process.exit(wrong.length || asked < 1000 ? 1 : 0)
