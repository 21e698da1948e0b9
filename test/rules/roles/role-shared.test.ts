import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/roles/role-shared.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const account = '111122223333';
const payments = 'arn:aws:lambda:us-east-1:111122223333:function:payments';
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const shared = 'arn:aws:iam::111122223333:role/shared-app';
const own = 'arn:aws:iam::111122223333:role/orders-own';
const clone = 'arn:aws:iam::111122223333:role/compliance-guard/orders-c0ffee123456';
const boundary = 'arn:aws:iam::111122223333:policy/compliance-guard/boundary';
const basic = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';
const bucket = 'arn:aws:s3:::orders-data';
const queue = 'arn:aws:sqs:us-east-1:111122223333:orders';
const topic = 'arn:aws:sns:us-east-1:111122223333:orders';
const secret = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:orders/db-AbC123';
const table = 'arn:aws:dynamodb:us-east-1:111122223333:table/orders';
const key = 'arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c-4b5a-4968-8776-655443322110';
const audit = 'arn:aws:lambda:us-east-1:111122223333:function:audit';

const created = sample('CreateFunction20150331/role-shared.json');
const changed = sample('UpdateFunctionConfiguration20150331v2/role-changed.json');
const deleted = sample('DeleteFunction20150331/role-given-up.json');
const routed = sample('CreateAlias20150331/role-of-version.json');

/** payments had the role first; the ledger has seen it. */
async function paymentsHasRole(world: World, ledger: MemoryLedger): Promise<void> {
  world.lambda.createFunction({ FunctionName: 'payments', Role: shared });
  await ledger.recordRoles({ function: payments, asOf: world.now, role: shared, liveRoles: [] });
}

/** Both run with the role, which has the statements given, or only what writes logs. */
async function bothHaveRole(world: World, ledger: MemoryLedger, ...statements: readonly object[]): Promise<void> {
  world.iam.createRole({ RoleName: 'shared-app' });
  world.iam.attachRolePolicy({ RoleName: 'shared-app', PolicyArn: basic });
  if (statements.length > 0) allow(world, ...statements);
  await paymentsHasRole(world, ledger);
  world.lambda.createFunction({ FunctionName: 'orders', Role: shared });
}

function allow(world: World, ...Statement: readonly object[]): void {
  world.iam.putRolePolicy({
    RoleName: 'shared-app',
    PolicyName: 'work',
    PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement }),
  });
}

/** A resource policy for one principal, as AWS shows it. */
function policyFor(principal: unknown, condition?: object): object {
  const statement = { Sid: 'one', Effect: 'Allow', Principal: principal, Action: '*', Resource: '*' };
  return { Version: '2012-10-17', Statement: [condition === undefined ? statement : { ...statement, Condition: condition }] };
}

const violation = {
  subject: orders,
  severity: 'high' as const,
  summary: 'orders runs with the same execution role as payments, shared-app: each of the two can do whatever the other needs.',
  evidence: { shared: [{ role: shared, longestUser: payments, usedBy: ['$LATEST'] }] },
  tags: {},
};

/** The violation of a row whose plan is refused; its steps are those of another row. */
function refusedWith(refused: string) {
  return { violations: [{ ...violation, plan: { steps: expect.any(Array), remains: [], refused } }] };
}

