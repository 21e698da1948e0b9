import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is read or written at once. */
const atOnce = 1024 * 1024;

/**
 * Texts put in order of time without being held in memory: they lie in a file of their own that nobody else can open, and that
 * is gone when the process is. Of each, memory holds where it lies, when it was and which it is.
 */
export class Spool {
  readonly #folder = mkdtempSync(join(tmpdir(), 'guard-replay-'));
  readonly #file = openSync(join(this.#folder, 'events'), 'wx+', 0o600);
  readonly #times: number[] = [];
  readonly #ids: number[] = [];
  /** Where each begins, and the end of the last. */
  readonly #bounds: number[] = [0];
  #unwritten: Buffer[] = [];
  #waiting = 0;

  /** How many there are. */
  get size(): number {
    return this.#times.length;
  }

  /** @param id of the event: the same one at the same time is kept once */
  add(text: string, time: number, id: string): void {
    const bytes = Buffer.from(text);
    this.#times.push(time);
    this.#ids.push(createHash('sha256').update(id).digest().readUIntBE(0, 6));
    this.#bounds.push((this.#bounds.at(-1) ?? 0) + bytes.length);
    this.#unwritten.push(bytes);
    this.#waiting += bytes.length;
    if (this.#waiting >= atOnce) this.#write();
  }

  #write(): void {
    const bytes = Buffer.concat(this.#unwritten);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    this.#unwritten = [];
    this.#waiting = 0;
  }

  /** The earliest first; at one time in the order of their ids, so that it does not depend on the order of files. */
  *inOrder(): Generator<string> {
    this.#write();
    const [times, ids, bounds] = [this.#times, this.#ids, this.#bounds];
    const at = (values: readonly number[], index: number) => values[index] ?? 0;
    const order = Uint32Array.from(times.keys()).sort((a, b) => at(times, a) - at(times, b) || at(ids, a) - at(ids, b));
    let previous = -1;
    for (const index of order) {
      if (previous >= 0 && at(times, previous) === at(times, index) && at(ids, previous) === at(ids, index)) continue;
      previous = index;
      const bytes = Buffer.alloc(at(bounds, index + 1) - at(bounds, index));
      readSync(this.#file, bytes, 0, bytes.length, at(bounds, index));
      yield bytes.toString();
    }
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
