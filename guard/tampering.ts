import type { ApiEvent } from './cloudtrail.ts';
import type { Estate } from './estate.ts';

export const tamperedRule = 'guard-tampered';

/** What was done to a thing of the guard that nobody but its operators and deployers may do. */
export interface Tampering {
  /** `iam:PutRolePolicy` */
  readonly call: string;
  /** CloudTrail's eventID. */
  readonly event: string;
  readonly time: string;
  /** Who did it, and from where. */
  readonly by: string;
  readonly sourceIp: string;
}

/** What is known of a thing: the last tampering, and until when all is forgiven because one who may change it did so since. */
interface Record {
  readonly tampering?: Tampering;
  readonly until?: string;
}

export function tamperingOf({ service, operation, id, time, actor }: ApiEvent): Tampering {
  return { call: `${service}:${operation}`, event: id, time, by: actor.arn, sourceIp: actor.sourceIp };
}

export async function knownOf(estate: Pick<Estate, 'kept'>, arn: string): Promise<Record> {
  return ((await estate.kept(tamperedRule, arn))?.state ?? {}) as Record;
}

/** Keeps it beyond the event: no state of a policy, a pattern or a piece of code says who made it so. */
export async function recordTampering(
  estate: Pick<Estate, 'kept' | 'recordKept'>,
  arn: string,
  event: ApiEvent,
  now: number,
): Promise<Record> {
  const known = await knownOf(estate, arn);
  // Delivered once more, or overtaken by somebody who may change it and did.
  if (known.tampering?.event === event.id || event.time < (known.until ?? '')) return known;
  const next = { ...known, tampering: tamperingOf(event) };
  await estate.recordKept(tamperedRule, arn, { state: next, asOf: now });
  return next;
}

/** Somebody who may change it did so: what was there before is theirs now. */
export async function forgive(estate: Pick<Estate, 'kept' | 'recordKept'>, arn: string, event: ApiEvent, now: number): Promise<Record> {
  const known = await knownOf(estate, arn);
  const isLater = known.tampering === undefined ? /^Delete/.test(event.operation) : event.time >= known.tampering.time;
  if (!isLater) return known;
  const next = { until: event.time };
  await estate.recordKept(tamperedRule, arn, { state: next, asOf: now });
  return next;
}
