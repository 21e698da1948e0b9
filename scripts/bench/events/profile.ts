import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { SQSRecord } from 'aws-lambda';
import { bundleHandler } from '../../bundle.ts';
import { packageOf } from '../bundles.ts';
import type { Checker } from './checker.ts';
import { type CallFrame, type CpuProfile, flameGraph, selfTimes } from './flame.ts';

/** Milliseconds of a process, by what it was busy with: a package, `own` code, Node itself, or waiting. */
type Profile = Readonly<Record<string, number>>;

/** How many warm events one is the mean of. */
const warm = 20;

/** Of a checker. */
export interface Profiles {
  readonly cold: Spent;
  readonly warm: Spent;
}

/** What an event was busy with, and its flame graph as SVG. */
interface Spent {
  readonly times: Profile;
  readonly graph: string;
}

/** Where the time of a cold event and of a warm one goes, by V8's sampling profiler on the bundle before it is minified. */
export async function profileOf(checker: Checker, record: SQSRecord): Promise<Profiles> {
  const folder = await mkdtemp(join(tmpdir(), 'profile-'));
  const bundle = join(folder, `check-${checker.practice}.js`);
  const { contents } = await bundleHandler(`check-${checker.practice}`, { minify: false });
  await writeFile(bundle, contents);
  const files = filesByLine(new TextDecoder().decode(contents));
  const profiled = async (name: string, events: number) => {
    const execArgv = ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${join(folder, name)}`];
    const { warmFrom } = await checker.cold(record, { bundle, execArgv, events });
    const [file = ''] = await readdir(join(folder, name));
    return { profile: JSON.parse(await readFile(join(folder, name, file), 'utf8')) as CpuProfile, warmFrom };
  };
  const ownerOf = (frame: CallFrame) => owner(frame, bundle, files[frame.lineNumber]);
  const spent = (profile: CpuProfile, what: string, since: number, share: number): Spent => ({
    times: byPackage(profile, bundle, files, since, share),
    graph: flameGraph(profile, `${checker.practice}: ${what}`, ownerOf, { since, share }),
  });
  const cold = await profiled('cold', 1);
  const longer = await profiled('warm', 1 + warm);
  await rm(folder, { recursive: true });
  return {
    cold: spent(cold.profile, 'start and first event', 0, 1),
    warm: spent(longer.profile, `a warm event, mean of ${warm}`, longer.warmFrom, warm),
  };
}

/** Whose line it is of a bundle. esbuild writes the name of a file above what it took of it. */
function filesByLine(text: string): readonly string[] {
  let file = 'own';
  return text.split('\n').map((line) => {
    const name = /^\s*\/\/ (\S+\.(?:[cm]?js|ts|json))$/.exec(line)?.[1];
    if (name !== undefined) file = packageOf(name);
    return file;
  });
}

/** Whose a frame is; undefined for the bench's own, and for the root. */
function owner({ functionName, url }: CallFrame, bundle: string, file = 'own'): string | undefined {
  if (url.endsWith(basename(bundle))) return file;
  if (functionName === '(idle)') return 'waiting for AWS, and for the next event';
  if (functionName === 'wrapSafe') return 'compiling the bundle';
  if (functionName === '(garbage collector)') return 'garbage collector';
  return functionName === '(root)' || url.includes('scripts/bench/') ? undefined : 'Node';
}

function byPackage(profile: CpuProfile, bundle: string, files: readonly string[], since: number, share: number): Profile {
  const own = selfTimes(profile, since);
  const spent = new Map<string, number>();
  for (const { id, callFrame, positionTicks = [] } of profile.nodes) {
    const milliseconds = (own.get(id) ?? 0) / share;
    const lines = positionTicks.length === 0 ? [{ line: callFrame.lineNumber + 1, ticks: 1 }] : positionTicks;
    const ticks = lines.reduce((sum, one) => sum + one.ticks, 0);
    for (const one of lines) {
      const name = owner(callFrame, bundle, files[one.line - 1]);
      if (name !== undefined) spent.set(name, (spent.get(name) ?? 0) + (milliseconds * one.ticks) / ticks);
    }
  }
  return sorted([...spent]);
}

function sorted(spent: readonly (readonly [string, number])[]): Profile {
  return Object.fromEntries(spent.toSorted((a, b) => b[1] - a[1]));
}

/** The table of a profile, as Markdown: what takes a hundredth of the time at least. */
export function renderProfile({ cold: { times: cold }, warm: { times: each } }: Profiles): string {
  const total = (profile: Profile) => Object.values(profile).reduce((sum, one) => sum + one, 0);
  const names = Object.keys(cold).filter((name) => (cold[name] ?? 0) > total(cold) / 100 || (each[name] ?? 0) > total(each) / 100);
  const rows = names.map((name) => `| ${name} | ${(cold[name] ?? 0).toFixed(1)} | ${(each[name] ?? 0).toFixed(2)} |`);
  return [
    '| busy with | cold event, ms | warm event, ms |',
    '|---|---|---|',
    ...rows,
    `| in all | ${total(cold).toFixed(0)} | ${total(each).toFixed(1)} |`,
  ].join('\n');
}
