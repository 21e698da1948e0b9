import { isUnended } from '../../guard/finding.ts';
import { pascalCase } from '../../guard/rule.ts';
import { expectOnPage } from '../support/page.ts';
import type { Call } from './account.ts';
import { campaign, fixable, nameOf, rowsOf, setUpOf, suffer, type Tally } from './campaign.ts';
import { faults } from './faults.ts';
import { Guard } from './guard.ts';

// Every rule in alert, as it is shipped: with every fault at every call on the way from an event to its alert.

jest.mock('node:timers/promises', () => jest.requireActual<typeof import('./account.ts')>('./account.ts').timers);
jest.setTimeout(600_000);

const outcomes = ['told', 'told as unknown first', 'gone'] as const;
type Outcome = (typeof outcomes)[number];

const found = new Map<string, Tally<Outcome>>();
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';

/** A sweep comes by: to the function, and to every finding that has not ended. */
async function sweep(guard: Guard, id: string): Promise<void> {
  const subject = { arn: orders, type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' };
  guard.account.queues.check.send({ sweep: id, subject });
  for (const finding of await guard.findings())
    if (isUnended(finding)) guard.account.queues.check.send({ sweep: id, rule: finding.rule, subject: finding.subject });
  await guard.untilQuiet();
}

async function outcomeOf(guard: Guard, removed: boolean): Promise<Outcome> {
  const before = (await guard.findings())[0]?.status;
  // Whatever is there by now, a sweep sees it.
  if (before !== 'open' || removed) await sweep(guard, 'sweep 2');
  const findings = await guard.findings();
  const told = new Set(guard.account.sent.map(({ kind, status, summary }) => `${kind} ${status} ${summary}`));
  const statuses = [...told].map((one) => one.split(' ', 2).join(' ')).sort();
  expect(guard.deadLetters).toBe(0);
  if (removed && guard.setUp.missed) {
    expect(findings).toMatchObject([{ status: 'open' }]);
    // Once as it was when it was still there, perhaps, and once because it is not.
    expect(new Set(statuses)).toEqual(new Set(['finding open']));
    return 'told';
  }
  if (removed) {
    expect(findings.filter(({ status }) => status !== 'resolved')).toEqual([]);
    // Who was told that it is open, or unknown, is told that it ended.
    expect(statuses.filter((status) => status === 'finding resolved')).toHaveLength(statuses.length > 0 ? 1 : 0);
    return 'gone';
  }
  // A sweep cannot tell who put code there whose event was never read: what is wrong by then, code-drifted tells.
  if (findings[0]?.rule === 'code-changed-by-hand' && before === 'unknown') {
    expect({ findings, statuses }).toMatchObject({ findings: [{ status: 'resolved' }], statuses: ['failure unknown', 'finding resolved'] });
    return 'told as unknown first';
  }
  expect(findings.filter(({ status }) => status !== 'resolved')).toMatchObject([{ status: 'open' }]);
  const unknown = before === 'unknown' || statuses.includes('failure unknown');
  // What the event names may only lead to what is wrong: that it was unknown ends by itself.
  const ended = findings.length > 1 ? ['finding resolved'] : [];
  expect(statuses).toEqual(unknown ? ['failure unknown', 'finding open', ...ended] : ['finding open']);
  return unknown ? 'told as unknown first' : 'told';
}

describe.each(fixable.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  let calls: readonly Call[];
  const deploy = async () => await Guard.deploy(rule, setUpOf(rule));

  beforeAll(async () => {
    process.env[`${pascalCase(id)}Mode`] = 'alert';
    const guard = await deploy();
    await suffer(guard, async (_, make) => make());
    calls = guard.account.calls.filter(({ process }) => process.name !== 'remediate');
    expect(await outcomeOf(guard, false)).toBe('told');
  });

  test.each(faults.map((fault) => [fault.name, fault] as const))('%s', async (name, { strikes, at }) => {
    const runs = calls.filter(strikes).map((struck) => ({
      name: nameOf(struck),
      run: async () => {
        const guard = await deploy();
        const redriven = await suffer(guard, at(struck, guard));
        return { outcome: await outcomeOf(guard, name === 'the resource is deleted just before'), redriven };
      },
    }));
    found.set(`${name} ${id}`, await campaign(runs));
  });
});

test('the page on reliability says how they end', () => {
  expectOnPage(
    'findings',
    ['Fault', 'Rule', 'Runs', ...outcomes, 'dead letters'],
    rowsOf(
      faults.map(({ name }) => name),
      outcomes,
      found,
    ),
  );
});
