import type { Route, RouteTable } from '@aws-sdk/client-ec2';
import { connect } from '../../../aws/handle.ts';
import { triggered } from '../../../guard/check.ts';
import { readEvent } from '../../../guard/cloudtrail.ts';
import type { AnyRule } from '../../../guard/rule.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/route-unreachable.ts';
import { rule as publicRule } from '../../../rules/vpc/subnet-public.ts';
import { type EventBody, sample } from '../../support/events.ts';
import { place, RuleTester, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const VpcId = 'vpc-0a1b2c3d4e5f60718';
const subnet = 'subnet-0a1b2c3d4e5f60718';
const publicSubnet = 'subnet-0f0e0d0c0b0a09080';
const group = 'sg-0a1b2c3d4e5f60718';
const table = 'rtb-0a1b2c3d4e5f60718';
const publicTable = 'rtb-0f0e0d0c0b0a09080';
const acl = 'acl-0a1b2c3d4e5f60718';
const nat = 'nat-0a1b2c3d4e5f60718';
const igw = 'igw-0a1b2c3d4e5f60718';
const vpce = 'vpce-0a1b2c3d4e5f60718';
const pcx = 'pcx-0a1b2c3d4e5f60718';
const tableArn = `arn:aws:ec2:us-east-1:111122223333:route-table/${table}`;
const tag = 'compliance-guard:destinations';

const local: Route = { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active', Origin: 'CreateRouteTable' };
const made = (route: Route): Route => ({ State: 'active', Origin: 'CreateRoute', ...route });
const toNat = made({ DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: nat });
const toInternet = made({ DestinationCidrBlock: '0.0.0.0/0', GatewayId: igw });
const everyone = { Protocol: '-1', RuleAction: 'allow', CidrBlock: '0.0.0.0/0' } as const;

const tableWith = (RouteTableId: string, SubnetId: string, ...Routes: Route[]): RouteTable => ({
  RouteTableId,
  VpcId,
  Routes: [local, ...Routes],
  Associations: [{ RouteTableId, SubnetId, Main: false, RouteTableAssociationId: RouteTableId.replace('rtb', 'rtbassoc') }],
});

/** A VPC with a private subnet, which a NAT gateway in a public one leads to the internet, and a function with these destinations. */
function arrange({ ec2, lambda }: World, destinations: string, ...routes: Route[]): void {
  ec2.createSubnet({ SubnetId: subnet, CidrBlock: '10.0.1.0/24' });
  ec2.createSubnet({ SubnetId: publicSubnet, CidrBlock: '10.0.2.0/24' });
  ec2.put('routeTables', tableWith(table, subnet, ...routes), tableWith(publicTable, publicSubnet, toInternet));
  ec2.createNetworkAcl({ NetworkAclId: acl, Subnets: [subnet, publicSubnet] });
  for (const Egress of [false, true]) ec2.createNetworkAclEntry({ NetworkAclId: acl, RuleNumber: 100, Egress, ...everyone });
  ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
  ec2.put('natGateways', { NatGatewayId: nat, VpcId, SubnetId: publicSubnet, State: 'available', ConnectivityType: 'public' });
  ec2.put('internetGateways', { InternetGatewayId: igw, Attachments: [{ VpcId, State: 'available' as never }] });
  lambda.createFunction({
    FunctionName: 'orders',
    VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] },
    Tags: { team: 'shop', ...(destinations === '' ? {} : { [tag]: destinations }) },
  });
}

const live = { version: '$LATEST', vpc: VpcId, subnets: [subnet], groups: [group], ipv6: false };

/** What an earlier look has recorded: what the function needs, and the routes that led there. */
async function seen(
  world: World,
  ledger: MemoryLedger,
  destinations: string,
  routes: readonly Route[],
  more = live,
  place = nat,
): Promise<void> {
  const needs = { tags: { team: 'shop', [tag]: destinations }, destinations: destinations.split(' '), live: [more] };
  await ledger.recordNeeds({ function: orders, asOf: world.now - 1000, places: [table, place, VpcId], needs });
  const bare = routes.map(({ State: _, Origin: __, ...route }) => route);
  await ledger.recordKept('route-unreachable', orders, { state: { [table]: bare }, asOf: world.now - 1000 });
}

