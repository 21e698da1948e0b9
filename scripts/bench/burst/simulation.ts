import { AsyncLocalStorage } from 'node:async_hooks';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import type { Alert } from '../../../guard/alert.ts';
import { readConfig } from '../../../guard/config.ts';
import { errorKind } from '../../../guard/errors.ts';
import { notify } from '../../../guard/notify.ts';
import type { Ports } from '../../../guard/ports.ts';
import { pascalCase } from '../../../guard/rule.ts';
import { DynamoLedger } from '../../../ledger/ledger.ts';
import { Table } from '../../../ledger/table.ts';
import { apis, deployments, roles, secrets, vpc } from '../../../rules/index.ts';
import { matches } from '../../../test/house/pattern.ts';
import { deploy, functions, type Properties, type Value } from '../../../test/house/template.ts';
import type { EventBody } from '../../../test/support/events.ts';
import { MemoryTable } from '../../../test/support/memory-table.ts';
import { createWorld, type SdkCall, type World } from '../../../test/support/world/index.ts';
import { awsError } from '../../../test/support/world/service.ts';
import { randomFrom } from '../../random.ts';
import { Queue } from './queues.ts';
import type { Time } from './virtual-time.ts';

export const place = { account: '111122223333', region: 'us-east-1' };

/** The practices whose checkers run: that of the guard's own resources listens to nothing that happens here. */
const rulesOf = { roles, secrets, apis, vpc, deployments };
type Practice = keyof typeof rulesOf;
const checked = Object.keys(rulesOf) as Practice[];

/** Quotas of an account and region in calls a second. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html */
export const quotas = { 'lambda:GetPolicy': 15, 'lambda:GetFunction': 100, 'lambda:*': 15, 'apigateway:*': 10 } as const;
export type QuotaName = keyof typeof quotas;

function quotaOfCall({ service, operation }: SdkCall): QuotaName | undefined {
  if (service === 'apiGateway' || service === 'apiGatewayV2') return 'apigateway:*';
  if (service !== 'lambda') return undefined;
  return operation === 'GetPolicy' || operation === 'GetFunction' ? `lambda:${operation}` : 'lambda:*';
}

/** A quota: a bucket that holds a second's worth of calls, or so many, and is filled evenly. */
export class Bucket {
  readonly #perSecond: number;
  readonly #size: number;
  #tokens: number;
  #at = 0;

  constructor(perSecond: number, size = perSecond) {
    this.#perSecond = perSecond;
    this.#size = size;
    this.#tokens = size;
  }

