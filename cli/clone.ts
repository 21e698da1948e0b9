import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The clone that this runs from, as sources or bundled (scripts/guard.mjs). */
const root = folderWith('template.yaml', import.meta.dirname);

/**
 * How Node.js starts the command line, which package.json says as well; V8 takes it from nowhere else. By itself V8 lets what is new
 * grow to 48 MB before it looks what of it is still needed; where it is not let grow, it looks all the time.
 */
export const nodeFlag = '--max-semi-space-size=8';

/** A file of the clone, by its path in it. */
export function inClone(...path: readonly string[]): string {
  return join(root, ...path);
}

function folderWith(file: string, folder: string): string {
  return existsSync(join(folder, file)) || folder === dirname(folder) ? folder : folderWith(file, dirname(folder));
}
