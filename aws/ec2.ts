import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateNetworkAclEntryCommand,
  CreateRouteCommand,
  DeleteNetworkAclEntryCommand,
  DeleteRouteCommand,
  DescribeInternetGatewaysCommand,
  DescribeManagedPrefixListsCommand,
  DescribeNatGatewaysCommand,
  DescribeNetworkAclsCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRegionsCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeTransitGatewayAttachmentsCommand,
  DescribeTransitGatewayVpcAttachmentsCommand,
  DescribeVpcAttributeCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcPeeringConnectionsCommand,
  EC2Client,
  type Filter,
  GetManagedPrefixListEntriesCommand,
  type NetworkAcl,
  type NetworkInterface,
  ReplaceNetworkAclAssociationCommand,
  ReplaceNetworkAclEntryCommand,
  ReplaceRouteCommand,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  SearchTransitGatewayRoutesCommand,
  type SecurityGroupRule,
  type Subnet,
} from '@aws-sdk/client-ec2';
import type { Call, Connection } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion, oneEndpoint } from './clients.ts';
import { allPages } from './pages.ts';

export type {
  IpPermission,
  NetworkAcl,
  NetworkAclEntry,
  NetworkInterface,
  RouteTable,
  SecurityGroup,
  SecurityGroupRule,
  Subnet,
  VpcEndpoint,
} from '@aws-sdk/client-ec2';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
const groups = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group/*';
const groupRules = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group-rule/*';

const networkAcls = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:network-acl/*';
const subnets = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:subnet/*';

interface InVpc {
  readonly vpc: string;
}

/** Nothing is left out: how a region is looked at as a whole. */
export type Everything = Readonly<Record<string, never>>;

/** What is wanted, as filters of EC2: `{ vpc }` or `{ subnets }` by the names of the filters. None for everything. */
function filtersFor(wanted: object, names: Readonly<Record<string, string>>): Filter[] | undefined {
  const filters = Object.entries(wanted).flatMap(([key, value]: [string, string | readonly string[]]) =>
    names[key] === undefined ? [] : [{ Name: names[key], Values: [value].flat() }],
  );
  return filters.length === 0 ? undefined : filters;
}

const client = clientPerRegion((settings) => new EC2Client({ ...settings, ...oneEndpoint }));
const call = callsOf('ec2', (connection, command) => client(connection).send(command));

export const describeSecurityGroups = call('DescribeSecurityGroups', DescribeSecurityGroupsCommand, { resource: '*' });

/** The address ranges of a prefix list, all pages. */
export const getManagedPrefixListEntries: Call<'getManagedPrefixListEntries', { readonly prefixList: string }, readonly string[]> = {
  name: 'getManagedPrefixListEntries',
  service: 'ec2',
  permissions: [{ action: 'ec2:GetManagedPrefixListEntries', resource: 'arn:${AWS::Partition}:ec2:*:*:prefix-list/*' }],
  alreadyDone: [],
  run: (connection, { prefixList }) =>
    allPages(async (NextToken) => {
      const page = await client(connection).send(new GetManagedPrefixListEntriesCommand({ PrefixListId: prefixList, NextToken }));
      return { items: page.Entries?.flatMap(({ Cidr }) => (Cidr === undefined ? [] : [Cidr])), next: page.NextToken };
    }),
};

/** The rules of security groups, all pages; one rule an address range. */
export const describeSecurityGroupRules: Call<
  'describeSecurityGroupRules',
  { readonly groups: readonly string[] } | Everything,
  readonly SecurityGroupRule[]
> = {
  name: 'describeSecurityGroupRules',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeSecurityGroupRules', resource: '*' }],
  alreadyDone: [],
  run: (connection, wanted) =>
    allPages(async (NextToken) => {
      const Filters = filtersFor(wanted, { groups: 'group-id' });
      const page = await client(connection).send(new DescribeSecurityGroupRulesCommand({ Filters, NextToken, MaxResults: 1000 }));
      return { items: page.SecurityGroupRules, next: page.NextToken };
    }),
};

