// Runs the command line from a bundle of it, which is made anew once a source is newer: it starts in less than half the time, and in
// half the memory. Plain JavaScript: reading types takes time, too.

import { existsSync, renameSync, rmSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { keptFolder, removeOldKept } from './kept.mjs';

const bundle = keptFolder('cli', ['aws', 'cli', 'guard', 'ledger', 'rules']);

async function make() {
  const { bundleCommandLine } = await import('./bundle.ts');
  removeOldKept(bundle);
  const outdir = `${bundle}-${process.pid}`;
  await bundleCommandLine(outdir);
  try {
    renameSync(outdir, bundle);
  } catch (error) {
    // Another command, started at the same moment, was faster with the same.
    if (!existsSync(join(bundle, 'main.js'))) throw error;
    rmSync(outdir, { recursive: true, force: true });
  }
}

// By itself V8 lets what is not new grow to twice what is needed or more. No limit: whoever needs more gets it.
setFlagsFromString('--heap-growing-percent=30');
if (!existsSync(join(bundle, 'main.js'))) await make();
// What a command loads is compiled once, in the clone, where nobody else writes.
enableCompileCache(join(bundle, 'compiled'));
await import(pathToFileURL(join(bundle, 'main.js')).href);