  take(now: number): boolean {
    this.#tokens = Math.min(this.#size, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

interface Invocation {
  readonly practice: Practice;
  /** Lambda has ended it: nothing of it goes on. */
  ended: boolean;
}

const running = new AsyncLocalStorage<Invocation>();
const never = new Promise<never>(() => undefined);

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>;

interface Settings {
  readonly seed: number;
  readonly time: Time;
  /** Parameters of the stack that differ from their defaults. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Whether AWS throttles. */
  readonly throttles?: boolean;
}

/**
 * The checkers of the deployed template with everything around them in memory: the queues and Lambda's pollers, the ledger's
 * table, and an AWS that takes 30 ms for a call (200 ms for one in a hundred) and throttles. What judges, waits for the quota
 * and answers to the queue is the guard's own code.
 *
 * Left out: the SDK's own retries (what AWS throttles fails at once), the queue before the notifier, and the remediators.
 */
export class Simulation {
  readonly world: World;
  readonly table = new MemoryTable();
  /** What the notifier sent, and when. */
  readonly told: { readonly alert: Alert; readonly at: number }[] = [];
  /** The moments at which the guard called AWS, by the quota that the calls count against. */
  readonly calls: Readonly<Record<QuotaName, number[]>> = {
    'lambda:GetPolicy': [],
    'lambda:GetFunction': [],
    'lambda:*': [],
    'apigateway:*': [],
  };
  /** Calls that AWS throttled. */
  readonly throttled = { guard: 0, pipeline: 0 };
  /** When each message was handled at last, by the id of its event or the ARN that a sweep asks about, by practice. */
  readonly handled = new Map<string, Map<Practice, number>>();
  readonly events: Readonly<Record<Practice, Queue>>;
  readonly sweeps: Readonly<Record<Practice, Queue>>;
  /** Seconds that the functions ran: what is paid for. */
  billed = 0;
  /** Messages that waited for the quota in vain, and were put back. */
  putBack = 0;
  readonly #patterns: readonly { readonly practice: Practice; readonly pattern: Value | undefined }[];
  readonly #buckets: Readonly<Record<QuotaName, Bucket>>;
  readonly #time: Time;
  readonly #random: () => number;
  readonly #chance: () => number;
  readonly #throttles: boolean;
  readonly #idle = new Map<Practice, Handler[]>();
  readonly #start: (practice: Practice) => Handler;
  readonly #notifier: Pick<Ports, 'ledger' | 'config' | 'now'>;

  private constructor({ seed, time, parameters = {}, throttles = true }: Settings, start: (practice: Practice, time: Time) => Handler) {
    this.#time = time;
    this.#random = randomFrom(seed);
    this.#chance = randomFrom(seed + 1);
    this.#notifier = {
      ledger: new DynamoLedger(new Table('ledger', place)),
      config: readConfig(process.env, []),
      now: time.now,
    };
    this.#throttles = throttles;
    this.#start = (practice) => start(practice, time);
    this.#buckets = Object.fromEntries(Object.entries(quotas).map(([name, perSecond]) => [name, new Bucket(perSecond)])) as never;
    this.world = createWorld(place);
    this.world.wire = (call, make) => this.#answer(call, make);
    const { send } = mockClient(DynamoDBDocumentClient);
    send.callsFake(async (command) => {
      await this.#passes(this.#latency(4, 20));
      return this.table.answer(command.constructor.name.replace(/Command$/, ''), command.input as never) as never;
    });
    const stack = deploy(parameters);
    const { resources } = stack;
    const queue = (practice: Practice, kind: 'Events' | 'Sweeps') => {
      const id = `Check${pascalCase(practice)}${kind}`;
      const { Properties: own } = resources[id] as { Properties: Properties };
      const { Properties: mapping } = resources[`${id}Mapping`] as { Properties: Properties };
      const name = `guard-${id}`;
      return new Queue(
        {
          arn: `arn:aws:sqs:${place.region}:${place.account}:${name}`,
          url: `https://sqs.${place.region}.amazonaws.com/${place.account}/${name}`,
          visibility: Number(own['VisibilityTimeout']) * 1000,
          maxReceiveCount: Number((own['RedrivePolicy'] as Properties)['maxReceiveCount']),
          batchSize: Number(mapping['BatchSize']),
          concurrency: Number((mapping['ScalingConfig'] as Properties)['MaximumConcurrency']),
        },
        time,
        (event) => this.#invoke(practice, timeoutOf(practice), event),
        (body) => {
          const message = JSON.parse(body) as {
            readonly detail?: { readonly eventID: string };
            readonly subject: { readonly arn: string };
          };
          const key = message.detail?.eventID ?? message.subject.arn;
          this.handled.set(key, (this.handled.get(key) ?? new Map()).set(practice, time.now()));
        },
      );
    };
    const timeoutOf = (practice: Practice) =>
      Number(functions(stack).find(({ id }) => id === `Check${pascalCase(practice)}`)?.properties['Timeout']) * 1000;
    this.events = Object.fromEntries(checked.map((practice) => [practice, queue(practice, 'Events')])) as never;
    this.sweeps = Object.fromEntries(checked.map((practice) => [practice, queue(practice, 'Sweeps')])) as never;
    this.#patterns = checked.flatMap((practice) =>
      Object.entries(resources)
        .filter(([id, { Type }]) => Type === 'AWS::Events::Rule' && id.startsWith(`Check${pascalCase(practice)}On`))
        .map(([, { Properties: rule }]) => ({ practice, pattern: rule['EventPattern'] })),
    );
  }

