import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { mockClient } from 'aws-sdk-client-mock';
import { policyOf } from '../../cli/policy.ts';
import { ahead, openSession } from '../../cli/session.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';

const outputs: Readonly<Record<string, string>> = {
  LedgerTableName: 'ledger',
  OperateUrl: 'https://abc.lambda-url.eu-west-1.on.aws/',
  GuardBusName: 'guard',
  ArchiveBucketName: 'guard-archive',
  RoleBoundaryArn: 'arn:aws:iam::111122223333:policy/compliance-guard/boundary',
  DirectDeployDenialArn: 'arn:aws:iam::111122223333:policy/guard-denial',
  KeyArn: 'arn:aws:kms:eu-west-1:111122223333:key/guard',
  AlertTopicArn: 'arn:aws:sns:eu-west-1:111122223333:guard-AlertTopic-A1B2C3',
};

/** What the rules and their pages promise of a stack with these parameters. */
function stack(parameters: Readonly<Record<string, string>>, has = outputs): void {
  mockClient(CloudFormationClient)
    .on(DescribeStacksCommand)
    .resolves({
      Stacks: [
        {
          StackName: 'guard',
          StackId: 'arn:aws:cloudformation:eu-west-1:111122223333:stack/guard/1',
          CreationTime: new Date(0),
          StackStatus: 'CREATE_COMPLETE',
          Outputs: Object.entries(has).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue })),
          Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue })),
        },
      ],
    });
}

const asked = { stack: 'guard', region: 'eu-west-1' };

test('a session knows what the stack was deployed with', async () => {
  stack({
    RoleSharedMode: 'remediate',
    RoleSharedSettle: '7',
    NeverTouch: '*:one,*:two',
    Deployers: 'arn:aws:iam::111122223333:role/pipeline',
  });
  const { config, connection } = await openSession(asked);
  expect(connection).toEqual({ account: '111122223333', region: 'eu-west-1' });
  expect(config).toMatchObject({ stack: 'guard', home: connection, neverTouch: ['*:one', '*:two'] });
  expect(config.rule('role-shared')).toMatchObject({ mode: 'remediate', params: { settle: 7 } });
  expect(config.settings).toEqual({
    stack: 'guard',
    operators: [],
    keyArn: outputs['KeyArn'],
    alertTopicArn: outputs['AlertTopicArn'],
    deployers: ['arn:aws:iam::111122223333:role/pipeline'],
    archiveBucket: 'guard-archive',
    boundaryArn: outputs['RoleBoundaryArn'],
    denialArn: outputs['DirectDeployDenialArn'],
  });
});

test('policies of every rule name resources of this stack and account, and no variable', async () => {
  stack({
    RoleSharedSplitRoles: 'arn:aws:iam::111122223333:role/one,arn:aws:iam::111122223333:role/two-*',
    EnvironmentWithoutCmkArn: 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d',
    SecretNotRotatedFunctions: 'rotate-*',
    CodeSigningOffConfigArn: 'arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-00000000000000000',
  });
  const { names } = await openSession(asked);
  for (const { check, fix, undo } of rules as readonly AnyRule[]) {
    const policy = policyOf([...check, ...fix, ...undo], names);
    expect(policy).not.toContain('${');
    const { Statement } = JSON.parse(policy) as { Statement: { Resource: string[]; Action: string[] }[] };
    const wanted = [...check, ...fix, ...undo].flatMap(({ permissions }) => permissions.map(({ action }: { action: string }) => action));
    expect(new Set(Statement.flatMap(({ Action }) => Action))).toEqual(new Set(wanted));
    for (const resource of Statement.flatMap(({ Resource }) => Resource)) expect(resource).toMatch(/^(\*$|arn:aws:)/);
  }
  const shared = (rules as readonly AnyRule[]).find(({ id }) => id === 'role-shared');
  expect(policyOf(shared?.undo ?? [], names)).toContain('"arn:aws:iam::111122223333:role/two-*"');
});

test('a parameter that is empty leaves its variable standing', () => {
  const call = { name: 'x', service: 'iam', alreadyDone: [], run: async () => undefined };
  const permissions = [{ action: 'iam:PassRole', resource: '${RoleSharedSplitRoles}' }];
  expect(policyOf([{ ...call, permissions }], { RoleSharedSplitRoles: '' })).toContain('${RoleSharedSplitRoles}');
});

describe('no session', () => {
  const region = process.env['AWS_REGION'];
  const fallback = process.env['AWS_DEFAULT_REGION'];
  afterEach(() => {
    if (region !== undefined) process.env['AWS_REGION'] = region;
    if (fallback !== undefined) process.env['AWS_DEFAULT_REGION'] = fallback;
  });

  test('without a region', async () => {
    delete process.env['AWS_REGION'];
    delete process.env['AWS_DEFAULT_REGION'];
    await expect(openSession({ stack: 'guard' })).rejects.toMatchObject({ name: 'WrongUse', message: expect.stringContaining('--region') });
  });

  test.each([
    [
      'a stack that is not there',
      'ValidationError',
      { name: 'WrongUse', message: expect.stringContaining('There is no stack guard in eu-west-1') },
    ],
    ['a stack that may not be read', 'AccessDenied', { name: 'AccessDenied' }],
  ])('with %s', async (_, name, told) => {
    mockClient(CloudFormationClient)
      .on(DescribeStacksCommand)
      .rejects(Object.assign(new Error('no'), { name }));
    await expect(openSession(asked)).rejects.toMatchObject(told);
  });

  test.each(['LedgerTableName', 'OperateUrl', 'GuardBusName'])('with a stack that has no %s', async (missing) => {
    const { [missing]: _, ...others } = outputs;
    stack({}, others);
    await expect(openSession(asked)).rejects.toMatchObject({
      name: 'WrongUse',
      message: expect.stringContaining('is not a compliance guard'),
    });
  });
});

describe('a time ahead', () => {
  test.each([
    ['30m', 1_800_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
  ])('%s', (time, milliseconds) => expect(ahead(time, 1_000)).toBe(1_000 + milliseconds));

  test.each(['7', 'd', '7 d', '-1d', '1w', undefined, true])('is not %s', (time) => expect(() => ahead(time)).toThrow('12h or 7d'));
});
