import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/roles/role-too-broad.ts';
import { sample } from '../../support/events.ts';
import { RuleTester, ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const role = 'arn:aws:iam::111122223333:role/orders-role';
const administrator = 'arn:aws:iam::aws:policy/AdministratorAccess';
const basic = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';
const access = 'arn:aws:iam::111122223333:policy/app/orders-access';

const document = (...Statement: readonly object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const allow = (Action: string | readonly string[], more: object = {}) => ({ Effect: 'Allow', Action, Resource: '*', ...more });
const reading = document(allow('dynamodb:GetItem', { Resource: 'arn:aws:dynamodb:us-east-1:111122223333:table/orders' }));
const kept = (state: object) => ({ state: { attached: [basic], inline: ['work'], versions: {}, ...state }, asOf: 1 });

/** The function orders with a role of its own, which the ledger knows. */
async function used({ iam, lambda, now }: World, ledger: MemoryLedger): Promise<void> {
  iam.createRole({ RoleName: 'orders-role', Tags: [{ Key: 'team', Value: 'shop' }] });
  iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: basic });
  iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: reading });
  lambda.createFunction({ FunctionName: 'orders', Role: role });
  await ledger.recordRoles({ function: orders, asOf: now, role, liveRoles: [] });
}

function withAccess({ iam }: World, Document: string): void {
  iam.createPolicy({ PolicyName: 'orders-access', Path: '/app/', PolicyDocument: reading });
  iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: access });
  iam.createPolicyVersion({ PolicyArn: access, PolicyDocument: Document, SetAsDefault: true });
}

/** What its function needs, and more, in the same policy. */
function put({ iam }: World, ...statements: readonly object[]): void {
  iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: document(...statements) });
}

const onItself = (...actions: readonly string[]) => ({ right: 'iam:* on itself', actions });
const everything = {
  right: '*:*',
  actions: ['dynamodb:DeleteTable', 'ec2:RunInstances', 'kms:CreateKey', 'rds:DeleteDBInstance', 's3:DeleteBucket', 'sns:DeleteTopic'],
};
const iamRights = {
  right: 'iam:*',
  actions: [
    'iam:AttachRolePolicy',
    'iam:AttachUserPolicy',
    'iam:CreatePolicyVersion',
    'iam:PutRolePolicy',
    'iam:PutUserPolicy',
    'iam:UpdateAssumeRolePolicy',
  ],
};
const becoming = { right: 'sts:*', actions: ['sts:AssumeRole'] };
const passing = { right: 'iam:PassRole on *', actions: ['iam:PassRole'] };
const all = [everything, iamRights, becoming, passing];

const summary = (rights: string) =>
  `The role orders-role of orders has the rights of an administrator (${rights}): whoever changes what orders does has them too.`;
const broad = (rights: readonly { readonly right: string; readonly actions: readonly string[] }[], evidence: object) => ({
  subject: role,
  severity: 'high' as const,
  summary: summary(rights.map(({ right }) => right).join(', ')),
  evidence: { rights, functions: [orders], attached: [basic], inline: ['work'], ...evidence },
  tags: { team: 'shop' },
});

