import { rules } from '../../../rules/index.ts';
import { stack, stage } from '../stage.ts';
import { allowedToTheGuard } from './alert-mode.ts';

/** What runs the guard itself: its logs, queues, ledger, bus and key are the same for every function, whether it uses all of it or not. */
const plumbing =
  /^(logs:.*|events:PutEvents|sqs:(ReceiveMessage|DeleteMessage|ChangeMessageVisibility|GetQueueAttributes)|dynamodb:(BatchGet|Get|Put|Update|Delete)Item|dynamodb:Query|kms:(Decrypt|GenerateDataKey))$/;

/** What policies have to allow although the suite sees nobody call it, by why. The tables of the rules call every one of them. */
const neverSeen: Readonly<Record<string, readonly string[]>> = {
  'decides whether the answer of GetFunction holds the tags': [
    'lambda:ListTags in remediate-code-changed-by-hand',
    'lambda:ListTags in remediate-code-drifted',
    'lambda:ListTags in remediate-route-unreachable',
  ],
  'puts back what waits for a quota, of which the emulator has none': [
    'sqs:SendMessage in check-apis',
    'sqs:SendMessage in check-deployments',
    'sqs:SendMessage in check-guard',
    'sqs:SendMessage in check-roles',
    'sqs:SendMessage in check-secrets',
    'sqs:SendMessage in check-vpc',
  ],
  'decides whether S3 says that an object is not there': [
    's3:ListBucket in check-deployments',
    's3:ListBucket in remediate-code-changed-by-hand',
    's3:ListBucket in remediate-code-drifted',
  ],
  'asked for beside the call that carries the tags; the emulator asks for that call alone': [
    'iam:TagRole in remediate-role-shared',
    'secretsmanager:TagResource in remediate-secret-in-environment',
    'ec2:CreateTags in remediate-security-group-open-egress',
  ],
  'of functions with a key of the customer': [
    'kms:CreateGrant in remediate-secret-in-environment',
    'kms:Encrypt in remediate-secret-in-environment',
  ],
  'a sweep asks it, and only checkers sweep': [
    'lambda:ListFunctionUrlConfigs in remediate-function-url-open',
    'lambda:ListAliases in remediate-function-policy-open',
  ],
  'asked about what leads to a subject, and a remediator begins at the subject': [
    'lambda:GetFunctionConfiguration in remediate-security-group-open-ingress',
    'lambda:ListAliases in remediate-security-group-open-ingress',
    'lambda:GetFunctionConfiguration in remediate-security-group-open-egress',
    'lambda:ListAliases in remediate-security-group-open-egress',
    'lambda:GetFunctionConfiguration in remediate-network-acl-open',
    'lambda:ListAliases in remediate-network-acl-open',
    'lambda:GetFunctionConfiguration in remediate-subnet-public',
    'lambda:ListAliases in remediate-subnet-public',
    'lambda:GetFunctionConfiguration in remediate-role-too-broad',
    'lambda:ListAliases in remediate-role-too-broad',
    'iam:ListEntitiesForPolicy in remediate-role-too-broad',
    'lambda:GetFunctionConfiguration in remediate-role-trust-open',
    'lambda:ListAliases in remediate-role-trust-open',
    'lambda:GetFunctionConfiguration in remediate-code-drifted',
    'iam:GetRolePolicy in remediate-secret-not-rotated',
    'iam:GetPolicy in remediate-secret-not-rotated',
    'iam:GetPolicyVersion in remediate-secret-not-rotated',
    'iam:ListRolePolicies in remediate-secret-not-rotated',
    'iam:ListAttachedRolePolicies in remediate-secret-not-rotated',
    'lambda:ListAliases in remediate-secret-not-rotated',
    'iam:GetRolePolicy in remediate-direct-deploy-permission',
    'iam:ListEntitiesForPolicy in remediate-direct-deploy-permission',
    'lambda:GetPolicy in remediate-direct-deploy-permission',
    'lambda:ListTags in remediate-direct-deploy-permission',
  ],
  'transit gateways, peerings, prefix lists and gateways, which the walk of route-unreachable does not have': [
    'ec2:DescribeInternetGateways in check-vpc',
    'ec2:DescribeManagedPrefixLists in check-vpc',
    'ec2:DescribeTransitGatewayAttachments in check-vpc',
    'ec2:DescribeTransitGatewayVpcAttachments in check-vpc',
    'ec2:DescribeVpcAttribute in check-vpc',
    'ec2:DescribeVpcPeeringConnections in check-vpc',
    'ec2:SearchTransitGatewayRoutes in check-vpc',
    'ec2:DescribeInternetGateways in remediate-route-unreachable',
    'ec2:DescribeManagedPrefixLists in remediate-route-unreachable',
    'ec2:DescribeTransitGatewayAttachments in remediate-route-unreachable',
    'ec2:DescribeTransitGatewayVpcAttachments in remediate-route-unreachable',
    'ec2:DescribeVpcAttribute in remediate-route-unreachable',
    'ec2:DescribeVpcPeeringConnections in remediate-route-unreachable',
    'ec2:SearchTransitGatewayRoutes in remediate-route-unreachable',
    'ec2:GetManagedPrefixListEntries in remediate-route-unreachable',
    'ec2:GetManagedPrefixListEntries in remediate-security-group-open-egress',
    'ec2:GetManagedPrefixListEntries in remediate-subnet-public',
  ],
  'the other ways to put the same right, which the tables of the rules walk': [
    'ec2:CreateNetworkAclEntry in remediate-network-acl-open',
    'ec2:ReplaceNetworkAclEntry in remediate-network-acl-open',
    'ec2:ReplaceRoute in remediate-route-unreachable',
    'ec2:GetSecurityGroupsForVpc in remediate-function-outside-vpc',
    'lambda:UpdateAlias in remediate-code-drifted',
    'kms:DescribeKey in remediate-guard-tampered',
    'kms:EnableKey in remediate-guard-tampered',
    'lambda:ListEventSourceMappings in remediate-guard-tampered',
    'lambda:UpdateEventSourceMapping in remediate-guard-tampered',
  ],
  'asked about parts of the guard of which there is only something to tell': [
    'cloudtrail:DescribeTrails in remediate-guard-tampered',
    'cloudtrail:GetEventSelectors in remediate-guard-tampered',
    'cloudtrail:GetTrailStatus in remediate-guard-tampered',
    'sns:ListSubscriptionsByTopic in remediate-guard-tampered',
  ],
  'probation ends after the suite': [
    'cloudwatch:GetMetricData in remediate-environment-without-cmk',
    'cloudwatch:GetMetricData in remediate-function-outside-vpc',
    'cloudwatch:GetMetricData in remediate-layer-foreign',
  ],
  'evidence, which the checker has put there by then': ['s3:PutObject in remediate-code-changed-by-hand'],
};

