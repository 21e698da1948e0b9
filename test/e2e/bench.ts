import { type Principal, patience } from '../support/stack.ts';

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
  /** The kind of the fault that the call suffered. */
  readonly fault?: Fault['kind'];
}

export interface Denial {
  readonly principalArn: string;
  readonly action: string;
  readonly resource: string;
}

/**
 * What calls are to suffer. Those that match are counted, and `times` of them (1), beginning with the one that is number
 * `first` (1), suffer it.
 */
export interface Fault {
  /**
   * `throttling`, `unavailable` (5xx), `denied` and `conflict` are answered with the service's own error, `error` with
   * `errorCode`, `status`, `message` and `members`. `partial` refuses `entries` of PutEvents or SendMessageBatch (by their
   * index, the last one), `slow` answers after so many `seconds`, `reset` resets the connection, and `kill` ends the process
   * of the function that called once the call is made.
   */
  readonly kind: 'error' | 'throttling' | 'unavailable' | 'denied' | 'conflict' | 'partial' | 'slow' | 'reset' | 'kill';
  /** As the request is signed: `lambda`, `monitoring`, or `*`. */
  readonly service: string;
  readonly operation?: string;
  /** What the request's parameters hold somewhere. */
  readonly resource?: string;
  /** The function whose calls are meant. */
  readonly function?: string;
  /** What the ARN of the principal holds somewhere. */
  readonly principalMatches?: string;
  readonly first?: number;
  readonly times?: number;
  /** The call is made, and only its answer is lost. */
  readonly after?: boolean;
  readonly seconds?: number;
  readonly entries?: readonly number[];
  readonly errorCode?: string;
  readonly status?: number;
  readonly message?: string;
  readonly members?: Readonly<Record<string, unknown>>;
}

/** A data point in AWS/Lambda. */
export interface FunctionMetric {
  readonly function: string;
  readonly metric: 'Invocations' | 'Errors' | 'Throttles' | 'DeadLetterErrors' | 'IteratorAge' | 'Duration';
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Functions to be made at once, each with a role of its own that has its name, trusts as `trust` says and has one managed policy. */
export interface ManyFunctions {
  /** The parameters of CreateFunction, but the role; a package is in Base64. */
  readonly functions: readonly {
    readonly FunctionName: string;
    readonly Code: { readonly ZipFile: string };
    readonly [more: string]: unknown;
  }[];
  readonly trust: string;
  readonly policy: string;
}

/** What CreateFunction answers. */
interface MadeFunction {
  readonly FunctionArn: string;
  readonly Role: string;
  readonly LastModified: string;
  readonly VpcConfig?: unknown;
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

  async #send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.#endpoint}/_bench/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`The bench refuses ${path}: ${await answer.text()}`);
    return (await answer.json()) as T;
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

  async undelivered(): Promise<readonly { readonly time: string }[]> {
    return (await this.#get<{ undelivered: readonly { readonly time: string }[] }>('undelivered')).undelivered;
  }

  async records(): Promise<readonly TrailRecord[]> {
    return (await this.#get<{ records: readonly TrailRecord[] }>('records')).records;
  }

  /** Calls to come suffer this. */
  async fault(fault: Fault): Promise<void> {
    await this.#send('POST', 'faults', fault);
  }

  /** The faults so far, with how many calls matched each of them, and how many suffered it. */
  async faults(): Promise<readonly (Fault & { readonly seen: number; readonly used: number })[]> {
    return (await this.#get<{ faults: readonly (Fault & { readonly seen: number; readonly used: number })[] }>('faults')).faults;
  }

  /** No call suffers anything any more, or none that names a resource. */
  async noFaults(resource?: string): Promise<void> {
    await this.#send('DELETE', resource === undefined ? 'faults' : `faults?resource=${encodeURIComponent(resource)}`);
  }

  /** The next call of this kind fails. */
  async fail(fault: {
    readonly service: string;
    readonly operation: string;
    readonly errorCode: string;
    readonly status: number;
    readonly principalMatches: string;
  }): Promise<void> {
    await this.fault({ kind: 'error', ...fault });
  }

  /** What CloudWatch is to know of functions, at any time in the last two weeks. */
  async metrics(points: readonly FunctionMetric[]): Promise<void> {
    await this.#send('POST', 'metrics', points);
  }

  /** Makes functions as CreateRole, AttachRolePolicy and CreateFunction do, in one request that nobody hears of. CreateFunction's answers. */
  async functions(many: ManyFunctions): Promise<readonly MadeFunction[]> {
    return (await this.#send<{ functions: readonly MadeFunction[] }>('POST', 'functions', many)).functions;
  }

  /** The visibility timeout of whatever a queue has given out is over: how many messages come again. */
  async redeliver(queue: string): Promise<number> {
    return (await this.#send<{ redelivered: number }>('POST', 'redeliver', { queue })).redelivered;
  }

  /** A scheduled rule is due now. */
  async fire(name: string): Promise<void> {
    const { fired } = await this.#send<{ fired: readonly string[] }>('POST', 'fire', { name });
    if (fired.length === 0) throw new Error(`There is no schedule ${name}.`);
  }

  /** Waits until nothing of the guard has been at work for a while: every message is then handled. Who waits for a quota is at work. */
  async quiet(prefix: string, { milliseconds = 700, seconds = patience } = {}): Promise<void> {
    const end = Date.now() + seconds * 1000;
    let mark = await this.now();
    let since = Date.now();
    while (Date.now() - since < milliseconds) {
      if (Date.now() > end) throw new Error(`The guard was not quiet within ${seconds} s.`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { next, calls } = await this.calls(mark);
      mark = next;
      const { running } = await this.#get<{ running: readonly string[] }>('running');
      const working = [...running, ...calls.map(({ functionName = '' }) => functionName)];
      if (working.some((name) => name.startsWith(prefix))) since = Date.now();
    }
  }
}
