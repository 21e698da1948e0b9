import type {
  AuthorizeSecurityGroupEgressCommandInput,
  AuthorizeSecurityGroupIngressCommandInput,
  CreateNetworkAclEntryCommandInput,
  CreateRouteCommandInput,
  Filter,
  InternetGateway,
  IpPermission,
  ModifySecurityGroupRulesCommandInput,
  NatGateway,
  NetworkAcl,
  NetworkAclEntry,
  NetworkInterface,
  PrefixListEntry,
  RevokeSecurityGroupEgressCommandInput,
  RevokeSecurityGroupIngressCommandInput,
  Route,
  RouteTable,
  SecurityGroupRule,
  Subnet,
  Tag,
  TransitGatewayAttachment,
  TransitGatewayRoute,
  TransitGatewayVpcAttachment,
  VpcEndpoint,
  VpcPeeringConnection,
} from '@aws-sdk/client-ec2';
import { awsError, page, type Service, type Surroundings } from './service.ts';

interface SecurityGroup {
  readonly GroupId: string;
  readonly GroupName: string;
  readonly Description: string;
  readonly VpcId: string;
  Tags: Tag[];
  rules: SecurityGroupRule[];
}

interface PrefixList {
  readonly PrefixListId: string;
  readonly PrefixListName: string;
  readonly OwnerId: string;
  Entries: PrefixListEntry[];
}

interface Acl extends Omit<NetworkAcl, 'Associations'> {
  readonly NetworkAclId: string;
  Entries: NetworkAclEntry[];
  Associations: { readonly SubnetId: string; readonly NetworkAclAssociationId: string }[];
}

type Group = { readonly GroupId?: string | undefined; readonly GroupName?: string | undefined };
type Rules = Group &
  Pick<AuthorizeSecurityGroupIngressCommandInput, 'IpPermissions' | 'IpProtocol' | 'FromPort' | 'ToPort' | 'CidrIp' | 'TagSpecifications'>;

/** Parts of a network that are only read, but for the routes of tables. */
interface NetworkParts {
  routeTables: RouteTable;
  vpcEndpoints: VpcEndpoint;
  natGateways: NatGateway;
  internetGateways: InternetGateway;
  peerings: VpcPeeringConnection;
  transitGatewayAttachments: TransitGatewayAttachment;
  transitGatewayVpcAttachments: TransitGatewayVpcAttachment;
}

const networkIds = {
  routeTables: 'RouteTableId',
  vpcEndpoints: 'VpcEndpointId',
  natGateways: 'NatGatewayId',
  internetGateways: 'InternetGatewayId',
  peerings: 'VpcPeeringConnectionId',
  transitGatewayAttachments: 'TransitGatewayAttachmentId',
  transitGatewayVpcAttachments: 'TransitGatewayAttachmentId',
} as const;

interface Filtered {
  readonly Filters?: Filter[] | undefined;
}

interface Tokens {
  readonly NextToken?: string | undefined;
  readonly MaxResults?: number | undefined;
}

