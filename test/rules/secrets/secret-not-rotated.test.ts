import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/secrets/secret-not-rotated.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const rotator = 'arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRotation';
const secret = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1B2c3';
const named = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db';
const rules = { AutomaticallyAfterDays: 30 };
const listed = { arn: secret, type: 'AWS::SecretsManager::Secret' as const, account: '111122223333', region: 'us-east-1' };

type Edit = Parameters<World['secretsManager']['edit']>[1];

/** The secret prod/db, rotated every thirty days by a function that is there. */
function withSecret({ lambda, secretsManager }: World, rotation: Edit = {}): void {
  secretsManager.createSecret({ Name: 'prod/db', SecretString: 'not of this test', Tags: [{ Key: 'team', Value: 'shop' }] });
  lambda.createFunction({ FunctionName: 'SecretsManagerRotation' });
  secretsManager.rotateSecret({ SecretId: 'prod/db', RotationLambdaARN: rotator, RotationRules: rules, RotateImmediately: false });
  secretsManager.edit('prod/db', rotation);
}

/** It, and the ledger knows that orders reads it. */
async function withReader(world: World, ledger: MemoryLedger, rotation: Edit = {}): Promise<void> {
  withSecret(world, rotation);
  await ledger.recordSecrets({ function: orders, asOf: 1, secrets: [secret] });
}

const cancelled = { RotationEnabled: false } as const;

const found = (rotation: string, evidence: object = {}) => ({
  subject: secret,
  severity: 'medium' as const,
  evidence: { rotation, functions: [orders], rotatedBy: rotator, schedule: rules, ...evidence },
  tags: { team: 'shop' },
});
const turnedOff = {
  ...found('cancelled'),
  summary: 'The secret prod/db keeps its value. Its rotation by SecretsManagerRotation was turned off. It is read by orders.',
};
const turnOn = {
  call: 'rotateSecret',
  input: { SecretId: secret, RotationLambdaARN: rotator, RotationRules: rules, RotateImmediately: false },
  undo: [{ call: 'cancelRotateSecret', input: { SecretId: secret } }],
};
/** What DescribeSecret says after a cancellation where it no longer tells of the function and the schedule. */
const silent = { RotationEnabled: false, RotationLambdaARN: undefined, RotationRules: undefined, NextRotationDate: undefined };
const next = '2026-12-22T12:00:03.000Z';
const failing = {
  ...found('failing', { nextRotation: next, failedAt: '2026-11-22T12:00:00Z' }),
  summary:
    'The secret prod/db keeps its value. Its rotation by SecretsManagerRotation failed at 2026-11-22T12:00:00Z, and has not succeeded since. It is read by orders.',
};

