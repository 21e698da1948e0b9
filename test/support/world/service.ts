import { createHash } from 'node:crypto';
import type { Place } from '../../../guard/arn.ts';

/** What the services of a world share: where it lies, what time it is there, and names that nobody else has. */
export class Surroundings implements Place {
  readonly account: string;
  readonly region: string;
  #now = Date.parse('2026-11-22T12:00:00.000Z');
  readonly #counts = new Map<string, number>();

  constructor({ account, region }: Place) {
    this.account = account;
    this.region = region;
  }

  /** Milliseconds since 1970. */
  get now(): number {
    return this.#now;
  }

  advance(seconds: number): void {
    this.#now += seconds * 1000;
  }

  /** The time of a write: a second later than the write before. */
  tick(): Date {
    this.advance(1);
    return new Date(this.#now);
  }

  /** `sg-0…1`, `sg-0…2`: ids as EC2 makes them, counted for each prefix. */
  id(prefix: string): string {
    return `${prefix}-${this.#next(prefix).toString(16).padStart(17, '0')}`;
  }

  /** An id as Lambda makes them for revisions. */
  uuid(): string {
    return createHash('md5')
      .update(`${this.#next('uuid')}`)
      .digest('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  #next(kind: string): number {
    const next = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, next);
    return next;
  }
}

/**
 * One service of AWS, in memory. A public method that is named as an operation in camel case (`getFunction` for
 * GetFunction) is that operation: the SDK's calls end there, and so do a test's own preparations.
 */
export interface Service {
  /** What a test compares: plain data, without what AWS assigns. */
  snapshot(): unknown;
}

/** An error as the SDK throws it. */
export function awsError(name: string, message: string, status = 400): Error {
  return Object.assign(new Error(message), { name, $fault: status >= 500 ? 'server' : 'client', $metadata: { httpStatusCode: status } });
}

/** An answer or an input as plain data of its own, so that nobody holds the world's insides. */
export function copy<T>(value: T): T {
  return structuredClone(value);
}

/** One page of a list. @param Marker the page's place, as an earlier page named it */
export function page<T>(
  items: readonly T[],
  Marker: string | undefined,
  size: number,
): { readonly items: T[]; readonly next: string | undefined } {
  const start = Number(Marker ?? 0);
  const next = start + size < items.length ? String(start + size) : undefined;
  return { items: items.slice(start, start + size), next };
}
