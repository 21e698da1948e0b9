import { connect } from '../../../aws/handle.ts';
import { rule } from '../../../rules/apis/function-policy-open.ts';
import { sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const partner = 'arn:aws:iam::444455556666:root';
const own = { Sid: 'own', Effect: 'Allow', Principal: { AWS: '111122223333' }, Action: 'lambda:InvokeFunction', Resource: orders };
const everyone = { Effect: 'Allow', Principal: '*', Action: 'lambda:InvokeFunction', Resource: orders };
const fromBucket = {
  Sid: 'bucket',
  Effect: 'Allow',
  Principal: { Service: 's3.amazonaws.com' },
  Action: 'lambda:InvokeFunction',
  Resource: orders,
  Condition: { ArnLike: { 'AWS:SourceArn': 'arn:aws:s3:::uploads' } },
};
const throughUrl = {
  Sid: 'url',
  Effect: 'Allow',
  Principal: '*',
  Action: 'lambda:InvokeFunctionUrl',
  Resource: orders,
  Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } },
};

function withFunction({ lambda }: World): void {
  lambda.createFunction({ FunctionName: 'orders', Tags: { team: 'shop' } });
}

/** Three versions, of which an alias routes to the last. */
function withVersions(world: World): void {
  withFunction(world);
  for (const Description of ['one', 'two', 'three']) {
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Description });
    world.lambda.publishVersion({ FunctionName: 'orders' });
  }
  world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '3' });
}

const document = (...Statement: readonly object[]) => JSON.stringify({ Version: '2012-10-17', Id: 'orders', Statement });

function withPolicy(world: World, ...statements: readonly object[]): void {
  withFunction(world);
  world.lambda.putResourcePolicy({ ResourceArn: orders, Policy: document(...statements) });
}

/** The statements of the function's policy after the fix. */
function left({ lambda }: World): unknown {
  return JSON.parse((lambda.getPolicy({ FunctionName: 'orders' }) as { Policy: string }).Policy).Statement;
}

