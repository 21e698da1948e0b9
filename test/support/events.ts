import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

/** An event as EventBridge delivers it. */
export type EventBody = Readonly<Record<string, unknown>>;

const file = z.strictObject({
  /** Where it was recorded, or `synthetic — …` with the public page that its shape comes from. */
  source: z.string().min(10),
  event: z.record(z.string(), z.unknown()),
});

const folder = join(import.meta.dirname ?? __dirname, '../../events');

/**
 * An event of events/, with some fields replaced (`undefined` takes one out).
 * @param path `AddPermission20150331v2/everyone.json`
 */
export function sample(path: string, overrides: EventBody = {}): EventBody {
  const { event } = file.parse(JSON.parse(readFileSync(join(folder, path), 'utf8')));
  return merge(event, overrides);
}

function merge(base: EventBody, overrides: EventBody): EventBody {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overrides)) {
    if (value === undefined) delete merged[key];
    else merged[key] = isRecord(value) && isRecord(merged[key]) ? merge(merged[key], value) : value;
  }
  return merged;
}

function isRecord(value: unknown): value is EventBody {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
