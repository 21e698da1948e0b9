import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { SeenCall } from '../../test/e2e/bench.ts';
import { stage } from '../../test/e2e/stage.ts';
import { createAdministrator, environmentOf } from '../../test/support/stack.ts';
import { median } from '../median.ts';
import { type Account, judged, tallied, withAccount, withoutPackages } from './account.ts';
import { guardScan } from './guard-scan.ts';
import { archiveBytes, custodian, eventPolicies } from './peers/custodian.ts';
import { type Judgement, judge, type Report } from './peers/judge.ts';
import { prowler } from './peers/prowler.ts';
import { progress } from './progress.ts';
import { type Spread, shown, spread } from './spread.ts';

// What a scan finds, calls and takes beside Cloud Custodian and Prowler, each as its users run it: a process of its own, from
// its start to its end, by turns on one emulated account. `node scripts/bench/peers.ts --functions 200 --rounds 3`.

/** One of those who look at the account. */
interface ToolFigures {
  /** Of everything that it can judge. */
  readonly judgement: Judgement;
  /** Of a run that is timed: packages are not read, which Cloud Custodian cannot, and whose size would decide. */
  readonly calls: number;
  readonly callsPerFunction: number;
  /** The most frequent first. */
  readonly operations: readonly (readonly [operation: string, times: number])[];
  readonly seconds: Spread;
  /** Of the processor, which a busy machine leaves as they are: its own, and the emulator's for its calls. */
  readonly processor: { readonly own: Spread; readonly emulator: Spread };
  readonly rounds: number;
}

/** A scan beside others. */
export interface PeersFigures {
  /** Milliseconds that each call took besides. */
  readonly latency: number;
  readonly functions: number;
  readonly guard: ToolFigures;
  readonly custodian: ToolFigures;
  readonly prowler: ToolFigures;
  /** How many times as long as the guard they take: the ratio of the medians of the same rounds, and from where to where that of a round reaches. */
  readonly scanTimeVsCustodian: Spread;
  readonly scanTimeVsProwler: Spread;
  /** What Cloud Custodian deploys in event mode: a function for each policy, with an archive of its own. */
  readonly custodianDeploys: { readonly functions: number; readonly archiveBytes: number };
}

const names = ['guard', 'custodian', 'prowler'] as const;
type Name = (typeof names)[number];

interface Processor {
  readonly own: number;
  readonly emulator: number;
}

type Tool = (packages: boolean) => Promise<readonly Report[]>;

interface Options {
  /** Of the guard and of Cloud Custodian. */
  readonly rounds: number;
  /** Prowler takes part in so many of them. */
  readonly prowlerRounds?: number;
  /** Milliseconds that AWS takes for a call of anybody besides what the emulator does. */
  readonly latency?: number;
}

/** Has an account looked at by the guard, Cloud Custodian and Prowler. */
export async function besidePeers(account: Account, { rounds, prowlerRounds = rounds, latency = 0 }: Options): Promise<PeersFigures> {
  const { functions } = account;
  const [asCustodian, asProwler] = [await environmentFor('custodian'), await environmentFor('prowler')];
  const tools: Readonly<Record<Name, Tool>> = {
    guard: async (packages) => await guard(account, packages),
    custodian: async () => await custodian(asCustodian),
    prowler: async (packages) => await prowler(asProwler, packages),
  };
  const judgements: Partial<Record<Name, Judgement>> = {};
  for (const name of names) {
    progress(`peers: ${name}: everything that it can judge`);
    judgements[name] = judge(await tools[name](true), account.violations.visible, account.violations.all);
  }
  if (latency > 0) await stage.bench.fault({ kind: 'slow', service: '*', seconds: latency / 1000, times: 1e9 });
  const seconds = { guard: [] as number[], custodian: [] as number[], prowler: [] as number[] };
  const processor = { guard: [] as Processor[], custodian: [] as Processor[], prowler: [] as Processor[] };
  const calls: Partial<Record<Name, readonly SeenCall[]>> = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      if (name === 'prowler' && round >= prowlerRounds) continue;
      const before = await processorSeconds();
      const began = performance.now();
      const { calls: made } = await account.callsOf(() => tools[name](false), name === 'guard' ? 'reader' : name);
      seconds[name].push((performance.now() - began) / 1000);
      const after = await processorSeconds();
      processor[name].push({ own: after.own - before.own, emulator: after.emulator - before.emulator });
      calls[name] = made;
      progress(`peers: ${name}, round ${round + 1} of ${rounds}: ${seconds[name].at(-1)?.toFixed(1)} s, ${made.length} calls`);
    }
  }
  if (latency > 0) await stage.bench.noFaults();
  const figures = (name: Name): ToolFigures => {
    const { [name]: judgement } = judgements;
    if (judgement === undefined) throw new Error(`${name} was not judged.`);
    const made = calls[name] ?? [];
    return {
      judgement,
      calls: made.length,
      callsPerFunction: made.length / functions,
      operations: tallied(made),
      seconds: spread(seconds[name]),
      processor: {
        own: spread(processor[name].map(({ own }) => own)),
        emulator: spread(processor[name].map(({ emulator }) => emulator)),
      },
      rounds: seconds[name].length,
    };
  };
  const versus = (theirs: readonly number[]): Spread => ({
    ...spread(theirs.map((one, round) => one / (seconds.guard[round] ?? Number.NaN))),
    median: median(theirs) / median(seconds.guard.slice(0, theirs.length)),
  });
  return {
    functions,
    latency,
    guard: figures('guard'),
    custodian: figures('custodian'),
    prowler: figures('prowler'),
    scanTimeVsCustodian: versus(seconds.custodian),
    scanTimeVsProwler: versus(seconds.prowler),
    custodianDeploys: { functions: (await eventPolicies()).length, archiveBytes: await archiveBytes() },
  };
}

