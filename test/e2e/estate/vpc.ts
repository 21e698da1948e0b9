import { settled } from '../functions.ts';
import { administrator, aliased, functionArn, type Ground, home, type Kind, type NearMiss, pipeline, sound } from './kind.ts';

async function ec2(operation: string, input: object) {
  return await administrator('ec2', operation, input);
}

const arnOf = (kind: string, id: string) => `arn:aws:ec2:${home}:${kind}/${id}`;

const inVpc = { attached: ['AWSLambdaVPCAccessExecutionRole'] };
const ipv4 = { IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
const ipv6 = { Ipv6Ranges: [{ CidrIpv6: '::/0' }] };
const https = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443 };
const everything = { IpProtocol: '-1' };

let ranges = 0;

export async function subnetIn(VpcId: string, zone = 'a'): Promise<string> {
  ranges += 1;
  const CidrBlock = `10.0.${ranges >> 4}.${16 * (ranges & 15)}/28`;
  return (await ec2('create_subnet', { VpcId, CidrBlock, AvailabilityZone: `us-east-1${zone}` })).Subnet.SubnetId;
}

/** A security group that lets nothing in and nothing out. */
export async function closedGroup(GroupName: string, VpcId: string): Promise<string> {
  const { GroupId } = await ec2('create_security_group', { GroupName, VpcId, Description: GroupName });
  await ec2('revoke_security_group_egress', { GroupId, IpPermissions: [{ ...everything, ...ipv4 }] });
  return GroupId;
}

interface Place {
  readonly vpc: string;
  readonly subnets: readonly string[];
  readonly group: string;
}

/** Two private subnets and a group, which are nobody's. */
async function place(name: string, { vpc }: Pick<Ground, 'vpc'>): Promise<Place> {
  return { vpc, subnets: [await subnetIn(vpc, 'a'), await subnetIn(vpc, 'b')], group: await closedGroup(name, vpc) };
}

const configOf = ({ subnets, group }: Place) => ({ VpcConfig: { SubnetIds: subnets, SecurityGroupIds: [group] } });

/** A function in a place of its own. */
async function placed(name: string, ground: Pick<Ground, 'vpc'>, more: object = {}): Promise<Place> {
  const own = await place(name, ground);
  await sound(name, { ...configOf(own), ...more }, inVpc);
  return own;
}

/** A group of a function that gets a rule, before or after the function is there. */
function grouped(rule: 'ingress' | 'egress', how: string, permission: object | (() => Promise<object>), later = false): Kind {
  return {
    rule: `security-group-open-${rule}`,
    how,
    async make(name, ground) {
      const own = await place(name, ground);
      const open = async () => {
        const IpPermissions = [typeof permission === 'function' ? await permission() : permission];
        await ec2(`authorize_security_group_${rule}`, { GroupId: own.group, IpPermissions });
      };
      if (!later) await open();
      await sound(name, configOf(own), inVpc);
      return { found: [arnOf('security-group', own.group)], ...(later ? { later: open } : {}) };
    },
  };
}

async function wholeInternet(): Promise<object> {
  ranges += 1;
  const list = { PrefixListName: `everywhere-${ranges}`, AddressFamily: 'IPv4', MaxEntries: 2 };
  const Entries = [{ Cidr: '0.0.0.0/1' }, { Cidr: '128.0.0.0/1' }];
  const { PrefixList } = await ec2('create_managed_prefix_list', { ...list, Entries });
  return { ...https, PrefixListIds: [{ PrefixListId: PrefixList.PrefixListId }] };
}

/** Gives some subnets a route table of their own with one route. */
async function routed(VpcId: string, subnets: readonly string[], route: object): Promise<string> {
  const { RouteTableId } = (await ec2('create_route_table', { VpcId })).RouteTable;
  await ec2('create_route', { RouteTableId, ...route });
  for (const SubnetId of subnets) await ec2('associate_route_table', { RouteTableId, SubnetId });
  return RouteTableId;
}

const everywhere = { DestinationCidrBlock: '0.0.0.0/0' };

