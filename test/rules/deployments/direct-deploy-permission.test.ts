import { connect } from '../../../aws/handle.ts';
import { readEvent } from '../../../guard/cloudtrail.ts';
import type { AnyRule } from '../../../guard/rule.ts';
import type { Subject } from '../../../guard/subject.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/deployments/direct-deploy-permission.ts';
import { sample } from '../../support/events.ts';
import { type ExpectedViolation, place, RuleTester, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const id = 'direct-deploy-permission';
const iam = 'arn:aws:iam::111122223333';
const ana = `${iam}:user/ana`;
const developers = `${iam}:group/developers`;
const role = `${iam}:role/orders-role`;
const pipeline = `${iam}:role/pipeline`;
const access = `${iam}:policy/app/orders-access`;
const denialArn = `${iam}:policy/guard-denial`;
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const billing = 'arn:aws:lambda:us-east-1:111122223333:function:billing';
const mapping = 'arn:aws:lambda:us-east-1:111122223333:event-source-mapping:*';

const all = [
  'lambda:CreateFunction',
  'lambda:UpdateAlias',
  'lambda:UpdateFunctionCode',
  'lambda:UpdateFunctionConfiguration',
  'lambda:PublishLayerVersion',
];
const updates = ['lambda:UpdateAlias', 'lambda:UpdateFunctionCode', 'lambda:UpdateFunctionConfiguration'];

const document = (...Statement: readonly object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const allow = (Action: string | readonly string[], Resource: string | readonly string[] = '*', more: object = {}) => ({
  Effect: 'Allow',
  Action,
  Resource,
  ...more,
});
const at = (arn: string, type: Subject['type']): Subject => ({ arn, type, ...place });

interface Accepted {
  readonly rights?: Readonly<Record<string, readonly string[]>>;
  readonly groups?: readonly string[];
  readonly known?: boolean;
}

/** What a sweep has accepted of somebody. */
async function accepted(ledger: MemoryLedger, arn: string, { rights = {}, groups = [], known = true }: Accepted = {}): Promise<void> {
  await ledger.recordKept(id, arn, { state: { rights, groups, known }, asOf: 1 });
}

/** The user ana, of whom a sweep has accepted this. */
const known =
  (state: Accepted = {}, change: (world: World) => void = () => {}) =>
  async (world: World, ledger: MemoryLedger): Promise<void> => {
    world.iam.createUser({ UserName: 'ana', Tags: [{ Key: 'team', Value: 'shop' }] });
    await accepted(ledger, ana, state);
    change(world);
  };

const put =
  (...Statement: readonly object[]) =>
  (world: World) =>
    void world.iam.putUserPolicy({ UserName: 'ana', PolicyName: 'hotfix', PolicyDocument: document(...Statement) });

const violation = (subject: string, what: string, may: object, before: unknown = {}): ExpectedViolation => ({
  subject,
  severity: 'high' as const,
  summary: `The ${/:(user|group|role)\//.exec(subject)?.[1]} ${subject.slice(subject.lastIndexOf('/') + 1)} may now change what functions run (${what}), and it is not among the Deployers.`,
  evidence: { may, before },
  tags: subject === ana ? { team: 'shop' } : {},
});
const denyAna = {
  call: 'denyUser',
  input: { UserName: 'ana', PolicyArn: denialArn },
  undo: [{ call: 'undenyUser', input: { UserName: 'ana', PolicyArn: denialArn } }],
};
const settings = { deployers: [pipeline] };
const onBilling = violation(ana, `lambda:UpdateFunctionCode on ${billing}`, { [billing]: ['lambda:UpdateFunctionCode'] });
const byHand = 'the policy would deny that as well. Take away by hand what is new.';
const unseen = `ana may deploy under a condition or elsewhere as well, and whether that is new is not known: ${byHand}`;

ruleTest(rule, {
  rows: [
    {
      name: 'somebody who may read functions',
      kind: 'compliant',
      settings,
      arrange: known({}, put(allow(['lambda:Get*', 'lambda:List*', 'lambda:InvokeFunction']))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { compliant: [ana] },
      // GetUser, groups, the simulation, what the policies name (both lists and the one document), and whether the guard's is among them.
      calls: { aws: 7, ledger: 2 },
    },
    {
      name: 'what the first sweep finds is accepted',
      kind: 'compliant',
      settings,
      arrange: (world) => {
        world.iam.createUser({ UserName: 'ana' });
        put(allow('lambda:*'))(world);
      },
      listed: at(ana, 'AWS::IAM::User'),
      expect: { compliant: [ana] },
      calls: { aws: 3, ledger: 4 },
    },
    {
      name: 'what was accepted stays so',
      kind: 'compliant',
      settings,
      arrange: known({ rights: { '*': all } }, put(allow('lambda:*'))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { compliant: [ana] },
    },
    {
      name: 'a policy of a function that lets a service invoke it',
      kind: 'compliant',
      settings,
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
        const Policy = document({ ...allow('lambda:InvokeFunction', orders), Principal: { Service: 's3.amazonaws.com' } });
        lambda.putResourcePolicy({ ResourceArn: orders, Policy });
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { compliant: [orders] },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'a policy of a function that the first sweep finds',
      kind: 'compliant',
      settings,
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
        lambda.putResourcePolicy({ ResourceArn: orders, Policy: document({ ...allow('lambda:*', orders), Principal: { AWS: role } }) });
      },
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'one of the deployers',
      kind: 'compliant',
      settings: { deployers: [role] },
      arrange: ({ iam: account }) => {
        account.createRole({ RoleName: 'orders-role' });
        account.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' });
      },
      event: sample('AttachRolePolicy/administrator.json'),
      expect: { compliant: [role] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a role of the guard itself',
      kind: 'compliant',
      settings,
      arrange: ({ iam: account }) => {
        account.createRole({ RoleName: 'guard-remediate-code-changed-by-hand' });
        account.putRolePolicy({
          RoleName: 'guard-remediate-code-changed-by-hand',
          PolicyName: 'least-privilege',
          PolicyDocument: document(allow('lambda:UpdateFunctionCode')),
        });
      },
      event: sample('PutRolePolicy/broad.json', { detail: { requestParameters: { roleName: 'guard-remediate-code-changed-by-hand' } } }),
      expect: { compliant: [`${iam}:role/guard-remediate-code-changed-by-hand`] },
    },
    {
      name: 'a boundary leaves no such right',
      kind: 'compliant',
      settings,
      arrange: known({}, (world) => {
        put(allow('*'))(world);
        world.iam.createPolicy({ PolicyName: 'boundary', PolicyDocument: document(allow('s3:*')) });
        world.iam.putUserPermissionsBoundary({ UserName: 'ana', PermissionsBoundary: `${iam}:policy/boundary` });
      }),
      event: sample('PutUserPermissionsBoundary/plain.json'),
      expect: { compliant: [ana] },
    },
    {
      name: 'functions of another account, and names that a variable decides',
      kind: 'compliant',
      settings,
      arrange: known(
        {},
        put(
          allow('lambda:*', [orders.replace('111122223333', '444455556666'), `${orders.slice(0, -6)}\${aws:username}`, 'arn:aws:s3:::x']),
        ),
      ),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { compliant: [ana] },
    },
    {
      name: 'a user has what the group is given',
      kind: 'compliant',
      settings,
      arrange: known({ groups: [developers] }, ({ iam: account }) => {
        account.createGroup({ GroupName: 'developers' });
        account.addUserToGroup({ UserName: 'ana', GroupName: 'developers' });
        account.putGroupPolicy({ GroupName: 'developers', PolicyName: 'p', PolicyDocument: document(allow('lambda:*')) });
      }),
      listed: at(ana, 'AWS::IAM::User'),
      expect: { compliant: [ana] },
    },
    {
      name: 'another version of a policy that nobody has',
      kind: 'compliant',
      settings,
      arrange: ({ iam: account }) =>
        void account.createPolicy({ PolicyName: 'orders-access', Path: '/app/', PolicyDocument: document(allow('lambda:*')) }),
      event: sample('CreatePolicyVersion/as-default.json'),
      expect: { compliant: [access] },
    },
    {
      name: 'a managed policy of AWS gives a user every right',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known(
        {},
        ({ iam: account }) => void account.attachUserPolicy({ UserName: 'ana', PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' }),
      ),
      event: sample('AttachUserPolicy/lambda.json'),
      expect: { violations: [{ ...violation(ana, 'lambda:CreateFunction and 4 more on *', { '*': all }), plan: { steps: [denyAna] } }] },
    },
    {
      name: 'an inline policy for one function',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known({}, put(allow('lambda:UpdateFunctionCode', orders))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          {
            ...violation(ana, `lambda:UpdateFunctionCode on ${orders}`, { [orders]: ['lambda:UpdateFunctionCode'] }),
            plan: { steps: [denyAna] },
          },
        ],
      },
    },
    {
      name: 'a pattern of names, and a layer',
      kind: 'violating',
      settings,
      arrange: known(
        {},
        put(
          allow('lambda:Update*', 'arn:aws:lambda:*:*:function:prod-*'),
          allow('lambda:Publish*', 'arn:aws:lambda:us-east-1:*:layer:base'),
        ),
      ),
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          violation(ana, 'lambda:UpdateAlias and 2 more on arn:aws:lambda:us-east-1:111122223333:function:prod-x, and elsewhere', {
            'arn:aws:lambda:us-east-1:111122223333:function:prod-x': updates,
            'arn:aws:lambda:us-east-1:111122223333:layer:base': ['lambda:PublishLayerVersion'],
          }),
        ],
      },
    },
    {
      name: 'more than was accepted',
      kind: 'violating',
      settings,
      arrange: known({ rights: { [orders]: ['lambda:UpdateFunctionCode'] } }, put(allow('lambda:UpdateFunctionCode'))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          violation(
            ana,
            'lambda:UpdateFunctionCode on *',
            { '*': ['lambda:UpdateFunctionCode'] },
            { [orders]: ['lambda:UpdateFunctionCode'] },
          ),
        ],
      },
    },
    {
      name: 'a right beside one that was accepted is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known({ rights: { [orders]: ['lambda:UpdateFunctionCode'] } }, put(allow('lambda:UpdateFunctionCode', [orders, billing]))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          {
            ...violation(
              ana,
              `lambda:UpdateFunctionCode on ${billing}`,
              { [billing]: ['lambda:UpdateFunctionCode'] },
              { [orders]: ['lambda:UpdateFunctionCode'] },
            ),
            plan: { steps: [denyAna], refused: `ana could deploy to ${orders} before, which was accepted: ${byHand}` },
          },
        ],
      },
    },
    {
      name: 'a right beside one of a group of before is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known({ groups: [developers] }, (world) => {
        world.iam.createGroup({ GroupName: 'developers' });
        world.iam.addUserToGroup({ UserName: 'ana', GroupName: 'developers' });
        const PolicyDocument = document(allow('lambda:UpdateFunctionCode', orders));
        world.iam.putGroupPolicy({ GroupName: 'developers', PolicyName: 'p', PolicyDocument });
        put(allow('lambda:UpdateFunctionCode'))(world);
      }),
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          {
            ...violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] }),
            plan: { steps: [denyAna], refused: `ana was in developers before, which may deploy to ${orders}: ${byHand}` },
          },
        ],
      },
    },
    {
      name: 'a right beside one under a condition is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known(
        {},
        put(
          allow('lambda:UpdateFunctionCode', billing),
          allow('lambda:*', orders, { Condition: { StringEquals: { 'aws:CalledViaFirst': 'cloudformation.amazonaws.com' } } }),
        ),
      ),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { violations: [{ ...onBilling, plan: { steps: [denyAna], refused: unseen } }] },
    },
    {
      name: 'a right beside one in another region is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known({}, put(allow('lambda:UpdateFunctionCode', [billing, billing.replace('us-east-1', 'eu-west-1')]))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { violations: [{ ...onBilling, plan: { steps: [denyAna], refused: unseen } }] },
    },
    {
      name: 'a right beside one by a policy of AWS that names functions is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known({}, (world) => {
        put(allow('lambda:UpdateFunctionCode', billing))(world);
        world.iam.attachUserPolicy({ UserName: 'ana', PolicyArn: 'arn:aws:iam::aws:policy/AmazonSageMakerFullAccess' });
      }),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { violations: [{ ...onBilling, plan: { steps: [denyAna], refused: unseen } }] },
    },
    {
      name: "a right beside one by a function's own policy is not fixed",
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: async (world, ledger) => {
        await known({}, put(allow('lambda:UpdateFunctionCode', billing)))(world, ledger);
        world.lambda.createFunction({ FunctionName: 'orders' });
        const Policy = document({ ...allow('lambda:UpdateFunctionCode', orders), Principal: { AWS: ana } });
        world.lambda.putResourcePolicy({ ResourceArn: orders, Policy });
        await ledger.recordKept(id, `${ana} in the policy of a function`, { state: { function: orders }, asOf: 1 });
      },
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          { ...onBilling, plan: { steps: [denyAna], refused: `The policy of orders lets ana deploy to it as well: ${byHand}` } },
        ],
      },
    },
    {
      name: "a right beside one that a function's own policy gave once",
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: async (world, ledger) => {
        await known({}, put(allow('lambda:UpdateFunctionCode', billing), allow('lambda:*', ['arn:aws:s3:::x', mapping])))(world, ledger);
        await ledger.recordKept(id, `${ana} in the policy of a function`, { state: { function: orders }, asOf: 1 });
      },
      event: sample('PutUserPolicy/lambda.json'),
      expect: { violations: [{ ...onBilling, plan: { steps: [denyAna] } }] },
    },
    {
      name: 'a second factor is no hindrance',
      kind: 'violating',
      settings,
      arrange: known(
        {},
        put(allow('lambda:UpdateFunctionCode', '*'), {
          Effect: 'Deny',
          Action: '*',
          Resource: '*',
          Condition: { BoolIfExists: { 'aws:MultiFactorAuthPresent': 'false' } },
        }),
      ),
      event: sample('PutUserPolicy/lambda.json'),
      expect: { violations: [violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] })] },
    },
    {
      name: 'a user joins a group',
      kind: 'violating',
      settings,
      arrange: known({}, ({ iam: account }) => {
        account.createGroup({ GroupName: 'developers' });
        account.createPolicy({
          PolicyName: 'orders-access',
          Path: '/app/',
          PolicyDocument: document(allow('lambda:UpdateFunctionCode', orders)),
        });
        account.attachGroupPolicy({ GroupName: 'developers', PolicyArn: access });
        account.addUserToGroup({ UserName: 'ana', GroupName: 'developers' });
      }),
      event: sample('AddUserToGroup/plain.json'),
      expect: {
        violations: [violation(ana, `lambda:UpdateFunctionCode on ${orders}`, { [orders]: ['lambda:UpdateFunctionCode'] })],
      },
    },
    {
      name: "a function's own policy lets a role deploy to it",
      kind: 'violating',
      settings,
      arrange: async ({ lambda }, ledger) => {
        lambda.createFunction({ FunctionName: 'orders', Tags: { team: 'shop' } });
        const statement = (Sid: string, Principal: object, more: object = {}) => ({
          Sid,
          Principal,
          ...allow('lambda:Update*', orders),
          ...more,
        });
        const statements = [
          statement('build', { AWS: [role, pipeline] }),
          statement('account', { AWS: `${iam}:root` }),
          statement('known', { AWS: `${iam}:role/known` }, { Action: 'lambda:UpdateFunctionCode' }),
        ];
        lambda.putResourcePolicy({ ResourceArn: orders, Policy: document(...statements) });
        const before = [{ principal: `${iam}:role/known`, actions: ['lambda:UpdateFunctionCode'] }];
        await ledger.recordKept(id, orders, { state: { grants: before }, asOf: 1 });
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `The policy of orders now lets ${role} change what it runs (lambda:UpdateAlias and 2 more), who are not among the Deployers.`,
            evidence: { may: { [role]: updates }, before: [{ principal: `${iam}:role/known`, actions: ['lambda:UpdateFunctionCode'] }] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: 'The policy of orders grants it: only who wrote that knows what else it is for. Take the statement out by hand.',
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 3 },
    },
    {
      name: "a function's own policy lets everybody of the organization deploy to it",
      kind: 'violating',
      settings,
      arrange: async ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
        const Condition = { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } };
        const statement = { Principal: '*', ...allow('*', orders, { Condition }) };
        const denial = { Effect: 'Deny', Principal: '*', Action: 'lambda:UpdateFunctionConfiguration', Resource: orders };
        lambda.putResourcePolicy({ ResourceArn: orders, Policy: document(statement, denial) });
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary:
              'The policy of orders now lets everybody who meets its condition change what it runs (lambda:UpdateAlias and 1 more), who are not among the Deployers.',
            evidence: { may: { '*': ['lambda:UpdateAlias', 'lambda:UpdateFunctionCode'] }, before: 'not known' },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'another version of a policy is made the default again',
      kind: 'violating',
      settings,
      arrange: async ({ iam: account }, ledger) => {
        account.createRole({ RoleName: 'orders-role' });
        account.createPolicy({ PolicyName: 'orders-access', Path: '/app/', PolicyDocument: document(allow('lambda:UpdateFunctionCode')) });
        account.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: access });
        await accepted(ledger, role);
      },
      event: sample('SetDefaultPolicyVersion/plain.json', { detail: { requestParameters: { policyArn: access } } }),
      expect: {
        violations: [violation(role, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] })],
        compliant: [access],
      },
    },
    {
      name: 'the boundary of a user gives way to a wider one',
      kind: 'violating',
      settings,
      arrange: known({}, put(allow('lambda:UpdateFunctionCode'))),
      event: sample('PutUserPolicy/lambda.json', {
        detail: { eventName: 'PutUserPermissionsBoundary', requestParameters: { policyName: undefined, policyDocument: undefined } },
      }),
      expect: { violations: [violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] })] },
    },
    {
      name: 'a permission set is given a managed policy',
      kind: 'violating',
      settings,
      arrange: async ({ iam: account }, ledger) => {
        const RoleName = 'AWSReservedSSO_Dev_0123456789abcdef';
        account.createRole({ RoleName, Path: '/aws-reserved/sso.amazonaws.com/' });
        account.attachRolePolicy({ RoleName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' });
        await accepted(ledger, `${iam}:role/aws-reserved/sso.amazonaws.com/${RoleName}`);
      },
      event: sample('AttachRolePolicy/administrator.json', {
        detail: { requestParameters: { roleName: 'AWSReservedSSO_Dev_0123456789abcdef' } },
      }),
      expect: {
        violations: [
          violation(
            `${iam}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef`,
            'lambda:CreateFunction and 4 more on *',
            { '*': all },
          ),
        ],
      },
    },
    {
      name: 'a group is not fixed',
      kind: 'violating',
      settings,
      arrange: async ({ iam: account }, ledger) => {
        account.createGroup({ GroupName: 'developers', Path: '/people/' });
        account.putGroupPolicy({
          GroupName: 'developers',
          PolicyName: 'p',
          PolicyDocument: document(allow('lambda:UpdateFunctionCode', orders)),
        });
        await accepted(ledger, `${iam}:group/people/developers`);
      },
      event: sample('PutGroupPolicy/lambda.json'),
      expect: {
        violations: [
          {
            ...violation(`${iam}:group/people/developers`, `lambda:UpdateFunctionCode on ${orders}`, {
              [orders]: ['lambda:UpdateFunctionCode'],
            }),
            plan: {
              steps: [],
              refused: 'developers is a group: there may be deployers in it. Take the policy from it, or the users out of it, by hand.',
            },
          },
        ],
        compliant: [developers],
      },
    },
    {
      name: 'another version of a policy, for everybody who has it',
      kind: 'violating',
      settings,
      arrange: async (world, ledger) => {
        await known()(world, ledger);
        const { iam: account } = world;
        account.createRole({ RoleName: 'orders-role' });
        account.createPolicy({ PolicyName: 'orders-access', Path: '/app/', PolicyDocument: document(allow('s3:GetObject')) });
        account.attachUserPolicy({ UserName: 'ana', PolicyArn: access });
        account.attachRolePolicy({ RoleName: 'orders-role', PolicyArn: access });
        account.createPolicyVersion({
          PolicyArn: access,
          PolicyDocument: document(allow('lambda:UpdateFunctionCode', orders)),
          SetAsDefault: true,
        });
        await accepted(ledger, role);
      },
      event: sample('CreatePolicyVersion/as-default.json'),
      expect: {
        violations: [ana, role].map((arn) =>
          violation(arn, `lambda:UpdateFunctionCode on ${orders}`, { [orders]: ['lambda:UpdateFunctionCode'] }),
        ),
        compliant: [access],
      },
    },
    {
      name: 'the boundary of a role is taken away',
      kind: 'violating',
      settings,
      arrange: async ({ iam: account }, ledger) => {
        account.createRole({ RoleName: 'orders-role' });
        account.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'p', PolicyDocument: document(allow('lambda:UpdateFunctionCode')) });
        await accepted(ledger, role);
      },
      event: sample('DeleteRolePermissionsBoundary/plain.json'),
      expect: { violations: [violation(role, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] })] },
    },
    {
      name: 'a new principal that a later sweep finds',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: async (world, ledger) => {
        await ledger.recordKept(id, `${iam}:root`, { state: { since: world.now }, asOf: 1 });
        world.iam.createUser({ UserName: 'ana', Tags: [{ Key: 'team', Value: 'shop' }] });
        put(allow('lambda:UpdateFunctionCode'))(world);
      },
      listed: at(ana, 'AWS::IAM::User'),
      expect: {
        violations: [
          {
            ...violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] }),
            plan: { steps: [denyAna] },
          },
        ],
      },
    },
    {
      name: 'a right of somebody whom no sweep has seen',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: (world) => {
        world.iam.createUser({ UserName: 'ana', Tags: [{ Key: 'team', Value: 'shop' }] });
        put(allow('lambda:UpdateFunctionCode'))(world);
      },
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          {
            ...violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] }, 'not known'),
            plan: { steps: [denyAna], refused: 'What ana could do before is not known.' },
          },
        ],
      },
    },
    {
      name: 'somebody was taken off the list of deployers',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: known({ known: false }, put(allow('lambda:UpdateFunctionCode'))),
      listed: at(ana, 'AWS::IAM::User'),
      expect: {
        violations: [
          {
            ...violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] }, 'not known'),
            plan: { steps: [denyAna], refused: 'What ana could do before is not known.' },
          },
        ],
      },
    },
    {
      name: 'an operator is not denied anything',
      kind: 'violating',
      settings: { ...settings, denialArn, operators: [ana] },
      arrange: known({}, put(allow('lambda:UpdateFunctionCode'))),
      event: sample('PutUserPolicy/lambda.json'),
      expect: {
        violations: [
          {
            ...violation(ana, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] }),
            plan: { steps: [denyAna], refused: 'ana is one of the Operators, who take changes of the guard back.' },
          },
        ],
      },
    },
    {
      name: 'what a template made is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: async (world, ledger) => {
        world.iam.createRole({ RoleName: 'orders-role' });
        world.iam.tagByAws('orders-role', { 'aws:cloudformation:stack-name': 'shop' });
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'p', PolicyDocument: document(allow('lambda:UpdateFunctionCode')) });
        await accepted(ledger, role);
      },
      event: sample('PutRolePolicy/broad.json'),
      expect: {
        violations: [
          {
            ...violation(role, 'lambda:UpdateFunctionCode on *', { '*': ['lambda:UpdateFunctionCode'] }),
            tags: { 'aws:cloudformation:stack-name': 'shop' },
            plan: {
              steps: [expect.objectContaining({ call: 'denyRole' })],
              refused: 'orders-role is managed by shop: take the permission away there.',
            },
          },
        ],
      },
    },
    {
      name: 'a role of a permission set is not fixed',
      kind: 'violating',
      settings: { ...settings, denialArn },
      arrange: async ({ iam: account }, ledger) => {
        const RoleName = 'AWSReservedSSO_Dev_0123456789abcdef';
        account.createRole({ RoleName, Path: '/aws-reserved/sso.amazonaws.com/' });
        account.putRolePolicy({ RoleName, PolicyName: 'p', PolicyDocument: document(allow('lambda:UpdateFunctionCode')) });
        await accepted(ledger, `${iam}:role/aws-reserved/sso.amazonaws.com/${RoleName}`);
      },
      event: sample('PutRolePolicy/broad.json', { detail: { requestParameters: { roleName: 'AWSReservedSSO_Dev_0123456789abcdef' } } }),
      expect: {
        violations: [
          {
            ...violation(
              `${iam}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef`,
              'lambda:UpdateFunctionCode on *',
              { '*': ['lambda:UpdateFunctionCode'] },
            ),
            plan: {
              steps: [expect.objectContaining({ call: 'denyRole' })],
              refused: 'AWSReservedSSO_Dev_0123456789abcdef belongs to a permission set of IAM Identity Center: change that.',
            },
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('AttachUserPolicy/lambda.json', { detail: { errorCode: 'AccessDenied', requestParameters: null } }),
    },
    {
      name: 'a version that is not in force',
      kind: 'ignored',
      event: sample('CreatePolicyVersion/as-default.json', { detail: { requestParameters: { setAsDefault: false } } }),
    },
    {
      name: 'the simulation is not allowed',
      kind: 'failing',
      arrange: known(),
      event: sample('AttachUserPolicy/lambda.json'),
      fail: { operation: 'SimulatePrincipalPolicy', error: 'AccessDenied' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: known(),
      event: sample('AttachUserPolicy/lambda.json'),
      fail: { operation: 'GetUser', error: 'Throttling' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the policy of an alias, which lets nobody change what runs',
      kind: 'ignored',
      event: sample('AddPermission20150331v2/another-account-on-alias.json'),
    },
    {
      name: 'the policy of a function is not understood',
      kind: 'failing',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
        lambda.putResourcePolicy({ ResourceArn: orders, Policy: document({ Effect: 'Perhaps' }) });
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      event: sample('DeleteFunction20150331/code-function-gone.json'),
    },
    {
      name: 'the user is gone',
      kind: 'failing',
      event: sample('DeleteUser/plain.json'),
    },
    {
      name: 'the group is gone',
      kind: 'failing',
      event: sample('DeleteGroup/plain.json'),
    },
  ],
  roundTrips: [
    {
      name: 'a user with two policies',
      settings: { ...settings, denialArn },
      arrange: known({}, (world) => {
        denialIn(world);
        put(allow('lambda:UpdateFunctionCode', orders))(world);
        world.iam.attachUserPolicy({ UserName: 'ana', PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' });
      }),
      event: sample('AttachUserPolicy/lambda.json'),
      steps: ['denyUser'],
    },
    {
      name: 'a role',
      settings: { ...settings, denialArn },
      arrange: async (world, ledger) => {
        denialIn(world);
        world.iam.createRole({ RoleName: 'orders-role' });
        world.iam.putRolePolicy({ RoleName: 'orders-role', PolicyName: 'p', PolicyDocument: document(allow('lambda:*')) });
        await accepted(ledger, role);
      },
      event: sample('PutRolePolicy/broad.json'),
      steps: ['denyRole'],
    },
  ],
});

function denialIn({ iam: account }: World): void {
  const PolicyDocument = document({ Effect: 'Deny', Action: all, Resource: '*' });
  account.createPolicy({ PolicyName: 'guard-denial', PolicyDocument });
}

test('what a user has by a group alone is not accepted of the user', async () => {
  let ledger = new MemoryLedger();
  await new RuleTester(rule).row({
    name: 'what the group was given',
    kind: 'compliant',
    settings,
    arrange: async (world, its) => {
      ledger = its;
      await known({ rights: { [orders]: ['lambda:UpdateFunctionCode'] }, groups: [developers] }, ({ iam: account }) => {
        account.createGroup({ GroupName: 'developers' });
        account.addUserToGroup({ UserName: 'ana', GroupName: 'developers' });
        account.putGroupPolicy({ GroupName: 'developers', PolicyName: 'p', PolicyDocument: document(allow('lambda:*')) });
      })(world, its);
    },
    listed: at(ana, 'AWS::IAM::User'),
  });
  expect((await ledger.kept(id, ana))?.state).toEqual({
    rights: { [orders]: ['lambda:UpdateFunctionCode'] },
    groups: [developers],
    known: true,
  });
});

describe('a sweep', () => {
  const { list } = rule as AnyRule;

  async function listed(): Promise<readonly string[]> {
    const found: string[] = [];
    for await (const subjects of list?.subjects(place, connect(list.calls, place)) ?? []) found.push(...subjects.map(({ arn }) => arn));
    return found;
  }

  test('comes to every user, group and role, page by page, but for service-linked roles', async () => {
    const world = createWorld(place);
    for (let index = 0; index < 250; index += 1) world.iam.createUser({ UserName: `user-${index}`, Path: '/people/' });
    world.iam.createGroup({ GroupName: 'developers' });
    world.iam.createRole({ RoleName: 'orders-role' });
    world.iam.createRole({ RoleName: 'AWSServiceRoleForX', Path: '/aws-service-role/x.amazonaws.com/' });
    const found = await listed();
    expect(found).toHaveLength(252);
    expect(found).toEqual(expect.arrayContaining([`${iam}:user/people/user-249`, developers, role]));
    expect(world.calls.map(({ operation }) => operation)).toEqual(['GetAccountAuthorizationDetails', 'GetAccountAuthorizationDetails']);
  });
});

describe('what was known before', () => {
  const world = () => createWorld(place);
  const look = (estate: MemoryLedger, now: number) => ({
    ...{ aws: connect(rule.check, place), estate, params: {}, now, event: undefined },
    settings: { ...settings, stack: 'guard', operators: [], archiveBucket: '', boundaryArn: '', denialArn, keyArn: '', alertTopicArn: '' },
  });
  const subject = at(ana, 'AWS::IAM::User');

  test('is known again once the fix is taken back', async () => {
    const account = world();
    const estate = new MemoryLedger();
    await known({ groups: [developers] }, (its) => {
      denialIn(its);
      for (const GroupName of ['developers', 'operators']) {
        its.iam.createGroup({ GroupName });
        its.iam.addUserToGroup({ UserName: 'ana', GroupName });
      }
      const PolicyDocument = document(allow('lambda:UpdateFunctionCode', orders));
      its.iam.putGroupPolicy({ GroupName: 'operators', PolicyName: 'p', PolicyDocument });
    })(account, estate);
    const before = await estate.kept(id, ana);
    const found = (await rule.evaluate(subject, look(estate, account.now))).violations;
    expect(found).toHaveLength(1);
    account.iam.attachUserPolicy({ UserName: 'ana', PolicyArn: denialArn });
    expect((await rule.evaluate(subject, look(estate, account.now + 1))).violations).toEqual([]);
    account.iam.detachUserPolicy({ UserName: 'ana', PolicyArn: denialArn });
    expect((await rule.evaluate(subject, look(estate, account.now + 2))).violations).toEqual(found);
    expect(await estate.kept(id, ana)).toEqual(before);
  });

  test('stays accepted where somebody else denied it with the policy of the guard', async () => {
    const account = world();
    const estate = new MemoryLedger();
    const rights = { [orders]: ['lambda:UpdateFunctionCode'] };
    await known({ rights }, (its) => {
      denialIn(its);
      put(allow('lambda:UpdateFunctionCode', orders))(its);
      its.iam.attachUserPolicy({ UserName: 'ana', PolicyArn: denialArn });
    })(account, estate);
    expect((await rule.evaluate(subject, look(estate, account.now))).violations).toEqual([]);
    account.iam.detachUserPolicy({ UserName: 'ana', PolicyArn: denialArn });
    expect((await rule.evaluate(subject, look(estate, account.now + 1))).violations).toEqual([]);
    expect((await estate.kept(id, ana))?.state).toMatchObject({ rights });
  });

  test('is nothing where the guard has never seen somebody without its own denial', async () => {
    const account = world();
    const estate = new MemoryLedger();
    denialIn(account);
    account.iam.createUser({ UserName: 'ana' });
    account.iam.attachUserPolicy({ UserName: 'ana', PolicyArn: denialArn });
    expect((await rule.evaluate(subject, look(estate, account.now))).violations).toEqual([]);
    expect((await estate.kept(id, ana))?.state).toMatchObject({ known: false });
  });

  test('is that a policy of a function names somebody', async () => {
    const account = world();
    const estate = new MemoryLedger();
    account.lambda.createFunction({ FunctionName: 'orders' });
    const Policy = document({ ...allow('lambda:UpdateFunctionCode', orders), Principal: { AWS: ana } });
    account.lambda.putResourcePolicy({ ResourceArn: orders, Policy });
    await rule.evaluate(at(orders, 'AWS::Lambda::Function'), look(estate, account.now));
    expect((await estate.kept(id, `${ana} in the policy of a function`))?.state).toEqual({ function: orders });
  });
});

test("what a function's own policy grants is no less a finding for whoever looks again", async () => {
  const world = createWorld(place);
  const estate = new MemoryLedger();
  world.lambda.createFunction({ FunctionName: 'orders' });
  const grant = { ...allow('lambda:UpdateFunctionCode', orders), Principal: { AWS: role } };
  world.lambda.putResourcePolicy({ ResourceArn: orders, Policy: document(grant) });
  const subject = at(orders, 'AWS::Lambda::Function');
  const read = readEvent(sample('PutResourcePolicy/lambda.json'), place);
  const event = 'event' in read ? read.event : undefined;
  const look = {
    ...{ aws: connect(rule.check, place), estate, params: {}, now: world.now },
    settings: { ...settings, stack: 'guard', operators: [], archiveBucket: '', boundaryArn: '', denialArn, keyArn: '', alertTopicArn: '' },
  };
  expect((await rule.evaluate(subject, { ...look, event })).violations).toHaveLength(1);
  expect((await rule.evaluate(subject, { ...look, event: undefined, now: world.now + 1 })).violations).toHaveLength(1);
  world.lambda.deleteResourcePolicy({ ResourceArn: orders });
  expect((await rule.evaluate(subject, { ...look, event: undefined, now: world.now + 2 })).violations).toEqual([]);
});
