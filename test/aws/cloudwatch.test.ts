import { CloudWatchClient, GetMetricDataCommand, type GetMetricDataCommandOutput } from '@aws-sdk/client-cloudwatch';
import { mockClient } from 'aws-sdk-client-mock';
import { functionMetrics, getMetricData } from '../../aws/cloudwatch.ts';
import { RetryLater } from '../../guard/errors.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const from = Date.parse('2026-11-22T10:00:00Z');
const to = Date.parse('2026-11-22T11:00:00Z');
const ids = ['invocations', 'errors', 'throttles', 'deadLetterErrors', 'iteratorAge'] as const;

const mock = mockClient(CloudWatchClient);
beforeEach(() => mock.reset());

/** A page with these values, empty and complete where nothing is said. */
function page(
  values: Partial<Record<(typeof ids)[number], readonly number[]>>,
  { StatusCode = 'Complete' as const, NextToken }: { StatusCode?: 'Complete' | 'PartialData'; NextToken?: string } = {},
): Omit<GetMetricDataCommandOutput, '$metadata'> {
  return {
    MetricDataResults: ids.map((Id) => ({ Id, StatusCode, Timestamps: [], Values: [...(values[Id] ?? [])] })),
    ...(NextToken === undefined ? {} : { NextToken }),
  };
}

test('adds up the minutes, and takes the largest iterator age', async () => {
  mock
    .on(GetMetricDataCommand)
    .resolves(page({ invocations: [3, 4], errors: [1, 1], throttles: [2], deadLetterErrors: [1, 0, 5], iteratorAge: [200, 9_000, 30] }));
  expect(await functionMetrics(place, arn, from, to)).toEqual({
    invocations: 7,
    errors: 2,
    throttles: 2,
    deadLetterErrors: 6,
    iteratorAge: 9_000,
  });
});

test('asks once, for the function in all its versions and for the time that was given', async () => {
  mock.on(GetMetricDataCommand).resolves(page({}));
  await functionMetrics(place, `${arn}:live`, from, to);
  const calls = mock.commandCalls(GetMetricDataCommand);
  expect(calls).toHaveLength(1);
  const { MetricDataQueries = [], StartTime, EndTime } = calls[0]?.args[0].input ?? {};
  expect([StartTime, EndTime]).toEqual([new Date(from), new Date(to)]);
  const Dimensions = [{ Name: 'FunctionName', Value: 'orders' }];
  expect(MetricDataQueries.map(({ MetricStat }) => MetricStat)).toEqual(
    [
      ['Invocations', 'Sum'],
      ['Errors', 'Sum'],
      ['Throttles', 'Sum'],
      ['DeadLetterErrors', 'Sum'],
      ['IteratorAge', 'Maximum'],
    ].map(([MetricName, Stat]) => ({ Metric: { Namespace: 'AWS/Lambda', MetricName, Dimensions }, Period: 60, Stat })),
  );
});

test('where there is no data, nothing happened', async () => {
  mock.on(GetMetricDataCommand).resolves(page({}));
  expect(await functionMetrics(place, arn, from, to)).toEqual({
    invocations: 0,
    errors: 0,
    throttles: 0,
    deadLetterErrors: 0,
    iteratorAge: 0,
  });
});

test('reads every page', async () => {
  mock
    .on(GetMetricDataCommand)
    .resolvesOnce(page({ errors: [1], iteratorAge: [50] }, { StatusCode: 'PartialData', NextToken: 'next' }))
    .resolvesOnce(page({ errors: [2], iteratorAge: [40] }));
  expect(await functionMetrics(place, arn, from, to)).toMatchObject({ errors: 3, iteratorAge: 50 });
  expect(mock.commandCalls(GetMetricDataCommand).map(({ args: [{ input }] }) => input.NextToken)).toEqual([undefined, 'next']);
});

test.each(['InternalError', 'Forbidden', 'PartialData'] as const)('an answer that is %s is not taken for 0', async (StatusCode) => {
  const { MetricDataResults = [] } = page({});
  mock.on(GetMetricDataCommand).resolves({
    MetricDataResults: MetricDataResults.map((result) => (result.Id === 'errors' ? { ...result, StatusCode } : result)),
  });
  const metrics = functionMetrics(place, arn, from, to);
  await expect(metrics).rejects.toThrow(RetryLater);
  await expect(metrics).rejects.toThrow(`CloudWatch does not tell errors (${StatusCode})`);
});

test('a failure on an early page is not made good by a later one', async () => {
  const early = page({}, { StatusCode: 'PartialData', NextToken: 'next' });
  mock
    .on(GetMetricDataCommand)
    .resolvesOnce({
      ...early,
      MetricDataResults: (early.MetricDataResults ?? []).map((result) => ({ ...result, StatusCode: 'InternalError' })),
    })
    .resolvesOnce(page({}));
  await expect(functionMetrics(place, arn, from, to)).rejects.toThrow('CloudWatch does not tell invocations (InternalError)');
});

test('a metric that the answer leaves out is not taken for 0', async () => {
  mock.on(GetMetricDataCommand).resolves({ MetricDataResults: [] });
  await expect(functionMetrics(place, arn, from, to)).rejects.toThrow('CloudWatch does not tell invocations (nothing)');
});

test('what is refused is an error', async () => {
  mock.on(GetMetricDataCommand).rejects(Object.assign(new Error('x'), { name: 'AccessDenied' }));
  await expect(functionMetrics(place, arn, from, to)).rejects.toMatchObject({ name: 'AccessDenied' });
});

test('IAM is asked for metrics as a whole', () => {
  expect(getMetricData.permissions).toEqual([{ action: 'cloudwatch:GetMetricData', resource: '*' }]);
});