/** A function whose subnets' network ACL lets in its VPC alone, until something is done to it. */
function behindAcl(
  how: string,
  loosened: (acl: string, subnet: string, ground: Ground) => { found: string; later: () => Promise<unknown> },
): Kind {
  return {
    rule: 'network-acl-open',
    how,
    onlyHeard: 'that it kept anything out, only who has seen it then knows: as it is now is how a VPC comes',
    async make(name, ground) {
      const own = await place(name, ground);
      const [subnet = ''] = own.subnets;
      const { NetworkAclId } = (await ec2('create_network_acl', { VpcId: ground.vpc })).NetworkAcl;
      const entry = { NetworkAclId, RuleNumber: 100, Protocol: '-1', RuleAction: 'allow' };
      await ec2('create_network_acl_entry', { ...entry, Egress: false, CidrBlock: '10.0.0.0/16' });
      await ec2('create_network_acl_entry', { ...entry, Egress: true, CidrBlock: '0.0.0.0/0' });
      await associate(subnet, NetworkAclId);
      await sound(name, configOf(own), inVpc);
      const { found, later } = loosened(NetworkAclId, subnet, ground);
      return { found: [found], later };
    },
  };
}

async function associate(SubnetId: string, NetworkAclId: string): Promise<void> {
  const { NetworkAcls } = await ec2('describe_network_acls', { Filters: [{ Name: 'association.subnet-id', Values: [SubnetId] }] });
  const [{ NetworkAclAssociationId: AssociationId }] = NetworkAcls[0].Associations.filter(
    (one: { SubnetId: string }) => one.SubnetId === SubnetId,
  );
  await ec2('replace_network_acl_association', { AssociationId, NetworkAclId });
}

function loosening(how: string, range: object): Kind {
  return behindAcl(how, (NetworkAclId) => ({
    found: arnOf('network-acl', NetworkAclId),
    later: () =>
      ec2('create_network_acl_entry', { NetworkAclId, RuleNumber: 90, Protocol: '-1', RuleAction: 'allow', Egress: false, ...range }),
  }));
}

const declaring = (destinations: string) => ({ Tags: { 'compliance-guard:destinations': destinations } });

/** A function that declares the internet and reaches it by a NAT gateway, as far as its group lets it. */
async function behindNat(name: string, ground: Ground, NatGatewayId: string, permissions: readonly object[] = [{ ...https, ...ipv4 }]) {
  const own = await place(name, ground);
  const table = await routed(ground.vpc, own.subnets, { ...everywhere, NatGatewayId });
  if (permissions.length > 0) await ec2('authorize_security_group_egress', { GroupId: own.group, IpPermissions: permissions });
  await sound(name, { ...configOf(own), ...declaring('internet') }, inVpc);
  return table;
}

/** A VPC of the function's own, whose ranges are those of the others as well. */
async function ownVpc(): Promise<string> {
  return (await ec2('create_vpc', { CidrBlock: '10.0.0.0/16' })).Vpc.VpcId;
}

async function defaultGroup(VpcId: string): Promise<string> {
  const Filters = [
    { Name: 'vpc-id', Values: [VpcId] },
    { Name: 'group-name', Values: ['default'] },
  ];
  return (await ec2('describe_security_groups', { Filters })).SecurityGroups[0].GroupId;
}

