import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Names in a folder, sorted; none where the folder is missing. */
export function names(folder: string): readonly string[] {
  return existsSync(join(root, folder)) ? readdirSync(join(root, folder)).sort() : [];
}

/** Every file that a commit of everything would hold: what is ignored is no part of the repository. */
export function committed(): readonly string[] {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  return [...new Set(list.split('\0'))].filter((path) => path !== '' && existsSync(join(root, path))).sort();
}

/** The test files of a rule, by its practice and id: `<id>.test.ts`, and `<id>.<part>.test.ts` beside it. */
export function testFiles(practice: string, id: string): readonly string[] {
  return names(`test/rules/${practice}`)
    .filter((name) => name === `${id}.test.ts` || (name.startsWith(`${id}.`) && name.endsWith('.test.ts')))
    .map((name) => `test/rules/${practice}/${name}`);
}
