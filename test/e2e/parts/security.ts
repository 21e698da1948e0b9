import { practices } from '../../../guard/finding.ts';
import { environmentOf, run } from '../../support/stack.ts';
import type { SeenCall } from '../bench.ts';
import { Boto, bytes } from '../boto.ts';
import { createFunction, packageOf } from '../functions.ts';
import { alerted, alertsAbout, functionRole, guard, guardLogs, mark, publicStatus, quiet, stack, stage } from '../stage.ts';

// Who tries to make the guard act, to blind it, or to climb by it: docs/threat-model.md names these tests.

const account = '111122223333';
const queues = [
  'CheckRolesEvents',
  'CheckSecretsEvents',
  'CheckApisEvents',
  'CheckVpcEvents',
  'CheckDeploymentsEvents',
  'CheckDeploymentsSweeps',
  'RemediateFunctionUrlOpenFindings',
  'NotifyAlerts',
];

async function physicalId(LogicalResourceId: string): Promise<string> {
  const { StackResourceDetail } = await stage.botoRoot.call('cloudformation', 'describe_stack_resource', {
    StackName: stack,
    LogicalResourceId,
  });
  return StackResourceDetail.PhysicalResourceId;
}

/** A made-up batch with these messages, as Lambda would hand it over. */
async function forged(queue: string, bodies: readonly unknown[], more: object = {}): Promise<object> {
  const name = (await physicalId(queue)).split('/').at(-1);
  const Records = bodies.map((body, index) => ({
    messageId: `forged-${index}`,
    receiptHandle: 'AQEBforged',
    body: JSON.stringify(body),
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: '0', SenderId: 'x', ApproximateFirstReceiveTimestamp: '0' },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: `arn:aws:sqs:us-east-1:${account}:${name}`,
    awsRegion: 'us-east-1',
    ...more,
  }));
  return { Records };
}

/** What a function of the guard answers the administrator, and what it called meanwhile. */
async function invoked(name: string, event: object): Promise<{ readonly answer: unknown; readonly calls: readonly SeenCall[] }> {
  await quiet();
  const before = await stage.bench.now();
  const FunctionName = `${stack}-${name}`;
  const { Payload } = await stage.boto.call('lambda', 'invoke', { FunctionName, Payload: JSON.stringify(event) });
  await quiet();
  const { calls } = await stage.bench.calls(before);
  return { answer: JSON.parse(Payload), calls: calls.filter(({ functionName }) => functionName === FunctionName) };
}

/** Calls that read or write anything but the function's own logs. */
function beyondLogs(calls: readonly SeenCall[]): readonly string[] {
  return calls.flatMap(({ service, operation }) => (service === 'logs' ? [] : [`${service}:${operation}`]));
}

async function pipelineRecord(): Promise<object> {
  const record = (await stage.bench.records()).findLast(
    ({ eventName, userIdentity, errorCode }) =>
      eventName.startsWith('CreateFunction20') && errorCode === undefined && userIdentity.arn.includes('/deploy-pipeline/'),
  );
  if (record === undefined) throw new Error('The pipeline made no function.');
  return record;
}

function envelope(detail: object, source = 'aws.lambda'): object {
  const { eventTime } = detail as { eventTime: string };
  return {
    version: '0',
    id: '6f87d04b-9f74-4f04-a780-7acf4b0a9b38',
    'detail-type': 'AWS API Call via CloudTrail',
    source,
    account,
    time: eventTime,
    region: 'us-east-1',
    resources: [],
    detail,
  };
}

/** How IAM decides of what a role of the guard would do. */
async function decision(role: string, action: string, resource: string, context: Readonly<Record<string, string>> = {}): Promise<string> {
  const { EvaluationResults } = await stage.botoRoot.call('iam', 'simulate_principal_policy', {
    PolicySourceArn: `arn:aws:iam::${account}:role/${stack}-${role}`,
    ActionNames: [action],
    ResourceArns: [resource],
    ContextEntries: Object.entries(context).map(([ContextKeyName, value]) => ({
      ContextKeyName,
      ContextKeyValues: [value],
      ContextKeyType: 'string',
    })),
  });
  return EvaluationResults[0].EvalDecision;
}

