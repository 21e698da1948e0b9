import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/roles/role-trust-open.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const role = 'arn:aws:iam::111122223333:role/orders-role';
const partner = 'arn:aws:iam::444455556666:root';
const github = 'arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com';
const developer = 'arn:aws:iam::111122223333:role/Developer';

const lambda = { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' };
const trusting = (...more: readonly object[]) => JSON.stringify({ Version: '2012-10-17', Statement: [lambda, ...more] });
const allow = (Principal: unknown, more: object = {}) => ({ Effect: 'Allow', Principal, Action: 'sts:AssumeRole', ...more });

/** The function orders, whose role has this trust policy. */
const used =
  (trust: string) =>
  async ({ iam, lambda: functions, now }: World, ledger: MemoryLedger): Promise<void> => {
    iam.createRole({ RoleName: 'orders-role', AssumeRolePolicyDocument: trust, Tags: [{ Key: 'team', Value: 'shop' }] });
    functions.createFunction({ FunctionName: 'orders', Role: role });
    await ledger.recordRoles({ function: orders, asOf: now, role, liveRoles: [] });
  };

const open = (...principals: readonly { readonly kind: string; readonly principal: string; readonly who: string }[]) => ({
  subject: role,
  severity: 'high' as const,
  summary: `The role orders-role of orders may be assumed by ${principals[0]?.who}.`,
  evidence: { functions: [orders], principals },
  tags: { team: 'shop' },
});
const rewritten = (before: string, after: string) => ({
  call: 'updateAssumeRolePolicy',
  input: { RoleName: 'orders-role', PolicyDocument: after },
  undo: [{ call: 'updateAssumeRolePolicy', input: { RoleName: 'orders-role', PolicyDocument: before } }],
});
const everyone = { kind: 'AWS', principal: '*', who: 'everyone with an AWS account' };
const ofPartner = { kind: 'AWS', principal: partner, who: `${partner} of another account, under no condition that limits it` };

ruleTest(rule, {
  rows: [
    {
      name: 'Lambda alone',
      kind: 'compliant',
      arrange: used(trusting()),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'the other services of functions, in one region and in China too',
      kind: 'compliant',
      arrange: used(
        trusting(allow({ Service: ['edgelambda.amazonaws.com', 'states.us-east-1.amazonaws.com', 'scheduler.amazonaws.com.cn'] })),
      ),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'principals of the account itself, and one that was deleted',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await used(trusting(allow({ AWS: ['arn:aws:iam::111122223333:root', developer] })))(world, ledger);
        world.iam.deletePrincipal('orders-role', developer, 'AROA5EXAMPLEDEVELOPER');
      },
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'another account with an external id',
      kind: 'compliant',
      arrange: used(trusting(allow({ AWS: partner }, { Condition: { StringEquals: { 'sts:ExternalId': 'shop-7' } } }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'another account that the parameter lists',
      kind: 'compliant',
      params: { accounts: '444455556666' },
      arrange: used(trusting(allow({ AWS: partner }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'everyone in the organization that the parameter names',
      kind: 'compliant',
      params: { organization: 'o-a1b2c3d4e5' },
      arrange: used(trusting(allow({ AWS: '*' }, { Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'workflows of one repository',
      kind: 'compliant',
      arrange: used(
        trusting({
          ...allow({ Federated: github }),
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: { 'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com' },
            StringLike: { 'token.actions.githubusercontent.com:sub': 'repo:shop/orders:*' },
          },
        }),
      ),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'a denial that keeps everyone else out',
      kind: 'compliant',
      arrange: used(
        trusting(allow({ AWS: '*' }), {
          Effect: 'Deny',
          Principal: { AWS: '*' },
          Action: 'sts:AssumeRole',
          Condition: { StringNotEquals: { 'aws:PrincipalAccount': '111122223333' } },
        }),
      ),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'who may only tag the sessions of others',
      kind: 'compliant',
      arrange: used(trusting({ ...allow({ AWS: '*' }), Action: 'sts:TagSession' })),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'a role that no function runs with',
      kind: 'compliant',
      arrange: ({ iam }) => void iam.createRole({ RoleName: 'orders-role', AssumeRolePolicyDocument: trusting(allow('*')) }),
      event: sample('CreateRole/lambda.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'everyone, beside Lambda in one statement',
      kind: 'violating',
      arrange: used(JSON.stringify({ Version: '2012-10-17', Statement: [allow({ Service: 'lambda.amazonaws.com', AWS: '*' })] })),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          {
            ...open(everyone),
            plan: {
              steps: [
                rewritten(
                  JSON.stringify({ Version: '2012-10-17', Statement: [allow({ Service: 'lambda.amazonaws.com', AWS: '*' })] }),
                  JSON.stringify({ Version: '2012-10-17', Statement: [allow({ Service: 'lambda.amazonaws.com' })] }),
                ),
              ],
            },
          },
        ],
      },
    },
    {
      name: 'everyone who knows an external id',
      kind: 'violating',
      arrange: used(trusting(allow('*', { Condition: { StringEquals: { 'sts:ExternalId': 'shop-7' } } }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { violations: [open({ ...everyone, kind: '*' })] },
    },
    {
      name: 'another account under a condition that anybody there meets',
      kind: 'violating',
      arrange: used(trusting(allow({ AWS: [developer, partner] }, { Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'true' } } }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          {
            ...open(ofPartner),
            plan: {
              steps: [
                rewritten(
                  trusting(allow({ AWS: [developer, partner] }, { Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'true' } } })),
                  trusting(allow({ AWS: [developer] }, { Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'true' } } })),
                ),
              ],
            },
          },
        ],
      },
    },
    {
      name: 'a service that functions do not work with',
      kind: 'violating',
      arrange: used(trusting(allow({ Service: 'ec2.amazonaws.com' }))),
      sweep: orders,
      expect: {
        violations: [
          {
            ...open({
              kind: 'Service',
              principal: 'ec2.amazonaws.com',
              who: 'the service ec2.amazonaws.com, which is none that functions work with',
            }),
            plan: {
              steps: [rewritten(trusting(allow({ Service: 'ec2.amazonaws.com' })), trusting())],
              refused:
                'Other workloads may run with orders-role by ec2.amazonaws.com: take that out by hand, or list it in RoleTrustOpenServices.',
            },
          },
        ],
        compliant: [orders],
      },
    },
    {
      name: 'a service that the parameter leaves out',
      kind: 'violating',
      params: { services: 'lambda.amazonaws.com' },
      arrange: used(trusting(allow({ Service: 'states.amazonaws.com' }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          open({
            kind: 'Service',
            principal: 'states.amazonaws.com',
            who: 'the service states.amazonaws.com, which is none that functions work with',
          }),
        ],
      },
    },
    {
      name: 'every workflow of a code host',
      kind: 'violating',
      arrange: used(
        trusting({
          ...allow({ Federated: github }),
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: { StringLike: { 'token.actions.githubusercontent.com:sub': 'repo:*' } },
        }),
      ),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [open({ kind: 'Federated', principal: github, who: 'whoever logs in at token.actions.githubusercontent.com' })],
      },
    },
    {
      name: 'two at once, of whom both are told',
      kind: 'violating',
      arrange: used(trusting(allow({ AWS: ['*', partner] }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          {
            ...open(everyone, ofPartner),
            summary: 'The role orders-role of orders may be assumed by everyone with an AWS account, and 1 more.',
          },
        ],
      },
    },
    {
      name: 'everyone but somebody is not fixed',
      kind: 'violating',
      arrange: used(trusting({ Effect: 'Allow', NotPrincipal: { AWS: developer }, Action: 'sts:AssumeRole' })),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          {
            ...open({ kind: 'NotPrincipal', principal: developer, who: `everyone but ${developer}` }),
            plan: {
              steps: [rewritten(trusting({ Effect: 'Allow', NotPrincipal: { AWS: developer }, Action: 'sts:AssumeRole' }), trusting())],
              refused: 'The trust policy of orders-role says whom it does not let in (NotPrincipal): write down by hand whom it does.',
            },
          },
        ],
      },
    },
    {
      name: 'a document that could not be written back is not changed',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await used(trusting(allow({ AWS: ['*', developer] })))(world, ledger);
        world.iam.deletePrincipal('orders-role', developer, 'AROA5EXAMPLEDEVELOPER');
      },
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          {
            ...open(everyone),
            plan: {
              steps: [
                rewritten(trusting(allow({ AWS: ['*', 'AROA5EXAMPLEDEVELOPER'] })), trusting(allow({ AWS: ['AROA5EXAMPLEDEVELOPER'] }))),
              ],
              refused:
                'The trust policy of orders-role names AROA5EXAMPLEDEVELOPER, which was deleted: IAM takes no document with it, so an undo could not bring this one back.',
            },
          },
        ],
      },
    },
    {
      name: 'nobody is left is not fixed',
      kind: 'violating',
      arrange: used(JSON.stringify({ Version: '2012-10-17', Statement: allow({ AWS: '*' }) })),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: {
        violations: [
          {
            ...open(everyone),
            plan: {
              steps: [
                rewritten(
                  JSON.stringify({ Version: '2012-10-17', Statement: allow({ AWS: '*' }) }),
                  JSON.stringify({ Version: '2012-10-17', Statement: [] }),
                ),
              ],
              refused: 'Nobody could assume orders-role any more, not even Lambda.',
            },
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('UpdateAssumeRolePolicy/everyone.json', { detail: { errorCode: 'MalformedPolicyDocumentException' } }),
    },
    {
      name: 'an update of a function that leaves its role alone',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
    },
    {
      name: 'the role may not be read',
      kind: 'failing',
      arrange: used(trusting()),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      fail: { operation: 'GetRole', error: 'AccessDenied' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: used(trusting()),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      fail: { operation: 'GetRole', error: 'Throttling' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a condition that is not understood',
      kind: 'failing',
      arrange: used(trusting(allow({ AWS: partner }, { Condition: { StringEquals: { 'example:Key': 'value' } } }))),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
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
      name: 'everyone, while a service and an account with an external id stay',
      arrange: used(
        trusting(
          allow({ AWS: '*', Service: ['ec2.amazonaws.com', 'scheduler.amazonaws.com'] }),
          allow({ AWS: partner }, { Sid: 'Partner', Condition: { StringEquals: { 'sts:ExternalId': 'shop-7' } } }),
        ),
      ),
      event: sample('UpdateAssumeRolePolicy/everyone.json'),
      steps: ['updateAssumeRolePolicy'],
      remains: ['ec2.amazonaws.com may assume orders-role: other workloads may run with it'],
      fixed: ({ iam }) => {
        const { Role } = iam.getRole({ RoleName: 'orders-role' }) as { readonly Role: { readonly AssumeRolePolicyDocument: string } };
        expect(decodeURIComponent(Role.AssumeRolePolicyDocument)).toBe(
          trusting(
            allow({ Service: ['ec2.amazonaws.com', 'scheduler.amazonaws.com'] }),
            allow({ AWS: partner }, { Sid: 'Partner', Condition: { StringEquals: { 'sts:ExternalId': 'shop-7' } } }),
          ),
        );
      },
    },
  ],
});
