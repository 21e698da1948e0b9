import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  GetManagedPrefixListEntriesCommand,
  type NetworkInterface,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroupRule,
} from '@aws-sdk/client-ec2';
import type { Call } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

export type { NetworkInterface, SecurityGroupRule } from '@aws-sdk/client-ec2';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
const groups = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group/*';
const groupRules = 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:security-group-rule/*';

const client = clientPerRegion((settings) => new EC2Client(settings));
const call = callsOf('ec2', (connection, command) => client(connection).send(command));

export const describeSecurityGroups = call('DescribeSecurityGroups', DescribeSecurityGroupsCommand, { resource: '*' });
export const getManagedPrefixListEntries = call('GetManagedPrefixListEntries', GetManagedPrefixListEntriesCommand, {
  resource: 'arn:${AWS::Partition}:ec2:*:*:prefix-list/*',
});

/** The rules of security groups, all pages; one rule an address range. */
export const describeSecurityGroupRules: Call<'describeSecurityGroupRules', { readonly groups: readonly string[] }, readonly SecurityGroupRule[]> = {
  name: 'describeSecurityGroupRules',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeSecurityGroupRules', resource: '*' }],
  alreadyDone: [],
  async run(connection, input) {
    const rules: SecurityGroupRule[] = [];
    let NextToken: string | undefined;
    do {
      const page = await client(connection).send(
        new DescribeSecurityGroupRulesCommand({ Filters: [{ Name: 'group-id', Values: [...input.groups] }], NextToken, MaxResults: 1000 }),
      );
      rules.push(...(page.SecurityGroupRules ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined && NextToken !== '');
    return rules;
  },
};

/** The network interfaces in a security group, all pages. */
export const describeNetworkInterfaces: Call<'describeNetworkInterfaces', { readonly group: string }, readonly NetworkInterface[]> = {
  name: 'describeNetworkInterfaces',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeNetworkInterfaces', resource: '*' }],
  alreadyDone: [],
  async run(connection, input) {
    const interfaces: NetworkInterface[] = [];
    let NextToken: string | undefined;
    do {
      const page = await client(connection).send(
        new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'group-id', Values: [input.group] }], NextToken, MaxResults: 1000 }),
      );
      interfaces.push(...(page.NetworkInterfaces ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined && NextToken !== '');
    return interfaces;
  },
};

export const revokeSecurityGroupIngress = call('RevokeSecurityGroupIngress', RevokeSecurityGroupIngressCommand, {
  resource: groups,
  alreadyDone: ['InvalidSecurityGroupRuleId.NotFound', 'InvalidPermission.NotFound'],
});
export const authorizeSecurityGroupIngress = call('AuthorizeSecurityGroupIngress', AuthorizeSecurityGroupIngressCommand, {
  resource: groups,
  also: [{ action: 'ec2:CreateTags', resource: groupRules, condition: { StringEquals: { 'ec2:CreateAction': 'AuthorizeSecurityGroupIngress' } } }],
  alreadyDone: ['InvalidPermission.Duplicate'],
});
