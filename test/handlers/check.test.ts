import { PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { ChangeMessageVisibilityCommand, SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { VirtualTime } from '../../scripts/bench/burst/virtual-time.ts';
import { sample } from '../support/events.ts';
import { batch, context, counted, failures, type HandlerBench, load, mocked, onBus, orders, place, type QueueHandler } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

const url = (functionName: string, more: object = {}) =>
  sample('CreateFunctionUrlConfig/none.json', { detail: { eventID: functionName, requestParameters: { functionName } }, ...more });

let on: HandlerBench<QueueHandler>;
beforeEach(async () => {
  on = await load<QueueHandler>('check-apis');
  for (const FunctionName of ['fine', 'poison', 'open']) on.world.lambda.createFunction({ FunctionName });
  on.world.lambda.createFunctionUrlConfig({ FunctionName: 'open', AuthType: 'NONE' });
  const read = on.world.lambda.getFunctionUrlConfig.bind(on.world.lambda);
  on.world.lambda.getFunctionUrlConfig = (input) => {
    if (String(input.FunctionName).endsWith('poison')) throw new TypeError('cannot read hunter2 of undefined');
    return read(input);
  };
});

test('of a batch only the poison comes back; what is malformed is counted, what is fine is done', async () => {
  const answer = await on.handler(
    batch({
      text: 'this is no JSON, and password=hunter2',
      empty: '',
      list: [],
      foreign: { Type: 'Notification', Message: 'hunter2' },
      poison: url('poison'),
      open: url('open'),
      fine: url('fine'),
      elsewhere: url('fine', { account: '444455556666' }),
      failed: url('fine', { detail: { errorCode: 'AccessDenied' } }),
    }),
    context,
  );
  expect(failures(answer)).toEqual(['poison']);
  expect(onBus(on)).toMatchObject([
    {
      type: 'Compliance Finding',
      detail: { status: 'open', rule: 'function-url-open', resource: { arn: orders.replace('orders', 'open') } },
    },
  ]);
  const logged = on.logged();
  expect(counted(logged, 'Ignored-malformed')).toBe(4);
  expect(counted(logged, 'Ignored-elsewhere')).toBe(1);
  expect(counted(logged, 'Ignored-failed-call')).toBe(1);
  expect(counted(logged, 'MessagesFailed')).toBe(1);
  expect(logged).not.toContain('hunter2');
  expect(logged).toContain('TypeError');
  // A defect does not pass by waiting: the queue's own visibility, then the dead letters.
  expect(mocked(on.queue).commandCalls(ChangeMessageVisibilityCommand)).toEqual([]);
});

test('a batch of nothing but poison comes back whole, and nothing is thrown', async () => {
  expect(failures(await on.handler(batch({ a: url('poison'), b: url('poison') }), context))).toEqual(['a', 'b']);
});

test('a batch of nothing but rubbish is done', async () => {
  expect(failures(await on.handler(batch({ a: '', b: '{', c: 'null', d: '7', e: '"x"' }), context))).toEqual([]);
});

test('an event of 256 KB is judged like any other', async () => {
  const big = url('open', { detail: { requestParameters: { functionName: 'open', cors: 'x'.repeat(256 * 1024) } } });
  expect(failures(await on.handler(batch({ big, fine: url('fine') }), context))).toEqual([]);
  expect(onBus(on)).toHaveLength(1);
  expect(on.logged().length).toBeLessThan(10_000);
});

test('an event of a function that is gone says nothing, and is done', async () => {
  expect(failures(await on.handler(batch({ gone: url('gone') }), context))).toEqual([]);
  expect(onBus(on)).toEqual([]);
});

test.each([
  [1, 15],
  [2, 30],
  [4, 120],
  [12, 900],
])('what AWS throttles comes back soon: after delivery %i in %i s', async (received, seconds) => {
  on.world.fail('GetPolicy', 'TooManyRequestsException');
  expect(failures(await on.handler(batch({ open: url('open') }, { received }), context))).toEqual(['open']);
  const [call] = mocked(on.queue).commandCalls(ChangeMessageVisibilityCommand);
  expect(call.args[0].input).toMatchObject({
    QueueUrl: 'https://sqs.us-east-1.amazonaws.com/111122223333/guard-queue',
    ReceiptHandle: 'receipt of open',
    VisibilityTimeout: seconds,
  });
});

test('where even that is refused, the message comes back in its own time', async () => {
  on.world.fail('GetPolicy', 'TooManyRequestsException');
  mocked(on.queue)
    .on(ChangeMessageVisibilityCommand)
    .rejects(Object.assign(new Error('x'), { name: 'AccessDenied' }));
  expect(failures(await on.handler(batch({ open: url('open') }), context))).toEqual(['open']);
});

test('an alert that the bus does not take is sent again with the next delivery', async () => {
  mocked(on.bus)
    .on(PutEventsCommand)
    .resolvesOnce({ FailedEntryCount: 1, Entries: [{ ErrorCode: 'ThrottlingException' }] })
    .resolves({ FailedEntryCount: 0, Entries: [] });
  const fresh = { open: url('again') };
  on.world.lambda.createFunction({ FunctionName: 'again' });
  on.world.lambda.createFunctionUrlConfig({ FunctionName: 'again', AuthType: 'NONE' });
  expect(failures(await on.handler(batch(fresh), context))).toEqual(['open']);
  expect(failures(await on.handler(batch(fresh), context))).toEqual([]);
  expect(onBus(on)).toHaveLength(2);
});

test.each([
  ['another account', 'arn:aws:lambda:us-east-1:444455556666:function:open'],
  ['another region', 'arn:aws:lambda:eu-west-1:111122223333:function:open'],
  ['nowhere', 'open\narn:aws:lambda:us-east-1:111122223333:function:open'],
])('an event that names a function of %s asks nothing', async (_, functionName) => {
  on.world.calls.length = 0;
  expect(failures(await on.handler(batch({ elsewhere: url(functionName) }), context))).toEqual([]);
  expect(on.world.calls).toEqual([]);
  expect(onBus(on)).toEqual([]);
});

describe('a message of a sweep', () => {
  const subject = (name: string) => ({ arn: orders.replace('orders', name), type: 'AWS::Lambda::Function', ...place });

  test('is judged without an event', async () => {
    on.world.lambda.createFunction({ FunctionName: 'swept' });
    on.world.lambda.createFunctionUrlConfig({ FunctionName: 'swept', AuthType: 'NONE' });
    expect(failures(await on.handler(batch({ s: { sweep: 's1', subject: subject('swept') } }), context))).toEqual([]);
    expect(onBus(on)).toMatchObject([{ detail: { sweep: 's1', status: 'open' } }]);
  });

  test('about a finding is judged by the rule of the finding', async () => {
    on.world.lambda.createFunction({ FunctionName: 'found' });
    on.world.lambda.createFunctionUrlConfig({ FunctionName: 'found', AuthType: 'NONE' });
    const about = (rule: string) => ({ sweep: 's1', rule, subject: subject('found') });
    expect(failures(await on.handler(batch({ other: about('role-shared') }), context))).toEqual([]);
    expect(onBus(on)).toEqual([]);
    expect(failures(await on.handler(batch({ own: about('function-url-open') }), context))).toEqual([]);
    expect(onBus(on)).toMatchObject([{ detail: { sweep: 's1', status: 'open', rule: 'function-url-open' } }]);
  });

  test.each(['AWS::EC2::SecurityGroup', 'AWS::IAM::Role'])('may be about %s', async (type) => {
    on.world.calls.length = 0;
    expect(
      failures(await on.handler(batch({ s: { sweep: 's1', rule: 'function-url-open', subject: { ...subject('x'), type } } }), context)),
    ).toEqual([]);
    expect(on.world.calls.length).toBeGreaterThan(0);
  });

  test.each([
    ['of another kind', { sweep: 's1', subject: { ...subject('x'), type: 'AWS::S3::Bucket' } }],
    ['without a sweep', { subject: subject('x') }],
    ['without a subject', { sweep: 's1' }],
    ['whose subject is a text', { sweep: 's1', subject: orders }],
  ])('%s is no message', async (_, body) => {
    on.world.calls.length = 0;
    expect(failures(await on.handler(batch({ body }), context))).toEqual([]);
    expect(on.world.calls).toEqual([]);
  });
});

describe('a message that waits for the quota', () => {
  const url = 'https://sqs.us-east-1.amazonaws.com/111122223333/guard-queue';
  const body = sample('CreateFunctionUrlConfig/none.json', { detail: { eventID: 'busy', requestParameters: { functionName: 'open' } } });
  /** A checker, and a ledger that promises nothing; when it is done. */
  const handled = async (message: object) => {
    const { checker } = await import('../../handlers/check.ts');
    const { apis } = await import('../../rules/index.ts');
    on.ledger.lease = async () => undefined;
    const time = new VirtualTime(0);
    const answer = checker(apis, undefined, time)(batch({ busy: message }), context);
    let done = false;
    void answer.finally(() => {
      done = true;
    });
    await time.passes(() => done);
    return { failed: failures(await answer), seconds: time.now() / 1000 };
  };

  test.each([
    ['an event', body, 15],
    ['of a sweep', { sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } }, 120],
  ])('%s goes back to its queue as a new one, and has not failed', async (_, message, DelaySeconds) => {
    expect(await handled(message)).toEqual({ failed: [], seconds: 30 });
    const sent = mocked(on.queue).commandCalls(SendMessageBatchCommand);
    expect(sent.map((call: { args: [{ input: unknown }] }) => call.args[0].input)).toEqual([
      { QueueUrl: url, Entries: [{ Id: '0', MessageBody: JSON.stringify(message), DelaySeconds }] },
    ]);
    expect(mocked(on.queue).commandCalls(ChangeMessageVisibilityCommand)).toHaveLength(0);
    expect(counted(on.logged(), 'MessagesFailed')).toBe(0);
    expect(counted(on.logged(), 'WaitsForQuota')).toBe(1);
  });

  test('has failed where the queue does not take it back', async () => {
    mocked(on.queue)
      .on(SendMessageBatchCommand)
      .resolves({ Failed: [{ Id: '0', Code: 'InternalError', SenderFault: false }] });
    expect(await handled(body)).toEqual({ failed: ['busy'], seconds: 30 });
  });
});
