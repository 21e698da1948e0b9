import { coverHalf, rangeOf } from './network-ranges.ts';

/**
 * Whether ranges, taken together, cover half of the internet or more, in IPv4 or in IPv6. Half is enough: a rule for
 * everyone is often written as two halves, because some interfaces refuse `0.0.0.0/0`.
 */
export function coversHalfOfTheInternet(ranges: readonly string[]): boolean {
  return coverHalf(ranges.map(rangeOf));
}
