import { parseArgs } from 'node:util';
import { listsFor, wholeRegion } from '../../aws/lists.ts';
import { sideBySide } from '../../cli/scan.ts';
import { shippedWith } from '../../cli/session.ts';
import type { AnyCall } from '../../guard/call.ts';
import { withModes } from '../../guard/config.ts';
import { scan } from '../../guard/scan.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { rules } from '../../rules/index.ts';
import type { SeenCall } from '../../test/e2e/bench.ts';
import { finding } from '../../test/e2e/estate.ts';
import { environmentOf } from '../../test/support/stack.ts';
import { type Account, judged, tallied, withAccount, withoutPackages } from './account.ts';
import { guardScan } from './guard-scan.ts';
import { type Spread, shown, spread } from './spread.ts';

// What a scan costs: an emulated account made from a seed, a third of whose functions break a rule each, is looked at by the
// command, and then by turns within one process by a scan and by a bare loop that makes the same calls.
// `node scripts/bench/scan.ts --functions 1000`.

/** What `measureScan` found. */
export interface ScanFigures {
  /** As the account has them: the seed's, and those that its violations brought along. */
  readonly functions: number;
  readonly recall: number;
  readonly precision: number;
  readonly missed: readonly string[];
  readonly unexpected: readonly string[];
  readonly unknown: number;
  /** Of a scan that prints a table, by every rule. */
  readonly calls: {
    readonly all: number;
    /** Whatever `secret-in-code` calls to get at packages and layers. */
    readonly packages: number;
    readonly aliases: number;
    /** Of one alias or version. */
    readonly qualified: number;
    readonly others: number;
    readonly othersPerFunction: number;
    readonly operations: readonly (readonly [operation: string, times: number])[];
  };
  /** The most that the command held, and how long it took beside whatever else the machine did. */
  readonly megabytes: number;
  readonly seconds: number;
  /** Without packages: seconds of a scan, of the same calls alone, and the ratio of the two. */
  readonly besideABareLoop: { readonly scan: Spread; readonly calls: Spread; readonly ratio: Spread } | undefined;
}

/** @param rounds of a scan beside a bare loop; 0 takes no times */
export async function measureScan(account: Account, rounds: number): Promise<ScanFigures> {
  const { functions, expected, callsOf } = account;
  const { findings, unknown } = (await guardScan(account, judged, 'json')).scanned;
  const found = new Set(findings.map(({ rule, resource }) => finding(rule, resource.arn)));
  const right = [...found].filter((one) => expected.has(one)).length;
  const whole = await callsOf(() => guardScan(account, judged, 'table'));
  const { calls } = await callsOf(() => guardScan(account, withoutPackages, 'table'));
  const aliases = calls.filter(({ operation }) => operation === 'ListAliases').length;
  const qualified = calls.filter(isQualified).length;
  const others = calls.length - aliases - qualified;
  return {
    functions,
    recall: right / expected.size,
    precision: right / found.size,
    missed: [...expected].filter((one) => !found.has(one)),
    unexpected: [...found].filter((one) => !expected.has(one)),
    unknown: unknown.length,
    calls: {
      all: whole.calls.length,
      packages: whole.calls.length - calls.length,
      aliases,
      qualified,
      others,
      othersPerFunction: others / functions,
      operations: tallied(whole.calls),
    },
    megabytes: whole.result.megabytes,
    seconds: whole.result.seconds,
    besideABareLoop: rounds === 0 ? undefined : await besideABareLoop(account, withoutPackages, rounds),
  };
}

/** Whether a call is about an alias or a version, by the first resource that it names. */
function isQualified({ resources: [resource = ''] }: SeenCall): boolean {
  return /:function:[^:]+:[^:]+$/.test(resource);
}

/** Times alone, by turns: how much longer a scan takes than the calls that it makes. */
async function besideABareLoop(
  { reader, parameters }: Account,
  ids: readonly string[],
  rounds: number,
): Promise<NonNullable<ScanFigures['besideABareLoop']>> {
  Object.assign(process.env, environmentOf(reader));
  const place = { account: '111122223333', region: reader.region };
  const config = withModes(shippedWith(place, 'guard', parameters), (id) => (ids.includes(id) ? 'alert' : 'off'));
  const lists = listsFor(rules.filter(({ id }) => ids.includes(id)).flatMap(({ check }): readonly AnyCall[] => check));
  const [scans, loops]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    const made: (readonly [AnyCall, unknown])[] = [];
    const whole = wholeRegion(place, (call, input) => void made.push([call, input]), { versions: true, lists });
    const { connect, forOneLook } = whole;
    const ports = { ledger: new MemoryLedger(), config, now: Date.now, connect, forOneLook, showsPlans: false };
    scans.push(await secondsOf(() => scan(whole.functions(), rules, ports, { concurrency: sideBySide })));
    loops.push(
      await secondsOf(async () => {
        await Promise.all(Array.from({ length: sideBySide }, () => makeAll(made, place)));
      }),
    );
  }
  const ratios = scans.map((seconds, round) => seconds / (loops[round] ?? Number.NaN));
  return { scan: spread(scans), calls: spread(loops), ratio: spread(ratios) };
}

/** Takes calls from the list until there are none. */
async function makeAll(calls: (readonly [AnyCall, unknown])[], place: { account: string; region: string }): Promise<void> {
  for (let next = calls.pop(); next !== undefined; next = calls.pop()) {
    const [call, input] = next;
    // What is not there was not there for the scan either.
    await call.run(place, input as never).catch(() => undefined);
  }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** The figures as text. */
export function renderScan({
  functions,
  recall,
  precision,
  missed,
  unexpected,
  unknown,
  calls,
  megabytes,
  seconds,
  ...more
}: ScanFigures): string {
  const { besideABareLoop: beside } = more;
  return [
    `a scan of ${functions} functions: recall ${recall.toFixed(4)}, precision ${precision.toFixed(4)}, ${unknown} unknown`,
    ...missed.map((one) => `  missed: ${one}`),
    ...unexpected.map((one) => `  unexpected: ${one}`),
    `${calls.all} calls: ${calls.packages} for packages, ${calls.aliases} ListAliases, ${calls.qualified} of aliases and versions, ${calls.others} others: ${calls.othersPerFunction.toFixed(2)} a function`,
    ...calls.operations.map(([operation, times]) => `  ${String(times).padStart(6)} ${operation}`),
    `${seconds.toFixed(0)} s, ${megabytes.toFixed(0)} MB at most`,
    ...(beside === undefined
      ? []
      : [
          `without packages ${shown(beside.scan)} s, the same calls by a bare loop ${shown(beside.calls)} s: ${shown(beside.ratio, 2)} times as long`,
        ]),
  ].join('\n');
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      functions: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '20261123' },
      rounds: { type: 'string', default: '5' },
    },
  });
  await withAccount(Number(values.functions), Number(values.seed), async (account) => {
    console.log(renderScan(await measureScan(account, Number(values.rounds))));
  });
  process.exit();
}
