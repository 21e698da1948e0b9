import * as z from 'zod';
import { triggered } from '../../guard/check.ts';
import { operationOf, readEvent } from '../../guard/cloudtrail.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { retagged, tagOperations } from '../../guard/tags.ts';
import { rules } from '../../rules/index.ts';
import { matches } from './pattern.ts';
import { committed, read } from './repository.ts';
import { deploy, ofType } from './template.ts';

// From CloudTrail's record to the checker that has to hear of it: the patterns of the template, held against the samples.

const all: readonly AnyRule[] = rules;
const stack = deploy();
const sampleFile = z.object({ event: z.looseObject({ detail: z.looseObject({ eventName: z.string() }) }) });
const samples = committed()
  .filter((path) => path.startsWith('events/'))
  .map((path) => [path, sampleFile.parse(JSON.parse(read(path))).event] as const);
type Sample = (typeof samples)[number][1];

const patterns = ofType(stack, 'AWS::Events::Rule').flatMap(([id, { EventPattern, EventBusName }]) =>
  EventPattern === undefined || EventBusName !== undefined ? [] : [[id, EventPattern] as const],
);

/** The rules of EventBridge that take an event to some checker. */
function hearing(event: unknown): readonly string[] {
  return patterns.flatMap(([id, pattern]) => (matches(pattern, event) ? [id] : [])).sort();
}

/** The rules of EventBridge that have to take it there, by what the guard's rules say that they listen to. */
function supposed(event: Sample): readonly string[] {
  const service = String(event.detail['eventSource']).replace('.amazonaws.com', '');
  const operation = operationOf(event.detail.eventName);
  const ofTags = tagOperationsOf(service).includes(operation);
  const ofService = event['detail-type'] === 'AWS Service Event via CloudTrail' ? true : undefined;
  const listening = all.filter(({ on }) =>
    on.some(
      (trigger) => trigger.service === service && (ofTags || (trigger.ofService === ofService && trigger.operations.includes(operation))),
    ),
  );
  return [...new Set(listening.map(({ practice }) => `Check${pascalCase(practice)}On${pascalCase(service)}`))].sort();
}

/** Whether a rule of a practice listens to what a service does by itself. */
function listensToTheService(practice: string, service: string): boolean {
  return all.some(
    (rule) => rule.practice === practice && rule.on.some((trigger) => trigger.ofService === true && trigger.service === service),
  );
}

/** Every checker that hears of a service's calls hears of those that change tags. */
function tagOperationsOf(service: string): readonly string[] {
  return new Map<string, readonly string[]>(Object.entries(tagOperations)).get(service) ?? [];
}

function changed(event: Sample, detail: Readonly<Record<string, unknown>>): Sample {
  return { ...event, detail: { ...event.detail, ...detail } } as Sample;
}

test('there are samples, and a pattern for every practice', () => {
  expect(samples.length).toBeGreaterThan(10);
  expect(patterns.length).toBeGreaterThanOrEqual(new Set(all.map(({ practice }) => practice)).size);
});

test.each(patterns)(
  '%s names the source, the kind of event and the service of the record, so that nobody else can make one',
  (id, pattern) => {
    const {
      source,
      'detail-type': type,
      detail,
    } = pattern as { source: unknown; 'detail-type': unknown; detail: { eventSource: unknown; eventName: unknown[] } };
    const [, practice = '', service = ''] = /^Check([A-Z]\w+)On([A-Z]\w+)$/.exec(id)?.map((part) => part.toLowerCase()) ?? [];
    const tells = listensToTheService(practice, service);
    expect({ source, type, eventSource: detail.eventSource }).toEqual({
      source: [`aws.${service}`],
      type: ['AWS API Call via CloudTrail', ...(tells ? ['AWS Service Event via CloudTrail'] : [])],
      eventSource: [`${service}.amazonaws.com`],
    });
    expect(detail.eventName.length).toBeGreaterThan(0);
  },
);

