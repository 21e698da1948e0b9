import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as z from 'zod';
import { triggered } from '../../../guard/check.ts';
import { detailTypes, operationOf, readEvent } from '../../../guard/cloudtrail.ts';
import { type AnyRule, pascalCase } from '../../../guard/rule.ts';
import { retagged } from '../../../guard/tags.ts';
import { rules } from '../../../rules/index.ts';
import { matches } from '../../../test/house/pattern.ts';
import { deploy, ofType, type Value } from '../../../test/house/template.ts';

// Which events of a real trail reach a queue: names and numbers of its records, held against the patterns of template.yaml.

/** A CloudTrail record, as far as EventBridge looks at it here. */
export interface Recorded {
  readonly eventSource: string;
  readonly eventName: string;
  readonly eventType?: string | undefined;
  readonly errorCode?: string | undefined;
}

/** The rules of EventBridge on the account's bus, with their patterns. */
const listeners: readonly (readonly [id: string, pattern: Value])[] = ofType(deploy(), 'AWS::Events::Rule').flatMap(
  ([id, { EventPattern, EventBusName }]) => (EventPattern === undefined || EventBusName !== undefined ? [] : [[id, EventPattern] as const]),
);

const kinds: Readonly<Record<string, string>> = { AwsApiCall: detailTypes.call, AwsServiceEvent: detailTypes.service };

/** Which of the template's rules put a record into a queue. */
export function heardBy({ eventType = 'AwsApiCall', ...detail }: Recorded): readonly string[] {
  const source = `aws.${detail.eventSource.replace('.amazonaws.com', '')}`;
  const event = { source, 'detail-type': kinds[eventType] ?? eventType, detail };
  return listeners.flatMap(([id, pattern]) => (matches(pattern, event) ? [id] : []));
}

/** How often a trail has an event: by service, by name, calls that succeeded and calls that failed. */
const counts = z.record(z.string(), z.record(z.string(), z.tuple([z.number(), z.number()])));
const trailSchema = z.strictObject({
  url: z.url(),
  commit: z.string(),
  about: z.string(),
  /** Messages of these records in all queues when they were counted, and those of them in which some rule finds something to look at. */
  messages: z.number(),
  named: z.number(),
  /** What was called. */
  calls: counts,
  /** What services and consoles did by themselves. */
  others: counts,
});
export type Trail = z.infer<typeof trailSchema>;

export const trailPath = join(import.meta.dirname, 'trail.json');

export function readTrail(): Trail {
  return trailSchema.parse(JSON.parse(readFileSync(trailPath, 'utf8')));
}

const record = z.looseObject({
  eventID: z.string(),
  eventSource: z.string(),
  eventName: z.string(),
  eventType: z.string(),
  eventTime: z.string(),
  awsRegion: z.string(),
  recipientAccountId: z.string(),
  eventCategory: z.string().default('Management'),
  errorCode: z.string().optional(),
});

/** In how many queues a record names something that a rule of the checker looks at, or tags that may exempt. */
function namedIn(detail: z.infer<typeof record>, ids: readonly string[]): number {
  const { eventID: id, eventTime: time, eventType, eventSource, recipientAccountId: account, awsRegion: region } = detail;
  const source = `aws.${eventSource.replace('.amazonaws.com', '')}`;
  const envelope = { id, time, account, region, source, 'detail-type': kinds[eventType], detail };
  const read = readEvent(envelope, { account, region });
  if ('ignored' in read) return 0;
  const all: readonly AnyRule[] = rules;
  const names = (rule: AnyRule) => triggered(rule, read.event).length > 0;
  return ids.filter(
    (listener) =>
      retagged(read.event).length > 0 || all.some((rule) => listener.startsWith(`Check${pascalCase(rule.practice)}On`) && names(rule)),
  ).length;
}

/** Counts the management events in a folder of CloudTrail's log files, each once. Nothing else of them is kept. */
export function tallyOf(folder: string): Pick<Trail, 'calls' | 'others' | 'messages' | 'named'> {
  const seen = new Set<string>();
  let [messages, named] = [0, 0];
  const tally: Record<'calls' | 'others', Record<string, Record<string, [number, number]>>> = { calls: {}, others: {} };
  for (const path of globSync('**/*.{json,json.gz}', { cwd: folder }).sort()) {
    const file = readFileSync(join(folder, path));
    const { Records } = z
      .object({ Records: z.array(record) })
      .parse(JSON.parse((path.endsWith('.gz') ? gunzipSync(file) : file).toString()));
    for (const one of Records) {
      const { eventID, eventSource, eventName, eventType, eventCategory, errorCode } = one;
      if (eventCategory !== 'Management' || seen.has(eventID)) continue;
      seen.add(eventID);
      const ids = heardBy(one);
      messages += ids.length;
      named += ids.length === 0 ? 0 : namedIn(one, ids);
      const half = tally[eventType === 'AwsApiCall' ? 'calls' : 'others'];
      const service = eventSource.replace('.amazonaws.com', '');
      const [succeeded, failed] = half[service]?.[eventName] ?? [0, 0];
      half[service] = { ...half[service], [eventName]: errorCode === undefined ? [succeeded + 1, failed] : [succeeded, failed + 1] };
    }
  }
  const sorted = <T>(object: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
  const both = (half: Readonly<Record<string, Readonly<Record<string, [number, number]>>>>) =>
    sorted(Object.fromEntries(Object.entries(half).map(([service, names]) => [service, sorted(names)])));
  return { messages, named, calls: both(tally.calls), others: both(tally.others) };
}

/** A name of the trail that at least one rule of EventBridge lets through. */
export interface Passed {
  readonly service: string;
  readonly name: string;
  readonly count: number;
  readonly listeners: readonly string[];
  /** Rules of the guard that listen to it, without those about the guard itself. */
  readonly rules: number;
}

export interface Share {
  readonly records: number;
  readonly failed: number;
  readonly passed: readonly Passed[];
  /** Events that reach some queue. */
  readonly events: number;
  /** Messages in all queues. */
  readonly messages: number;
}

/** What of the trail reaches a queue. */
export function shareOf({ calls, others }: Trail): Share {
  const rows = [
    ...rowsOf(calls).map((row) => ({ ...row, eventType: 'AwsApiCall' })),
    ...rowsOf(others).map((row) => ({ ...row, eventType: 'AwsServiceEvent' })),
  ];
  const passed = rows.flatMap(({ service, name, succeeded, eventType }): readonly Passed[] => {
    const ids = heardBy({ eventSource: `${service}.amazonaws.com`, eventName: name, eventType });
    if (ids.length === 0 || succeeded === 0) return [];
    return [{ service, name, count: succeeded, listeners: ids, rules: rulesFor(service, name) }];
  });
  const total = (of: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + of(row), 0);
  return {
    records: total(({ succeeded, failed }) => succeeded + failed),
    failed: total(({ failed }) => failed),
    passed: passed.sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)),
    events: passed.reduce((all, { count }) => all + count, 0),
    messages: passed.reduce((all, { count, listeners: ids }) => all + count * ids.length, 0),
  };
}

function rowsOf(half: Trail['calls']) {
  return Object.entries(half).flatMap(([service, names]) =>
    Object.entries(names).map(([name, [succeeded, failed]]) => ({ service, name, succeeded, failed })),
  );
}

function rulesFor(service: string, name: string): number {
  const operation = operationOf(name);
  const all: readonly AnyRule[] = rules;
  return all.filter(
    ({ practice, on }) =>
      practice !== 'guard' && on.some((trigger) => trigger.service === service && trigger.operations.includes(operation)),
  ).length;
}
