import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getMetricData } from '../../aws/cloudwatch.ts';
import { type AnyCall, iamName, type Permission } from '../../guard/call.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { root } from './repository.ts';
import { deploy, ofType, pseudo, roleStatements, statements, template } from './template.ts';

// What the guard may do is generated from what its rules declare. These tests hold the declarations, and the roles made
// of them, against AWS's own list of operations and against the limits of IAM.

/** Services whose IAM prefix is not the name of their SDK client, or that have two. */
const clients: Readonly<Record<string, readonly string[]>> = {
  apigateway: ['api-gateway', 'apigatewayv2'],
  events: ['eventbridge'],
  secretsmanager: ['secrets-manager'],
};

/** Actions that are no operation of an API, or that belong to an API whose client is no dependency. */
const noOperations: ReadonlySet<string> = new Set([
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
  'iam:PassRole',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html: the verbs of HTTP
  'apigateway:GET',
  'apigateway:PATCH',
  'apigateway:POST',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html: the operation is Invoke
  'lambda:InvokeFunction',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html: S3 names actions by itself
  's3:GetObjectVersion',
  's3:ListBucket',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
  'logs:CreateLogStream',
  'logs:PutLogEvents',
]);

/** The only actions on every resource: AWS offers no narrower one for them. */
const unscopable: ReadonlySet<string> = new Set([
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html
  'cloudtrail:DescribeTrails',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
  'cloudwatch:GetMetricData',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
  'ec2:DescribeInternetGateways',
  'ec2:DescribeManagedPrefixLists',
  'ec2:DescribeNatGateways',
  'ec2:DescribeRouteTables',
  'ec2:DescribeTransitGatewayAttachments',
  'ec2:DescribeTransitGatewayVpcAttachments',
  'ec2:DescribeVpcEndpoints',
  'ec2:DescribeVpcPeeringConnections',
  'ec2:DescribeNetworkAcls',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSecurityGroupRules',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
  'iam:GetAccountAuthorizationDetails',
  'iam:SimulateCustomPolicy',
  'ec2:DescribeVpcs',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
  'lambda:ListEventSourceMappings',
  'lambda:ListFunctions',
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
  'secretsmanager:ListSecrets',
]);

/** IAM's limit for all inline policies of a role. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const policyLimit = 10_240;
/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html */
const patternLimit = 2_048;

