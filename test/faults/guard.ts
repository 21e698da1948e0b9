import './environment.ts';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { functionMetrics } from '../../aws/cloudwatch.ts';
import { queueArn } from '../../aws/sqs.ts';
import type { Change } from '../../guard/change.ts';
import type { Finding } from '../../guard/finding.ts';
import { remediate } from '../../guard/remediate.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { checker } from '../../handlers/check.ts';
import { handler as notify } from '../../handlers/notify.ts';
import { handler as tick } from '../../handlers/tick.ts';
import { queueHandler, wire } from '../../handlers/wire.ts';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { Table } from '../../ledger/table.ts';
import { rules } from '../../rules/index.ts';
import { matches } from '../house/pattern.ts';
import { deploy, ofType, type Properties, type Value } from '../house/template.ts';
import { place } from '../support/rule-test.ts';
import { Account, type BusEvent, type Process } from './account.ts';
import type { QueueName } from './environment.ts';
import type { Message, Queue } from './queue.ts';
import type { SetUp } from './set-ups.ts';

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>;

const stack = deploy({
  ...Object.fromEntries(rules.filter(({ fix }) => fix.length > 0).map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
  Deployers: 'arn:aws:iam::111122223333:role/pipeline',
});

const properties = (id: string): Properties => stack.resources[id]?.Properties ?? {};
const field = (value: Value | undefined, name: string): Value | undefined => (value as Properties | undefined)?.[name];

/** What the template gives a function and its queue. */
interface Deployed {
  readonly handler: Handler;
  readonly queue: Queue;
  /** Seconds. */
  readonly timeout: number;
  readonly visibility: number;
  readonly maxReceiveCount: number;
  /** Rules of the guard's bus that fill the queue. */
  readonly patterns: readonly (Value | undefined)[];
}

const day = 24 * 3600_000;
/** Longer than any test's guard is at work: what is still not quiet then goes round for ever. */
const mostSteps = 5_000;

/** The deployed guard with one rule in remediate, in an account of its own. */
export class Guard {
  readonly account = new Account();
  readonly rule: AnyRule;
  readonly setUp: SetUp;
  /** Every message for the remediator arrives twice at the same time. */
  twice = false;
  readonly #functions: Readonly<Record<QueueName, Deployed>>;

  private constructor(rule: AnyRule, setUp: SetUp) {
    this.rule = rule;
    this.setUp = setUp;
    const name = pascalCase(rule.id);
    this.#functions = {
      check: this.#deployed(`Check${pascalCase(rule.practice)}`, 'Events', 'check', checker([rule])),
      remediate: this.#deployed(`Remediate${name}`, 'Findings', 'remediate', remediatorOf(rule)),
      notify: this.#deployed('Notify', 'Alerts', 'notify', notify),
    };
    this.account.hear = (event) => this.#hear(event);
  }

  /** Deploys it, and lets somebody break the rule. */
  static async deploy(rule: AnyRule, setUp: SetUp): Promise<Guard> {
    const guard = new Guard(rule, setUp);
    const { ledger } = guard;
    await ledger.recordSweep('sweep 1', guard.account.world.now);
    await setUp.arrange(guard.account.world, ledger);
    guard.account.queues.check.send(setUp.event);
    return guard;
  }

  /** The ledger, for a test's own questions. */
  readonly ledger = new DynamoLedger(new Table('ledger', place));

  /** Lets the checker find what is wrong. */
  async found(): Promise<Finding> {
    while (await this.#deliver('check')) {}
    const finding = (await this.findings())[0];
    if (finding === undefined) throw new Error('the checker found nothing');
    return finding;
  }

  async findings(): Promise<readonly Finding[]> {
    return await Array.fromAsync(this.ledger.findings({}));
  }

  async changes(): Promise<readonly Change[]> {
    return await Array.fromAsync(this.ledger.changes());
  }

  /** Delivers every message, and lets the minutes pass, until there is no message left and nothing is due for a day. */
  async untilQuiet(): Promise<void> {
    const end = this.account.world.now + day;
    for (let step = 0; step < mostSteps; step += 1) {
      if (await this.#step()) continue;
      const next = this.#next();
      if (next === undefined || next > end) return;
      this.account.world.advance(Math.max(0, next - this.account.world.now) / 1000);
    }
    throw new Error('it goes round for ever');
  }

  /** An operator moves the dead letters back. */
  redrive(): void {
    for (const queue of Object.values(this.account.queues)) queue.redrive();
  }

  get deadLetters(): number {
    return Object.values(this.account.queues).reduce((sum, { deadLetters }) => sum + deadLetters.length, 0);
  }

  async #step(): Promise<boolean> {
    for (const name of ['check', 'remediate', 'notify'] as const) if (await this.#deliver(name)) return true;
    if (!this.#dueAt().some((dueAt) => dueAt <= this.account.world.now)) return false;
    const { process, error } = await this.account.run('tick', tick);
    // The next minute's tick goes on.
    if (process.dead || error !== undefined) this.account.world.advance(60);
    return true;
  }

  #dueAt(): readonly number[] {
    return this.account.table.items.flatMap(({ dueKey, dueAt }) => (dueKey === 'due' ? [Number(dueAt)] : []));
  }

  #next(): number | undefined {
    const visible = Object.values(this.account.queues).flatMap(({ messages }) => messages.map(({ visibleAt }) => visibleAt));
    const moments = [...visible, ...this.#dueAt()];
    return moments.length === 0 ? undefined : Math.min(...moments);
  }

  /** Delivers one message of a queue. @returns whether there was one */
  async #deliver(name: QueueName): Promise<boolean> {
    const { queue, handler, timeout, visibility, maxReceiveCount } = this.#functions[name];
    const message = queue.receive(visibility, maxReceiveCount);
    if (message === undefined) return false;
    const event = eventOf(message, queue);
    const context = { functionName: `guard-${name}`, getRemainingTimeInMillis: () => timeout * 1000 } as unknown as Context;
    const delivery = `${message.id} ${message.received}`;
    const ends = [this.account.run(name, async () => await handler(event, context), delivery)];
    if (this.twice && name === 'remediate') {
      // Lambda runs it in another environment, with a memory of its own.
      const other = remediatorOf(this.rule);
      ends.push(this.account.run('remediate again', async () => await other(event, context), delivery));
    }
    if ((await Promise.all(ends)).some(({ process, answer }) => isDone(process, answer))) queue.delete(message);
    return true;
  }

  #deployed(id: string, queueId: string, queue: QueueName, handler: Handler): Deployed {
    const { VisibilityTimeout, RedrivePolicy } = properties(`${id}${queueId}`);
    const target = `\${${id}${queueId}.Arn}`;
    return {
      handler,
      queue: this.account.queues[queue],
      timeout: Number(properties(id)['Timeout'] ?? stack.globals['Timeout']),
      visibility: Number(VisibilityTimeout),
      maxReceiveCount: Number(field(RedrivePolicy, 'maxReceiveCount')),
      patterns: ofType(stack, 'AWS::Events::Rule').flatMap(([, { EventBusName, EventPattern, Targets }]) =>
        EventBusName === '${GuardBus}' && (Targets as readonly Value[]).some((one) => field(one, 'Arn') === target) ? [EventPattern] : [],
      ),
    };
  }

  #hear(event: BusEvent): void {
    for (const { queue, patterns } of Object.values(this.#functions))
      if (patterns.some((pattern) => matches(pattern, event))) queue.send(event);
  }
}

/** As handlers/remediate.ts, which reads its rule from the environment when it is loaded. */
function remediatorOf(rule: AnyRule): Handler {
  const ports = wire([rule]);
  const metrics = (arn: string, from: number, to: number) => functionMetrics(ports.config.home, arn, from, to);
  return queueHandler(async (body) => {
    const { detail } = body as { detail: { findingId: string } };
    await remediate(detail.findingId, rule, { ...ports, metrics });
  });
}

function isDone({ dead }: Process, answer: SQSBatchResponse | undefined): boolean {
  return !dead && answer !== undefined && answer.batchItemFailures.length === 0;
}

function eventOf({ id, body, received }: Message, { url }: Queue): SQSEvent {
  const record = {
    messageId: id,
    receiptHandle: id,
    body,
    attributes: { ApproximateReceiveCount: String(received) },
    eventSourceARN: queueArn(place, url),
    awsRegion: place.region,
  };
  return { Records: [record as unknown as SQSRecord] };
}
