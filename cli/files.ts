import { readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { plain } from './plain.ts';
import { many } from './terminal.ts';

/** Something in a folder; without a size it is no file that could be read: a link that leads nowhere, a pipe. */
interface Found {
  readonly path: string;
  readonly name: string;
  readonly size: number | undefined;
}

/** The files in a folder and below it, in order of names. Links are followed, and no folder is entered twice. */
export function* filesIn(folder: string, enters: (path: string, name: string) => boolean, entered = new Set<string>()): Generator<Found> {
  const real = realpathSync(folder);
  if (entered.has(real)) return;
  entered.add(real);
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const stats = statsOf(path);
    if (stats?.isDirectory() !== true) yield { path, name, size: stats?.isFile() === true ? stats.size : undefined };
    else if (enters(path, name)) yield* filesIn(path, enters, entered);
  }
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** What was left out of a folder: it is told, so that nobody takes it for read. */
export class LeftOut {
  readonly #first: string[] = [];
  #count = 0;

  add(name: string): void {
    this.#count += 1;
    if (this.#first.length < 3) this.#first.push(name);
  }

  tell(folder: string, what: string): void {
    if (this.#count === 0) return;
    const more = this.#count > this.#first.length ? ', …' : '';
    console.error(
      plain(
        `Left out of ${folder}: ${many(this.#count, 'file')} (${this.#first.join(', ')}${more}), not named like ${what} or not readable.`,
      ),
    );
  }
}