export const kinds: readonly Kind[] = [
  grouped('ingress', 'ingress', { ...https, ...ipv4 }),
  grouped('ingress', 'ingress-of-ipv6', { ...https, ...ipv6 }),
  grouped('ingress', 'ingress-of-halves', { ...everything, IpRanges: [{ CidrIp: '0.0.0.0/1' }, { CidrIp: '128.0.0.0/1' }] }),
  grouped('ingress', 'ingress-of-a-list', wholeInternet),
  grouped('ingress', 'ingress-later', { ...https, ...ipv4 }, true),
  {
    rule: 'security-group-open-ingress',
    how: 'ingress-of-a-version',
    async make(name, ground) {
      const own = await placed(name, ground, { Publish: true });
      await aliased(name);
      await ec2('authorize_security_group_ingress', { GroupId: own.group, IpPermissions: [{ ...https, ...ipv4 }] });
      const another = { ...own, group: await closedGroup(`${name}-new`, own.vpc) };
      await pipeline('update_function_configuration', { FunctionName: name, ...configOf(another) });
      await settled(name);
      return arnOf('security-group', own.group);
    },
  },
  grouped('egress', 'egress', { ...everything, ...ipv4 }),
  grouped('egress', 'egress-of-ipv6', { IpProtocol: 'tcp', FromPort: 0, ToPort: 65_535, ...ipv6 }),
  grouped('egress', 'egress-later', { ...everything, ...ipv6 }, true),
  {
    rule: 'security-group-shared',
    how: 'default-group',
    async make(name) {
      const vpc = await ownVpc();
      const group = await defaultGroup(vpc);
      await ec2('revoke_security_group_egress', { GroupId: group, IpPermissions: [{ ...everything, ...ipv4 }] });
      await sound(name, configOf({ vpc, group, subnets: [await subnetIn(vpc, 'a'), await subnetIn(vpc, 'b')] }), inVpc);
      return arnOf('security-group', group);
    },
  },
  {
    rule: 'security-group-shared',
    how: 'group-of-others',
    async make(name, ground) {
      const { group } = await placed(name, ground);
      await ec2('create_network_interface', { SubnetId: ground.publicSubnet, Groups: [group] });
      return arnOf('security-group', group);
    },
  },
  {
    rule: 'subnet-public',
    how: 'route-to-the-internet',
    async make(name, ground) {
      const own = await place(name, ground);
      await routed(ground.vpc, own.subnets.slice(0, 1), { ...everywhere, GatewayId: ground.internetGateway });
      await sound(name, configOf(own), inVpc);
      return arnOf('subnet', own.subnets[0] ?? '');
    },
  },
  {
    rule: 'subnet-public',
    how: 'ipv6-route-later',
    async make(name, ground) {
      const own = await place(name, ground);
      const RouteTableId = await routed(ground.vpc, own.subnets.slice(1), { ...everywhere, NatGatewayId: ground.natGateway });
      await sound(name, configOf(own), inVpc);
      const route = { RouteTableId, DestinationIpv6CidrBlock: '::/0', GatewayId: ground.internetGateway };
      return { found: [arnOf('subnet', own.subnets[1] ?? '')], later: () => ec2('create_route', route) };
    },
  },
  {
    rule: 'subnet-public',
    how: 'main-route-table',
    async make(name) {
      const vpc = await ownVpc();
      const { InternetGatewayId: GatewayId } = (await ec2('create_internet_gateway', {})).InternetGateway;
      await ec2('attach_internet_gateway', { InternetGatewayId: GatewayId, VpcId: vpc });
      const { subnets } = await placed(name, { vpc });
      const { RouteTables } = await ec2('describe_route_tables', { Filters: [{ Name: 'vpc-id', Values: [vpc] }] });
      const route = { RouteTableId: RouteTables[0].RouteTableId, ...everywhere, GatewayId };
      return { found: subnets.map((id) => arnOf('subnet', id)), later: () => ec2('create_route', route) };
    },
  },
  {
    rule: 'subnet-shared',
    how: 'subnet-of-two',
    async make(name, ground) {
      const own = await placed(`${name}-1`, ground);
      const [, shared = ''] = own.subnets;
      const other = { ...own, subnets: [shared, await subnetIn(ground.vpc, 'a')], group: await closedGroup(`${name}-2`, ground.vpc) };
      await sound(`${name}-2`, configOf(other), inVpc);
      return arnOf('subnet', shared);
    },
  },
  {
    rule: 'subnet-shared',
    how: 'subnet-of-others',
    async make(name, ground) {
      const [SubnetId = ''] = (await placed(name, ground)).subnets;
      return {
        found: [arnOf('subnet', SubnetId)],
        later: () => ec2('create_network_interface', { SubnetId, Groups: [ground.otherGroup] }),
      };
    },
  },
  {
    rule: 'subnet-single-az',
    how: 'one-zone',
    async make(name, { vpc }) {
      const subnets = [await subnetIn(vpc, 'a'), await subnetIn(vpc, 'a')];
      return await sound(name, configOf({ vpc, subnets, group: await closedGroup(name, vpc) }), inVpc);
    },
  },
  {
    rule: 'subnet-single-az',
    how: 'one-subnet-of-a-version',
    async make(name, { vpc }) {
      const [one, two] = [await subnetIn(vpc, 'a'), await subnetIn(vpc, 'b')];
      const own = { vpc, subnets: [one], group: await closedGroup(name, vpc) };
      const arn = await sound(name, { ...configOf(own), Publish: true }, inVpc);
      await aliased(name);
      await pipeline('update_function_configuration', { FunctionName: name, ...configOf({ ...own, subnets: [one, two] }) });
      await settled(name);
      return arn;
    },
  },
  loosening('acl-lets-in', { CidrBlock: '0.0.0.0/0' }),
  loosening('acl-lets-ipv6-in', { Ipv6CidrBlock: '::/0' }),
  behindAcl('acl-of-the-vpc', (_, subnet, { vpc }) => ({
    found: arnOf('subnet', subnet),
    later: async () => {
      const Filters = [
        { Name: 'vpc-id', Values: [vpc] },
        { Name: 'default', Values: ['true'] },
      ];
      await associate(subnet, (await ec2('describe_network_acls', { Filters })).NetworkAcls[0].NetworkAclId);
    },
  })),
  {
    rule: 'route-unreachable',
    how: 'no-route',
    async make(name, ground) {
      await placed(name, ground, declaring('internet'));
      return functionArn(name);
    },
  },
  {
    rule: 'route-unreachable',
    how: 'no-vpc-reaching-in',
    make: async (name) => await sound(name, declaring('10.20.0.0/16:5432')),
  },
  {
    rule: 'route-unreachable',
    how: 'group-in-the-way',
    async make(name, ground) {
      await behindNat(name, ground, ground.natGateway, []);
      return functionArn(name);
    },
  },
  {
    rule: 'route-unreachable',
    how: 'route-deleted',
    async make(name, ground) {
      const RouteTableId = await behindNat(name, ground, ground.natGateway);
      return { found: [functionArn(name)], later: () => ec2('delete_route', { RouteTableId, ...everywhere }) };
    },
  },
  {
    rule: 'route-unreachable',
    how: 'nat-gone',
    async make(name, ground) {
      const { NatGatewayId } = (await ec2('create_nat_gateway', { SubnetId: ground.publicSubnet })).NatGateway;
      await behindNat(name, ground, NatGatewayId);
      return { found: [functionArn(name)], later: () => ec2('delete_nat_gateway', { NatGatewayId }) };
    },
  },
  {
    rule: 'function-outside-vpc',
    how: 'outside-by-tag',
    make: async (name) => await sound(name, { Tags: { 'compliance-guard:vpc-required': 'true' } }),
  },
  // FunctionOutsideVpcFunctions names it.
  { rule: 'function-outside-vpc', how: 'outside-by-name', make: async (name) => await sound(name) },
  {
    rule: 'function-outside-vpc',
    how: 'outside-later',
    async make(name, ground) {
      await placed(name, ground, { Tags: { 'compliance-guard:vpc-required': 'true' } });
      const outside = { FunctionName: name, VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } };
      return { found: [functionArn(name)], later: () => pipeline('update_function_configuration', outside) };
    },
  },
];

