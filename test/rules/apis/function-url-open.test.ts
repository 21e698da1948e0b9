import { rule } from '../../../rules/apis/function-url-open.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const url = 'https://orders.lambda-url.us-east-1.on.aws/';
const withoutAuth = {
  StatementId: 'FunctionURLAllowPublicAccess',
  Action: 'lambda:InvokeFunctionUrl',
  Principal: '*',
  FunctionUrlAuthType: 'NONE',
} as const;
const throughUrl = {
  StatementId: 'FunctionURLInvokeAllowPublicAccess',
  Action: 'lambda:InvokeFunction',
  Principal: '*',
  InvokedViaFunctionUrl: true,
} as const;
const fromApi = {
  StatementId: 'api',
  Action: 'lambda:InvokeFunction',
  Principal: 'apigateway.amazonaws.com',
  SourceArn: 'arn:aws:execute-api:us-east-1:111122223333:a1b2c3/*',
};

function withFunction({ lambda }: World): void {
  lambda.createFunction({ FunctionName: 'orders', Tags: { team: 'shop' } });
}

function withAlias(world: World): void {
  withFunction(world);
  world.lambda.publishVersion({ FunctionName: 'orders' });
  world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
}

function withPolicy(world: World, ...Statement: object[]): void {
  withFunction(world);
  world.lambda.putResourcePolicy({ ResourceArn: orders, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) });
}

const nameless = {
  Effect: 'Allow',
  Principal: '*',
  Action: 'lambda:InvokeFunctionUrl',
  Resource: orders,
  Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } },
};
const partner = { ...nameless, Sid: 'partner', Principal: { AWS: 'arn:aws:iam::444455556666:root' } };