const path = [`subnet ${subnet}`, `security group ${group}`, `network ACL ${acl}`];
const unreachable = (destination: string, hop: { kind: string; id: string }, why: string, before: readonly string[]) => ({
  destination,
  hop,
  why,
  path: [...before, `${hop.kind} ${hop.id}`],
  versions: ['$LATEST'],
  subnets: [subnet],
});
const tgw = 'tgw-0a1b2c3d4e5f60718';
const tgwAttach = 'tgw-attach-0a1b2c3d4e5f60718';
const tgwTable = 'tgw-rtb-0a1b2c3d4e5f60718';
const vgw = 'vgw-0a1b2c3d4e5f60718';

/** The function reaches a network behind a transit gateway, and is known to depend on a part of that. */
async function behindTransit(world: World, ledger: MemoryLedger, place: string): Promise<void> {
  const route = made({ DestinationCidrBlock: '192.168.0.0/16', TransitGatewayId: tgw });
  arrange(world, '192.168.7.0/24', route);
  attach(world, '111122223333');
  await seen(world, ledger, '192.168.7.0/24', [route], live, place);
}

const lostTransit = (why: string, kind = 'transit gateway', hop = tgw) => ({
  subject: orders,
  severity: 'high' as const,
  summary: `orders cannot reach 192.168.7.0/24 from ${subnet}: ${why}.`,
  evidence: { unreachable: [unreachable('192.168.7.0/24', { kind, id: hop }, why, [...path, `route table ${table}`])] },
  tags: { team: 'shop', [tag]: '192.168.7.0/24' },
});

const noRoute = `${table} has no route to 11.0.0.0-100.63.255.255`;