/** EC2's network, as far as the guard and its tests use it. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html */
export class Ec2Service implements Service {
  readonly #world: Surroundings;
  readonly #groups = new Map<string, SecurityGroup>();
  readonly #interfaces = new Map<string, NetworkInterface>();
  readonly #prefixLists = new Map<string, PrefixList>();
  readonly #acls = new Map<string, Acl>();
  readonly #parts: { [K in keyof NetworkParts]: NetworkParts[K][] } = {
    routeTables: [],
    vpcEndpoints: [],
    natGateways: [],
    internetGateways: [],
    peerings: [],
    transitGatewayAttachments: [],
    transitGatewayVpcAttachments: [],
  };
  /** The routes of transit gateways' route tables. */
  readonly transitRoutes = new Map<string, TransitGatewayRoute[]>();
  /** `enableDnsSupport` and `enableDnsHostnames`, where a VPC has them off. */
  readonly dnsOff = new Set<string>();
  readonly #subnets = new Map<string, Subnet>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  /** `GroupId` may be given, so that a table can name it. */
  createSecurityGroup(input: {
    GroupId?: string;
    GroupName: string;
    Description?: string;
    VpcId?: string;
    Tags?: Record<string, string>;
  }): { GroupId: string } {
    const { GroupName, Description = GroupName, VpcId = 'vpc-0a1b2c3d4e5f60718', GroupId = this.#world.id('sg') } = input;
    if ([...this.#groups.values()].some((group) => group.GroupName === GroupName && group.VpcId === VpcId)) {
      throw awsError('InvalidGroup.Duplicate', `The security group '${GroupName}' already exists for VPC '${VpcId}'`);
    }
    const group: SecurityGroup = { GroupId, GroupName, Description, VpcId, Tags: tagsOf(input.Tags), rules: [] };
    this.#groups.set(GroupId, group);
    const everywhere = { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
    group.rules.push(...this.#rulesFrom(group, { IpPermissions: [everywhere] }, true));
    return { GroupId };
  }

  deleteSecurityGroup(input: Group): object {
    const { GroupId } = this.#group(input);
    if ([...this.#interfaces.values()].some(({ Groups = [] }) => Groups.some((group) => group.GroupId === GroupId))) {
      throw awsError('DependencyViolation', `resource ${GroupId} has a dependent object`);
    }
    this.#groups.delete(GroupId);
    return { Return: true, GroupId };
  }

  describeSecurityGroups({
    GroupIds,
    GroupNames,
    Filters,
    NextToken,
    MaxResults = 1000,
  }: Tokens & { GroupIds?: string[] | undefined; GroupNames?: string[] | undefined; Filters?: Filter[] | undefined } = {}): object {
    for (const GroupId of GroupIds ?? []) this.#group({ GroupId });
    for (const GroupName of GroupNames ?? []) this.#group({ GroupName });
    const groups = [...this.#groups.values()].filter(
      (group) =>
        (GroupIds?.includes(group.GroupId) ?? true) &&
        (GroupNames?.includes(group.GroupName) ?? true) &&
        matches(Filters, {
          'group-id': [group.GroupId],
          'group-name': [group.GroupName],
          'vpc-id': [group.VpcId],
          'ip-permission.prefix-list-id': group.rules.flatMap(({ IsEgress, PrefixListId }) =>
            IsEgress === true || PrefixListId === undefined ? [] : [PrefixListId],
          ),
        }),
    );
    const { items, next } = page(groups, NextToken, MaxResults);
    const SecurityGroups = items.map(({ rules, ...group }) => ({
      ...group,
      OwnerId: this.#world.account,
      IpPermissions: permissionsOf(rules.filter(({ IsEgress }) => IsEgress === false)),
      IpPermissionsEgress: permissionsOf(rules.filter(({ IsEgress }) => IsEgress === true)),
    }));
    return { SecurityGroups, NextToken: next };
  }

  /** One rule for each range, as AWS keeps them; a filter on a group that is not there finds nothing. */
  describeSecurityGroupRules({
    SecurityGroupRuleIds,
    Filters,
    NextToken,
    MaxResults = 1000,
  }: Tokens & { SecurityGroupRuleIds?: string[] | undefined; Filters?: Filter[] | undefined } = {}): object {
    const all = [...this.#groups.values()].flatMap(({ rules }) => rules);
    for (const id of SecurityGroupRuleIds ?? []) if (!all.some(({ SecurityGroupRuleId }) => SecurityGroupRuleId === id)) throw noRule(id);
    const found = all.filter(
      ({ SecurityGroupRuleId = '', GroupId = '' }) =>
        (SecurityGroupRuleIds?.includes(SecurityGroupRuleId) ?? true) &&
        matches(Filters, { 'group-id': [GroupId], 'security-group-rule-id': [SecurityGroupRuleId] }),
    );
    const { items, next } = page(found, NextToken, MaxResults);
    return { SecurityGroupRules: items, NextToken: next };
  }

  authorizeSecurityGroupIngress(input: AuthorizeSecurityGroupIngressCommandInput): object {
    return this.#authorize(input, false);
  }

  authorizeSecurityGroupEgress(input: AuthorizeSecurityGroupEgressCommandInput): object {
    return this.#authorize(input, true);
  }

  #authorize(input: Rules, isEgress: boolean): object {
    const group = this.#group(input);
    const rules = this.#rulesFrom(group, input, isEgress);
    for (const rule of rules) {
      if (group.rules.some((existing) => sameRule(existing, rule))) {
        throw awsError('InvalidPermission.Duplicate', `the specified rule "peer: ${rangeOf(rule)}" already exists`);
      }
    }
    group.rules.push(...rules);
    this.#world.tick();
    return { Return: true, SecurityGroupRules: rules };
  }

  revokeSecurityGroupIngress(input: RevokeSecurityGroupIngressCommandInput): object {
    return this.#revoke(input, false);
  }

  revokeSecurityGroupEgress(input: RevokeSecurityGroupEgressCommandInput): object {
    return this.#revoke(input, true);
  }

  #revoke(input: Rules & { readonly SecurityGroupRuleIds?: string[] | undefined }, isEgress: boolean): object {
    const group = this.#group(input);
    const ids = input.SecurityGroupRuleIds;
    for (const id of ids ?? []) if (!group.rules.some(({ SecurityGroupRuleId }) => SecurityGroupRuleId === id)) throw noRule(id);
    const unwanted =
      ids === undefined
        ? this.#rulesFrom(group, input, isEgress).map((rule) => group.rules.find((existing) => sameRule(existing, rule)))
        : group.rules.filter(({ SecurityGroupRuleId = '' }) => ids.includes(SecurityGroupRuleId));
    if (unwanted.includes(undefined))
      throw awsError('InvalidPermission.NotFound', 'The specified rule does not exist in this security group.');
    group.rules = group.rules.filter((rule) => !unwanted.includes(rule));
    this.#world.tick();
    return { Return: true };
  }

  modifySecurityGroupRules(input: ModifySecurityGroupRulesCommandInput): object {
    const group = this.#group(input);
    for (const { SecurityGroupRuleId = '', SecurityGroupRule: wanted = {} } of input.SecurityGroupRules ?? []) {
      const index = group.rules.findIndex((rule) => rule.SecurityGroupRuleId === SecurityGroupRuleId);
      const { Tags, IsEgress, GroupOwnerId } = group.rules[index] ?? {};
      if (index < 0) throw noRule(SecurityGroupRuleId);
      group.rules[index] = { SecurityGroupRuleId, GroupId: group.GroupId, GroupOwnerId, IsEgress, Tags, ...wanted };
    }
    this.#world.tick();
    return { Return: true };
  }

  /** A network interface in some groups; `InterfaceType` tells whose it is (`lambda`, `interface`, `network_load_balancer` …). */
  createNetworkInterface({
    Groups,
    InterfaceType = 'interface',
    ...settings
  }: Omit<Partial<NetworkInterface>, 'Groups'> & { Groups: string[] }): { NetworkInterface: NetworkInterface } {
    const NetworkInterface: NetworkInterface = {
      NetworkInterfaceId: this.#world.id('eni'),
      InterfaceType,
      Description: InterfaceType === 'lambda' ? 'AWS Lambda VPC ENI' : '',
      Status: 'in-use',
      ...settings,
      Groups: Groups.map((GroupId) => ({ GroupId, GroupName: this.#group({ GroupId }).GroupName })),
    };
    this.#interfaces.set(NetworkInterface.NetworkInterfaceId ?? '', NetworkInterface);
    return { NetworkInterface };
  }

  describeNetworkInterfaces({ Filters, NextToken, MaxResults = 1000 }: Tokens & { Filters?: Filter[] | undefined } = {}): object {
    const found = [...this.#interfaces.values()].filter(({ Groups = [], SubnetId = '', InterfaceType = '' }) =>
      matches(Filters, {
        'group-id': Groups.map(({ GroupId = '' }) => GroupId),
        'subnet-id': [SubnetId],
        'interface-type': [InterfaceType],
      }),
    );
    const { items, next } = page(found, NextToken, MaxResults);
    return { NetworkInterfaces: items, NextToken: next };
  }

  createSubnet(
    input: {
      SubnetId?: string;
      VpcId?: string;
      AvailabilityZone?: string;
      CidrBlock?: string;
      Ipv6CidrBlockAssociationSet?: { Ipv6CidrBlock: string }[];
      Tags?: Readonly<Record<string, string>>;
    } = {},
  ): { Subnet: Subnet } {
    const {
      SubnetId = this.#world.id('subnet'),
      VpcId = 'vpc-0a1b2c3d4e5f60718',
      AvailabilityZone = 'us-east-1a',
      Tags = {},
      ...more
    } = input;
    const Subnet: Subnet = { SubnetId, VpcId, AvailabilityZone, OwnerId: this.#world.account, ...more, Tags: tagsOf(Tags) };
    this.#subnets.set(SubnetId, Subnet);
    return { Subnet };
  }

  describeSubnets({ Filters, NextToken, MaxResults = 1000 }: Tokens & { Filters?: Filter[] | undefined } = {}): object {
    const found = [...this.#subnets.values()].filter(({ SubnetId = '', VpcId = '' }) =>
      matches(Filters, { 'subnet-id': [SubnetId], 'vpc-id': [VpcId] }),
    );
    const { items, next } = page(found, NextToken, MaxResults);
    return { Subnets: items, NextToken: next };
  }

  /** `OwnerId: 'AWS'` makes one that AWS manages. */
  createManagedPrefixList(input: { PrefixListId?: string; PrefixListName: string; OwnerId?: string; Entries: string[] }): {
    PrefixListId: string;
  } {
    const { PrefixListId = this.#world.id('pl'), PrefixListName, OwnerId = this.#world.account, Entries } = input;
    this.#prefixLists.set(PrefixListId, { PrefixListId, PrefixListName, OwnerId, Entries: Entries.map((Cidr) => ({ Cidr })) });
    return { PrefixListId };
  }

  /** With the entries that deny everything, which AWS puts at the end. `Subnets` are associated with it from the beginning. */
  createNetworkAcl({
    NetworkAclId = this.#world.id('acl'),
    VpcId = 'vpc-0a1b2c3d4e5f60718',
    IsDefault = false,
    Subnets = [],
    Tags = {},
  }: {
    NetworkAclId?: string;
    VpcId?: string;
    IsDefault?: boolean;
    Subnets?: readonly string[];
    Tags?: Readonly<Record<string, string>>;
  } = {}): { NetworkAcl: NetworkAcl } {
    const rest = { CidrBlock: '0.0.0.0/0', Protocol: '-1', RuleAction: 'deny' as const, RuleNumber: 32_767 };
    const Entries = [false, true].map((Egress) => ({ Egress, ...rest }));
    const acl: Acl = { NetworkAclId, VpcId, IsDefault, Entries, Associations: [], Tags: tagsOf(Tags) };
    this.#acls.set(NetworkAclId, acl);
    for (const SubnetId of Subnets) this.#associate(acl, SubnetId);
    return { NetworkAcl: acl };
  }

  deleteNetworkAcl({ NetworkAclId = '' }: { NetworkAclId?: string }): object {
    if (this.#acl(NetworkAclId).Associations.length > 0) {
      throw awsError('DependencyViolation', `The networkAcl '${NetworkAclId}' has dependencies and cannot be deleted.`);
    }
    this.#acls.delete(NetworkAclId);
    return {};
  }

  describeNetworkAcls({ Filters, NextToken, MaxResults = 1000 }: Tokens & { Filters?: Filter[] | undefined } = {}): object {
    const found = [...this.#acls.values()].filter(({ NetworkAclId, VpcId = '', Associations }) =>
      matches(Filters, {
        'network-acl-id': [NetworkAclId],
        'vpc-id': [VpcId],
        'association.subnet-id': Associations.map(({ SubnetId }) => SubnetId),
      }),
    );
    const { items, next } = page(found, NextToken, MaxResults);
    const NetworkAcls = items.map((acl) => ({
      ...acl,
      Associations: acl.Associations.map((one) => ({ ...one, NetworkAclId: acl.NetworkAclId })),
      OwnerId: this.#world.account,
    }));
    return { NetworkAcls, NextToken: next };
  }

  createNetworkAclEntry({ NetworkAclId = '', ...entry }: CreateNetworkAclEntryCommandInput): object {
    const acl = this.#acl(NetworkAclId);
    if (acl.Entries.some((existing) => sameEntry(existing, entry)))
      throw awsError('NetworkAclEntryAlreadyExists', `The network acl entry identified by ${entry.RuleNumber} already exists.`);
    acl.Entries.push(entryFrom(entry));
    this.#world.tick();
    return {};
  }

  replaceNetworkAclEntry({ NetworkAclId = '', ...entry }: CreateNetworkAclEntryCommandInput): object {
    const acl = this.#acl(NetworkAclId);
    const index = acl.Entries.findIndex((existing) => sameEntry(existing, entry));
    if (index < 0) throw noEntry(entry);
    acl.Entries[index] = entryFrom(entry);
    this.#world.tick();
    return {};
  }

  deleteNetworkAclEntry({
    NetworkAclId = '',
    ...entry
  }: Pick<CreateNetworkAclEntryCommandInput, 'NetworkAclId' | 'RuleNumber' | 'Egress'>): object {
    const acl = this.#acl(NetworkAclId);
    if (!acl.Entries.some((existing) => sameEntry(existing, entry))) throw noEntry(entry);
    acl.Entries = acl.Entries.filter((existing) => !sameEntry(existing, entry));
    this.#world.tick();
    return {};
  }

  replaceNetworkAclAssociation({ AssociationId = '', NetworkAclId = '' }: { AssociationId?: string; NetworkAclId?: string }): object {
    const to = this.#acl(NetworkAclId);
    for (const acl of this.#acls.values()) {
      const one = acl.Associations.find(({ NetworkAclAssociationId }) => NetworkAclAssociationId === AssociationId);
      if (one === undefined) continue;
      acl.Associations = acl.Associations.filter((other) => other !== one);
      this.#world.tick();
      return { NewAssociationId: this.#associate(to, one.SubnetId) };
    }
    throw awsError('InvalidAssociationID.NotFound', `The association ID '${AssociationId}' does not exist`);
  }

  /** A subnet that is gone is associated with no ACL. */
  deleteSubnet({ SubnetId = '' }: { SubnetId?: string }): object {
    for (const acl of this.#acls.values()) acl.Associations = acl.Associations.filter((one) => one.SubnetId !== SubnetId);
    this.#subnets.delete(SubnetId);
    return {};
  }

  /** Puts parts of a network there as DescribeRouteTables and its like answer them; what has the same id is replaced. */
  put<K extends keyof NetworkParts>(kind: K, ...parts: NetworkParts[K][]): void {
    const id = networkIds[kind] as unknown as keyof NetworkParts[K];
    const all = this.#parts[kind] as NetworkParts[K][];
    for (const part of parts) {
      const index = all.findIndex((one) => one[id] === part[id]);
      if (index < 0) all.push(structuredClone(part));
      else all[index] = structuredClone(part);
    }
  }

  describeRouteTables({ Filters }: Filtered = {}): object {
    const RouteTables = this.#parts.routeTables.filter(({ RouteTableId = '', VpcId = '' }) =>
      matches(Filters, { 'route-table-id': [RouteTableId], 'vpc-id': [VpcId] }),
    );
    return { RouteTables };
  }

  describeVpcEndpoints({ Filters }: Filtered = {}): object {
    return { VpcEndpoints: this.#parts.vpcEndpoints.filter(({ VpcId = '' }) => matches(Filters, { 'vpc-id': [VpcId] })) };
  }

  describeNatGateways({ Filter }: { Filter?: Filter[] | undefined } = {}): object {
    return { NatGateways: this.#parts.natGateways.filter(({ VpcId = '' }) => matches(Filter, { 'vpc-id': [VpcId] })) };
  }

  describeInternetGateways({ Filters }: Filtered = {}): object {
    const vpcs = ({ Attachments = [] }: InternetGateway) => Attachments.map(({ VpcId = '' }) => VpcId);
    return { InternetGateways: this.#parts.internetGateways.filter((one) => matches(Filters, { 'attachment.vpc-id': vpcs(one) })) };
  }

  describeVpcPeeringConnections({ Filters }: Filtered = {}): object {
    const found = this.#parts.peerings.filter(({ VpcPeeringConnectionId: id = '' }) =>
      matches(Filters, { 'vpc-peering-connection-id': [id] }),
    );
    return { VpcPeeringConnections: found };
  }

  describeTransitGatewayAttachments({ Filters }: Filtered = {}): object {
    const found = this.#parts.transitGatewayAttachments.filter(({ ResourceId = '' }) => matches(Filters, { 'resource-id': [ResourceId] }));
    return { TransitGatewayAttachments: found };
  }

  describeTransitGatewayVpcAttachments({ Filters }: Filtered = {}): object {
    const found = this.#parts.transitGatewayVpcAttachments.filter(({ VpcId = '' }) => matches(Filters, { 'vpc-id': [VpcId] }));
    return { TransitGatewayVpcAttachments: found };
  }

  searchTransitGatewayRoutes({ TransitGatewayRouteTableId = '' }: { TransitGatewayRouteTableId?: string | undefined }): object {
    return { Routes: this.transitRoutes.get(TransitGatewayRouteTableId) ?? [], AdditionalRoutesAvailable: false };
  }

  describeManagedPrefixLists({ Filters }: Filtered = {}): object {
    const all = [...this.#prefixLists.values()].map(({ Entries: _, ...list }) => list);
    return { PrefixLists: all.filter(({ PrefixListName }) => matches(Filters, { 'prefix-list-name': [PrefixListName] })) };
  }

  describeVpcAttribute({ VpcId, Attribute = '' }: { VpcId?: string; Attribute?: string }): object {
    const name = `${Attribute.charAt(0).toUpperCase()}${Attribute.slice(1)}`;
    return { VpcId, [name]: { Value: !this.dnsOff.has(Attribute) } };
  }

  createRoute({ RouteTableId = '', ...route }: CreateRouteCommandInput): object {
    const table = this.#table(RouteTableId);
    if (table.Routes?.some((one) => sameDestination(one, route)))
      throw awsError('RouteAlreadyExists', `The route identified by ${route.DestinationCidrBlock} already exists.`);
    table.Routes = [...(table.Routes ?? []), { ...shownRoute(route), Origin: 'CreateRoute', State: 'active' }];
    this.#world.tick();
    return { Return: true };
  }

  replaceRoute({ RouteTableId = '', ...route }: CreateRouteCommandInput): object {
    const table = this.#table(RouteTableId);
    if (table.Routes?.every((one) => !sameDestination(one, route))) throw noRoute(route);
    table.Routes = table.Routes?.map((one) =>
      sameDestination(one, route) ? { ...shownRoute(route), Origin: 'CreateRoute', State: 'active' } : one,
    );
    this.#world.tick();
    return {};
  }

  deleteRoute({ RouteTableId = '', ...route }: CreateRouteCommandInput): object {
    const table = this.#table(RouteTableId);
    if (table.Routes?.every((one) => !sameDestination(one, route))) throw noRoute(route);
    table.Routes = table.Routes?.filter((one) => !sameDestination(one, route));
    this.#world.tick();
    return {};
  }

  deleteRouteTable({ RouteTableId = '' }: { RouteTableId?: string }): object {
    this.#table(RouteTableId);
    this.#parts.routeTables = this.#parts.routeTables.filter((one) => one.RouteTableId !== RouteTableId);
    return {};
  }

  getManagedPrefixListEntries({ PrefixListId = '', NextToken, MaxResults = 100 }: Tokens & { PrefixListId?: string | undefined }): object {
    const list = this.#prefixLists.get(PrefixListId);
    if (list === undefined) throw awsError('InvalidPrefixListID.NotFound', `The prefix list ID '${PrefixListId}' does not exist`);
    const { items, next } = page(list.Entries, NextToken, MaxResults);
    return { Entries: items, NextToken: next };
  }

  snapshot(): unknown {
    return {
      groups: Object.fromEntries(
        [...this.#groups.values()].map((group) => [
          group.GroupId,
          { ...group, rules: group.rules.toSorted((a, b) => keyOf(a).localeCompare(keyOf(b))) },
        ]),
      ),
      interfaces: Object.fromEntries(this.#interfaces),
      prefixLists: Object.fromEntries(this.#prefixLists),
      // The order of routes means nothing.
      parts: {
        ...this.#parts,
        routeTables: this.#parts.routeTables.map(({ Routes = [], ...table }) => ({
          ...table,
          Routes: Routes.toSorted((a, b) => String(destinationOf(a)).localeCompare(String(destinationOf(b)))),
        })),
      },
      // Neither the order of entries nor that of associations means anything.
      networkAcls: Object.fromEntries(
        [...this.#acls.values()].map((acl) => [
          acl.NetworkAclId,
          {
            ...acl,
            Entries: acl.Entries.map((one) => JSON.stringify(one)).sort(),
            Associations: acl.Associations.map(({ SubnetId }) => SubnetId).sort(),
          },
        ]),
      ),
      subnets: Object.fromEntries(this.#subnets),
    };
  }

  #table(RouteTableId: string): RouteTable {
    const table = this.#parts.routeTables.find((one) => one.RouteTableId === RouteTableId);
    if (table === undefined) throw awsError('InvalidRouteTableID.NotFound', `The routeTable ID '${RouteTableId}' does not exist`);
    return table;
  }

  #acl(NetworkAclId: string): Acl {
    const acl = this.#acls.get(NetworkAclId);
    if (acl === undefined) throw awsError('InvalidNetworkAclID.NotFound', `The networkAcl ID '${NetworkAclId}' does not exist`);
    return acl;
  }

  #associate(acl: Acl, SubnetId: string): string {
    const NetworkAclAssociationId = this.#world.id('aclassoc');
    acl.Associations.push({ SubnetId, NetworkAclAssociationId });
    return NetworkAclAssociationId;
  }

  #group({ GroupId, GroupName }: Group): SecurityGroup {
    const found = [...this.#groups.values()].find((group) =>
      GroupId === undefined ? group.GroupName === GroupName : group.GroupId === GroupId,
    );
    if (found === undefined) throw awsError('InvalidGroup.NotFound', `The security group '${GroupId ?? GroupName}' does not exist`);
    return found;
  }

  #rulesFrom(
    group: SecurityGroup,
    { IpPermissions = [], IpProtocol, FromPort, ToPort, CidrIp, TagSpecifications = [] }: Rules,
    IsEgress: boolean,
  ): SecurityGroupRule[] {
    const legacy: IpPermission[] = CidrIp === undefined ? [] : [{ IpProtocol, FromPort, ToPort, IpRanges: [{ CidrIp }] }];
    const Tags = TagSpecifications.flatMap((specification) =>
      specification.ResourceType === 'security-group-rule' ? (specification.Tags ?? []) : [],
    );
    return [...IpPermissions, ...legacy].flatMap((permission) => {
      const protocol = protocols[permission.IpProtocol ?? ''] ?? permission.IpProtocol;
      const ports = protocol === '-1' ? { FromPort: -1, ToPort: -1 } : { FromPort: permission.FromPort, ToPort: permission.ToPort };
      const peers: SecurityGroupRule[] = [
        ...(permission.IpRanges ?? []).map(({ CidrIp: CidrIpv4, Description }) => ({ CidrIpv4, Description })),
        ...(permission.Ipv6Ranges ?? []).map(({ CidrIpv6, Description }) => ({ CidrIpv6, Description })),
        ...(permission.PrefixListIds ?? []).map(({ PrefixListId, Description }) => ({ PrefixListId, Description })),
        ...(permission.UserIdGroupPairs ?? []).map(({ GroupId, Description }) => ({ ReferencedGroupInfo: { GroupId }, Description })),
      ];
      return peers.map((peer) => ({
        SecurityGroupRuleId: this.#world.id('sgr'),
        GroupId: group.GroupId,
        GroupOwnerId: this.#world.account,
        IsEgress,
        IpProtocol: protocol,
        ...ports,
        ...peer,
        Tags,
      }));
    });
  }
}

const protocols: Readonly<Record<string, string>> = { '1': 'icmp', '6': 'tcp', '17': 'udp', '58': 'icmpv6' };

type RouteKey = Pick<Route, 'DestinationCidrBlock' | 'DestinationIpv6CidrBlock' | 'DestinationPrefixListId'>;

function sameDestination(a: RouteKey, b: RouteKey): boolean {
  return destinationOf(a) === destinationOf(b);
}

function destinationOf({ DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId }: RouteKey): string | undefined {
  return DestinationCidrBlock ?? DestinationIpv6CidrBlock ?? DestinationPrefixListId;
}

function shownRoute({ DryRun: _, VpcEndpointId: __, ...route }: Omit<CreateRouteCommandInput, 'RouteTableId'>): Route {
  return definedOf(route) as Route;
}

function noRoute(route: RouteKey): Error {
  return awsError('InvalidRoute.NotFound', `no route with destination-cidr-block ${destinationOf(route)} in the route table`);
}

type EntryKey = Pick<NetworkAclEntry, 'RuleNumber' | 'Egress'>;

function sameEntry(a: EntryKey, b: EntryKey): boolean {
  return a.RuleNumber === b.RuleNumber && a.Egress === b.Egress;
}

/** Ports of protocols that have none are left out, as AWS does. */
function entryFrom(entry: Omit<CreateNetworkAclEntryCommandInput, 'NetworkAclId' | 'DryRun'>): NetworkAclEntry {
  const { CidrBlock, Egress, Ipv6CidrBlock, Protocol, RuleAction, RuleNumber, PortRange, IcmpTypeCode } = entry;
  const ports = ['6', '17'].includes(Protocol ?? '') ? { PortRange } : {};
  const icmp = ['1', '58'].includes(Protocol ?? '') ? { IcmpTypeCode } : {};
  return definedOf({ CidrBlock, Egress, Ipv6CidrBlock, Protocol, RuleAction, RuleNumber, ...ports, ...icmp });
}

function noEntry({ RuleNumber, Egress }: EntryKey): Error {
  return awsError('InvalidNetworkAclEntry.NotFound', `The ${Egress === true ? 'egress' : 'ingress'} entry ${RuleNumber} does not exist`);
}

function definedOf<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function noRule(id: string): Error {
  return awsError('InvalidSecurityGroupRuleId.NotFound', `The security group rule ID '${id}' does not exist`);
}

function tagsOf(tags: Readonly<Record<string, string>> = {}): Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

function rangeOf({ CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupInfo }: SecurityGroupRule): string {
  return CidrIpv4 ?? CidrIpv6 ?? PrefixListId ?? ReferencedGroupInfo?.GroupId ?? '';
}

function keyOf(rule: SecurityGroupRule): string {
  return [rule.IsEgress, rule.IpProtocol, rule.FromPort, rule.ToPort, rangeOf(rule)].join(' ');
}

function sameRule(a: SecurityGroupRule, b: SecurityGroupRule): boolean {
  return keyOf(a) === keyOf(b);
}

/** The rules as DescribeSecurityGroups shows them: merged by protocol and ports, without ids and tags. */
function permissionsOf(rules: readonly SecurityGroupRule[]): IpPermission[] {
  const merged = new Map<
    string,
    Required<Pick<IpPermission, 'IpRanges' | 'Ipv6Ranges' | 'PrefixListIds' | 'UserIdGroupPairs'>> & IpPermission
  >();
  for (const { IpProtocol, FromPort, ToPort, CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupInfo, Description } of rules) {
    const key = `${IpProtocol} ${FromPort} ${ToPort}`;
    const ports = IpProtocol === '-1' ? {} : { FromPort, ToPort };
    const permission = merged.get(key) ?? { IpProtocol, ...ports, IpRanges: [], Ipv6Ranges: [], PrefixListIds: [], UserIdGroupPairs: [] };
    const described = Description === undefined ? {} : { Description };
    if (CidrIpv4 !== undefined) permission.IpRanges.push({ CidrIp: CidrIpv4, ...described });
    if (CidrIpv6 !== undefined) permission.Ipv6Ranges.push({ CidrIpv6, ...described });
    if (PrefixListId !== undefined) permission.PrefixListIds.push({ PrefixListId, ...described });
    if (ReferencedGroupInfo !== undefined) permission.UserIdGroupPairs.push({ GroupId: ReferencedGroupInfo.GroupId, ...described });
    merged.set(key, permission);
  }
  return [...merged.values()];
}

function matches(filters: readonly Filter[] = [], attributes: Readonly<Record<string, readonly string[]>>): boolean {
  return filters.every(({ Name = '', Values = [] }) => {
    const attribute = attributes[Name];
    if (attribute === undefined) throw awsError('InvalidParameterValue', `The filter '${Name}' is invalid`);
    return attribute.some((value) => Values.includes(value));
  });
}
