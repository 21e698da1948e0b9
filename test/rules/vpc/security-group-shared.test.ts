import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/security-group-shared.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const group = 'sg-0a1b2c3d4e5f60718';
const groupArn = `arn:aws:ec2:us-east-1:111122223333:security-group/${group}`;
const other = 'sg-0f0e0d0c0b0a09080';
const otherArn = `arn:aws:ec2:us-east-1:111122223333:security-group/${other}`;
const subnet = 'subnet-0a1b2c3d4e5f60718';
const vpc = 'vpc-0a1b2c3d4e5f60718';
const eni = 'eni-0b1c2d3e4f5061728';
const opens = 'A rule that is made for the one opens the other too.';

/** The group, and the function in it, which the index knows and which has an interface. */
async function used(world: World, ledger: MemoryLedger, GroupName = 'orders'): Promise<void> {
  world.ec2.createSecurityGroup({ GroupId: group, GroupName, Tags: { team: 'shop' } });
  world.ec2.createNetworkInterface({ Groups: [group], InterfaceType: 'lambda' });
  world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  await ledger.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
}

ruleTest(rule, {
  rows: [
    {
      name: 'a group that functions alone use',
      kind: 'compliant',
      arrange: used,
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 4, ledger: 1 },
    },
    {
      name: 'an interface in a group that no function uses',
      kind: 'compliant',
      arrange: ({ ec2 }) => {
        ec2.createSecurityGroup({ GroupId: group, GroupName: 'default' });
        ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: eni });
      },
      event: sample('CreateNetworkInterface/in-group.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'a function leaves a shared group, and no other function uses it',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: eni });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: { compliant: [groupArn] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'somebody else’s interface joins the group',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: eni });
      },
      event: sample('CreateNetworkInterface/in-group.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions is shared: ${eni} (interface) uses it besides functions. ${opens}`,
            evidence: { group: 'orders', vpc, default: false, functions: [orders], otherInterfaces: [{ id: eni, type: 'interface' }] },
            tags: { team: 'shop' },
          },
        ],
        compliant: [],
      },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'an interface, and an instance, are given the group',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: eni });
        world.ec2.createNetworkInterface({
          Groups: [group],
          NetworkInterfaceId: 'eni-0f0e0d0c0b0a09080',
          InterfaceType: 'network_load_balancer',
        });
      },
      event: sample('ModifyNetworkInterfaceAttribute/groups.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions is shared: ${eni} (interface), eni-0f0e0d0c0b0a09080 (network_load_balancer) use it besides functions. ${opens}`,
            evidence: {
              group: 'orders',
              vpc,
              default: false,
              functions: [orders],
              otherInterfaces: [
                { id: eni, type: 'interface' },
                { id: 'eni-0f0e0d0c0b0a09080', type: 'network_load_balancer' },
              ],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'an instance is launched into the group',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createNetworkInterface({ Groups: [group], NetworkInterfaceId: eni });
      },
      event: sample('RunInstances/one.json'),
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group orders (${group}) of functions is shared: ${eni} (interface) uses it besides functions. ${opens}`,
            evidence: { group: 'orders', vpc, default: false, functions: [orders], otherInterfaces: [{ id: eni, type: 'interface' }] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a function in the default group, of which nothing else is seen',
      kind: 'violating',
      arrange: (world, ledger) => used(world, ledger, 'default'),
      sweep: orders,
      expect: {
        violations: [
          {
            subject: groupArn,
            severity: 'low',
            summary: `The security group default (${group}) of functions is the default group of ${vpc}, which whatever names no other group is put into. ${opens}`,
            evidence: { group: 'default', vpc, default: true, functions: [orders], otherInterfaces: [] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a function moves from its own group into the default group, which others use',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createSecurityGroup({ GroupId: other, GroupName: 'default' });
        world.ec2.createNetworkInterface({ Groups: [other], NetworkInterfaceId: eni });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [other] } });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: {
        violations: [
          {
            subject: otherArn,
            severity: 'low',
            summary: `The security group default (${other}) of functions is the default group of ${vpc}, which whatever names no other group is put into; ${eni} (interface) uses it besides functions. ${opens}`,
            evidence: { group: 'default', vpc, default: true, functions: [orders], otherInterfaces: [{ id: eni, type: 'interface' }] },
            tags: {},
          },
        ],
        compliant: [groupArn],
      },
    },
    {
      name: 'of two groups of a function, one is shared',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createSecurityGroup({ GroupId: other, GroupName: 'servers' });
        world.ec2.createNetworkInterface({ Groups: [other], NetworkInterfaceId: eni });
        world.lambda.updateFunctionConfiguration({
          FunctionName: 'orders',
          VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group, other] },
        });
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: otherArn,
            severity: 'low',
            summary: `The security group servers (${other}) of functions is shared: ${eni} (interface) uses it besides functions. ${opens}`,
            evidence: { group: 'servers', vpc, default: false, functions: [orders], otherInterfaces: [{ id: eni, type: 'interface' }] },
            tags: {},
          },
        ],
        compliant: [groupArn],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('CreateNetworkInterface/in-group.json', {
        detail: { errorCode: 'Client.InvalidSubnetID.NotFound', responseElements: null },
      }),
    },
    {
      name: 'an instance’s attribute that is no group',
      kind: 'ignored',
      event: sample('ModifyInstanceAttribute/groups.json', { detail: { requestParameters: null } }),
    },
    {
      name: 'interfaces may not be read: whether it is shared stays unknown',
      kind: 'failing',
      arrange: used,
      event: sample('ModifyInstanceAttribute/groups.json'),
      fail: { operation: 'DescribeNetworkInterfaces', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: used,
      event: sample('CreateNetworkInterface/in-group.json'),
      fail: { operation: 'DescribeSecurityGroups', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the group is gone',
      kind: 'failing',
      arrange: async (_, ledger) => {
        await ledger.recordNetwork({ function: orders, asOf: 1, groups: [group], subnets: [subnet] });
      },
      event: sample('DeleteSecurityGroup/by-id.json'),
    },
  ],
});