ruleTest(rule, {
  rows: [
    {
      name: 'a function without a policy',
      kind: 'compliant',
      arrange: withFunction,
      event: sample('RemovePermission20150331v2/public-url.json'),
      expect: { compliant: [orders] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'a rule of the same account',
      kind: 'compliant',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({
          FunctionName: 'orders',
          StatementId: 'nightly',
          Action: 'lambda:InvokeFunction',
          Principal: 'events.amazonaws.com',
          SourceArn: 'arn:aws:events:us-east-1:111122223333:rule/nightly',
        });
      },
      event: sample('AddPermission20150331v2/everyone.json'),
      expect: { compliant: [orders] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'an account on the list',
      kind: 'compliant',
      arrange: (world) => withPolicy(world, { ...everyone, Principal: { AWS: partner } }),
      params: { trustedAccounts: '222222222222,444455556666' },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'the own organization',
      kind: 'compliant',
      arrange: (world) => withPolicy(world, { ...everyone, Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }),
      params: { organization: 'o-a1b2c3d4e5' },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'everyone, and a denial of everyone else',
      kind: 'compliant',
      arrange: (world) =>
        withPolicy(world, everyone, {
          ...everyone,
          Effect: 'Deny',
          Condition: { StringNotEquals: { 'aws:PrincipalAccount': '111122223333' } },
        }),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'everyone through a public URL, which is a matter of function-url-open',
      kind: 'compliant',
      arrange: (world) =>
        withPolicy(world, throughUrl, {
          ...everyone,
          Sid: 'invoke',
          Condition: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } },
        }),
      event: sample('AddPermission20150331v2/public-url.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'everyone',
      kind: 'violating',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({ FunctionName: 'orders', StatementId: 'everyone', Action: 'lambda:InvokeFunction', Principal: '*' });
      },
      event: sample('AddPermission20150331v2/everyone.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'critical',
            summary: `The policy of ${orders} lets everyone invoke it.`,
            evidence: { statements: [{ statement: 'everyone', outsiders: ['everyone'], may: ['invoke it'] }], unclear: [] },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, StatementId: 'everyone', RevisionId: expect.any(String) },
                  undo: [{ call: 'restoreResourcePolicy', input: { ResourceArn: orders, Policy: expect.stringContaining('everyone') } }],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'another account may change the code that an alias serves',
      kind: 'violating',
      arrange: (world) => {
        withVersions(world);
        world.lambda.addPermission({
          FunctionName: 'orders',
          Qualifier: 'live',
          StatementId: 'partner',
          Action: 'lambda:UpdateFunctionCode',
          Principal: '444455556666',
        });
      },
      event: sample('AddPermission20150331v2/another-account-on-alias.json'),
      expect: {
        violations: [
          {
            subject: `${orders}:live`,
            severity: 'critical',
            summary: `The policy of ${orders}:live lets ${partner} change what runs.`,
            evidence: { statements: [{ statement: 'partner', outsiders: [partner], may: ['change what runs'] }], unclear: [] },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, Qualifier: 'live', StatementId: 'partner', RevisionId: expect.any(String) },
                  undo: [
                    { call: 'restoreResourcePolicy', input: { ResourceArn: `${orders}:live`, Policy: expect.stringContaining('partner') } },
                  ],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'everyone may read the environment variables of a version that no alias routes to',
      kind: 'violating',
      arrange: (world) => {
        withVersions(world);
        world.lambda.putResourcePolicy({
          ResourceArn: `${orders}:2`,
          Policy: document({ ...everyone, Action: 'lambda:GetFunction', Resource: `${orders}:2` }),
        });
      },
      listed: { arn: `${orders}:2`, type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' },
      expect: {
        violations: [
          {
            subject: `${orders}:2`,
            severity: 'critical',
            summary: `The policy of ${orders}:2 lets everyone read its code or its variables.`,
            evidence: { statements: [{ statement: '#0', outsiders: ['everyone'], may: ['read its code or its variables'] }], unclear: [] },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'deleteResourcePolicy',
                  input: { ResourceArn: `${orders}:2`, RevisionId: expect.any(String) },
                  undo: [
                    {
                      call: 'restoreResourcePolicy',
                      input: { ResourceArn: `${orders}:2`, Policy: expect.stringContaining('GetFunction') },
                    },
                  ],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'a bucket: whose it is, its ARN does not say',
      kind: 'violating',
      arrange: (world) => withPolicy(world, own, fromBucket),
      event: sample('AddPermission20150331v2/everyone.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `The policy of ${orders} lets s3.amazonaws.com, on behalf of any account, invoke it.`,
            evidence: {
              statements: [{ statement: 'bucket', outsiders: ['Service s3.amazonaws.com'], may: ['invoke it'] }],
              unclear: [],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'putResourcePolicy',
                  input: {
                    ResourceArn: orders,
                    RevisionId: expect.any(String),
                    Policy: document(own, {
                      ...fromBucket,
                      Condition: { ...fromBucket.Condition, StringEquals: { 'aws:SourceAccount': '111122223333' } },
                    }),
                  },
                  undo: [{ call: 'restoreResourcePolicy', input: { ResourceArn: orders, Policy: document(own, fromBucket) } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'several statements, one of them not understood',
      kind: 'violating',
      arrange: (world) =>
        withPolicy(
          world,
          { ...everyone, Sid: 'all', Action: 'lambda:*' },
          { ...everyone, Sid: 'tags', Principal: { AWS: partner }, Action: ['lambda:ListTags', 'lambda:TagResource'] },
          { ...everyone, Sid: 'odd', Condition: { StringEquals: { 'aws:NewKey': 'x' } } },
          throughUrl,
        ),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'critical',
            summary: `The policy of ${orders} lets everyone change what runs, read its code or its variables, invoke it, and 1 more of the kind.`,
            evidence: {
              statements: [
                { statement: 'all', outsiders: ['everyone'], may: ['change what runs', 'read its code or its variables', 'invoke it'] },
                { statement: 'tags', outsiders: [partner], may: ['lambda:ListTags', 'lambda:TagResource'] },
              ],
              unclear: ['odd'],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'all actions but one',
      kind: 'violating',
      arrange: (world) => withPolicy(world, { ...everyone, Action: undefined, NotAction: 'lambda:Invoke*', Sid: 'rest' }),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'critical',
            summary: `The policy of ${orders} lets everyone change what runs, read its code or its variables.`,
            evidence: {
              statements: [{ statement: 'rest', outsiders: ['everyone'], may: ['change what runs', 'read its code or its variables'] }],
              unclear: [],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a skill of Alexa without its token is not fixed',
      kind: 'violating',
      arrange: (world) =>
        withPolicy(world, { ...fromBucket, Sid: 'skill', Principal: { Service: 'alexa-appkit.amazon.com' }, Condition: {} }),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `The policy of ${orders} lets alexa-appkit.amazon.com, on behalf of any account, invoke it.`,
            evidence: {
              statements: [{ statement: 'skill', outsiders: ['Service alexa-appkit.amazon.com'], may: ['invoke it'] }],
              unclear: [],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused:
                'Which sources of alexa-appkit.amazon.com the statement skill is meant for is not known: add a condition on aws:SourceArn or aws:SourceAccount to it by hand.',
            },
          },
        ],
      },
    },
    {
      name: 'two organizations, one of them the own one, is not fixed',
      kind: 'violating',
      arrange: (world) =>
        withPolicy(world, {
          ...everyone,
          Sid: 'both',
          Condition: { StringEquals: { 'aws:PrincipalOrgID': ['o-a1b2c3d4e5', 'o-zzzzzzzzzz'] } },
        }),
      params: { organization: 'o-a1b2c3d4e5' },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'critical',
            summary: `The policy of ${orders} lets everyone invoke it.`,
            evidence: { statements: [{ statement: 'both', outsiders: ['everyone'], may: ['invoke it'] }], unclear: [] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: `The conditions of the statement both name somebody inside as well, who would be shut out with the others: edit the policy of ${orders} by hand.`,
            },
          },
        ],
      },
    },
    {
      name: 'everyone, beside a principal that was deleted, is not fixed',
      kind: 'violating',
      arrange: (world) => {
        withPolicy(world, { ...own, Principal: { AWS: 'arn:aws:iam::111122223333:user/ana' } }, { ...everyone, Sid: 'all' });
        world.lambda.deletePrincipal('arn:aws:iam::111122223333:user/ana', 'AIDA1234567890EXAMPLE');
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'critical',
            summary: `The policy of ${orders} lets everyone invoke it.`,
            evidence: { statements: [{ statement: 'all', outsiders: ['everyone'], may: ['invoke it'] }], unclear: ['own'] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: `The policy of ${orders} names a principal that was deleted, and Lambda takes no such policy back: take that out first.`,
            },
          },
        ],
      },
    },
    {
      name: 'a sweep looks at the function and at its aliases',
      kind: 'violating',
      arrange: (world) => {
        withVersions(world);
        world.lambda.addPermission({
          FunctionName: 'orders',
          Qualifier: 'live',
          StatementId: 'everyone',
          Action: 'lambda:InvokeFunction',
          Principal: '*',
        });
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: `${orders}:live`,
            severity: 'critical',
            summary: `The policy of ${orders}:live lets everyone invoke it.`,
            evidence: { statements: [{ statement: 'everyone', outsiders: ['everyone'], may: ['invoke it'] }], unclear: [] },
            tags: { team: 'shop' },
          },
        ],
        compliant: [orders],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('AddPermission20150331v2/everyone.json', {
        detail: { errorCode: 'ResourceConflictException', responseElements: null },
      }),
    },
    {
      name: 'PutResourcePolicy of a secret',
      kind: 'ignored',
      event: sample('PutResourcePolicy/lambda.json', {
        source: 'aws.secretsmanager',
        detail: {
          eventSource: 'secretsmanager.amazonaws.com',
          requestParameters: { resourceArn: undefined, policy: undefined, secretId: 'orders', resourcePolicy: '{}' },
        },
      }),
    },
    {
      name: 'PutResourcePolicy of a secret, as if it were a function’s',
      kind: 'ignored',
      event: sample('PutResourcePolicy/lambda.json', { source: 'aws.secretsmanager' }),
    },
    {
      name: 'a name that is no function',
      kind: 'ignored',
      event: sample('AddPermission20150331v2/everyone.json', { detail: { requestParameters: { functionName: 'not a name' } } }),
    },
    {
      name: 'another account',
      kind: 'ignored',
      event: sample('AddPermission20150331v2/everyone.json', { account: '444455556666' }),
    },
    {
      name: 'the policy may not be read',
      kind: 'failing',
      arrange: withFunction,
      event: sample('AddPermission20150331v2/everyone.json'),
      fail: { operation: 'GetPolicy', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: withFunction,
      event: sample('AddPermission20150331v2/everyone.json'),
      fail: { operation: 'GetPolicy', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'an organization, and the own one is not known',
      kind: 'failing',
      arrange: (world) => withPolicy(world, { ...everyone, Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'a principal that was deleted',
      kind: 'failing',
      arrange: (world) => {
        withPolicy(world, { ...own, Principal: { AWS: partner } });
        world.lambda.deletePrincipal(partner, 'AROA1234567890EXAMPLE');
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'a public URL, and a statement that is not understood',
      kind: 'failing',
      arrange: (world) => withPolicy(world, throughUrl, { ...everyone, Condition: { StringEquals: { 'aws:NewKey': 'x' } } }),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      event: sample('DeleteFunction20150331/plain.json'),
    },
    {
      name: 'the alias is gone',
      kind: 'failing',
      arrange: withFunction,
      event: sample('DeleteAlias20150331/live.json'),
    },
    {
      name: 'the version is gone',
      kind: 'failing',
      arrange: withFunction,
      event: sample('PutResourcePolicy/lambda-version.json'),
    },
    {
      name: 'the policy is gone',
      kind: 'failing',
      arrange: withFunction,
      event: sample('DeleteResourcePolicy/lambda.json'),
    },
    {
      name: 'the function is gone before a sweep comes to it',
      kind: 'failing',
      sweep: orders,
    },
  ],
  roundTrips: [
    {
      name: 'a whole statement with a Sid, among others',
      arrange: (world) => withPolicy(world, own, { ...everyone, Sid: 'all' }, throughUrl),
      event: sample('AddPermission20150331v2/everyone.json'),
      steps: ['removePermission'],
      fixed: (world) => expect(left(world)).toEqual([own, throughUrl]),
    },
    {
      name: 'two statements with Sids, of an alias',
      arrange: (world) => {
        withVersions(world);
        const Resource = `${orders}:live`;
        world.lambda.putResourcePolicy({
          ResourceArn: Resource,
          Policy: document({ ...everyone, Sid: 'a', Resource }, { ...own, Resource }, { ...everyone, Sid: 'b', Resource, Action: '*' }),
        });
      },
      event: sample('AddPermission20150331v2/another-account-on-alias.json'),
      steps: ['putResourcePolicy'],
    },
    {
      name: 'a policy that is nothing else, of a version',
      arrange: (world) => {
        withVersions(world);
        world.lambda.putResourcePolicy({ ResourceArn: `${orders}:3`, Policy: document({ ...everyone, Resource: `${orders}:3` }) });
      },
      event: sample('PutResourcePolicy/lambda-version.json'),
      steps: ['deleteResourcePolicy'],
      fixed: ({ lambda }) => expect(() => lambda.getPolicy({ FunctionName: 'orders', Qualifier: '3' })).toThrow('does not exist'),
    },
    {
      name: 'outsiders in one statement with insiders',
      arrange: (world) =>
        withPolicy(world, {
          ...everyone,
          Principal: { AWS: ['111122223333', partner, '*'], Service: 'events.amazonaws.com' },
          Sid: 'mixed',
        }),
      event: sample('PutResourcePolicy/lambda.json'),
      steps: ['putResourcePolicy'],
      fixed: (world) =>
        expect(left(world)).toEqual([
          { ...everyone, Sid: 'mixed', Principal: { AWS: ['111122223333'] } },
          {
            ...everyone,
            Sid: 'mixed2',
            Principal: { Service: 'events.amazonaws.com' },
            Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:events:*:111122223333:*' } },
          },
        ]),
    },
    {
      name: 'a service on behalf of another account',
      arrange: (world) =>
        withPolicy(world, own, {
          ...fromBucket,
          Condition: { ...fromBucket.Condition, StringEquals: { 'AWS:SourceAccount': '444455556666' } },
        }),
      event: sample('PutResourcePolicy/lambda.json'),
      steps: ['removePermission'],
      fixed: (world) => expect(left(world)).toEqual([own]),
    },
  ],
});

it('a sweep comes to every version that was ever published, page after page', async () => {
  const { lambda } = createWorld(place);
  for (const FunctionName of ['orders', 'payments']) {
    lambda.createFunction({ FunctionName });
    for (let version = 1; version <= 30; version += 1) {
      lambda.updateFunctionConfiguration({ FunctionName, Description: String(version) });
      lambda.publishVersion({ FunctionName });
    }
  }
  const pages: (readonly string[])[] = [];
  const { calls = [], subjects } = rule.list ?? {};
  for await (const page of subjects?.(place, connect(calls, place)) ?? []) pages.push(page.map(({ arn }) => arn));
  expect(pages).toHaveLength(2);
  const versions = (of: string) => Array.from({ length: 30 }, (_, before) => `${of}:${before + 1}`);
  expect(pages.flat()).toEqual([...versions(orders), ...versions(orders.replace('orders', 'payments'))]);
});
