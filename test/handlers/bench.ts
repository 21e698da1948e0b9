import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import {
  ChangeMessageVisibilityBatchCommand,
  type ChangeMessageVisibilityBatchCommandInput,
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import type { Alert } from '../../guard/alert.ts';
import { functionArn } from '../../guard/arn.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { expectValid } from '../support/alert-schema.ts';
import { createWorld, type World } from '../support/world/index.ts';

// A handler as Lambda runs it: with the environment of the template, AWS in memory behind the SDK, and a ledger in
// memory where the table would be. Every file that uses this replaces ledger/ledger.ts with `ledgerModule()`.

export const place = { account: '111122223333', region: 'us-east-1' };
export const orders = functionArn('orders', place) ?? '';

export const context = { functionName: 'guard-test', awsRequestId: 'r1', getRemainingTimeInMillis: () => 60_000 } as unknown as Context;

const environment = {
  GUARD_ACCOUNT: place.account,
  AWS_REGION: place.region,
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  StackName: 'guard',
  LedgerTable: 'ledger',
  GuardBus: 'guard',
  AlertTopic: 'arn:aws:sns:us-east-1:111122223333:alerts',
  AlarmTopic: 'arn:aws:sns:us-east-1:111122223333:alarms',
  ArchiveBucket: 'archive',
  BoundaryArn: 'arn:aws:iam::111122223333:policy/boundary',
  Queues: 'https://sqs.us-east-1.amazonaws.com/111122223333/guard-queue,https://sqs.us-east-1.amazonaws.com/111122223333/guard-sweeps',
  SweepQueues: 'apis=https://sqs.us-east-1.amazonaws.com/111122223333/one,roles=https://sqs.us-east-1.amazonaws.com/111122223333/two',
  RoleSharedMode: 'alert',
  SecretInEnvironmentMode: 'alert',
  FunctionUrlOpenMode: 'alert',
  SecurityGroupOpenIngressMode: 'alert',
  CodeChangedByHandMode: 'alert',
  GuardTamperedMode: 'alert',
  // Powertools then writes to the global console, where a test hears it.
  POWERTOOLS_DEV: 'true',
  POWERTOOLS_METRICS_DISABLED: 'false',
};

/** The ledger of the handler that was loaded last. Handlers keep the one that they were made with, which asks this one. */
export const current: { ledger: MemoryLedger } = { ledger: new MemoryLedger() };

/** What stands in for ledger/ledger.ts. */
export function ledgerModule(): object {
  return {
    DynamoLedger: class {
      constructor() {
        // biome-ignore lint/correctness/noConstructorReturn: what is made is not of this class
        return new Proxy(
          {},
          {
            get: (_, name) => {
              const member = Reflect.get(current.ledger, name) as unknown;
              return typeof member === 'function' ? member.bind(current.ledger) : member;
            },
          },
        );
      }
    },
  };
}

export interface HandlerBench<Handler> {
  readonly handler: Handler;
  readonly world: World;
  readonly ledger: MemoryLedger;
  readonly bus: ReturnType<typeof mockClient>;
  readonly topic: ReturnType<typeof mockClient>;
  readonly queue: ReturnType<typeof mockClient>;
  /** Everything that was logged, metrics included, as one text. */
  readonly logged: () => string;
}

/** Loads a handler with its environment. */
export async function load<Handler>(name: string, variables: Readonly<Record<string, string>> = {}): Promise<HandlerBench<Handler>> {
  Object.assign(process.env, environment, variables);
  const lines: string[] = [];
  jest.restoreAllMocks();
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    jest.spyOn(console, method).mockImplementation((...said: unknown[]) => {
      lines.push(said.map(String).join(' '));
    });
  }
  const { handler } = (await import(`../../handlers/${name}.ts`)) as { handler: Handler };
  const ledger = new MemoryLedger();
  current.ledger = ledger;
  const world = createWorld(place);
  const bus = mockClient(EventBridgeClient) as never as ReturnType<typeof mockClient>;
  const topic = mockClient(SNSClient) as never as ReturnType<typeof mockClient>;
  const queue = mockClient(SQSClient) as never as ReturnType<typeof mockClient>;
  mocked(bus).on(PutEventsCommand).resolves({ FailedEntryCount: 0, Entries: [] });
  mocked(topic).on(PublishCommand).resolves({ MessageId: 'm1' });
  mocked(queue).on(SendMessageBatchCommand).resolves({ Successful: [], Failed: [] }).on(ChangeMessageVisibilityCommand).resolves({});
  mocked(queue)
    .on(ChangeMessageVisibilityBatchCommand)
    .callsFake(async ({ Entries = [] }: ChangeMessageVisibilityBatchCommandInput) => ({
      Successful: Entries.flatMap(({ Id, ReceiptHandle = '' }) => (ReceiptHandle.startsWith('receipt of ') ? [{ Id }] : [])),
      Failed: Entries.flatMap(({ Id, ReceiptHandle = '' }) =>
        ReceiptHandle.startsWith('receipt of ') ? [] : [{ Id, Code: 'ReceiptHandleIsInvalid', SenderFault: true }],
      ),
    }));
  return { handler, world, ledger, bus, topic, queue, logged: () => lines.join('\n') };
}

// The stubs of different clients have different types; what is used of them is the same.
// biome-ignore lint/suspicious/noExplicitAny: see above
export function mocked(client: ReturnType<typeof mockClient>): any {
  return client;
}

export type QueueHandler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>;

/** A batch of messages: each body as it is, or as JSON. */
export function batch(bodies: Readonly<Record<string, unknown>>, { received = 1 }: { readonly received?: number } = {}): SQSEvent {
  const Records = Object.entries(bodies).map(
    ([messageId, body]) =>
      ({
        messageId,
        receiptHandle: `receipt of ${messageId}`,
        body: typeof body === 'string' ? body : JSON.stringify(body),
        attributes: { ApproximateReceiveCount: String(received) },
        messageAttributes: {},
        eventSource: 'aws:sqs',
        eventSourceARN: 'arn:aws:sqs:us-east-1:111122223333:guard-queue',
        awsRegion: 'us-east-1',
      }) as unknown as SQSRecord,
  );
  return { Records };
}

/** The messages of a batch that come back. */
export function failures({ batchItemFailures }: SQSBatchResponse): readonly string[] {
  return batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
}

/** What was put on the guard's bus: alerts, each held against its schema, and tasks. */
export function onBus({
  bus,
}: {
  readonly bus: ReturnType<typeof mockClient>;
}): readonly { readonly type: string; readonly detail: Alert & Record<string, unknown> }[] {
  return mocked(bus)
    .commandCalls(PutEventsCommand)
    .flatMap((call: { args: [{ input: { Entries: { DetailType: string; Detail: string; EventBusName: string; Source: string }[] } }] }) =>
      call.args[0].input.Entries.map(({ DetailType, Detail, EventBusName, Source }) => {
        expect({ EventBusName, Source }).toEqual({ EventBusName: 'guard', Source: 'compliance-guard' });
        const detail = JSON.parse(Detail);
        if (DetailType !== 'Compliance Due') expectValid(detail);
        return { type: DetailType, detail };
      }),
    );
}

/** How often a metric was counted, from the lines in CloudWatch's embedded format. */
export function counted(logged: string, metric: string): number {
  return logged.split('\n').reduce((sum, line) => {
    if (!line.includes('"_aws"')) return sum;
    const value = (JSON.parse(line) as Record<string, unknown>)[metric];
    return sum + [value ?? 0].flat().reduce<number>((all, one) => all + Number(one), 0);
  }, 0);
}
