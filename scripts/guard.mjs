// Runs the command line from a bundle of it, which is made anew once a source is newer: it starts in less than half the time, and in
// half the memory. Plain JavaScript: reading types takes time, too.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const work = join(root, '.work');
const sources = ['aws', 'cli', 'guard', 'ledger', 'rules', 'scripts/guard.mjs', 'node_modules/.package-lock.json'];
const hour = 3600_000;

/** When something at or below a path was changed last, in milliseconds; a folder is when one of its files comes or goes. */
function changed(path) {
  const stats = statSync(path);
  return Math.max(stats.mtimeMs, ...(stats.isDirectory() ? readdirSync(path).map((name) => changed(join(path, name))) : []));
}

/** Each state of the sources has a folder of its own: a command that runs goes on with its own. */
const bundle = join(work, `cli-${Math.max(...sources.map((source) => changed(join(root, source))))}`);

async function make() {
  mkdirSync(work, { recursive: true });
  const { build } = await import('esbuild');
  const outdir = `${bundle}-${process.pid}`;
  const require = "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";
  await build({
    ...{ entryPoints: [join(root, 'cli', 'main.ts')], outdir, bundle: true, splitting: true, format: 'esm', platform: 'node' },
    ...{ target: 'node24', mainFields: ['module', 'main'], minify: true, keepNames: true, banner: { js: require }, logLevel: 'error' },
  });
  try {
    renameSync(outdir, bundle);
  } catch (error) {
    // Another command, started at the same moment, was faster with the same.
    if (!existsSync(join(bundle, 'main.js'))) throw error;
    rmSync(outdir, { recursive: true, force: true });
  }
  for (const name of readdirSync(work).filter((one) => /^cli-[\d.]+(-\d+)?$/.test(one)))
    if (statSync(join(work, name)).mtimeMs < Date.now() - hour) rmSync(join(work, name), { recursive: true, force: true });
}

// By itself V8 lets what is not new grow to twice what is needed or more. No limit: whoever needs more gets it.
setFlagsFromString('--heap-growing-percent=30');
if (!existsSync(join(bundle, 'main.js'))) await make();
// What a command loads is compiled once, in the clone, where nobody else writes.
enableCompileCache(join(bundle, 'compiled'));
await import(pathToFileURL(join(bundle, 'main.js')).href);
