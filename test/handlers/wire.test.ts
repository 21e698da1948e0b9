import { ChangeMessageVisibilityBatchCommand } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import { sample } from '../support/events.ts';
import { batch, context, counted, failures, type HandlerBench, load, mocked, onBus, type QueueHandler } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

// Whoever may invoke a function of the guard can hand it records that no queue ever held.

const queue = 'https://sqs.us-east-1.amazonaws.com/111122223333/guard-queue';
const open = sample('CreateFunctionUrlConfig/none.json', { detail: { requestParameters: { functionName: 'open' } } });

let on: HandlerBench<QueueHandler>;
beforeEach(async () => {
  on = await load<QueueHandler>('check-apis');
  on.world.lambda.createFunction({ FunctionName: 'open' });
  on.world.lambda.createFunctionUrlConfig({ FunctionName: 'open', AuthType: 'NONE' });
  on.world.calls.length = 0;
});

function made(more: object, bodies: Readonly<Record<string, unknown>> = { forged: open }): SQSEvent {
  return { Records: batch(bodies).Records.map((record) => ({ ...record, ...more })) };
}

const asked = () => mocked(on.queue).commandCalls(ChangeMessageVisibilityBatchCommand);

test('a batch is proved to be in flight by one call, which hides it for as long as the queue does', async () => {
  expect(failures(await on.handler(batch({ a: open, b: {} }), context))).toEqual([]);
  expect(asked().map((call: { args: [{ input: unknown }] }) => call.args[0].input)).toEqual([
    {
      QueueUrl: queue,
      Entries: ['a', 'b'].map((id, index) => ({ Id: String(index), ReceiptHandle: `receipt of ${id}`, VisibilityTimeout: 360 })),
    },
  ]);
  expect(onBus(on)).toHaveLength(1);
});

test.each([
  ['a receipt that SQS never gave', { receiptHandle: 'made up' }, 'ReceiptHandleIsInvalid', 1],
  ['no source', { eventSourceARN: undefined }, 'NotItsQueue', 0],
  ['the queue of somebody else', { eventSourceARN: 'arn:aws:sqs:us-east-1:444455556666:guard-queue' }, 'NotItsQueue', 0],
  ['the queue of another function', { eventSourceARN: 'arn:aws:sqs:us-east-1:111122223333:other' }, 'NotItsQueue', 0],
  ['a queue of that name elsewhere', { eventSourceARN: 'arn:aws:sqs:eu-west-1:111122223333:guard-queue' }, 'NotItsQueue', 0],
])('a record with %s is ignored, counted, and never deleted', async (_, more, why, calls) => {
  expect(failures(await on.handler(made(more), context))).toEqual(['forged']);
  expect(onBus(on)).toEqual([]);
  expect(on.world.calls).toEqual([]);
  expect(asked()).toHaveLength(calls);
  expect(counted(on.logged(), 'Ignored-not-from-the-queue')).toBe(1);
  expect(counted(on.logged(), 'MessagesFailed')).toBe(0);
  expect(on.logged()).toContain('message ignored: it did not come from the queue');
  expect(on.logged()).toContain(why);
});

test('of a batch only what is in flight is handled', async () => {
  const { Records } = batch({ real: open, late: open });
  const late = { ...Records[1], receiptHandle: 'of an earlier delivery' } as SQSEvent['Records'][number];
  const other = { ...Records[1], messageId: 'other', eventSourceARN: 'arn:aws:sqs:us-east-1:111122223333:guard-sweeps' } as typeof late;
  const real = Records[0] as typeof late;
  expect(failures(await on.handler({ Records: [late, real, other] }, context))).toEqual(['late', 'other']);
  expect(onBus(on)).toHaveLength(1);
  expect(counted(on.logged(), 'Ignored-not-from-the-queue')).toBe(2);
});

test('messages of every queue of the function are its own', async () => {
  const eventSourceARN = 'arn:aws:sqs:us-east-1:111122223333:guard-sweeps';
  expect(failures(await on.handler(made({ eventSourceARN }), context))).toEqual([]);
  expect(onBus(on)).toHaveLength(1);
});

test.each(['ThrottlingException', 'AccessDenied', 'AWS.SimpleQueueService.TooManyEntriesInBatchRequest'])(
  'where the queue cannot be asked (%s) nothing is done, and everything comes again',
  async (name) => {
    mocked(on.queue)
      .on(ChangeMessageVisibilityBatchCommand)
      .rejects(Object.assign(new Error('x'), { name }));
    await expect(on.handler(batch({ a: open }), context)).rejects.toMatchObject({ name });
    expect(on.world.calls).toEqual([]);
    expect(onBus(on)).toEqual([]);
  },
);

test.each([
  ['nothing', {}],
  ['no list', { Records: 'all' }],
])('an invocation with %s does nothing', async (_, event) => {
  await expect(on.handler(event as unknown as SQSEvent, context)).rejects.toThrow();
  expect(on.world.calls).toEqual([]);
});

test('what somebody wrote into a message stays within one line of the log', async () => {
  const messageId = 'x\n{"level":"ERROR","message":"everything is lost"}\u0085\u001b[2J';
  expect(failures(await on.handler(made({ messageId, receiptHandle: 'made up' }), context))).toEqual([messageId]);
  const lines = on.logged().split('\n');
  expect(lines.filter((line) => /^\s*\{"level":"ERROR"/.test(line))).toEqual([]);
  expect(on.logged()).toContain(JSON.stringify(messageId));
});
