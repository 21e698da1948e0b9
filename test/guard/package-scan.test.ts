import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import { strToU8, zipSync } from 'fflate';
import { type PackageScan, type ScanLimits, scanPackage } from '../../guard/package-scan.ts';
import type { Measured } from '../support/large-package.ts';

// Joined from parts, so that the secret scanners of code hosts find nothing here.
const token = ['ghp', '_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');

const limits: ScanLimits = { folders: ['node_modules'], bytes: 100 << 20, until: 1000, clock: () => 0 };

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const scan = async (bytes: Uint8Array, more: Partial<ScanLimits> = {}, size = 65_536): Promise<PackageScan> =>
  await scanPackage(inChunks(bytes, size), { ...limits, ...more });

const zip = (files: Record<string, Uint8Array | string>) =>
  zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, typeof text === 'string' ? strToU8(text) : text])));

interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  readonly signed?: boolean;
  /** Lengths of eight bytes. */
  readonly long?: boolean;
}

/** A package as writers make it that know no length before they have written. */
function described(...entries: readonly Entry[]): Uint8Array {
  const parts = entries.flatMap(({ name, data, method = 8, flags = 8, signed = true, long = false }) => {
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(flags, 6);
    header.writeUInt16LE(method, 8);
    header.writeUInt16LE(name.length, 26);
    const packed = method === 8 ? deflateRawSync(data, { level: name.endsWith('.stored') ? 0 : 6 }) : Buffer.from(data);
    const behind = Buffer.alloc((signed ? 4 : 0) + (long ? 20 : 12));
    if (signed) behind.writeUInt32LE(0x08074b50, 0);
    return [header, Buffer.from(name), packed, behind];
  });
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  return Buffer.concat([...parts, end]);
}

const found = ({ found }: PackageScan) => found.map(({ file, line, kind }) => `${file}:${line} ${kind}`);

describe('a package is read as it arrives', () => {
  const files = { 'a.js': `// nothing\n${token}\n`, 'empty.txt': '', 'dir/b.py': `x = 1\ny = 2\nkey = "${token}"` };

  test.each([1, 7, 30, 1000, 65_536])('in chunks of %d bytes', async (size) => {
    const result = await scan(zip(files), {}, size);
    expect(found(result)).toEqual(['a.js:2 GitHub token', 'dir/b.py:3 GitHub token']);
    expect(result.sha256).toMatch(/^[\w+/]{43}=$/);
  });

  test.each([
    ['with a signature', { signed: true }],
    ['without one', { signed: false }],
    ['of eight bytes', { long: true }],
  ])('with lengths behind the files, %s', async (_, how) => {
    const entries = [
      { name: 'a.js', data: strToU8(token), ...how },
      { name: 'b.js', data: strToU8(`\n${token}`), ...how },
    ];
    for (const size of [1, 9, 65_536])
      expect(found(await scan(described(...entries), {}, size))).toEqual(['a.js:1 GitHub token', 'b.js:2 GitHub token']);
  });

  test('with another package inside, uncompressed, and no length before it', async () => {
    const inner = zip({ 'inner.js': 'x'.repeat(300) });
    const outer = described({ name: 'plugin.stored', data: inner }, { name: 'b.js', data: strToU8(token) });
    expect(found(await scan(outer))).toEqual(['b.js:1 GitHub token']);
  });
});

describe('what is not examined is counted', () => {
  test('dependencies, binaries and archives', async () => {
    const files = { 'a.js': '1', 'node_modules/x/key.js': token, 'x/node_modules/y.js': token, 'logo.png': token, 'lib/a.jar': token };
    const result = await scan(zip({ ...files, 'tool/bin': new Uint8Array([1, 2, 0, ...strToU8(token)]) }));
    expect(result).toMatchObject({ found: [], scanned: { files: 1, bytes: 1 }, skipped: { dependencies: 2, binary: 2, archives: 1 } });
  });

  test('and what came after the bytes or the time was over', async () => {
    const large = zip({ 'a.js': token, 'b.js': 'const a = 1;\n'.repeat(10_000), 'c.js': token });
    expect(await scan(large, { bytes: 50_000 })).toMatchObject({ sha256: undefined, skipped: { unfinished: 'bytes' } });
    let calls = 0;
    const clock = () => 100 * calls++;
    const late = await scan(large, { clock, until: 150 }, 100);
    expect(late).toMatchObject({ sha256: undefined, skipped: { unfinished: 'time' } });
  });

  test('and whoever sends the bytes is told to stop', async () => {
    let ended = false;
    const endless = async function* () {
      try {
        yield zip({ 'a.js': 'const a = 1;\n'.repeat(10_000) });
        for (;;) yield new Uint8Array(1000);
      } finally {
        ended = true;
      }
    };
    await scanPackage(endless(), { ...limits, bytes: 1000 });
    expect(ended).toBe(true);
  });
});

describe('what cannot be read is an error, and never clean', () => {
  const whole = zip({ 'a.js': 'const a = 1;\n'.repeat(1000) });
  test.each([
    ['no zip', strToU8('#!/bin/sh\nexit 1\n')],
    ['nothing', new Uint8Array()],
    ['half of one', whole.subarray(0, 80)],
    [
      'one with broken bytes',
      described({ name: 'a.js', data: strToU8('x'), method: 8 }).map((byte, at) => (at >= 34 && at < 37 ? 255 : byte)),
    ],
    ['a file of no length and no compression', described({ name: 'a.js', data: strToU8(token), method: 0 })],
    ['a file that is encrypted, of no length', described({ name: 'a.js', data: strToU8(token), flags: 9 })],
  ])('%s', async (_, bytes) => {
    await expect(scan(bytes)).rejects.toMatchObject({ name: 'PackageUnreadable' });
    await expect(scan(bytes)).rejects.not.toThrow(token);
  });
});

test('a line of many megabytes, and a key that lies across two parts of a text', async () => {
  const bytes = Array.from({ length: 36 }, (_, at) => createHash('sha256').update(`${at}`).digest());
  const lines =
    Buffer.concat([Buffer.from([0x30, 0x82]), ...bytes])
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  const key = ['-----BEGIN RSA', ' PRIVATE KEY-----\n', ...lines.map((line) => `${line}\n`), '-----END RSA', ' PRIVATE KEY-----\n'].join(
    '',
  );
  const before = 'const a = 1;\n'.repeat(Math.floor((256 * 1024) / 13) - 20);
  const result = await scan(zip({ 'min.js': `${'x=1;'.repeat(500_000)}${token}`, 'key.txt': `${before}${key}` }));
  expect(found(result)).toEqual(['min.js:1 GitHub token', `key.txt:${before.split('\n').length} private key`]);
});

test('no more than fifty are named, and the others counted', async () => {
  const { found: named, more } = await scan(zip({ 'a.js': `${token}\n`.repeat(60) }));
  expect([named.length, more]).toEqual([50, 10]);
});

test('a package of 250 MB takes less than 256 MB of memory, everything included', async () => {
  const { stdout } = await promisify(execFile)('node', ['test/support/large-package.ts', '250']);
  const { scan: result, memory, package: size } = JSON.parse(stdout) as Measured;
  expect(size).toBeGreaterThanOrEqual(250);
  expect(found(result)).toEqual(['src/bundle.js:40001 GitHub token', 'src/end.py:1 GitHub token']);
  expect(memory).toBeLessThan(256);
}, 60_000);
