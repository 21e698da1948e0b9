import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { committed, root } from './repository.ts';

// What `npm run new-rule` writes has to compile, to pass the linter and to be generated from, and proves nothing until somebody writes rows.

const copied =
  /^(aws|cli|events|guard|handlers|ledger|rules|schemas|scripts|test\/(house|support)|docs\/(rules|samples))\/|^[^/]+\.(json|js|md|yaml)$/;
const bin = (name: string) => join(root, 'node_modules/.bin', name);
const rule = 'rules/apis/made-up-rule.ts';
const table = 'test/rules/apis/made-up-rule.test.ts';
const page = 'docs/rules/made-up-rule.md';
const event = 'events/UpdateFunctionConfiguration20150331v2/made-up-rule.json';

jest.setTimeout(60_000);

const copy = mkdtempSync(join(tmpdir(), 'new-rule-'));

function run(command: string, ...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: copy, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

const newRule = (...args: readonly string[]) => run(bin('node'), 'scripts/new-rule.ts', ...args);

beforeAll(() => {
  for (const path of committed()) if (copied.test(path)) cpSync(join(root, path), join(copy, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
});

afterAll(() => rmSync(copy, { recursive: true }));

test.each([
  [[], 'Say which rule'],
  [['apis'], 'Say which rule'],
  [['apis/made-up-rule/deeper'], 'Say which rule'],
  [['apis/made-up-rule', 'apis/another-rule'], 'Say which rule'],
  [['api/made-up-rule'], 'There is no practice "api"'],
  [['apis/MadeUpRule'], 'The id "MadeUpRule" is malformed'],
  [['apis/made_up_rule'], 'is malformed'],
  [['apis/rule'], 'is malformed'],
  [['../made-up-rule'], 'There is no practice ".."'],
  [['apis/a-name-that-nobody-will-ever-type-in-full'], 'is longer than'],
  [['apis/function-url-open'], 'rules/apis/function-url-open.ts is there already'],
  [['vpc/function-url-open'], 'docs/rules/function-url-open.md is there already'],
])('%j is refused with one sentence', (args, sentence) => {
  const { status, output } = newRule(...args);
  expect(status).toBe(2);
  expect(output).toContain(sentence);
  expect(output.trim().split('\n')).toHaveLength(1);
  expect([rule, table, page, event].filter((path) => existsSync(join(copy, path)))).toEqual([]);
});

describe('a new rule', () => {
  beforeAll(() => {
    expect(newRule('apis/made-up-rule')).toMatchObject({ status: 0, output: expect.stringContaining('npm run generate') });
  });

  test('has its four files', () => {
    expect([rule, table, page, event].filter((path) => !existsSync(join(copy, path)))).toEqual([]);
  });

  test('is refused a second time', () => {
    const before = readFileSync(join(copy, rule), 'utf8');
    expect(newRule('apis/made-up-rule')).toEqual({ status: 2, output: `${rule} is there already: nothing was written.\n` });
    expect(readFileSync(join(copy, rule), 'utf8')).toBe(before);
  });

  test('compiles, and the linter takes it', () => {
    writeFileSync(join(copy, 'tsconfig.new.json'), JSON.stringify({ extends: './tsconfig.json', include: [rule, table] }));
    const { output } = run(bin('tsc'), '--noEmit', '--pretty', 'false', '-p', 'tsconfig.new.json');
    expect(output.split('\n').filter((line) => /^\S*made-up-rule|^error/.test(line))).toEqual([]);
    expect(run(bin('biome'), 'ci', '--vcs-enabled=false', '--colors=off', rule, table, event)).toMatchObject({ status: 0 });
  });

  test('is generated from', () => {
    expect(run(bin('node'), 'scripts/generate.ts')).toEqual({ status: 0, output: '' });
    expect(readFileSync(join(copy, page), 'utf8')).toContain('# made-up-rule');
    expect(readFileSync(join(copy, 'template.yaml'), 'utf8')).toContain('MadeUpRuleMode');
  });

  test('has a table that fails until rows are written', () => {
    // The table is refused as soon as it is read, before jest would run a row.
    const { status, output } = run(bin('node'), table);
    expect(status).not.toBe(0);
    expect(output).toContain('the table of made-up-rule is refused');
    expect(output).toContain('no violating row');
  });
});
