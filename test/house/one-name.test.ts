import * as z from 'zod';
import { operationOf, readEvent } from '../../guard/cloudtrail.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { tagOperations } from '../../guard/tags.ts';
import { rules } from '../../rules/index.ts';
import { committed, names, read, testFiles } from './repository.ts';

// Whoever knows a rule's id finds everything about it, and nothing is left of a rule that is gone.

const all: readonly AnyRule[] = rules;
const ids = all.map(({ id }) => id);
const files = committed();
const ruleFiles = files.filter((path) => /^rules\/[^/]+\/[^/]+\.ts$/.test(path));
const sampleFiles = files.filter((path) => path.startsWith('events/'));

test('there are rules, and no two have one name', () => {
  expect(ids.length).toBeGreaterThan(0);
  expect(new Set(ids).size).toBe(ids.length);
});

test('a rule has a file of its name in the folder of its practice', () => {
  expect(all.map(({ practice, id }) => `rules/${practice}/${id}.ts`).sort()).toEqual(ruleFiles);
});

describe.each(all.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  test('has a table', () => {
    expect(testFiles(rule.practice, id)).toContain(`test/rules/${rule.practice}/${id}.test.ts`);
    expect(read(`test/rules/${rule.practice}/${id}.test.ts`)).toContain('ruleTest(rule, {');
  });

  test('has a page', () => {
    expect(names('docs/rules')).toContain(`${id}.md`);
  });

  test('has an event for every operation that it listens to', () => {
    const wanted: readonly string[] = rule.on.flatMap(({ service, operations }) =>
      operations.map((operation: string) => `${service} ${operation}`),
    );
    const there = sampleFiles.map((path) => String(samples.get(path)?.means));
    expect(wanted.filter((operation) => !there.includes(operation))).toEqual([]);
  });

  test('is written in kebab-case and has a sentence for a title', () => {
    expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(rule.title).toMatch(/^[A-Z].{10,}[^.]$/);
  });
});

test('no page, table or handler is left of a rule that is gone', () => {
  expect(names('docs/rules')).toEqual(ids.map((id) => `${id}.md`).sort());
  const tables = files.filter((path) => /^test\/rules\/.*\.test\.ts$/.test(path));
  expect(tables.filter((path) => !all.some(({ practice, id }) => testFiles(practice, id).includes(path)))).toEqual([]);
  const checkers = names('handlers').flatMap((name) => /^check-(\w+)\.ts$/.exec(name)?.[1] ?? []);
  expect(checkers).toEqual([...new Set(all.map(({ practice }) => practice))].sort());
});

// --- events

const sampleFile = z.strictObject({
  source: z.string(),
  event: z.looseObject({ detail: z.looseObject({ eventName: z.string(), eventSource: z.string() }) }),
});

const samples = new Map(
  sampleFiles.map((path) => {
    const { source, event } = sampleFile.parse(JSON.parse(read(path)));
    const { eventName, eventSource } = event.detail;
    return [path, { source, event, eventName, means: `${eventSource.replace('.amazonaws.com', '')} ${operationOf(eventName)}` }] as const;
  }),
);

describe.each([...samples].map(([path, sample]) => [path, sample] as const))('%s', (path, { source, event, eventName, means }) => {
  test('lies in a folder that is named as CloudTrail spells the event', () => {
    expect(path).toMatch(new RegExp(`^events/${eventName}/[a-z0-9]+(-[a-z0-9]+)*\\.json$`));
  });

  test('says where it was recorded, or that it is synthetic and which page its shape is from', () => {
    expect(source).toMatch(/^(recorded .*\d{4}|synthetic — .*https:\/\/docs\.aws\.amazon\.com\/)/);
  });

  test('is of an operation that a rule listens to', () => {
    const heard = all.flatMap(({ on }) => on.flatMap(({ service, operations }) => operations.map((name) => `${service} ${name}`)));
    const ofTags = Object.entries(tagOperations).flatMap(([service, operations]) => operations.map((name) => `${service} ${name}`));
    expect([...heard, ...ofTags]).toContain(means);
  });

  test('can be read', () => {
    expect(readEvent(event, { account: event['account'] as string, region: event['region'] as string })).not.toEqual({
      ignored: 'malformed',
    });
  });
});
