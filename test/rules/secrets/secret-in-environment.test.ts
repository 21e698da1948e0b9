import { rule } from '../../../rules/secrets/secret-in-environment.ts';
import { sample } from '../../support/events.ts';
import { changeId, ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const role = 'arn:aws:iam::111122223333:role/orders';
// Joined from parts, so that the secret scanners of code hosts find nothing here.
const password = ['Tr0ub4dor', '&3', 'Zebra'].join('');
const githubToken = ['ghp', '_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');
const secretArn = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1B2c3';

const variables = (Variables: Record<string, string>) => ({ Environment: { Variables } });
const reader = { Tags: { 'compliance-guard:secret-reader': 'true' } };

function withVariables({ lambda }: World, Variables: Record<string, string>, more: object = {}): void {
  lambda.createFunction({ FunctionName: 'orders', ...variables(Variables), ...more });
}

/** A role that may read the secrets that the fix would make. */
function withReadingRole(
  { iam }: World,
  Resource = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/orders/*',
): void {
  iam.createRole({ RoleName: 'orders' });
  const Statement = [{ Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource }];
  iam.putRolePolicy({ RoleName: 'orders', PolicyName: 'secrets', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement }) });
}

const move = {
  variable: 'DB_PASSWORD',
  secretName: `compliance-guard/orders/DB_PASSWORD-${changeId}`,
  token: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown as string,
};
const steps = [
  {
    call: 'createSecretFromVariable',
    input: { functionName: orders, ...move, tags: { 'compliance-guard:function': 'orders', 'compliance-guard:change': changeId } },
    undo: [{ call: 'deleteSecret', input: { functionName: orders, SecretId: move.secretName, RecoveryWindowInDays: 7 } }],
  },
  {
    call: 'pointVariablesAtSecrets',
    input: { functionName: orders, moves: [move] },
    undo: [{ call: 'restoreVariablesFromSecrets', input: { functionName: orders, moves: [move] } }],
  },
];

const onePassword = {
  subject: orders,
  severity: 'critical' as const,
  summary:
    "1 environment variable holds a plaintext credential in orders (DB_PASSWORD): whoever may read the function's configuration knows it. Rotate this credential.",
  evidence: { variables: [{ variable: 'DB_PASSWORD', kind: 'named like a password', versions: ['$LATEST'] }] },
};

ruleTest(rule, {
  rows: [
    {
      name: 'a function without variables',
      kind: 'compliant',
      arrange: ({ lambda }) => void lambda.createFunction({ FunctionName: 'orders' }),
      event: sample('CreateFunction20150331/secret-variables.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'the ARN of a secret, its name, and ordinary settings',
      kind: 'compliant',
      arrange: (world) =>
        withVariables(world, { DB_PASSWORD: secretArn, DB_SECRET_NAME: 'prod/db', RDS_secrets_name: 'main', STAGE: 'prod' }),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2 },
    },
    {
      name: 'a clean version behind an alias',
      kind: 'compliant',
      arrange: (world) => {
        withVariables(world, { STAGE: 'prod' });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      event: sample('CreateAlias20150331/secret-in-version.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3 },
    },
    {
      name: 'a version with a password that no alias routes to',
      kind: 'compliant',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', ...variables({ DB_PASSWORD: secretArn }) });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'a sweep finds nothing in a clean function',
      kind: 'compliant',
      arrange: (world) => withVariables(world, { TABLE_NAME: 'orders' }),
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'a password in a variable',
      kind: 'violating',
      arrange: (world) => withVariables(world, { DB_PASSWORD: password, STAGE: 'prod' }, { Tags: { team: 'shop' } }),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            tags: { team: 'shop' },
            plan: {
              steps,
              remains: [],
              refused:
                'Nothing says that orders fetches its secrets, so an ARN in place of the value would break it: once its code does, tag it compliance-guard:secret-reader or name it in SecretInEnvironmentReaders.',
            },
          },
        ],
      },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: "a change that CloudFormation made with a user's own rights",
      kind: 'violating',
      arrange: (world) => withVariables(world, { DB_PASSWORD: password }),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables-by-arn.json'),
      expect: { violations: [{ ...onePassword, tags: {} }] },
    },
    {
      name: 'two credentials at once',
      kind: 'violating',
      arrange: (world) => withVariables(world, { SETTINGS: githubToken, DATABASE_URL: `postgres://app:${password}@db.internal/app` }),
      event: sample('CreateFunction20150331/secret-variables.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'critical',
            summary:
              "2 environment variables hold plaintext credentials in orders (SETTINGS, DATABASE_URL): whoever may read the function's configuration knows it. Rotate each of these credentials.",
            evidence: {
              variables: [
                { variable: 'SETTINGS', kind: 'GitHub token', versions: ['$LATEST'] },
                { variable: 'DATABASE_URL', kind: 'password in a URL', versions: ['$LATEST'] },
              ],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'a password in the version that an alias routes to',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password }, reader);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', ...variables({ DB_PASSWORD: secretArn }) });
      },
      event: sample('CreateAlias20150331/secret-in-version.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            evidence: { variables: [{ variable: 'DB_PASSWORD', kind: 'named like a password', versions: ['1'] }] },
            tags: reader.Tags,
            plan: {
              steps: [],
              remains: ['version 1, which live routes to (DB_PASSWORD)'],
              refused: 'Only published versions still hold it, and a version cannot be changed: publish a new one and move its aliases.',
            },
          },
        ],
      },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'a canary that still has the password',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', ...variables({ DB_PASSWORD: secretArn }) });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({
          FunctionName: 'orders',
          Name: 'live',
          FunctionVersion: '2',
          RoutingConfig: { AdditionalVersionWeights: { 1: 0.1 } },
        });
      },
      event: sample('UpdateAlias20150331/secret-left-behind.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            evidence: { variables: [{ variable: 'DB_PASSWORD', kind: 'named like a password', versions: ['1'] }] },
            tags: {},
          },
        ],
      },
      calls: { aws: 5 },
    },
    {
      name: 'a sweep finds a password',
      kind: 'violating',
      arrange: (world) => withVariables(world, { DB_PASSWORD: password }),
      sweep: orders,
      expect: { violations: [{ ...onePassword, tags: {} }] },
    },
    {
      name: 'a tagged reader whose role may not read the secret',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password }, reader);
        withReadingRole(world, secretArn);
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            tags: reader.Tags,
            plan: {
              steps,
              remains: [],
              refused: `Its role ${role} could not read the secrets: allow it secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/orders/*.`,
            },
          },
        ],
      },
    },
    {
      name: 'a tagged reader whose role does not exist',
      kind: 'violating',
      arrange: (world) => withVariables(world, { DB_PASSWORD: password }, reader),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            tags: reader.Tags,
            plan: {
              steps,
              remains: [],
              refused: `Its role ${role} could not read the secrets: allow it secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/orders/*.`,
            },
          },
        ],
      },
    },
    {
      name: 'a function that is tagged not to be a reader',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password }, { Tags: { 'compliance-guard:secret-reader': 'false' } });
        withReadingRole(world);
      },
      params: { readers: 'payments-*, billing' },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            tags: { 'compliance-guard:secret-reader': 'false' },
            plan: {
              steps,
              remains: [],
              refused:
                'Nothing says that orders fetches its secrets, so an ARN in place of the value would break it: once its code does, tag it compliance-guard:secret-reader or name it in SecretInEnvironmentReaders.',
            },
          },
        ],
      },
    },
    {
      name: 'variables that would grow beyond 4 KB',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password, TEMPLATE: 'x'.repeat(3980) }, reader);
        withReadingRole(world);
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: {
        violations: [
          {
            ...onePassword,
            tags: reader.Tags,
            plan: {
              steps,
              remains: [],
              refused:
                'With ARNs in place of the values the variables would take 4120 bytes, and Lambda allows 4096: move some of them by hand.',
            },
          },
        ],
      },
    },
    { name: 'a call that failed', kind: 'ignored', event: sample('CreateFunction20150331/secret-failed-call.json') },
    {
      name: 'a function of another account',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/secret-other-account.json'),
    },
    { name: 'an event that changes no variables', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json') },
    { name: 'a dry run of an update', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-dry-run.json') },
    {
      name: 'the configuration may not be read',
      kind: 'failing',
      arrange: (world) => withVariables(world, { DB_PASSWORD: password }),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the aliases may not be read',
      kind: 'failing',
      arrange: (world) => withVariables(world, { STAGE: 'prod' }),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      fail: { operation: 'ListAliases', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: (world) => withVariables(world, { DB_PASSWORD: password }),
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      fail: { operation: 'GetFunctionConfiguration', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'variables that cannot be decrypted are never compliant',
      kind: 'failing',
      arrange: (world) => {
        withVariables(world, {});
        world.lambda.edit('orders', {
          Environment: { Error: { ErrorCode: 'AccessDeniedException', Message: 'Lambda was unable to decrypt' } },
        });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      expect: { throws: 'lasting', error: 'EnvironmentUnreadable' },
    },
    {
      name: 'variables that cannot be decrypted just now',
      kind: 'failing',
      arrange: (world) => {
        withVariables(world, {});
        world.lambda.edit('orders', { Environment: { Error: { ErrorCode: 'ThrottlingException', Message: 'Rate exceeded' } } });
      },
      sweep: orders,
      expect: { throws: 'passing', error: 'RetryLater' },
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      event: sample('DeleteFunction20150331/secret-function-gone.json'),
    },
  ],
  roundTrips: [
    {
      name: 'a password of a tagged reader',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password, STAGE: 'prod' }, reader);
        withReadingRole(world);
      },
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
      steps: ['createSecretFromVariable', 'pointVariablesAtSecrets'],
      fixed: ({ lambda, secretsManager }) => {
        const variablesNow = lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Environment?.Variables;
        expect(secretsManager.names()).toEqual([move.secretName]);
        expect(variablesNow).toEqual({ DB_PASSWORD: expect.stringContaining(`:secret:${move.secretName}-`), STAGE: 'prod' });
        expect(secretsManager.getSecretValue({ SecretId: variablesNow?.['DB_PASSWORD'] })).toMatchObject({ SecretString: password });
      },
    },
    {
      name: 'two credentials of a function that a parameter names',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password, SETTINGS: githubToken });
        withReadingRole(world);
      },
      params: { readers: 'payments-*, ord*' },
      sweep: orders,
      steps: ['createSecretFromVariable', 'createSecretFromVariable', 'pointVariablesAtSecrets'],
      fixed: ({ secretsManager }) => expect(secretsManager.names()).toHaveLength(2),
    },
    {
      name: 'a password that a live version also holds',
      arrange: (world) => {
        withVariables(world, { DB_PASSWORD: password }, reader);
        withReadingRole(world);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      event: sample('CreateAlias20150331/secret-in-version.json'),
      steps: ['createSecretFromVariable', 'pointVariablesAtSecrets'],
      remains: ['version 1, which live routes to (DB_PASSWORD)'],
    },
  ],
});
