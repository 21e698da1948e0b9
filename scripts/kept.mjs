// Folders of .work/ for what is made from sources: each state of the sources has one of its own, so that whoever runs while the clone is
// pulled goes on with its own files. Plain JavaScript: the command line starts with it, and reading types takes time.

import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const work = join(root, '.work');
const hour = 3600_000;

/** When something at or below a path was changed last, in milliseconds; a folder is when one of its files comes or goes. */
function changed(path) {
  const stats = statSync(path);
  return Math.max(stats.mtimeMs, ...(stats.isDirectory() ? readdirSync(path).map((name) => changed(join(path, name))) : []));
}

/**
 * The folder for what is made of these sources as they are, which need not be there yet. It holds what is whole: make it elsewhere, and move it.
 * @param {string} name what is made
 * @param {readonly string[]} sources files and folders, from the root of the clone
 */
export function keptFolder(name, sources) {
  return join(work, `${name}-${Math.max(...sources.map((source) => changed(join(root, source))))}`);
}

/**
 * Removes the folders of this name that nobody made or moved something into within an hour.
 * @param {string} name
 */
export function removeOldKept(name) {
  mkdirSync(work, { recursive: true });
  for (const one of readdirSync(work).filter((one) => new RegExp(`^${name}-[\\d.]+(-\\d+)?$`).test(one)))
    if (statSync(join(work, one), { throwIfNoEntry: false })?.mtimeMs < Date.now() - hour)
      rmSync(join(work, one), { recursive: true, force: true });
}