/** The network interfaces in any of these security groups, or subnets, all pages. */
export const describeNetworkInterfaces: Call<
  'describeNetworkInterfaces',
  { readonly groups: readonly string[] } | { readonly subnets: readonly string[] } | Everything,
  readonly NetworkInterface[]
> = {
  name: 'describeNetworkInterfaces',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeNetworkInterfaces', resource: '*' }],
  alreadyDone: [],
  run: (connection, wanted) =>
    allPages(async (NextToken) => {
      const Filters = filtersFor(wanted, { groups: 'group-id', subnets: 'subnet-id' });
      const page = await client(connection).send(new DescribeNetworkInterfacesCommand({ Filters, NextToken, MaxResults: 1000 }));
      return { items: page.NetworkInterfaces, next: page.NextToken };
    }),
};

/** Subnets, all pages; one that is gone is not among them. */
export const describeSubnets: Call<'describeSubnets', { readonly subnets: readonly string[] } | InVpc | Everything, readonly Subnet[]> = {
  name: 'describeSubnets',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeSubnets', resource: '*' }],
  alreadyDone: [],
  run: (connection, wanted) =>
    allPages(async (NextToken) => {
      const Filters = filtersFor(wanted, { vpc: 'vpc-id', subnets: 'subnet-id' });
      const page = await client(connection).send(new DescribeSubnetsCommand({ Filters, NextToken, MaxResults: 1000 }));
      return { items: page.Subnets, next: page.NextToken };
    }),
};

export const revokeSecurityGroupIngress = call('RevokeSecurityGroupIngress', RevokeSecurityGroupIngressCommand, {
  resource: groups,
  alreadyDone: ['InvalidSecurityGroupRuleId.NotFound', 'InvalidPermission.NotFound'],
});
export const authorizeSecurityGroupIngress = call('AuthorizeSecurityGroupIngress', AuthorizeSecurityGroupIngressCommand, {
  resource: [groups, groupRules],
  also: [
    {
      action: 'ec2:CreateTags',
      resource: groupRules,
      condition: { StringEquals: { 'ec2:CreateAction': 'AuthorizeSecurityGroupIngress' } },
    },
  ],
  // What a group that is gone let in needs nobody to let in.
  alreadyDone: ['InvalidPermission.Duplicate', 'InvalidGroup.NotFound'],
});
export const revokeSecurityGroupEgress = call('RevokeSecurityGroupEgress', RevokeSecurityGroupEgressCommand, {
  resource: groups,
  alreadyDone: ['InvalidSecurityGroupRuleId.NotFound', 'InvalidPermission.NotFound', 'InvalidGroup.NotFound'],
});
export const authorizeSecurityGroupEgress = call('AuthorizeSecurityGroupEgress', AuthorizeSecurityGroupEgressCommand, {
  resource: [groups, groupRules],
  also: [
    {
      action: 'ec2:CreateTags',
      resource: groupRules,
      condition: { StringEquals: { 'ec2:CreateAction': 'AuthorizeSecurityGroupEgress' } },
    },
  ],
  alreadyDone: ['InvalidPermission.Duplicate', 'InvalidGroup.NotFound'],
});

/** Network ACLs by their own ids, by the subnets that they are associated with, or by their VPCs, all pages. */
export const describeNetworkAcls: Call<
  'describeNetworkAcls',
  { readonly by: 'network-acl-id' | 'association.subnet-id' | 'vpc-id'; readonly ids: readonly string[] } | Everything,
  readonly NetworkAcl[]
> = {
  name: 'describeNetworkAcls',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeNetworkAcls', resource: '*' }],
  alreadyDone: [],
  run: (connection, wanted) =>
    allPages(async (NextToken) => {
      const Filters = 'by' in wanted ? [{ Name: wanted.by, Values: [...wanted.ids] }] : undefined;
      const page = await client(connection).send(new DescribeNetworkAclsCommand({ Filters, NextToken, MaxResults: 1000 }));
      return { items: page.NetworkAcls, next: page.NextToken };
    }),
};

