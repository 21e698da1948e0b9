import {
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupRulesCommand,
  EC2Client,
  GetManagedPrefixListEntriesCommand,
} from '@aws-sdk/client-ec2';
import {
  IAMClient,
  ListAttachedGroupPoliciesCommand,
  ListAttachedRolePoliciesCommand,
  ListAttachedUserPoliciesCommand,
  ListGroupPoliciesCommand,
  ListGroupsForUserCommand,
  ListRolePoliciesCommand,
  ListUserPoliciesCommand,
} from '@aws-sdk/client-iam';
import { KMSClient, ListGrantsCommand } from '@aws-sdk/client-kms';
import {
  LambdaClient,
  ListAliasesCommand,
  ListEventSourceMappingsCommand,
  ListFunctionsCommand,
  ListFunctionUrlConfigsCommand,
} from '@aws-sdk/client-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { describeNetworkInterfaces, describeSecurityGroupRules, getManagedPrefixListEntries } from '../../aws/ec2.ts';
import {
  listAttachedGroupPolicies,
  listAttachedRolePolicies,
  listAttachedUserPolicies,
  listGroupPolicies,
  listGroupsForUser,
  listRolePolicies,
  listUserPolicies,
} from '../../aws/iam.ts';
import { listGrants } from '../../aws/kms.ts';
import { functionPages, listAliases, listEventSourceMappings, listFunctions, listFunctionUrlConfigs } from '../../aws/lambda.ts';
import { ahead, allPages } from '../../aws/pages.ts';
import type { AnyCall } from '../../guard/call.ts';

// Who reads the first page of a list alone calls half of an account compliant.

const place = { account: '111122223333', region: 'us-east-1' };

interface Paged {
  readonly call: AnyCall;
  readonly input: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: clients and commands of different services
  readonly client: any;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly command: any;
  /** The request's name for where to go on. */
  readonly token: string;
  readonly pages: readonly object[];
  readonly all: unknown;
}

