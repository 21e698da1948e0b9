import fc from 'fast-check';
import { NetworkUnreadable } from '../../guard/errors.ts';
import type { AclEntry } from '../../guard/network-acl.ts';
import { destinationFrom, type Network, type Reach, reach, type Source } from '../../guard/network-reach.ts';
import type { Route, RouteTable } from '../../guard/network-routes.ts';

// A VPC with a function's subnet (private), one with a NAT gateway (public), and one with a database (data), as EC2 answers.

const VpcId = 'vpc-1';
const allow = (RuleNumber: number, Egress: boolean, more: AclEntry = {}): AclEntry => ({
  RuleNumber,
  Egress,
  Protocol: '-1',
  RuleAction: 'allow',
  CidrBlock: '0.0.0.0/0',
  ...more,
});
const deny = (RuleNumber: number, Egress: boolean, more: AclEntry = {}) => allow(RuleNumber, Egress, { RuleAction: 'deny', ...more });
const tcp = (From: number, To = From): AclEntry => ({ Protocol: '6', PortRange: { From, To } });
const six: AclEntry = { CidrBlock: undefined, Ipv6CidrBlock: '::/0' };
const open = [allow(100, false), allow(100, true), allow(101, false, six), allow(101, true, six)];
const local: Route = { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active' };
const nat: Route = { DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: 'nat-1', State: 'active' };
const igw: Route = { DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-1', State: 'active' };

interface Parts {
  routes?: readonly Route[];
  publicRoutes?: readonly Route[];
  acl?: readonly AclEntry[];
  publicAcl?: readonly AclEntry[];
  dataAcl?: readonly AclEntry[];
  egress?: object[];
  more?: Partial<Network>;
}

const everywhere = { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }], Ipv6Ranges: [{ CidrIpv6: '::/0' }] };
const subnet = (SubnetId: string, CidrBlock: string, more: object = {}) => ({
  SubnetId,
  VpcId,
  CidrBlock,
  AvailabilityZone: 'us-east-1a',
  ...more,
});
const natGateway = { NatGatewayId: 'nat-1', SubnetId: 'subnet-public', VpcId, State: 'available', ConnectivityType: 'public' };

function network({
  routes = [local, nat],
  publicRoutes = [local, igw],
  acl = open,
  publicAcl = open,
  dataAcl = open,
  egress = [everywhere],
  more = {},
}: Parts = {}): Network {
  const table = (name: string, Routes: readonly Route[]): RouteTable => ({
    RouteTableId: `rtb-${name}`,
    VpcId,
    Routes,
    Associations: [{ SubnetId: `subnet-${name}` }],
  });
  const ofSubnet = (name: string, Entries: readonly AclEntry[]) => ({
    NetworkAclId: `acl-${name}`,
    Entries,
    Associations: [{ SubnetId: `subnet-${name}` }],
  });
  return {
    region: 'us-east-1',
    subnets: [
      subnet('subnet-private', '10.0.1.0/24', { Ipv6CidrBlockAssociationSet: [{ Ipv6CidrBlock: '2600:1f18::/64' }] }),
      subnet('subnet-public', '10.0.2.0/24'),
      subnet('subnet-data', '10.0.3.0/24'),
    ],
    routeTables: [
      table('private', routes),
      table('public', publicRoutes),
      { RouteTableId: 'rtb-main', VpcId, Routes: [local], Associations: [{ Main: true }] },
    ],
    networkAcls: [ofSubnet('private', acl), ofSubnet('public', publicAcl), ofSubnet('data', dataAcl)],
    securityGroups: [{ GroupId: 'sg-1', IpPermissionsEgress: egress }],
    endpoints: [],
    natGateways: [natGateway],
    peerings: [],
    transitGateways: new Map(),
    prefixLists: new Map(),
    serviceLists: new Map(),
    dns: true,
    ...more,
  };
}

const source: Source = { subnet: 'subnet-private', groups: ['sg-1'], ipv6: true };
const to = (text: string, parts: Parts = {}, from = source): Reach => reach(destinationFrom(text), from, network(parts));
const toText = (found: Reach): string =>
  found.verdict === 'reachable'
    ? ['reachable', ...found.path.map(({ id }) => id)].join(' ')
    : `${found.verdict} at the ${found.path.at(-1)?.kind} ${found.path.at(-1)?.id}: ${found.why}`;

