import { posix } from 'node:path';
import { committed, read } from './repository.ts';

// The page on threats claims; each claim names tests, and the tests are there.

const page = read('docs/threat-model.md');
const rows = page.split('\n').filter((line) => /^\| (?!somebody \|)/.test(line));
const cited = (row: string) =>
  [...row.matchAll(/\[[^\]]+\]\(([^)]+)\) "([^"]+)"/g)].map(([, path = '', name = '']) => ({ path: posix.join('docs', path), name }));

test('there are threats', () => {
  expect(rows.length).toBeGreaterThan(20);
});

test.each(rows.map((row) => [row.split('|')[1]?.trim(), row]))('somebody %s: there is a defence, and a test that shows it', (_, row) => {
  const cells = String(row)
    .split('|')
    .map((cell) => cell.trim());
  expect(cells).toHaveLength(6);
  expect(cells[2]?.length).toBeGreaterThan(20);
  expect(cited(cells[3] ?? '').length).toBeGreaterThan(0);
  // Nothing but citations: a reader can run each.
  expect((cells[3] ?? '').replaceAll(/\[[^\]]+\]\([^)]+\) "[^"]+"(, )?/g, '')).toBe('');
});

test.each([...new Map(rows.flatMap(cited).map((test) => [`${test.path}: ${test.name}`, test]))])('%s', (_, { path, name }) => {
  expect(committed()).toContain(path);
  const quotes = ["'", '"', '`'].map((quote) => name.replaceAll(quote, `\\${quote}`));
  const titles = [...read(path).matchAll(/(['"`])((?:\\.|(?!\1).)*)\1/g)].map(([, , title = '']) => title);
  expect(titles.filter((title) => [name, ...quotes].some((one) => title.includes(one))).length).toBeGreaterThan(0);
});
