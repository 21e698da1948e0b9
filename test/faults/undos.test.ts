import { expectOnPage } from '../support/page.ts';
import type { Call } from './account.ts';
import { campaign, fixable, nameOf, rowsOf, setUpOf, suffer, type Tally } from './campaign.ts';
import { faults } from './faults.ts';
import { Guard } from './guard.ts';
import { undo } from './operator.ts';
import { differences, locked, type Reference, referenceOf, state } from './outcome.ts';

// Every undo of every rule, as an operator runs it: with every fault at every call of the command line and of the operate
// function. Where it stops, the operator runs the command again, as it says.

jest.mock('node:timers/promises', () => jest.requireActual<typeof import('./account.ts')>('./account.ts').timers);
jest.mock('../../cli/session.ts', () => ({
  ...jest.requireActual<object>('../../cli/session.ts'),
  openSession: () => jest.requireActual<typeof import('./operator.ts')>('./operator.ts').session(),
}));
jest.setTimeout(600_000);

const outcomes = ['restored', 'gone'] as const;
type Outcome = (typeof outcomes)[number];

interface Run {
  readonly guard: Guard;
  /** The command, as the alert about the change names it. */
  readonly command: string;
}

const found = new Map<string, Tally<Outcome>>();
/** How often the command had to be run at most, by fault. */
const commands = new Map<string, number>();

beforeAll(() => {
  jest.spyOn(console, 'log').mockImplementation(() => {});
});

/** Runs the command until it is done, every six minutes: a lock has ended by then. @returns how often */
async function untilDone({ guard, command }: Run): Promise<number> {
  let force = false;
  for (let times = 1; times <= 30; times += 1) {
    const { done, said } = await undo(guard, command, { force });
    await guard.untilQuiet();
    if (done) return times;
    // It shows what is there now, and says how to go on.
    force ||= said.includes('With --force');
    guard.account.world.advance(6 * 60);
  }
  throw new Error('the undo does not come to an end');
}

async function outcomeOf({ guard }: Run, { before, goneBefore }: Reference): Promise<Outcome> {
  const [[finding], [change]] = [await guard.findings(), await guard.changes()];
  const told = guard.account.sent.filter(({ status }) => status === 'exempt').map(({ summary }) => summary);
  expect({
    finding: finding?.status,
    change: change?.status,
    told: new Set(told).size,
    locked: locked(guard),
    dead: guard.deadLetters,
  }).toEqual({
    finding: 'exempt',
    change: 'undone',
    told: 1,
    locked: [],
    dead: 0,
  });
  const left = () => (state(guard) === goneBefore ? [] : differences(state(guard), before));
  expect(left()).toEqual([]);
  // The next event of it changes nothing: the guard leaves it alone for the time that the operator gave.
  guard.account.queues.check.send(guard.setUp.event);
  await guard.untilQuiet();
  expect(left()).toEqual([]);
  return state(guard) === before ? 'restored' : 'gone';
}

describe.each(fixable.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  let reference: Reference;
  let calls: readonly Call[];

  const fixed = async (): Promise<Run> => {
    const guard = await Guard.deploy(rule, setUpOf(rule));
    await guard.found();
    await guard.untilQuiet();
    const command = guard.account.sent.findLast(({ change }) => change !== undefined)?.change?.undo;
    if (command === undefined) throw new Error('no alert names an undo');
    return { guard, command };
  };

  beforeAll(async () => {
    reference = await referenceOf(async () => await Guard.deploy(rule, setUpOf(rule)));
    const run = await fixed();
    run.guard.account.counting = true;
    expect(await untilDone(run)).toBe(1);
    ({ calls } = run.guard.account);
    expect(await outcomeOf(run, reference)).toBe('restored');
  });

  test.each(faults.map((fault) => [fault.name, fault] as const))('%s', async (name, { strikes, at }) => {
    const runs = calls.filter(strikes).map((struck) => ({
      name: nameOf(struck),
      run: async () => {
        const run = await fixed();
        const redriven = await suffer(run.guard, at(struck, run.guard), async () => {
          commands.set(name, Math.max(commands.get(name) ?? 0, await untilDone(run)));
        });
        return { outcome: await outcomeOf(run, reference), redriven };
      },
    }));
    found.set(`${name} ${id}`, await campaign(runs));
  });
});

test('the page on reliability says how they end', () => {
  expectOnPage(
    'undos',
    ['Fault', 'Undo', 'Runs', ...outcomes, 'dead letters'],
    rowsOf(
      faults.map(({ name }) => name),
      outcomes,
      found,
    ),
  );
});
