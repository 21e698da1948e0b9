import { functionArn } from './arn.ts';
import { type ApiEvent, text } from './cloudtrail.ts';
import { ifPresent } from './errors.ts';
import type { Subject } from './subject.ts';

// Event source mappings: what a function is run by.

/** Who touched a mapping last, as far as events told. */
export interface SourceTouch {
  readonly byHand: boolean;
  /** Milliseconds of the event. */
  readonly asOf: number;
}
export type SourceTouches = Readonly<Record<string, SourceTouch>>;

export interface SourceEvent {
  readonly kind: 'source';
  readonly uuid: string;
}

export const sourceEvents = ['CreateEventSourceMapping', 'UpdateEventSourceMapping', 'DeleteEventSourceMapping'] as const;

/** The mapping that an event made or changed; one that it deleted is gone, whoever did it. */
export function sourceEvent({ operation, request, response }: ApiEvent): SourceEvent | undefined {
  if (operation !== 'CreateEventSourceMapping' && operation !== 'UpdateEventSourceMapping') return undefined;
  // CloudTrail writes the first letter of every name small.
  const uuid = text(response, 'uUID') ?? text(request, 'uUID') ?? text(response, 'uuid') ?? text(request, 'uuid');
  return uuid === undefined ? undefined : { kind: 'source', uuid };
}

/** How many mappings a baseline keeps, and how many of those by hand a look asks for. */
const kept = 20;
const mostLookedAt = 5;

/** Undefined where something newer, or the same, is known. */
export function touched(known: SourceTouches | undefined, uuid: string, touch: SourceTouch): SourceTouches | undefined {
  const before = known?.[uuid];
  if (before !== undefined && before.asOf >= touch.asOf) return undefined;
  const all = Object.entries({ ...known, [uuid]: touch }).toSorted(([, a], [, b]) => b.asOf - a.asOf);
  return Object.fromEntries(all.slice(0, kept));
}

/** What an operator approved counts as no longer by hand. */
export function approvedSources(known: SourceTouches | undefined, asOf: number): SourceTouches {
  return Object.fromEntries(
    Object.entries(known ?? {}).map(([uuid, touch]) => [uuid, touch.asOf > asOf ? touch : { ...touch, byHand: false }]),
  );
}

interface Mapping {
  readonly FunctionArn?: string | undefined;
  readonly EventSourceArn?: string | undefined;
  readonly State?: string | undefined;
}

interface Reader {
  getEventSourceMapping(input: { UUID: string }): Promise<Mapping>;
}

/** A mapping that somebody put there, and that runs the function. */
export interface ForeignSource {
  readonly mapping: string;
  readonly source: string;
}

/** One read for each mapping by hand that is known, and none where none is. */
export async function sourcesByHand(known: SourceTouches | undefined, subject: Subject, aws: Reader): Promise<readonly ForeignSource[]> {
  const byHand = Object.entries(known ?? {})
    .filter(([, touch]) => touch.byHand)
    .toSorted(([, a], [, b]) => b.asOf - a.asOf);
  const found: ForeignSource[] = [];
  for (const [uuid] of byHand.slice(0, mostLookedAt)) {
    const mapping = await ifPresent(aws.getEventSourceMapping({ UUID: uuid }));
    if (mapping === undefined || functionArn(mapping.FunctionArn ?? '', subject) !== subject.arn) continue;
    if (/^(Disabl|Delet)/.test(mapping.State ?? '')) continue;
    found.push({ mapping: uuid, source: mapping.EventSourceArn ?? 'no ARN' });
  }
  return found;
}
