import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/security-group-open-egress.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const group = 'sg-0a1b2c3d4e5f60718';
const groupArn = `arn:aws:ec2:us-east-1:111122223333:security-group/${group}`;
const other = 'sg-0f0e0d0c0b0a09080';
const otherArn = `arn:aws:ec2:us-east-1:111122223333:security-group/${other}`;
const subnet = 'subnet-0a1b2c3d4e5f60718';
const everything = { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
const https = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
const anywhere = 'Whatever runs in them can send data anywhere.';

/** A group with the egress rule that every new group has, and the function in it, which the index knows. */
async function used(world: World, ledger: MemoryLedger): Promise<void> {
  world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders', Tags: { team: 'shop' } });
  world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  await ledger.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
}

/** The same group without any egress rule. */
async function closed(world: World, ledger: MemoryLedger): Promise<void> {
  await used(world, ledger);
  world.ec2.revokeSecurityGroupEgress({ GroupId: group, IpPermissions: [everything] });
}

ruleTest(rule, {
  rows: [
    {
      name: 'a group that no function uses',
      kind: 'compliant',
      arrange: ({ ec2 }) => {
        ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
      },
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'one port to the internet, and the well-known ports',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        const wellKnown = { IpProtocol: 'tcp', FromPort: 0, ToPort: 1023, Ipv6Ranges: [{ CidrIpv6: '::/0' }] };
        world.ec2.authorizeSecurityGroupEgress({ GroupId: group, IpPermissions: [https, wellKnown] });
      },
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'every port to private ranges, another group and a prefix list of AWS',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        world.ec2.createManagedPrefixList({
          PrefixListId: 'pl-63a5400a',
          PrefixListName: 'com.amazonaws.us-east-1.s3',
          OwnerId: 'AWS',
          Entries: ['52.216.0.0/15', '3.5.0.0/19'],
        });
        world.ec2.authorizeSecurityGroupEgress({
          GroupId: group,
          IpPermissions: [
            {
              IpProtocol: '-1',
              IpRanges: [{ CidrIp: '10.0.0.0/8' }],
              Ipv6Ranges: [{ CidrIpv6: 'fd00::/8' }],
              UserIdGroupPairs: [{ GroupId: group }],
              PrefixListIds: [{ PrefixListId: 'pl-63a5400a' }],
            },
          ],
        });
      },
      event: sample('ModifySecurityGroupRules/wrapped.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'the rule was taken out before the event came',
      kind: 'compliant',
      arrange: closed,
      event: sample('RevokeSecurityGroupEgress/by-rule-id.json'),
      expect: { compliant: [groupArn] },
    },
    {
      name: 'open ingress, which is another rule’s matter',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [everything] });
      },
      sweep: orders,
      expect: { compliant: [groupArn] },
    },
    {
      name: 'a function leaves an open group, and nobody else uses it',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'everything to all of IPv4, as every new group has it',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.authorizeSecurityGroupEgress({ GroupId: group, IpPermissions: [https] });
        world.ec2.createNetworkInterface({ Groups: [group], InterfaceType: 'lambda' });
      },
      params: { allow: 'tcp/443/0.0.0.0/0,tcp/8000-8100/pl-0a1b2c3d4e5f60718,udp/53/fd00::2/128' },
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'medium',
            summary: `The security group orders (${group}) of functions lets them out to the whole internet on every port: everything to 0.0.0.0/0. ${anywhere}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'all', ports: 'all', to: '0.0.0.0/0' }],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'authorizeSecurityGroupEgress',
                  input: {
                    GroupId: group,
                    IpPermissions: [
                      { IpProtocol: 'tcp', FromPort: 8000, ToPort: 8100, PrefixListIds: [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }] },
                    ],
                  },
                  undo: [
                    {
                      call: 'revokeSecurityGroupEgress',
                      input: {
                        GroupId: group,
                        IpPermissions: [
                          { IpProtocol: 'tcp', FromPort: 8000, ToPort: 8100, PrefixListIds: [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }] },
                        ],
                      },
                    },
                  ],
                },
                {
                  call: 'authorizeSecurityGroupEgress',
                  input: {
                    GroupId: group,
                    IpPermissions: [{ IpProtocol: 'udp', FromPort: 53, ToPort: 53, Ipv6Ranges: [{ CidrIpv6: 'fd00::2/128' }] }],
                  },
                  undo: [
                    {
                      call: 'revokeSecurityGroupEgress',
                      input: {
                        GroupId: group,
                        IpPermissions: [{ IpProtocol: 'udp', FromPort: 53, ToPort: 53, Ipv6Ranges: [{ CidrIpv6: 'fd00::2/128' }] }],
                      },
                    },
                  ],
                },
                {
                  call: 'revokeSecurityGroupEgress',
                  input: { GroupId: group, SecurityGroupRuleIds: ['sgr-00000000000000001'] },
                  undo: [{ call: 'authorizeSecurityGroupEgress', input: { GroupId: group, IpPermissions: [everything] } }],
                },
              ],
            },
          },
        ],
        compliant: [],
      },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'refused: no list of what the functions need',
      kind: 'violating',
      arrange: used,
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'medium',
            summary: `The security group orders (${group}) of functions lets them out to the whole internet on every port: everything to 0.0.0.0/0. ${anywhere}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'all', ports: 'all', to: '0.0.0.0/0' }],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'revokeSecurityGroupEgress',
                  input: { GroupId: group, SecurityGroupRuleIds: ['sgr-00000000000000001'] },
                  undo: [{ call: 'authorizeSecurityGroupEgress', input: { GroupId: group, IpPermissions: [everything] } }],
                },
              ],
              refused: 'SecurityGroupOpenEgressAllow is empty: without these rules the functions would be cut off.',
            },
          },
        ],
      },
    },
    {
      name: 'refused: others use the group as well',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        world.ec2.authorizeSecurityGroupEgress({
          GroupId: group,
          IpPermissions: [{ IpProtocol: 'tcp', FromPort: 0, ToPort: 65535, Ipv6Ranges: [{ CidrIpv6: '::/0', Description: 'out' }] }, https],
        });
        world.ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: 'eni-0b1c2d3e4f5061728' });
      },
      params: { allow: 'tcp/443/0.0.0.0/0' },
      event: sample('ModifySecurityGroupRules/wrapped.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'medium',
            summary: `The security group orders (${group}) of functions lets them out to the whole internet on every port: all of tcp to ::/0. ${anywhere}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'tcp', ports: '0-65535', to: '::/0', description: 'out' }],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'revokeSecurityGroupEgress',
                  input: { GroupId: group, SecurityGroupRuleIds: ['sgr-00000000000000003'] },
                  undo: [
                    {
                      call: 'authorizeSecurityGroupEgress',
                      input: {
                        GroupId: group,
                        IpPermissions: [
                          { IpProtocol: 'tcp', FromPort: 0, ToPort: 65535, Ipv6Ranges: [{ CidrIpv6: '::/0', Description: 'out' }] },
                        ],
                      },
                    },
                  ],
                },
              ],
              refused: `${group} is used by more than functions: eni-0b1c2d3e4f5061728 (interface) may need what its rules let out.`,
            },
          },
        ],
      },
    },
    {
      name: 'refused: the list itself lets everything out',
      kind: 'violating',
      arrange: used,
      params: { allow: 'tcp/443/10.0.0.0/8,tcp/1-65535/0.0.0.0/1' },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'medium',
            summary: `The security group orders (${group}) of functions lets them out to the whole internet on every port: everything to 0.0.0.0/0. ${anywhere}`,
            evidence: {
              group: 'orders',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [{ protocol: 'all', ports: 'all', to: '0.0.0.0/0' }],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'authorizeSecurityGroupEgress',
                  input: {
                    GroupId: group,
                    IpPermissions: [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/8' }] }],
                  },
                  undo: [
                    {
                      call: 'revokeSecurityGroupEgress',
                      input: {
                        GroupId: group,
                        IpPermissions: [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/8' }] }],
                      },
                    },
                  ],
                },
                {
                  call: 'authorizeSecurityGroupEgress',
                  input: {
                    GroupId: group,
                    IpPermissions: [{ IpProtocol: 'tcp', FromPort: 1, ToPort: 65535, IpRanges: [{ CidrIp: '0.0.0.0/1' }] }],
                  },
                  undo: [
                    {
                      call: 'revokeSecurityGroupEgress',
                      input: {
                        GroupId: group,
                        IpPermissions: [{ IpProtocol: 'tcp', FromPort: 1, ToPort: 65535, IpRanges: [{ CidrIp: '0.0.0.0/1' }] }],
                      },
                    },
                  ],
                },
                {
                  call: 'revokeSecurityGroupEgress',
                  input: { GroupId: group, SecurityGroupRuleIds: ['sgr-00000000000000001'] },
                  undo: [{ call: 'authorizeSecurityGroupEgress', input: { GroupId: group, IpPermissions: [everything] } }],
                },
              ],
              refused: 'SecurityGroupOpenEgressAllow itself allows every port to 0.0.0.0/1.',
            },
          },
        ],
      },
    },
    {
      name: 'a function moves into an open group',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        world.ec2.createSecurityGroup({ GroupId: other, GroupName: 'open' });
        world.ec2.createManagedPrefixList({ PrefixListId: 'pl-0a1b2c3d4e5f60718', PrefixListName: 'all', Entries: ['0.0.0.0/0'] });
        world.ec2.authorizeSecurityGroupEgress({
          GroupId: other,
          IpPermissions: [{ IpProtocol: '-1', PrefixListIds: [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }] }],
        });
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
            severity: 'medium',
            summary: `The security group open (${other}) of functions lets them out to the whole internet on every port: everything to 0.0.0.0/0 and 1 more. ${anywhere}`,
            evidence: {
              group: 'open',
              vpc: 'vpc-0a1b2c3d4e5f60718',
              rules: [
                { protocol: 'all', ports: 'all', to: '0.0.0.0/0' },
                { protocol: 'all', ports: 'all', to: 'pl-0a1b2c3d4e5f60718' },
              ],
              functions: [orders],
            },
            tags: {},
          },
        ],
        compliant: [groupArn],
      },
      calls: { aws: 4, ledger: 2 },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json', {
        detail: { errorCode: 'Client.InvalidPermission.Duplicate', responseElements: null },
      }),
    },
    {
      name: 'ingress',
      kind: 'ignored',
      event: sample('AuthorizeSecurityGroupIngress/nested.json'),
    },
    {
      name: 'groups may not be read',
      kind: 'failing',
      arrange: used,
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      fail: { operation: 'DescribeSecurityGroups', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'a prefix list may not be read',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        const PrefixListIds = [{ PrefixListId: 'pl-0a1b2c3d4e5f60718' }];
        world.ec2.authorizeSecurityGroupEgress({ GroupId: group, IpPermissions: [{ IpProtocol: '-1', PrefixListIds }] });
      },
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      fail: { operation: 'GetManagedPrefixListEntries', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: used,
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      fail: { operation: 'DescribeSecurityGroups', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
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
  ],
  roundTrips: [
    {
      name: 'what is on the list is let out, then what is open is cut; other rules stay, and all come back with description and tags',
      arrange: async (world, ledger) => {
        await closed(world, ledger);
        world.ec2.authorizeSecurityGroupEgress({
          GroupId: group,
          IpPermissions: [
            {
              IpProtocol: '-1',
              IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'all' }, { CidrIp: '10.0.0.0/8' }],
              Ipv6Ranges: [{ CidrIpv6: '::/0' }],
            },
            https,
          ],
          TagSpecifications: [{ ResourceType: 'security-group-rule', Tags: [{ Key: 'ticket', Value: 'SHOP-7' }] }],
        });
        world.ec2.authorizeSecurityGroupIngress({ GroupId: group, IpPermissions: [everything] });
      },
      params: { allow: 'tcp/443/0.0.0.0/0,tcp/5432/10.0.0.0/16' },
      event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
      steps: ['authorizeSecurityGroupEgress', 'revokeSecurityGroupEgress', 'revokeSecurityGroupEgress'],
      fixed: ({ ec2 }) => {
        expect(ec2.describeSecurityGroups({ GroupIds: [group] })).toMatchObject({
          SecurityGroups: [
            {
              IpPermissions: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
              IpPermissionsEgress: [
                { IpProtocol: '-1', IpRanges: [{ CidrIp: '10.0.0.0/8' }], Ipv6Ranges: [] },
                { IpProtocol: 'tcp', FromPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] },
                { IpProtocol: 'tcp', FromPort: 5432, IpRanges: [{ CidrIp: '10.0.0.0/16' }] },
              ],
            },
          ],
        });
      },
    },
  ],
});