ruleTest(rule, {
  rows: [
    {
      name: 'a role with what its function needs',
      kind: 'compliant',
      arrange: used,
      event: sample('AttachRolePolicy/administrator.json'),
      expect: { compliant: [role] },
      // GetRole, its managed policies, two simulations, and its inline policies, to be kept.
      calls: { aws: 5, ledger: 2 },
    },
    {
      name: 'a role that no function runs with',
      kind: 'compliant',
      arrange: ({ iam }) => {
        iam.createRole({ RoleName: 'orders-role' });
        iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: administrator });
      },
      event: sample('AttachRolePolicy/administrator.json'),
      expect: { compliant: [role] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a permissions boundary that limits an administrator',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.createPolicy({ PolicyName: 'boundary', PolicyDocument: document(allow(['s3:GetObject', 'logs:*'])) });
        world.iam.putRolePermissionsBoundary({ RoleName: 'orders-role', PermissionsBoundary: 'arn:aws:iam::111122223333:policy/boundary' });
        world.iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: administrator });
      },
      event: sample('PutRolePermissionsBoundary/plain.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'a role that makes bounded roles, and is kept from itself',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const bounded = { StringEquals: { 'iam:PermissionsBoundary': 'arn:aws:iam::111122223333:policy/boundary' } };
        const PolicyDocument = document(
          allow(['iam:PutRolePolicy', 'iam:AttachRolePolicy'], { Resource: 'arn:aws:iam::111122223333:role/made/*', Condition: bounded }),
          { Effect: 'Deny', Action: ['iam:PutRolePolicy', 'iam:AttachRolePolicy'], Resource: role },
        );
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'an action of IAM on roles of one path',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const PolicyDocument = document(allow(['iam:PassRole', 'iam:PutRolePolicy'], { Resource: 'arn:aws:iam::111122223333:role/app/*' }));
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'iam:PassRole under a condition on the service',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const Condition = { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } };
        world.iam.putRolePolicy({
          RoleName: 'orders-role',
          PolicyName: 'work',
          PolicyDocument: document(allow('iam:PassRole', { Condition })),
        });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'policies of AWS for functions',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        for (const name of ['AWSLambdaVPCAccessExecutionRole', 'AWSLambdaSQSQueueExecutionRole', 'AWSLambdaRole'])
          world.iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: `arn:aws:iam::aws:policy/service-role/${name}` });
      },
      event: sample('AttachRolePolicy/administrator.json'),
      expect: { compliant: [role] },
      calls: { aws: 5 },
    },
    {
      name: 'another version of a policy that the role does not have',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        withAccess(world, reading);
        put(world, allow('iam:CreatePolicyVersion', { Resource: 'arn:aws:iam::111122223333:policy/app/other' }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
      // One more to know the version of its policy; however many it has, two simulations.
      calls: { aws: 6 },
    },
    {
      name: 'a function that makes functions, with the roles of one path',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        put(world, allow('lambda:CreateFunction'), allow('iam:PassRole', { Resource: 'arn:aws:iam::111122223333:role/app/*' }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
      calls: { aws: 6 },
    },
    {
      name: 'a permissions boundary that keeps a role from itself',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        put(world, allow('iam:*', { Resource: role }));
        world.iam.createPolicy({ PolicyName: 'boundary', PolicyDocument: document(allow('s3:*')) });
        world.iam.putRolePermissionsBoundary({ RoleName: 'orders-role', PermissionsBoundary: 'arn:aws:iam::111122223333:policy/boundary' });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'most of the services, without the rest',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.putRolePolicy({
          RoleName: 'orders-role',
          PolicyName: 'work',
          PolicyDocument: document(allow(['s3:*', 'dynamodb:*', 'sns:*', 'sqs:*'])),
        });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'the policy was taken away again',
      kind: 'compliant',
      arrange: used,
      event: sample('DetachRolePolicy/administrator.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'another policy has another version',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.createPolicy({ PolicyName: 'orders-access', Path: '/app/', PolicyDocument: document(allow('*')) });
      },
      event: sample('CreatePolicyVersion/as-default.json'),
      expect: { compliant: [access] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'a function gave up a role that nobody else has',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.createRole({ RoleName: 'new-role' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Role: 'arn:aws:iam::111122223333:role/new-role' });
      },
      event: sample('UpdateFunctionConfiguration20150331v2/role-changed.json'),
      expect: { compliant: [role, 'arn:aws:iam::111122223333:role/new-role'] },
    },
    {
      name: 'a role that the guard knows already is not read again for a new function',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
      },
      event: sample('CreateFunction20150331/role-shared.json'),
      expect: { compliant: [role] },
      // The configuration, its aliases, GetRole, its managed policies and two simulations.
      calls: { aws: 6, ledger: 3 },
    },
    {
      name: 'an administrator, known by its policy',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
        world.iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: administrator });
      },
      event: sample('AttachRolePolicy/administrator.json'),
      expect: {
        violations: [
          {
            ...broad(all, { attached: [administrator, basic] }),
            plan: {
              steps: [
                {
                  call: 'detachPolicyFromRole',
                  input: { RoleName: 'orders-role', PolicyArn: administrator },
                  undo: [{ call: 'attachPolicyToRole', input: { RoleName: 'orders-role', PolicyArn: administrator } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'a power user: everything but IAM',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const PolicyDocument = document({ Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'sts:*'], Resource: '*' });
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { violations: [broad([everything], {})] },
    },
    {
      name: 'one action that gives policies to every role',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: document(allow('iam:Put*')) });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { violations: [broad([{ right: 'iam:*', actions: ['iam:PutRolePolicy', 'iam:PutUserPolicy'] }], {})] },
    },
    {
      name: 'an inline policy for its own role',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        put(world, allow('iam:PutRolePolicy', { Resource: role }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { violations: [broad([onItself('iam:PutRolePolicy')], {})] },
    },
    {
      name: 'managed policies and trust, of every role of the account by a pattern',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const Resource = 'arn:aws:iam::111122223333:role/*';
        put(world, allow(['iam:AttachRolePolicy', 'iam:UpdateAssumeRolePolicy'], { Resource }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { violations: [broad([onItself('iam:AttachRolePolicy', 'iam:UpdateAssumeRolePolicy')], {})] },
    },
    {
      name: 'another version of one of the policies that it has',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        withAccess(world, reading);
        const other = 'arn:aws:iam::111122223333:policy/more-access';
        world.iam.createPolicy({ PolicyName: 'more-access', PolicyDocument: reading });
        world.iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: other });
        put(world, allow('iam:CreatePolicyVersion', { Resource: access }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: {
        violations: [
          broad([onItself('iam:CreatePolicyVersion')], { attached: [access, 'arn:aws:iam::111122223333:policy/more-access', basic] }),
        ],
      },
    },
    {
      name: 'functions that it makes itself, with any role that they may have',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const Condition = { StringEquals: { 'iam:PassedToService': 'lambda.amazonaws.com' } };
        put(world, allow('lambda:*'), allow('iam:PassRole', { Condition }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: {
        violations: [broad([{ right: 'iam:PassRole to Lambda', actions: ['iam:PassRole', 'lambda:CreateFunction'] }], {})],
      },
    },
    {
      name: 'a right on itself that was there before',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        put(world, allow('iam:PutRolePolicy', { Resource: role }));
        await ledger.recordKept('role-too-broad', role, kept({}));
      },
      sweep: orders,
      expect: {
        violations: [
          {
            ...broad([onItself('iam:PutRolePolicy')], {}),
            plan: {
              steps: [],
              refused:
                'The inline policy work, which orders-role had before without these rights, was overwritten, and the guard may write no policy: put it back to what it was by hand.',
            },
          },
        ],
        compliant: [orders],
      },
    },
    {
      name: 'may become any role',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: document(allow('sts:*')) });
      },
      sweep: orders,
      expect: { violations: [broad([becoming], {})], compliant: [orders] },
    },
    {
      name: 'a condition that every request meets limits nothing',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const Condition = { Bool: { 'aws:SecureTransport': 'true' }, StringEquals: { 'aws:RequestedRegion': 'us-east-1' } };
        world.iam.putRolePolicy({
          RoleName: 'orders-role',
          PolicyName: 'work',
          PolicyDocument: document(allow('iam:PassRole', { Condition })),
        });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { violations: [broad([passing], {})] },
    },
    {
      name: 'a role with a path, which events do not tell',
      kind: 'violating',
      arrange: async ({ iam, lambda, now }, ledger) => {
        const arn = 'arn:aws:iam::111122223333:role/service-role/orders-role';
        iam.createRole({ RoleName: 'orders-role', Path: '/service-role/' });
        iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: administrator });
        lambda.createFunction({ FunctionName: 'orders', Role: arn });
        await ledger.recordRoles({ function: orders, asOf: now, role: arn, liveRoles: [] });
      },
      event: sample('AttachRolePolicy/administrator.json'),
      expect: {
        violations: [
          {
            ...broad(all, { attached: [administrator], inline: [] }),
            subject: 'arn:aws:iam::111122223333:role/service-role/orders-role',
            tags: {},
            plan: {
              steps: [],
              refused: 'What orders-role could do before is not known: the guard has never seen it without these rights.',
            },
          },
        ],
        compliant: [role],
      },
    },
    {
      name: 'a new function with such a role',
      kind: 'violating',
      arrange: async ({ iam, lambda }) => {
        iam.createRole({ RoleName: 'shared-app' });
        iam.attachRolePolicy({ RoleName: 'shared-app', PolicyArn: administrator });
        lambda.createFunction({ FunctionName: 'orders', Role: 'arn:aws:iam::111122223333:role/shared-app' });
      },
      event: sample('CreateFunction20150331/role-shared.json'),
      expect: {
        violations: [
          {
            subject: 'arn:aws:iam::111122223333:role/shared-app',
            severity: 'high',
            summary: summary('*:*, iam:*, sts:*, iam:PassRole on *').replace('orders-role', 'shared-app'),
            evidence: { rights: all, functions: [orders], attached: [administrator], inline: [] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the boundary was taken away',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: document(allow('*')) });
        await ledger.recordKept('role-too-broad', role, kept({ boundary: 'arn:aws:iam::111122223333:policy/boundary' }));
      },
      event: sample('DeleteRolePermissionsBoundary/plain.json'),
      expect: {
        violations: [
          {
            ...broad(all, {}),
            plan: {
              steps: [],
              refused:
                'The permissions boundary of orders-role is another since then (it was arn:aws:iam::111122223333:policy/boundary): put that right by hand.',
            },
          },
        ],
      },
    },
    {
      name: 'an inline policy of before was overwritten',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: document(allow('iam:PassRole')) });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: {
        violations: [
          {
            ...broad([passing], {}),
            plan: {
              steps: [],
              refused:
                'The inline policy work, which orders-role had before without these rights, was overwritten, and the guard may write no policy: put it back to what it was by hand.',
            },
          },
        ],
      },
    },
    {
      name: 'two policies of before that are too much only together',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const put = (PolicyName: string, Action: readonly string[]) =>
          world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName, PolicyDocument: document(allow(Action)) });
        put('work', everything.actions.slice(0, 3));
        put('more', everything.actions.slice(3));
        await ledger.recordKept('role-too-broad', role, kept({ inline: ['more', 'work'] }));
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: {
        violations: [
          {
            ...broad([everything], { inline: ['more', 'work'] }),
            plan: {
              steps: [],
              refused:
                'Policies that orders-role had before give it such rights too, as they are now: what it was given since is not the reason.',
            },
          },
        ],
      },
    },
    {
      name: 'a version of a policy that others have as well',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        withAccess(world, document(allow('*')));
        world.iam.createRole({ RoleName: 'other' });
        world.iam.attachRolePolicy({ RoleName: 'other', PolicyArn: access });
        await ledger.recordKept('role-too-broad', role, kept({ attached: [access, basic], versions: { [access]: 'v1' } }));
      },
      event: sample('CreatePolicyVersion/as-default.json'),
      expect: {
        violations: [
          {
            ...broad(all, { attached: [access, basic] }),
            plan: {
              steps: [
                {
                  call: 'setDefaultPolicyVersion',
                  input: { PolicyArn: access, VersionId: 'v1' },
                  undo: [{ call: 'setDefaultPolicyVersion', input: { PolicyArn: access, VersionId: 'v2' } }],
                },
              ],
              refused: `${access} is in use elsewhere too: another version of it would change what others may do.`,
            },
          },
        ],
        compliant: ['arn:aws:iam::111122223333:role/other', access],
      },
    },
    {
      name: 'the version that was in force before is gone',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        withAccess(world, document(allow('iam:PassRole')));
        world.iam.deletePolicyVersion({ PolicyArn: access, VersionId: 'v1' });
        await ledger.recordKept('role-too-broad', role, kept({ attached: [access, basic], versions: { [access]: 'v1' } }));
      },
      event: sample('SetDefaultPolicyVersion/plain.json'),
      expect: {
        violations: [
          {
            ...broad([passing], { attached: [access, basic] }),
            plan: {
              steps: [expect.objectContaining({ call: 'setDefaultPolicyVersion' })],
              refused: `The version v1 of ${access}, which was in force before, is gone.`,
            },
          },
        ],
      },
    },
    {
      name: 'a role of a permission set is never changed',
      kind: 'violating',
      arrange: async ({ iam, lambda, now }, ledger) => {
        const arn = 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef';
        iam.createRole({ RoleName: 'AWSReservedSSO_Admin_0123456789abcdef', Path: '/aws-reserved/sso.amazonaws.com/' });
        iam.attachRolePolicy({ RoleName: 'AWSReservedSSO_Admin_0123456789abcdef', PolicyArn: administrator });
        lambda.createFunction({ FunctionName: 'orders', Role: arn });
        await ledger.recordRoles({ function: orders, asOf: now, role: arn, liveRoles: [] });
        await ledger.recordKept('role-too-broad', arn, { state: { attached: [], inline: [], versions: {} }, asOf: 1 });
      },
      event: sample('AttachRolePolicy/administrator.json', {
        detail: { requestParameters: { roleName: 'AWSReservedSSO_Admin_0123456789abcdef' } },
      }),
      expect: {
        violations: [
          {
            subject: 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef',
            severity: 'high',
            summary: summary('*:*, iam:*, sts:*, iam:PassRole on *').replace('orders-role', 'AWSReservedSSO_Admin_0123456789abcdef'),
            evidence: { rights: all, functions: [orders], attached: [administrator], inline: [] },
            tags: {},
            plan: {
              steps: [expect.objectContaining({ call: 'detachPolicyFromRole' })],
              refused: 'AWSReservedSSO_Admin_0123456789abcdef belongs to a permission set of IAM Identity Center: change that.',
            },
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('AttachRolePolicy/administrator.json', { detail: { errorCode: 'AccessDenied', requestParameters: null } }),
    },
    {
      name: 'a version that is not in force',
      kind: 'ignored',
      event: sample('CreatePolicyVersion/as-default.json', { detail: { requestParameters: { setAsDefault: false } } }),
    },
    {
      name: 'an update of a function that leaves its role alone',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
    },
    {
      name: 'the simulation is not allowed',
      kind: 'failing',
      arrange: used,
      event: sample('AttachRolePolicy/administrator.json'),
      fail: { operation: 'SimulatePrincipalPolicy', error: 'AccessDenied' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: used,
      event: sample('AttachRolePolicy/administrator.json'),
      fail: { operation: 'GetRole', error: 'Throttling' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a denial of changes to itself, under a condition that nobody knows',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const denied = { Effect: 'Deny', Action: 'iam:*', Resource: role, Condition: { StringNotEquals: { 'aws:SourceVpc': 'vpc-1' } } };
        put(world, allow('iam:*', { Resource: role }), denied);
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'a denial under a condition that nobody knows',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        const denied = { Effect: 'Deny', Action: 'iam:*', Resource: '*', Condition: { StringNotEquals: { 'aws:SourceVpc': 'vpc-1' } } };
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'work', PolicyDocument: document(allow('iam:*'), denied) });
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'the function changed after it was recorded',
      kind: 'failing',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordRoles({ function: orders, asOf: world.now + 3_600_000, role: `${role}-2`, liveRoles: [] });
      },
      sweep: orders,
      expect: { throws: 'passing', error: 'RetryLater' },
    },
    {
      name: 'the role is gone',
      kind: 'failing',
      event: sample('DeleteRole/plain.json'),
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      event: sample('DeleteFunction20150331/plain.json'),
    },
  ],
  roundTrips: [
    {
      name: 'a managed policy beside one that is harmless',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
        world.iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' });
        world.iam.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: administrator });
      },
      event: sample('AttachRolePolicy/administrator.json'),
      steps: ['detachPolicyFromRole'],
      fixed: ({ iam }) => {
        expect(iam.listAttachedRolePolicies({ RoleName: 'orders-role' })).toMatchObject({
          AttachedPolicies: [{ PolicyArn: basic }, { PolicyArn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' }],
        });
      },
    },
    {
      name: 'two inline policies, each enough by itself',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
        for (const [PolicyName, action] of [
          ['quick-fix', 'iam:*'],
          ['other-fix', 'sts:*'],
        ] as const)
          world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName, PolicyDocument: document(allow(action)) });
      },
      event: sample('PutRolePolicy/broad.json'),
      steps: ['deleteInlinePolicy', 'deleteInlinePolicy'],
    },
    {
      name: 'an inline policy that lets the role change itself, beside one that does no harm',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
        const add = (PolicyName: string, PolicyDocument: string) =>
          world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName, PolicyDocument });
        add('quick-fix', document(allow('iam:AttachRolePolicy', { Resource: role })));
        add('harmless', reading);
      },
      event: sample('PutRolePolicy/broad.json'),
      steps: ['deleteInlinePolicy'],
    },
    {
      name: 'a managed policy that lets the role write that policy anew',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        await ledger.recordKept('role-too-broad', role, kept({}));
        withAccess(world, document(allow('iam:CreatePolicyVersion', { Resource: access })));
      },
      event: sample('AttachRolePolicy/administrator.json'),
      steps: ['detachPolicyFromRole'],
    },
    {
      name: 'the version of a policy that only this role has',
      arrange: async (world, ledger) => {
        await used(world, ledger);
        withAccess(world, document(allow('*')));
        await ledger.recordKept('role-too-broad', role, kept({ attached: [access, basic], versions: { [access]: 'v1' } }));
      },
      event: sample('SetDefaultPolicyVersion/plain.json'),
      steps: ['setDefaultPolicyVersion'],
    },
  ],
});

test('what a role was given while it kept the rule is remembered, and no more than names', async () => {
  let ledger = new MemoryLedger();
  await new RuleTester(rule).row({
    name: 'a role with a policy of the account',
    kind: 'compliant',
    arrange: async (world, its) => {
      ledger = its;
      await used(world, its);
      withAccess(world, reading);
    },
    event: sample('SetDefaultPolicyVersion/plain.json'),
  });
  expect((await ledger.kept('role-too-broad', role))?.state).toEqual({
    attached: [access, basic],
    inline: ['work'],
    versions: { [access]: 'v2' },
  });
});
