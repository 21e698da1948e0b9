import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateNetworkAclEntryCommand,
  DeleteNetworkAclEntryCommand,
  DescribeNetworkAclsCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  EC2Client,
  GetManagedPrefixListEntriesCommand,
  type NetworkAcl,
  type NetworkInterface,
  ReplaceNetworkAclAssociationCommand,
  ReplaceNetworkAclEntryCommand,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroupRule,
  type Subnet,
} from '@aws-sdk/client-ec2';
import type { Call } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';
import { allPages } from './pages.ts';

export type {
  IpPermission,
  NetworkAcl,
  NetworkAclEntry,
  NetworkInterface,
  SecurityGroup,
  SecurityGroupRule,
  Subnet,
} from '@aws-sdk/client-ec2';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
const groups = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group/*';
const groupRules = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group-rule/*';

const networkAcls = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:network-acl/*';
const subnets = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:subnet/*';

const client = clientPerRegion((settings) => new EC2Client(settings));
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
  { readonly groups: readonly string[] },
  readonly SecurityGroupRule[]
> = {
  name: 'describeSecurityGroupRules',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeSecurityGroupRules', resource: '*' }],
  alreadyDone: [],
  run: (connection, { groups: Values }) =>
    allPages(async (NextToken) => {
      const Filters = [{ Name: 'group-id', Values: [...Values] }];
      const page = await client(connection).send(new DescribeSecurityGroupRulesCommand({ Filters, NextToken, MaxResults: 1000 }));
      return { items: page.SecurityGroupRules, next: page.NextToken };
    }),
};

/** The network interfaces in any of these security groups, or subnets, all pages. */
export const describeNetworkInterfaces: Call<
  'describeNetworkInterfaces',
  { readonly groups: readonly string[] } | { readonly subnets: readonly string[] },
  readonly NetworkInterface[]
> = {
  name: 'describeNetworkInterfaces',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeNetworkInterfaces', resource: '*' }],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (NextToken) => {
      const by = 'groups' in input ? { Name: 'group-id', Values: [...input.groups] } : { Name: 'subnet-id', Values: [...input.subnets] };
      const page = await client(connection).send(new DescribeNetworkInterfacesCommand({ Filters: [by], NextToken, MaxResults: 1000 }));
      return { items: page.NetworkInterfaces, next: page.NextToken };
    }),
};

/** Subnets, all pages; one that is gone is not among them. */
export const describeSubnets: Call<'describeSubnets', { readonly subnets: readonly string[] }, readonly Subnet[]> = {
  name: 'describeSubnets',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeSubnets', resource: '*' }],
  alreadyDone: [],
  run: (connection, { subnets: Values }) =>
    allPages(async (NextToken) => {
      const Filters = [{ Name: 'subnet-id', Values: [...Values] }];
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
  { readonly by: 'network-acl-id' | 'association.subnet-id' | 'vpc-id'; readonly ids: readonly string[] },
  readonly NetworkAcl[]
> = {
  name: 'describeNetworkAcls',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeNetworkAcls', resource: '*' }],
  alreadyDone: [],
  run: (connection, { by: Name, ids: Values }) =>
    allPages(async (NextToken) => {
      const Filters = [{ Name, Values: [...Values] }];
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