export const createNetworkAclEntry = call('CreateNetworkAclEntry', CreateNetworkAclEntryCommand, {
  resource: networkAcls,
  // Whoever needs it looks whether what is there is what was wanted.
  alreadyDone: ['NetworkAclEntryAlreadyExists', 'InvalidNetworkAclID.NotFound'],
});
export const replaceNetworkAclEntry = call('ReplaceNetworkAclEntry', ReplaceNetworkAclEntryCommand, {
  resource: networkAcls,
  alreadyDone: ['InvalidNetworkAclID.NotFound'],
});
export const deleteNetworkAclEntry = call('DeleteNetworkAclEntry', DeleteNetworkAclEntryCommand, {
  resource: networkAcls,
  alreadyDone: ['InvalidNetworkAclEntry.NotFound', 'InvalidNetworkAclID.NotFound'],
});

/**
 * Puts a subnet behind a network ACL. The association's id, which AWS assigns anew each time, is looked up; a subnet that
 * is gone needs no ACL.
 */
export const associateNetworkAcl: Call<'associateNetworkAcl', { readonly subnet: string; readonly acl: string }, void> = {
  name: 'associateNetworkAcl',
  service: 'ec2',
  operation: 'ReplaceNetworkAclAssociation',
  permissions: [
    { action: 'ec2:DescribeNetworkAcls', resource: '*' },
    { action: 'ec2:ReplaceNetworkAclAssociation', resource: [networkAcls, subnets] },
  ],
  alreadyDone: [],
  run: async (connection, { subnet, acl: NetworkAclId }) => {
    const [present] = await describeNetworkAcls.run(connection, { by: 'association.subnet-id', ids: [subnet] });
    const association = present?.Associations?.find(({ SubnetId }) => SubnetId === subnet);
    if (association === undefined || association.NetworkAclId === NetworkAclId) return;
    const AssociationId = association.NetworkAclAssociationId;
    await client(connection).send(new ReplaceNetworkAclAssociationCommand({ AssociationId, NetworkAclId }));
  },
};

/** A read of all pages that EC2 allows for everything or nothing. */
function reads<Name extends string, Input, Item>(
  name: Name,
  page: (connection: Connection, input: Input, NextToken: string | undefined) => ReturnType<Parameters<typeof allPages<Item>>[0]>,
): Call<Name, Input, readonly Item[]> {
  const operation = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return {
    name,
    service: 'ec2',
    permissions: [{ action: `ec2:${operation}`, resource: '*' }],
    alreadyDone: [],
    run: (connection, input) => allPages((NextToken) => page(connection, input, NextToken)),
  };
}

/** The regions that are enabled for the account. EC2 has no pages of them. */
export const describeRegions = reads('describeRegions', async (connection, _: object) => {
  const { Regions = [] } = await client(connection).send(new DescribeRegionsCommand({}));
  return { items: Regions.flatMap(({ RegionName }) => RegionName ?? []).sort(), next: undefined };
});

