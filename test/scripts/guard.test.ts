import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFlag } from '../../cli/clone.ts';

const root = join(import.meta.dirname, '../..');
const run = (...args: readonly string[]) => spawnSync(join(root, 'node_modules/.bin/node'), args, { cwd: root, encoding: 'utf8' });
const bundles = () =>
  existsSync(join(root, '.work')) ? readdirSync(join(root, '.work')).filter((name) => /^cli-[\da-f]{16}$/.test(name)) : [];

jest.setTimeout(60_000);

test('the bundled command line is the command line: what it prints, its pages and its exit codes', () => {
  for (const args of [['rules'], ['rules', 'role-shared'], ['completion', 'bash'], ['rules', 'no-such-rule']]) {
    const [bundled, plain] = [run('scripts/guard.mjs', ...args), run('cli/main.ts', ...args)];
    expect({ args, status: bundled.status, stdout: bundled.stdout, stderr: bundled.stderr }).toEqual({
      args,
      status: plain.status,
      stdout: plain.stdout,
      stderr: plain.stderr,
    });
  }
});

test('it is started in one way, whoever starts it', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  expect(scripts['guard']).toContain(` ${nodeFlag} scripts/guard.mjs`);
  expect(run('scripts/guard.mjs', 'completion', 'bash').stdout).toContain(` ${nodeFlag} `);
});

test('it is bundled once for each state of the sources', () => {
  run('scripts/guard.mjs', '--version');
  const before = bundles();
  expect(before).not.toEqual([]);
  run('scripts/guard.mjs', '--version');
  expect(bundles()).toEqual(before);
});
