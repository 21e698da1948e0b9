import * as z from 'zod';
import { functionMetrics } from '../aws/cloudwatch.ts';
import { remediate } from '../guard/remediate.ts';
import { rules } from '../rules/index.ts';
import { logger, queueHandler, variable, wire } from './wire.ts';

const rule = rules.find(({ id }) => id === variable('Rule'));
if (rule === undefined) throw new Error(`There is no rule ${variable('Rule')}.`);
const wired = wire([rule]);
const ports = {
  ...wired,
  metrics: (arn: string, from: number, to: number) => functionMetrics(wired.config.home, arn, from, to),
};
/** All that is believed of a message: which finding it speaks of. */
const message = z.object({ detail: z.object({ findingId: z.string().regex(/^[0-9a-f]{20}$/) }) });

/** finding → judge again → plan → journal → run → verify → change. */
export const handler = queueHandler(async (body, { messageId }) => {
  const read = message.safeParse(body);
  if (!read.success) {
    logger.warn('message ignored: it names no finding', { messageId });
    return;
  }
  const alerts = await remediate(read.data.detail.findingId, rule, ports);
  for (const { status, resource, change } of alerts)
    logger.info('change', { rule: rule.id, status, resource: resource.arn, change: change?.id });
});