/** A checker shows the plan that the remediator of its rule makes, and the suite hardly ever has it do so: what one of them reads the other may. */
function planner(role: string): readonly string[] {
  return rules.flatMap(({ id, practice }) => (role === `remediate-${id}` ? [`check-${practice}`] : []));
}

export function leastPrivilege(): void {
  describe('the roles of the guard, after everything that it did', () => {
    it('were refused nothing', async () => {
      const denied = (await stage.bench.denied()).filter(({ principalArn }) => principalArn.includes(`/${stack}-`));
      expect(denied.map(({ principalArn, action, resource }) => `${principalArn.split('/').at(-1)}: ${action} on ${resource}`)).toEqual([]);
    });

    it('may do nothing to the estate that they did not do', async () => {
      const { calls } = await stage.bench.calls();
      const called = new Set(
        calls.flatMap(({ principalArn, actions }) => {
          const role = new RegExp(`:assumed-role/${stack}-([^/]+)/`).exec(principalArn)?.[1];
          return role === undefined ? [] : actions.flatMap((action) => [role, ...planner(role)].map((of) => `${action} in ${of}`));
        }),
      );
      const allowed = (await allowedToTheGuard())
        .filter(({ role }) => /-(check|remediate)-/.test(role))
        .flatMap(({ role, actions }) =>
          actions.filter((action) => !plumbing.test(action)).map((action) => `${action} in ${role.slice(stack.length + 1)}`),
        );
      const idle = [...new Set(allowed.filter((action) => !called.has(action)))];
      const known = Object.values(neverSeen).flat();
      expect(idle.filter((action) => !known.includes(action)).sort()).toEqual([]);
      expect(known.filter((action) => !allowed.includes(action))).toEqual([]);
    });
  });
}