  static async create(settings: Settings): Promise<Simulation> {
    const stack = deploy(settings.parameters);
    const variables = Object.assign({}, ...functions(stack).map((lambda) => lambda.variables)) as Readonly<Record<string, Value>>;
    const given = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)]));
    Object.assign(process.env, given, {
      AWS_REGION: place.region,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      // Its package would come over a wire that keeps no virtual time; its one call has no share of a quota.
      SecretInCodeMode: 'off',
      // Every alert by itself: how many come in a minute is another matter.
      DigestOver: '1000',
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      POWERTOOLS_METRICS_DISABLED: 'true',
    });
    // What it reads from its environment when it is loaded stands there now.
    const { checker } = await import('../../../handlers/check.ts');
    const made = new Simulation(settings, (practice, time) => checker(rulesOf[practice], undefined, time) as Handler);
    process.env['Queues'] = made.queues.map(({ settings: { url } }) => url).join(',');
    return made;
  }

  get queues(): readonly Queue[] {
    return [...Object.values(this.events), ...Object.values(this.sweeps)];
  }

  /** EventBridge: into the queue of every checker whose rules listen, one of fifty messages twice. @param among these alone */
  send(event: EventBody, among: readonly Practice[] = checked): void {
    const to = new Set(this.#patterns.filter(({ pattern }) => matches(pattern, event)).map(({ practice }) => practice));
    for (const practice of among) {
      if (!to.has(practice)) continue;
      this.events[practice].send(String(event['id']), JSON.stringify(event));
      if (this.#chance() < 0.02) this.events[practice].send(`${event['id']} once more`, JSON.stringify(event));
    }
  }

  /** Messages of a sweep, to every checker. */
  sweep(id: string, arns: readonly string[]): void {
    for (const arn of arns)
      for (const queue of Object.values(this.sweeps))
        queue.send(arn, JSON.stringify({ sweep: id, subject: { arn, type: 'AWS::Lambda::Function', ...place } }));
  }

  /** Whether every message was handled, or is dead. */
  readonly quiet = (): boolean => this.queues.every(({ waiting }) => waiting === 0);

  /** Somebody else's calls, so many a second of each quota, until then; what is throttled is not tried again. */
  async pipeline(perSecond: Readonly<Partial<Record<QuotaName, number>>>, until: () => boolean): Promise<void> {
    const random = randomFrom(4711);
    await Promise.all(
      Object.entries(perSecond).map(async ([name, rate]) => {
        while (!until()) {
          // Evenly, give or take a quarter.
          await this.#time.sleep((1000 / rate) * (0.75 + random() / 2));
          if (!this.#buckets[name as QuotaName].take(this.#time.now())) this.throttled.pipeline += 1;
        }
      }),
    );
  }

  async #invoke(practice: Practice, timeout: number, event: SQSEvent): Promise<SQSBatchResponse | undefined> {
    const invocation = { practice, ended: false };
    const began = this.#time.now();
    const context = {
      functionName: `guard-check-${practice}`,
      awsRequestId: 'r1',
      getRemainingTimeInMillis: () => Math.max(0, began + timeout - this.#time.now()),
    } as unknown as Context;
    const idle = this.#idle.get(practice) ?? [];
    this.#idle.set(practice, idle);
    const handler = idle.pop() ?? this.#start(practice);
    const { promise: timedOut, resolve } = Promise.withResolvers<undefined>();
    this.#time.at(began + timeout, () => resolve(undefined));
    const answer = await Promise.race([running.run(invocation, () => handler(event, context)).catch(() => undefined), timedOut]);
    this.billed += (this.#time.now() - began) / 1000;
    invocation.ended = true;
    if (answer !== undefined) idle.push(handler);
    return answer;
  }

  /** Half of them take less than p50, one in a hundred more than p99: a lognormal distribution. */
  #latency(p50: number, p99: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
    return p50 * Math.exp(normal * (Math.log(p99 / p50) / 2.326));
  }

  async #passes(milliseconds: number): Promise<void> {
    await this.#time.sleep(milliseconds);
    if (running.getStore()?.ended) await never;
  }

  async #answer(call: SdkCall, make: () => unknown): Promise<unknown> {
    const latency = this.#latency(30, 200);
    if (call.service === 'sqs') return this.#sqs(call);
    const quota = quotaOfCall(call);
    if (quota !== undefined) this.calls[quota].push(this.#time.now());
    await this.#passes(latency / 2);
    if (call.operation === 'PutEvents') return this.#put(call.input as never);
    if (quota !== undefined) {
      if (!this.#buckets[quota].take(this.#time.now()) && this.#throttles) {
        this.throttled.guard += 1;
        await this.#passes(latency / 2);
        throw awsError('TooManyRequestsException', 'Rate Exceeded.', 429);
      }
    }
    this.world.calls.length = 0;
    const answer = make();
    await this.#passes(latency / 2);
    return answer;
  }

  #put({ Entries }: { readonly Entries: readonly { readonly Detail: string }[] }): object {
    for (const { Detail } of Entries) void this.#notify(JSON.parse(Detail) as Alert);
    return { FailedEntryCount: 0, Entries: [] };
  }

  /** The notifier, which gets a message again where another delivery of it is under way. */
  async #notify(alert: Alert): Promise<void> {
    const send = async (sent: Alert) => void this.told.push({ alert: sent, at: this.#time.now() });
    try {
      await running.exit(() => notify(alert, send, this.#notifier));
    } catch (error) {
      if (errorKind(error) !== 'passing') throw error;
      await this.#time.sleep(15_000);
      await this.#notify(alert);
    }
  }

  async #sqs({ operation, input }: SdkCall): Promise<object> {
    await this.#passes(this.#latency(5, 20));
    const { QueueUrl, Entries, ReceiptHandle, VisibilityTimeout } = input as {
      readonly QueueUrl: string;
      readonly Entries?: readonly { readonly Id: string; readonly ReceiptHandle: string; readonly VisibilityTimeout: number }[];
      readonly ReceiptHandle: string;
      readonly VisibilityTimeout: number;
    };
    const queue = this.queues.find(({ settings: { url } }) => url === QueueUrl);
    if (queue === undefined) throw awsError('QueueDoesNotExist', QueueUrl);
    if (operation === 'ChangeMessageVisibility') {
      if (!queue.hide(ReceiptHandle, VisibilityTimeout * 1000)) throw awsError('ReceiptHandleIsInvalid', ReceiptHandle);
      return {};
    }
    if (operation === 'SendMessageBatch') {
      const entries = input['Entries'] as readonly { readonly Id: string; readonly MessageBody: string; readonly DelaySeconds?: number }[];
      for (const { MessageBody, DelaySeconds = 0 } of entries) queue.send(`put back ${this.putBack++}`, MessageBody, DelaySeconds * 1000);
      return { Successful: entries.map(({ Id }) => ({ Id })), Failed: [] };
    }
    if (operation !== 'ChangeMessageVisibilityBatch' || Entries === undefined) throw new Error(`the queues have no ${operation}`);
    const hidden = Entries.map((entry) => ({ Id: entry.Id, done: queue.hide(entry.ReceiptHandle, entry.VisibilityTimeout * 1000) }));
    return {
      Successful: hidden.filter(({ done }) => done),
      Failed: hidden.filter(({ done }) => !done).map(({ Id }) => ({ Id, Code: 'ReceiptHandleIsInvalid', SenderFault: true })),
    };
  }
}
