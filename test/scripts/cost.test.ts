import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rules } from '../../rules/index.ts';
import { deployed } from '../../scripts/bench/cost/deployed.ts';
import type { Cost, Figures } from '../../scripts/bench/cost/figures.ts';
import {
  assumptions,
  coldStarts,
  configDollars,
  type Deployed,
  dollars,
  emptyReceives,
  evaluationDollars,
  eventModeDollars,
  type Line,
  milliseconds,
  monthly,
  secondsOfSweep,
} from '../../scripts/bench/cost/model.ts';
import { managedRules } from '../../scripts/bench/cost/others.ts';
import { costTable } from '../../scripts/bench/cost/page.ts';
import type { Meter } from '../../scripts/bench/cost/prices.ts';
import { heardBy, readTrail, shareOf, tallyOf } from '../../scripts/bench/cost/trail.ts';
import { cost } from '../../scripts/bench/cost.ts';

// Every expected number is worked out by hand, from the price list and the formulas of docs/cost.md.

const nothing: Cost = {
  units: 1,
  invocations: 0,
  cpu: 0,
  calls: 0,
  lambda: 0,
  policy: 0,
  apigateway: 0,
  ledger: 0,
  readUnits: 0,
  writeUnits: 0,
  published: 0,
  sqs: 0,
  logBytes: 0,
};

const figures: Figures = {
  measured: { on: '2026-11-23', functions: 10 },
  events: { CheckRolesOnIam: { ...nothing, invocations: 1, calls: 2, ledger: 3, readUnits: 1, writeUnits: 4, logBytes: 600 } },
  sweep: { CheckRoles: { ...nothing, invocations: 0.1, calls: 2, lambda: 2, writeUnits: 10 } },
  list: nothing,
  tick: nothing,
  heartbeat: { check: nothing, notify: nothing },
  alert: nothing,
  ledger: { bytesOfFunction: 4_000, itemsOfFunction: 10 },
};

const stack: Deployed = {
  mappings: 2,
  alarms: 3,
  dashboards: 1,
  metrics: 1,
  keys: 1,
  memory: { CheckRoles: 1_024, CheckGuard: 512, Notify: 512, Sweep: 512, Tick: 512 },
  sweepConcurrency: 2,
  logDays: 30,
  lambdaCallsPerSecond: 5,
  apiGatewayCallsPerSecond: 3,
};

const unheard = { listeners: {}, deployments: 0 };
const idle = { functions: 0, events: 0, sweeps: 0 };

/** Units of a meter in a part of the bill. */
function units(lines: readonly Line[], part: Line['part'], meter: Meter): number {
  return lines.filter((line) => line.part === part && line.meter === meter).reduce((sum, line) => sum + line.units, 0);
}

test('a queue that is polled costs 657,000 empty receives a month: five pollers, three a minute', () => {
  expect(emptyReceives(1)).toBe(657_000);
  expect(dollars([{ part: 'standing by', meter: 'sqsRequest', units: emptyReceives(1) }])).toBeCloseTo(0.2628, 10);
});

test('an account in which nothing happens pays for what stands by', () => {
  const lines = monthly(idle, stack, unheard, figures);
  // 2 queues polled, and 8,760 heartbeats that pass 2 queues with 4 requests each.
  expect(units(lines, 'standing by', 'sqsRequest')).toBe(1_314_000 + 70_080);
  expect(units(lines, 'standing by', 'customEvent')).toBe(8_760);
  // Each heartbeat renews the data keys of both queues.
  expect(units(lines, 'standing by', 'keyRequest')).toBe(2 * 3 * 8_760);
  // SQS 0.553632, alarms 0.3, dashboard 3, metric 0.3, key 1, its requests 0.15768, the bus 0.00876.
  expect(dollars(lines)).toBeCloseTo(5.320072, 6);
});

