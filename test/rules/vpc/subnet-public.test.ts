import { connect } from '../../../aws/handle.ts';
import { readEvent } from '../../../guard/cloudtrail.ts';
import type { Finding } from '../../../guard/finding.ts';
import { subnetSubject } from '../../../guard/subnet.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/subnet-public.ts';
import { type EventBody, sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const group = 'sg-0a1b2c3d4e5f60718';
const subnet = 'subnet-0a1b2c3d4e5f60718';
const subnetArn = `arn:aws:ec2:us-east-1:111122223333:subnet/${subnet}`;
const neighbour = 'subnet-0b00000000000000b';
const vpc = 'vpc-0a1b2c3d4e5f60718';
const table = 'rtb-0a1b2c3d4e5f60718';
const tableArn = `arn:aws:ec2:us-east-1:111122223333:route-table/${table}`;
const gateway = 'igw-0a1b2c3d4e5f60718';
const open = { DestinationCidrBlock: '0.0.0.0/0', GatewayId: gateway };
const open6 = { DestinationIpv6CidrBlock: '::/0', GatewayId: gateway };
const nat = { DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: 'nat-0a1b2c3d4e5f60718' };
const for4 =
  'functions have no public IPv4 address, so that they cannot reach the internet by it, while whatever else is put there can be reached';
const for6 = 'an IPv6 address there is a public one';
const evidence = { vpc, routeTable: table, mainTable: false, functions: [orders], made: [] };
const remove = {
  call: 'deleteRoute',
  input: { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0' },
  undo: [{ call: 'createRoute', input: { RouteTableId: table, ...open } }],
};

/** A route table with the subnets, and the gateway, that are associated with it; what has the same id is replaced. */
function putTable(
  { ec2 }: World,
  of: { RouteTableId: string; Main?: boolean; Subnets?: readonly string[]; Gateway?: string; Routes?: readonly RouteOf[] },
): void {
  const { RouteTableId, Main = false, Subnets = [], Gateway: GatewayId, Routes = [] } = of;
  const associations = [
    ...(Main ? [{ Main }] : []),
    ...Subnets.map((SubnetId) => ({ SubnetId })),
    ...(GatewayId === undefined ? [] : [{ GatewayId }]),
  ];
  const Associations = associations.map((one) => ({ RouteTableId, AssociationState: { State: 'associated' as const }, ...one }));
  const local = { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active' as const };
  ec2.put('routeTables', {
    RouteTableId,
    VpcId: vpc,
    Associations,
    Routes: [local, ...Routes.map((one) => ({ State: 'active' as const, ...one }))],
  });
}

type RouteOf = { DestinationCidrBlock?: string; DestinationPrefixListId?: string; GatewayId: string; State?: 'active' | 'blackhole' };

/** A subnet with a route table of its own, beside the main one, and the function in it, which the index knows. */
async function used(world: World, ledger: MemoryLedger): Promise<void> {
  const { ec2, lambda } = world;
  for (const SubnetId of [subnet, neighbour]) ec2.createSubnet({ SubnetId, Tags: { team: 'shop' } });
  ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
  putTable(world, { RouteTableId: 'rtb-00000000000000001', Main: true, Routes: [open] });
  putTable(world, { RouteTableId: table, Subnets: [subnet] });
  ec2.createNetworkInterface({ Groups: [group], SubnetId: subnet, InterfaceType: 'lambda' });
  lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  await ledger.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
}

async function opened(world: World, ledger: MemoryLedger): Promise<void> {
  await used(world, ledger);
  world.ec2.createRoute({ RouteTableId: table, ...open });
}

ruleTest(rule, {
  rows: [
    {
      name: 'a route to a NAT gateway',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createRoute({ RouteTableId: table, ...nat });
      },
      event: sample('ReplaceRoute/internet-gateway.json'),
      expect: { compliant: [subnetArn, tableArn] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a public subnet that no function is in',
      kind: 'compliant',
      arrange: (world) => {
        world.ec2.createSubnet({ SubnetId: subnet });
        putTable(world, { RouteTableId: table, Subnets: [subnet], Routes: [open] });
      },
      event: sample('CreateRoute/internet-gateway.json'),
      expect: { compliant: [subnetArn, tableArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'the route was deleted before the event came',
      kind: 'compliant',
      arrange: used,
      event: sample('DeleteRoute/everywhere.json'),
      expect: { compliant: [subnetArn, tableArn] },
    },
    {
      name: 'a route to a gateway that is no longer attached',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const Routes = [{ ...open, State: 'blackhole' as const }];
        putTable(world, { RouteTableId: table, Subnets: [subnet], Routes });
      },
      sweep: orders,
      expect: { compliant: [subnetArn] },
    },
    {
      name: 'a function leaves a public subnet',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await opened(world, ledger);
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: { compliant: [subnetArn] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a route for IPv4 that the event made',
      kind: 'violating',
      arrange: opened,
      event: sample('CreateRoute/internet-gateway.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: {
              ...evidence,
              routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }],
              made: ['0.0.0.0/0'],
            },
            tags: { team: 'shop' },
            plan: { steps: [remove], remains: [] },
          },
        ],
        compliant: [tableArn],
      },
      calls: { aws: 3, ledger: 3 },
    },
    {
      name: 'a route for IPv6 that the event made, beside one for IPv4 that was there',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await opened(world, ledger);
        world.ec2.createRoute({ RouteTableId: table, ...open6 });
      },
      event: sample('CreateRoute/internet-gateway-ipv6.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 and ::/0 to ${gateway}: ${for4}; ${for6}.`,
            evidence: {
              ...evidence,
              routes: [
                { family: 'ipv4', destination: '0.0.0.0/0', gateway },
                { family: 'ipv6', destination: '::/0', gateway },
              ],
              made: ['::/0'],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'deleteRoute',
                  input: { RouteTableId: table, DestinationIpv6CidrBlock: '::/0' },
                  undo: [{ call: 'createRoute', input: { RouteTableId: table, ...open6 } }],
                },
              ],
              remains: [`0.0.0.0/0 → ${gateway}`],
            },
          },
        ],
      },
    },
    {
      name: 'refused: others live in the subnets of the table',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await opened(world, ledger);
        putTable(world, { RouteTableId: table, Subnets: [subnet, neighbour], Routes: [open] });
        world.ec2.createNetworkInterface({ Groups: [group], SubnetId: neighbour, NetworkInterfaceId: 'eni-0b1c2d3e4f5061728' });
      },
      event: sample('CreateRoute/internet-gateway.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: {
              ...evidence,
              routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }],
              made: ['0.0.0.0/0'],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [remove],
              remains: [],
              refused: `In the subnets of ${table} live more than functions: eni-0b1c2d3e4f5061728 (interface) may need the route.`,
            },
          },
        ],
        compliant: [`arn:aws:ec2:us-east-1:111122223333:subnet/${neighbour}`, tableArn],
      },
    },
    {
      name: 'refused: the main table, which a subnet of others follows',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        putTable(world, { RouteTableId: 'rtb-00000000000000001', Main: false });
        putTable(world, { RouteTableId: table, Main: true, Routes: [open] });
        world.ec2.createNetworkInterface({ Groups: [group], SubnetId: neighbour, NetworkInterfaceId: 'eni-0b1c2d3e4f5061728' });
      },
      event: sample('CreateRoute/internet-gateway.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: {
              ...evidence,
              mainTable: true,
              routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }],
              made: ['0.0.0.0/0'],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [remove],
              remains: [],
              refused: `In the subnets of ${table} live more than functions: eni-0b1c2d3e4f5061728 (interface) may need the route.`,
            },
          },
        ],
        compliant: [`arn:aws:ec2:us-east-1:111122223333:subnet/${neighbour}`, tableArn],
      },
    },
    {
      name: 'refused: the table also routes what comes in through a gateway',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        putTable(world, { RouteTableId: table, Subnets: [subnet], Gateway: gateway, Routes: [open] });
      },
      event: sample('CreateRoute/internet-gateway.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: {
              ...evidence,
              routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }],
              made: ['0.0.0.0/0'],
            },
            tags: { team: 'shop' },
            plan: { steps: [remove], remains: [], refused: `${table} also routes what comes in through a gateway.` },
          },
        ],
      },
    },
    {
      name: 'refused: a route that was replaced, and nobody knows where it led before',
      kind: 'violating',
      arrange: opened,
      event: sample('ReplaceRoute/internet-gateway.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: { ...evidence, routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }], replaced: ['0.0.0.0/0'] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: `No event that the guard saw made the route of ${table} to ${gateway}: whoever made it may need it.`,
            },
          },
        ],
      },
    },
    {
      name: 'a subnet is given a public route table',
      kind: 'violating',
      arrange: opened,
      event: sample('AssociateRouteTable/public-table.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: { ...evidence, routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }] },
            tags: { team: 'shop' },
          },
        ],
        compliant: [],
      },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a route to a prefix list, and a table that takes another’s place',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const DestinationPrefixListId = 'pl-0a1b2c3d4e5f60718';
        world.ec2.createManagedPrefixList({ PrefixListId: DestinationPrefixListId, PrefixListName: 'partners', Entries: ['192.0.2.0/24'] });
        const Routes = [{ DestinationPrefixListId, GatewayId: gateway, State: 'active' as const }];
        putTable(world, { RouteTableId: table, Subnets: [subnet], Routes });
      },
      event: sample('ReplaceRouteTableAssociation/public-table.json'),
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'high',
            summary: `The subnet ${subnet} of functions routes pl-0a1b2c3d4e5f60718 to ${gateway}: ${for4}.`,
            evidence: { ...evidence, routes: [{ family: 'ipv4', destination: 'pl-0a1b2c3d4e5f60718', gateway }] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a function moves into a public subnet',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.lambda.updateFunctionConfiguration({
          FunctionName: 'orders',
          VpcConfig: { SubnetIds: [neighbour], SecurityGroupIds: [group] },
        });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: {
        violations: [
          {
            subject: `arn:aws:ec2:us-east-1:111122223333:subnet/${neighbour}`,
            severity: 'high',
            summary: `The subnet ${neighbour} of functions routes 0.0.0.0/0 to ${gateway}: ${for4}.`,
            evidence: {
              vpc,
              routeTable: 'rtb-00000000000000001',
              mainTable: true,
              functions: [orders],
              made: [],
              routes: [{ family: 'ipv4', destination: '0.0.0.0/0', gateway }],
            },
            tags: { team: 'shop' },
          },
        ],
        compliant: [subnetArn],
      },
      calls: { aws: 4, ledger: 4 },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('CreateRoute/internet-gateway.json', {
        detail: { errorCode: 'Client.RouteAlreadyExists', responseElements: null },
      }),
    },
    {
      name: 'an event that names no table',
      kind: 'ignored',
      event: sample('CreateRoute/internet-gateway.json', { detail: { requestParameters: null } }),
    },
    {
      name: 'route tables may not be read',
      kind: 'failing',
      arrange: opened,
      event: sample('CreateRoute/internet-gateway.json'),
      fail: { operation: 'DescribeRouteTables', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the route table of a subnet is not shown',
      kind: 'failing',
      arrange: async ({ ec2, now }, ledger) => {
        ec2.createSubnet({ SubnetId: subnet });
        await ledger.recordNetwork({ function: orders, asOf: now, groups: [], subnets: [subnet] });
      },
      event: sample('AssociateRouteTable/public-table.json'),
      expect: { throws: 'lasting', error: 'NetworkUnreadable' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: opened,
      event: sample('CreateRoute/internet-gateway.json'),
      fail: { operation: 'DescribeSubnets', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the subnet is gone',
      kind: 'failing',
      arrange: async (_, ledger) => {
        await ledger.recordNetwork({ function: orders, asOf: 1, groups: [], subnets: [subnet] });
      },
      event: sample('DeleteSubnet/by-id.json'),
    },
    { name: 'the route table is gone', kind: 'failing', event: sample('DeleteRoute/everywhere.json') },
  ],
  roundTrips: [
    {
      name: 'the route that the event made goes, and comes back',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createRoute({ RouteTableId: table, DestinationCidrBlock: '10.1.0.0/16', TransitGatewayId: 'tgw-0a1b2c3d4e5f60718' });
        world.ec2.createRoute({ RouteTableId: table, ...open });
      },
      event: sample('CreateRoute/internet-gateway.json'),
      steps: ['deleteRoute'],
    },
    {
      name: 'a route that somebody led elsewhere leads to where it led before',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.ec2.createRoute({ RouteTableId: table, ...nat });
        world.ec2.replaceRoute({ RouteTableId: table, ...open });
        await ledger.recordKept('subnet-public', tableArn, { state: [nat], asOf: 1 });
      },
      event: sample('ReplaceRoute/internet-gateway.json'),
      steps: ['replaceRoute'],
    },
    {
      name: 'what was there before stays, and is named',
      arrange: async (world, ledger) => {
        await opened(world, ledger);
        world.ec2.createRoute({ RouteTableId: table, ...open6 });
      },
      event: sample('CreateRoute/internet-gateway-ipv6.json'),
      steps: ['deleteRoute'],
      remains: [`0.0.0.0/0 → ${gateway}`],
    },
  ],
});

