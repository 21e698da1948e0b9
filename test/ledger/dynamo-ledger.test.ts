import { BatchGetCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import type { Finding } from '../../guard/finding.ts';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { Table } from '../../ledger/table.ts';
import { expectSound } from './expressions.ts';

// Every call of the ledger, as DynamoDB would first look at it, and what each costs. The contract of the ledger itself is
// kept on the emulator.

const place = { account: '111122223333', region: 'us-east-1' };
const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const now = Date.parse('2026-11-22T12:00:00.000Z');
const dynamo = mockClient(DynamoDBDocumentClient);

const finding: Finding = {
  id: '0123456789abcdef0123',
  rule: 'role-shared',
  practice: 'roles',
  severity: 'high',
  title: 'Two or more functions use one execution role',
  summary: 'It is shared.',
  subject: { arn, type: 'AWS::Lambda::Function', ...place },
  evidence: { role: 'r' },
  tags: {},
  status: 'open',
  opened: 1,
  firstSeen: '2026-11-22T12:00:00.000Z',
  lastSeen: '2026-11-22T12:00:00.000Z',
  openedAt: '2026-11-22T12:00:00.000Z',
  asOf: now,
  cause: 'event e1',
  attempts: 0,
};
const change = {
  id: 'c0ffee123456',
  finding: finding.id,
  rule: finding.rule,
  resource: arn,
  ...place,
  steps: [],
  calls: [],
  remains: [],
  done: 0,
  status: 'running' as const,
  startedAt: '2026-11-22T12:00:00.000Z',
};
const baseline = {
  function: arn,
  state: 'approved' as const,
  package: { type: 'Zip' as const, sha256: 'a', archive: undefined },
  approvedHashes: ['a'],
  aliases: {},
  by: 'r',
  at: finding.openedAt,
  asOf: now,
};
const exemption = { id: 'x1', rule: 'role-shared', resource: arn, reason: 'migration', owner: 'shop', expires: now + 1000, by: 'olga' };

async function all(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const methods: Readonly<Record<string, readonly [calls: number, call: (ledger: DynamoLedger) => Promise<unknown>]>> = {
  open: [1, (ledger) => ledger.open(finding)],
  'open, due later': [1, (ledger) => ledger.open({ ...finding, dueAt: now + 1, fixAfter: now + 1 })],
  'open, unknown': [1, (ledger) => ledger.open({ ...finding, status: 'unknown' })],
  'open, exempt': [1, (ledger) => ledger.open({ ...finding, status: 'exempt' })],
  'open, exempt by tags': [1, (ledger) => ledger.open({ ...finding, status: 'exempt', exemptUntil: now + 1, dueAt: now + 1 })],
  'open, of a sweep': [1, (ledger) => ledger.open({ ...finding, sweep: 's1' })],
  resolve: [1, (ledger) => ledger.resolve(finding.id, { asOf: now, cause: 'event e2' })],
  resolveAll: [1, (ledger) => ledger.resolveAll(['a', 'b', 'c'], { asOf: now, cause: 'event e2' })],
  'resolveAll, a single one': [1, (ledger) => ledger.resolveAll([finding.id], { asOf: now, cause: 'event e2' })],
  finding: [1, (ledger) => ledger.finding(finding.id)],
  findings: [1, (ledger) => all(ledger.findings({ rule: 'role-shared', status: 'open' }))],
  remind: [1, (ledger) => ledger.remind(finding.id, now)],
  'remind, never': [1, (ledger) => ledger.remind(finding.id, undefined)],
  setStatus: [1, (ledger) => ledger.setStatus(finding.id, { status: 'remediated', cause: 'change c1' })],
  'setStatus, whole': [
    1,
    (ledger) =>
      ledger.setStatus(finding.id, { status: 'open', cause: 'c', change: 'c1', attempts: 1, dueAt: now, fixing: 'c1', asOf: now }),
  ],
  begin: [1, (ledger) => ledger.begin(change)],
  progress: [1, (ledger) => ledger.progress(change.id, { done: 1, status: 'waiting', dueAt: now, resumeAt: now })],
  'progress, unless it is late': [1, (ledger) => ledger.progress(change.id, { done: 1, status: 'running' }, ['running', 'waiting'])],
  'progress, failed': [1, (ledger) => ledger.progress(change.id, { done: 1, status: 'failed', error: 'x' })],
  change: [1, (ledger) => ledger.change(change.id)],
  changes: [1, (ledger) => all(ledger.changes())],
  latestChanges: [1, (ledger) => all(ledger.latestChanges(now))],
  lock: [1, (ledger) => ledger.lock(arn, 'me', now, 1000)],
  unlock: [1, (ledger) => ledger.unlock(arn, 'me')],
  switches: [1, (ledger) => ledger.switches()],
  setSwitch: [1, (ledger) => ledger.setSwitch('paused', 'incident', 'olga')],
  'setSwitch, back': [1, (ledger) => ledger.setSwitch('mode:role-shared', undefined, 'olga')],
  exemption: [1, (ledger) => ledger.exemption('role-shared', arn, now)],
  addExemption: [1, (ledger) => ledger.addExemption(exemption)],
  exemptions: [1, (ledger) => all(ledger.exemptions())],
  removeExemption: [1, (ledger) => ledger.removeExemption('x1')],
  due: [1, (ledger) => ledger.due(now)],
  postpone: [1, (ledger) => ledger.postpone({ kind: 'finding', id: finding.id, rule: finding.rule, dueAt: now }, now + 1)],
  'postpone, for good': [1, (ledger) => ledger.postpone({ kind: 'digest', id: 'minute-1', rule: '', dueAt: now }, undefined)],
  announce: [3, (ledger) => ledger.announce('key', 'minute-1', now)],
  markSent: [1, (ledger) => ledger.markSent('key')],
  hold: [2, (ledger) => ledger.hold('minute-1', 'key', { a: 1 }, now)],
  isHeld: [1, (ledger) => ledger.isHeld('minute-1', 'key')],
  held: [1, (ledger) => all(ledger.held('minute-1'))],
  release: [7, (ledger) => ledger.release('minute-1', ['a', 'b'])],
  recordRoles: [1, (ledger) => ledger.recordRoles({ function: arn, asOf: now, role: 'r', liveRoles: [] })],
  'recordRoles, live ones too': [2, (ledger) => ledger.recordRoles({ function: arn, asOf: now, role: 'r', liveRoles: ['s', 't'] })],
  longestUsers: [1, (ledger) => ledger.longestUsers('r')],
  forgetRoles: [1, (ledger) => ledger.forgetRoles(arn, now)],
  recordNetwork: [2, (ledger) => ledger.recordNetwork({ function: arn, asOf: now, groups: ['sg-1'], subnets: ['subnet-1'] })],
  forgetNetwork: [1, (ledger) => ledger.forgetNetwork(arn, now)],
  recordSecrets: [
    2,
    (ledger) => ledger.recordSecrets({ function: arn, asOf: now, secrets: ['arn:aws:secretsmanager:x:y:secret:s-a1B2c3'] }),
  ],
  forgetSecrets: [1, (ledger) => ledger.forgetSecrets(arn, now)],
  functionsReading: [2, (ledger) => ledger.functionsReading('arn:aws:secretsmanager:x:y:secret:s-a1B2c3')],
  functionsIn: [1, (ledger) => ledger.functionsIn('sg-1')],
  recordKept: [1, (ledger) => ledger.recordKept('layer-foreign', arn, { state: ['a'], asOf: now })],
  recordNeeds: [2, (ledger) => ledger.recordNeeds({ function: arn, asOf: 1, places: ['rtb-1'], needs: {} })],
  needing: [1, (ledger) => ledger.needing('rtb-1')],
  kept: [1, (ledger) => ledger.kept('layer-foreign', arn)],
  baseline: [1, (ledger) => ledger.baseline(arn)],
  recordBaseline: [1, (ledger) => ledger.recordBaseline(baseline)],
  'recordBaseline, with a revision': [1, (ledger) => ledger.recordBaseline({ ...baseline, revision: 2 })],
  forgetBaseline: [1, (ledger) => ledger.forgetBaseline(arn, now)],
  functionsRecorded: [4, (ledger) => all(ledger.functionsRecorded())],
  lastSweep: [1, (ledger) => ledger.lastSweep()],
  recordSweep: [1, (ledger) => ledger.recordSweep('s1', now)],
  spend: [2, (ledger) => ledger.spend('changes', 'c1', 5, 60_000, now)],
  lease: [1, (ledger) => ledger.lease('lambda', 5, 5, now, 10_000)],
};

beforeEach(() => {
  dynamo.reset();
  dynamo.onAnyCommand().resolves({ Items: [], Attributes: { ...finding } });
});

test.each(Object.entries(methods))('%s', async (_, [calls, call]) => {
  const table = new Table('ledger', place);
  await call(new DynamoLedger(table));
  expect(table.calls).toBeLessThanOrEqual(calls);
  expect(dynamo.calls().length).toBeGreaterThan(0);
  for (const { args } of dynamo.calls()) expectSound(args[0].input as never);
});

test('of many findings only those that have not ended cost a call each', async () => {
  const items = [
    { ...finding, id: 'open' },
    { ...finding, id: 'ended', status: 'resolved', cause: 'event e2' },
  ];
  dynamo.on(BatchGetCommand).resolves({ Responses: { ledger: items } });
  const ids = ['none', 'ended', 'open', 'nobody'];
  const ended = await new DynamoLedger(new Table('ledger', place)).resolveAll(ids, { asOf: now, cause: 'event e2' });
  expect(ended.map(({ written }) => written)).toEqual(['unchanged', 'again', 'changed', 'unchanged']);
  const [asked, written, ...more] = dynamo.calls().map(({ args: [{ input }] }) => input);
  const Keys = ids.map((id) => ({ pk: `FINDING#${id}`, sk: 'FINDING' }));
  expect(asked).toEqual({ RequestItems: { ledger: { Keys, ConsistentRead: true } } });
  expect(written).toMatchObject({ Key: { pk: 'FINDING#open' } });
  expect(more).toEqual([]);
});

test('every method of the ledger is here', () => {
  const own = Object.getOwnPropertyNames(DynamoLedger.prototype).filter((name) => name !== 'constructor');
  expect(own.filter((name) => !Object.keys(methods).some((one) => one.split(',')[0] === name))).toEqual([]);
});

test('what has an end says so in seconds, as the time to live of DynamoDB asks', async () => {
  const ledger = new DynamoLedger(new Table('ledger', place));
  await ledger.lock(arn, 'me', now, 1000);
  await ledger.announce('key', 'minute-1', now);
  await ledger.hold('minute-1', 'key', {}, now);
  await ledger.forgetRoles(arn, now);
  await ledger.forgetBaseline(arn, now);
  const ends = dynamo.calls().flatMap(({ args }) => {
    const { Item, ExpressionAttributeValues } = args[0].input as {
      Item?: { expires?: number };
      ExpressionAttributeValues?: Record<string, number>;
    };
    return [Item?.expires, ExpressionAttributeValues?.[':set_expires']].filter((value) => value !== undefined);
  });
  expect(ends.length).toBeGreaterThanOrEqual(5);
  for (const end of ends) {
    expect(Number.isInteger(end)).toBe(true);
    expect(end).toBeGreaterThanOrEqual(now / 1000);
    expect(end).toBeLessThan(now / 1000 + 366 * 24 * 3600);
  }
});
