import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/subnet-shared.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const arnOf = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${name}`;
const orders = arnOf('orders');
const group = 'sg-0a1b2c3d4e5f60718';
const subnet = 'subnet-0a1b2c3d4e5f60718';
const subnetArn = `arn:aws:ec2:us-east-1:111122223333:subnet/${subnet}`;
const vpc = 'vpc-0a1b2c3d4e5f60718';
const eni = 'eni-0b1c2d3e4f5061728';
const theirs = 'network ACL and routes are theirs too.';

/** A subnet with the interface of a function, an endpoint, and the function itself, which the index knows. */
async function used(world: World, ledger: MemoryLedger): Promise<void> {
  world.ec2.createSubnet({ SubnetId: subnet, Tags: { team: 'shop' } });
  world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
  for (const InterfaceType of ['lambda', 'vpc_endpoint', 'gateway_load_balancer_endpoint'] as const)
    world.ec2.createNetworkInterface({ Groups: [group], SubnetId: subnet, InterfaceType });
  world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  await ledger.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
}

async function neighbours(ledger: MemoryLedger, ...names: string[]): Promise<void> {
  for (const name of names) await ledger.recordNetwork({ function: arnOf(name), asOf: 1, groups: [], subnets: [subnet] });
}

ruleTest(rule, {
  rows: [
    {
      name: 'a subnet of one function, with endpoints',
      kind: 'compliant',
      arrange: used,
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [subnetArn] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a subnet that no function is in',
      kind: 'compliant',
      arrange: ({ ec2 }) => {
        ec2.createSubnet({ SubnetId: subnet });
        ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        ec2.createNetworkInterface({ Groups: [group], SubnetId: subnet });
      },
      event: sample('RunInstances/one.json'),
      expect: { compliant: [subnetArn] },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'functions that need no subnet of their own',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await neighbours(ledger, 'reports');
        world.ec2.createNetworkInterface({ Groups: [group], SubnetId: subnet });
      },
      params: { functions: 'payments,pay-*' },
      event: sample('CreateNetworkInterface/in-group.json'),
      expect: { compliant: [subnetArn] },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'other functions, where they are allowed',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await neighbours(ledger, 'reports');
      },
      params: { otherFunctions: 'allow' },
      sweep: orders,
      expect: { compliant: [subnetArn] },
    },
    {
      name: 'the other function leaves the subnet',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await neighbours(ledger, 'reports');
        world.lambda.deleteFunction({ FunctionName: 'orders' });
      },
      event: sample('DeleteFunction20150331/plain.json'),
      expect: { compliant: [subnetArn] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'another workload in the subnet',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createNetworkInterface({ Groups: [group], SubnetId: subnet, NetworkInterfaceId: eni });
      },
      event: sample('CreateNetworkInterface/in-group.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'low',
            summary: `orders needs a subnet of its own, and shares ${subnet} with ${eni} (interface): ${theirs}`,
            evidence: { vpc, functions: [orders], otherInterfaces: [{ id: eni, type: 'interface' }] },
            tags: { team: 'shop' },
          },
        ],
        compliant: [],
      },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'other functions in the subnet',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await neighbours(ledger, 'audit', 'billing', 'mail', 'reports');
      },
      params: { functions: 'orders' },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'low',
            summary: `orders needs a subnet of its own, and shares ${subnet} with audit, billing, mail, others: ${theirs}`,
            evidence: { vpc, functions: ['audit', 'billing', 'mail', 'orders', 'reports'].map(arnOf), otherInterfaces: [] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('RunInstances/one.json', { detail: { errorCode: 'Client.InstanceLimitExceeded', responseElements: null } }),
    },
    {
      name: 'an event that names no subnet',
      kind: 'ignored',
      event: sample('CreateNetworkInterface/in-group.json', { detail: { requestParameters: null, responseElements: null } }),
    },
    {
      name: 'interfaces may not be read',
      kind: 'failing',
      arrange: used,
      sweep: orders,
      fail: { operation: 'DescribeNetworkInterfaces', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: used,
      event: sample('CreateNetworkInterface/in-group.json'),
      fail: { operation: 'DescribeNetworkInterfaces', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the subnet is gone',
      kind: 'failing',
      arrange: async (_, ledger) => await neighbours(ledger, 'orders', 'reports'),
      event: sample('DeleteSubnet/by-id.json'),
    },
  ],
});
