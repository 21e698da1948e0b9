import { changes, exemptions, findings } from '../../cli/lists.ts';
import { remediate } from '../../guard/remediate.ts';
import { found, minute, orders, timeoutLong } from '../guard/bench.ts';
import { commandLine, olga } from './bench.ts';

jest.mock('../../cli/session.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').sessionModule());

const columns = (line = '') => line.split(/ {2,}/);

describe('findings', () => {
  test('are listed in columns, with when and by whom', async () => {
    const on = commandLine();
    const id = await found(on);
    const { output, ended } = await on.run(findings);
    const [head, row] = output.split('\n');
    expect(columns(head)).toEqual(['finding', 'severity', 'status', 'rule', 'first seen', 'last seen', 'by', 'resource']);
    const at = '2026-11-22 12:00';
    expect(columns(row)).toEqual([id, 'high', 'open', 'timeout-long', at, at, 'Developer/ana', orders]);
    expect(head?.indexOf('resource')).toBe(row?.indexOf(orders));
    expect(ended).toBe('findings');
  });

  test('come gravest first, then oldest first; a sweep knows nobody who did it', async () => {
    const on = commandLine();
    const finding = await on.ledger.finding(await found(on));
    if (finding === undefined) throw new Error('nothing was found');
    const { actor: _actor, event: _event, ...swept } = finding;
    const other = (id: string, severity: 'low' | 'critical', firstSeen: string) =>
      on.ledger.open({ ...swept, id, severity, firstSeen, subject: { ...finding.subject, arn: `${orders}-${id}` } });
    await other('c', 'low', '2026-11-20T00:00:00.000Z');
    await other('b', 'critical', '2026-11-22T00:00:00.000Z');
    await other('a', 'critical', '2026-11-21T00:00:00.000Z');
    const { output } = await on.run(findings);
    const rows = output.split('\n').slice(1).map(columns);
    expect(rows.map(([id]) => id)).toEqual(['a', 'b', finding.id, 'c']);
    expect(rows.map((row) => row[6])).toEqual(['-', '-', 'Developer/ana', '-']);
  });

  test.each([
    ['open', true],
    ['partial', true],
    ['failed', true],
    ['reverted', true],
    ['unknown', true],
    ['resolved', false],
    ['remediated', false],
    ['exempt', false],
  ] as const)('that are %s count: %s', async (status, wrong) => {
    const on = commandLine();
    const id = await found(on);
    await on.ledger.setStatus(id, { status, cause: 'test' });
    expect(await on.run(findings)).toEqual({
      output: wrong ? expect.stringContaining(id) : 'Nothing is wrong.',
      ended: wrong ? 'findings' : 'fine',
    });
    expect(await on.run(findings, [], { all: true })).toEqual({
      output: expect.stringContaining(`${id}  high`),
      ended: wrong ? 'findings' : 'fine',
    });
    expect((await on.run(findings, [], { rule: 'another' })).output).toBe('Nothing is wrong.');
  });

  test('are JSON for whoever wants more', async () => {
    const on = commandLine();
    expect(JSON.parse((await on.run(findings, [], { json: true })).output)).toEqual([]);
    const id = await found(on);
    const { output, ended } = await on.run(findings, [], { json: true });
    expect(JSON.parse(output)).toEqual([await on.ledger.finding(id)]);
    expect(ended).toBe('findings');
  });
});

test('changes are listed with their status, and how one is taken back', async () => {
  const on = commandLine();
  expect(await on.run(changes)).toEqual({ output: 'The guard has changed nothing.', ended: 'fine' });
  const finding = await found(on);
  await remediate(finding, timeoutLong, on.ports);
  const { fixing = '' } = (await on.ledger.finding(finding)) ?? {};
  await on.ledger.progress(fixing, { status: 'undone', undoneBy: olga });
  const { output, ended } = await on.run(changes);
  const [head, row, hint] = output.split('\n');
  expect(columns(head)).toEqual(['change', 'status', 'rule', 'begun', 'undone by', 'resource']);
  expect(columns(row)).toEqual([fixing, 'undone', 'timeout-long', '2026-11-22 12:00', olga, orders]);
  expect(hint).toContain('npm run guard -- undo <change> --for 7d');
  expect(ended).toBe('fine');
  expect(JSON.parse((await on.run(changes, [], { json: true })).output)).toEqual([await on.ledger.change(fixing)]);
});

test('exemptions are listed with their end, the next one first', async () => {
  const on = commandLine();
  expect((await on.run(exemptions)).output).toBe('Nothing is exempt.');
  const common = { rule: 'timeout-long', resource: orders, reason: 'a migration', owner: 'shop', by: olga, since: on.world.now };
  await on.ledger.addExemption({ id: 'later', ...common, expires: on.world.now + 60 * minute });
  await on.ledger.addExemption({ id: 'sooner', ...common, expires: on.world.now + minute });
  const [head, ...rows] = (await on.run(exemptions)).output.split('\n');
  expect(columns(head)).toEqual(['exemption', 'until', 'rule', 'resource', 'owner', 'by', 'reason']);
  expect(rows.map(columns)).toEqual([
    ['sooner', '2026-11-22 12:01', 'timeout-long', orders, 'shop', olga, 'a migration'],
    ['later', '2026-11-22 13:00', 'timeout-long', orders, 'shop', olga, 'a migration'],
  ]);
  expect(JSON.parse((await on.run(exemptions, [], { json: true })).output)).toHaveLength(2);
});