ruleTest(rule, {
  rows: [
    {
      name: 'a function that declares nothing',
      kind: 'compliant',
      arrange: (world) => arrange(world, ''),
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'the internet by a NAT gateway',
      kind: 'compliant',
      arrange: (world) => arrange(world, 'internet', toNat),
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 9, ledger: 3 },
    },
    {
      name: 'a destination that the parameter gives by the name',
      kind: 'compliant',
      params: { destinations: 'ord*=internet 10.0.0.0/16:5432,other=s3' },
      arrange: (world) => arrange(world, '', toNat),
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 9, ledger: 3 },
    },
    {
      name: 'the internet, outside a VPC',
      kind: 'compliant',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders', Tags: { [tag]: 'internet s3' } });
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 3 },
    },
    {
      name: 'services by a gateway endpoint and by an interface endpoint',
      kind: 'compliant',
      arrange: (world) => {
        const { ec2 } = world;
        arrange(world, 's3 kms', made({ DestinationPrefixListId: 'pl-0a1b2c3d4e5f60718', GatewayId: vpce }));
        ec2.createManagedPrefixList({
          PrefixListId: 'pl-0a1b2c3d4e5f60718',
          PrefixListName: 'com.amazonaws.us-east-1.s3',
          OwnerId: 'AWS',
          Entries: ['3.5.0.0/19'],
        });
        ec2.createSecurityGroup({ GroupId: 'sg-0f0e0d0c0b0a09080', GroupName: 'endpoints' });
        const https = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/16' }] };
        ec2.authorizeSecurityGroupIngress({ GroupId: 'sg-0f0e0d0c0b0a09080', IpPermissions: [https] });
        ec2.put(
          'vpcEndpoints',
          {
            VpcEndpointId: vpce,
            VpcId,
            VpcEndpointType: 'Gateway',
            ServiceName: 'com.amazonaws.us-east-1.s3',
            State: 'available' as never,
          },
          {
            VpcEndpointId: 'vpce-0f0e0d0c0b0a09080',
            VpcId,
            VpcEndpointType: 'Interface',
            ServiceName: 'com.amazonaws.us-east-1.kms',
            State: 'available' as never,
            SubnetIds: [publicSubnet],
            Groups: [{ GroupId: 'sg-0f0e0d0c0b0a09080' }],
            PrivateDnsEnabled: true,
          },
        );
      },
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 12, ledger: 3 },
    },
    {
      name: 'a peered VPC, and a network behind a transit gateway',
      kind: 'compliant',
      arrange: (world) => {
        const { ec2 } = world;
        const routes = [
          made({ DestinationCidrBlock: '172.16.0.0/16', VpcPeeringConnectionId: pcx }),
          made({ DestinationCidrBlock: '192.168.0.0/16', TransitGatewayId: 'tgw-0a1b2c3d4e5f60718' }),
        ];
        arrange(world, '172.16.3.0/24:5432 192.168.7.0/24', ...routes);
        ec2.put('peerings', {
          VpcPeeringConnectionId: pcx,
          Status: { Code: 'active' },
          RequesterVpcInfo: { VpcId, CidrBlockSet: [{ CidrBlock: '10.0.0.0/16' }] },
          AccepterVpcInfo: { VpcId: 'vpc-0f0e0d0c0b0a09080', CidrBlockSet: [{ CidrBlock: '172.16.0.0/16' }] },
        });
        attach(world, '111122223333');
      },
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 12, ledger: 3 },
    },
    {
      name: 'a change of a network on which nobody depends',
      kind: 'compliant',
      event: sample('DeleteRoute/default.json'),
      expect: { compliant: [tableArn] },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'a route that nobody needs was taken away',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        arrange(world, 'internet', toNat);
        await seen(world, ledger, 'internet', [toNat]);
      },
      event: sample('DeleteRoute/default.json'),
      expect: { compliant: [orders, tableArn] },
      calls: { aws: 6, ledger: 3 },
    },
    {
      name: 'the route to the NAT gateway was taken away',
      kind: 'violating',
      arrange: async (world, ledger) => {
        arrange(world, 'internet');
        await seen(world, ledger, 'internet', [toNat]);
      },
      event: sample('DeleteRoute/default.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach internet from ${subnet}: ${noRoute}.`,
            evidence: { unreachable: [unreachable('internet', { kind: 'route table', id: table }, noRoute, path)] },
            tags: { team: 'shop', [tag]: 'internet' },
            plan: {
              steps: [
                {
                  call: 'createRoute',
                  input: { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: nat },
                  undo: [{ call: 'deleteRoute', input: { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0' } }],
                },
              ],
            },
          },
        ],
        compliant: [tableArn],
      },
      calls: { aws: 5, ledger: 2 },
    },
    {
      name: 'the route leads to an internet gateway instead, which takes nothing from functions',
      kind: 'violating',
      arrange: async (world, ledger) => {
        arrange(world, 'internet 10.0.2.0/24:443', toInternet);
        await seen(world, ledger, 'internet 10.0.2.0/24:443', [toNat]);
      },
      event: sample('ReplaceRoute/other-target.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach internet from ${subnet}: functions have no public IPv4 address, and ${igw} takes nothing without one.`,
            evidence: {
              unreachable: [
                unreachable(
                  'internet',
                  { kind: 'internet gateway', id: igw },
                  `functions have no public IPv4 address, and ${igw} takes nothing without one`,
                  [...path, `route table ${table}`],
                ),
              ],
            },
            tags: { team: 'shop', [tag]: 'internet 10.0.2.0/24:443' },
            plan: {
              steps: [
                {
                  call: 'replaceRoute',
                  input: { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: nat },
                  undo: [{ call: 'replaceRoute', input: { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0', GatewayId: igw } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'the NAT gateway was deleted: its route leads nowhere, and cannot be put back',
      kind: 'violating',
      arrange: async (world, ledger) => {
        arrange(world, 'internet', { ...toNat, State: 'blackhole' });
        world.ec2.put('natGateways', { NatGatewayId: nat, VpcId, SubnetId: publicSubnet, State: 'deleted' });
        await seen(world, ledger, 'internet', [toNat]);
      },
      event: sample('DeleteNatGateway/plain.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach internet from ${subnet}: the route of ${table} to 0.0.0.0/0 leads to ${nat}, which is gone (blackhole).`,
            evidence: {
              unreachable: [
                unreachable(
                  'internet',
                  { kind: 'NAT gateway', id: nat },
                  `the route of ${table} to 0.0.0.0/0 leads to ${nat}, which is gone (blackhole)`,
                  [...path, `route table ${table}`],
                ),
              ],
            },
            tags: { team: 'shop', [tag]: 'internet' },
            plan: {
              steps: [],
              refused: `No route that was taken away, and could be put back, leads to internet: the route of ${table} to 0.0.0.0/0 leads to ${nat}, which is gone (blackhole).`,
            },
          },
        ],
      },
    },
    {
      name: 'the attachment to the transit gateway was deleted',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await behindTransit(world, ledger, tgwAttach);
        world.ec2.put('transitGatewayVpcAttachments', {
          TransitGatewayAttachmentId: tgwAttach,
          TransitGatewayId: tgw,
          VpcId,
          State: 'deleting',
          SubnetIds: [subnet],
        });
      },
      event: sample('DeleteTransitGatewayVpcAttachment/plain.json'),
      expect: { violations: [lostTransit(`the VPC's attachment to ${tgw} is deleting`)] },
      calls: { aws: 8, ledger: 2 },
    },
    {
      name: 'the transit gateway leads nowhere any more',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await behindTransit(world, ledger, tgwTable);
        world.ec2.transitRoutes.set(tgwTable, []);
      },
      event: sample('DeleteTransitGatewayRoute/plain.json'),
      expect: { violations: [lostTransit(`no route of ${tgw} leads to 192.168.7.0/24`)] },
    },
    {
      name: 'the virtual private gateway was detached',
      kind: 'violating',
      arrange: async (world, ledger) => {
        const route = { DestinationCidrBlock: '192.168.0.0/16', GatewayId: vgw };
        arrange(world, '192.168.7.0/24', { ...made(route), State: 'blackhole' });
        await seen(world, ledger, '192.168.7.0/24', [made(route)], live, vgw);
      },
      event: sample('DetachVpnGateway/plain.json'),
      expect: {
        violations: [
          lostTransit(`the route of ${table} to 192.168.0.0/16 leads to ${vgw}, which is gone (blackhole)`, 'virtual private gateway', vgw),
        ],
      },
    },
    {
      name: 'a network ACL in the way, of which no route would help',
      kind: 'violating',
      arrange: async (world, ledger) => {
        arrange(world, 'internet', toNat);
        world.ec2.createNetworkAclEntry({ NetworkAclId: acl, RuleNumber: 90, Egress: true, ...everyone, RuleAction: 'deny' });
        await seen(world, ledger, 'internet', [toNat]);
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach internet from ${subnet}: entry 90 of ${acl} denies port 443 out to 11.0.0.0-100.63.255.255.`,
            evidence: {
              unreachable: [
                unreachable(
                  'internet',
                  { kind: 'network ACL', id: acl },
                  `entry 90 of ${acl} denies port 443 out to 11.0.0.0-100.63.255.255`,
                  path.slice(0, 2),
                ),
              ],
            },
            tags: { team: 'shop', [tag]: 'internet' },
            plan: {
              steps: [],
              refused: `No route that was taken away, and could be put back, leads to internet: entry 90 of ${acl} denies port 443 out to 11.0.0.0-100.63.255.255.`,
            },
          },
        ],
      },
    },
    {
      name: 'the route to the internet gateway, which makes a subnet of functions public, was taken away',
      kind: 'violating',
      arrange: async (world, ledger) => {
        arrange6(world);
        await seen(world, ledger, '::/0', [toInternet6], { ...live, ipv6: true });
      },
      event: sample('DeleteRoute/default.json', {
        detail: { requestParameters: { destinationCidrBlock: undefined, destinationIpv6CidrBlock: '::/0' } },
      }),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach ::/0 from ${subnet}: ${table} has no route to 2001:db8:0:2::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff.`,
            evidence: {
              unreachable: [
                unreachable(
                  '::/0',
                  { kind: 'route table', id: table },
                  `${table} has no route to 2001:db8:0:2::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff`,
                  path,
                ),
              ],
            },
            tags: { team: 'shop', [tag]: '::/0' },
            plan: {
              steps: [],
              refused: `Only the route of ${table} to ${igw} leads to ::/0, and it makes a subnet of functions public: put it back by hand, if that is meant.`,
            },
          },
        ],
      },
    },
    {
      name: 'a function that was never seen to reach what it declares, from a version that an alias routes to',
      kind: 'violating',
      arrange: (world) => {
        const { lambda } = world;
        arrange(world, 'internet');
        lambda.publishVersion({ FunctionName: 'orders' });
        lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      event: sample('TagResource20170331v2/exempt.json', { detail: { requestParameters: { tags: { [tag]: 'internet' } } } }),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach internet from ${subnet}: ${noRoute}.`,
            evidence: {
              unreachable: [{ ...unreachable('internet', { kind: 'route table', id: table }, noRoute, path), versions: ['$LATEST', '1'] }],
            },
            tags: { team: 'shop', [tag]: 'internet' },
            plan: { steps: [], refused: 'The guard has never seen orders reach what it declares.' },
          },
        ],
      },
    },
    {
      name: 'private addresses, from outside a VPC, and another destination that is not understood',
      kind: 'violating',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders', Tags: { [tag]: '10.20.0.0/16:5432' } });
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: 'orders cannot reach 10.20.0.0/16:5432: the function is in no VPC.',
            evidence: {
              unreachable: [
                {
                  destination: '10.20.0.0/16:5432',
                  hop: { kind: 'function', id: 'outside' },
                  why: 'the function is in no VPC',
                  path: ['function outside'],
                  versions: ['$LATEST'],
                  subnets: [],
                },
              ],
            },
            tags: { [tag]: '10.20.0.0/16:5432' },
          },
        ],
      },
    },
    {
      name: 'several destinations, one of them behind what is not understood',
      kind: 'violating',
      arrange: (world) =>
        arrange(world, 'internet kms 172.16.0.0/16', made({ DestinationCidrBlock: '172.16.0.0/16', NetworkInterfaceId: 'eni-1' })),
      sweep: orders,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `orders cannot reach internet from ${subnet}: ${noRoute}. Nor does it reach 1 more.`,
            evidence: {
              unreachable: [
                unreachable('internet', { kind: 'route table', id: table }, noRoute, path),
                unreachable('kms', { kind: 'route table', id: table }, noRoute, path),
              ],
              unknown: [{ destination: '172.16.0.0/16', why: 'what lies behind the network interface eni-1 cannot be told' }],
            },
            tags: { team: 'shop', [tag]: 'internet kms 172.16.0.0/16' },
          },
        ],
      },
    },
    {
      name: 'a route that could not be deleted',
      kind: 'ignored',
      event: sample('DeleteRoute/default.json', { detail: { errorCode: 'Client.InvalidRoute.NotFound', responseElements: null } }),
    },
    {
      name: 'another tag',
      kind: 'ignored',
      event: sample('TagResource20170331v2/exempt.json'),
    },
    {
      name: 'an event that names nothing of a network',
      kind: 'ignored',
      event: sample('DeleteRoute/default.json', { detail: { requestParameters: { routeTableId: 'everything' } } }),
    },
    {
      name: "another account's transit gateway, whose routes cannot be read",
      kind: 'failing',
      arrange: (world) => {
        arrange(world, '192.168.7.0/24', made({ DestinationCidrBlock: '192.168.0.0/16', TransitGatewayId: 'tgw-0a1b2c3d4e5f60718' }));
        attach(world, '444455556666');
      },
      sweep: orders,
      expect: { throws: 'lasting', error: 'NetworkUnreadable' },
    },
    {
      name: 'a destination that is none',
      kind: 'failing',
      arrange: (world) => arrange(world, 'db.internal:5432'),
      sweep: orders,
      expect: { throws: 'lasting', error: 'NetworkUnreadable' },
    },
    {
      name: 'routes may not be read',
      kind: 'failing',
      arrange: (world) => arrange(world, 'internet', toNat),
      sweep: orders,
      fail: { operation: 'DescribeRouteTables', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: async (world, ledger) => {
        arrange(world, 'internet', toNat);
        await seen(world, ledger, 'internet', [toNat]);
      },
      event: sample('CreateRoute/nat-gateway.json'),
      fail: { operation: 'DescribeNetworkAcls', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      arrange: async (world, ledger) => seen(world, ledger, 'internet', [toNat]),
      event: sample('DeleteFunction20150331/plain.json'),
    },
  ],
  roundTrips: [
    {
      name: 'a route was taken away',
      arrange: async (world, ledger) => {
        arrange(world, 'internet');
        await seen(world, ledger, 'internet', [toNat, made({ DestinationCidrBlock: '172.16.0.0/16', VpcPeeringConnectionId: pcx })]);
      },
      event: sample('DeleteRoute/default.json'),
      steps: ['createRoute'],
    },
    {
      name: 'a route was led elsewhere, and that to the internet gateway was taken away',
      arrange: async (world, ledger) => {
        arrange(world, 'internet', toInternet);
        world.ec2.put('routeTables', tableWith(publicTable, publicSubnet));
        await seen(world, ledger, 'internet', [toNat]);
        const bare = ({ State: _, Origin: __, ...route }: Route) => route;
        const state = { [table]: [bare(toNat)], [publicTable]: [bare(toInternet)] };
        await ledger.recordKept('route-unreachable', orders, { state, asOf: world.now });
      },
      event: sample('ReplaceRoute/other-target.json'),
      steps: ['replaceRoute', 'createRoute'],
    },
  ],
});

const toInternet6 = made({ DestinationIpv6CidrBlock: '::/0', GatewayId: igw });

/** The function may use IPv6, and reaches the internet of IPv6 by the internet gateway alone. */
function arrange6(world: World, ...routes: Route[]): void {
  const { ec2, lambda } = world;
  arrange(world, '::/0', ...routes);
  const Ipv6CidrBlockAssociationSet = [{ Ipv6CidrBlock: '2001:db8:0:1::/64' }];
  ec2.createSubnet({ SubnetId: subnet, CidrBlock: '10.0.1.0/24', Ipv6CidrBlockAssociationSet });
  for (const Egress of [false, true])
    ec2.createNetworkAclEntry({ NetworkAclId: acl, RuleNumber: 101, Egress, Protocol: '-1', RuleAction: 'allow', Ipv6CidrBlock: '::/0' });
  ec2.authorizeSecurityGroupEgress({ GroupId: group, IpPermissions: [{ IpProtocol: '-1', Ipv6Ranges: [{ CidrIpv6: '::/0' }] }] });
  const VpcConfig = { SubnetIds: [subnet], SecurityGroupIds: [group], Ipv6AllowedForDualStack: true };
  lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig });
}

function attach({ ec2 }: World, owner: string): void {
  const attachment = { TransitGatewayAttachmentId: tgwAttach, TransitGatewayId: tgw };
  ec2.put('transitGatewayVpcAttachments', { ...attachment, VpcId, State: 'available', SubnetIds: [subnet] });
  ec2.put('transitGatewayAttachments', {
    ...attachment,
    ResourceId: VpcId,
    TransitGatewayOwnerId: owner,
    Association: { TransitGatewayRouteTableId: tgwTable },
  });
  ec2.transitRoutes.set(tgwTable, [{ DestinationCidrBlock: '192.168.0.0/16', State: 'active' }]);
}

test('subnet-public takes a route to the internet gateway away, and it stays away', async () => {
  const world = createWorld(place);
  const estate = new MemoryLedger();
  arrange6(world);
  await seen(world, estate, '::/0', [], { ...live, ipv6: true });
  await estate.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
  world.ec2.createRoute({ RouteTableId: table, DestinationIpv6CidrBlock: '::/0', GatewayId: igw });
  const events: EventBody[] = [sample('CreateRoute/internet-gateway-ipv6.json')];
  const told: string[] = [];
  const calls: string[] = [];
  for (let body = events.shift(); body !== undefined && calls.length < 6; body = events.shift()) {
    // The rule that wants the route sees it first: it has it recorded when it is gone.
    for (const each of [rule, publicRule] as readonly AnyRule[]) {
      const read = readEvent(body, place);
      if ('ignored' in read) throw new Error(read.ignored);
      const { event } = read;
      for (const subject of triggered(each, event)) {
        const look = { aws: connect(each.check, place), estate, params: each.params.parse({}), settings: {} as never, now: world.now };
        const { violations } = await each.evaluate(subject, { ...look, event });
        for (const violation of violations) {
          told.push(`${each.id}: ${violation.subject.arn}`);
          const plan = await each.plan(violation as never, { ...look, changeId: 'c0ffee123456', toShow: false });
          for (const step of plan.refused === undefined ? plan.steps : []) {
            if (!('call' in step)) continue;
            await (connect(each.fix, place) as Record<string, (input: unknown) => Promise<unknown>>)[step.call]?.(step.input);
            calls.push(step.call);
            events.push(eventOf(step.call));
          }
        }
      }
      world.advance(60);
    }
  }
  expect(calls).toEqual(['deleteRoute']);
  expect(told).toEqual([`subnet-public: arn:aws:ec2:us-east-1:111122223333:subnet/${subnet}`, `route-unreachable: ${orders}`]);
});

/** What CloudTrail tells of a step of either rule. */
function eventOf(call: string): EventBody {
  if (call === 'createRoute') return sample('CreateRoute/internet-gateway-ipv6.json');
  const requestParameters = { destinationCidrBlock: undefined, destinationIpv6CidrBlock: '::/0' };
  return sample('DeleteRoute/default.json', { detail: { requestParameters } });
}

test('who depends on a transit gateway is found by its attachment and by its route table', async () => {
  let ledger = new MemoryLedger();
  await new RuleTester(rule).row({
    name: 'a network behind a transit gateway',
    kind: 'compliant',
    arrange: async (world, its) => {
      ledger = its;
      await behindTransit(world, its, nat);
    },
    sweep: orders,
  });
  for (const place of [tgw, tgwAttach, tgwTable]) expect(await ledger.needing(place)).toMatchObject([{ function: orders }]);
  expect(await ledger.needing(nat)).toEqual([]);
});