/** The command, with every rule that it can judge; timed as a table, of which nothing is read. */
async function guard(account: Account, packages: boolean): Promise<readonly Report[]> {
  if (!packages) {
    await guardScan(account, withoutPackages, 'table');
    return [];
  }
  const { findings } = (await guardScan(account, judged, 'json')).scanned;
  return findings.map(({ rule, resource }) => ({ rules: [rule], arn: resource.arn }));
}

/** What processes that this one started and that ended have taken, and the emulator. Linux counts hundredths of seconds. */
async function processorSeconds(): Promise<Processor> {
  const of = async (process: number | 'self', fields: readonly [number, number]) => {
    const counts = (await readFile(`/proc/${process}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    return fields.reduce((sum, field) => sum + Number(counts[field]) / 100, 0);
  };
  return { own: await of('self', [13, 14]), emulator: await of(stage.emulator.pid, [11, 12]) };
}

/** Everybody is a user of their own, whose calls are counted apart. */
async function environmentFor(name: string): Promise<Record<string, string>> {
  return environmentOf(await createAdministrator(stage.root, name));
}

/** The figures as a table. */
export function renderPeers({
  functions,
  latency,
  scanTimeVsCustodian,
  scanTimeVsProwler,
  custodianDeploys,
  ...tools
}: PeersFigures): string {
  const columns = [tools.guard, tools.custodian, tools.prowler];
  const row = (what: string, of: (figures: ToolFigures) => string) => `| ${what} | ${columns.map(of).join(' | ')} |`;
  return [
    `| a scan of ${functions} functions${latency > 0 ? `, ${latency} ms for each call` : ''} | the guard | Cloud Custodian | Prowler |`,
    '|---|---|---|---|',
    row('recall: mean over kinds of violation', ({ judgement: { recall } }) => recall.kinds.toFixed(2)),
    row('… over violations', ({ judgement: { recall } }) => recall.violations.toFixed(2)),
    row('kinds found', ({ judgement: { kinds } }) => `${kinds.found} of ${kinds.all}`),
    row('precision: mean over rules', ({ judgement: { precision } }) => precision.rules.toFixed(2)),
    row('… over reports', ({ judgement: { precision } }) => precision.reports.toFixed(2)),
    row('calls of AWS', ({ calls }) => String(calls)),
    row('… a function', ({ callsPerFunction }) => callsPerFunction.toFixed(2)),
    row('seconds, median (from, to)', ({ seconds, rounds }) => `${shown(seconds)}, ${rounds} rounds`),
    row('seconds of the processor, its own', ({ processor }) => shown(processor.own)),
    row("… and the emulator's", ({ processor }) => shown(processor.emulator)),
    `| times as long as the guard, median (from, to) | 1 | ${shown(scanTimeVsCustodian, 2)} | ${shown(scanTimeVsProwler, 2)} |`,
    '',
    `In event mode Cloud Custodian deploys ${custodianDeploys.functions} functions of ${custodianDeploys.archiveBytes} bytes zipped each.`,
  ].join('\n');
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      functions: { type: 'string', default: '200' },
      seed: { type: 'string', default: '20261123' },
      rounds: { type: 'string', default: '3' },
      'prowler-rounds': { type: 'string' },
      /** Milliseconds that each call takes besides. */
      latency: { type: 'string', default: '0' },
      json: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  await withAccount(Number(values.functions), Number(values.seed), async (account) => {
    const prowlerRounds = Number(values['prowler-rounds'] ?? rounds);
    const figures = await besidePeers(account, { rounds, prowlerRounds, latency: Number(values.latency) });
    console.log(values.json ? JSON.stringify(figures) : renderPeers(figures));
  });
  process.exit();
}
