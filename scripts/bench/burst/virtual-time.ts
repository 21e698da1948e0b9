import { setTimeout as later } from 'node:timers';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Clock } from '../../../handlers/wire.ts';

export interface Time extends Clock {
  /** Lets something happen at a moment. */
  readonly at: (moment: number, fire: () => void) => void;
}

/** Time as it passes. */
export const realTime: Time = {
  now: Date.now,
  sleep: async (milliseconds) => void (await setTimeout(milliseconds)),
  at: (moment, fire) => void later(fire, moment - Date.now()).unref(),
};

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/**
 * Time that passes only when nobody has anything left to do: what waits for a moment goes on at that moment, in the order in
 * which it began to wait. Two runs from the same seed are the same, and an hour takes as long as its work.
 */
export class VirtualTime implements Time {
  #now: number;
  /** A heap: the earliest timer is the first, and of those of one moment the one that was set first. */
  readonly #timers: (Timer & { readonly order: number })[] = [];
  #order = 0;

  constructor(start: number) {
    this.#now = start;
  }

  readonly now = (): number => this.#now;

  readonly sleep = (milliseconds: number): Promise<void> => new Promise((wake) => this.at(this.#now + milliseconds, wake));

  at(moment: number, fire: () => void): void {
    const timer = { at: Math.max(Math.ceil(moment), this.#now), fire, order: this.#order++ };
    let place = this.#timers.push(timer) - 1;
    for (let parent = (place - 1) >> 1; place > 0 && before(timer, this.#timers[parent]); place = parent, parent = (place - 1) >> 1)
      this.#timers[place] = this.#timers[parent] as typeof timer;
    this.#timers[place] = timer;
  }

  /** Lets time pass until `done`, or nothing waits for any moment. */
  async passes(done: () => boolean): Promise<void> {
    // Promises are settled before an immediate runs.
    for (await setImmediate(); !done(); await setImmediate()) {
      const next = this.#first();
      if (next === undefined) return;
      this.#now = next.at;
      next.fire();
      for (let also = this.#timers[0]; also?.at === this.#now; also = this.#timers[0]) this.#first()?.fire();
    }
  }

  /** Lets time pass up to a moment. */
  async until(moment: number): Promise<void> {
    let reached = false;
    this.at(moment, () => {
      reached = true;
    });
    await this.passes(() => reached);
  }

  #first(): Timer | undefined {
    const [first] = this.#timers;
    const last = this.#timers.pop();
    if (first === undefined || last === undefined || this.#timers.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (before(this.#timers[child + 1], this.#timers[child])) child += 1;
      if (!before(this.#timers[child], last)) break;
      this.#timers[place] = this.#timers[child] as typeof last;
      place = child;
    }
    this.#timers[place] = last;
    return first;
  }
}

type Ordered = { readonly at: number; readonly order: number } | undefined;

function before(one: Ordered, other: Ordered): boolean {
  if (one === undefined || other === undefined) return other === undefined && one !== undefined;
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
