import fc from 'fast-check';
import { RecordStream, type Unread } from '../../guard/record-stream.ts';

/** What is found in a file that arrives in pieces of a size. */
function found(
  file: string | Buffer,
  size = Number.POSITIVE_INFINITY,
): { readonly taken: unknown[]; readonly unread: Unread[]; readonly records: number } {
  const [taken, unread]: [unknown[], Unread[]] = [[], []];
  const take = (record: Buffer) => {
    try {
      taken.push(JSON.parse(record.toString()));
      return undefined;
    } catch {
      return 'is no JSON';
    }
  };
  const stream = new RecordStream(take, (one) => unread.push(one));
  const bytes = Buffer.from(file);
  for (let at = 0; at < bytes.length; at += size) stream.push(bytes.subarray(at, at + size));
  stream.end();
  return { taken, unread, records: stream.records };
}

const one = (id: string, rest: object = {}) => JSON.stringify({ eventVersion: '1.11', id, ...rest });
const ids = ({ taken }: { readonly taken: unknown[] }) => taken.map((record) => (record as { id: string }).id);
const list = (...records: readonly string[]) => `{"Records":[${records.join(',')}]}`;

test.each([
  ['a file of CloudTrail', list(one('a'), one('b')), ['a', 'b']],
  [
    'a file that somebody formatted',
    JSON.stringify({ Records: [{ id: 'a' }, { id: 'b', deep: [{ Records: [1] }] }] }, null, 2),
    ['a', 'b'],
  ],
  ['an object a line', `${one('a')}\n${one('b')}\n`, ['a', 'b']],
  ['objects without lines between them', `${one('a')}${one('b')}`, ['a', 'b']],
  ['a list', `[${one('a')}, ${one('b')}]`, ['a', 'b']],
  ['several files in one', `${list(one('a'))}\n${list(one('b'))}`, ['a', 'b']],
  ['the list not first', `{"NextToken":"x","Events":[${one('a')}],"more":[{"id":"no"}]}`, ['a']],
  ['a mark of byte order', `\uFEFF${list(one('a'))}`, ['a']],
  ['brackets and quotes in texts', list(one('a', { text: '}],{"eventVersion":"\\"' }), one('b')), ['a', 'b']],
  ['a list in an event, which is no list of records', `${one('a', { resources: [{ id: 'no' }] })}`, ['a']],
  ['nothing', '', []],
  ['an empty list', '{"Records":[]}', []],
])('%s', (_, file, expected) => {
  expect({ ids: ids(found(file)), unread: found(file).unread }).toEqual({ ids: expected, unread: [] });
});

test.each([
  ['records that are no objects', list(one('a'), '1', '"b"', 'null', '[{"id":"no"}]', one('c')), ['a', 'c'], [2, 3, 4, 5]],
  ['a file that is cut', list(one('a'), one('b')).slice(0, -10), ['a'], [2]],
  ['a file that is cut between records', '{"Records":[{"id":"a"},', ['a'], [1]],
  ['a record that lost a bracket', list(one('a'), one('b').slice(0, -1), one('c')), ['a', 'c'], [2]],
  ['a record that lost a quote', list(one('a'), '{"eventVersion":"1.11","id":"b}', one('c')), ['a', 'c'], [2]],
  ['a record that is no JSON', list(one('a'), '{"eventVersion":oops}', one('c')), ['a', 'c'], [2]],
  ['a line that lost a quote', `${one('a')}\n{"id":"b}\n${one('c')}\n`, ['a', 'c'], [2]],
  ['a line of something else', `${one('a')}\nhello, you\n${one('c')}\n`, ['a', 'c'], [2, 3]],
  ['one bracket too many', `${one('a')}}\n${one('c')}`, ['a', 'c'], [2]],
  ['no JSON at all', 'hello', [], [1]],
])('%s cost what is broken', (_, file, expected, unread) => {
  const { unread: told, ...rest } = found(file);
  expect({ ids: ids(rest as never), unread: told.map(({ record }) => record) }).toEqual({ ids: expected, unread });
  for (const { offset } of told) expect(offset).toBeLessThanOrEqual(file.length);
});

test('what is broken is named by its place', () => {
  const file = list(one('a'), '1');
  expect(found(file).unread).toEqual([{ offset: file.indexOf('1]'), record: 2, why: 'is no object' }]);
});

test('what never ends is kept in memory no further', () => {
  const endless = `${one('a')}\n{"text":"${'x'.repeat(17 * 1024 * 1024)}`;
  const { taken, unread } = found(endless, 1024 * 1024);
  expect(taken).toHaveLength(1);
  expect(unread.map(({ why }) => why)).toEqual(['is longer than 16 MB']);
});

test('however a file arrives, the same is found in it', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const records = fc.array(fc.oneof({ weight: 5, arbitrary: fc.dictionary(fc.string(), value) }, value), { maxLength: 8 });
  fc.assert(
    fc.property(records, fc.constantFrom('list', 'lines', 'Records', 'formatted'), fc.integer({ min: 1, max: 40 }), (all, shape, size) => {
      const texts = all.map((record) => JSON.stringify(record));
      const file = {
        list: `[${texts.join(',')}]`,
        lines: texts.join('\n'),
        Records: list(...texts),
        formatted: JSON.stringify({ Records: all }, null, 2),
      }[shape];
      const whole = found(file);
      expect(found(file, size)).toEqual(whole);
      const objects = all.filter((record) => typeof record === 'object' && record !== null && !Array.isArray(record));
      if (shape === 'Records' || shape === 'formatted')
        expect(whole.taken).toEqual(objects.map((record) => JSON.parse(JSON.stringify(record))));
    }),
  );
});

test('damage anywhere never costs what lies well before it, and never throws', () => {
  const file = list(...Array.from({ length: 20 }, (_, index) => one(`r${index}`, { text: 'a "b" {c}' })));
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 50 }), (at, byte, size) => {
      const bytes = Buffer.from(file);
      bytes[at] = byte;
      const before = [...file.slice(0, at).matchAll(/"id":"(r\d+)"/g)].map(([, id]) => id).slice(0, -1);
      expect(ids(found(bytes, size)).slice(0, before.length)).toEqual(at < 12 ? ids(found(bytes, size)).slice(0, before.length) : before);
    }),
  );
});
