import { PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { PublishCommand } from '@aws-sdk/client-sns';
import { sample } from '../support/events.ts';
import { batch, context, counted, failures, type HandlerBench, load, mocked, onBus, type QueueHandler } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

const event = sample('PutFunctionConcurrency20171031/own.json');
const gone = () => Object.assign(new Error('no such thing'), { name: 'NotFoundException', $metadata: { httpStatusCode: 404 } });

let on: HandlerBench<QueueHandler>;
beforeEach(async () => {
  on = await load<QueueHandler>('check-guard');
  on.world.lambda.createFunction({ FunctionName: 'guard-check-apis' });
  on.world.lambda.createEventSourceMapping({ FunctionName: 'guard-check-apis', UUID: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0' });
  on.world.lambda.putFunctionConcurrency({ FunctionName: 'guard-check-apis', ReservedConcurrentExecutions: 0 });
});

function toldAside(): readonly { readonly TopicArn: string; readonly status: string }[] {
  return mocked(on.topic)
    .commandCalls(PublishCommand)
    .map(({ args: [{ input }] }: { args: [{ input: { TopicArn: string; Message: string } }] }) => ({
      TopicArn: input.TopicArn,
      status: JSON.parse(JSON.parse(input.Message).default).status,
    }));
}

test('what is found goes onto the bus, and to the topic of alarms as well', async () => {
  expect(failures(await on.handler(batch({ event }), context))).toEqual([]);
  expect(onBus(on)).toMatchObject([{ detail: { rule: 'guard-tampered', status: 'open' } }]);
  expect(toldAside()).toEqual([{ TopicArn: 'arn:aws:sns:us-east-1:111122223333:alarms', status: 'open' }]);
});

test('where the bus is gone, the topic of alarms hears of it, and the message comes back', async () => {
  mocked(on.bus).on(PutEventsCommand).rejects(gone());
  expect(failures(await on.handler(batch({ event }), context))).toEqual(['event']);
  expect(toldAside()).toMatchObject([{ status: 'open' }]);
});

test('where the topic of alarms is gone, the bus has it, and that is counted', async () => {
  mocked(on.topic).on(PublishCommand).rejects(gone());
  expect(failures(await on.handler(batch({ event }), context))).toEqual([]);
  expect(onBus(on)).toMatchObject([{ detail: { rule: 'guard-tampered', status: 'open' } }]);
  expect(counted(on.logged(), 'SecondWayFailed')).toBe(1);
});

test('what is not critical goes one way alone', async () => {
  on.world.cloudTrail.putTrail('arn:aws:cloudtrail:us-east-1:111122223333:trail/main', {
    EventSelectors: [{ IncludeManagementEvents: true, ExcludeManagementEventSources: ['kms.amazonaws.com'] }],
  });
  await on.handler(batch({ event: sample('UpdateTrail/one-region.json') }), context);
  expect(onBus(on)).toMatchObject([{ detail: { rule: 'guard-tampered', severity: 'medium' } }]);
  expect(toldAside()).toEqual([]);
});

test('a heartbeat goes on to the bus', async () => {
  expect(failures(await on.handler(batch({ beat: { task: 'heartbeat' } }), context))).toEqual([]);
  expect(onBus(on)).toEqual([{ type: 'Compliance Due', detail: { task: 'heartbeat' } }]);
  expect(toldAside()).toEqual([]);
});
