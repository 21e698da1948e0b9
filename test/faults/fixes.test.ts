import { expectOnPage } from '../support/page.ts';
import { isWrite } from './account.ts';
import { campaign, fixable, nameOf, rowsOf, setUpOf, suffer, type Tally } from './campaign.ts';
import { atOnce, faults } from './faults.ts';
import { Guard } from './guard.ts';
import { type Outcome, outcomeOf, outcomes, type Reference, referenceOf } from './outcome.ts';
import { setUps } from './set-ups.ts';

// Every fix of every rule, with every fault at every call that can suffer it.

jest.mock('node:timers/promises', () => jest.requireActual<typeof import('./account.ts')>('./account.ts').timers);
jest.mock('../../cli/session.ts', () => ({
  ...jest.requireActual<object>('../../cli/session.ts'),
  openSession: () => jest.requireActual<typeof import('./operator.ts')>('./operator.ts').session(),
}));

jest.setTimeout(600_000);

const twoAtOnce = 'two remediators at once';
const found = new Map<string, Tally<Outcome>>();

beforeAll(() => {
  jest.spyOn(console, 'log').mockImplementation(() => {});
});

test('there is a set-up for every rule that fixes something, and for no other', () => {
  expect(Object.keys(setUps).sort()).toEqual(fixable.map(({ id }) => id).sort());
});

describe.each(fixable.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  const deploy = async () => await Guard.deploy(rule, setUpOf(rule));
  let reference: Reference;
  beforeAll(async () => {
    reference = await referenceOf(deploy);
  });

  test('is fixed where nothing fails', async () => {
    const guard = await deploy();
    await guard.found();
    await guard.untilQuiet();
    expect(await outcomeOf(guard, reference)).toBe('fixed');
    expect(reference.fixed).not.toBe(reference.before);
  });

  test.each(faults.map((fault) => [fault.name, fault] as const))('%s', async (name, { strikes, at }) => {
    const runs = reference.calls.filter(strikes).map((struck) => ({
      name: nameOf(struck),
      run: async () => {
        const guard = await deploy();
        await guard.found();
        const redriven = await suffer(guard, at(struck, guard));
        return { outcome: await outcomeOf(guard, reference), redriven };
      },
    }));
    found.set(`${name} ${id}`, await campaign(runs));
  });

  test(twoAtOnce, async () => {
    const calls = reference.calls.filter(({ process }) => process.name === 'remediate');
    const writes = calls.filter(isWrite).length;
    const runs = calls.flatMap((call, index) =>
      // The second stops at every third write, or not at all.
      (isWrite(call) ? Array.from({ length: Math.ceil(writes / 3) + 1 }, (_, third) => 1 + 3 * third) : []).map((second) => ({
        name: `the first stops at ${nameOf(call)}, the second at its write ${second}`,
        run: async () => {
          const guard = await deploy();
          await guard.found();
          guard.twice = true;
          return { redriven: await suffer(guard, atOnce(index + 1, second)), outcome: await outcomeOf(guard, reference) };
        },
      })),
    );
    found.set(`${twoAtOnce} ${id}`, await campaign(runs));
  });
});

test('the page on reliability says how they end', () => {
  expectOnPage(
    'fixes',
    ['Fault', 'Fix', 'Runs', ...outcomes, 'dead letters'],
    rowsOf([...faults.map(({ name }) => name), twoAtOnce], outcomes, found),
  );
});
