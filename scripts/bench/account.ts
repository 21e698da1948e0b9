import { rules } from '../../rules/index.ts';
import type { SeenCall } from '../../test/e2e/bench.ts';
import { before, build, draw, once, parameters } from '../../test/e2e/estate.ts';
import { closeStage, openStage, stage } from '../../test/e2e/stage.ts';
import { createAdministrator, type Principal } from '../../test/support/stack.ts';

/** An emulated account with many functions, a third of which break a rule each; no guard is deployed in it. */
export interface Account {
  /** What has to be found by whoever looks at it now, as `rule ARN`. */
  readonly expected: ReadonlySet<string>;
  /** Who looks. */
  readonly reader: Principal;
  /** Parameters of the guard that some of the violations need. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The calls that `work` made in the reader's name. */
  readonly callsOf: <T>(work: () => Promise<T>) => Promise<{ readonly result: T; readonly calls: readonly SeenCall[] }>;
}

/**
 * Makes the account, has it looked at, and ends it.
 * @param functions how many, of which one in three breaks a rule
 */
export async function withAccount(functions: number, seed: number, look: (account: Account) => Promise<void>): Promise<void> {
  await openStage();
  try {
    const known = await before();
    const { expected, later } = await build(
      draw(functions, seed),
      known,
      once.filter(({ rule }) => rule !== 'guard-tampered'),
    );
    await later();
    const reader = await createAdministrator(stage.root, 'reader');
    const seen = expected.filter(({ kind }) => kind.onlyHeard === undefined && kind.onlySwept === undefined);
    await look({
      expected: new Set(seen.map((one) => one.finding)),
      reader,
      parameters: { Deployers: stage.pipelineRole, ...parameters(known) },
      callsOf: async (work) => {
        const mark = await stage.bench.now();
        const result = await work();
        const { calls } = await stage.bench.calls(mark);
        return { result, calls: calls.filter(({ principalArn }) => principalArn.endsWith(':user/reader')) };
      },
    });
  } finally {
    await closeStage();
  }
}

/** How often each operation was called, the most frequent first. */
export function tallied(calls: readonly SeenCall[]): readonly (readonly [operation: string, times: number])[] {
  const times = new Map<string, number>();
  for (const { service, operation } of calls) {
    const name = `${service}:${operation}`;
    times.set(name, (times.get(name) ?? 0) + 1);
  }
  return [...times].sort((a, b) => b[1] - a[1]);
}

/** The rules that a scan without a deployed guard can judge. */
export const judged = rules.filter(({ practice, accepts }) => practice !== 'guard' && accepts !== true).map(({ id }) => id);

export function medianOf(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