test('what every account has for nothing is taken off once, however many lines there are', () => {
  const lines = monthly(idle, stack, unheard, figures);
  // SQS (1,384,080 − 1,000,000) × 0.4 / 10⁶, key 1, its requests (52,560 − 20,000) × 0.03 / 10⁴, the bus.
  expect(dollars(lines, { free: true })).toBeCloseTo(0.153632 + 1 + 0.09768 + 0.00876, 6);
});

test('events cost what their messages cost', () => {
  const month = { functions: 0, events: 1_000_000, sweeps: 0 };
  const lines = monthly(month, stack, { listeners: { CheckRolesOnIam: 0.01 }, deployments: 0.001 }, figures);
  // 10,000 messages and 200 alerts of them.
  expect(units(lines, 'events', 'sqsRequest')).toBe(4 * 10_200);
  expect(units(lines, 'events', 'lambdaRequest')).toBe(10_000);
  expect(units(lines, 'events', 'dynamoRead')).toBe(10_000);
  expect(units(lines, 'events', 'dynamoWrite')).toBe(40_000);
  expect(units(lines, 'events', 'published')).toBe(200);
  expect(units(lines, 'events', 'email')).toBe(200);
  expect(units(lines, 'events', 'customEvent')).toBe(200);
  // 600 bytes of its own and 400 of Lambda's.
  expect(units(lines, 'events', 'logged')).toBeCloseTo(0.01, 10);
  // 5 calls of 30 ms each on 1 GB, and cold starts: 10,000 × e^(−10,000 × 600 / 2,628,000) = 1,019.671… of 0.7 s.
  expect(units(lines, 'events', 'lambdaGigabyteSecond')).toBeCloseTo(1_500 + 713.77, 2);
  // Keys of the checker's queue at most once in 300 s, those of the notifier's for each alert: 3 × (8,760 + 200); 2 × 200 of SNS;
  // the ledger's 8,760; cold starts.
  expect(units(lines, 'events', 'keyRequest')).toBeCloseTo(26_880 + 400 + 8_760 + 1_019.671, 2);
  // 1,000 packages of 5 MB, kept for 12 months.
  expect(units(lines, 'events', 'put')).toBe(1_000);
  expect(units(lines, 'events', 'stored')).toBe(60);
});

test('a rule of EventBridge that was not measured costs what others of its checker do, and another checker is refused', () => {
  const month = { functions: 0, events: 1_000, sweeps: 0 };
  const lines = monthly(month, stack, { listeners: { CheckRolesOnLambda: 1 }, deployments: 0 }, figures);
  expect(units(lines, 'events', 'dynamoWrite')).toBe(4_000);
  expect(() => monthly(month, stack, { listeners: { CheckVpcOnEc2: 1 }, deployments: 0 }, figures)).toThrow(
    'No message of CheckVpc was measured',
  );
});

test('a sweep is billed for as long as it waits for its share of the quota', () => {
  // 1,000 functions × 2 calls ÷ 5 a second.
  expect(secondsOfSweep(1_000, stack, figures)).toBe(400);
  const lines = monthly({ functions: 1_000, events: 0, sweeps: 30 }, stack, unheard, figures);
  // To try 1,000 messages once, ten at a time in two invocations for 30 s, takes 1,500 s; away for 120 s, so that 1,500 ÷ 1,620 of
  // 400 s × 2 invocations are waited: 740.74 s, on 1 GB, 30 times.
  expect(units(lines, 'sweeps', 'lambdaGigabyteSecond')).toBeCloseTo(22_222.22, 2);
  // A tenth of an invocation a function; and each that waits puts its messages back after 30 s: 30 × (100 + 740.74 ÷ 30).
  expect(units(lines, 'sweeps', 'lambdaRequest')).toBeCloseTo(3_740.74, 2);
  expect(units(lines, 'sweeps', 'sqsRequest')).toBeCloseTo(4 * 3_740.74, 1);
  // 10 units a function, and two attempts a second to lease: 30 × (10,000 + 740.74 × 2).
  expect(units(lines, 'sweeps', 'dynamoWrite')).toBeCloseTo(344_444.44, 2);
  expect(units(lines, 'sweeps', 'dynamoStored')).toBeCloseTo(0.004, 10);
});

