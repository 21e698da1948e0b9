import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  GetManagedPrefixListEntriesCommand,
  type NetworkInterface,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroupRule,
} from '@aws-sdk/client-ec2';
import type { Call } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';
import { allPages } from './pages.ts';

export type { IpPermission, NetworkInterface, SecurityGroup, SecurityGroupRule } from '@aws-sdk/client-ec2';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
const groups = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group/*';
const groupRules = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group-rule/*';

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

/** The network interfaces in any of these security groups, all pages. */
export const describeNetworkInterfaces: Call<
  'describeNetworkInterfaces',
  { readonly groups: readonly string[] },
  readonly NetworkInterface[]
> = {
  name: 'describeNetworkInterfaces',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeNetworkInterfaces', resource: '*' }],
  alreadyDone: [],
  run: (connection, { groups: Values }) =>
    allPages(async (NextToken) => {
      const Filters = [{ Name: 'group-id', Values: [...Values] }];
      const page = await client(connection).send(new DescribeNetworkInterfacesCommand({ Filters, NextToken, MaxResults: 1000 }));
      return { items: page.NetworkInterfaces, next: page.NextToken };
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
