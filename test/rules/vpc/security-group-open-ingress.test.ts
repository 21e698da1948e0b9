import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/security-group-open-ingress.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const group = 'sg-0a1b2c3d4e5f60718';
const groupArn = `arn:aws:ec2:us-east-1:111122223333:security-group/${group}`;
const other = 'sg-0f0e0d0c0b0a09080';
const otherArn = `arn:aws:ec2:us-east-1:111122223333:security-group/${other}`;
const subnet = 'subnet-0a1b2c3d4e5f60718';
const web = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'web' }] };
const office = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '203.0.113.0/24' }] };
const functionsOnly = 'Only functions use it, and functions accept no connections: nothing needs these rules.';

/** The group, and the function in it, which the index knows. */
async function used(world: World, ledger: MemoryLedger): Promise<void> {
  world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders', Tags: { team: 'shop' } });
  world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  await ledger.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
}

ruleTest(rule, {
  rows: [
    {
      name: 'a group that no function uses',
      kind: 'compliant',
      arrange: ({ ec2 }) => {
        ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'a rule for one office',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [office] });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a rule for another group, and private ranges',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [
            {
              IpProtocol: '-1',
              IpRanges: [{ CidrIp: '10.0.0.0/8' }],
              Ipv6Ranges: [{ CidrIpv6: 'fd00::/8' }],
              UserIdGroupPairs: [{ GroupId: group }],
            },
          ],
        });
      },
      event: sample('ModifySecurityGroupRules/wrapped.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'the prefix list of CloudFront, which AWS manages',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createManagedPrefixList({
          PrefixListId: 'pl-3b927c52',
          PrefixListName: 'com.amazonaws.global.cloudfront.origin-facing',
          OwnerId: 'AWS',
          Entries: ['120.52.22.96/27', '205.251.249.0/24'],
        });
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, PrefixListIds: [{ PrefixListId: 'pl-3b927c52' }] }],
        });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'the rule was taken out again before the event came',
      kind: 'compliant',
      arrange: used,
      event: sample('RevokeSecurityGroupIngress/by-rule-id.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a function outside a VPC',
      kind: 'compliant',
      arrange: (world) => {
        world.lambda.createFunction({ FunctionName: 'orders' });
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a function in a closed group',
      kind: 'compliant',
      arrange: (world) => {
        world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'a function leaves an open group, and nobody else uses it',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
        world.ec2.createSecurityGroup({ GroupId: other, GroupName: 'closed' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [other] } });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: { compliant: [otherArn, groupArn] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a function leaves an open group that another function still uses',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
        await ledger.recordNetwork({ function: `${orders}-old`, asOf: world.now, groups: [group], subnets: [subnet] });
        world.lambda.deleteFunction({ FunctionName: 'orders' });
      },
      event: sample('DeleteFunction20150331/plain.json'),
      expect: { compliant: [] },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'a name without ids, and no function in the group of that name',
      kind: 'compliant',
      arrange: ({ ec2 }) => {
        ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
      },
      event: sample('AuthorizeSecurityGroupIngress/by-name-without-ids.json'),
      expect: { compliant: ['arn:aws:ec2:us-east-1:111122223333:security-group/orders'] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'open to all of IPv4, and only functions use the group',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [office, web] });
        world.ec2.createNetworkInterface({ Groups: [group], InterfaceType: 'lambda' });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0', description: 'web' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'revokeSecurityGroupIngress',
                  input: { GroupId: group, SecurityGroupRuleIds: ['sgr-00000000000000003'] },
                  undo: [{ call: 'authorizeSecurityGroupIngress', input: { GroupId: group, IpPermissions: [web] } }],
                },
              ],
            },
          },
        ],
        compliant: [],
      },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'others use the open group as well',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
        world.ec2.createNetworkInterface({ Groups: [group], InterfaceType: 'lambda' });
        world.ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: 'eni-0b1c2d3e4f5061728' });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'high',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. Besides functions, eni-0b1c2d3e4f5061728 (interface) uses it and may be reached.`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0', description: 'web' }],
              functions: [orders],
              otherInterfaces: [{ id: 'eni-0b1c2d3e4f5061728', type: 'interface' }],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'revokeSecurityGroupIngress',
                  input: { GroupId: group, SecurityGroupRuleIds: ['sgr-00000000000000002'] },
                  undo: [{ call: 'authorizeSecurityGroupIngress', input: { GroupId: group, IpPermissions: [web] } }],
                },
              ],
              refused: `${group} is used by more than functions: eni-0b1c2d3e4f5061728 (interface) may need what its rules let in.`,
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'open to all of IPv6, on every port',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [{ IpProtocol: '-1', Ipv6Ranges: [{ CidrIpv6: '::/0' }] }],
        });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested-ipv6.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: everything from ::/0. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'all', ports: 'all', from: '::/0' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'open to each half of the internet',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [
            {
              IpProtocol: 'tcp',
              FromPort: 8000,
              ToPort: 8100,
              IpRanges: [{ CidrIp: '0.0.0.0/1' }, { CidrIp: '10.0.0.0/8' }, { CidrIp: '128.0.0.0/1' }],
            },
          ],
        });
      },
      event: sample('AuthorizeSecurityGroupIngress/flat.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 8000-8100 from 0.0.0.0/1 and 1 more. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [
                { protocol: 'tcp', ports: '8000-8100', from: '0.0.0.0/1' },
                { protocol: 'tcp', ports: '8000-8100', from: '128.0.0.0/1' },
              ],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'open to a prefix list that holds the internet',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const Entries = ['192.0.2.0/24', '0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/2'];
        world.ec2.createManagedPrefixList({ PrefixListId: 'pl-0a1b2c3d4e5f60718', PrefixListName: 'everybody', Entries });
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [
            { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, PrefixListIds: [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }] },
            { IpProtocol: 'udp', FromPort: 443, ToPort: 443, PrefixListIds: [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }] },
          ],
        });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from pl-0a1b2c3d4e5f60718 and 1 more. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [
                { protocol: 'tcp', ports: '443', from: 'pl-0a1b2c3d4e5f60718' },
                { protocol: 'udp', ports: '443', from: 'pl-0a1b2c3d4e5f60718' },
              ],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
          },
        ],
      },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'a rule that ModifySecurityGroupRules has widened',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [office] });
        world.ec2.modifySecurityGroupRules({
          GroupId: group,
          SecurityGroupRules: [
            {
              SecurityGroupRuleId: 'sgr-00000000000000002',
              SecurityGroupRule: { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIpv4: '0.0.0.0/0' },
            },
          ],
        });
      },
      event: sample('ModifySecurityGroupRules/wrapped.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a group that the event names by its name, and the answer by its id',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
      },
      event: sample('AuthorizeSecurityGroupIngress/by-name.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0', description: 'web' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
          },
        ],
      },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a group that nothing names by its id: the one that a function uses is found',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createSecurityGroup({ GroupId: other, GroupName: 'orders', VpcId: 'vpc-0f0e0d0c0b0a09080' });
        world.ec2.authorizeSecurityGroupIngress({ GroupId: other, IpPermissions: [web] });
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '0.0.0.0/0' });
      },
      event: sample('AuthorizeSecurityGroupIngress/by-name-without-ids.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 22 from 0.0.0.0/0. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '22', from: '0.0.0.0/0' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: { team: 'shop' },
          },
        ],
        compliant: ['arn:aws:ec2:us-east-1:111122223333:security-group/orders'],
      },
    },
    {
      name: 'a function moves into an open group',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createSecurityGroup({ GroupId: other, GroupName: 'open' });
        world.ec2.authorizeSecurityGroupIngress({ GroupId: other, IpPermissions: [web] });
        world.lambda.updateFunctionConfiguration({
          FunctionName: 'orders',
          VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group, other] },
        });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: {
        violations: [
          {
            subject: otherArn,
            severity: 'low',
            summary: `The security group open (${other}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. ${functionsOnly}`,
            evidence: {
              group: 'open',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0', description: 'web' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: {},
          },
        ],
        compliant: [groupArn],
      },
      calls: { aws: 4, ledger: 2 },
    },
    {
      name: 'the open group of a version that an alias routes to',
      kind: 'violating',
      arrange: (world) => {
        world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
        world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        const RoutingConfig = { AdditionalVersionWeights: { '1': 0.1 } };
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2', RoutingConfig });
      },
      event: sample('UpdateAlias20150331/live.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. ${functionsOnly}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0', description: 'web' }],
              functions: [orders],
              otherInterfaces: [],
            },
            tags: {},
          },
        ],
      },
      calls: { aws: 6, ledger: 2 },
    },
    {
      name: 'a sweep finds what no event told',
      kind: 'violating',
      arrange: (world) => {
        world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
        world.ec2.createNetworkInterface({
          Groups: [group],
          InterfaceType: 'network_load_balancer',
          NetworkInterfaceId: 'eni-0b1c2d3e4f5061728',
        });
        world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'high',
            summary: `The security group orders (${group}) of functions lets the internet in: tcp 443 from 0.0.0.0/0. Besides functions, eni-0b1c2d3e4f5061728 (network_load_balancer) uses it and may be reached.`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '443', from: '0.0.0.0/0', description: 'web' }],
              functions: [orders],
              otherInterfaces: [{ id: 'eni-0b1c2d3e4f5061728', type: 'network_load_balancer' }],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'a rule that could not be added',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupIngress/nested.json', {
        detail: { errorCode: 'Client.InvalidPermission.Duplicate', responseElements: null },
      }),
    },
    {
      name: 'a dry run of EC2, which is a call that failed',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupIngress/nested.json', {
        detail: { errorCode: 'Client.DryRunOperation', responseElements: null },
      }),
    },
    {
      name: 'an event that names no group',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupIngress/nested.json', { detail: { requestParameters: null, responseElements: null } }),
    },
    {
      name: 'egress',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupIngress/nested.json', { detail: { eventName: 'AuthorizeSecurityGroupEgress' } }),
    },
    {
      name: 'another region',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupIngress/nested.json', { region: 'eu-central-1' }),
    },
    {
      name: 'groups may not be read',
      kind: 'failing',
      arrange: used,
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      fail: { operation: 'DescribeSecurityGroups', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'interfaces may not be read: who else is open stays unknown',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      fail: { operation: 'DescribeNetworkInterfaces', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'a prefix list may not be read',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const PrefixListIds = [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }];
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [{ IpProtocol: '-1', PrefixListIds }] });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      fail: { operation: 'GetManagedPrefixListEntries', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: used,
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      fail: { operation: 'DescribeSecurityGroups', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the function may not be read',
      kind: 'failing',
      arrange: used,
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the group is gone',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.deleteSecurityGroup({ GroupId: group });
      },
      event: sample('DeleteSecurityGroup/by-id.json'),
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.lambda.deleteFunction({ FunctionName: 'orders' });
      },
      event: sample('DeleteFunction20150331/plain.json'),
    },
    {
      name: 'the prefix list is gone',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const PrefixListIds = [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }];
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [{ IpProtocol: '-1', PrefixListIds }] });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
    },
  ],
  roundTrips: [
    {
      name: 'only the offending ranges of a rule go, and come back with description and tags',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createManagedPrefixList({ PrefixListId: 'pl-0a1b2c3d4e5f60718', PrefixListName: 'everybody', Entries: ['0.0.0.0/0'] });
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [
            {
              IpProtocol: 'tcp',
              FromPort: 443,
              ToPort: 443,
              IpRanges: [{ CidrIp: '203.0.113.0/24' }, { CidrIp: '0.0.0.0/0', Description: 'web' }],
              Ipv6Ranges: [{ CidrIpv6: '::/0', Description: 'web, too' }],
              PrefixListIds: [{ PrefixListId: 'pl-0a1b2c3d4e5f60718', Description: 'everybody' }],
            },
          ],
          TagSpecifications: [{ ResourceType: 'security-group-rule', Tags: [{ Key: 'ticket', Value: 'SHOP-7' }] }],
        });
        world.ec2.authorizeSecurityGroupIngress({
          GroupId: group,
          IpPermissions: [
            { IpProtocol: '-1', IpRanges: [{ CidrIp: '128.0.0.0/1' }], UserIdGroupPairs: [{ GroupId: group }] },
            { IpProtocol: 'icmp', FromPort: 8, ToPort: -1, IpRanges: [{ CidrIp: '0.0.0.0/0' }] },
          ],
        });
      },
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
      steps: [
        'revokeSecurityGroupIngress',
        'revokeSecurityGroupIngress',
        'revokeSecurityGroupIngress',
        'revokeSecurityGroupIngress',
        'revokeSecurityGroupIngress',
      ],
      fixed: ({ ec2 }) => {
        const Filters = [{ Name: 'group-id', Values: [group] }];
        expect(ec2.describeSecurityGroups({ Filters })).toMatchObject({
          SecurityGroups: [
            {
              IpPermissions: [
                { IpProtocol: 'tcp', IpRanges: [{ CidrIp: '203.0.113.0/24' }], Ipv6Ranges: [], PrefixListIds: [] },
                { IpProtocol: '-1', IpRanges: [], UserIdGroupPairs: [{ GroupId: group }] },
              ],
              IpPermissionsEgress: [{ IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
            },
          ],
        });
      },
    },
    {
      name: 'found at the function that moved in',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [web] });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      steps: ['revokeSecurityGroupIngress'],
    },
  ],
});