const all: readonly AnyRule[] = rules;
const declared: readonly (readonly [string, Permission])[] = all.flatMap((rule) =>
  [...rule.check, ...rule.fix, ...rule.undo].flatMap((call: AnyCall) =>
    call.permissions.map((permission): readonly [string, Permission] => [`${rule.id}: ${call.name}`, permission]),
  ),
);
/** Parameters that policies name: ARNs, comma-separated. */
const listedResources: Readonly<Record<string, readonly string[]>> = {
  RoleSharedSplitRoles: ['arn:aws:iam::111122223333:role/shared', 'arn:aws:iam::111122223333:role/legacy-*'],
  EnvironmentWithoutCmkArn: ['arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d'],
  CodeSigningOffConfigArn: ['arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-00000000000000000'],
};
const everything = deploy({
  ...Object.fromEntries(all.filter(({ fix }) => fix.length > 0).map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
  Deployers: 'arn:aws:iam::111122223333:role/pipeline',
  ...Object.fromEntries(Object.entries(listedResources).map(([name, arns]) => [name, arns.join(',')])),
});
const roles = ofType(everything, 'AWS::IAM::Role');

function exists(action: string): boolean {
  const [service = '', operation = ''] = action.split(':');
  return noOperations.has(action) || operationsOf(service).has(operation);
}

const known = new Map<string, ReadonlySet<string>>();

/** The operations of a service: every one is a command of its client. */
function operationsOf(service: string): ReadonlySet<string> {
  const folders = (clients[service] ?? [service]).map((name) =>
    join(root, 'node_modules/@aws-sdk', `client-${name}`, 'dist-types/commands'),
  );
  const files = () => folders.flatMap((folder) => readdirSync(folder));
  const operations = known.get(service) ?? new Set(files().flatMap((name) => /^(\w+)Command\.d\.ts$/.exec(name)?.[1] ?? []));
  known.set(service, operations);
  return operations;
}

test('AWS knows operations by the names that these tests look for', () => {
  expect(exists('lambda:GetFunctionConfiguration')).toBe(true);
  expect(exists('events:PutEvents')).toBe(true);
  expect(exists('lambda:GetFunctionConfigurations')).toBe(false);
  expect(() => exists('lamda:GetFunction')).toThrow();
});

test.each(declared)('%s asks for an action that AWS has', (_, { action }) => {
  expect(exists(action)).toBe(true);
});

test.each(
  all.flatMap((rule) =>
    [...rule.check, ...rule.fix, ...rule.undo]
      // A download from an address that is signed is no operation of AWS.
      .filter((call: AnyCall) => call.service !== 'https')
      .map((call: AnyCall) => [`${rule.id}: ${call.name}`, iamName(call)] as const),
  ),
)('%s is told by the name of an operation that AWS has', (_, name) => expect(exists(name)).toBe(true));

test.each(declared)('%s names what it acts on', (_, { action, resource }) => {
  for (const one of [resource].flat()) {
    if (one === '*') expect([...unscopable]).toContain(action);
    else expect(one).toMatch(/^(arn:|\$\{\w+(\.Arn)?\})/);
  }
});

describe.each(roles)('%s', (id, properties) => {
  const own = roleStatements(properties);

  test('asks for actions that AWS has, one by one, on resources that it names', () => {
    expect(own.length).toBeGreaterThan(0);
    for (const { effect, actions, resources } of own) {
      expect(actions.filter((action) => !exists(action))).toEqual([]);
      expect(resources).not.toEqual([]);
      if (effect === 'Allow' && resources.includes('*')) expect(actions.filter((action) => !unscopable.has(action))).toEqual([]);
    }
  });

  test('has policies within the limit of IAM', () => {
    expect(JSON.stringify(properties['Policies']).length).toBeLessThanOrEqual(policyLimit);
  });

  test('has its policies from this template alone', () => {
    expect(Object.keys(properties).sort()).toEqual(['AssumeRolePolicyDocument', 'Policies', 'RoleName']);
    expect(statements(properties['AssumeRolePolicyDocument'])).toMatchObject([
      { effect: 'Allow', actions: ['sts:AssumeRole'], principals: ['lambda.amazonaws.com'] },
    ]);
    expect(id).toMatch(/Role$/);
  });
});

test.each(ofType(everything, 'AWS::Events::Rule').filter(([, { EventPattern }]) => EventPattern !== undefined))(
  '%s has a pattern within the limit of EventBridge',
  (_, { EventPattern }) => expect(JSON.stringify(EventPattern).length).toBeLessThanOrEqual(patternLimit),
);

/** What every function with a queue may do, whatever its rules: it is the stack's own. */
function infrastructure(id: string): readonly string[] {
  const queues = Object.keys(everything.resources).filter((name) => new RegExp(`^${id}(Events|Sweeps|Findings)$`).test(name));
  const ledger = ['BatchGetItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem'].map((operation) => `dynamodb:${operation}`);
  return [
    ...['logs:CreateLogStream', 'logs:PutLogEvents'].map((action) => granted(action, `\${${id}Logs.Arn}`)),
    ...['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'].flatMap((action) =>
      queues.map((queue) => granted(action, `\${${queue}.Arn}`)),
    ),
    // A checker puts back what waits for a quota: handlers/check.ts.
    ...(id.startsWith('Check') ? queues.map((queue) => granted('sqs:SendMessage', `\${${queue}.Arn}`)) : []),
    ...ledger.flatMap((action) => ['${Ledger.Arn}', '${Ledger.Arn}/index/*'].map((resource) => granted(action, resource))),
    ...['kms:Decrypt', 'kms:GenerateDataKey'].map((action) => granted(action, '${Key.Arn}')),
    granted('events:PutEvents', '${GuardBus.Arn}'),
    // Its second way: handlers/check-guard.ts.
    ...(id === 'CheckGuard' ? [granted('sns:Publish', '${AlarmTopic}')] : []),
  ];
}

function granted(action: string, resource: string, condition: unknown = {}): string {
  return `${action} on ${resource}${JSON.stringify(condition) === '{}' ? '' : ` if ${JSON.stringify(condition)}`}`;
}

/** What the role of a function was given, and what the calls that it makes are declared to need. */
function givenAndNeeded(id: string, calls: readonly AnyCall[]): { readonly given: readonly string[]; readonly needed: readonly string[] } {
  const given = roleStatements(everything.resources[`${id}Role`]?.Properties ?? {}).flatMap(({ effect, actions, resources, condition }) =>
    effect === 'Allow' ? actions.flatMap((action) => resources.map((resource) => granted(action, resource, condition))) : [],
  );
  const needed = calls.flatMap(({ permissions }) =>
    permissions.flatMap(({ action, resource, condition }) =>
      [resource]
        .flat()
        .flatMap(listed)
        .map((one) => granted(action, one, JSON.parse(substitute(JSON.stringify(condition ?? {}))))),
    ),
  );
  return { given: unique(given), needed: unique([...needed, ...infrastructure(id)]) };
}

/** A resource may be a parameter that lists ARNs. */
function listed(resource: string): readonly string[] {
  return listedResources[/^\$\{(\w+)\}$/.exec(resource)?.[1] ?? ''] ?? [substitute(resource)];
}

function substitute(text: string): string {
  return text
    .replace(/\$\{([\w:]+)\}/g, (whole, name: string) => pseudo[name] ?? listedResources[name]?.[0] ?? whole)
    .replaceAll('${SecretNotRotatedFunctions}', '*');
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}

test.each(all.filter(({ fix }) => fix.length > 0).map((rule) => [rule.id, rule] as const))(
  'the remediator of %s may make its calls, and no others',
  (id, rule) => {
    const { given, needed } = givenAndNeeded(`Remediate${pascalCase(id)}`, [
      ...rule.check,
      ...rule.fix,
      ...(rule.probation ? [...rule.undo, getMetricData] : []),
    ]);
    expect(given).toEqual(needed);
  },
);

test("a parameter that lists no role allows none to be passed but the guard's own", () => {
  const { resources } = deploy({ RoleSharedMode: 'remediate' });
  const passes = roleStatements(resources['RemediateRoleSharedRole']?.Properties ?? {}).filter(({ actions }) =>
    actions.includes('iam:PassRole'),
  );
  expect(passes.length).toBeGreaterThan(0);
  for (const resource of passes.flatMap((statement) => statement.resources))
    expect(resource).toMatch(/^arn:aws:iam::111122223333:role\/compliance-guard\//);
});

test.each([...new Set(all.map(({ practice }) => practice))])(
  'the checker of %s may make the calls of its rules, but for those that only plans make',
  (practice) => {
    const calls = all.filter((rule) => rule.practice === practice).flatMap((rule) => [...rule.check]);
    const { given, needed } = givenAndNeeded(`Check${pascalCase(practice)}`, calls);
    expect(given).toEqual(needed);
  },
);

/** Whether a resource is one that the stack itself makes. */
function isOwn(resource: string): boolean {
  return /^\$\{\w+/.test(resource);
}

test('what a role may do to the guard itself is its own queue, log, ledger, bus, topic, archive and key', () => {
  const written = roles.flatMap(([id, properties]) =>
    roleStatements(properties).flatMap(({ effect, actions, resources }) =>
      effect === 'Allow' ? resources.filter(isOwn).map((resource) => `${resource.replace(/\$\{(\w+).*/, '$1')} ${id} ${actions}`) : [],
    ),
  );
  const kinds = [...new Set(written.map((line) => template.Resources[line.split(' ')[0] ?? '']?.Type))].sort();
  expect(kinds).toEqual([
    'AWS::DynamoDB::Table',
    'AWS::Events::EventBus',
    'AWS::KMS::Key',
    'AWS::Logs::LogGroup',
    'AWS::S3::Bucket',
    'AWS::SNS::Topic',
    'AWS::SQS::Queue',
  ]);
});
