import { createHash } from 'node:crypto';
import { textScanner } from './secret-detection.ts';
import { readZip, type Sink } from './zip-stream.ts';

/** What was found in a package, and what was not looked at. JSON, and never a value. */
export interface PackageScan {
  /** CodeSha256 of the bytes that were read; undefined where they were not read to the end. */
  readonly sha256: string | undefined;
  readonly found: readonly FoundInFile[];
  /** Credentials beyond those that are named. */
  readonly more: number;
  readonly scanned: { readonly files: number; readonly bytes: number };
  readonly skipped: Skipped;
}

export interface FoundInFile {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
}

/** Files that were not looked at, by the reason, and the bounds that ended the scan. */
export interface Skipped {
  readonly dependencies: number;
  readonly binary: number;
  readonly archives: number;
  readonly unfinished?: 'bytes' | 'time';
}

export interface ScanLimits {
  /** Folders of dependencies, at any depth. */
  readonly folders: readonly string[];
  /** Unpacked bytes of texts that are examined. */
  readonly bytes: number;
  /** Milliseconds, by the clock that is handed in. */
  readonly until: number;
  readonly clock: () => number;
}

/** More are counted, not named. */
const mostNamed = 50;
/** Texts are examined in parts of this length, each with the end of the one before it: a private key has many lines. */
const part = 256 * 1024;
const overlap = 8 * 1024;

const pictures = /\.(?:png|jpe?g|gif|webp|ico|svg|woff2?|ttf|otf|eot|pdf|mp[34]|wasm|so|node|dll|dylib|pyc|class|bin|dat|db|map)$/i;
const archives = /\.(?:zip|jar|war|tar|t?gz|bz2|xz|7z|whl|egg|br|zst)$/i;

/**
 * Examines a package for credentials as its bytes arrive: nothing is unpacked to a disk, and no more of it is held than one part of a
 * text, however large it is.
 * @throws PackageUnreadable where it cannot be read: whether it holds a credential is then unknown
 */
export async function scanPackage(chunks: AsyncIterable<Uint8Array>, limits: ScanLimits): Promise<PackageScan> {
  const hash = createHash('sha256');
  const state = new State(limits);
  let finished = false;
  const hashed = async function* () {
    for await (const chunk of chunks) {
      if (limits.clock() > limits.until) state.stop('time');
      hash.update(chunk);
      yield chunk;
    }
    finished = true;
  };
  try {
    await readZip(hashed(), (name) => state.open(name));
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  }
  return state.result(finished ? hash.digest('base64') : undefined);
}

/** The bound is reached: not an error, and nothing else is read. */
class Stopped extends Error {
  override readonly name = 'Stopped';
}

class State {
  readonly #limits: ScanLimits;
  readonly #scan = textScanner();
  readonly #found = new Map<string, FoundInFile>();
  #more = 0;
  #files = 0;
  #bytes = 0;
  #dependencies = 0;
  #binary = 0;
  #archives = 0;
  #unfinished: 'bytes' | 'time' | undefined;

  constructor(limits: ScanLimits) {
    this.#limits = limits;
  }

  stop(why: 'bytes' | 'time'): never {
    this.#unfinished = why;
    throw new Stopped(why);
  }

  open(file: string): Sink | undefined {
    if (file.endsWith('/')) return undefined;
    if (
      file
        .split('/')
        .slice(0, -1)
        .some((folder) => this.#limits.folders.includes(folder))
    ) {
      this.#dependencies += 1;
      return undefined;
    }
    if (archives.test(file)) this.#archives += 1;
    else if (pictures.test(file)) this.#binary += 1;
    else return new TextSink(file, this);
    return undefined;
  }

  text(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.bytes) this.stop('bytes');
  }

  closed(binary: boolean): void {
    if (binary) this.#binary += 1;
    else this.#files += 1;
  }

  /** @param line the number of the text's first line */
  examine(file: string, text: string, line: number): void {
    if (this.#limits.clock() > this.#limits.until) this.stop('time');
    const name = file.slice(file.lastIndexOf('/') + 1);
    const extension = name.startsWith('.env') ? '.env' : (/\.[^.]*$/.exec(name)?.[0] ?? '');
    for (const { at, kind } of this.#scan(text, extension)) {
      const found = { file, line: line + linesIn(text, at), kind };
      const key = `${file}:${found.line}`;
      if (this.#found.has(key)) continue;
      if (this.#found.size < mostNamed) this.#found.set(key, found);
      else this.#more += 1;
    }
  }

  result(sha256: string | undefined): PackageScan {
    return {
      sha256: this.#unfinished === undefined ? sha256 : undefined,
      found: [...this.#found.values()],
      more: this.#more,
      scanned: { files: this.#files, bytes: this.#bytes },
      skipped: {
        dependencies: this.#dependencies,
        binary: this.#binary,
        archives: this.#archives,
        ...(this.#unfinished === undefined ? {} : { unfinished: this.#unfinished }),
      },
    };
  }
}

function linesIn(text: string, end: number): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}

/** One file: its texts go on part by part, and one that turns out to be no text is left alone. */
class TextSink implements Sink {
  readonly #file: string;
  readonly #state: State;
  readonly #decoder = new TextDecoder();
  #text = '';
  #line = 1;
  #kind: 'unknown' | 'text' | 'binary' = 'unknown';

  constructor(file: string, state: State) {
    this.#file = file;
    this.#state = state;
  }

  push(bytes: Uint8Array): void {
    if (this.#kind === 'unknown' && bytes.length > 0) this.#kind = bytes.subarray(0, 8192).includes(0) ? 'binary' : 'text';
    if (this.#kind !== 'text') return;
    this.#state.text(bytes.length);
    this.#text += this.#decoder.decode(bytes, { stream: true });
    if (this.#text.length < part) return;
    this.#state.examine(this.#file, this.#text, this.#line);
    const kept = this.#text.lastIndexOf('\n', this.#text.length - overlap) + 1;
    // A line without end, as minifying makes them, is cut anywhere.
    const from = this.#text.length - kept > 2 * overlap ? this.#text.length - overlap : kept;
    this.#line += linesIn(this.#text, from);
    // Joined anew: a slice would hold on to all of the text that it was cut from.
    this.#text = Buffer.from(this.#text.slice(from)).toString();
  }

  end(): void {
    if (this.#kind === 'text' && this.#text !== '') this.#state.examine(this.#file, this.#text, this.#line);
    this.#text = '';
    this.#state.closed(this.#kind === 'binary');
  }
}
