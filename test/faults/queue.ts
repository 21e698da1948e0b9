import { type QueueName, urlOf } from './environment.ts';

export interface Message {
  readonly id: string;
  readonly body: string;
  /** The message can be received from then on: milliseconds. */
  visibleAt: number;
  received: number;
}

/** A queue as Lambda polls it: what is not deleted comes back, and in the end lies among the dead letters. */
export class Queue {
  readonly url: string;
  readonly name: QueueName;
  messages: Message[] = [];
  deadLetters: Message[] = [];
  readonly #now: () => number;
  #sent = 0;

  constructor(name: QueueName, now: () => number) {
    this.name = name;
    this.url = urlOf(name);
    this.#now = now;
  }

  send(body: unknown): void {
    this.#sent += 1;
    this.messages.push({ id: `${this.name}-${this.#sent}`, body: JSON.stringify(body), visibleAt: this.#now(), received: 0 });
  }

  /** The next message that can be received, which is hidden from others for so many seconds. */
  receive(visibility: number, maxReceiveCount: number): Message | undefined {
    for (const message of this.messages.filter(({ visibleAt }) => visibleAt <= this.#now())) {
      if (message.received >= maxReceiveCount) {
        this.delete(message);
        this.deadLetters.push(message);
        continue;
      }
      message.received += 1;
      message.visibleAt = this.#now() + visibility * 1000;
      return message;
    }
    return undefined;
  }

  /** @returns whether the receipt is one of this queue's */
  hide(receipt: string, seconds: number): boolean {
    const message = this.messages.find(({ id }) => id === receipt);
    if (message === undefined) return false;
    message.visibleAt = this.#now() + seconds * 1000;
    return true;
  }

  delete(message: Message): void {
    this.messages = this.messages.filter((one) => one !== message);
  }

  /** Moves the dead letters back, as an operator does. */
  redrive(): void {
    for (const message of this.deadLetters) this.messages.push({ ...message, received: 0, visibleAt: this.#now() });
    this.deadLetters = [];
  }
}