const eigw: Route = { DestinationIpv6CidrBlock: '::/0', EgressOnlyInternetGatewayId: 'eigw-1', State: 'active' };
const peered: Route = { DestinationCidrBlock: '172.16.0.0/12', VpcPeeringConnectionId: 'pcx-1', State: 'active' };
const peering = (Code: string, CidrBlock = '172.16.0.0/16') => ({
  VpcPeeringConnectionId: 'pcx-1',
  Status: { Code },
  AccepterVpcInfo: { VpcId, CidrBlockSet: [{ CidrBlock: '10.0.0.0/16' }] },
  RequesterVpcInfo: { VpcId: 'vpc-2', CidrBlockSet: [{ CidrBlock }] },
});
const transit: Route = { DestinationCidrBlock: '192.168.0.0/16', TransitGatewayId: 'tgw-1', State: 'active' };
const attached = (more: object = {}, routes: object[] | undefined = [{ DestinationCidrBlock: '192.168.0.0/16', State: 'active' }]) => ({
  transitGateways: new Map([['tgw-1', { attachment: { State: 'available', SubnetIds: ['subnet-private'], ...more }, routes }]]),
});
const s3Route: Route = { DestinationPrefixListId: 'pl-s3', GatewayId: 'vpce-s3', State: 'active' };
const s3 = {
  prefixLists: new Map([['pl-s3', ['3.5.0.0/19', '52.216.0.0/15']]]),
  serviceLists: new Map([['com.amazonaws.us-east-1.s3', 'pl-s3']]),
  endpoints: [{ VpcEndpointId: 'vpce-s3', VpcEndpointType: 'Gateway', ServiceName: 'com.amazonaws.us-east-1.s3', State: 'available' }],
};
const kms = {
  VpcEndpointId: 'vpce-kms',
  VpcEndpointType: 'Interface',
  ServiceName: 'com.amazonaws.us-east-1.kms',
  State: 'available',
  SubnetIds: ['subnet-data'],
  Groups: [{ GroupId: 'sg-kms' }],
  PrivateDnsEnabled: true,
};
const groupOf = (...IpPermissions: object[]) => [
  { GroupId: 'sg-1', IpPermissionsEgress: [everywhere] },
  { GroupId: 'sg-kms', IpPermissions },
];
const https = (more: object) => ({ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, ...more });
const letIn = groupOf(https({ IpRanges: [{ CidrIp: '10.0.0.0/16' }] }));

