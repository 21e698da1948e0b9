import type { Principal } from '../support/stack.ts';

/** One API call, as the bench saw it. */
export interface SeenCall {
  readonly seq: number;
  readonly service: string;
  readonly operation: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly principalArn: string;
  readonly functionName?: string;
  /** The partition keys of a call of DynamoDB. */
  readonly keys?: readonly string[];
  readonly status: number;
  readonly errorCode?: string;
}

export interface Denial {
  readonly principalArn: string;
  readonly action: string;
  readonly resource: string;
}

// biome-ignore lint/suspicious/noExplicitAny: CloudTrail records differ by operation
export type TrailRecord = any;

/** What the emulated account saw, and its clock. */
export class Bench {
  readonly #endpoint: string;

  constructor({ endpoint }: Pick<Principal, 'endpoint'>) {
    this.#endpoint = endpoint;
  }

  async #get<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.#endpoint}/_bench/${path}`)).json()) as T;
  }

  /** Calls after a mark, and the mark to ask with next. */
  async calls(since = 0): Promise<{ readonly next: number; readonly calls: readonly SeenCall[] }> {
    return await this.#get(`calls?since=${since}`);
  }

  async now(): Promise<number> {
    return (await this.calls(Number.MAX_SAFE_INTEGER)).next;
  }

  async denied(): Promise<readonly Denial[]> {
    return (await this.#get<{ denied: readonly Denial[] }>('denied')).denied;
  }

  async undelivered(): Promise<readonly unknown[]> {
    return (await this.#get<{ undelivered: readonly unknown[] }>('undelivered')).undelivered;
  }

  async records(): Promise<readonly TrailRecord[]> {
    return (await this.#get<{ records: readonly TrailRecord[] }>('records')).records;
  }

  /** The next call of this kind fails. */
  async fail(fault: {
    readonly service: string;
    readonly operation: string;
    readonly errorCode: string;
    readonly status: number;
    readonly principalMatches: string;
  }): Promise<void> {
    await fetch(`${this.#endpoint}/_bench/faults`, { method: 'POST', body: JSON.stringify({ times: 1, ...fault }) });
  }

  /** A scheduled rule is due now. */
  async fire(name: string): Promise<void> {
    const answer = await fetch(`${this.#endpoint}/_bench/fire`, { method: 'POST', body: JSON.stringify({ name }) });
    const { fired } = (await answer.json()) as { fired: readonly string[] };
    if (fired.length === 0) throw new Error(`There is no schedule ${name}.`);
  }

  /** Waits until nothing of the guard has called anything for a while: every message is then handled. */
  async quiet(prefix: string, { milliseconds = 700, seconds = 120 } = {}): Promise<void> {
    const end = Date.now() + seconds * 1000;
    let mark = await this.now();
    let since = Date.now();
    while (Date.now() - since < milliseconds) {
      if (Date.now() > end) throw new Error(`The guard was not quiet within ${seconds} s.`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { next, calls } = await this.calls(mark);
      mark = next;
      if (calls.some(({ functionName = '' }) => functionName.startsWith(prefix))) since = Date.now();
    }
  }
}
