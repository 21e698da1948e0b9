import { AsyncLocalStorage } from 'node:async_hooks';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Alert } from '../../guard/alert.ts';
import { expectValid } from '../support/alert-schema.ts';
import { MemoryTable } from '../support/memory-table.ts';
import { place } from '../support/rule-test.ts';
import { clients, World } from '../support/world/index.ts';
import type { QueueName } from './environment.ts';
import { Queue } from './queue.ts';

/** A function of the guard, or an operator's command line, while it runs. */
export interface Process {
  readonly name: string;
  /** The delivery that it handles: two copies of a message have the same. */
  readonly delivery: string;
  dead: boolean;
  /** Resolves when it has ended, well or not. */
  readonly ended: Promise<void>;
}

/** A call on its way from a process to AWS. */
export interface Call {
  /** The how-manieth of this account, from 1; 0 while nobody counts. */
  readonly number: number;
  readonly service: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly process: Process;
}

/** How a process ended. */
export interface Run<T> {
  readonly process: Process;
  /** Undefined where it died or threw. */
  readonly answer: T | undefined;
  readonly error?: unknown;
}

/** What becomes of a call: by default it is made. */
export type Fate = (call: Call, make: () => unknown) => Promise<unknown>;

/** The process died: nothing that it tries after this happens. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** What an event on the guard's bus looks like to its rules. */
export interface BusEvent {
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: Readonly<Record<string, unknown>>;
}

const readOnly = /^(BatchGet|Get|List|Describe|Head|Simulate|Query|Download)/;

/** A call that changes nothing may be lost, or made twice, without a difference. */
export function isWrite({ operation }: Pick<Call, 'operation'>): boolean {
  return !readOnly.test(operation);
}

/**
 * An account in memory, behind every client of the SDK: the world of the rules' tests, the ledger's table, the guard's
 * bus, topic and queues. Calls pass one by one, each with a fate.
 */
export class Account {
  readonly world = new World(place);
  readonly table = new MemoryTable();
  readonly queues: Readonly<Record<QueueName, Queue>>;
  /** What left the topic, in order. */
  readonly sent: Alert[] = [];
  readonly calls: Call[] = [];
  fate: Fate = async (_, make) => make();
  /** Who hears what is put on the bus. */
  hear: (event: BusEvent) => void = () => {};
  counting = false;
  readonly #processes = new AsyncLocalStorage<Process>();

  constructor() {
    current = this;
    const now = () => this.world.now;
    Date.now = now;
    this.queues = { check: new Queue('check', now), remediate: new Queue('remediate', now), notify: new Queue('notify', now) };
    globalThis.fetch = async (url) =>
      (await this.#pass('s3', 'Download', {}, () => new Response(Buffer.from(this.world.lambda.download(String(url)) ?? '')))) as Response;
  }

  /** Runs something as a process of its own. */
  async run<T>(name: string, action: () => Promise<T>, delivery = ''): Promise<Run<T>> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const process: Process = { name, delivery, dead: false, ended };
    try {
      const answer = await this.#processes.run(process, action);
      return { process, answer: process.dead ? undefined : answer };
    } catch (error) {
      return { process, answer: undefined, error };
    } finally {
      end();
    }
  }

  /** The SDK's end of the wire. */
  async send(service: string, operation: string, input: Readonly<Record<string, unknown>>): Promise<unknown> {
    return await this.#pass(service, operation, input, () => this.#answer(service, operation, input));
  }

  #answer(service: string, operation: string, input: Readonly<Record<string, unknown>>): unknown {
    switch (service) {
      case 'dynamodb':
        return this.table.answer(operation, input);
      case 'events':
        return this.#putEvents(input['Entries'] as readonly Entry[]);
      case 'sns':
        return this.#publish(String(input['Message']));
      case 'sqs':
        return this.#sqs(operation, input);
      case 'cloudwatch':
        return healthy(input['MetricDataQueries'] as readonly { readonly Id: string }[]);
      default:
        return this.world.answer(service as never, operation, input);
    }
  }

  async #pass(service: string, operation: string, input: Readonly<Record<string, unknown>>, make: () => unknown): Promise<unknown> {
    const process = this.#processes.getStore();
    // A test's own preparations.
    if (process === undefined) return make();
    if (process.dead) throw new Killed();
    const number = this.counting ? this.calls.length + 1 : 0;
    const call = { number, service, operation, input, process };
    if (this.counting) this.calls.push(call);
    return await this.fate(call, make);
  }

  #putEvents(entries: readonly Entry[]): object {
    for (const { Source: source, DetailType, Detail } of entries) {
      const detail = JSON.parse(Detail) as Record<string, unknown>;
      if (DetailType !== 'Compliance Due') expectValid(detail as Alert);
      this.hear({ source, 'detail-type': DetailType, detail });
    }
    return { FailedEntryCount: 0, Entries: entries.map((_, index) => ({ EventId: String(index) })) };
  }

  #publish(message: string): object {
    this.sent.push(JSON.parse((JSON.parse(message) as { default: string }).default) as Alert);
    return { MessageId: 'm' };
  }

  #sqs(operation: string, input: Readonly<Record<string, unknown>>): object {
    const queue = Object.values(this.queues).find(({ url }) => url === input['QueueUrl']);
    if (queue === undefined) throw new Error(`there is no queue ${input['QueueUrl']}`);
    const entries = operation === 'ChangeMessageVisibilityBatch' ? (input['Entries'] as Visibility[]) : [input as unknown as Visibility];
    const done = entries.map(({ ReceiptHandle, VisibilityTimeout }) => queue.hide(ReceiptHandle, VisibilityTimeout));
    return {
      Successful: entries.flatMap(({ Id }, index) => (done[index] ? [{ Id }] : [])),
      Failed: entries.flatMap(({ Id }, index) => (done[index] ? [] : [{ Id, Code: 'ReceiptHandleIsInvalid' }])),
    };
  }
}

/** A function that is invoked and does not fail. */
function healthy(queries: readonly { readonly Id: string }[]): object {
  const results = queries.map(({ Id }) => ({ Id, StatusCode: 'Complete', Values: [Id === 'invocations' ? 100 : 0] }));
  return { MetricDataResults: results };
}

/** The account that was made last is the one that clients reach. */
let current: Account;

/** What stands in for node:timers/promises: time passes at once. */
export const timers = {
  setTimeout: async (milliseconds: number): Promise<void> => current.world.advance(milliseconds / 1000),
};

const served = {
  ...clients,
  // Of these the world has policies alone, which no set-up needs: here they are the guard's own.
  dynamodb: DynamoDBDocumentClient,
  events: EventBridgeClient,
  sns: SNSClient,
  sqs: SQSClient,
  cloudwatch: CloudWatchClient,
};

// Plain methods: a stub that remembers every call would remember millions.
for (const [service, Client] of Object.entries(served)) {
  (Client.prototype as { send: unknown }).send = async (command: { readonly input: object }) =>
    await current.send(service, command.constructor.name.replace(/Command$/, ''), { ...command.input });
}

interface Entry {
  readonly Source: string;
  readonly DetailType: string;
  readonly Detail: string;
}

interface Visibility {
  readonly Id: string;
  readonly ReceiptHandle: string;
  readonly VisibilityTimeout: number;
}
