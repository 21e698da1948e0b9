import { rule } from '../../../rules/secrets/environment-without-cmk.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const role = 'arn:aws:iam::111122223333:role/orders';
const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const key = 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-4e5f-4a5b-8c6d-7e8f9a0b1c2d';
const awsKey = 'arn:aws:kms:us-east-1:111122223333:key/11111111-4e5f-4a5b-8c6d-7e8f9a0b1c2d';
const params = { arn: key };
const changed = sample('UpdateFunctionConfiguration20150331v2/secret-variables.json');
const anyRevision = expect.any(String) as unknown as string;

const document = (...Statement: readonly object[]) => ({ Version: '2012-10-17', Statement });
const root = { AWS: 'arn:aws:iam::111122223333:root' };
const toIam = { Effect: 'Allow', Principal: root, Action: 'kms:*', Resource: '*' };

function withVariables({ lambda }: World, more: object = {}): void {
  lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { STAGE: 'prod' } }, Tags: { team: 'shop' }, ...more });
}

const settings = { deployers: [pipeline] };

/** A key that leaves its use to IAM, and a role and a pipeline whom IAM allows it. */
function withKey({ iam, resourcePolicies }: World, ...statements: readonly object[]): void {
  resourcePolicies.put(key, document(toIam, ...statements));
  iam.createRole({ RoleName: 'orders' });
  allow({ iam }, 'orders', 'kms:Decrypt');
  iam.createRole({ RoleName: 'pipeline' });
  allow({ iam }, 'pipeline', 'kms:Decrypt', 'kms:Encrypt', 'kms:CreateGrant');
}

function allow({ iam }: Pick<World, 'iam'>, RoleName: string, ...Action: readonly string[]): void {
  const PolicyDocument = JSON.stringify(document({ Effect: 'Allow', Action, Resource: key }));
  iam.putRolePolicy({ RoleName, PolicyName: 'key', PolicyDocument });
}

const inLatest = {
  subject: orders,
  severity: 'medium' as const,
  summary:
    'The environment variables of orders are encrypted with a key of AWS, in $LATEST: whoever may read the configuration reads them, and no key policy of yours says who.',
  evidence: { versions: [{ version: '$LATEST' }] },
  tags: { team: 'shop' },
};
const step = {
  call: 'encryptVariables',
  input: { FunctionName: orders, KMSKeyArn: key, RevisionId: anyRevision },
  undo: [{ call: 'encryptVariables', input: { FunctionName: orders, KMSKeyArn: '' } }],
};
const refused = (sentence: string) => ({ violations: [{ ...inLatest, plan: { steps: [step], remains: [], refused: sentence } }] });
const mayNot = (what: string, principal: string, action: string) =>
  `The ${what} ${principal} may not use ${key}: allow it ${action} first.`;

