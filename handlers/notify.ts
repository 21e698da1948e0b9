import { MetricUnit } from '@aws-lambda-powertools/metrics';
import * as z from 'zod';
import type { Alert } from '../guard/alert.ts';
import { alertSchema } from '../guard/alert-schema.ts';
import { flush, notify } from '../guard/notify.ts';
import { logger, metrics, queueHandler, sendTo, variable, wire } from './wire.ts';

const ports = wire([]);
const due = z.discriminatedUnion('task', [
  z.object({ task: z.literal('digest'), bucket: z.string() }),
  z.object({ task: z.literal('heartbeat') }),
]);
const message = z.object({ detail: z.union([alertSchema, due]) });

/** The guard's bus → SNS. */
export const handler = queueHandler(async (body, { messageId }) => {
  const read = message.safeParse(body);
  if (!read.success) {
    logger.warn('message ignored: it is no alert', { messageId });
    return;
  }
  const { detail } = read.data;
  if ('task' in detail) {
    if (detail.task === 'digest') await flush(detail.bucket, send, ports);
    else heard();
    return;
  }
  logger.info('alert', { outcome: await notify(detail, send, ports), rule: detail.rule, status: detail.status });
});

/** An alarm of CloudWatch tells where this does not come. */
function heard(): void {
  const metric = metrics.singleMetric();
  metric.addDimension('stack', variable('StackName'));
  metric.addMetric('Heartbeats', MetricUnit.Count, 1);
}

async function send(alert: Alert): Promise<void> {
  await sendTo(variable('AlertTopic'), alert, ports.config.home);
}