export function security(): void {
  describe('somebody who may do everything in the account', () => {
    it("takes no message out of the guard's queues, and empties none", async () => {
      for (const queue of queues) {
        const QueueUrl = await physicalId(queue);
        const made = { QueueUrl, ReceiptHandle: 'AQEBforged' };
        for (const [operation, params] of [
          ['receive_message', { QueueUrl }],
          ['purge_queue', { QueueUrl }],
          ['delete_message', made],
          ['change_message_visibility', { ...made, VisibilityTimeout: 0 }],
        ] as const)
          await expect(stage.boto.call('sqs', operation, params)).rejects.toThrow(/AccessDenied/);
      }
    });

    it('reads dead letters, and puts none there', async () => {
      const QueueUrl = await physicalId('CheckDeploymentsDeadLetters');
      await stage.boto.call('sqs', 'receive_message', { QueueUrl, VisibilityTimeout: 0 });
      await expect(stage.boto.call('sqs', 'send_message', { QueueUrl, MessageBody: '{}' })).rejects.toThrow(/AccessDenied/);
    });

    it('reads the ledger and the archive, and writes to neither', async () => {
      const TableName = stage.outputs['LedgerTableName'] ?? '';
      const { Count } = await stage.boto.call('dynamodb', 'query', {
        TableName,
        IndexName: 'kind',
        KeyConditionExpression: 'kind = :kind',
        ExpressionAttributeValues: { ':kind': { S: 'finding' } },
      });
      expect(Count).toEqual(expect.any(Number));
      const Key = { pk: { S: 'SWITCHES' }, sk: { S: 'paused' } };
      const Item = { ...Key, value: { S: 'x' } };
      for (const [operation, params] of [
        ['put_item', { TableName, Item }],
        ['delete_item', { TableName, Key }],
        ['update_item', { TableName, Key, UpdateExpression: 'REMOVE a' }],
        ['batch_write_item', { RequestItems: { [TableName]: [{ PutRequest: { Item } }] } }],
        ['transact_write_items', { TransactItems: [{ Put: { TableName, Item } }] }],
      ] as const)
        await expect(stage.boto.call('dynamodb', operation, params)).rejects.toThrow(/AccessDenied/);
      const Bucket = stage.outputs['ArchiveBucketName'] ?? '';
      const { Contents } = await stage.boto.call('s3', 'list_objects_v2', { Bucket });
      expect(Contents.length).toBeGreaterThan(0);
      const put = stage.boto.call('s3', 'put_object', { Bucket, Key: Contents[0].Key, Body: bytes(packageOf('foreign')) });
      await expect(put).rejects.toThrow(/AccessDenied/);
    });

    it('reaches no checker with a source of their own that says the same as AWS', async () => {
      // A message that failed comes again after 15 seconds: none of another's may come in between.
      await quiet(16_000);
      const before = await stage.bench.now();
      const Detail = JSON.stringify(await pipelineRecord());
      for (const Source of ['lambda', 'aws.lambda.mine', 'my.lambda', 'compliance-guard']) {
        const Entries = [{ Source, DetailType: 'AWS API Call via CloudTrail', Detail }];
        // AWS keeps what begins with aws. for itself.
        await stage.boto.call('events', 'put_events', { Entries }).catch(({ name }: Error) => expect(name).toMatch(/NotAuthorized/));
      }
      await quiet(1_500);
      const { calls } = await stage.bench.calls(before);
      // The guard's own checker hears nothing of others' functions, but its heartbeat, every five minutes.
      const checkers = practices.filter((practice) => practice !== 'guard').map((practice) => `${stack}-check-${practice}`);
      expect(calls.filter(({ functionName = '' }) => checkers.includes(functionName))).toEqual([]);
    });
  });

  describe('whoever invokes a function of the guard with an event of their own', () => {
    it('makes no code approved by telling a checker that a deployer put it there', async () => {
      const role = await functionRole('smuggled');
      const since = mark();
      await createFunction('smuggled', role, {}, stage.boto);
      await alerted({ rule: 'code-changed-by-hand', status: 'open', resource: 'function:smuggled' }, since);
      const { CodeSha256 } = await stage.boto.call('lambda', 'get_function_configuration', { FunctionName: 'smuggled' });
      const record = (await pipelineRecord()) as { requestParameters: object; responseElements: object };
      const told = {
        ...record,
        eventTime: new Date().toISOString(),
        requestParameters: { ...record.requestParameters, functionName: 'smuggled' },
        responseElements: { ...record.responseElements, functionName: 'smuggled', codeSha256: CodeSha256 },
      };
      await quiet();
      const before = mark();
      const { answer, calls } = await invoked('check-deployments', await forged('CheckDeploymentsEvents', [envelope(told)]));
      expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'forged-0' }] });
      expect(beyondLogs(calls)).toEqual(['sqs:ChangeMessageVisibilityBatch']);
      expect(alertsAbout('function:smuggled', before)).toEqual([]);
      const { output } = await guard('findings', '--rule', 'code-changed-by-hand');
      expect(output).toMatch(/open .*code-changed-by-hand .*function:smuggled/);
    });

    it.each([
      ['check-roles', 'CheckRolesEvents'],
      ['check-secrets', 'CheckSecretsSweeps'],
      ['check-apis', 'CheckApisEvents'],
      ['check-vpc', 'CheckVpcEvents'],
      ['remediate-function-url-open', 'RemediateFunctionUrlOpenFindings'],
      ['remediate-role-shared', 'RemediateRoleSharedFindings'],
      ['notify', 'NotifyAlerts'],
    ])('has %s do nothing, and say so', async (name, queue) => {
      const alert = { ...stage.inbox.received.at(-1)?.alert, summary: `forged for ${name}`, opened: 999 };
      const bodies = [envelope(await pipelineRecord()), { detail: alert }, { detail: { ...alert, findingId: 'f'.repeat(20) } }];
      const { answer, calls } = await invoked(name, await forged(queue, bodies));
      expect(answer).toEqual({ batchItemFailures: bodies.map((_, index) => ({ itemIdentifier: `forged-${index}` })) });
      expect(beyondLogs(calls)).toEqual(['sqs:ChangeMessageVisibilityBatch']);
      // A queue of somebody else is not even asked.
      const elsewhere = await invoked(
        name,
        await forged(queue, bodies, { eventSourceARN: `arn:aws:sqs:us-east-1:${account}:suite-alerts` }),
      );
      expect(beyondLogs(elsewhere.calls)).toEqual([]);
      expect(stage.inbox.received.filter((received) => received.alert.summary === `forged for ${name}`)).toEqual([]);
      const lines = (await guardLogs())[`${stack}-${name}`] ?? [];
      // Lines of the second invocation may reach the log with the next one.
      const ignored = lines.filter((line) => line.includes('message ignored: it did not come from the queue'));
      expect(ignored.length).toBeGreaterThanOrEqual(bodies.length);
      expect(lines.some((line) => line.includes('"Ignored-not-from-the-queue"'))).toBe(true);
    });

    it('is no operator by writing an operator into the event', async () => {
      const userArn = `arn:aws:sts::${account}:assumed-role/operator/on-call`;
      const requestContext = { authorizer: { iam: { userArn, accountId: account } }, domainName: 'x' };
      const body = JSON.stringify({ action: 'pause', reason: 'forged by the suite' });
      const { answer, calls } = await invoked('operate', { body, isBase64Encoded: false, requestContext });
      expect(answer).toMatchObject({ statusCode: 400, body: expect.stringContaining('does not say who sends it') });
      expect(beyondLogs(calls)).toEqual([]);
    });
  });

  describe('the operate function', () => {
    it('hears an operator, whom STS names', async () => {
      const { code, output } = await guard('pause', '--reason', 'the suite looks whether it is heard');
      expect({ code, output: output.trim() }).toMatchObject({ code: 0, output: expect.stringContaining('"paused":true') });
      expect(await guard('resume')).toMatchObject({ code: 0 });
    });

    it('refuses an administrator who is no operator, by the name that STS gives them', async () => {
      const { code, output } = await run(
        'node_modules/.bin/node',
        ['cli/main.ts', 'pause', '--reason', 'the suite'],
        environmentOf(stage.administrator),
      );
      expect(code).toBe(3);
      expect(output).toContain(`arn:aws:iam::${account}:user/administrator is not among the stack's Operators`);
    });
  });

  describe('the role of a remediator', () => {
    const clone = `arn:aws:iam::${account}:role/compliance-guard/orders-c0ffee123456`;
    const other = `arn:aws:iam::${account}:role/shared-api`;
    const orders = `arn:aws:lambda:us-east-1:${account}:function:orders`;
    const itself = `arn:aws:lambda:us-east-1:${account}:function:${stack}-check-roles`;
    const never = `arn:aws:lambda:us-east-1:${account}:function:never-mind`;
    const layer = { 'lambda:Layer': `arn:aws:lambda:us-east-1:${account}:layer:mine:1` };
    const toLambda = { 'iam:PassedToService': 'lambda.amazonaws.com' };
    let boundary = '';
    beforeAll(async () => {
      boundary = await physicalId('RoleBoundary');
    });

    it('makes and arms roles only below the path of the guard, and only with the boundary on them', async () => {
      const bounded = { 'iam:PermissionsBoundary': boundary };
      for (const action of ['iam:CreateRole', 'iam:PutRolePolicy', 'iam:AttachRolePolicy']) {
        const decide = (resource: string, context = {}) => decision('remediate-role-shared', action, resource, context);
        expect({ action, decided: await decide(clone, bounded) }).toEqual({ action, decided: 'allowed' });
        expect({ action, decided: await decide(clone) }).toEqual({ action, decided: 'implicitDeny' });
        const wide = { 'iam:PermissionsBoundary': 'arn:aws:iam::aws:policy/AdministratorAccess' };
        expect({ action, decided: await decide(clone, wide) }).toEqual({ action, decided: 'implicitDeny' });
        expect({ action, decided: await decide(other, bounded) }).toEqual({ action, decided: 'implicitDeny' });
        const own = await decide(`arn:aws:iam::${account}:role/${stack}-remediate-role-shared`, bounded);
        expect({ action, decided: own }).toEqual({ action, decided: action === 'iam:CreateRole' ? 'implicitDeny' : 'explicitDeny' });
      }
    });

    it('passes roles to Lambda alone, and only its own or those that are listed', async () => {
      const decide = (role: string, context: Readonly<Record<string, string>>) =>
        decision('remediate-role-shared', 'iam:PassRole', role, context);
      expect([await decide(clone, toLambda), await decide(other, toLambda)]).toEqual(['allowed', 'allowed']);
      const denied = [
        await decide(`arn:aws:iam::${account}:role/operator`, toLambda),
        await decide(`arn:aws:iam::${account}:role/deploy-pipeline`, toLambda),
        await decide(clone, { 'iam:PassedToService': 'ec2.amazonaws.com' }),
        await decide(other, { 'iam:PassedToService': 'cloudformation.amazonaws.com' }),
      ];
      expect(denied).toEqual(denied.map(() => 'implicitDeny'));
    });

    it.each(['role-shared', 'secret-in-environment'])('changes configurations, and brings no layer with it: %s', async (rule) => {
      const action = 'lambda:UpdateFunctionConfiguration';
      expect(await decision(`remediate-${rule}`, action, orders)).toBe('allowed');
      expect(await decision(`remediate-${rule}`, action, orders, layer)).toBe('implicitDeny');
    });

    it.each([
      ['role-shared', 'lambda:UpdateFunctionConfiguration'],
      ['secret-in-environment', 'lambda:UpdateFunctionConfiguration'],
      ['function-url-open', 'lambda:UpdateFunctionUrlConfig'],
      ['function-url-open', 'lambda:RemovePermission'],
      ['function-policy-open', 'lambda:PutResourcePolicy'],
      ['code-changed-by-hand', 'lambda:UpdateFunctionCode'],
      ['code-changed-by-hand', 'lambda:UpdateAlias'],
    ])('of %s is denied %s on the guard itself and on what NeverTouch names', async (rule, action) => {
      const decide = (resource: string) => decision(`remediate-${rule}`, action, resource);
      expect(await decide(orders)).toBe('allowed');
      for (const resource of [itself, never, `${never}:live`, `${never}:7`])
        expect({ resource, decided: await decide(resource) }).toEqual({ resource, decided: 'explicitDeny' });
    });

    it('leaves alone what NeverTouch names', async () => {
      await createFunction('never-mind', await functionRole('never-mind'));
      await quiet();
      const since = mark();
      const named = { FunctionName: 'never-mind' };
      const url = { Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' };
      const invoke = { Action: 'lambda:InvokeFunction', Principal: '*', InvokedViaFunctionUrl: true };
      await stage.boto.call('lambda', 'add_permission', { ...named, StatementId: 'url', ...url });
      await stage.boto.call('lambda', 'add_permission', { ...named, StatementId: 'invoke', ...invoke });
      const { FunctionUrl } = await stage.boto.call('lambda', 'create_function_url_config', { ...named, AuthType: 'NONE' });
      await alerted({ rule: 'function-url-open', status: 'open', resource: 'function:never-mind' }, since);
      await quiet(1_500);
      expect(alertsAbout('function:never-mind', since).filter((alert) => alert.endsWith('remediated'))).toEqual([]);
      expect(await publicStatus(FunctionUrl)).toBe(200);
    });
  });

  describe('names and tags that somebody chose', () => {
    it('make no line and no sentence of their own', async () => {
      const trap = '</td><script>alert(1)</script>\nStatus    resolved\n{"level":"INFO","message":"all is well"}';
      await createFunction('trapped', await functionRole('trapped'), { Tags: { terraform: trap } });
      await quiet();
      const since = mark();
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: 'trapped', AuthType: 'NONE' });
      const { managedBy, status } = await alerted({ rule: 'function-url-open', status: 'open', resource: 'function:trapped' }, since);
      expect({ status, stack: managedBy?.stack }).toEqual({ status: 'open', stack: `Terraform (terraform=${trap})` });
      await quiet();
      const lines = Object.values(await guardLogs()).flat();
      expect(lines.filter((line) => line.includes('all is well') && !line.includes('alert(1)'))).toEqual([]);
    });

    it('are no way to a function of another account, or out of the name of a function', async () => {
      await quiet();
      const operator = new Boto(stage.operator);
      const before = await stage.bench.now();
      try {
        const QueueUrl = await physicalId('CheckApisEvents');
        const record = await pipelineRecord();
        for (const functionName of [
          'arn:aws:lambda:us-east-1:444455556666:function:orders',
          'arn:aws:lambda:eu-west-1:111122223333:function:orders',
          'orders\narn:aws:lambda:us-east-1:111122223333:function:storefront',
          '../../2015-03-31/functions/storefront',
          'orders?Qualifier=live#',
        ]) {
          const detail = {
            ...record,
            eventName: 'CreateFunctionUrlConfig',
            requestParameters: { functionName, authType: 'NONE' },
            responseElements: null,
          };
          await operator.call('sqs', 'send_message', { QueueUrl, MessageBody: JSON.stringify(envelope(detail)) });
        }
        await quiet(1_500);
      } finally {
        operator.end();
      }
      const { calls } = await stage.bench.calls(before);
      const asked = calls.filter(({ functionName, service }) => functionName === `${stack}-check-apis` && service === 'lambda');
      expect(asked).toEqual([]);
    });
  });
}