ruleTest(rule, {
  rows: [
    {
      name: 'a function without variables',
      kind: 'compliant',
      arrange: (world) => withVariables(world, { Environment: { Variables: {} } }),
      event: changed,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'variables that a key of the customer encrypts',
      kind: 'compliant',
      arrange: (world) => {
        withKey(world);
        withVariables(world, { KMSKeyArn: key });
      },
      event: changed,
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'variables that the guard may not decrypt are encrypted with a key of somebody',
      kind: 'compliant',
      arrange: (world) => {
        withKey(world);
        withVariables(world, { KMSKeyArn: key });
        const EnvironmentError = { ErrorCode: 'AccessDeniedException', Message: 'Lambda was unable to decrypt your environment variables' };
        world.lambda.edit('orders', { Environment: { Error: EnvironmentError } });
      },
      event: changed,
      expect: { compliant: [orders] },
    },
    {
      name: "another account's key is a customer's",
      kind: 'compliant',
      arrange: (world) => withVariables(world, { KMSKeyArn: 'arn:aws:kms:us-east-1:444455556666:key/0a1b2c3d' }),
      sweep: orders,
      calls: { aws: 2 },
    },
    {
      name: "a key that was deleted was a customer's",
      kind: 'compliant',
      arrange: (world) => withVariables(world, { KMSKeyArn: key }),
      sweep: orders,
      calls: { aws: 3 },
    },
    {
      name: 'an old version without a key that no alias routes to',
      kind: 'compliant',
      arrange: (world) => {
        withKey(world);
        withVariables(world);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', KMSKeyArn: key });
      },
      event: changed,
    },
    {
      name: 'variables and no key',
      kind: 'violating',
      arrange: (world) => withVariables(world),
      event: changed,
      expect: {
        violations: [
          { ...inLatest, plan: { steps: [], remains: [], refused: 'EnvironmentWithoutCmkArn names no key to encrypt them with.' } },
        ],
      },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'variables, and a key that AWS manages',
      kind: 'violating',
      arrange: (world) => {
        world.resourcePolicies.key(awsKey, { KeyManager: 'AWS' });
        withVariables(world, { KMSKeyArn: awsKey });
        withKey(world);
      },
      params,
      settings,
      sweep: orders,
      expect: {
        violations: [
          {
            ...inLatest,
            evidence: { versions: [{ version: '$LATEST', key: awsKey }] },
            plan: {
              steps: [{ ...step, undo: [{ call: 'encryptVariables', input: { FunctionName: orders, KMSKeyArn: awsKey } }] }],
              remains: [],
            },
          },
        ],
      },
      calls: { aws: 4 },
    },
    {
      name: 'variables that nobody can decrypt, under a key that AWS manages',
      kind: 'violating',
      arrange: (world) => {
        world.resourcePolicies.key(awsKey, { KeyManager: 'AWS' });
        withVariables(world, { KMSKeyArn: awsKey });
        const EnvironmentError = { ErrorCode: 'AccessDeniedException', Message: 'Lambda was unable to decrypt your environment variables' };
        world.lambda.edit('orders', { Environment: { Error: EnvironmentError } });
      },
      event: changed,
      expect: { violations: [{ ...inLatest, evidence: { versions: [{ version: '$LATEST', key: awsKey }] } }] },
    },
    {
      name: 'a version without a key that an alias routes to',
      kind: 'violating',
      arrange: (world) => {
        withKey(world);
        withVariables(world);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', KMSKeyArn: key });
      },
      params,
      settings,
      event: changed,
      expect: {
        violations: [
          {
            ...inLatest,
            summary: inLatest.summary.replace('$LATEST', () => 'version 1 (live)'),
            evidence: { versions: [{ version: '1', aliases: ['live'] }] },
            plan: {
              steps: [],
              remains: ['version 1, which live routes to'],
              refused:
                'Only published versions are without such a key, and a version cannot be changed: publish a new one and move its aliases.',
            },
          },
        ],
      },
      calls: { aws: 5 },
    },
    {
      name: 'a role that may decrypt',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
      },
      params,
      settings,
      event: changed,
      expect: { violations: [{ ...inLatest, plan: { steps: [step], remains: [] } }] },
    },
    {
      name: "a role that the key's policy names",
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world, { Effect: 'Allow', Principal: { AWS: role }, Action: ['kms:Decrypt', 'kms:DescribeKey'], Resource: '*' });
        world.iam.deleteRolePolicy({ RoleName: 'orders', PolicyName: 'key' });
      },
      params,
      settings,
      event: changed,
      expect: { violations: [{ ...inLatest, plan: { steps: [step], remains: [] } }] },
    },
    {
      name: 'a role that may not decrypt',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
        world.iam.deleteRolePolicy({ RoleName: 'orders', PolicyName: 'key' });
      },
      params,
      settings,
      event: changed,
      expect: refused(mayNot('execution role', role, 'kms:Decrypt')),
    },
    {
      name: "a role that the key's policy shuts out",
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world, { Effect: 'Deny', Principal: { AWS: role }, Action: 'kms:Decrypt', Resource: '*' });
      },
      params,
      settings,
      event: changed,
      // Whoever is meant by a Deny is not asked: for the guard itself it is a doubt already.
      expect: refused(`The policy of ${key} does not leave kms:Decrypt to IAM: nobody knows who could encrypt with it.`),
    },
    {
      name: 'a key whose policy leaves nothing to IAM',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
        world.resourcePolicies.put(
          key,
          document({ ...toIam, Condition: { StringEquals: { 'kms:ViaService': 's3.us-east-1.amazonaws.com' } } }),
        );
      },
      params,
      settings,
      event: changed,
      expect: refused(`The policy of ${key} does not leave kms:CreateGrant to IAM: nobody knows who could encrypt with it.`),
    },
    {
      name: 'a deployer who may not make grants on the key',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
        allow(world, 'pipeline', 'kms:Decrypt', 'kms:Encrypt');
      },
      params,
      settings,
      event: changed,
      expect: refused(mayNot('deployer', pipeline, 'kms:CreateGrant')),
    },
    {
      name: 'a deployer who does not exist',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
      },
      params,
      settings: { deployers: [`${pipeline}-of-before`] },
      event: changed,
      expect: refused(mayNot('deployer', `${pipeline}-of-before`, 'kms:CreateGrant')),
    },
    {
      name: 'no deployers are named',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
      },
      params,
      event: changed,
      expect: refused('Nobody is listed in Deployers, so that nobody can be asked whether they may use the key.'),
    },
    {
      name: 'a key of another region',
      kind: 'violating',
      arrange: (world) => withVariables(world),
      params: { arn: key.replace('us-east-1', 'eu-west-1') },
      settings,
      event: changed,
      expect: {
        violations: [
          {
            ...inLatest,
            plan: expect.objectContaining({ refused: `${key.replace('us-east-1', 'eu-west-1')} is not in this account and region.` }),
          },
        ],
      },
    },
    {
      name: 'a key that does not exist',
      kind: 'violating',
      arrange: (world) => withVariables(world),
      params,
      settings,
      event: changed,
      expect: refused(`${key} does not exist.`),
    },
    {
      name: 'a key that is switched off',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        world.resourcePolicies.key(key, { KeyState: 'Disabled' });
      },
      params,
      settings,
      event: changed,
      expect: refused(`${key} cannot encrypt variables: it is Disabled and SYMMETRIC_DEFAULT.`),
    },
    {
      name: "a key of AWS's in the parameter",
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        world.resourcePolicies.key(key, { KeyManager: 'AWS' });
      },
      params,
      settings,
      event: changed,
      expect: refused(`${key} is not a key of your own.`),
    },
    {
      name: 'a key whose policy may not be read',
      kind: 'violating',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
        world.fail('GetKeyPolicy', 'AccessDeniedException');
      },
      params,
      settings,
      event: changed,
      expect: refused(`Who may use ${key} could not be read (AccessDeniedException).`),
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json', { detail: { errorCode: 'AccessDeniedException' } }),
    },
    {
      name: 'a function of another account',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/secret-other-account.json'),
    },
    {
      name: 'the configuration may not be read',
      kind: 'failing',
      arrange: (world) => withVariables(world),
      event: changed,
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: (world) => withVariables(world),
      event: changed,
      fail: { operation: 'ListAliases', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a key that may not be described is never compliant',
      kind: 'failing',
      arrange: (world) => {
        withKey(world);
        withVariables(world, { KMSKeyArn: key });
      },
      event: changed,
      fail: { operation: 'DescribeKey', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    { name: 'the function is gone', kind: 'failing', event: sample('DeleteFunction20150331/code-function-gone.json') },
  ],
  roundTrips: [
    {
      name: 'variables get the key, and lose it again',
      arrange: (world) => {
        world.lambda.settleSeconds = 5;
        withVariables(world);
        withKey(world);
        world.advance(60);
      },
      params,
      settings,
      event: changed,
      steps: ['encryptVariables'],
      fixed: ({ lambda }) =>
        expect(lambda.getFunctionConfiguration({ FunctionName: 'orders' })).toMatchObject({
          KMSKeyArn: key,
          Environment: { Variables: { STAGE: 'prod' } },
        }),
    },
    {
      name: 'a version that an alias routes to stays as it is',
      arrange: (world) => {
        withVariables(world);
        withKey(world);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      params,
      settings,
      sweep: orders,
      steps: ['encryptVariables'],
      remains: ['version 1, which live routes to'],
    },
  ],
});
