import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { ConditionalCheckFailedException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { describeStack } from '../../aws/cloudformation.ts';
import { refused } from '../../aws/dynamodb.ts';
import { callOperate, OperateError } from '../../aws/operate.ts';

const place = { account: '111122223333', region: 'us-east-1' };

test('a stack tells its outputs and parameters, and whose it is', async () => {
  mockClient(CloudFormationClient)
    .on(DescribeStacksCommand, { StackName: 'guard' })
    .resolves({
      Stacks: [
        {
          StackName: 'guard',
          CreationTime: new Date(0),
          StackStatus: 'CREATE_COMPLETE',
          StackId: 'arn:aws:cloudformation:us-east-1:111122223333:stack/guard/1',
          Outputs: [{ OutputKey: 'OperateUrl', OutputValue: 'https://x' }],
          Parameters: [{ ParameterKey: 'Deployers', ParameterValue: 'a,b' }, { ParameterKey: 'NeverTouch' }],
        },
      ],
    });
  expect(await describeStack.run(place, { StackName: 'guard' })).toEqual({
    outputs: { OperateUrl: 'https://x' },
    parameters: { Deployers: 'a,b', NeverTouch: '' },
    account: '111122223333',
  });
});

describe('a write that its own condition refused', () => {
  const metadata = { message: 'x', $metadata: {} };

  test('says what was there', () => {
    expect(refused(new ConditionalCheckFailedException({ ...metadata, Item: { pk: { S: 'a' }, n: { N: '7' } } }))).toEqual({
      item: { pk: 'a', n: 7 },
    });
    expect(refused(new ConditionalCheckFailedException(metadata))).toEqual({ item: undefined });
  });

  test('may be one of a transaction', () => {
    expect(
      refused(
        new TransactionCanceledException({ ...metadata, CancellationReasons: [{ Code: 'None' }, { Code: 'ConditionalCheckFailed' }] }),
      ),
    ).toEqual({ item: undefined });
  });

  test('is nothing else', () => {
    expect(
      refused(new TransactionCanceledException({ ...metadata, CancellationReasons: [{ Code: 'TransactionConflict' }] })),
    ).toBeUndefined();
    expect(refused(new TransactionCanceledException(metadata))).toBeUndefined();
    expect(refused(Object.assign(new Error('x'), { name: 'ConditionalCheckFailedException' }))).toBeUndefined();
    expect(refused(undefined)).toBeUndefined();
  });
});

describe('the operate function', () => {
  const url = 'https://abc.lambda-url.us-east-1.on.aws/';
  const asked: { readonly request: IncomingMessage; readonly body: string }[] = [];
  let answer = { status: 200, body: '{"paused":true}' };
  let server: Server;

  beforeAll(async () => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'never-sent', AWS_SESSION_TOKEN: '' });
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk;
      });
      request.on('end', () => {
        asked.push({ request, body });
        response.writeHead(answer.status).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
  });
  afterAll(() => void server.close());

  const call = (body: unknown) =>
    callOperate(place, { url, stack: 'guard' }, body, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  test('is asked with a signature, for the host of its URL', async () => {
    expect(await call({ action: 'resume' })).toEqual({ paused: true });
    const { request, body } = asked.at(-1) ?? {};
    expect(request).toMatchObject({
      method: 'POST',
      url: '/',
      headers: { host: 'abc.lambda-url.us-east-1.on.aws', 'content-type': 'application/json' },
    });
    expect(request?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE\/\d{8}\/us-east-1\/lambda\/aws4_request, SignedHeaders=.*host/,
    );
    expect(JSON.parse(body ?? '')).toMatchObject({ request: '{"action":"resume"}' });
    expect(JSON.stringify([request?.headers, body])).not.toContain('never-sent');
  });

  test('is told who asks: a request to STS, signed for this request to this guard', async () => {
    await call({ action: 'resume' });
    const { identity } = JSON.parse(asked.at(-1)?.body ?? '{}') as { identity: Record<string, string> };
    expect(identity['authorization']).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE\/\d{8}\/us-east-1\/sts\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-guard-request, /,
    );
    expect(identity['x-guard-request']).toBe(
      createHash('sha256').update('111122223333/us-east-1/guard\n{"action":"resume"}').digest('hex'),
    );
  });

  test('says in a sentence why it refuses', async () => {
    answer = { status: 400, body: '{"error":"There is no change x."}' };
    await expect(call({})).rejects.toThrow(new OperateError('There is no change x.'));
  });

  test.each([
    [403, '{"Message":"Forbidden"}'],
    [502, '<html>'],
    [500, ''],
  ])('that answers %i with %s is told with what may be missing', async (status, body) => {
    answer = { status, body };
    await expect(call({})).rejects.toThrow(`The operate function answered ${status}`);
  });
});
