import { crc32, deflateRawSync } from 'node:zlib';
import { type PackageScan, scanPackage } from '../../guard/package-scan.ts';

// Run as a process of its own: examines a package of the size that is given in megabytes, which exists nowhere as a whole, and
// prints what was found and how much memory that took.

const megabyte = 1024 * 1024;
const token = ['ghp', '_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');

function localHeader(name: string, method: number, flags: number, packed: number, unpacked: number, crc = 0): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(packed, 18);
  header.writeUInt32LE(unpacked, 22);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, Buffer.from(name)]);
}

/** A megabyte that does not compress, as machine code and models do not. */
function noise(seed: number): Buffer {
  const bytes = Buffer.alloc(megabyte);
  let state = seed | 1;
  for (let at = 0; at < megabyte; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}

async function* largePackage(megabytes: number): AsyncGenerator<Uint8Array> {
  const code = Buffer.from(`${'const nothing = "of interest";\n'.repeat(40_000)}const last = '${token}';\n`);
  // Its length stands behind it, as writers do that do not know it before.
  const packed = deflateRawSync(code);
  yield localHeader('src/bundle.js', 8, 8, 0, 0);
  yield packed;
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt32LE(0x08074b50, 0);
  descriptor.writeUInt32LE(crc32(code), 4);
  descriptor.writeUInt32LE(packed.length, 8);
  descriptor.writeUInt32LE(code.length, 12);
  yield descriptor;
  // One line without end, as minifying makes it.
  const line = Buffer.alloc(8 * megabyte, 'x=1;');
  yield localHeader('src/vendor.min.js', 0, 0, line.length, line.length);
  yield line;
  // The rest: one large file whose name does not say that it is no text, and a dependency.
  const rest = megabytes - 8;
  for (const [name, size] of [
    ['data/model', Math.ceil(rest / 2)],
    ['node_modules/native/build', Math.floor(rest / 2)],
  ] as const) {
    yield localHeader(name, 0, 0, size * megabyte, size * megabyte);
    for (let index = 0; index < size; index += 1) yield noise(index);
  }
  yield localHeader('src/end.py', 0, 0, token.length + 1, token.length + 1);
  yield Buffer.from(`${token}\n`);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  yield end;
}

export interface Measured {
  readonly scan: PackageScan;
  /** Megabytes, at the highest. */
  readonly memory: number;
  readonly package: number;
}

let size = 0;
async function* counted(): AsyncGenerator<Uint8Array> {
  for await (const chunk of largePackage(Number(process.argv[2] ?? '250'))) {
    size += chunk.length;
    yield chunk;
  }
}

const scan = await scanPackage(counted(), {
  folders: ['node_modules'],
  bytes: 250 * megabyte,
  until: Number.POSITIVE_INFINITY,
  clock: () => 0,
});
const measured: Measured = { scan, memory: process.resourceUsage().maxRSS / 1024, package: size / megabyte };
process.stdout.write(JSON.stringify(measured));
