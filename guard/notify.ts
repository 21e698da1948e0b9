import { type Alert, digestOf } from './alert.ts';
import type { Ports } from './check.ts';

/** How long a sweep has to be quiet before what it found is told. */
const quietMilliseconds = 60_000;
const dayMilliseconds = 24 * 3600_000;

/** Sends one alert to the topic. */
export type Send = (alert: Alert) => Promise<void>;

/**
 * Sends an alert on, once however often it is delivered; holds it back where a minute would send more than
 * `digestOver` of them, and always while a sweep is going on. What is held goes out with the bucket's digest.
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
  const bucket = swept ? `sweep-${alert.sweep}` : `minute-${minute}`;
  const { count, sent } = await ledger.announce(key, bucket, now() + dayMilliseconds);
  if (sent) return 'known';
  if (swept || count > config.digestOver) {
    await ledger.hold(bucket, key, alert, swept ? now() + quietMilliseconds : (minute + 1) * 60_000);
    return 'held';
  }
  await send(alert);
  await ledger.markSent(key);
  return 'sent';
}

/** Sends what a bucket held: each by itself while they are few, otherwise one digest. */
export async function flush(bucket: string, send: Send, { ledger, config }: Pick<Ports, 'ledger' | 'config'>): Promise<void> {
  const held: { key: string; alert: Alert }[] = [];
  for await (const { key, alert } of ledger.held(bucket)) held.push({ key, alert: alert as Alert });
  const swept = bucket.startsWith('sweep-');
  if (swept && held.length <= config.digestOver) for (const { alert } of held) await send(alert);
  else if (held.length > 0)
    await send(
      digestOf(
        held.map(({ alert }) => alert),
        swept ? 'A sweep of the whole estate' : 'More than the limit within a minute',
        config.home,
      ),
    );
  for (const { key } of held) await ledger.markSent(key);
  await ledger.release(bucket);
}

/** Tells one alert from another: a finding in a life of it, its status, and whether the plan came with it. */
function alertKey({ findingId, opened, status, change, plan }: Alert): string {
  return [findingId, opened, status, change?.id ?? '', plan.length > 0 ? 'plan' : ''].join('#');
}