describe.each(samples)('%s', (_, event) => {
  const good = changed(event, { errorCode: undefined });
  const { detail } = good;
  const name = detail.eventName;

  test('reaches the checkers that listen to it, and no others', () => {
    expect(supposed(good)).not.toEqual([]);
    expect(hearing(JSON.parse(JSON.stringify(good)))).toEqual(supposed(good));
  });

  test('reaches them without the API version in its name as well, and with a later one', () => {
    expect(hearing(changed(good, { eventName: operationOf(name) }))).toEqual(supposed(good));
    if (String(detail['eventSource']) === 'lambda.amazonaws.com') {
      expect(hearing(changed(good, { eventName: `${operationOf(name)}20270101v3` }))).toEqual(supposed(good));
    }
  });

  test('reaches nobody where the call failed', () => {
    expect(hearing(changed(good, { errorCode: 'AccessDenied' }))).toEqual([]);
  });

  test('reaches nobody from another service, or from somebody who may put events', () => {
    expect(hearing({ ...good, source: 'aws.elsewhere' })).toEqual([]);
    expect(hearing({ ...good, source: 'compliance-guard' })).toEqual([]);
    expect(hearing({ ...good, 'detail-type': 'AWS Console Sign In via CloudTrail' })).toEqual([]);
    expect(hearing(changed(good, { eventSource: 'elsewhere.amazonaws.com' }))).toEqual([]);
  });

  test('is taken for what a service does by itself only where that is listened to as well', () => {
    const service = String(detail['eventSource']).replace('.amazonaws.com', '');
    const heard = hearing({ ...good, 'detail-type': 'AWS Service Event via CloudTrail' });
    expect(heard).toEqual(
      hearing(good).filter((id) => listensToTheService((/^Check([A-Z]\w+)On/.exec(id)?.[1] ?? '').toLowerCase(), service)),
    );
  });

  test('reaches nobody where its name only begins like one that is listened to', () => {
    expect(hearing(changed(good, { eventName: `${operationOf(name)}Extra` }))).toEqual([]);
  });
});

test('every rule finds a subject in a sample of each operation that it listens to', () => {
  const silent = all.flatMap((rule) =>
    rule.on.flatMap(({ service, operations }: AnyRule['on'][number]) =>
      operations
        .filter((operation) =>
          samples.every(([, event]) => {
            const read = readEvent(event, { account: '111122223333', region: 'us-east-1' });
            return (
              'ignored' in read ||
              read.event.service !== service ||
              read.event.operation !== operation ||
              triggered(rule, read.event).length === 0
            );
          }),
        )
        .map((operation) => `${rule.id}: ${service} ${operation}`),
    ),
  );
  expect(silent).toEqual([]);
});

test.each(Object.entries(tagOperations).flatMap(([service, operations]) => operations.map((operation) => [service, operation] as const)))(
  'a sample of %s %s names whose tags were changed',
  (service, operation) => {
    const named = samples.flatMap(([, event]) => {
      const read = readEvent(event, { account: '111122223333', region: 'us-east-1' });
      return 'ignored' in read || read.event.service !== service || read.event.operation !== operation ? [] : retagged(read.event);
    });
    expect(named).not.toEqual([]);
  },
);

test('the matcher knows what EventBridge does', () => {
  const event = { source: 'a', detail: { name: 'PutX', list: ['x', 'y'], nested: { flag: true } } };
  expect(matches({ source: ['a', 'b'], detail: { name: [{ prefix: 'Put' }], list: ['y'] } }, event)).toBe(true);
  expect(matches({ detail: { name: [{ prefix: 'Get' }] } }, event)).toBe(false);
  expect(matches({ detail: { missing: [{ exists: false }], nested: { flag: [true] } } }, event)).toBe(true);
  expect(matches({ detail: { name: [{ exists: false }] } }, event)).toBe(false);
  expect(matches({ detail: { $or: [{ name: ['GetX'] }, { list: ['x'] }] } }, event)).toBe(true);
  expect(matches({ detail: { $or: [{ name: ['GetX'] }, { list: ['z'] }] } }, event)).toBe(false);
  expect(() => matches({ source: [{ suffix: 'a' }] }, event)).toThrow('suffix');
});
