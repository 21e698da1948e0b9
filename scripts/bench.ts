import { parseArgs } from 'node:util';
import { withAccount } from './bench/account.ts';
import { bundleKilobytes, checkerBundles, renderBundles } from './bench/bundles.ts';
import { brokenPromises, burstTable, measureBurst } from './bench/burst.ts';
import { costTable } from './bench/cost/page.ts';
import { cost } from './bench/cost.ts';
import { coldVsCustodian, createFunctionCalls, eventCallsAt, measureEvents, renderEvents, warmVsCustodian } from './bench/events.ts';
import { besidePeers, renderPeers } from './bench/peers.ts';
import { measureScan, renderScan } from './bench/scan.ts';

// Everything that docs/performance.md tells of, in one run: `npm run bench`, `npm run bench -- scan bundles --functions 200`,
// `npm run bench -- --json` for one line of JSON at the end. What is exact (what is found, calls, bytes) has limits, and the run
// fails beyond them; times are ratios to whatever ran by turns with the guard, and are told.

const parts = ['bundles', 'scan', 'peers', 'events', 'burst', 'cost'] as const;
type Part = (typeof parts)[number];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Of the account that is scanned. */
    functions: { type: 'string', default: '1000' },
    /** Of the account in which events happen, one after another. */
    sizes: { type: 'string', default: '50,200,1000,5000' },
    /** Of the flood. */
    events: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    /** Prowler takes part in so many. */
    'prowler-rounds': { type: 'string', default: '3' },
    /** Milliseconds that each call takes besides, of whoever scans by turns. */
    latency: { type: 'string', default: '0' },
    seed: { type: 'string', default: '20261123' },
    json: { type: 'boolean', default: false },
  },
});
const chosen = new Set<Part>(positionals.length === 0 ? parts : positionals.map(partNamed));
const [functions, rounds, seed] = [Number(values.functions), Number(values.rounds), Number(values.seed)];

/** The line of JSON: what was measured in this run, and nothing else. Times are the guard's as a share of the other's. */
interface Figures {
  scanRecall?: number;
  scanPrecision?: number;
  scanCallsPerFunction?: number;
  scanMegabytes?: number;
  scanTimeVsCustodian?: number;
  scanTimeVsProwler?: number;
  eventRecall?: number;
  eventCallsAt50?: number;
  eventCallsAt5000?: number;
  createFunctionCalls?: number;
  coldVsCustodian?: Readonly<Record<string, number>>;
  warmVsCustodian?: Readonly<Record<string, number>>;
  bundleKilobytes?: Readonly<Record<string, number>>;
}

const figures: Figures = {};
const beyond: string[] = [];
const atMost = (what: string, figure: number, limit: number) => {
  if (!(figure <= limit)) beyond.push(`${what}: ${figure}, and at most ${limit} is promised`);
};
const all = (what: string, figure: number) => {
  if (figure !== 1) beyond.push(`${what}: ${figure}, and 1 is promised`);
};
const show = (title: Part, text: string) => console.log(`\n## ${title}\n\n${text}`);

if (chosen.has('bundles')) {
  const bundles = await checkerBundles();
  show('bundles', renderBundles(bundles));
  figures.bundleKilobytes = bundleKilobytes(bundles);
  for (const [practice, kilobytes] of Object.entries(figures.bundleKilobytes)) atMost(`KB of the checker of ${practice}`, kilobytes, 600);
}
if (chosen.has('scan') || chosen.has('peers'))
  await withAccount(functions, seed, async (account) => {
    if (chosen.has('scan')) {
      const scanned = await measureScan(account, rounds);
      show('scan', renderScan(scanned));
      const { recall, precision, calls, megabytes } = scanned;
      Object.assign(figures, { scanRecall: recall, scanPrecision: precision, scanMegabytes: megabytes });
      figures.scanCallsPerFunction = calls.othersPerFunction;
      all('recall of the scan', recall);
      all('precision of the scan', precision);
      // Lists cost the same in a small account.
      atMost('calls of the scan', calls.others, 2.3 * account.functions + (account.functions < 1_000 ? 60 : 0));
      atMost('megabytes of the scan', megabytes, 250);
    }
    if (chosen.has('peers')) {
      const beside = await besidePeers(account, {
        rounds,
        prowlerRounds: Number(values['prowler-rounds']),
        latency: Number(values.latency),
      });
      show('peers', renderPeers(beside));
      figures.scanTimeVsCustodian = 1 / beside.scanTimeVsCustodian.median;
      figures.scanTimeVsProwler = 1 / beside.scanTimeVsProwler.median;
    }
  });
if (chosen.has('events')) {
  const sizes = values.sizes.split(',').map(Number);
  const measured = await measureEvents({ sizes, rounds, custodian: rounds > 0 });
  show('events', renderEvents(measured));
  figures.eventRecall = measured.eventRecall;
  if (sizes.includes(50)) figures.eventCallsAt50 = eventCallsAt(measured, 50).total;
  if (sizes.includes(5_000)) figures.eventCallsAt5000 = eventCallsAt(measured, 5_000).total;
  figures.createFunctionCalls = createFunctionCalls(measured);
  if (rounds > 0) {
    figures.coldVsCustodian = coldVsCustodian(measured);
    figures.warmVsCustodian = Object.fromEntries(
      Object.entries(warmVsCustodian(measured)).map(([practice, { policy }]) => [practice, policy]),
    );
  }
  all('recall of events', measured.eventRecall);
  atMost('kinds of events that call more where there are more functions', measured.growing.length, 0);
  atMost('calls of the account for one CreateFunction', figures.createFunctionCalls, 9);
}
if (chosen.has('burst')) {
  const flooded = await measureBurst({ events: Number(values.events), functions, seed });
  show('burst', burstTable(flooded));
  beyond.push(...brokenPromises(flooded));
}
if (chosen.has('cost')) show('cost', costTable(await cost()));

for (const one of beyond) console.error(`beyond: ${one}`);
if (values.json) console.log(`\n${JSON.stringify(figures)}`);
process.exit(beyond.length === 0 ? 0 : 1);

/** @throws with a sentence where there is no such part */
function partNamed(name: string): Part {
  const part = parts.find((one) => one === name);
  if (part !== undefined) return part;
  console.error(`"${name}" is no part of the bench: ${parts.join(', ')} are.`);
  process.exit(2);
}
