import type { Readable } from 'node:stream';
import type { Connection } from '../guard/call.ts';

/** How often a call is tried in all. */
export const attempts = 4;

/**
 * How long one attempt may take, in milliseconds. All attempts together, and the waits between them, take less than the
 * Timeout of every function that makes such calls: it fails by itself, and says why.
 */
export const patience = {
  calls: 6_000,
  /** Calls that move a package of a function, 250 MB at most, or let Lambda copy one. */
  packages: 20_000,
};

/** Settings of every client: adaptive retries with jitter, which also slow down when a quota is near, and no endless waits. */
export interface ClientSettings {
  readonly region: string;
  readonly maxAttempts: number;
  readonly retryMode: 'adaptive';
  readonly requestHandler: { readonly connectionTimeout: number; readonly requestTimeout: number; readonly throwOnRequestTimeout: true };
  readonly streamCollector: (answer: Readable) => Promise<Uint8Array>;
}

/** The bytes of an answer as they come: the SDK's own way, by a second stream behind the first, takes an eighth of what a call takes. */
function bytesOf(answer: Readable): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = [];
    answer.on('data', (part: Uint8Array) => parts.push(part));
    answer.on('end', () => resolve(Buffer.concat(parts)));
    answer.on('error', reject);
  });
}

/**
 * For clients all of whose requests go to one endpoint: what the SDK puts around a request is made once for each kind of command, not
 * for each request. Requests side by side then share what it notes of them, the endpoint too: nothing for buckets and queues, which
 * have endpoints of their own, nor for lib-dynamodb, whose commands put themselves into it.
 */
export const oneEndpoint = { cacheMiddleware: true } as const;

/** One client a region, made when first used, so that a function pays only for the services that it calls: the others are not bundled. */
// @__NO_SIDE_EFFECTS__
export function clientPerRegion<Client>(
  make: (settings: ClientSettings) => Client,
  requestTimeout: number = patience.calls,
): (connection: Pick<Connection, 'region'>) => Client {
  const clients = new Map<string, Client>();
  return ({ region }) => {
    const existing = clients.get(region);
    if (existing !== undefined) return existing;
    const made = make({
      region,
      maxAttempts: attempts,
      retryMode: 'adaptive',
      // Without the last, the SDK only warns. https://docs.aws.amazon.com/sdk-for-javascript/v3/developer-guide/node-configuring-timeouts.html
      requestHandler: { connectionTimeout: 2_000, requestTimeout, throwOnRequestTimeout: true },
      streamCollector: bytesOf,
    });
    clients.set(region, made);
    return made;
  };
}
