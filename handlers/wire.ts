import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { SQSBatchResponse, SQSEvent, SQSRecord, Context } from 'aws-lambda';
import { putEvents } from '../aws/eventbridge.ts';
import { connect } from '../aws/handle.ts';
import { type Alert, busSource, detailType } from '../guard/alert.ts';
import type { Ports } from '../guard/check.ts';
import { type Config, readConfig } from '../guard/config.ts';
import { errorSummary, RetryLater } from '../guard/errors.ts';
import type { AnyRule } from '../guard/rule.ts';
import { DynamoLedger } from '../ledger/ledger.ts';
import { Table } from '../ledger/table.ts';

export const logger = new Logger({ serviceName: 'compliance-guard' });
export const metrics = new Metrics({ namespace: 'ComplianceGuard', serviceName: 'compliance-guard' });

/** An environment variable that the template sets. */
export function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is missing: deploy the function by the stack's template.`);
  return value;
}

/** What every function of the guard works with, from its environment. */
export function wire(rules: readonly AnyRule[]): Ports & { readonly config: Config } {
  const config = readConfig(process.env, rules);
  const ledger = new DynamoLedger(new Table(variable('LedgerTable'), config.home));
  // Calls of Lambda's control plane are leased five at a time: the quota is small and shared with every pipeline.
  let leased = 0;
  const watch = async ({ service }: { service: string }) => {
    if (service !== 'lambda') return;
    if (leased === 0) {
      leased = 5;
      const wait = await ledger.lease(`lambda-${config.home.region}`, leased, config.lambdaCallsPerSecond, Date.now());
      if (wait > 5_000) {
        leased = 0;
        throw new RetryLater('the quota of Lambda calls is used up for now');
      }
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    leased -= 1;
  };
  return {
    config,
    ledger,
    connect: (calls) => connect(calls, config.home, watch),
    publish: (alerts: readonly Alert[]) =>
      putEvents(config.home, variable('GuardBus'), alerts.map((alert) => ({ source: busSource, detailType: detailType(alert), detail: alert }))),
    now: () => Date.now(),
  };
}

/** A handler of a queue: each message by itself, so that one that fails comes back alone. */
export function queueHandler(handle: (body: unknown, record: SQSRecord) => Promise<void>) {
  const processor = new BatchProcessor(EventType.SQS);
  return async (event: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
    logger.addContext(context);
    const answer = await processPartialResponse(
      event,
      async (record: SQSRecord) => {
        try {
          await handle(parse(record.body), record);
        } catch (error) {
          logger.error('message failed', { messageId: record.messageId, error: errorSummary(error) });
          metrics.addMetric('MessagesFailed', MetricUnit.Count, 1);
          throw error;
        }
      },
      processor,
      { context, throwOnFullBatchFailure: false },
    );
    metrics.publishStoredMetrics();
    return answer;
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
