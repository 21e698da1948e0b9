import { parseArgs } from 'node:util';
import { functionPages } from '../aws/lambda.ts';
import { wholeRegion } from '../aws/lists.ts';
import { sideBySide } from '../cli/scan.ts';
import { shippedWith } from '../cli/session.ts';
import type { AnyCall } from '../guard/call.ts';
import { withModes } from '../guard/config.ts';
import { scan } from '../guard/scan.ts';
import { MemoryLedger } from '../ledger/memory.ts';
import { rules } from '../rules/index.ts';
import { finding } from '../test/e2e/estate.ts';
import { environmentOf, run } from '../test/support/stack.ts';
import { type Account, judged, medianOf, tallied, withAccount } from './bench/account.ts';

// What a scan costs: an emulated account made from a seed, a third of whose functions break a rule each, is looked at by the
// command, and then by turns within one process by a scan and by a bare loop that makes the same calls. What
// docs/performance.md tells of is `npm run bench -- --functions 1000`.

const { values } = parseArgs({
  options: {
    functions: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '20261123' },
    rounds: { type: 'string', default: '5' },
  },
});
const functions = Number(values.functions);

await withAccount(functions, Number(values.seed), async (account) => {
  await byCommand(account);
  // Reading packages is another matter: what is downloaded decides how long it takes.
  await besideABareLoop(
    account,
    judged.filter((id) => id !== 'secret-in-code'),
  );
});
process.exit();

interface Scanned {
  readonly findings: readonly { readonly rule: string; readonly resource: { readonly arn: string } }[];
  readonly unknown: readonly object[];
}

/** The whole command: what it finds, and every call that reached AWS. */
async function byCommand({ expected, reader, parameters, callsOf }: Account): Promise<void> {
  const given = Object.entries(parameters).flatMap(([name, value]) => ['--parameter', `${name}=${value}`]);
  const args = ['cli/main.ts', 'scan', '--format', 'json', '--rule', judged.join(','), ...given];
  const { result, calls } = await callsOf(() => run('node_modules/.bin/node', args, environmentOf(reader)));
  const { findings, unknown } = JSON.parse(result.output.slice(result.output.indexOf('{'))) as Scanned;
  const found = new Set(findings.map(({ rule, resource }) => finding(rule, resource.arn)));
  const right = [...found].filter((one) => expected.has(one)).length;
  console.log(`recall ${share(right, expected.size)}, precision ${share(right, found.size)}, ${unknown.length} unknown`);
  for (const one of expected) if (!found.has(one)) console.log(`  missed: ${one}`);
  for (const one of found) if (!expected.has(one)) console.log(`  unexpected: ${one}`);
  console.log(`${calls.length} calls, ${(calls.length / functions).toFixed(2)} a function:`);
  for (const [operation, times] of tallied(calls)) console.log(`  ${String(times).padStart(6)} ${operation}`);
  if (right < expected.size || right < found.size || unknown.length > 0) process.exitCode = 1;
}

/** Times alone, by turns: how much longer a scan takes than the calls that it makes. */
async function besideABareLoop({ reader, parameters }: Account, ids: readonly string[]): Promise<void> {
  Object.assign(process.env, environmentOf(reader));
  const place = { account: '111122223333', region: reader.region };
  const config = withModes(shippedWith(place, 'guard', parameters), (id) => (ids.includes(id) ? 'alert' : 'off'));
  const [scans, loops]: [number[], number[]] = [[], []];
  let calls = 0;
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const made: (readonly [AnyCall, unknown])[] = [];
    const whole = wholeRegion(place, (call, input) => void made.push([call, input]));
    const ports = { ledger: new MemoryLedger(), config, now: Date.now, connect: whole.connect };
    scans.push(await secondsOf(() => scan(whole.functions(), rules, ports, { concurrency: sideBySide })));
    calls = made.length;
    // A page of functions is no call that could be made by itself.
    const others = made.filter(([{ name }]) => name !== 'listFunctions');
    loops.push(
      await secondsOf(async () => {
        await Array.fromAsync(functionPages(place));
        await Promise.all(Array.from({ length: sideBySide }, () => makeAll(others, place)));
      }),
    );
  }
  const ratios = scans.map((seconds, round) => seconds / (loops[round] ?? Number.NaN));
  console.log(`without packages: ${calls} calls, ${(calls / functions).toFixed(2)} a function`);
  console.log(
    `  scan ${shown(scans)} s, the same calls by a bare loop ${shown(loops)} s: ${shown(ratios)} times, of ${ratios.length} rounds`,
  );
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

function share(part: number, whole: number): string {
  return (part / whole).toFixed(4);
}

/** The median, and from where to where they reach. */
function shown(figures: readonly number[]): string {
  return `${medianOf(figures).toFixed(2)} (${Math.min(...figures).toFixed(2)} to ${Math.max(...figures).toFixed(2)})`;
}
