import ipaddr from 'ipaddr.js';

/** The addresses that the internet routes: all of IPv4, and IPv6's global unicast. https://www.rfc-editor.org/rfc/rfc4291#section-2.4 */
const internet = {
  ipv4: { first: 0n, end: 1n << 32n, bits: 32n },
  ipv6: { first: 0x2n << 124n, end: 0x4n << 124n, bits: 128n },
} as const;

/**
 * Whether ranges, taken together, cover half of the internet or more, in IPv4 or in IPv6. Half is enough: a rule for
 * everyone is often written as two halves, because some interfaces refuse `0.0.0.0/0`.
 */
export function coversHalfOfTheInternet(ranges: readonly string[]): boolean {
  const parsed = ranges.map((range) => ipaddr.parseCIDR(range));
  return (['ipv4', 'ipv6'] as const).some((family) => {
    const { first, end, bits } = internet[family];
    const own = parsed.flatMap(([address, prefix]) => {
      if (address.kind() !== family) return [];
      const size = 1n << (bits - BigInt(prefix));
      const start = (toNumber(address) / size) * size;
      return [{ half: prefix <= 1, start: max(start, first), end: min(start + size, end) }];
    });
    return own.some(({ half }) => half) || 2n * covered(own) >= end - first;
  });
}

/** How many addresses lie in intervals that may overlap. */
function covered(intervals: readonly { readonly start: bigint; readonly end: bigint }[]): bigint {
  let count = 0n;
  let reached = 0n;
  for (const { start, end } of intervals.toSorted((a, b) => (a.start < b.start ? -1 : 1))) {
    const from = max(start, reached);
    if (end > from) count += end - from;
    reached = max(reached, end);
  }
  return count;
}

function toNumber(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  return address.toByteArray().reduce((number, byte) => number * 256n + BigInt(byte), 0n);
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