test('refused: the subnet has another table by now, with a route to the same destination', async () => {
  const world = createWorld(place);
  const ledger = new MemoryLedger();
  await opened(world, ledger);
  const aws = connect(rule.check, place);
  const other = 'rtb-0f0e0d0c0b0a09080';
  putTable(world, { RouteTableId: table, Routes: [open] });
  putTable(world, { RouteTableId: other, Subnets: [subnet], Routes: [open] });
  const finding = { subject: subnetSubject(subnet, place), evidence: { routeTable: table, made: ['0.0.0.0/0'] } } as unknown as Finding;
  const context = { aws, estate: ledger, params: {}, settings: {} as never, now: world.now, changeId: 'c0ffee123456', toShow: false };
  expect(await rule.plan(finding, context)).toEqual({
    steps: [],
    refused: `No event that the guard saw made the route of ${other} to ${gateway}: whoever made it may need it.`,
  });
});

test('who made a route is known without its event, until another takes its place', async () => {
  const world = createWorld(place);
  const ledger = new MemoryLedger();
  await opened(world, ledger);
  const context = { aws: connect(rule.check, place), estate: ledger, params: {}, settings: {} as never, now: world.now };
  const made = async (event: EventBody | undefined) => {
    const read = event === undefined ? undefined : readEvent(event, place);
    const { violations } = await rule.evaluate(subnetSubject(subnet, place), {
      ...context,
      event: read !== undefined && 'event' in read ? read.event : undefined,
    });
    return violations.map(({ evidence: { made: destinations } }) => destinations);
  };
  expect(await made(undefined)).toEqual([[]]);
  expect(await made(sample('CreateRoute/internet-gateway.json'))).toEqual([['0.0.0.0/0']]);
  expect(await made(undefined)).toEqual([['0.0.0.0/0']]);
  expect(await made(sample('ReplaceRoute/internet-gateway.json', { detail: { eventTime: '2026-11-22T12:00:05Z' } }))).toEqual([[]]);
  expect(await made(undefined)).toEqual([[]]);
});

test('where the routes of a table led while they led to no internet gateway is remembered, and survives whoever replaces them', async () => {
  const world = createWorld(place);
  const ledger = new MemoryLedger();
  await used(world, ledger);
  world.ec2.createRoute({ RouteTableId: table, ...nat });
  const context = { aws: connect(rule.check, place), estate: ledger, params: {}, settings: {} as never, event: undefined };
  const look = async () => await rule.evaluate(subnetSubject(subnet, place), { ...context, now: world.now });
  expect((await look()).violations).toEqual([]);
  world.ec2.replaceRoute({ RouteTableId: table, ...open });
  expect((await look()).violations).toHaveLength(1);
  expect((await ledger.kept('subnet-public', tableArn))?.state).toEqual([nat]);
});