/** Route tables by their ids, or all of a VPC. */
export const describeRouteTables = reads(
  'describeRouteTables',
  async (connection, wanted: InVpc | { readonly tables: readonly string[] } | Everything, NextToken) => {
    const Filters = filtersFor(wanted, { vpc: 'vpc-id', tables: 'route-table-id' });
    const page = await client(connection).send(new DescribeRouteTablesCommand({ Filters, NextToken, MaxResults: 100 }));
    return { items: page.RouteTables, next: page.NextToken };
  },
);
export const describeVpcEndpoints = reads('describeVpcEndpoints', async (connection, wanted: InVpc | Everything, NextToken) => {
  const Filters = filtersFor(wanted, { vpc: 'vpc-id' });
  const page = await client(connection).send(new DescribeVpcEndpointsCommand({ Filters, NextToken, MaxResults: 1000 }));
  return { items: page.VpcEndpoints, next: page.NextToken };
});
export const describeNatGateways = reads('describeNatGateways', async (connection, wanted: InVpc | Everything, NextToken) => {
  const Filter = filtersFor(wanted, { vpc: 'vpc-id' });
  const page = await client(connection).send(new DescribeNatGatewaysCommand({ Filter, NextToken, MaxResults: 1000 }));
  return { items: page.NatGateways, next: page.NextToken };
});
/** Internet gateways that are attached to a VPC. */
export const describeInternetGateways = reads('describeInternetGateways', async (connection, wanted: InVpc | Everything, NextToken) => {
  const Filters = filtersFor(wanted, { vpc: 'attachment.vpc-id' });
  const page = await client(connection).send(new DescribeInternetGatewaysCommand({ Filters, NextToken, MaxResults: 1000 }));
  return { items: page.InternetGateways, next: page.NextToken };
});
export const describeVpcPeeringConnections = reads(
  'describeVpcPeeringConnections',
  async (connection, { peerings: Values }: { readonly peerings: readonly string[] }, NextToken) => {
    const Filters = [{ Name: 'vpc-peering-connection-id', Values: [...Values] }];
    const page = await client(connection).send(new DescribeVpcPeeringConnectionsCommand({ Filters, NextToken, MaxResults: 1000 }));
    return { items: page.VpcPeeringConnections, next: page.NextToken };
  },
);
/** A VPC's attachments to transit gateways: whose those are, and which route table each is associated with. */
export const describeTransitGatewayAttachments = reads(
  'describeTransitGatewayAttachments',
  async (connection, wanted: InVpc, NextToken) => {
    const Filters = filtersFor(wanted, { vpc: 'resource-id' });
    const page = await client(connection).send(new DescribeTransitGatewayAttachmentsCommand({ Filters, NextToken, MaxResults: 1000 }));
    return { items: page.TransitGatewayAttachments, next: page.NextToken };
  },
);
/** The same attachments, with their subnets. */
export const describeTransitGatewayVpcAttachments = reads(
  'describeTransitGatewayVpcAttachments',
  async (connection, wanted: InVpc, NextToken) => {
    const Filters = filtersFor(wanted, { vpc: 'vpc-id' });
    const page = await client(connection).send(new DescribeTransitGatewayVpcAttachmentsCommand({ Filters, NextToken, MaxResults: 1000 }));
    return { items: page.TransitGatewayVpcAttachments, next: page.NextToken };
  },
);
/** Prefix lists by their names; those of AWS are named after their services. */
export const describeManagedPrefixLists = reads(
  'describeManagedPrefixLists',
  async (connection, { names: Values }: { readonly names: readonly string[] }, NextToken) => {
    const Filters = [{ Name: 'prefix-list-name', Values: [...Values] }];
    const page = await client(connection).send(new DescribeManagedPrefixListsCommand({ Filters, NextToken, MaxResults: 100 }));
    return { items: page.PrefixLists, next: page.NextToken };
  },
);

/** The first thousand routes of a transit gateway's route table; `AdditionalRoutesAvailable` where there are more. */
export const searchTransitGatewayRoutes = call('SearchTransitGatewayRoutes', SearchTransitGatewayRoutesCommand, {
  resource: 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:transit-gateway-route-table/*',
});
export const describeVpcAttribute = call('DescribeVpcAttribute', DescribeVpcAttributeCommand, {
  resource: 'arn:${AWS::Partition}:ec2:*:*:vpc/*',
});

const routeTables = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:route-table/*';

export const createRoute = call('CreateRoute', CreateRouteCommand, {
  resource: routeTables,
  // Whoever needs it looks whether what is there leads to where it should.
  alreadyDone: ['RouteAlreadyExists', 'InvalidRouteTableID.NotFound'],
});
export const replaceRoute = call('ReplaceRoute', ReplaceRouteCommand, {
  resource: routeTables,
  alreadyDone: ['InvalidRouteTableID.NotFound'],
});
export const deleteRoute = call('DeleteRoute', DeleteRouteCommand, {
  resource: routeTables,
  alreadyDone: ['InvalidRoute.NotFound', 'InvalidRouteTableID.NotFound'],
});
