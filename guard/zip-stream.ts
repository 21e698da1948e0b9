import { createInflateRaw } from 'node:zlib';
import { PackageUnreadable } from './errors.ts';

/** Takes the bytes of one file of a package as they come. */
export interface Sink {
  push(bytes: Uint8Array): void;
  end(): void;
}

const localFile = 0x04034b50;
const centralDirectory = 0x02014b50;
const endOfDirectory = 0x06054b50;
const descriptor = 0x08074b50;

/** What is there is read from the front: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
interface Header {
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  /** Undefined where the length is written behind the bytes. */
  readonly size: number | undefined;
  readonly described: boolean;
}

/**
 * Reads a zip package from its first byte to its directory, and keeps no more of it than what came last. Files of unknown length
 * end where their compression says so; a search for signatures, as some libraries do it, goes wrong where a package holds another.
 * @param open what takes a file's bytes; undefined where nobody wants them
 * @throws PackageUnreadable where it is no zip, or one that cannot be read this way
 */
export async function readZip(chunks: AsyncIterable<Uint8Array>, open: (name: string) => Sink | undefined): Promise<void> {
  const input = new Input(chunks);
  try {
    await readFiles(input, open);
  } finally {
    await input.close();
  }
}

async function readFiles(input: Input, open: (name: string) => Sink | undefined): Promise<void> {
  for (let files = 0; ; files += 1) {
    const signature = (await input.peek(4))?.readUInt32LE(0);
    if (signature === centralDirectory || signature === endOfDirectory) break;
    if (signature !== localFile) throw new PackageUnreadable(`the package is no zip, or broken after ${files} files`);
    const header = await readHeader(input);
    const sink = header.encrypted ? undefined : open(header.name);
    await readFile(input, header, sink);
    sink?.end();
    if (header.described) await skipDescriptor(input);
  }
  // What follows lists the same files once more; the connection is emptied, so that whoever counts has all of it.
  await input.drain();
}

async function readHeader(input: Input): Promise<Header> {
  const fixed = await input.take(30);
  const [flags, method] = [fixed.readUInt16LE(6), fixed.readUInt16LE(8)];
  const [packed, unpacked] = [fixed.readUInt32LE(18), fixed.readUInt32LE(22)];
  const name = (await input.take(fixed.readUInt16LE(26))).toString('utf8');
  const extra = await input.take(fixed.readUInt16LE(28));
  const described = (flags & 8) !== 0;
  const size = packed === 0xffffffff ? largeSize(extra, unpacked === 0xffffffff) : packed;
  return { name, method, encrypted: (flags & 1) !== 0, described, size: described && size === 0 ? undefined : size };
}

/** The compressed length of a file beyond 4 GB, or of one whose writer did not know that it is smaller. */
function largeSize(extra: Buffer, bothLarge: boolean): number {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    const from = at + 4 + (bothLarge ? 8 : 0);
    if (extra.readUInt16LE(at) === 1 && from + 8 <= extra.length) return Number(extra.readBigUInt64LE(from));
  }
  throw new PackageUnreadable('the package holds a file of no known length');
}

async function readFile(input: Input, { method, size, name, encrypted }: Header, sink: Sink | undefined): Promise<void> {
  if (size !== undefined && (sink === undefined || method === 0)) return await input.pass(size, sink);
  if (method === 8 && !encrypted) return await inflate(input, size, sink);
  if (size !== undefined) return await input.pass(size, undefined);
  if (!name.endsWith('/')) throw new PackageUnreadable('the package holds a file whose end cannot be found');
}

async function inflate(input: Input, size: number | undefined, sink: Sink | undefined): Promise<void> {
  const inflater = createInflateRaw({ chunkSize: 64 * 1024 });
  let [given, broken] = [0, false];
  let refused: { readonly why: unknown } | undefined;
  inflater.on('data', (bytes: Buffer) => {
    try {
      if (refused === undefined) sink?.push(bytes);
    } catch (why) {
      refused = { why };
    }
  });
  let wake = () => {};
  inflater.on('error', () => {
    broken = true;
    wake();
  });
  // Whoever is written to does not answer any more once it failed.
  const settled = (begin: (done: () => void) => void) =>
    new Promise<void>((resolve) => {
      wake = resolve;
      begin(resolve);
    });
  try {
    while (size === undefined || given < size) {
      const bytes = await input.some(size === undefined ? Number.POSITIVE_INFINITY : size - given);
      if (bytes === undefined) throw new PackageUnreadable('the package breaks off');
      given += bytes.length;
      await settled((done) => void inflater.write(bytes, done));
      if (refused !== undefined) throw refused.why;
      if (broken) throw new PackageUnreadable('the package holds a file that cannot be unpacked');
      const left = given - inflater.bytesWritten;
      if (size === undefined && left > 0) {
        input.putBack(bytes.subarray(bytes.length - left));
        break;
      }
    }
    await settled((done) => void inflater.end(done));
    if (broken) throw new PackageUnreadable('the package holds a file that cannot be unpacked');
    if (refused !== undefined) throw (refused as { readonly why: unknown }).why;
  } finally {
    inflater.close();
  }
}

/** The lengths behind a file: with a signature or without, of four bytes each or of eight. */
async function skipDescriptor(input: Input): Promise<void> {
  const start = (await input.peek(4))?.readUInt32LE(0) === descriptor ? 4 : 0;
  const ahead = await input.peek(start + 16);
  const next = ahead?.readUInt32LE(start + 12) ?? 0;
  const isNext = [localFile, centralDirectory, endOfDirectory].includes(next);
  await input.take(start + (isNext ? 12 : 20));
}

/** Bytes as they come, of which some can be looked at first. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done === true) return false;
    const next = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.#held = this.#held.length === 0 ? next : Buffer.concat([this.#held, next]);
    return true;
  }

  async peek(count: number): Promise<Buffer | undefined> {
    while (this.#held.length < count) if (!(await this.#more())) return undefined;
    return this.#held.subarray(0, count);
  }

  async take(count: number): Promise<Buffer> {
    const bytes = await this.peek(count);
    if (bytes === undefined) throw new PackageUnreadable('the package breaks off');
    this.#held = this.#held.subarray(count);
    return bytes;
  }

  /** What is there, at most so much; undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.#held.length === 0) if (!(await this.#more())) return undefined;
    const bytes = this.#held.subarray(0, Math.min(most, this.#held.length));
    this.#held = this.#held.subarray(bytes.length);
    return bytes;
  }

  putBack(bytes: Buffer): void {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([bytes, this.#held]);
  }

  async pass(count: number, sink: Sink | undefined): Promise<void> {
    for (let left = count; left > 0; ) {
      const bytes = await this.some(left);
      if (bytes === undefined) throw new PackageUnreadable('the package breaks off');
      sink?.push(bytes);
      left -= bytes.length;
    }
  }

  /** Whoever sends them need not go on. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async drain(): Promise<void> {
    do this.#held = Buffer.alloc(0);
    while (await this.#more());
  }
}
