import { setTimeout } from 'node:timers/promises';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { putEvents } from '../aws/eventbridge.ts';
import { connect } from '../aws/handle.ts';
import { publish } from '../aws/sns.ts';
import { delayMessage, keepHidden, queueArn, sendMessages } from '../aws/sqs.ts';
import { type Alert, busSource, detailType, emailSubject, emailText, filterAttributes } from '../guard/alert.ts';
import type { Place } from '../guard/arn.ts';
import type { AnyCall } from '../guard/call.ts';
import { type Config, readConfig } from '../guard/config.ts';
import { errorKind, errorSummary } from '../guard/errors.ts';
import type { Ports } from '../guard/ports.ts';
import { ofEvents, quotaOf, type Rank, scarce } from '../guard/quota.ts';
import type { AnyRule } from '../guard/rule.ts';
import { DynamoLedger } from '../ledger/ledger.ts';
import { Table } from '../ledger/table.ts';

export const logger = new Logger({ serviceName: 'compliance-guard' });
export const metrics = new Metrics({ namespace: 'ComplianceGuard', serviceName: 'compliance-guard' });

/** An environment variable that the template sets. */
export function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new Error(`The environment variable ${name} is missing: deploy the function by the stack's template.`);
  return value;
}

/** Where time comes from. */
export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

const systemClock: Clock = { now: () => Date.now(), sleep: (milliseconds) => setTimeout(milliseconds) };

interface Wired extends Ports {
  readonly config: Config;
  /** Calls of one message that has made none yet: where much of a quota is promised away, it waits before it begins, and not halfway. */
  readonly connectNew: () => Ports['connect'];
}

/**
 * What every function of the guard works with, from its environment.
 * @param rank how much of a quota it may have
 */
export function wire(
  rules: readonly AnyRule[],
  { rank = ofEvents, clock = systemClock }: { readonly rank?: Rank; readonly clock?: Clock | undefined } = {},
): Wired {
  const config = readConfig(process.env, rules);
  const ledger = new DynamoLedger(new Table(variable('LedgerTable'), config.home));
  const shareOf = (perSecond: number) => quotaOf(ledger, { perSecond, rank, ...clock });
  const take = { lambda: shareOf(config.lambdaCallsPerSecond), apigateway: shareOf(config.apiGatewayCallsPerSecond) };
  const connecting = (atWork: boolean): Ports['connect'] => {
    let begun = atWork ? Promise.resolve() : undefined;
    const watch = async (call: AnyCall) => {
      const quota = scarce(call);
      if (quota === undefined) return;
      const taken = (atWork: boolean) => take[quota.service](`${quota.name}-${config.home.region}`, atWork);
      // The first of them begins, and whoever comes at the same time goes with it.
      if (begun !== undefined) return await begun.then(() => taken(true));
      begun = taken(false);
      await begun;
    };
    return (calls) => connect(calls, config.home, watch);
  };
  return {
    config,
    ledger,
    connect: connecting(true),
    connectNew: () => connecting(false),
    prefersLarger: true,
    // Whatever a sweep asks at once, an event waits for.
    sideBySide: rank === ofEvents,
    publish: (alerts: readonly Alert[]) =>
      putEvents(
        config.home,
        variable('GuardBus'),
        alerts.map((alert) => ({ source: busSource, detailType: detailType(alert), detail: alert })),
      ),
    now: () => clock.now(),
  };
}

/** Sends an alert to a topic: a text for email, JSON for everything else. */
export async function sendTo(topicArn: string, alert: Alert, home: Place): Promise<void> {
  const [subject, email] = [emailSubject(alert), emailText(alert)];
  await publish(home, { topicArn, subject, email, json: alert, attributes: filterAttributes(alert) });
}

/** A handler of the function's queues: each message by itself, so that one that fails comes back alone. */
export function queueHandler(handle: (body: unknown, record: SQSRecord) => Promise<void>) {
  const processor = new BatchProcessor(EventType.SQS);
  return async (event: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
    logger.addContext(context);
    const Records = await inFlight(event.Records, context);
    const { batchItemFailures } = await processPartialResponse(
      { Records },
      async (record: SQSRecord) => {
        try {
          await handle(parse(record.body), record);
        } catch (error) {
          logger.error('message failed', { messageId: record.messageId, error: errorSummary(error) });
          metrics.addMetric('MessagesFailed', MetricUnit.Count, 1);
          if (errorKind(error) === 'passing') await comeBackSoon(record);
          throw error;
        }
      },
      processor,
      { context, throwOnFullBatchFailure: false },
    );
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
    const ignored = event.Records.filter((record) => !Records.includes(record));
    return { batchItemFailures: [...batchItemFailures, ...ignored.map(({ messageId }) => ({ itemIdentifier: messageId }))] };
  };
}

/**
 * The records that are in flight in the function's own queue, which SQS alone can tell: whoever may invoke the function
 * can hand it any others. For those nothing is done. They count as failed, so that a message of the queue whose time ran
 * out on the way here is not deleted, and comes again.
 */
async function inFlight(records: readonly SQSRecord[], context: Context): Promise<SQSRecord[]> {
  // Lambda takes a batch from one queue.
  const queue = records[0]?.eventSourceARN ?? '';
  const url = queueUrl(queue);
  const own = url === undefined ? [] : records.filter(({ eventSourceARN }) => eventSourceARN === queue);
  // As long as the queue's own visibility: six times what the function has.
  const seconds = 6 * Math.ceil(context.getRemainingTimeInMillis() / 1000);
  const receipts = own.map(({ receiptHandle }) => receiptHandle);
  const refusals = url === undefined ? [] : await keepHidden({ account: '', region: variable('AWS_REGION') }, url, receipts, seconds);
  const proven = own.filter((_, index) => refusals[index] === undefined);
  for (const record of records) {
    if (proven.includes(record)) continue;
    const why = refusals[own.indexOf(record)] ?? 'NotItsQueue';
    logger.warn('message ignored: it did not come from the queue', { messageId: record.messageId, why });
    metrics.addMetric('Ignored-not-from-the-queue', MetricUnit.Count, 1);
  }
  return proven;
}

/** The address of a queue of this function. */
function queueUrl(arn: string): string | undefined {
  return variable('Queues')
    .split(',')
    .find((url) => queueArn({ region: variable('AWS_REGION') }, url) === arn);
}

/** What may pass is tried again after 15 seconds, then 30, 60 …: sooner than the queue's visibility, and for half an hour in all. */
async function comeBackSoon({ eventSourceARN, awsRegion, receiptHandle, attributes }: SQSRecord): Promise<void> {
  const seconds = Math.min(900, 15 * 2 ** (Number(attributes.ApproximateReceiveCount) - 1));
  const url = queueUrl(eventSourceARN) ?? '';
  await delayMessage({ account: '', region: awsRegion }, url, receiptHandle, seconds).catch((error: unknown) => {
    logger.warn('the message comes back when its visibility ends', { error: errorSummary(error) });
  });
}

/**
 * Puts a message back into its queue as a new one, which comes after so many seconds: SQS counts every delivery, and one that
 * only waits would end among the dead letters.
 */
export async function putBack({ eventSourceARN, awsRegion, body }: SQSRecord, seconds: number): Promise<void> {
  await sendMessages({ account: '', region: awsRegion }, queueUrl(eventSourceARN) ?? '', [parse(body)], seconds);
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
