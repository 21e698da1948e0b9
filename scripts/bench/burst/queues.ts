import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type { Time } from './virtual-time.ts';

/** What the template says of a queue and of how Lambda takes from it. */
export interface QueueSettings {
  readonly arn: string;
  readonly url: string;
  /** Milliseconds. */
  readonly visibility: number;
  readonly maxReceiveCount: number;
  readonly batchSize: number;
  readonly concurrency: number;
}

interface Message {
  readonly id: string;
  readonly body: string;
  received: number;
  visibleAt: number;
}

/**
 * A queue of SQS and Lambda's poller of it: what is received is hidden for the visibility timeout, comes again where it was not
 * deleted, and goes to the dead letters after so many times.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
 */
export class Queue {
  readonly settings: QueueSettings;
  readonly dead: Message[] = [];
  /** How often each message that was handled had to be received. */
  readonly receives: number[] = [];
  readonly #messages = new Map<string, Message>();
  #visible: Message[] = [];
  #taken = 0;
  #running = 0;
  #looking = false;
  readonly #time: Time;
  readonly #invoke: (event: SQSEvent) => Promise<SQSBatchResponse | undefined>;
  readonly #handled: (body: string) => void;

  /** @param invoke undefined where the function failed or was ended */
  constructor(
    settings: QueueSettings,
    time: Time,
    invoke: (event: SQSEvent) => Promise<SQSBatchResponse | undefined>,
    handled: (body: string) => void,
  ) {
    this.settings = settings;
    this.#time = time;
    this.#invoke = invoke;
    this.#handled = handled;
  }

  /** Messages that are neither handled nor dead. */
  get waiting(): number {
    return this.#messages.size;
  }

  send(id: string, body: string, delay = 0): void {
    const message = { id, body, received: 0, visibleAt: this.#time.now() + delay };
    this.#messages.set(id, message);
    if (delay === 0) this.#appears(message);
    else this.#waitsFor(message);
  }

  /** Hides a message that is in flight until then. @returns whether the receipt is that of its latest delivery */
  hide(receipt: string, milliseconds: number): boolean {
    const message = this.#messages.get(receipt.slice(0, receipt.lastIndexOf('#')));
    if (message === undefined || receipt !== receiptOf(message)) return false;
    message.visibleAt = this.#time.now() + milliseconds;
    this.#waitsFor(message);
    return true;
  }

  #waitsFor(message: Message): void {
    const { visibleAt } = message;
    this.#time.at(visibleAt, () => {
      if (message.visibleAt === visibleAt && this.#messages.has(message.id)) this.#appears(message);
    });
  }

  #appears(message: Message): void {
    this.#visible.push(message);
    if (this.#looking) return;
    this.#looking = true;
    this.#time.at(this.#time.now(), () => {
      this.#looking = false;
      this.#poll();
    });
  }

  #poll(): void {
    while (this.#running < this.settings.concurrency) {
      const batch = this.#receive();
      if (batch.length === 0) return;
      this.#running += 1;
      void this.#handle(batch);
    }
  }

  #receive(): readonly Message[] {
    const batch: Message[] = [];
    while (batch.length < this.settings.batchSize) {
      const message = this.#visible[this.#taken];
      if (message === undefined) break;
      this.#taken += 1;
      if (message.received >= this.settings.maxReceiveCount) {
        this.#messages.delete(message.id);
        this.dead.push(message);
        continue;
      }
      message.received += 1;
      message.visibleAt = this.#time.now() + this.settings.visibility;
      this.#waitsFor(message);
      batch.push(message);
    }
    if (this.#taken > 1_000) this.#visible = this.#visible.slice(this.#taken);
    if (this.#taken > 1_000) this.#taken = 0;
    return batch;
  }

  async #handle(batch: readonly Message[]): Promise<void> {
    const answer = await this.#invoke({ Records: batch.map((message) => recordOf(message, this.settings.arn)) });
    this.#running -= 1;
    const failed = new Set(answer?.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    for (const message of batch) {
      if (answer === undefined || failed.has(message.id) || !this.#messages.delete(message.id)) continue;
      this.receives.push(message.received);
      this.#handled(message.body);
    }
    this.#poll();
  }
}

function receiptOf({ id, received }: Message): string {
  return `${id}#${received}`;
}

function recordOf(message: Message, eventSourceARN: string): SQSRecord {
  return {
    messageId: message.id,
    receiptHandle: receiptOf(message),
    body: message.body,
    attributes: { ApproximateReceiveCount: String(message.received) },
    messageAttributes: {},
    eventSource: 'aws:sqs',
    eventSourceARN,
    awsRegion: eventSourceARN.split(':')[3] ?? '',
  } as unknown as SQSRecord;
}
