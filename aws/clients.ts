import type { Connection } from '../guard/call.ts';

/** Settings of every client: adaptive retries with jitter, which also slow down when a quota is near. */
export interface ClientSettings {
  readonly region: string;
  readonly maxAttempts: number;
  readonly retryMode: 'adaptive';
}

/** One client a region, made when first used, so that a function pays only for the services that it calls. */
export function clientPerRegion<Client>(make: (settings: ClientSettings) => Client): (connection: Pick<Connection, 'region'>) => Client {
  const clients = new Map<string, Client>();
  return ({ region }) => {
    const existing = clients.get(region);
    if (existing !== undefined) return existing;
    const made = make({ region, maxAttempts: 4, retryMode: 'adaptive' });
    clients.set(region, made);
    return made;
  };
}
