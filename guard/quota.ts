import { QuotaUsedUp } from './errors.ts';
import type { Ledger } from './ledger.ts';

/** Calls that are leased at a time, so that the ledger is asked once for five calls. */
const leasedAtOnce = 5;

/** How long a running function waits for a lease before its message goes back to the queue, and how often it asks: milliseconds. */
const patience = 20_000;
const pause = 500;

interface QuotaSettings {
  readonly perSecond: number;
  /** Milliseconds' worth of calls that may be taken at once; none for sweeps, so that events overtake them. */
  readonly burst: number;
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/**
 * The guard's share of a quota that is small and common to the whole account. Every caller takes its calls one by one
 * and waits where the share is used up.
 * @throws RetryLater where the wait would be too long for a function that is running
 */
export function quotaOf(ledger: Pick<Ledger, 'lease'>, { perSecond, burst, now, sleep }: QuotaSettings): (name: string) => Promise<void> {
  const left = new Map<string, number>();
  const turns = new Map<string, Promise<void>>();
  const take = async (name: string) => {
    const have = left.get(name) ?? 0;
    if (have > 0) {
      left.set(name, have - 1);
      return;
    }
    const end = now() + patience;
    while (!(await ledger.lease(name, leasedAtOnce, perSecond, now(), burst))) {
      if (now() > end) throw new QuotaUsedUp(`the quota ${name} is used up for now`);
      await sleep(pause);
    }
    left.set(name, leasedAtOnce - 1);
  };
  // A batch is handled side by side: whoever comes second waits for the lease of the first.
  return (name) => {
    const turn = (turns.get(name) ?? Promise.resolve()).catch(() => undefined).then(() => take(name));
    turns.set(name, turn);
    return turn;
  };
}

/** A control-plane quota that is scarce, and the service whose share of it the guard keeps to. */
export interface Quota {
  readonly name: string;
  readonly service: 'lambda' | 'apigateway';
}

/**
 * Which quota a call counts against; undefined for one that is not scarce (GetFunction: 100 per second). All calls of API
 * Gateway, REST and HTTP APIs alike, share one of ten a second.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html#api-gateway-control-service-limits-table
 */
export function scarce({ service, name }: { readonly service: string; readonly name: string }): Quota | undefined {
  if (service === 'apigateway') return { name: 'apigateway', service };
  if (service !== 'lambda' || name === 'getFunction' || name === 'getDecryptedFunction') return undefined;
  return { name: name === 'getPolicy' ? 'lambda-policy' : 'lambda', service };
}