const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const lists: Readonly<Record<string, Paged>> = {
  listAliases: {
    call: listAliases,
    input: { FunctionName: 'orders' },
    client: LambdaClient,
    command: ListAliasesCommand,
    token: 'Marker',
    pages: [{ Aliases: [{ Name: 'a' }], NextMarker: 'next' }, { Aliases: [{ Name: 'b' }] }],
    all: [{ Name: 'a' }, { Name: 'b' }],
  },
  listFunctionUrlConfigs: {
    call: listFunctionUrlConfigs,
    input: { FunctionName: 'orders' },
    client: LambdaClient,
    command: ListFunctionUrlConfigsCommand,
    token: 'Marker',
    pages: [{ FunctionUrlConfigs: [{ FunctionArn: arn }], NextMarker: 'next' }, { FunctionUrlConfigs: [{ FunctionArn: `${arn}:live` }] }],
    all: [{ FunctionArn: arn }, { FunctionArn: `${arn}:live` }],
  },
  listFunctions: {
    call: listFunctions,
    input: {},
    client: LambdaClient,
    command: ListFunctionsCommand,
    token: 'Marker',
    pages: [{ Functions: [{ FunctionName: 'a' }], NextMarker: 'next' }, { Functions: [{ FunctionName: 'b' }] }],
    all: [{ FunctionName: 'a' }, { FunctionName: 'b' }],
  },
  describeSecurityGroupRules: {
    call: describeSecurityGroupRules,
    input: { groups: ['sg-1'] },
    client: EC2Client,
    command: DescribeSecurityGroupRulesCommand,
    token: 'NextToken',
    pages: [
      { SecurityGroupRules: [{ SecurityGroupRuleId: 'a' }], NextToken: 'next' },
      { SecurityGroupRules: [{ SecurityGroupRuleId: 'b' }] },
    ],
    all: [{ SecurityGroupRuleId: 'a' }, { SecurityGroupRuleId: 'b' }],
  },
  describeNetworkInterfaces: {
    call: describeNetworkInterfaces,
    input: { groups: ['sg-1'] },
    client: EC2Client,
    command: DescribeNetworkInterfacesCommand,
    token: 'NextToken',
    pages: [{ NetworkInterfaces: [{ NetworkInterfaceId: 'a' }], NextToken: 'next' }, { NetworkInterfaces: [{ NetworkInterfaceId: 'b' }] }],
    all: [{ NetworkInterfaceId: 'a' }, { NetworkInterfaceId: 'b' }],
  },
  getManagedPrefixListEntries: {
    call: getManagedPrefixListEntries,
    input: { prefixList: 'pl-1' },
    client: EC2Client,
    command: GetManagedPrefixListEntriesCommand,
    token: 'NextToken',
    pages: [{ Entries: [{ Cidr: '10.0.0.0/8' }, {}], NextToken: 'next' }, { Entries: [{ Cidr: '0.0.0.0/0' }] }],
    all: ['10.0.0.0/8', '0.0.0.0/0'],
  },
  listRolePolicies: {
    call: listRolePolicies,
    input: { RoleName: 'orders' },
    client: IAMClient,
    command: ListRolePoliciesCommand,
    token: 'Marker',
    pages: [
      { PolicyNames: ['a'], IsTruncated: true, Marker: 'next' },
      { PolicyNames: ['b'], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listAttachedRolePolicies: {
    call: listAttachedRolePolicies,
    input: { RoleName: 'orders' },
    client: IAMClient,
    command: ListAttachedRolePoliciesCommand,
    token: 'Marker',
    pages: [
      { AttachedPolicies: [{ PolicyArn: 'a' }, {}], IsTruncated: true, Marker: 'next' },
      { AttachedPolicies: [{ PolicyArn: 'b' }], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listUserPolicies: {
    call: listUserPolicies,
    input: { UserName: 'ana' },
    client: IAMClient,
    command: ListUserPoliciesCommand,
    token: 'Marker',
    pages: [
      { PolicyNames: ['a'], IsTruncated: true, Marker: 'next' },
      { PolicyNames: ['b'], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listGroupPolicies: {
    call: listGroupPolicies,
    input: { GroupName: 'staff' },
    client: IAMClient,
    command: ListGroupPoliciesCommand,
    token: 'Marker',
    pages: [
      { PolicyNames: ['a'], IsTruncated: true, Marker: 'next' },
      { PolicyNames: ['b'], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listAttachedUserPolicies: {
    call: listAttachedUserPolicies,
    input: { UserName: 'ana' },
    client: IAMClient,
    command: ListAttachedUserPoliciesCommand,
    token: 'Marker',
    pages: [
      { AttachedPolicies: [{ PolicyArn: 'a' }], IsTruncated: true, Marker: 'next' },
      { AttachedPolicies: [{ PolicyArn: 'b' }], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listAttachedGroupPolicies: {
    call: listAttachedGroupPolicies,
    input: { GroupName: 'staff' },
    client: IAMClient,
    command: ListAttachedGroupPoliciesCommand,
    token: 'Marker',
    pages: [
      { AttachedPolicies: [{ PolicyArn: 'a' }], IsTruncated: true, Marker: 'next' },
      { AttachedPolicies: [{ PolicyArn: 'b' }], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listGroupsForUser: {
    call: listGroupsForUser,
    input: { UserName: 'ana' },
    client: IAMClient,
    command: ListGroupsForUserCommand,
    token: 'Marker',
    pages: [
      { Groups: [{ Arn: 'a' }], IsTruncated: true, Marker: 'next' },
      { Groups: [{ Arn: 'b' }], IsTruncated: false },
    ],
    all: ['a', 'b'],
  },
  listEventSourceMappings: {
    call: listEventSourceMappings,
    input: { FunctionName: 'orders' },
    client: LambdaClient,
    command: ListEventSourceMappingsCommand,
    token: 'Marker',
    pages: [{ EventSourceMappings: [{ UUID: 'a' }], NextMarker: 'next' }, { EventSourceMappings: [{ UUID: 'b' }] }],
    all: [{ UUID: 'a' }, { UUID: 'b' }],
  },
  listGrants: {
    call: listGrants,
    input: { KeyId: 'k' },
    client: KMSClient,
    command: ListGrantsCommand,
    token: 'Marker',
    pages: [
      { Grants: [{ GrantId: 'a' }], Truncated: true, NextMarker: 'next' },
      { Grants: [{ GrantId: 'b' }], Truncated: false },
    ],
    all: [{ GrantId: 'a' }, { GrantId: 'b' }],
  },
};

test.each(Object.entries(lists))('%s reads every page', async (_, { call, input, client, command, token, pages, all }) => {
  const mock = mockClient(client);
  let read = 0;
  const tokens: unknown[] = [];
  mock.on(command).callsFake(async (given: Record<string, unknown>) => {
    tokens.push(given[token]);
    return pages[read++];
  });
  expect(await call.run(place, input as never)).toEqual(all);
  expect(tokens).toEqual([undefined, 'next']);
});

test.each(Object.entries(lists))('%s of nothing is empty', async (_, { call, input, client, command }) => {
  mockClient(client).on(command).resolves({});
  expect(await call.run(place, input as never)).toEqual([]);
});

test.each(Object.entries(lists))('%s that breaks off is an error, no shorter list', async (_, { call, input, client, command, pages }) => {
  mockClient(client)
    .on(command)
    .resolvesOnce(pages[0] as object)
    .rejects(Object.assign(new Error('x'), { name: 'ThrottlingException' }));
  await expect(call.run(place, input as never)).rejects.toMatchObject({ name: 'ThrottlingException' });
});

test('an empty token ends a list as well', async () => {
  mockClient(LambdaClient)
    .on(ListFunctionsCommand)
    .resolves({ Functions: [{ FunctionName: 'a' }], NextMarker: '' });
  const pages = [];
  for await (const page of functionPages(place)) pages.push(page);
  expect(pages).toHaveLength(1);
  expect(await allPages(async () => ({ items: [1], next: '' }))).toEqual([1]);
});

test('a call that is a list and is not here would be missed', async () => {
  const modules = await Promise.all(
    ['ec2', 'iam', 'kms', 'lambda', 'resource-policies', 'secretsmanager', 'archive'].map(
      async (name) => (await import(`../../aws/${name}.ts`)) as Record<string, unknown>,
    ),
  );
  const calls = modules
    .flatMap((module) => Object.values(module))
    .filter((value): value is AnyCall => typeof value === 'object' && value !== null && 'run' in value);
  const named = [...new Set(calls.map(({ name }) => name))].filter(
    (name) => name.startsWith('list') || /Entries$|Rules$|Interfaces$/.test(name),
  );
  // Tags come all at once: a resource has fifty at most. The others hand over a page, whoever calls them goes on or says where they stop.
  const known = ['listTags', 'listCodeSigningTags', 'listSecrets', 'listEntitiesForPolicy', 'listRolesWithPolicy'];
  expect(named.filter((name) => !known.includes(name)).sort()).toEqual(Object.keys(lists).sort());
});

test('while a page is looked at, the next is read; what kept it from being read is told in its turn', async () => {
  const asked: number[] = [];
  const failing = async function* () {
    for (let page = 1; page <= 3; page += 1) {
      asked.push(page);
      if (page === 3) throw new Error('no third page');
      yield page;
    }
  };
  const seen: number[] = [];
  const looking = async () => {
    for await (const page of ahead(failing())) {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(page);
      expect(asked).toContain(page + 1);
    }
  };
  await expect(looking()).rejects.toThrow('no third page');
  expect(seen).toEqual([1, 2]);
});