export const nearMisses: readonly NearMiss[] = [
  // Most sound functions in a VPC are no more than that.
  { how: 'placed', make: placed },
  { how: 'placed-as-well', make: placed },
  {
    how: 'groups-that-let-some-in',
    async make(name, ground) {
      const { group: GroupId } = await placed(name, ground);
      const own = { UserIdGroupPairs: [{ GroupId }], IpRanges: [{ CidrIp: '10.0.0.0/8' }, { CidrIp: '203.0.113.0/24' }] };
      await ec2('authorize_security_group_ingress', { GroupId, IpPermissions: [{ ...everything, ...own }] });
      await ec2('authorize_security_group_egress', { GroupId, IpPermissions: [{ ...https, ...ipv4, ...ipv6 }] });
    },
  },
  { how: 'reaches-the-internet', make: async (name, ground) => await behindNat(name, ground, ground.natGateway) },
  {
    how: 'group-closed-again',
    async make(name, ground) {
      const { group: GroupId } = await placed(name, ground);
      const open = { GroupId, IpPermissions: [{ ...https, ...ipv4 }] };
      await ec2('authorize_security_group_ingress', open);
      return { later: () => ec2('revoke_security_group_ingress', open) };
    },
  },
  {
    how: 'inside-as-it-must-be',
    make: async (name, ground) => await placed(name, ground, { Tags: { 'compliance-guard:vpc-required': 'true' } }),
  },
];
