import { LambdaClient, paginateListFunctions } from '@aws-sdk/client-lambda';
import { rules } from '../../rules/index.ts';
import type { SeenCall } from '../../test/e2e/bench.ts';
import { before, build, draw, type Expected, once, parameters } from '../../test/e2e/estate.ts';
import { closeStage, openStage, stage } from '../../test/e2e/stage.ts';
import { createAdministrator, type Principal } from '../../test/support/stack.ts';

/** An emulated account with many functions, a third of which break a rule each; no guard is deployed in it. */
export interface Account {
  /** How many it has: the seed's, and those that its violations brought along. */
  readonly functions: number;
  /** What has to be found by whoever looks at it now, as `rule ARN`. */
  readonly expected: ReadonlySet<string>;
  /** The same, by what kind each came about; and all that is wrong, what no look at the account could tell included. */
  readonly violations: { readonly visible: readonly Expected[]; readonly all: readonly Expected[] };
  /** Who looks. */
  readonly reader: Principal;
  /** Parameters of the guard that some of the violations need. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The calls that `work` made in the reader's name, or in that of another user. */
  readonly callsOf: <T>(work: () => Promise<T>, user?: string) => Promise<{ readonly result: T; readonly calls: readonly SeenCall[] }>;
}

/**
 * Makes the account, has it looked at, and ends it.
 * @param functions how many, of which one in three breaks a rule
 */
export async function withAccount(functions: number, seed: number, look: (account: Account) => Promise<void>): Promise<void> {
  await openStage('scan');
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
      functions: await howMany(),
      expected: new Set(seen.map((one) => one.finding)),
      reader,
      parameters: { Deployers: stage.pipelineRole, ...parameters(known) },
      violations: { visible: seen, all: expected },
      callsOf: async (work, user = 'reader') => {
        const mark = await stage.bench.now();
        const result = await work();
        const { calls } = await stage.bench.calls(mark);
        return { result, calls: calls.filter(({ principalArn }) => principalArn.endsWith(`:user/${user}`)) };
      },
    });
  } finally {
    await closeStage();
  }
}

async function howMany(): Promise<number> {
  let functions = 0;
  for await (const { Functions = [] } of paginateListFunctions({ client: new LambdaClient(stage.pipeline) }, {}))
    functions += Functions.length;
  return functions;
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
/** Those of them that read no packages. */
export const withoutPackages = judged.filter((id) => id !== 'secret-in-code');
