import { stage } from '../../../test/e2e/stage.ts';
import { createAdministrator, environmentOf, type Principal } from '../../../test/support/stack.ts';
import { type CustodianPolicy, custodianPolicy, type EventPolicy, eventPolicies } from '../peers/custodian.ts';

/** What one event cost one policy. */
export interface Run {
  readonly milliseconds: number;
  /** Calls of AWS. */
  readonly calls: number;
  /** ARNs. */
  readonly matched: readonly string[];
  /** Why the invocation failed, if it did. */
  readonly error?: string;
}

/** An event as EventBridge delivers it. */
export interface Envelope {
  readonly detail: {
    readonly eventID: string;
    readonly eventSource: string;
    readonly eventName: string;
    readonly requestParameters?: Readonly<Record<string, unknown>> | null;
  };
}

/** Cloud Custodian in event mode: a function for each policy, which is warm once it has run. */
export class Custodian {
  readonly #policies: readonly EventPolicy[];
  readonly #as: Principal;
  readonly #warm = new Map<string, CustodianPolicy>();

  private constructor(policies: readonly EventPolicy[], as: Principal) {
    this.#policies = policies;
    this.#as = as;
  }

  static async start(): Promise<Custodian> {
    return new Custodian(await eventPolicies(), await createAdministrator(stage.root, 'custodian'));
  }

  /** The policies whose functions this event starts, and the rules that ask the same. */
  startedBy({ detail }: Envelope): readonly EventPolicy[] {
    return this.#policies.filter(({ events }) =>
      events.some(({ source, event }) => source === detail.eventSource && event === detail.eventName),
    );
  }

  /** By a function that is warm, or becomes it. */
  async handle(policy: string, envelope: Envelope): Promise<Run> {
    const known = this.#warm.get(policy) ?? (await custodianPolicy(policy, environmentOf(this.#as)));
    this.#warm.set(policy, known);
    const mark = await stage.bench.now();
    const told = await known.event(envelope);
    const { calls } = await stage.bench.calls(mark);
    return { ...told, calls: calls.filter(({ principalArn }) => principalArn.endsWith(':user/custodian')).length };
  }

  /** By a function that has to start: milliseconds of its import and of the event. */
  async cold(policy: string, envelope: Envelope): Promise<{ readonly imported: number; readonly first: number }> {
    const fresh = await custodianPolicy(policy, environmentOf(this.#as));
    try {
      const { milliseconds } = await fresh.event(envelope);
      return { imported: fresh.importMilliseconds, first: milliseconds };
    } finally {
      await fresh.end();
    }
  }

  async end(): Promise<void> {
    for (const policy of this.#warm.values()) await policy.end();
    this.#warm.clear();
  }
}
