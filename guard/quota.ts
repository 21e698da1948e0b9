import type { AnyCall } from './call.ts';
import { QuotaUsedUp } from './errors.ts';
import type { Ledger } from './ledger.ts';

/** Calls that are leased at a time, at most: as many as wait side by side. */
const leasedAtOnce = 5;

/** How long somebody waits for a lease before the message goes back to the queue, and how often it is asked for: milliseconds. */
const patience = 30_000;
const pause = 500;

/** Who may have how much of a share. */
export interface Rank {
  /** A message that has made no call yet begins where at most so many milliseconds' worth of calls is promised to others. */
  readonly ahead: number;
  /** Otherwise it comes back after so many seconds. */
  readonly away: number;
}

/** Events begin while others are at work, but so few at a time that whatever was begun is soon over. */
export const ofEvents: Rank = { ahead: 2_000, away: 15 };
/** Sweeps begin when nobody waits for a call: events overtake them. An event or two does not last long, a flood of them for hours. */
export const ofSweeps: Rank = { ahead: 0, away: 120 };

interface QuotaSettings {
  readonly perSecond: number;
  readonly rank: Rank;
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/** Waits until a call may be made. `begun`: for a message that has made such a call already, which is let through before others begin. */
type Take = (name: string, begun: boolean) => Promise<void>;

interface Waiter {
  readonly since: number;
  readonly goesAt: (moment: number) => void;
  readonly givesUp: (error: unknown) => void;
}

/**
 * The guard's share of a quota that is small and common to the whole account: calls come one after the other, evenly, all
 * functions of the guard together; who was idle may make a second's worth of them at once.
 * @throws RetryLater where the wait would be too long for a function that is running
 */
export function quotaOf(ledger: Pick<Ledger, 'lease'>, { perSecond, rank, now, sleep }: QuotaSettings): Take {
  const apart = 1000 / perSecond;
  const atOnce = Math.max(0, 1000 - apart);
  const lines = new Map<string, Waiter[]>();
  // Whoever waits side by side in one function is leased for in one go.
  const serve = async (key: string, line: Waiter[], name: string, ahead: number) => {
    lines.set(key, line);
    try {
      // Those who come in the same moment stand in line first.
      await undefined;
      while (line.length > 0) {
        const calls = Math.min(line.length, leasedAtOnce);
        const from = await ledger.lease(name, calls, perSecond, now(), ahead);
        if (from !== undefined) {
          for (const [place, waiter] of line.splice(0, calls).entries()) waiter.goesAt(from + place * apart - atOnce);
          continue;
        }
        while (line[0] !== undefined && now() - line[0].since >= patience)
          line.shift()?.givesUp(new QuotaUsedUp(`the quota ${name} is used up for now`, rank.away));
        if (line.length > 0) await sleep(pause);
      }
    } catch (error) {
      for (const waiter of line.splice(0)) waiter.givesUp(error);
    }
    lines.delete(key);
  };
  return async (name, begun) => {
    const key = `${name} ${begun}`;
    const moment = await new Promise<number>((goesAt, givesUp) => {
      const waiter = { since: now(), goesAt, givesUp };
      const line = lines.get(key);
      if (line !== undefined) line.push(waiter);
      else void serve(key, [waiter], name, begun ? patience : rank.ahead);
    });
    const wait = moment - now();
    if (wait > 0) await sleep(wait);
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
export function scarce({ service, name, operation = name }: Pick<AnyCall, 'service' | 'name' | 'operation'>): Quota | undefined {
  if (service === 'apigateway') return { name: 'apigateway', service };
  const called = operation.toLowerCase();
  if (service !== 'lambda' || called === 'getfunction') return undefined;
  return { name: called === 'getpolicy' ? 'lambda-policy' : 'lambda', service };
}