ruleTest(rule, {
  rows: [
    {
      name: 'a URL that asks for AWS_IAM',
      kind: 'compliant',
      arrange: (world) => {
        withFunction(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'AWS_IAM' });
      },
      event: sample('UpdateFunctionUrlConfig/none.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'an alias that is open says nothing about $LATEST',
      kind: 'compliant',
      arrange: (world) => {
        withAlias(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', Qualifier: 'live', AuthType: 'NONE' });
        world.lambda.addPermission({ FunctionName: 'orders', Qualifier: 'live', ...withoutAuth });
      },
      event: sample('CreateFunctionUrlConfig/none.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'public only for callers of one organization',
      kind: 'compliant',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({ FunctionName: 'orders', ...withoutAuth, PrincipalOrgID: 'o-a1b2c3d4e5' });
      },
      event: sample('AddPermission20150331v2/public-url.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'a statement that denies everyone',
      kind: 'compliant',
      arrange: (world) =>
        withPolicy(world, {
          Sid: 'no',
          Effect: 'Deny',
          Principal: '*',
          Action: 'lambda:InvokeFunctionUrl',
          Resource: orders,
          Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } },
        }),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'the URL is deleted and so are its grants',
      kind: 'compliant',
      arrange: withFunction,
      event: sample('RemovePermission20150331v2/public-url.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'a URL without authorization',
      kind: 'violating',
      arrange: (world) => {
        withFunction(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'NONE' });
        world.lambda.addPermission({ FunctionName: 'orders', ...withoutAuth });
        world.lambda.addPermission({ FunctionName: 'orders', ...throughUrl });
        world.lambda.addPermission({ FunctionName: 'orders', ...fromApi });
      },
      event: sample('AddPermission20150331v2/public-url.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `Anyone on the internet can invoke ${orders} through its function URL, which asks for no authorization.`,
            evidence: { url, authType: 'NONE', statements: ['FunctionURLAllowPublicAccess', 'FunctionURLInvokeAllowPublicAccess'] },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'updateFunctionUrlConfig',
                  input: { FunctionName: orders, AuthType: 'AWS_IAM' },
                  undo: [{ call: 'updateFunctionUrlConfig', input: { FunctionName: orders, AuthType: 'NONE' } }],
                },
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, StatementId: 'FunctionURLInvokeAllowPublicAccess' },
                  undo: [{ call: 'addPermission', input: { FunctionName: orders, ...throughUrl } }],
                },
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, StatementId: 'FunctionURLAllowPublicAccess' },
                  undo: [{ call: 'addPermission', input: { FunctionName: orders, ...withoutAuth } }],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'the URL comes before its grants',
      kind: 'violating',
      arrange: (world) => {
        withFunction(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'NONE' });
      },
      event: sample('CreateFunctionUrlConfig/none.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: `The function URL of ${orders} asks for no authorization: anyone on the internet can invoke it as soon as its policy lets everyone through.`,
            evidence: { url, authType: 'NONE', statements: [] },
            tags: { team: 'shop' },
          },
        ],
      },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'the grants come before the URL, from CloudFormation, which names the function by its ARN',
      kind: 'violating',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({ FunctionName: 'orders', ...withoutAuth });
      },
      event: sample('AddPermission20150331v2/by-cloudformation.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `The policy of ${orders} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`,
            evidence: { statements: ['FunctionURLAllowPublicAccess'] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'the grants outlive the URL',
      kind: 'violating',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({ FunctionName: 'orders', ...throughUrl });
      },
      event: sample('DeleteFunctionUrlConfig/plain.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `The policy of ${orders} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`,
            evidence: { statements: ['FunctionURLInvokeAllowPublicAccess'] },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, StatementId: 'FunctionURLInvokeAllowPublicAccess' },
                  undo: [{ call: 'addPermission', input: { FunctionName: orders, ...throughUrl } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'the URL of an alias',
      kind: 'violating',
      arrange: (world) => {
        withAlias(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', Qualifier: 'live', AuthType: 'NONE' });
        world.lambda.addPermission({ FunctionName: 'orders', Qualifier: 'live', ...withoutAuth });
      },
      event: sample('CreateFunctionUrlConfig/none-on-alias.json'),
      expect: {
        violations: [
          {
            subject: `${orders}:live`,
            severity: 'high',
            summary: `Anyone on the internet can invoke ${orders}:live through its function URL, which asks for no authorization.`,
            evidence: {
              url: 'https://orders-live.lambda-url.us-east-1.on.aws/',
              authType: 'NONE',
              statements: ['FunctionURLAllowPublicAccess'],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'updateFunctionUrlConfig',
                  input: { FunctionName: orders, Qualifier: 'live', AuthType: 'AWS_IAM' },
                  undo: [{ call: 'updateFunctionUrlConfig', input: { FunctionName: orders, Qualifier: 'live', AuthType: 'NONE' } }],
                },
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, Qualifier: 'live', StatementId: 'FunctionURLAllowPublicAccess' },
                  undo: [{ call: 'addPermission', input: { FunctionName: orders, Qualifier: 'live', ...withoutAuth } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'a sweep looks at the function and at each alias with a URL',
      kind: 'violating',
      arrange: (world) => {
        withAlias(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'AWS_IAM' });
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', Qualifier: 'live', AuthType: 'NONE' });
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: `${orders}:live`,
            severity: 'high',
            summary: `The function URL of ${orders}:live asks for no authorization: anyone on the internet can invoke it as soon as its policy lets everyone through.`,
            evidence: { url: 'https://orders-live.lambda-url.us-east-1.on.aws/', authType: 'NONE', statements: [] },
            tags: { team: 'shop' },
          },
        ],
        compliant: [orders],
      },
    },
    {
      name: 'a public statement without a Sid',
      kind: 'violating',
      arrange: (world) => withPolicy(world, nameless, partner),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `The policy of ${orders} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`,
            evidence: { statements: ['#0'] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a public statement with two actions',
      kind: 'violating',
      arrange: (world) =>
        withPolicy(
          world,
          {
            Sid: 'both',
            Effect: 'Allow',
            Principal: { AWS: '*' },
            Action: ['lambda:InvokeFunctionUrl', 'lambda:InvokeFunction'],
            Resource: orders,
            Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': ['NONE'] } },
          },
          partner,
        ),
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `The policy of ${orders} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`,
            evidence: { statements: ['both'] },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'removePermission',
                  input: { FunctionName: orders, StatementId: 'both', RevisionId: expect.any(String) },
                  undo: [{ call: 'restoreResourcePolicy', input: { ResourceArn: orders, Policy: expect.stringContaining('both') } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'a public statement without a Sid, beside a principal that was deleted',
      kind: 'violating',
      arrange: (world) => {
        withPolicy(world, nameless, partner);
        world.lambda.deletePrincipal('arn:aws:iam::444455556666:root', 'AROA1234567890EXAMPLE');
      },
      event: sample('PutResourcePolicy/lambda.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `The policy of ${orders} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`,
            evidence: { statements: ['#0'] },
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
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('CreateFunctionUrlConfig/none.json', {
        detail: {
          errorCode: 'ResourceConflictException',
          errorMessage: 'FunctionUrlConfig exists for this Lambda function',
          responseElements: null,
        },
      }),
    },
    {
      name: 'a denied call, which has no parameters',
      kind: 'ignored',
      event: sample('AddPermission20150331v2/public-url.json', {
        detail: { errorCode: 'AccessDenied', requestParameters: null, responseElements: null },
      }),
    },
    {
      name: 'AddPermission of a queue',
      kind: 'ignored',
      event: sample('AddPermission20150331v2/public-url.json', {
        source: 'aws.sqs',
        detail: {
          eventSource: 'sqs.amazonaws.com',
          eventName: 'AddPermission',
          requestParameters: { functionName: undefined, queueUrl: 'https://sqs.us-east-1.amazonaws.com/111122223333/orders' },
        },
      }),
    },
    {
      name: 'the policy of a version, which has no URL',
      kind: 'ignored',
      event: sample('PutResourcePolicy/lambda-version.json'),
    },
    {
      name: 'a name that is no function',
      kind: 'ignored',
      event: sample('CreateFunctionUrlConfig/none.json', { detail: { requestParameters: { functionName: 'not a name' } } }),
    },
    {
      name: 'another account',
      kind: 'ignored',
      event: sample('CreateFunctionUrlConfig/none.json', { account: '444455556666' }),
    },
    {
      name: 'a record that somebody put on the bus',
      kind: 'ignored',
      event: sample('CreateFunctionUrlConfig/none.json', { source: 'my.app' }),
    },
    {
      name: 'the URL may not be read',
      kind: 'failing',
      arrange: withFunction,
      event: sample('CreateFunctionUrlConfig/none.json'),
      fail: { operation: 'GetFunctionUrlConfig', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the policy may not be read',
      kind: 'failing',
      arrange: withFunction,
      event: sample('CreateFunctionUrlConfig/none.json'),
      fail: { operation: 'GetPolicy', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: withFunction,
      event: sample('CreateFunctionUrlConfig/none.json'),
      fail: { operation: 'GetPolicy', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a policy that does not follow the grammar',
      kind: 'failing',
      arrange: (world) => withPolicy(world, { Effect: 'Perhaps', Principal: '*', Action: 'lambda:InvokeFunction', Resource: orders }),
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
      name: 'the function is gone before a sweep comes to it',
      kind: 'failing',
      sweep: orders,
    },
  ],
  roundTrips: [
    {
      name: 'a URL with both statements, one of them older than the URL',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({ FunctionName: 'orders', ...fromApi });
        world.lambda.addPermission({ FunctionName: 'orders', ...withoutAuth });
        world.lambda.createFunctionUrlConfig({
          FunctionName: 'orders',
          AuthType: 'NONE',
          Cors: { AllowOrigins: ['*'] },
          InvokeMode: 'RESPONSE_STREAM',
        });
        world.lambda.addPermission({ FunctionName: 'orders', ...throughUrl });
      },
      event: sample('CreateFunctionUrlConfig/none.json'),
      steps: ['updateFunctionUrlConfig', 'removePermission', 'removePermission'],
      fixed: ({ lambda }) => {
        expect(lambda.getFunctionUrlConfig({ FunctionName: 'orders' })).toMatchObject({
          AuthType: 'AWS_IAM',
          Cors: { AllowOrigins: ['*'] },
          InvokeMode: 'RESPONSE_STREAM',
        });
        expect(lambda.getPolicy({ FunctionName: 'orders' })).toMatchObject({ Policy: expect.stringMatching(/^((?!"Principal":"\*").)*$/) });
        expect(lambda.getPolicy({ FunctionName: 'orders' })).toMatchObject({ Policy: expect.stringContaining('"Sid":"api"') });
      },
    },
    {
      name: 'the URL of an alias, while $LATEST keeps its own',
      arrange: (world) => {
        withAlias(world);
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'AWS_IAM' });
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', Qualifier: 'live', AuthType: 'NONE' });
        world.lambda.addPermission({ FunctionName: 'orders', Qualifier: 'live', ...withoutAuth });
        world.lambda.addPermission({ FunctionName: 'orders', Qualifier: 'live', ...throughUrl });
      },
      event: sample('CreateFunctionUrlConfig/none-on-alias.json'),
      steps: ['updateFunctionUrlConfig', 'removePermission', 'removePermission'],
    },
    {
      name: 'grants without a URL',
      arrange: (world) => {
        withFunction(world);
        world.lambda.addPermission({ FunctionName: 'orders', ...withoutAuth });
        world.lambda.addPermission({ FunctionName: 'orders', ...throughUrl });
      },
      event: sample('DeleteFunctionUrlConfig/plain.json'),
      steps: ['removePermission', 'removePermission'],
    },
    {
      name: 'a statement without a Sid beside others',
      arrange: (world) => {
        withPolicy(world, partner, { ...nameless, Principal: { AWS: ['*', '444455556666'] } });
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'NONE' });
      },
      event: sample('CreateFunctionUrlConfig/none.json'),
      steps: ['updateFunctionUrlConfig', 'putResourcePolicy'],
      fixed: ({ lambda }) => {
        const { Policy } = lambda.getPolicy({ FunctionName: 'orders' }) as { Policy: string };
        expect(JSON.parse(Policy).Statement).toEqual([partner, { ...nameless, Principal: { AWS: ['444455556666'] } }]);
      },
    },
    {
      name: 'a statement without a Sid alone',
      arrange: (world) => withPolicy(world, nameless),
      event: sample('PutResourcePolicy/lambda.json'),
      steps: ['deleteResourcePolicy'],
    },
    {
      name: 'a statement that AddPermission could not make, of an alias',
      arrange: (world) => {
        withAlias(world);
        const Statement = [{ ...nameless, Sid: 'all', Action: 'lambda:*', Resource: `${orders}:live` }, partner];
        world.lambda.putResourcePolicy({ ResourceArn: `${orders}:live`, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) });
        world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', Qualifier: 'live', AuthType: 'NONE' });
      },
      event: sample('CreateFunctionUrlConfig/none-on-alias.json'),
      steps: ['updateFunctionUrlConfig', 'removePermission'],
    },
  ],
});
