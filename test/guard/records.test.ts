import { eventsIn, heardBy, parsed, Unreadable, wantedBy } from '../../guard/records.ts';
import { heard } from '../../rules/heard.ts';
import { rules } from '../../rules/index.ts';
import { sample } from '../support/events.ts';

const event = sample('CreateFunctionUrlConfig/none.json');
const record = event['detail'] as Readonly<Record<string, unknown>>;
const { mayBeIn, is } = wantedBy(heard);
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

test('the list that is read without the rules is theirs', () => {
  expect(heard).toEqual(heardBy(rules));
});

test.each([
  ['a record of CloudTrail', record],
  ['an event of EventBridge', event],
  ['a sample of this repository', { source: 'somewhere', event }],
  ['what lookup-events prints', { EventName: 'CreateFunctionUrlConfig', CloudTrailEvent: JSON.stringify(record) }],
])('%s becomes the event that EventBridge delivers', (_, value) => {
  expect(mayBeIn(bytes(value))).toBe(true);
  expect(mayBeIn(bytes(JSON.stringify(value, null, 2)))).toBe(true);
  const [read] = eventsIn(value);
  const { account, region, source, 'detail-type': type, detail } = event;
  expect(read).toMatchObject({ account, region, source, 'detail-type': type, detail: detail as object });
  expect(read === undefined ? undefined : is(read)).toBe(true);
});

test('records whose list comes late are found all the same', () => {
  expect(eventsIn({ other: 1, Records: [record, record] })).toHaveLength(2);
});

test('an event of a service itself is none of its calls', () => {
  const [read] = eventsIn({ ...record, eventType: 'AwsServiceEvent' });
  expect(read?.['detail-type']).toBe('AWS Service Event via CloudTrail');
  expect(read === undefined ? undefined : is(read)).toBe(false);
});

test.each([
  ['another call', { ...record, eventName: 'Invoke' }, false],
  ['another service with a call of the name', { ...record, eventSource: 'states.amazonaws.com' }, false],
  ['a name with its version', { ...record, eventName: 'UpdateFunctionCode20150331v2' }, true],
  [
    'a request that speaks of such a call may be one',
    { ...record, eventName: 'Invoke', requestParameters: { eventName: 'AddPermission' } },
    true,
  ],
  [
    'a name with an escape may be one',
    JSON.stringify({ ...record, eventName: 'X' }).replace('"X"', '"Create\\u0046unctionUrlConfig"'),
    true,
  ],
  ['no name at all: that it is broken is seen when it is parsed', '{"a":1}', true],
  ['a name that is no text', '{"eventName":1,"eventSource":"lambda.amazonaws.com"}', true],
])('%s', (_, value, expected) => {
  expect(mayBeIn(bytes(value))).toBe(expected);
});

test.each([
  ['is no object', 1],
  ['is no record of CloudTrail', { a: 1 }],
  ['is no event of EventBridge', { detail: record }],
  ['names no account', { ...record, recipientAccountId: 'x' }],
  ['names no region', { ...record, awsRegion: 'Ireland' }],
  ['has no time', { ...record, eventTime: 'yesterday' }],
])('what %s cannot be read', (why, value) => {
  expect(() => eventsIn(value)).toThrow(new Unreadable(why));
});

test('what is no JSON cannot be read, and a digest holds nothing to read', () => {
  expect(() => parsed('{')).toThrow(new Unreadable('is no JSON'));
  expect(eventsIn({ digestStartTime: 'x', logFiles: [] })).toEqual([]);
});

test('what every sample of this repository tells is wanted', () => {
  const { globSync, readFileSync } = jest.requireActual<typeof import('node:fs')>('node:fs');
  const files = globSync('events/*/*.json');
  expect(files.length).toBeGreaterThan(100);
  const lost = files.filter((path) => {
    const text = readFileSync(path, 'utf8');
    return eventsIn(JSON.parse(text)).some(is) && !mayBeIn(Buffer.from(text));
  });
  expect(lost).toEqual([]);
});