describe('what is reached', () => {
  it.each<[string, string, Parts, string]>([
    [
      'the internet by a NAT gateway',
      'internet',
      {},
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
    ['a public address', '8.8.8.8:53', {}, 'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1'],
    ['IPv6 by an egress-only internet gateway', '::/0', { routes: [local, eigw] }, 'subnet-private sg-1 acl-private rtb-private eigw-1'],
    [
      'IPv6 by an internet gateway',
      '2606:4700::/32',
      { routes: [{ ...igw, DestinationCidrBlock: undefined, DestinationIpv6CidrBlock: '::/0' }] },
      'subnet-private sg-1 acl-private rtb-private igw-1',
    ],
    [
      'the internet in halves',
      'internet',
      { routes: [local, { ...nat, DestinationCidrBlock: '0.0.0.0/1' }, { ...nat, DestinationCidrBlock: '128.0.0.0/1' }] },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
    [
      'the internet, but for a network that is sent nowhere on purpose',
      'internet',
      { routes: [local, nat, { ...nat, DestinationCidrBlock: '203.0.113.0/24', State: 'blackhole' }] },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
    ['the own subnet, over which no ACL has a say', '10.0.1.7:5432', { acl: [] }, 'subnet-private sg-1'],
    ['another subnet of the VPC', '10.0.3.7:5432', {}, 'subnet-private sg-1 acl-private rtb-private subnet-data acl-data'],
    [
      'some port, where only one is open',
      '10.0.3.0/24',
      { dataAcl: [allow(90, false, tcp(5432)), allow(100, true)] },
      'subnet-private sg-1 acl-private rtb-private subnet-data acl-data',
    ],
    [
      'a peered VPC',
      '172.16.5.0/24',
      { routes: [local, peered], more: { peerings: [peering('active')] } },
      'subnet-private sg-1 acl-private rtb-private pcx-1',
    ],
    [
      'what a transit gateway routes',
      '192.168.7.0/24',
      { routes: [local, transit], more: attached() },
      'subnet-private sg-1 acl-private rtb-private tgw-1',
    ],
    [
      'a network behind a virtual private gateway',
      '192.168.7.0/24',
      { routes: [local, { DestinationCidrBlock: '192.168.0.0/16', GatewayId: 'vgw-1', State: 'active' }] },
      'subnet-private sg-1 acl-private rtb-private vgw-1',
    ],
    [
      'what a private NAT gateway leads to',
      '192.168.7.0/24',
      { publicRoutes: [local, transit], more: { ...attached(), natGateways: [{ ...natGateway, ConnectivityType: 'private' }] } },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public tgw-1',
    ],
    [
      'the internet by a regional NAT gateway',
      'internet',
      { more: { natGateways: [{ ...natGateway, SubnetId: undefined, RouteTableId: 'rtb-public' }] } },
      'subnet-private sg-1 acl-private rtb-private nat-1 rtb-public igw-1',
    ],
    [
      'a service by its gateway endpoint',
      's3',
      { routes: [local, s3Route], more: s3 },
      'subnet-private sg-1 acl-private rtb-private vpce-s3',
    ],
    [
      'a service that the group names by its prefix list',
      's3',
      { routes: [local, s3Route], more: s3, egress: [https({ PrefixListIds: [{ PrefixListId: 'pl-s3' }] })] },
      'subnet-private sg-1 acl-private rtb-private vpce-s3',
    ],
    [
      'a service with an endpoint elsewhere, over the internet',
      's3',
      { more: { ...s3, endpoints: [] } },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
    [
      'a service by its interface endpoint',
      'kms',
      { more: { endpoints: [kms], securityGroups: letIn } },
      'subnet-private sg-1 acl-private acl-data vpce-kms sg-kms',
    ],
    [
      'a service by its whole name',
      'com.amazonaws.us-east-1.kms',
      { more: { endpoints: [kms], securityGroups: letIn } },
      'subnet-private sg-1 acl-private acl-data vpce-kms sg-kms',
    ],
    [
      'an interface endpoint that lets the group in',
      'kms',
      { more: { endpoints: [kms], securityGroups: groupOf(https({ UserIdGroupPairs: [{ GroupId: 'sg-1' }] })) } },
      'subnet-private sg-1 acl-private acl-data vpce-kms sg-kms',
    ],
    [
      'an interface endpoint that the group names',
      'kms',
      {
        more: {
          endpoints: [kms],
          securityGroups: [
            { GroupId: 'sg-1', IpPermissionsEgress: [https({ UserIdGroupPairs: [{ GroupId: 'sg-kms' }] })] },
            ...letIn.slice(1),
          ],
        },
      },
      'subnet-private sg-1 acl-private acl-data vpce-kms sg-kms',
    ],
    [
      'a service over the internet, where no name leads to its endpoint',
      'kms',
      { more: { endpoints: [{ ...kms, PrivateDnsEnabled: false }] } },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
    [
      'the same, where the VPC resolves no names',
      'kms',
      { more: { endpoints: [kms], dns: false } },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
    [
      'the same, where the name is for resolvers alone',
      'kms',
      { more: { endpoints: [{ ...kms, DnsOptions: { PrivateDnsOnlyForInboundResolverEndpoint: true } }] } },
      'subnet-private sg-1 acl-private rtb-private nat-1 acl-public subnet-public rtb-public igw-1',
    ],
  ])('%s', (_, destination, parts, path) => expect(toText(to(destination, parts))).toBe(`reachable ${path}`));
});

describe('what is not, and where it ends', () => {
  it.each<[string, string, Parts, string]>([
    ['no route', 'internet', { routes: [local] }, 'route table rtb-private: rtb-private has no route to 11.0.0.0-100.63.255.255'],
    [
      'only half a route',
      'internet',
      { routes: [local, { ...nat, DestinationCidrBlock: '0.0.0.0/1' }] },
      'route table rtb-private: rtb-private has no route to 128.0.0.0-169.253.255.255',
    ],
    [
      'a target that is gone',
      'internet',
      { routes: [local, { ...nat, State: 'blackhole' }] },
      'NAT gateway nat-1: the route of rtb-private to 0.0.0.0/0 leads to nat-1, which is gone (blackhole)',
    ],
    [
      'an internet gateway, for IPv4',
      'internet',
      { routes: [local, igw] },
      'internet gateway igw-1: functions have no public IPv4 address, and igw-1 takes nothing without one',
    ],
    ['a function without IPv6', '2606:4700::/32', { routes: [eigw] }, 'route table rtb-private: '],
    [
      'a NAT gateway that is not ready',
      'internet',
      { more: { natGateways: [{ ...natGateway, State: 'pending' }] } },
      'NAT gateway nat-1: nat-1 is pending',
    ],
    ['a NAT gateway that nobody knows', 'internet', { more: { natGateways: [] } }, 'NAT gateway nat-1: nat-1 is gone'],
    [
      'a NAT gateway whose subnet has no internet gateway',
      'internet',
      { publicRoutes: [local] },
      'route table rtb-public: rtb-public has no route to 11.0.0.0-100.63.255.255',
    ],
    [
      'a NAT gateway that leads to itself',
      'internet',
      { publicRoutes: [local, nat] },
      'NAT gateway nat-1: rtb-public leads from one NAT gateway to another, and not to an internet gateway',
    ],
    [
      'a private NAT gateway before the internet',
      'internet',
      { more: { natGateways: [{ ...natGateway, ConnectivityType: 'private' }] } },
      'internet gateway igw-1: a private NAT gateway has no public IPv4 address, and igw-1 takes nothing without one',
    ],
    [
      'public access that is blocked',
      'internet',
      {
        more: {
          subnets: [
            subnet('subnet-private', '10.0.1.0/24'),
            subnet('subnet-public', '10.0.2.0/24', { BlockPublicAccessStates: { InternetGatewayBlockMode: 'block-bidirectional' } }),
          ],
        },
      },
      'internet gateway igw-1: public access is blocked for subnet-public',
    ],
    [
      'an egress rule that is missing',
      'internet',
      { egress: [https({ IpRanges: [{ CidrIp: '10.0.0.0/16' }] })] },
      'security group sg-1: no egress rule of sg-1 allows port 443 to 11.0.0.0-100.63.255.255',
    ],
    [
      'an egress rule for another port',
      '8.8.8.8:53',
      { egress: [https({ IpRanges: [{ CidrIp: '0.0.0.0/0' }] })] },
      'security group sg-1: no egress rule of sg-1 allows port 53 to 8.8.8.8/32',
    ],
    [
      'an ACL that denies before it allows',
      'internet',
      { acl: [deny(90, true), ...open] },
      'network ACL acl-private: entry 90 of acl-private denies port 443 out to 11.0.0.0-100.63.255.255',
    ],
    [
      'an ACL that says nothing',
      '10.0.3.7:5432',
      { dataAcl: [allow(100, true)] },
      'network ACL acl-data: no entry of acl-data allows port 5432 in from 10.0.1.0/24',
    ],
    [
      'one address of many that is denied',
      '10.0.3.0/24:5432',
      { acl: [deny(90, true, { CidrBlock: '10.0.3.7/32' }), ...open] },
      'network ACL acl-private: entry 90 of acl-private denies port 5432 out to 10.0.3.7/32',
    ],
    [
      'answers that do not come back',
      'internet',
      { acl: [allow(100, true), allow(100, false, tcp(443))] },
      'network ACL acl-private: acl-private lets no answers back in from 11.0.0.0-100.63.255.255 on ports 1024-65535',
    ],
    [
      'a part of the answers',
      '8.8.8.8:53',
      { acl: [allow(100, true), allow(100, false, tcp(32_768, 65_535))] },
      'network ACL acl-private: acl-private lets no answers back in from 8.8.8.8/32 on ports 1024-32767',
    ],
    [
      'answers that do not leave the other subnet',
      '10.0.3.7:5432',
      { dataAcl: [allow(100, false), allow(100, true, tcp(443))] },
      'network ACL acl-data: acl-data lets no answers back out to 10.0.1.0/24 on ports 1024-65535',
    ],
    [
      'the ACL of the NAT gateway',
      'internet',
      { publicAcl: [allow(100, false, { CidrBlock: '10.0.0.0/16' }), allow(100, true)] },
      'network ACL acl-public: acl-public lets no answers back in from 11.0.0.0-100.63.255.255 on ports 1024-65535',
    ],
    [
      'a peering that nobody has accepted',
      '172.16.5.0/24',
      { routes: [local, peered], more: { peerings: [peering('pending-acceptance')] } },
      'peering connection pcx-1: pcx-1 is pending-acceptance',
    ],
    [
      'an address that the peer does not have',
      '172.20.0.0/24',
      { routes: [local, peered], more: { peerings: [peering('active')] } },
      'peering connection pcx-1: 172.20.0.0/24 lies outside the VPC behind pcx-1',
    ],
    [
      'a VPC that is not attached',
      '192.168.7.0/24',
      { routes: [transit], more: { transitGateways: new Map([['tgw-1', { attachment: undefined, routes: [] }]]) } },
      "transit gateway tgw-1: the VPC's attachment to tgw-1 is gone",
    ],
    [
      'a zone in which the VPC is not attached',
      '192.168.7.0/24',
      {
        routes: [transit],
        more: {
          ...attached({ SubnetIds: ['subnet-b'] }),
          subnets: [subnet('subnet-private', '10.0.1.0/24'), subnet('subnet-b', '10.0.9.0/24', { AvailabilityZone: 'us-east-1b' })],
        },
      },
      'transit gateway tgw-1: the attachment to tgw-1 has no subnet in us-east-1a',
    ],
    [
      'a transit gateway without a route',
      '192.168.7.0/24',
      { routes: [transit], more: attached({}, []) },
      'transit gateway tgw-1: no route of tgw-1 leads to 192.168.7.0/24',
    ],
    [
      'a transit gateway that drops it',
      '192.168.7.0/24',
      {
        routes: [transit],
        more: attached({}, [
          { DestinationCidrBlock: '192.168.0.0/16', State: 'active' },
          { DestinationCidrBlock: '192.168.7.0/24', State: 'blackhole' },
        ]),
      },
      'transit gateway tgw-1: the route of tgw-1 to 192.168.7.0/24 is a blackhole',
    ],
    [
      'a gateway endpoint that is gone',
      's3',
      { routes: [s3Route], more: { ...s3, endpoints: [] } },
      'VPC endpoint vpce-s3: vpce-s3 is gone',
    ],
    [
      'a service that nothing leads to',
      's3',
      { routes: [local], more: s3 },
      'route table rtb-private: rtb-private has no route to 3.5.0.0/19',
    ],
    [
      'a service without an endpoint or the internet',
      'kms',
      { routes: [local] },
      'route table rtb-private: rtb-private has no route to 11.0.0.0-100.63.255.255',
    ],
    [
      'an interface endpoint whose group does not let the function in',
      'kms',
      { more: { endpoints: [kms], securityGroups: groupOf(https({ IpRanges: [{ CidrIp: '10.0.2.0/24' }] })) } },
      'security group sg-kms: sg-kms does not let the function in to vpce-kms on port 443',
    ],
    [
      'an interface endpoint that is not ready, though the internet is there',
      'kms',
      { more: { endpoints: [{ ...kms, State: 'Pending' }], securityGroups: letIn } },
      'interface endpoint vpce-kms: vpce-kms, to which private DNS leads, is pending',
    ],
    [
      'an interface endpoint behind an ACL',
      'kms',
      { dataAcl: [deny(1, false)], more: { endpoints: [kms], securityGroups: letIn } },
      'network ACL acl-data: entry 1 of acl-data denies port 443 in from 10.0.1.0/24',
    ],
  ])('%s', (name, destination, parts, ends) => {
    const from = name === 'a function without IPv6' ? { ...source, ipv6: false } : source;
    const expected =
      name === 'a function without IPv6' ? 'subnet subnet-private: the function has no IPv6 address there (Ipv6AllowedForDualStack)' : ends;
    expect(toText(to(destination, parts, from))).toBe(`unreachable at the ${expected}`);
  });
});

describe('what is not understood', () => {
  it.each<[string, string, Parts, string]>([
    [
      'a network interface (an appliance)',
      'internet',
      { routes: [{ ...nat, NatGatewayId: undefined, NetworkInterfaceId: 'eni-1' }] },
      'network interface eni-1: what lies behind the network interface eni-1 cannot be told',
    ],
    [
      'a carrier gateway',
      'internet',
      { routes: [{ ...nat, NatGatewayId: undefined, CarrierGatewayId: 'cagw-1' }] },
      'carrier gateway cagw-1: what lies behind the carrier gateway cagw-1 cannot be told',
    ],
    [
      'a firewall behind an endpoint',
      'internet',
      {
        routes: [{ ...igw, GatewayId: 'vpce-fw' }],
        more: { endpoints: [{ VpcEndpointId: 'vpce-fw', VpcEndpointType: 'GatewayLoadBalancer', State: 'available' }] },
      },
      'VPC endpoint vpce-fw: vpce-fw leads to an appliance (GatewayLoadBalancer), which lets through what it likes',
    ],
    [
      "another account's transit gateway",
      '192.168.7.0/24',
      {
        routes: [transit],
        more: {
          transitGateways: new Map([['tgw-1', { attachment: { State: 'available', SubnetIds: ['subnet-private'] }, routes: undefined }]]),
        },
      },
      'transit gateway tgw-1: the routes of tgw-1 cannot be read',
    ],
    ['a transit gateway that was not read', '192.168.7.0/24', { routes: [transit] }, 'transit gateway tgw-1: tgw-1 could not be read'],
    [
      'a peer whose addresses are not told',
      '172.16.5.0/24',
      { routes: [peered], more: { peerings: [{ VpcPeeringConnectionId: 'pcx-1', Status: { Code: 'active' } }] } },
      'peering connection pcx-1: the addresses behind pcx-1 are not known',
    ],
    [
      'NAT64',
      '64:ff9b::/96',
      { routes: [{ DestinationIpv6CidrBlock: '64:ff9b::/96', NatGatewayId: 'nat-1', State: 'active' }] },
      'NAT gateway nat-1: IPv6 behind a NAT gateway (NAT64) is not understood',
    ],
    [
      'a group that lets out to groups alone',
      '10.0.3.7:5432',
      { egress: [{ IpProtocol: 'tcp', FromPort: 5432, ToPort: 5432, UserIdGroupPairs: [{ GroupId: 'sg-db' }] }] },
      'security group sg-1: sg-1 lets out to groups, and who in 10.0.3.7/32 is in them is not known',
    ],
    [
      'a group that lets out to a part of an endpoint',
      'kms',
      {
        more: {
          endpoints: [kms],
          securityGroups: [{ GroupId: 'sg-1', IpPermissionsEgress: [https({ IpRanges: [{ CidrIp: '10.0.3.7/32' }] })] }, ...letIn.slice(1)],
        },
      },
      'security group sg-1: sg-1 lets out only to a part of 10.0.3.0/24',
    ],
    [
      'an endpoint that lets in a part of the subnet',
      'kms',
      { more: { endpoints: [kms], securityGroups: groupOf(https({ IpRanges: [{ CidrIp: '10.0.1.7/32' }] })) } },
      'security group sg-kms: sg-kms lets only a part of subnet-private in to vpce-kms',
    ],
    ['a group that is not there', 'internet', { more: { securityGroups: [] } }, 'security group sg-1: sg-1 is gone'],
    [
      'a subnet that is not there',
      'internet',
      { more: { subnets: [] } },
      'subnet subnet-private: subnet-private is not among the subnets of the VPC',
    ],
    [
      'an ACL that is not there',
      'internet',
      { more: { networkAcls: [] } },
      'subnet subnet-private: the network ACL of subnet-private is not known',
    ],
    [
      'a service of which only a part of the internet is reached',
      'kms',
      { egress: [https({ IpRanges: [{ CidrIp: '52.0.0.0/8' }] })] },
      'security group sg-1: no egress rule of sg-1 allows port 443 to 203.0.113.0',
    ],
  ])('%s', (_, destination, parts, ends) =>
    expect(toText(to(destination, parts))).toContain(`unknown at the ${ends.split(' allows port 443')[0]}`),
  );
});

describe('a destination', () => {
  it.each([
    ['internet', { kind: 'internet', family: 'ipv4', port: 443 }],
    ['internet:25', { kind: 'internet', family: 'ipv4', port: 25 }],
    ['0.0.0.0/0', { kind: 'internet', family: 'ipv4', port: 443 }],
    ['::/0:8443', { kind: 'internet', family: 'ipv6', port: 8443 }],
    ['s3', { kind: 'service', service: 's3' }],
    ['ecr.dkr', { kind: 'service', service: 'ecr.dkr' }],
    ['10.0.0.7', { kind: 'range', port: undefined }],
    ['10.0.0.0/16:5432', { kind: 'range', port: 5432 }],
    ['2001:db8::/32:443', { kind: 'range', port: 443 }],
    ['fd00::/8', { kind: 'range', port: undefined }],
  ])('%s', (text, expected) => expect(destinationFrom(text)).toMatchObject(expected));

  it.each([
    '',
    'S3',
    '10.0.0.300',
    '10.0.0.0/33',
    '10.0.0.0/16:99999',
    'internet:99999',
    'db.internal:5432',
    '10.0.0.0/16 ',
    '2001:db8::1',
    'ä',
  ])('is not "%s"', (text) => expect(() => destinationFrom(text)).toThrow(NetworkUnreadable));
});

describe('for any network', () => {
  const block = fc.tuple(fc.nat(255), fc.nat(255), fc.integer({ min: 8, max: 32 })).map(([a, b, prefix]) => `${a}.${b}.0.0/${prefix}`);
  const range = fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `${a}.${b}.0.0/24`);
  const route = fc.record({
    DestinationCidrBlock: block,
    State: fc.constantFrom('active', 'blackhole'),
    NatGatewayId: fc.constant('nat-1'),
  });
  const routes = fc.uniqueArray(route, { selector: ({ DestinationCidrBlock }) => DestinationCidrBlock, maxLength: 6 });
  const entry = fc.record({
    RuleAction: fc.constantFrom('allow', 'deny'),
    Egress: fc.boolean(),
    Protocol: fc.constantFrom('-1', '6'),
    CidrBlock: block,
  });
  const entries = fc
    .array(entry, { maxLength: 5 })
    .map((some) => [...some.map((one, index) => ({ ...one, RuleNumber: 50 + index })), ...open]);

  it('a blackhole that is more specific breaks what was reached', () => {
    fc.assert(
      fc.property(routes, range, (some, destination) => {
        fc.pre(!destination.startsWith('10.0.'));
        const gone: Route = { DestinationCidrBlock: destination.replace('/24', '/26'), NatGatewayId: 'nat-1', State: 'blackhole' };
        fc.pre(!some.some((one) => /\/(2[6-9]|3\d)$/.test(one.DestinationCidrBlock)));
        expect(to(destination, { routes: [local, nat, ...some, gone] }).verdict).toBe('unreachable');
      }),
      { numRuns: 50 },
    );
  });

  it('a route to elsewhere changes nothing', () => {
    fc.assert(
      fc.property(routes, range, fc.boolean(), (some, destination, dead) => {
        const octet = (Number(destination.split('.')[0]) + 1) % 256;
        const more: Route = { DestinationCidrBlock: `${octet}.0.0.0/8`, NatGatewayId: 'nat-1', State: dead ? 'blackhole' : 'active' };
        expect(to(destination, { routes: [local, nat, ...some, more] })).toEqual(to(destination, { routes: [local, nat, ...some] }));
      }),
      { numRuns: 50 },
    );
  });

  it('the order of routes does not matter, nor that of entries', () => {
    fc.assert(
      fc.property(routes, entries, range, (some, acl, destination) => {
        const there = to(destination, { routes: [local, nat, ...some], acl });
        expect(to(destination, { routes: [...some, nat, local].toReversed(), acl: acl.toReversed() })).toEqual(there);
      }),
      { numRuns: 50 },
    );
  });

  it('the numbers of entries do: whoever comes first decides', () => {
    fc.assert(
      fc.property(entries, range, (acl, destination) => {
        fc.pre(!destination.startsWith('10.0.'));
        expect(to(destination, { acl: [allow(1, true), allow(1, false), deny(2, true), deny(2, false), ...acl] }).verdict).toBe(
          'reachable',
        );
        expect(to(destination, { acl: [deny(1, true), allow(2, true), ...acl] }).verdict).toBe('unreachable');
        expect(to(destination, { acl: [allow(1, true), deny(1, false), allow(2, false), ...acl] }).verdict).toBe('unreachable');
      }),
      { numRuns: 50 },
    );
  });
});