ruleTest(rule, {
  rows: [
    {
      kind: 'compliant',
      name: 'a function with a role of its own',
      event: created,
      arrange: async (world, ledger) => {
        await paymentsHasRole(world, ledger);
        world.lambda.createFunction({ FunctionName: 'orders', Role: own });
      },
      calls: { aws: 2, ledger: 2 },
      expect: { compliant: [orders] },
    },
    {
      kind: 'compliant',
      name: 'a function that gave up a shared role: whoever is left with it shares no more',
      event: changed,
      arrange: async (world, ledger) => {
        await ledger.recordRoles({ function: orders, asOf: world.now - 60_000, role: shared, liveRoles: [] });
        await paymentsHasRole(world, ledger);
        world.lambda.createFunction({ FunctionName: 'orders', Role: own });
      },
      calls: { aws: 2, ledger: 3 },
      expect: { compliant: [payments, orders] },
    },
    {
      kind: 'compliant',
      name: 'a function that gave up a shared role: whoever is left with it, and has another one in a live version, is not judged',
      event: changed,
      arrange: async (world, ledger) => {
        await ledger.recordRoles({ function: orders, asOf: world.now - 60_000, role: shared, liveRoles: [] });
        await ledger.recordRoles({ function: payments, asOf: world.now, role: shared, liveRoles: ['arn:aws:iam::111122223333:role/old'] });
        world.lambda.createFunction({ FunctionName: 'orders', Role: own });
      },
      calls: { aws: 2, ledger: 3 },
      expect: { compliant: [orders] },
    },
    {
      kind: 'compliant',
      name: 'a deleted function: whoever is left with its role shares no more',
      event: deleted,
      arrange: async (world, ledger) => {
        await ledger.recordRoles({ function: orders, asOf: world.now - 60_000, role: shared, liveRoles: [] });
        await paymentsHasRole(world, ledger);
      },
      calls: { aws: 1, ledger: 2 },
      expect: { compliant: [payments, orders] },
    },
    {
      kind: 'compliant',
      name: 'a reading that is older than what the ledger knows: nothing is said',
      event: created,
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        await ledger.recordRoles({ function: orders, asOf: world.now + 60_000, role: own, liveRoles: [] });
      },
      calls: { aws: 2, ledger: 1 },
      expect: { compliant: [] },
    },
    {
      kind: 'compliant',
      name: 'versions and aliases of one function use the same role',
      event: routed,
      arrange: (world) => {
        world.lambda.createFunction({ FunctionName: 'orders', Role: own, Publish: true });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      calls: { aws: 3, ledger: 2 },
      expect: { compliant: [orders] },
    },
    {
      kind: 'violating',
      name: 'a new function takes the role of another',
      event: created,
      arrange: bothHaveRole,
      calls: { aws: 3, ledger: 2 },
      expect: { violations: [violation], compliant: [] },
    },
    {
      kind: 'violating',
      name: 'a function changes to the role of another, named by its ARN in the event',
      event: sample('UpdateFunctionConfiguration20150331v2/role-changed-by-arn.json'),
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.lambda.tagResource({ Resource: orders, Tags: { team: 'shop' } });
      },
      calls: { aws: 3, ledger: 2 },
      expect: { violations: [{ ...violation, tags: { team: 'shop' } }], compliant: [] },
    },
    {
      kind: 'violating',
      name: 'the event names a version by partial ARN: the subject is the function',
      event: sample('DeleteFunction20150331/role-given-up.json', {
        detail: { requestParameters: { functionName: '111122223333:function:orders:3' } },
      }),
      arrange: bothHaveRole,
      expect: { violations: [violation] },
    },
    {
      kind: 'violating',
      name: 'a version that an alias routes to has the role of another',
      event: sample('UpdateAlias20150331/role-of-version.json'),
      arrange: async (world, ledger) => {
        await paymentsHasRole(world, ledger);
        world.lambda.createFunction({ FunctionName: 'orders', Role: shared, Publish: true });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Role: own });
      },
      calls: { aws: 4, ledger: 3 },
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary:
              'orders, version 1 (alias live), runs with the same execution role as payments, shared-app: each of the two can do whatever the other needs.',
            evidence: { shared: [{ role: shared, longestUser: payments, usedBy: ['version 1 (alias live)'] }] },
            tags: {},
            plan: {
              steps: [],
              remains: ['version 1 (alias live)'],
              refused: 'version 1 (alias live) shares a role, $LATEST does not: publish it and let the alias route to that.',
            },
          },
        ],
        compliant: [],
      },
    },
    {
      kind: 'violating',
      name: 'an alias goes away, and $LATEST still has the role of another',
      event: sample('DeleteAlias20150331/role-of-version.json'),
      arrange: bothHaveRole,
      expect: { violations: [violation] },
    },
    {
      kind: 'violating',
      name: 'the longest user is looked at: the second violates, itself it does not',
      sweep: payments,
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        await ledger.recordRoles({ function: orders, asOf: world.now, role: shared, liveRoles: [] });
        world.lambda.tagResource({ Resource: orders, Tags: { team: 'shop' } });
      },
      calls: { aws: 3, ledger: 2 },
      expect: {
        violations: [{ ...violation, evidence: { shared: [{ role: shared, longestUser: payments }] }, tags: { team: 'shop' } }],
        compliant: [payments],
      },
    },
    {
      kind: 'violating',
      name: 'two functions that were changed at the same time: the first by ARN may keep the role',
      sweep: payments,
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'payments', Role: shared });
        world.lambda.createFunction({ FunctionName: 'orders', Role: shared });
        await ledger.recordRoles({ function: orders, asOf: Date.parse('2026-11-22T12:00:01.000Z'), role: shared, liveRoles: [] });
      },
      expect: {
        violations: [
          {
            subject: payments,
            severity: 'high',
            summary: 'payments runs with the same execution role as orders, shared-app: each of the two can do whatever the other needs.',
            evidence: { shared: [{ role: shared, longestUser: orders, usedBy: ['$LATEST'] }] },
            tags: {},
          },
        ],
        compliant: [],
      },
    },
    {
      kind: 'violating',
      name: 'a role that may be split: the plan',
      event: created,
      params: { splitRoles: 'arn:aws:iam::111122223333:role/shared-*', settle: '90' },
      arrange: async (world, ledger) => {
        world.iam.createRole({
          RoleName: 'shared-app',
          MaxSessionDuration: 7200,
          Tags: [
            { Key: 'team', Value: 'shop' },
            { Key: 'compliance-guard:function', Value: 'somebody' },
          ],
        });
        world.iam.tagByAws('shared-app', { 'aws:cloudformation:stack-name': 'shop' });
        world.iam.attachRolePolicy({ RoleName: 'shared-app', PolicyArn: basic });
        allow(world, { Effect: 'Allow', Action: 'xray:PutTraceSegments', Resource: '*' });
        await paymentsHasRole(world, ledger);
        world.lambda.createFunction({ FunctionName: 'orders', Role: shared });
      },
      expect: {
        violations: [
          {
            ...violation,
            plan: {
              steps: [
                {
                  call: 'createRole',
                  input: {
                    Path: '/compliance-guard/',
                    RoleName: 'orders-c0ffee123456',
                    AssumeRolePolicyDocument:
                      '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}',
                    Description: 'Made by the compliance guard for orders out of shared-app',
                    MaxSessionDuration: 7200,
                    PermissionsBoundary: boundary,
                    Tags: [
                      { Key: 'team', Value: 'shop' },
                      { Key: 'compliance-guard:function', Value: orders },
                      { Key: 'compliance-guard:source-role', Value: shared },
                      { Key: 'compliance-guard:change', Value: 'c0ffee123456' },
                    ],
                  },
                  undo: [{ call: 'deleteRole', input: { RoleName: 'orders-c0ffee123456' } }],
                },
                {
                  call: 'putRolePolicy',
                  input: {
                    RoleName: 'orders-c0ffee123456',
                    PolicyName: 'work',
                    PolicyDocument:
                      '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"xray:PutTraceSegments","Resource":"*"}]}',
                  },
                  undo: [{ call: 'deleteRolePolicy', input: { RoleName: 'orders-c0ffee123456', PolicyName: 'work' } }],
                },
                {
                  call: 'attachRolePolicy',
                  input: { RoleName: 'orders-c0ffee123456', PolicyArn: basic },
                  undo: [{ call: 'detachRolePolicy', input: { RoleName: 'orders-c0ffee123456', PolicyArn: basic } }],
                },
                { waitSeconds: 90, why: 'a new role is not known everywhere in AWS at once' },
                {
                  call: 'switchRole',
                  input: { FunctionName: orders, Role: clone, RevisionId: expect.any(String) },
                  undo: [{ call: 'switchRoleBack', input: { FunctionName: orders, Role: shared, from: clone } }],
                },
              ],
              remains: [],
            },
          },
        ],
      },
    },
    {
      kind: 'violating',
      name: 'refused: the role is not listed',
      event: created,
      params: { splitRoles: 'arn:aws:iam::111122223333:role/other-*' },
      arrange: bothHaveRole,
      expect: refusedWith(`${shared} is not among the roles that RoleSharedSplitRoles lists.`),
    },
    {
      kind: 'violating',
      name: 'refused: the stack has no boundary',
      event: created,
      params: { splitRoles: shared },
      settings: { boundaryArn: '' },
      arrange: bothHaveRole,
      expect: refusedWith('The stack has no boundary for the roles that it makes.'),
    },
    {
      kind: 'violating',
      name: 'refused: the environment is encrypted with a key of the customer',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', KMSKeyArn: key });
      },
      expect: refusedWith(
        `Its environment is encrypted with ${key}: another role needs a grant on that key, which the guard may not make.`,
      ),
    },
    {
      kind: 'violating',
      name: 'refused: who had the role first has another one by now',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.lambda.updateFunctionConfiguration({ FunctionName: 'payments', Role: own });
      },
      expect: refusedWith(`${payments}, recorded as its longest user, no longer runs with ${shared}: the next sweep corrects the index.`),
    },
    {
      kind: 'violating',
      name: 'refused: the role is gone',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await paymentsHasRole(world, ledger);
        world.lambda.createFunction({ FunctionName: 'orders', Role: shared });
      },
      expect: refusedWith(`The role ${shared} is gone.`),
    },
    {
      kind: 'violating',
      name: 'refused: the role has a boundary of its own',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.iam.putRolePermissionsBoundary({ RoleName: 'shared-app', PermissionsBoundary: `arn:aws:iam::${account}:policy/developers` });
      },
      expect: refusedWith(
        `${shared} has the permissions boundary arn:aws:iam::111122223333:policy/developers, and a clone can only have the guard's.`,
      ),
    },
    {
      kind: 'violating',
      name: 'refused: another account may assume the role',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.iam.updateAssumeRolePolicy({
          RoleName: 'shared-app',
          PolicyDocument: JSON.stringify({
            Version: '2012-10-17',
            Statement: [
              { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
              { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::999988887777:root' }, Action: 'sts:AssumeRole' },
            ],
          }),
        });
      },
      expect: refusedWith(
        `The trust policy of ${shared} names arn:aws:iam::999988887777:root, which is neither a service nor known to belong to this account.`,
      ),
    },
    {
      kind: 'violating',
      name: 'refused: the role may do everything',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) => bothHaveRole(world, ledger, { Effect: 'Allow', Action: '*', Resource: '*' }),
      expect: refusedWith('The policy work allows *, and the boundary of a clone denies some of that.'),
    },
    {
      kind: 'violating',
      name: 'refused: the role may do everything in every service',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) => bothHaveRole(world, ledger, { Effect: 'Allow', Action: '*:*', Resource: '*' }),
      expect: refusedWith('The policy work allows *:*, and the boundary of a clone denies some of that.'),
    },
    {
      kind: 'violating',
      name: 'refused: the role may pass roles',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) =>
        bothHaveRole(world, ledger, { Effect: 'Allow', Action: ['logs:PutLogEvents', 'IAM:PassRole'], Resource: own }),
      expect: refusedWith('The policy work allows IAM:PassRole, and the boundary of a clone denies some of that.'),
    },
    {
      kind: 'violating',
      name: 'refused: the role may assume others',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) => bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'sts:Assume*', Resource: own }),
      expect: refusedWith('The policy work allows sts:Assume*, and the boundary of a clone denies some of that.'),
    },
    {
      kind: 'violating',
      name: 'refused: the role may do everything but a few things',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) => bothHaveRole(world, ledger, { Effect: 'Allow', NotAction: ['iam:*', 'organizations:*'], Resource: '*' }),
      expect: refusedWith('The policy work allows everything but iam:*, organizations:*, and the boundary of a clone denies some of that.'),
    },
    {
      kind: 'violating',
      name: 'refused: a managed policy of the customer, by its default version, goes beyond the boundary',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        const PolicyArn = `arn:aws:iam::${account}:policy/team`;
        const document = (Action: string) =>
          JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action, Resource: '*' } });
        world.iam.createPolicy({ PolicyName: 'team', PolicyDocument: document('logs:*') });
        world.iam.createPolicyVersion({ PolicyArn, PolicyDocument: document('iam:CreateUser'), SetAsDefault: true });
        world.iam.attachRolePolicy({ RoleName: 'shared-app', PolicyArn });
      },
      expect: refusedWith(
        'The policy arn:aws:iam::111122223333:policy/team allows iam:CreateUser, and the boundary of a clone denies some of that.',
      ),
    },
    {
      kind: 'violating',
      name: 'refused: a policy of the role goes by its unique id',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) =>
        bothHaveRole(world, ledger, { Effect: 'Allow', Action: 's3:PutObject', Resource: `${bucket}/\${aws:userid}/*` }),
      expect: refusedWith('The policy work goes by the name or id of the role, which the clone does not share.'),
    },
    {
      kind: 'violating',
      name: 'refused: all buckets, one of which may name the role',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) =>
        bothHaveRole(world, ledger, { Effect: 'Allow', Action: ['logs:PutLogEvents', 's3:GetObject'], Resource: '*' }),
      expect: refusedWith(
        'The policy work allows s3:GetObject on *: the policies of everything that this covers cannot be read, and one may name the role.',
      ),
    },
    {
      kind: 'violating',
      name: 'refused: queues by a pattern, one of which may name the role',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) => bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: `${queue}-*` }),
      expect: refusedWith(`The policy work names ${queue}-*: who else decides over it cannot be read, and may name the role.`),
    },
    {
      kind: 'violating',
      name: 'refused: a resource of another account',
      event: created,
      params: { splitRoles: shared },
      arrange: (world, ledger) =>
        bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: 'arn:aws:sqs:us-east-1:999988887777:orders' }),
      expect: refusedWith(
        'The policy work reaches arn:aws:sqs:us-east-1:999988887777:orders, and what another account lets the role do cannot be read.',
      ),
    },
    {
      kind: 'violating',
      name: "refused: a bucket's policy names the role",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 's3:GetObject', Resource: `${bucket}/*` });
        world.resourcePolicies.put(bucket, policyFor({ AWS: [shared] }));
      },
      expect: refusedWith(`A policy or grant of ${bucket} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a bucket's policy names the role by a pattern in aws:PrincipalArn",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 's3:GetObject', Resource: [bucket, `${bucket}/*`] });
        world.resourcePolicies.put(bucket, policyFor('*', { ArnNotLike: { 'aws:PrincipalArn': `arn:aws:iam::${account}:role/shared-*` } }));
      },
      expect: refusedWith(`A policy or grant of ${bucket} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a queue's policy names a session of the role",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: queue });
        world.resourcePolicies.put(queue, policyFor({ AWS: `arn:aws:sts::${account}:assumed-role/shared-app/orders` }));
      },
      expect: refusedWith(`A policy or grant of ${queue} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a topic's policy names the role",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'sns:Publish', Resource: topic });
        world.resourcePolicies.put(topic, policyFor({ AWS: shared }));
      },
      expect: refusedWith(`A policy or grant of ${topic} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a secret's policy names the role; the role's own policy leaves the six random characters open",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        const Resource = secret.replace(/-\w{6}$/, '-??????');
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource });
        world.resourcePolicies.put(secret, policyFor({ AWS: shared }));
      },
      expect: refusedWith(`A policy or grant of orders/db names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a table's policy names the role; the role's own policy names an index",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'dynamodb:Query', Resource: `${table}/index/*` });
        world.resourcePolicies.put(table, policyFor({ AWS: shared }));
      },
      expect: refusedWith(`A policy or grant of ${table} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a function's policy names the role",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: audit });
        world.lambda.createFunction({ FunctionName: 'audit' });
        world.lambda.addPermission({ FunctionName: 'audit', StatementId: 'shop', Action: 'lambda:InvokeFunction', Principal: shared });
      },
      expect: refusedWith(`A policy or grant of ${audit} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a key's policy names the role",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'kms:Decrypt', Resource: key });
        world.resourcePolicies.put(key, policyFor({ AWS: shared }));
      },
      expect: refusedWith(`A policy or grant of ${key} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: 'refused: a grant of a key names the role',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'kms:Decrypt', Resource: key });
        world.resourcePolicies.put(key, policyFor({ AWS: `arn:aws:iam::${account}:root` }));
        world.resourcePolicies.grant(key, shared);
      },
      expect: refusedWith(`A policy or grant of ${key} names ${shared}, and would not apply to another role.`),
    },
    {
      kind: 'violating',
      name: "refused: a bucket's policy cannot be read",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 's3:GetObject', Resource: `${bucket}/*` });
        world.fail('GetBucketPolicy', 'AccessDenied');
      },
      expect: refusedWith(`What ${bucket} grants could not be read (AccessDenied), and may name ${shared}.`),
    },
    {
      kind: 'violating',
      name: "refused: the role's own policy is not understood",
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger, { Effect: 'Allow', Action: 'logs:*', Resource: '*' });
        // A document that IAM would not take today, as old policies may still hold.
        world.iam.putRolePolicyAsItWas('shared-app', 'ancient', '{"Statement": "everything"}');
      },
      expect: refusedWith(`A policy of ${shared} is not understood: the policy does not follow the policy grammar.`),
    },
    {
      kind: 'ignored',
      name: 'a function that could not be made: Lambda may not assume the role',
      event: sample('CreateFunction20150331/role-not-assumable.json'),
    },
    {
      kind: 'ignored',
      name: 'a denied call, whose parameters CloudTrail leaves out',
      event: sample('CreateFunction20150331/role-shared.json', { detail: { errorCode: 'AccessDenied', requestParameters: null } }),
    },
    {
      kind: 'ignored',
      name: 'a function of another account',
      event: sample('UpdateFunctionConfiguration20150331v2/role-changed-by-arn.json', {
        detail: { requestParameters: { functionName: 'arn:aws:lambda:us-east-1:999988887777:function:orders' } },
      }),
    },
    {
      kind: 'ignored',
      name: 'an event without a function',
      event: sample('CreateFunction20150331/role-shared.json', { detail: { requestParameters: { functionName: undefined } } }),
    },
    {
      kind: 'failing',
      name: 'the function cannot be read',
      event: created,
      arrange: bothHaveRole,
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
      calls: { aws: 1, ledger: 0 },
    },
    {
      kind: 'failing',
      name: 'the aliases cannot be read: what is live is not known',
      event: created,
      arrange: bothHaveRole,
      fail: { operation: 'ListAliases', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
      calls: { aws: 2, ledger: 0 },
    },
    {
      kind: 'failing',
      name: 'Lambda throttles',
      event: created,
      arrange: bothHaveRole,
      fail: { operation: 'ListTags', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      kind: 'failing',
      name: 'the function is gone when the event arrives',
      event: created,
      arrange: paymentsHasRole,
      fail: { operation: 'GetFunctionConfiguration', error: 'ResourceNotFoundException' },
    },
    {
      kind: 'failing',
      name: 'a sweep reads an older state than the ledger knows: it looks again',
      sweep: orders,
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        await ledger.recordRoles({ function: orders, asOf: world.now + 60_000, role: own, liveRoles: [] });
      },
      expect: { throws: 'passing', error: 'RetryLater' },
    },
  ],
  roundTrips: [
    {
      name: 'a role that writes logs, and reads what names nobody in particular',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(
          world,
          ledger,
          { Effect: 'Allow', Action: ['ec2:CreateNetworkInterface', 'cloudwatch:PutMetricData', 'ssm:GetParameter'], Resource: '*' },
          {
            Effect: 'Allow',
            Action: ['s3:GetObject', 'sqs:*', 'sns:Publish', 'kms:Decrypt'],
            Resource: [`${bucket}/*`, queue, topic, key],
          },
          {
            Effect: 'Allow',
            Action: ['dynamodb:*', 'secretsmanager:GetSecretValue', 'lambda:InvokeFunction'],
            Resource: [table, secret, audit],
          },
          { Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::*' },
        );
        world.resourcePolicies.put(bucket, policyFor('*', { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } }));
        world.resourcePolicies.put(queue);
        world.resourcePolicies.put(topic, policyFor({ AWS: '*' }, { ArnLike: { 'aws:PrincipalArn': `arn:aws:iam::${account}:role/*` } }));
        world.resourcePolicies.put(key, policyFor({ AWS: `arn:aws:iam::${account}:root` }));
        world.resourcePolicies.grant(key, own);
        world.resourcePolicies.put(secret);
      },
      steps: ['createRole', 'putRolePolicy', 'attachRolePolicy', 'wait', 'switchRole'],
      fixed: (world) => {
        expect(world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Role).toBe(clone);
        expect(world.lambda.getFunctionConfiguration({ FunctionName: 'payments' }).Role).toBe(shared);
      },
    },
    {
      name: 'without a wait, and a function that settles slowly',
      event: created,
      params: { splitRoles: shared, settle: '0' },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.lambda.settleSeconds = 5;
      },
      steps: ['createRole', 'attachRolePolicy', 'switchRole'],
    },
    {
      name: 'a version that an alias routes to keeps the shared role',
      event: created,
      params: { splitRoles: shared },
      arrange: async (world, ledger) => {
        await bothHaveRole(world, ledger);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      steps: ['createRole', 'attachRolePolicy', 'wait', 'switchRole'],
      remains: ['version 1 (alias live)'],
    },
  ],
});
