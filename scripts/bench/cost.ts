import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Figures, figuresPath, readFigures } from './cost/figures.ts';
import { type Bill, bill, costTable, page } from './cost/page.ts';
import { readTrail, shareOf, type Trail, tallyOf, trailPath } from './cost/trail.ts';

// What the guard costs a month, beside AWS Config and Cloud Custodian's event mode. `node scripts/bench/cost.ts` prints the table
// and writes docs/cost.md, of the figures that lie beside it.
//   --measure [--functions N]   deploys the guard into an emulated account first, and measures those figures anew (some minutes)
//   --trail <folder>            works it out for the events in a folder of CloudTrail's log files, and writes nothing
//   --keep                      keeps how often that trail has each event, as the one that docs/cost.md is made of

/**
 * The bill for every size, in dollars a month.
 * @param figures what was measured; those beside this file, where nothing is given
 * @param trail how often which events happen; likewise
 */
export async function cost(figures: Figures = readFigures(), trail: Trail = readTrail()): Promise<readonly Bill[]> {
  return bill(figures, trail);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      measure: { type: 'boolean', default: false },
      functions: { type: 'string', default: '30' },
      trail: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  if (values.measure) {
    // It needs the emulator; the rest needs nothing.
    const { measure } = await import('./cost/measure.ts');
    writeFileSync(figuresPath, `${JSON.stringify(await measure(Number(values.functions)), null, 2)}\n`);
  }
  const trail = values.trail === undefined ? readTrail() : { ...readTrail(), ...tallyOf(values.trail) };
  const { records, events, messages } = shareOf(trail);
  console.log(
    `of ${records} management events ${events} reach a queue, as ${messages} messages; ${trail.named} of them name something to look at`,
  );
  console.log(costTable(await cost(readFigures(), trail)));
  if (values.keep) writeFileSync(trailPath, `${JSON.stringify(trail, null, 2).replace(/\[\s+(\d+),\s+(\d+)\s+\]/g, '[$1, $2]')}\n`);
  if (values.keep || values.trail === undefined) writeFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cost.md'), page());
  process.exit();
}

if (import.meta.main) void main();