test('where the quota is large, the work itself is what a sweep costs', () => {
  const lines = monthly({ functions: 1_000, events: 0, sweeps: 1 }, { ...stack, lambdaCallsPerSecond: 1_000 }, unheard, figures);
  // 1,000 × 2 calls × 30 ms, ten functions side by side.
  expect(units(lines, 'sweeps', 'lambdaGigabyteSecond')).toBeCloseTo(6, 10);
});

test('with less memory a function has less of a processor', () => {
  const work = { ...nothing, cpu: 10, calls: 1, ledger: 1, published: 1, sqs: 1 };
  expect(milliseconds(work, 0.5, assumptions)).toBeCloseTo(34.551 + 120, 3);
  expect(milliseconds(work, 4, assumptions)).toBe(130);
});

test.each([
  [0, 0],
  // Every ten minutes on average: e⁻¹ of them.
  [4_380, 1_611.31],
  [438_000, 0],
])('of %d invocations a month %d are cold', (invocations, cold) => {
  expect(coldStarts(invocations, assumptions)).toBeCloseTo(cold, 1);
});

test.each([
  [0, 0],
  [100_000, 100],
  [500_000, 420],
  [1_000_000, 670],
])('%d evaluations of AWS Config cost %d dollars', (evaluations, expected) => {
  expect(evaluationDollars(evaluations)).toBeCloseTo(expected, 8);
});

test('AWS Config is paid by change and by evaluation, daily ones on top', () => {
  const shares = { changes: 0.05, evaluations: 0.1, functionRules: 20, custom: 0.5 };
  const month = { functions: 100, events: 1_000_000, sweeps: 30 };
  // 50,000 items 150; 100,000 evaluations 100; 50,000 of them × (0.0000002 + 0.3 s × 0.25 GB × 0.0000133334).
  expect(configDollars(month, shares, { daily: false })).toBeCloseTo(250.06000025, 6);
  // 60,000 evaluations more at 0.0008: 48, and 30,000 runs more.
  expect(configDollars(month, shares, { daily: true })).toBeCloseTo(298.0960004, 6);
});

test("Custodian's event mode is paid by run", () => {
  const mode = {
    policies: 1,
    policiesPerFunctionEvent: 8,
    policiesPerOtherEvent: 1,
    millisecondsPerPolicy: 40,
    callsPerPolicy: 2,
    coldStart: 0,
    megabytes: 512,
  };
  // 1,000,000 × (0.01 × 8 + 0.02) = 100,000 runs of 100 ms on half a GB, and 0.14 GB of logs.
  expect(eventModeDollars({ events: 1_000_000 }, { lambda: 0.01, others: 0.02 }, mode)).toBeCloseTo(0.02 + 0.0833335 + 0.07, 8);
});

