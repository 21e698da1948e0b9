import { CloudWatchClient, GetMetricDataCommand, type MetricDataQuery, type MetricDataResult } from '@aws-sdk/client-cloudwatch';
import type { Connection } from '../guard/call.ts';
import { RetryLater } from '../guard/errors.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';
import { allPages } from './pages.ts';

const client = clientPerRegion((settings) => new CloudWatchClient(settings));
const call = callsOf('cloudwatch', (connection, command) => client(connection).send(command));

/** CloudWatch knows no ARNs of metrics. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html */
export const getMetricData = call('GetMetricData', GetMetricDataCommand, { resource: '*' });

/** What a function did in a while; 0 where CloudWatch has no data. */
export interface FunctionMetrics {
  readonly invocations: number;
  readonly errors: number;
  readonly throttles: number;
  /** Asynchronous events that could not be put into the function's dead-letter queue. */
  readonly deadLetterErrors: number;
  /** The age in milliseconds of the oldest record that it read from a stream. */
  readonly iteratorAge: number;
}

// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
const wanted = {
  invocations: ['Invocations', 'Sum'],
  errors: ['Errors', 'Sum'],
  throttles: ['Throttles', 'Sum'],
  deadLetterErrors: ['DeadLetterErrors', 'Sum'],
  iteratorAge: ['IteratorAge', 'Maximum'],
} as const satisfies Record<keyof FunctionMetrics, readonly [metric: string, statistic: 'Sum' | 'Maximum']>;

/**
 * The metrics of a function, all versions together: sums, and the largest iterator age. Lambda writes them a minute or so
 * after the fact, and CloudWatch keeps them by the minute for 15 days.
 * @param functionArn with or without a qualifier
 * @param from milliseconds since 1970, rounded down to the minute; `to` is not in it
 * @throws RetryLater where CloudWatch does not answer completely: what is not known is not 0
 */
export async function functionMetrics(connection: Connection, functionArn: string, from: number, to: number): Promise<FunctionMetrics> {
  const [, , , , , , name] = functionArn.split(':');
  const entries = Object.entries(wanted) as [keyof FunctionMetrics, readonly [string, string]][];
  const MetricDataQueries = entries.map(
    ([Id, [MetricName, Stat]]): MetricDataQuery => ({
      Id,
      MetricStat: {
        Metric: { Namespace: 'AWS/Lambda', MetricName, Dimensions: [{ Name: 'FunctionName', Value: name }] },
        Period: 60,
        Stat,
      },
    }),
  );
  const window = { StartTime: new Date(from), EndTime: new Date(to) };
  const results = await allPages(async (NextToken) => {
    const page = await getMetricData.run(connection, { MetricDataQueries, ...window, NextToken });
    return { items: page.MetricDataResults, next: page.NextToken };
  });
  const read = entries.map(([id, [, statistic]]) => {
    const values = valuesOf(id, results);
    return [id, statistic === 'Sum' ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values)] as const;
  });
  return Object.fromEntries(read) as Record<keyof FunctionMetrics, number>;
}

/** A metric's values from all pages: each page but the last says PartialData. */
function valuesOf(id: string, results: readonly MetricDataResult[]): readonly number[] {
  const pages = results.filter(({ Id }) => Id === id);
  const last = pages.at(-1)?.StatusCode;
  const failed = pages.find(({ StatusCode }) => StatusCode !== 'Complete' && StatusCode !== 'PartialData');
  if (failed !== undefined || last !== 'Complete')
    throw new RetryLater(`CloudWatch does not tell ${id} (${failed?.StatusCode ?? last ?? 'nothing'})`);
  return pages.flatMap(({ Values = [] }) => Values);
}
