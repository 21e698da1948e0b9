import { MetricUnit } from '@aws-lambda-powertools/metrics';
import * as z from 'zod';
import { check } from '../guard/check.ts';
import { readEvent } from '../guard/cloudtrail.ts';
import type { AnyRule } from '../guard/rule.ts';
import { subjectTypes } from '../guard/subject.ts';
import { logger, metrics, queueHandler, wire } from './wire.ts';

const sweepMessage = z.object({
  sweep: z.string(),
  rule: z.string().optional(),
  subject: z.object({ arn: z.string(), type: z.enum(subjectTypes), account: z.string(), region: z.string() }),
});

/** The checker of a practice: events and sweeps come in, findings go to the ledger and onto the guard's bus. */
export function checker(rules: readonly AnyRule[]) {
  const ports = wire(rules);
  // A sweep takes what the quota has left, so that events overtake it.
  const sweeping = wire(rules, { burst: 0 });
  return queueHandler(async (body, record) => {
    const swept = sweepMessage.safeParse(body);
    const read = swept.success ? swept.data : readEvent(body, ports.config.home);
    if ('ignored' in read) {
      logger.info('event ignored', { reason: read.ignored, messageId: record.messageId });
      metrics.addMetric(`Ignored-${read.ignored}`, MetricUnit.Count, 1);
      return;
    }
    const alerts = await check(read, rules, swept.success ? sweeping : ports);
    for (const { rule, status, resource } of alerts) logger.info('finding', { rule, status, resource: resource.arn });
  });
}
