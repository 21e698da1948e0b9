import { attempts } from '../../aws/clients.ts';

/**
 * How long a call may take at most, in milliseconds: every attempt takes all of its time, and every wait between two is the
 * longest, which is that after throttling by a service that asks for five seconds more. Not in it: what parallel calls of
 * one client wait for each other while it slows down.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
 */
export function longestChain(attempt: number): number {
  let waits = 0;
  for (let retry = 0; retry < attempts - 1; retry += 1) waits += Math.min(20_000, 1_000 * 2 ** retry) + 5_000;
  return attempts * attempt + waits;
}
