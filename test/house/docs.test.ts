import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AnyRule } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { committed, read, root, testFiles } from './repository.ts';

const all: readonly AnyRule[] = rules;
const headings = ['What it finds', 'What the fix does', 'What can break', 'When not to use it', 'Limits', 'Undo'];

/** What stands below a heading, up to the next one of the same depth. */
function section(page: string, heading: string): string {
  return new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(page)?.[1]?.trim() ?? '';
}

/** A phrase in backticks: four words or more, none of which is code. */
const example = /`([a-zA-Z$][\w$',.;:()-]*(?: [\w$',.;:()&/→-]+){3,})`/g;

describe.each(all.map((rule) => [rule.id, rule] as const))('the page of %s', (id, rule) => {
  const page = read(`docs/rules/${id}.md`);
  const tables = testFiles(rule.practice, id).map(read).join('\n');

  test('has its headings, in order', () => {
    expect([...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(headings);
  });

  test.each(headings)('has something to say under "%s"', (heading) => {
    expect(section(page, heading).length).toBeGreaterThan(60);
  });

  test('shows what it finds by examples that are rows of its table', () => {
    const shown = [...section(page, 'What it finds').matchAll(example)].map(([, phrase = '']) => phrase);
    expect(shown.length).toBeGreaterThanOrEqual(2);
    expect(shown.filter((phrase) => !isRow(phrase, tables))).toEqual([]);
    expect(shown.some((phrase) => kindOf(phrase, tables) === 'violating')).toBe(true);
  });

  test('shows nothing elsewhere as an example that is no row', () => {
    const shown = [...page.replace(/<!-- generated[\s\S]*?<!-- \/generated -->/, '').matchAll(example)].map(([, phrase = '']) => phrase);
    expect(shown.filter((phrase) => !isRow(phrase, tables))).toEqual([]);
  });

  test('names every parameter of its own, and says where it does not apply', () => {
    for (const param of Object.keys(rule.params.shape)) expect(page.toLowerCase()).toContain(param.toLowerCase());
  });
});

function quoted(phrase: string): readonly string[] {
  return [`name: '${phrase.replaceAll("'", "\\'")}'`, `name: "${phrase}"`, `name: \`${phrase}\``];
}

function isRow(phrase: string, tables: string): boolean {
  return quoted(phrase).some((name) => tables.includes(name));
}

/** The kind of a row: it stands right after its name. */
function kindOf(phrase: string, tables: string): string | undefined {
  const at = Math.max(...quoted(phrase).map((name) => tables.indexOf(name)));
  return /kind: '(\w+)'/.exec(tables.slice(at))?.[1];
}

const pages = committed().filter((path) => path.endsWith('.md'));

test.each(pages)('%s links to files that are there', (path) => {
  const links = [...read(path).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map(([, target = '']) => target);
  expect(links.filter((target) => !existsSync(join(root, dirname(path), target)))).toEqual([]);
});

/** What GitHub makes of a heading. */
function anchors(page: string): readonly string[] {
  const headings = [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test.each(pages)('%s links to headings that are there', (path) => {
  const links = [...read(path).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)/g)];
  const missing = links.filter(([, page = '', anchor = '']) => {
    const target = page === '' ? path : join(dirname(path), page);
    return target.endsWith('.md') && !anchors(target).includes(anchor);
  });
  expect(missing.map(([link]) => link)).toEqual([]);
});

test.each(pages)('%s names no command of npm that is not there', (path) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...read(path).matchAll(/\bnpm run ([a-z][a-z-]*)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});
