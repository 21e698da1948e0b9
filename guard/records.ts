import { detailTypes, operationOf, serviceOf } from './cloudtrail.ts';
import type { AnyRule } from './rule.ts';
import { tagOperations } from './tags.ts';

/** Which records rules listen to. */
export interface Wanted {
  /**
   * Whether one of them may be in these bytes. Never no where it is one: CloudTrail writes its own names as they are. What
   * only speaks of such a call, in a request, may be taken for one, and is told by whoever parses it.
   */
  readonly mayBeIn: (record: Buffer) => boolean;
  /** Whether it is one. */
  readonly is: (event: RecordedEvent) => boolean;
}

/** An event as EventBridge delivers it, with what tells events apart. */
export interface RecordedEvent {
  readonly 'detail-type': string;
  readonly source: string;
  readonly account: string;
  readonly region: string;
  readonly time: string;
  readonly detail: Readonly<Record<string, unknown>> & { readonly eventName: string; readonly eventSource: string };
}

/** `eventName` and `EventName`, also in a text within JSON. */
const nameKey = Buffer.from('ventName');
const sourceKey = Buffer.from('ventSource');

/** What rules listen to: `lambda CreateFunction`. */
export interface Heard {
  readonly calls: readonly string[];
  /** Events that services write of their own doing. */
  readonly ofServices: readonly string[];
}

export function heardBy(rules: readonly AnyRule[]): Heard {
  const triggers = rules.flatMap((rule) => [...rule.on]);
  const [calls, ofServices] = [new Set<string>(), new Set<string>()];
  for (const { service, operations, ofService } of triggers)
    for (const operation of operations) (ofService === true ? ofServices : calls).add(`${service} ${operation}`);
  // Tags may exempt whatever the rules find on a resource of the service.
  for (const [service, operations] of Object.entries(tagOperations))
    if (triggers.some((trigger) => trigger.service === service)) for (const operation of operations) calls.add(`${service} ${operation}`);
  return { calls: [...calls].sort(), ofServices: [...ofServices].sort() };
}

export function wantedBy(heard: Heard): Wanted {
  const byKind = { call: new Set(heard.calls), service: new Set(heard.ofServices) };
  const sources = new Map<string, string[]>();
  for (const pair of [...heard.calls, ...heard.ofServices]) {
    const [service = '', operation = ''] = pair.split(' ');
    sources.set(operation, [...(sources.get(operation) ?? []), service]);
  }
  const known = new Map<string, readonly string[]>();
  const sourcesOf = (name: string) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const found = sources.get(operationOf(name)) ?? [];
    // Whoever invents names makes it no larger.
    if (known.size < 10_000) known.set(name, found);
    return found;
  };
  return {
    mayBeIn: (record) => {
      const names = valuesOf(record, nameKey);
      if (names.length === 0 || names.includes(undefined)) return true;
      const from = names.flatMap((name) => sourcesOf(name ?? ''));
      if (from.length === 0) return false;
      const told = valuesOf(record, sourceKey);
      return told.length === 0 || told.some((source) => source === undefined || from.includes(serviceOf(source)));
    },
    is: ({ 'detail-type': type, detail }) =>
      byKind[type === detailTypes.service ? 'service' : 'call'].has(`${serviceOf(detail.eventSource)} ${operationOf(detail.eventName)}`),
  };
}

/** What stands behind a key, wherever it is; undefined where it is written with escapes. */
function valuesOf(bytes: Buffer, key: Buffer): readonly (string | undefined)[] {
  const values: (string | undefined)[] = [];
  for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + key.length)) {
    let from = at + key.length;
    while (bytes[from] === 92) from += 1;
    if (bytes[from] !== 34) continue;
    from += 1;
    while ((bytes[from] ?? 33) <= 32) from += 1;
    if (bytes[from] !== 58) continue;
    from += 1;
    while ((bytes[from] ?? 33) <= 32) from += 1;
    const escaped = bytes[from] === 92;
    while (bytes[from] === 92) from += 1;
    if (bytes[from] !== 34) continue;
    from += 1;
    let to = from;
    while (to < bytes.length && bytes[to] !== 34 && bytes[to] !== 92) to += 1;
    values.push(bytes[to] === 92 && !escaped ? undefined : bytes.toString('latin1', from, to));
  }
  return values;
}

/** Whether it is the digest that CloudTrail lays beside its files: it holds no records. */
function isDigest(value: object): boolean {
  return 'digestStartTime' in value && 'logFiles' in value;
}

/**
 * The events in a record: one of CloudTrail's, as its files have it or as `aws cloudtrail lookup-events` prints it, or an
 * event of EventBridge.
 * @throws Unreadable where it is none
 */
export function eventsIn(value: unknown): readonly RecordedEvent[] {
  if (typeof value !== 'object' || value === null) throw new Unreadable('is no object');
  const { Records: records, CloudTrailEvent: printed, event, detail } = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(records)) return records.flatMap(eventsIn);
  if (typeof printed === 'string') return eventsIn(parsed(printed));
  if (typeof event === 'object' && event !== null && 'detail' in event) return eventsIn(event);
  if (isDigest(value)) return [];
  if (typeof detail === 'object' && detail !== null) return [delivered(value as Readonly<Record<string, unknown>>, detail)];
  return [asDelivered(value as Readonly<Record<string, unknown>>)];
}

/** Why a record cannot be read, as the end of a sentence. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

/** @throws Unreadable where it is no JSON */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new Unreadable('is no JSON');
  }
}

function delivered(envelope: Readonly<Record<string, unknown>>, detail: object): RecordedEvent {
  const { 'detail-type': type, source, account, region } = envelope;
  const { eventTime } = detail as { eventTime?: unknown };
  if (typeof type !== 'string' || typeof source !== 'string') throw new Unreadable('is no event of EventBridge');
  return checked({ ...envelope, 'detail-type': type, source, account, region, time: eventTime, detail });
}

/** Other kinds (sign-ins, insights, actions of the console that are no calls) change nothing that rules judge. */
const kinds: Readonly<Record<string, string>> = { AwsApiCall: detailTypes.call, AwsServiceEvent: detailTypes.service };

function asDelivered(record: Readonly<Record<string, unknown>>): RecordedEvent {
  const { eventID, eventType = 'AwsApiCall', eventSource, recipientAccountId, userIdentity, awsRegion, eventTime } = record;
  const account = recipientAccountId ?? (userIdentity as { accountId?: unknown } | null | undefined)?.accountId;
  return checked({
    version: '0',
    id: eventID,
    'detail-type': kinds[String(eventType)] ?? `${String(eventType)} via CloudTrail`,
    source: `aws.${serviceOf(String(eventSource))}`,
    account,
    region: awsRegion,
    time: eventTime,
    resources: [],
    detail: record,
  });
}

function checked(event: Readonly<Record<string, unknown>>): RecordedEvent {
  const { account, region, time, detail } = event;
  const { eventName, eventSource, eventID } = detail as Readonly<Record<string, unknown>>;
  if (typeof eventName !== 'string' || typeof eventSource !== 'string') throw new Unreadable('is no record of CloudTrail');
  if (typeof account !== 'string' || !/^\d{12}$/.test(account)) throw new Unreadable('names no account');
  if (typeof region !== 'string' || !/^[a-z]{2,4}(-[a-z]+)+-\d+$/.test(region)) throw new Unreadable('names no region');
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time))) throw new Unreadable('has no time');
  const { id = eventID } = event;
  // What has no id of its own is told from others by what it is.
  return { ...event, id: typeof id === 'string' && id !== '' ? id : `${time} ${eventSource} ${eventName}` } as unknown as RecordedEvent;
}