describe('a trail', () => {
  test.each([
    [
      'lambda.amazonaws.com',
      'UpdateFunctionCode20150331v2',
      {},
      ['CheckDeploymentsOnLambda', 'CheckGuardOnLambda', 'CheckSecretsOnLambda'],
    ],
    ['lambda.amazonaws.com', 'UpdateFunctionCode20150331v2', { errorCode: 'AccessDenied' }, []],
    ['lambda.amazonaws.com', 'GetFunction20150331v2', {}, []],
    ['iam.amazonaws.com', 'CreateRole', {}, ['CheckGuardOnIam', 'CheckRolesOnIam']],
    ['ec2.amazonaws.com', 'DescribeInstances', {}, []],
    ['kms.amazonaws.com', 'Decrypt', {}, []],
    ['secretsmanager.amazonaws.com', 'RotationFailed', { eventType: 'AwsServiceEvent' }, ['CheckSecretsOnSecretsmanager']],
    ['signin.amazonaws.com', 'ConsoleLogin', { eventType: 'AwsConsoleSignIn' }, []],
  ])('%s %s %j is heard by %j', (eventSource, eventName, more, expected) => {
    expect([...heardBy({ eventSource, eventName, ...more })].sort()).toEqual(expected);
  });

  test('is counted event by event, each once, without data events', () => {
    const folder = mkdtempSync(join(tmpdir(), 'trail-'));
    const event = (eventID: string, eventName: string, more: object = {}) => ({
      eventID,
      eventSource: 'iam.amazonaws.com',
      eventName,
      eventType: 'AwsApiCall',
      eventCategory: 'Management',
      eventTime: '2026-11-23T12:00:00Z',
      awsRegion: 'us-east-1',
      recipientAccountId: '111122223333',
      ...more,
    });
    const write = (name: string, Records: readonly object[]) => writeFileSync(join(folder, name), gzipSync(JSON.stringify({ Records })));
    try {
      const requestParameters = { roleName: 'orders' };
      write('a.json.gz', [
        event('1', 'CreateRole', { requestParameters }),
        event('2', 'CreateRole', { errorCode: 'AccessDenied' }),
        event('3', 'GetRole'),
      ]);
      write('b.json.gz', [event('1', 'CreateRole'), event('4', 'CreateRole'), event('5', 'Invoke', { eventCategory: 'Data' })]);
      write('c.json.gz', [event('6', 'Expired', { eventType: 'AwsServiceEvent' })]);
      const tally = tallyOf(folder);
      // The role that is named is looked at; where none is named, nothing is.
      expect(tally).toEqual({
        messages: 4,
        named: 2,
        calls: { iam: { CreateRole: [2, 1], GetRole: [1, 0] } },
        others: { iam: { Expired: [1, 0] } },
      });
      const share = shareOf({ url: 'https://example.com', commit: '', about: '', ...tally });
      expect(share).toMatchObject({ records: 5, failed: 1, events: 2, messages: 4 });
      expect(share.passed.map(({ name, count, listeners }) => [name, count, listeners.length])).toEqual([['CreateRole', 2, 2]]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('of real events one in sixteen at most reaches a queue, and none that only reads', () => {
    const trail = readTrail();
    const { records, events, passed } = shareOf(trail);
    expect(records).toBe(2_900);
    expect(trail.named / trail.messages).toBeGreaterThan(0.95);
    expect(events / records).toBeLessThan(1 / 16);
    expect(passed.filter(({ name }) => /^(Get|List|Describe|Assume|Decrypt)/.test(name))).toEqual([]);
    // Each is there for a rule, or because tags may exempt.
    const idle = passed.filter((one) => one.rules === 0 && !one.listeners.some((id) => id.startsWith('CheckGuard')));
    expect(idle.map(({ service, name }) => `${service} ${name}`)).toEqual(['ec2 CreateTags']);
  });
});

test('every rule that AWS Config is compared by is one of the guard', () => {
  const ids = rules.map(({ id }) => id as string);
  expect(Object.keys(managedRules).filter((id) => !ids.includes(id))).toEqual([]);
});

test('with every rule in remediate a remediator each is deployed, with a queue that is polled and three alarms', () => {
  const [alert, remediate] = [deployed(), deployed({ remediate: true })];
  const remediators = rules.filter(({ fix }) => fix.length > 0).length;
  expect(remediate.mappings - alert.mappings).toBe(remediators);
  expect(remediate.alarms - alert.alarms).toBe(3 * remediators);
});

test('the bill is worked out for every size', async () => {
  const bills = await cost();
  expect(bills).toHaveLength(12);
  for (const one of bills) {
    expect(one.total).toBeCloseTo(one.standingBy + one.ofEvents + one.ofSweeps, 8);
    expect(one.withFree).toBeLessThan(one.total);
  }
  expect(costTable(bills).split('\n')).toHaveLength(14);
});
