import { createHash } from 'node:crypto';
import { type Alert, digestOf, isGrave } from './alert.ts';
import type { Ports } from './ports.ts';

/** How long a sweep has to be quiet before what it found is told. */
const quietMilliseconds = 60_000;

/** Sends one alert to the topic. */
export type Send = (alert: Alert) => Promise<void>;

/**
 * Sends an alert on, once however often it is delivered; holds it back where a minute would send more than
 * `digestOver` of them, and always what a sweep found. What is held goes out with the bucket's digest, or at once where an
 * event tells the same while the sweep is still going on.
 */
export async function notify(
  alert: Alert,
  send: Send,
  { ledger, config, now }: Pick<Ports, 'ledger' | 'config' | 'now'>,
): Promise<'sent' | 'held' | 'known' | 'silenced'> {
  if ((await ledger.switches()).modes[alert.rule] === 'off') return 'silenced';
  const key = alertKey(alert);
  const minute = Math.floor(now() / 60_000);
  const swept = alert.sweep !== undefined && alert.kind !== 'change';
  // What an earlier delivery counted, and perhaps held back, stays in that one's bucket.
  const { bucket, count, sent } = await ledger.announce(key, swept ? `sweep-${alert.sweep}` : `minute-${minute}`, now());
  if (sent) {
    if (swept || !isOfSweep(bucket) || !(await ledger.isHeld(bucket, key))) return 'known';
    await send(alert);
    await ledger.release(bucket, [key]);
    return 'sent';
  }
  if (swept || count > config.digestOver) {
    await ledger.hold(bucket, key, alert, swept ? now() + quietMilliseconds : (minute + 1) * 60_000);
    await ledger.markSent(key);
    return 'held';
  }
  await send(alert);
  await ledger.markSent(key);
  return 'sent';
}

/** Sends what a bucket held: each by itself while they are few, otherwise one digest, or a few where SNS takes no longer one. */
export async function flush(bucket: string, send: Send, { ledger, config }: Pick<Ports, 'ledger' | 'config'>): Promise<void> {
  const held: Held[] = [];
  for await (const { key, alert } of ledger.held(bucket)) held.push({ key, alert: alert as Alert });
  const swept = isOfSweep(bucket);
  const alone = swept && held.length <= config.digestOver;
  const parts = alone ? held.map((one) => [one]) : partsOf(held);
  for (const [index, part] of parts.entries()) {
    const alerts = part.map(({ alert }) => alert);
    const why = swept ? 'A sweep of the whole estate' : 'More than the limit within a minute';
    const which = parts.length === 1 ? '' : `, part ${index + 1} of ${parts.length}`;
    for (const message of alone ? alerts : [digestOf(alerts, `${why}${which}`, config.home)]) await send(message);
    // One by one: whoever goes on after a failure does not send again what was sent.
    await ledger.release(
      bucket,
      part.map(({ key }) => key),
    );
  }
  if (held.length === 0) await ledger.release(bucket, []);
}

/** A bucket is of a sweep, or of a minute. */
function isOfSweep(bucket: string): boolean {
  return bucket.startsWith('sweep-');
}

interface Held {
  readonly key: string;
  readonly alert: Alert;
}

/** A message of SNS holds 256 KB, and the digest stands in it twice (JSON and text): so many critical and high ones at most. */
const namedAtMost = 250;

function partsOf(held: readonly Held[]): readonly (readonly Held[])[] {
  const parts: Held[][] = [];
  const grave = held.filter(({ alert }) => isGrave(alert));
  for (let start = 0; start < grave.length; start += namedAtMost) parts.push(grave.slice(start, start + namedAtMost));
  const counted = held.filter(({ alert }) => !isGrave(alert));
  if (counted.length > 0) parts[0] = [...(parts[0] ?? []), ...counted];
  return parts;
}

/** Tells one alert from another: a finding in a life of it, its status, and what is said about it. */
function alertKey({ findingId, opened, status, change, summary }: Alert): string {
  const said = createHash('sha256').update(summary).digest('hex').slice(0, 8);
  return [findingId, opened, status, change?.id ?? '', said].join('#');
}
