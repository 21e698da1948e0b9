import * as z from 'zod';
import { publish } from '../aws/sns.ts';
import { type Alert, alertSchema, emailSubject, emailText, filterAttributes } from '../guard/alert.ts';
import { flush, notify } from '../guard/notify.ts';
import { logger, queueHandler, variable, wire } from './wire.ts';

const ports = wire([]);
const message = z.object({ detail: z.union([alertSchema, z.object({ task: z.literal('digest'), bucket: z.string() })]) });

/** The guard's bus → SNS. */
export const handler = queueHandler(async (body, { messageId }) => {
  const read = message.safeParse(body);
  if (!read.success) {
    logger.warn('message ignored: it is no alert', { messageId });
    return;
  }
  const { detail } = read.data;
  if ('bucket' in detail) await flush(detail.bucket, send, ports);
  else logger.info('alert', { outcome: await notify(detail, send, ports), rule: detail.rule, status: detail.status });
});

async function send(alert: Alert): Promise<void> {
  await publish(ports.config.home, {
    topicArn: variable('AlertTopic'),
    subject: emailSubject(alert),
    email: emailText(alert),
    json: alert,
    attributes: filterAttributes(alert),
  });
}
