import ipaddr from 'ipaddr.js';

export type Family = 'ipv4' | 'ipv6';

/** Addresses of one family, from `first` up to `end`, which is no longer among them. */
export interface Range {
  readonly family: Family;
  readonly first: bigint;
  readonly end: bigint;
}

const bits = { ipv4: 32, ipv6: 128 } as const;
const read = new Map<string, Range>();

/** The addresses that the internet routes: all of IPv4, and IPv6's global unicast. https://www.rfc-editor.org/rfc/rfc4291#section-2.4 */
export const internet: Readonly<Record<Family, Range>> = { ipv4: rangeOf('0.0.0.0/0'), ipv6: rangeOf('2000::/3') };

/** `10.0.0.0/8`, `2001:db8::/32`; bits behind the prefix do not count. @throws where it is neither */
export function rangeOf(cidr: string): Range {
  const known = read.get(cidr);
  if (known !== undefined) return known;
  const range = parse(cidr);
  // The same few are asked for again and again, at every hop of every way.
  if (read.size >= 10_000) read.clear();
  read.set(cidr, range);
  return range;
}

function parse(cidr: string): Range {
  const [address, prefix] = ipaddr.parseCIDR(cidr);
  const family = address.kind();
  const size = 1n << BigInt(bits[family] - prefix);
  const first = (address.toByteArray().reduce((number, byte) => number * 256n + BigInt(byte), 0n) / size) * size;
  return { family, first, end: first + size };
}

/** How long the prefix of a range is that an address block makes; of any other, that of the smallest block that could hold it. */
export function prefixOf({ family, first, end }: Range): number {
  return bits[family] - (end - first - 1n).toString(2).length + (end - first === 1n ? 1 : 0);
}

/** A range in words: `10.0.0.0/8`, or from where to where if it is no block. */
export function textOf({ family, first, end }: Range): string {
  const prefix = prefixOf({ family, first, end });
  const size = 1n << BigInt(bits[family] - prefix);
  if (size === end - first && first % size === 0n) return `${addressOf(first, family)}/${prefix}`;
  return `${addressOf(first, family)}-${addressOf(end - 1n, family)}`;
}

function addressOf(number: bigint, family: Family): string {
  const digits = number.toString(16).padStart(bits[family] / 4, '0');
  return ipaddr.fromByteArray([...Buffer.from(digits, 'hex')]).toString();
}

export function contains(outer: Range, inner: Range): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.end <= outer.end;
}

export function overlaps(a: Range, b: Range): boolean {
  return a.family === b.family && a.first < b.end && b.first < a.end;
}

/** A range in pieces, so that each of the others holds a piece whole or not at all. */
export function cutAt(range: Range, others: readonly Range[]): readonly Range[] {
  const edges = others.filter((other) => overlaps(range, other)).flatMap(({ first, end }) => [first, end]);
  const inside = edges.filter((edge) => edge > range.first && edge < range.end);
  const starts = [...new Set([range.first, ...inside])].sort((a, b) => (a < b ? -1 : 1));
  return starts.map((first, index) => ({ family: range.family, first, end: starts[index + 1] ?? range.end }));
}

/** Whether ranges, taken together, cover half of the internet or more, in IPv4 or in IPv6. */
export function coverHalf(ranges: readonly Range[]): boolean {
  return (['ipv4', 'ipv6'] as const).some((family) => {
    const { first, end } = internet[family];
    const own = ranges.filter((range) => range.family === family);
    return (
      own.some((range) => 2n * (range.end - range.first) >= 1n << BigInt(bits[family])) ||
      2n * covered(own, internet[family]) >= end - first
    );
  });
}

/** How many addresses of a range lie in others, which may overlap. */
function covered(ranges: readonly Range[], { first, end }: Range): bigint {
  let count = 0n;
  let reached = first;
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    if (range.first > reached) reached = range.first;
    const to = range.end < end ? range.end : end;
    if (to <= reached) continue;
    count += to - reached;
    reached = to;
  }
  return count;
}

/** What nobody on the internet has for an address. https://www.iana.org/assignments/iana-ipv4-special-registry */
const special = [
  ...[
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '224.0.0.0/3',
  ],
  ...['::/3', '4000::/2', '8000::/1'],
].map(rangeOf);

/** Whether nobody on the internet has an address in a range. */
export function isPrivate(range: Range): boolean {
  return special.some((block) => contains(block, range));
}

/** The internet in pieces, none of them partly private. */
export function publicParts(family: Family): readonly Range[] {
  return cutAt(internet[family], special).filter((part) => !isPrivate(part));
}
