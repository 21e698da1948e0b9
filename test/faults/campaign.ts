import type { AnyRule } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import type { Call, Fate } from './account.ts';
import type { Guard } from './guard.ts';
import { setUps } from './set-ups.ts';

/** The rules that fix something. */
export const fixable: readonly AnyRule[] = (rules as readonly AnyRule[]).filter(({ fix }) => fix.length > 0);

/** What became of many runs with one fault. */
export interface Tally<Outcome extends string> {
  runs: number;
  readonly outcomes: Map<Outcome, number>;
  /** Runs in which SQS gave up on a message, and somebody had to move it back. */
  redriven: number;
}

/** Runs one after the other; what goes wrong is told together, the first few in full. */
export async function campaign<Outcome extends string>(
  runs: readonly { readonly name: string; readonly run: () => Promise<{ readonly outcome: Outcome; readonly redriven: boolean }> }[],
): Promise<Tally<Outcome>> {
  const tally: Tally<Outcome> = { runs: 0, outcomes: new Map(), redriven: 0 };
  const wrong: string[] = [];
  for (const { name, run } of runs) {
    tally.runs += 1;
    try {
      const { outcome, redriven } = await run();
      tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
      if (redriven) tally.redriven += 1;
    } catch (error) {
      wrong.push(`${name}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  if (wrong.length > 0) throw new Error([`${wrong.length} of ${runs.length} runs go wrong`, ...wrong.slice(0, 3)].join('\n\n'));
  return tally;
}

/** Where a fault strikes. */
export function nameOf({ number, process, service, operation }: Call): string {
  return `call ${number}, ${service} ${operation} of ${process.name}`;
}

/**
 * Lets a guard that suffers a fault come to its end. Once the fault is over, an operator moves the dead letters back.
 * @returns whether there were any
 */
export async function suffer(guard: Guard, fate: Fate, work: () => Promise<void> = () => guard.untilQuiet()): Promise<boolean> {
  const { account } = guard;
  account.counting = true;
  account.fate = fate;
  await work();
  account.counting = false;
  account.fate = async (_, make) => make();
  const redriven = guard.deadLetters > 0;
  if (redriven) {
    guard.redrive();
    await work();
  }
  return redriven;
}

/** @throws where a rule that fixes something has no set-up: it would be left out of every campaign */
export function setUpOf({ id }: AnyRule) {
  const setUp = setUps[id];
  if (setUp === undefined) throw new Error(`test/faults/set-ups.ts has nothing for ${id}: write down a world in which it fixes something.`);
  return setUp;
}

/**
 * The rows of a table: faults by rules, and the sum.
 * @throws where a campaign failed or did not run
 */
export function rowsOf<Outcome extends string>(
  names: readonly string[],
  outcomes: readonly Outcome[],
  found: ReadonlyMap<string, Tally<Outcome>>,
): readonly (readonly (string | number)[])[] {
  const rows = names.flatMap((fault) =>
    fixable.flatMap(({ id }) => {
      const tally = found.get(`${fault} ${id}`);
      if (tally === undefined) throw new Error(`${fault}, ${id}: it failed, or did not run`);
      if (tally.runs === 0) return [];
      return [{ fault, id, numbers: [tally.runs, ...outcomes.map((outcome) => tally.outcomes.get(outcome) ?? 0), tally.redriven] }];
    }),
  );
  const sums = (rows[0]?.numbers ?? []).map((_, index) => rows.reduce((sum, { numbers }) => sum + (numbers[index] ?? 0), 0));
  return [...rows.map(({ fault, id, numbers }) => [fault, id, ...numbers]), ['all', '', ...sums]];
}
