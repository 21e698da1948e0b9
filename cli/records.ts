import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip, gunzipSync } from 'node:zlib';
import { errorName, errorSummary } from '../guard/errors.ts';
import { RecordStream, type Take, type Unread } from '../guard/record-stream.ts';
import { filesIn, LeftOut } from './files.ts';
import { WrongUse } from './use.ts';

/** A file of records, local or in S3. */
interface Source {
  readonly name: string;
  /** Its size, where it is local. */
  readonly size?: number;
  readonly open: () => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;
}

/** Packed files up to this size are unpacked at once, which costs less than a stream; they hold about twenty times as much. */
const small = 64 * 1024;
const smallUnpacked = 4 * 1024 * 1024;
const chunkSize = 128 * 1024;

/** So many broken records of a file are kept back until it is known whether the file is damaged as a whole. */
const toldAtOnce = 10_000;

/** What may hold records; nobody knows about names without an ending, which is how Firehose writes them. */
const mayHold = (name: string) =>
  !name.startsWith('.') && (/\.(json|jsonl|ndjson)(\.gz)?$/.test(name) || !name.includes('.') || /^[^.]+\.gz$/.test(name));
/** A line a record: there may be none. */
const isOfLines = (name: string) => /\.(jsonl|ndjson)(\.gz)?$/.test(name);
/** Beside its files CloudTrail lays digests, which hold no records. */
const isDigest = (path: string) => /(^|\/)CloudTrail-Digest\//.test(path);

/**
 * Reads the records in files and folders, and under `s3://bucket/prefix`: every one is handed to `take`, in order of names.
 * Memory holds a record and a piece of a file at a time.
 * @param region where S3 is asked first
 * @returns how many records and files there were
 * @throws WrongUse where something that was named is not there
 */
export async function readRecords(
  paths: readonly string[],
  region: string,
  take: Take,
  unread: (file: string, why: Unread | string) => void,
): Promise<{ readonly files: number; readonly records: number }> {
  for (const path of paths) if (!path.startsWith('s3://') && !existsSync(path)) throw new WrongUse(`There is no file or folder ${path}.`);
  let [files, records] = [0, 0];
  for await (const source of sourcesOf(paths, region)) {
    files += 1;
    const broken: Unread[] = [];
    const tell = () => {
      for (const where of broken.splice(0)) unread(source.name, where);
    };
    const stream = new RecordStream(take, (where) => {
      if (broken.push(where) >= toldAtOnce) tell();
    });
    try {
      await readInto(stream, source);
      stream.end();
      tell();
      if (stream.isEmpty && !isOfLines(source.name)) unread(source.name, 'is empty');
    } catch (error) {
      // What came before the break counts; what is broken there may be broken by it, and is told with it.
      unread(source.name, `${whyOf(error)}, after ${stream.records - broken.length} records`);
    }
    records += stream.records;
  }
  return { files, records };
}

async function* sourcesOf(paths: readonly string[], region: string): AsyncGenerator<Source> {
  for (const path of paths) {
    let files = 0;
    const leftOut = new LeftOut();
    for await (const source of sourcesAt(path, region, leftOut)) {
      files += 1;
      yield source;
    }
    leftOut.tell(path, 'log files');
    // Who mistyped a prefix would take it for a month in which nothing happened.
    if (files === 0) throw new WrongUse(`There are no log files in ${path}.`);
  }
}

async function* sourcesAt(path: string, region: string, leftOut: LeftOut): AsyncGenerator<Source> {
  const stats = path.startsWith('s3://') ? undefined : statSync(path);
  if (stats === undefined) yield* objectsUnder(path, region, leftOut);
  else if (stats.isDirectory()) yield* sourcesIn(path, leftOut);
  else yield fileAt(path, stats.size);
}

function fileAt(path: string, size: number): Source {
  return { name: path, size, open: () => createReadStream(path, { highWaterMark: chunkSize }) };
}

function* sourcesIn(folder: string, leftOut: LeftOut): Generator<Source> {
  for (const { path, name, size } of filesIn(folder, (inner) => !isDigest(`${inner}/`)))
    if (size !== undefined && mayHold(name)) yield fileAt(path, size);
    else leftOut.add(path);
}

async function* objectsUnder(url: string, region: string, leftOut: LeftOut): AsyncGenerator<Source> {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/s.exec(url) ?? [];
  if (bucket === '') throw new WrongUse(`${url} names no bucket: s3://bucket/prefix.`);
  const { keysUnder, objectBytes } = await import('../aws/objects.ts');
  try {
    for await (const key of keysUnder(region, bucket, prefix)) {
      if (isDigest(key)) continue;
      const name = `s3://${bucket}/${key}`;
      if (mayHold(key.slice(key.lastIndexOf('/') + 1))) yield { name, open: () => objectBytes(region, bucket, key) };
      else leftOut.add(name);
    }
  } catch (error) {
    throw errorName(error) === 'NoSuchBucket' ? new WrongUse(`There is no bucket ${bucket}.`) : error;
  }
}

async function readInto(stream: RecordStream, { name, size = Number.POSITIVE_INFINITY, open }: Source): Promise<void> {
  if (size <= small && unpackedAtOnce(stream, name)) return;
  const source = (await open())[Symbol.asyncIterator]();
  const first = await source.next();
  if (first.done === true) return;
  const rest = async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => source };
  };
  if (isPacked(first.value)) return await unpack(rest(), stream);
  for await (const chunk of rest()) stream.push(asBuffer(chunk));
}

/** @returns false where it has to be unpacked as a stream: it is broken, and what comes before the break counts, or holds too much */
function unpackedAtOnce(stream: RecordStream, path: string): boolean {
  const bytes = readFileSync(path);
  if (!isPacked(bytes)) {
    stream.push(bytes);
    return true;
  }
  let unpacked: Buffer;
  try {
    unpacked = gunzipSync(bytes, { maxOutputLength: smallUnpacked, chunkSize });
  } catch {
    return false;
  }
  stream.push(unpacked);
  return true;
}

function isPacked(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** By events: what waited in an iterator would be lost where the file breaks. */
async function unpack(packed: AsyncIterable<Uint8Array>, stream: RecordStream): Promise<void> {
  const source = Readable.from(packed);
  const gunzip = createGunzip({ chunkSize });
  await new Promise<void>((resolve, reject) => {
    source.on('error', (error) => gunzip.destroy(error));
    gunzip.on('data', (chunk: Buffer) => {
      try {
        stream.push(chunk);
      } catch (error) {
        gunzip.destroy(error as Error);
      }
    });
    gunzip.on('end', resolve);
    gunzip.on('error', reject);
    source.pipe(gunzip);
  }).finally(() => source.destroy());
}

function whyOf(error: unknown): string {
  const name = errorName(error);
  return name === 'Z_BUF_ERROR'
    ? 'ends before it is unpacked'
    : name.startsWith('Z_')
      ? 'is damaged'
      : `cannot be read (${errorSummary(error)})`;
}
