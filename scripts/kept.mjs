// Folders of .work/ for what is made from sources: each state of the sources has one of its own, so that whoever runs while the clone is
// pulled goes on with its own files. Plain JavaScript: the command line starts with it, and reading types takes time.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const work = join(root, '.work');
const day = 24 * 3600_000;

/** What decides about any bundle, besides what it is made from: from the root of the clone. */
const tools = ['package.json', 'tsconfig.json', 'node_modules/.package-lock.json', 'scripts/bundle.ts', 'scripts/kept.mjs'];

/** Tells of every change at or below a path. Who unpacks older files over newer ones changes their ctime all the same. */
function stateOf(path) {
  const stats = statSync(join(root, path));
  const below = stats.isDirectory() ? readdirSync(join(root, path)).map((name) => stateOf(join(path, name))) : [];
  return [`${path} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`, ...below].join('\n');
}

/**
 * The folder for what is made of these sources as they are, which need not be there yet. It holds what is whole: make it elsewhere, and move it.
 * @param {string} name what is made
 * @param {readonly string[]} sources files and folders, from the root of the clone
 */
export function keptFolder(name, sources) {
  const state = [...sources, ...tools].map(stateOf).join('\n');
  const folder = join(work, `${name}-${createHash('sha256').update(state).digest('hex').slice(0, 16)}`);
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined) utimesSync(folder, new Date(), new Date());
  return folder;
}

/**
 * Removes what was made of other states of the sources and that nobody asked for within a day.
 * @param {string} current the folder that stays
 */
export function removeOldKept(current) {
  mkdirSync(work, { recursive: true });
  const [, name = ''] = /^(.*)-[\da-f]{16}$/.exec(basename(current)) ?? [];
  const others = readdirSync(work).filter((other) => other.startsWith(`${name}-`) && other !== basename(current));
  for (const other of others)
    if (statSync(join(work, other), { throwIfNoEntry: false })?.mtimeMs < Date.now() - day)
      rmSync(join(work, other), { recursive: true, force: true });
}