ruleTest(rule, {
  rows: [
    {
      name: 'a secret whose rotation is on',
      kind: 'compliant',
      arrange: (world, ledger) => withReader(world, ledger),
      event: sample('RotateSecret/turned-on.json'),
      expect: { compliant: [secret] },
      calls: { aws: 1, ledger: 3 },
    },
    {
      name: 'a rotation that is turned off for a secret that no function reads',
      kind: 'compliant',
      arrange: (world) => withSecret(world, cancelled),
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: { compliant: [secret] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a secret that was never rotated',
      kind: 'compliant',
      arrange: async ({ secretsManager }, ledger) => {
        secretsManager.createSecret({ Name: 'prod/db', SecretString: 'not of this test' });
        await ledger.recordSecrets({ function: orders, asOf: 1, secrets: [secret] });
      },
      event: sample('CreateSecret/plain.json'),
      expect: { compliant: [secret] },
    },
    {
      name: 'a secret that a service manages and rotates itself',
      kind: 'compliant',
      arrange: (world, ledger) => withReader(world, ledger, { ...cancelled, OwningService: 'rds' }),
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: { compliant: [secret] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'a replica of a secret of another region',
      kind: 'compliant',
      arrange: (world, ledger) => withReader(world, ledger, { ...cancelled, PrimaryRegion: 'eu-central-1' }),
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: { compliant: [secret] },
    },
    {
      name: 'a secret that is about to be deleted',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await withReader(world, ledger, cancelled);
        world.secretsManager.deleteSecret({ SecretId: 'prod/db' });
      },
      event: sample('DeleteSecret/with-window.json'),
      expect: { compliant: [secret] },
    },
    {
      name: 'a rotation that succeeds again after it failed',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await withReader(world, ledger);
        const state = { function: rotator, rules, failedAt: '2026-11-21T08:00:00Z' };
        await ledger.recordKept('secret-not-rotated', secret, { state, asOf: 1 });
      },
      event: sample('RotationSucceeded/plain.json'),
      expect: { compliant: [secret] },
    },
    {
      name: 'the test of a rotation succeeds after one failed',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await withReader(world, ledger);
        const state = { function: rotator, rules, failedAt: '2026-11-21T08:00:00Z' };
        await ledger.recordKept('secret-not-rotated', secret, { state, asOf: 1 });
      },
      event: sample('TestRotationSucceeded/plain.json'),
      expect: { compliant: [secret] },
    },
    {
      name: 'news of a failure that is older than the last rotation',
      kind: 'compliant',
      arrange: (world, ledger) => withReader(world, ledger, { LastRotatedDate: new Date('2026-11-22T13:00:00Z') }),
      event: sample('RotationFailed/in-its-function.json'),
      expect: { compliant: [secret] },
    },
    {
      name: 'a rotation that is due, within the hours of grace',
      kind: 'compliant',
      arrange: (world, ledger) => withReader(world, ledger, { NextRotationDate: new Date('2026-11-22T00:00:00Z') }),
      listed,
      expect: { compliant: [secret] },
    },
    {
      name: 'a schedule by an expression, and no date of the next rotation',
      kind: 'compliant',
      arrange: (world, ledger) =>
        withReader(world, ledger, {
          RotationRules: { ScheduleExpression: 'rate(4 hours)' },
          LastRotatedDate: new Date('2026-11-22T10:00:00Z'),
          NextRotationDate: undefined,
        }),
      listed,
    },
    {
      name: 'a schedule by a cron expression, and no date of the next rotation',
      kind: 'compliant',
      arrange: (world, ledger) =>
        withReader(world, ledger, {
          RotationRules: { ScheduleExpression: 'cron(0 16 1,15 * ? *)' },
          LastRotatedDate: new Date('2026-01-22T10:00:00Z'),
          NextRotationDate: undefined,
        }),
      listed,
    },
    {
      name: 'a function that reads no secret',
      kind: 'compliant',
      arrange: ({ lambda, iam }) => {
        iam.createRole({ RoleName: 'orders' });
        lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { TABLE: 'orders', DB_SECRET: 'prod/db' } } });
      },
      event: sample('CreateFunction20150331/secret-variables.json'),
      expect: { compliant: [orders] },
      calls: { aws: 4, ledger: 1 },
    },
    {
      name: 'a function that no longer reads the secret',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await withReader(world, ledger, cancelled);
        world.iam.createRole({ RoleName: 'orders' });
        world.lambda.createFunction({ FunctionName: 'orders' });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: { compliant: [orders, secret] },
    },
    {
      name: 'a secret of another account in a variable',
      kind: 'compliant',
      arrange: ({ lambda }) =>
        void lambda.createFunction({
          FunctionName: 'orders',
          Environment: { Variables: { DB: 'arn:aws:secretsmanager:us-east-1:444455556666:secret:prod/db-a1B2c3' } },
        }),
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'somebody turns the rotation off',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger, { ...cancelled, NextRotationDate: undefined }),
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: { violations: [{ ...turnedOff, plan: { steps: [turnOn] } }] },
      calls: { aws: 1, ledger: 3 },
    },
    {
      name: 'it is turned off by its name, and the ARN is spelled in the old way',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger, { ...cancelled, NextRotationDate: undefined }),
      event: sample('CancelRotateSecret/by-name-old-spelling.json'),
      expect: { violations: [turnedOff] },
    },
    {
      name: 'what rotated it is known from before, though AWS no longer tells',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await withReader(world, ledger, silent);
        await ledger.recordKept('secret-not-rotated', secret, { state: { function: rotator, rules }, asOf: 1 });
      },
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: { violations: [{ ...turnedOff, plan: { steps: [turnOn] } }] },
    },
    {
      name: 'nobody knows what rotated it',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger, silent),
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: {
        violations: [
          {
            ...found('cancelled'),
            evidence: { rotation: 'cancelled', functions: [orders] },
            summary: 'The secret prod/db keeps its value. Its rotation was turned off. It is read by orders.',
            plan: { steps: [], refused: 'Nothing is known of how it was rotated: choose a rotation function and a schedule.' },
          },
        ],
      },
    },
    {
      name: 'the function that rotated it is gone',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await withReader(world, ledger, { ...cancelled, NextRotationDate: undefined });
        world.lambda.deleteFunction({ FunctionName: 'SecretsManagerRotation' });
      },
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: {
        violations: [
          {
            ...turnedOff,
            plan: { steps: [turnOn], refused: 'The function that rotated it, SecretsManagerRotation, is gone: choose another.' },
          },
        ],
      },
    },
    {
      name: 'a function that may not be put back',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger, { ...cancelled, NextRotationDate: undefined }),
      params: { functions: 'rotate-*' },
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: {
        violations: [
          {
            ...turnedOff,
            plan: {
              steps: [turnOn],
              refused: 'The function that rotated it, SecretsManagerRotation, is none that SecretNotRotatedFunctions names.',
            },
          },
        ],
      },
    },
    {
      name: 'a function of another account rotated it',
      kind: 'violating',
      arrange: (world, ledger) =>
        withReader(world, ledger, {
          ...cancelled,
          NextRotationDate: undefined,
          RotationLambdaARN: rotator.replace('111122223333', '444455556666'),
        }),
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: {
        violations: [
          {
            ...turnedOff,
            evidence: { ...turnedOff.evidence, rotatedBy: 'arn:aws:lambda:us-east-1:444455556666:function:SecretsManagerRotation' },
            plan: {
              steps: [
                {
                  ...turnOn,
                  input: { ...turnOn.input, RotationLambdaARN: 'arn:aws:lambda:us-east-1:444455556666:function:SecretsManagerRotation' },
                },
              ],
              refused:
                'The function that rotated it, arn:aws:lambda:us-east-1:444455556666:function:SecretsManagerRotation, belongs to another account: turn rotation on by hand.',
            },
          },
        ],
      },
    },
    {
      name: 'a rotation that failed before it was turned off',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await withReader(world, ledger, { ...cancelled, NextRotationDate: undefined });
        const state = { function: rotator, rules, failedAt: '2026-11-21T08:00:00Z' };
        await ledger.recordKept('secret-not-rotated', secret, { state, asOf: 1 });
      },
      event: sample('CancelRotateSecret/by-arn.json'),
      expect: {
        violations: [
          {
            ...turnedOff,
            evidence: { ...turnedOff.evidence, failedAt: '2026-11-21T08:00:00Z' },
            plan: {
              steps: [turnOn],
              refused: 'It failed at 2026-11-21T08:00:00Z, before it was turned off: put its rotation function right first.',
            },
          },
        ],
      },
    },
    {
      name: 'the rotation function fails',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger),
      event: sample('RotationFailed/in-its-function.json'),
      expect: {
        violations: [
          {
            ...failing,
            plan: {
              steps: [],
              refused: 'Its rotation is on and fails: only its rotation function can be put right, and its log says why.',
            },
          },
        ],
      },
      calls: { aws: 1, ledger: 3 },
    },
    {
      name: 'the rotation function fails, and the event names the secret elsewhere',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger, { LastRotatedDate: new Date('2026-10-22T12:00:00Z') }),
      event: sample('RotationFailed/other-place-of-the-id.json'),
      expect: {
        violations: [{ ...failing, evidence: { ...failing.evidence, lastRotated: '2026-10-22T12:00:00.000Z' } }],
      },
    },
    {
      name: 'the test of a rotation fails when it is turned on',
      kind: 'violating',
      arrange: (world, ledger) => withReader(world, ledger),
      event: sample('TestRotationFailed/in-its-function.json'),
      expect: { violations: [failing] },
    },
    {
      name: 'a sweep remembers that a rotation failed',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await withReader(world, ledger);
        const state = { function: rotator, rules, failedAt: '2026-11-22T12:00:00Z' };
        await ledger.recordKept('secret-not-rotated', secret, { state, asOf: 1 });
      },
      listed,
      expect: { violations: [failing] },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'a success that is older than the failure changes nothing',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await withReader(world, ledger);
        const state = { function: rotator, rules, failedAt: '2026-11-22T12:00:00Z' };
        await ledger.recordKept('secret-not-rotated', secret, { state, asOf: 1 });
      },
      event: sample('RotationSucceeded/plain.json', { detail: { eventTime: '2026-11-20T12:00:00Z' } }),
      expect: { violations: [failing] },
    },
    {
      name: 'a rotation that did not happen',
      kind: 'violating',
      arrange: (world, ledger) =>
        withReader(world, ledger, {
          NextRotationDate: new Date('2026-11-20T00:00:00Z'),
          LastRotatedDate: new Date('2026-10-20T00:00:00Z'),
        }),
      listed,
      expect: {
        violations: [
          {
            ...found('overdue', { lastRotated: '2026-10-20T00:00:00.000Z', nextRotation: '2026-11-20T00:00:00.000Z' }),
            summary:
              'The secret prod/db keeps its value. Its rotation by SecretsManagerRotation was due by 2026-11-20T00:00:00.000Z and did not happen. It is read by orders.',
            plan: {
              steps: [],
              refused: 'Its rotation is on and did not run: only its rotation function can be put right, and its log says why.',
            },
          },
        ],
      },
    },
    {
      name: 'a rotation every few hours that did not happen, and no date of the next one',
      kind: 'violating',
      arrange: (world, ledger) =>
        withReader(world, ledger, {
          RotationRules: { ScheduleExpression: 'rate(4 hours)' },
          LastRotatedDate: new Date('2026-11-21T04:00:00Z'),
          NextRotationDate: undefined,
        }),
      params: { grace: '1' },
      listed,
      expect: {
        violations: [
          {
            ...found('overdue', { schedule: { ScheduleExpression: 'rate(4 hours)' }, lastRotated: '2026-11-21T04:00:00.000Z' }),
            summary:
              'The secret prod/db keeps its value. Its rotation by SecretsManagerRotation was due by its schedule and did not happen. It is read by orders.',
          },
        ],
      },
    },
    {
      name: 'a secret that was never rotated, where that is asked for',
      kind: 'violating',
      arrange: async ({ secretsManager }, ledger) => {
        secretsManager.createSecret({ Name: 'prod/db', SecretString: 'not of this test' });
        await ledger.recordSecrets({ function: orders, asOf: 1, secrets: [named] });
      },
      params: { never: 'true' },
      event: sample('CreateSecret/no-answer.json'),
      expect: {
        violations: [
          {
            subject: secret,
            severity: 'medium',
            summary: 'The secret prod/db keeps its value. It was never rotated. It is read by orders.',
            evidence: { rotation: 'never rotated', functions: [orders] },
            tags: {},
          },
        ],
        compliant: [named],
      },
    },
    {
      name: 'a secret that no function is known to read, where all are asked for',
      kind: 'violating',
      arrange: (world) => withSecret(world, { ...cancelled, NextRotationDate: undefined }),
      params: { all: 'true' },
      event: sample('RestoreSecret/plain.json'),
      expect: {
        violations: [
          {
            ...turnedOff,
            severity: 'low',
            summary:
              'The secret prod/db keeps its value. Its rotation by SecretsManagerRotation was turned off. No function is known to read it.',
            evidence: { ...turnedOff.evidence, functions: [] },
          },
        ],
      },
    },
    {
      name: 'a function begins to read a secret whose rotation is off',
      kind: 'violating',
      arrange: (world) => {
        withSecret(world, { ...cancelled, NextRotationDate: undefined });
        world.lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { DB_SECRET_ARN: secret } } });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: { violations: [turnedOff], compliant: [orders] },
    },
    {
      name: 'the role of a function names the secret in its policies',
      kind: 'violating',
      arrange: (world) => {
        const { iam, lambda } = world;
        withSecret(world, { ...cancelled, NextRotationDate: undefined });
        iam.createRole({ RoleName: 'orders' });
        const document = (Resource: string, Action = 'secretsmanager:GetSecretValue') =>
          JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource }] });
        iam.putRolePolicy({ RoleName: 'orders', PolicyName: 'all', PolicyDocument: document('*') });
        iam.putRolePolicy({ RoleName: 'orders', PolicyName: 'logs', PolicyDocument: document(`${named}-??????`, 'logs:*') });
        iam.createPolicy({ PolicyName: 'secrets', PolicyDocument: document(`${named}-??????`, 'secretsmanager:Get*') });
        iam.attachRolePolicy({ RoleName: 'orders', PolicyArn: 'arn:aws:iam::111122223333:policy/secrets' });
        lambda.createFunction({ FunctionName: 'orders' });
      },
      sweep: orders,
      expect: { violations: [turnedOff], compliant: [orders, named] },
      calls: { aws: 9 },
    },
    { name: 'a call that failed', kind: 'ignored', event: sample('CancelRotateSecret/failed-call.json') },
    { name: 'code that is changed', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json') },
    {
      name: 'the secret may not be described',
      kind: 'failing',
      arrange: (world, ledger) => withReader(world, ledger, cancelled),
      event: sample('CancelRotateSecret/by-arn.json'),
      fail: { operation: 'DescribeSecret', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Secrets Manager throttles',
      kind: 'failing',
      arrange: (world, ledger) => withReader(world, ledger, cancelled),
      listed,
      fail: { operation: 'DescribeSecret', error: 'ThrottlingException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the policies of a role may not be read',
      kind: 'failing',
      arrange: ({ iam, lambda }) => {
        iam.createRole({ RoleName: 'orders' });
        lambda.createFunction({ FunctionName: 'orders' });
      },
      sweep: orders,
      fail: { operation: 'ListRolePolicies', error: 'AccessDenied' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'variables that cannot be decrypted may name any secret',
      kind: 'failing',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
        lambda.edit('orders', { Environment: { Error: { ErrorCode: 'AccessDeniedException', Message: 'Lambda was unable to decrypt' } } });
      },
      sweep: orders,
      expect: { throws: 'lasting', error: 'EnvironmentUnreadable' },
    },
    { name: 'the secret is gone', kind: 'failing', event: sample('DeleteSecret/with-window.json') },
    { name: 'the function is gone', kind: 'failing', event: sample('DeleteFunction20150331/secret-function-gone.json') },
  ],
  roundTrips: [
    {
      name: 'a rotation that somebody turned off',
      arrange: async (world, ledger) => {
        await withReader(world, ledger);
        world.secretsManager.cancelRotateSecret({ SecretId: 'prod/db' });
      },
      event: sample('CancelRotateSecret/by-arn.json'),
      steps: ['rotateSecret'],
      fixed: ({ secretsManager }) => {
        expect(secretsManager.describeSecret({ SecretId: 'prod/db' })).toMatchObject({
          RotationEnabled: true,
          RotationLambdaARN: rotator,
          RotationRules: rules,
        });
        expect(secretsManager.describeSecret({ SecretId: 'prod/db' })).not.toHaveProperty('LastRotatedDate');
      },
    },
  ],
});
