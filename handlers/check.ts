import { MetricUnit } from '@aws-lambda-powertools/metrics';
import * as z from 'zod';
import { putEvents } from '../aws/eventbridge.ts';
import { type Alert, busSource, dueDetailType } from '../guard/alert.ts';
import type { Place } from '../guard/arn.ts';
import { check } from '../guard/check.ts';
import { readEvent } from '../guard/cloudtrail.ts';
import { errorSummary, QuotaUsedUp } from '../guard/errors.ts';
import type { Ports } from '../guard/ports.ts';
import { ofSweeps } from '../guard/quota.ts';
import type { AnyRule } from '../guard/rule.ts';
import { subjectTypes } from '../guard/subject.ts';
import { type Clock, logger, metrics, putBack, queueHandler, variable, wire } from './wire.ts';

const sweepMessage = z.object({
  sweep: z.string(),
  rule: z.string().optional(),
  subject: z.object({ arn: z.string(), type: z.enum(subjectTypes), account: z.string(), region: z.string() }),
});

/** By schedule, so that an alarm tells where nothing comes through any more. */
const heartbeat = z.object({ task: z.literal('heartbeat') });

/** Tells alerts another way than by the bus. */
type Aside = (alerts: readonly Alert[], home: Place) => Promise<void>;

/**
 * The checker of a practice: events and sweeps come in, findings go to the ledger and onto the guard's bus.
 * @param aside a second way for what it tells
 */
export function checker(rules: readonly AnyRule[], aside?: Aside, clock?: Clock) {
  const ports = tellingAside(wire(rules, { clock }), aside);
  // A sweep takes what the quota has left, so that events overtake it. A start that an event waits for does without.
  let sweeping: typeof ports | undefined;
  const forSweeps = () => {
    sweeping ??= tellingAside(wire(rules, { rank: ofSweeps, clock }), aside);
    return sweeping;
  };
  return queueHandler(async (body, record) => {
    if (heartbeat.safeParse(body).success) {
      const beat = { source: busSource, detailType: dueDetailType, detail: { task: 'heartbeat' } };
      return await putEvents(ports.config.home, variable('GuardBus'), [beat]);
    }
    const swept = sweepMessage.safeParse(body);
    const read = swept.success ? swept.data : readEvent(body, ports.config.home);
    if ('ignored' in read) {
      logger.info('event ignored', { reason: read.ignored, messageId: record.messageId });
      metrics.addMetric(`Ignored-${read.ignored}`, MetricUnit.Count, 1);
      return;
    }
    const its = swept.success ? forSweeps() : ports;
    const alerts = await check(read, rules, { ...its, connect: its.connectNew() }).catch(async (error: unknown) => {
      if (!(error instanceof QuotaUsedUp)) throw error;
      logger.info('message put back: the quota is used up for now', { messageId: record.messageId });
      metrics.addMetric('WaitsForQuota', MetricUnit.Count, 1);
      await putBack(record, error.away);
      return [];
    });
    for (const { rule, status, resource } of alerts) logger.info('finding', { rule, status, resource: resource.arn });
  });
}

/** What goes both ways has gone where the bus took it; where the bus did not, both are tried again. */
function tellingAside<P extends Ports>(ports: P, aside: Aside | undefined): P {
  if (aside === undefined) return ports;
  const publish = async (alerts: readonly Alert[]) => {
    await aside(alerts, ports.config.home).catch((error: unknown) => {
      logger.error('the second way failed', { error: errorSummary(error) });
      metrics.addMetric('SecondWayFailed', MetricUnit.Count, 1);
    });
    await ports.publish(alerts);
  };
  return { ...ports, publish };
}
