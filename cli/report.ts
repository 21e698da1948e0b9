import { readFileSync, writeFileSync } from 'node:fs';
import * as z from 'zod';
import { alertSchema } from '../guard/alert-schema.ts';
import { rules } from '../rules/index.ts';
import { type Report, reportOfLedger, reportOfScan } from './report/model.ts';
import { page } from './report/page.ts';
import { type Options, openSession, WrongUse } from './session.ts';

/** Writes the report, of the deployed guard's ledger or of a scan. */
export async function report(options: Options): Promise<'fine'> {
  const { fromScan, output } = options;
  const told = page(typeof fromScan === 'string' ? fromFile(fromScan) : await fromLedger(options));
  if (typeof output !== 'string') {
    console.log(told.trimEnd());
    return 'fine';
  }
  try {
    writeFileSync(output, told);
  } catch (error) {
    throw new WrongUse(`The report cannot be written to ${output}: ${(error as Error).message}.`);
  }
  console.error(`The report is in ${output}.`);
  return 'fine';
}

async function fromLedger(options: Options): Promise<Report> {
  const { ledger, config, connection } = await openSession(options);
  const [found, changes, exemptions] = await Promise.all([
    Array.fromAsync(ledger.findings({})),
    Array.fromAsync(ledger.changes()),
    Array.fromAsync(ledger.exemptions()),
  ]);
  return reportOfLedger(found, {
    account: connection.account,
    regions: [connection.region],
    at: new Date(Date.now()).toISOString(),
    rules: rules.filter(({ id }) => config.rule(id).mode !== 'off'),
    changes,
    exemptions,
  });
}

const scanSchema = z.object({
  version: z.literal('1'),
  account: z.string(),
  regions: z.array(z.string()),
  at: z.iso.datetime(),
  rules: z.array(z.string()),
  findings: z.array(alertSchema),
  unknown: z.array(z.object({ rule: z.string(), resource: z.string(), why: z.string() })),
});

/** @throws WrongUse where the file is not what a scan wrote */
function fromFile(path: string): Report {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new WrongUse(`${path} cannot be read: ${(error as Error).message}.`);
  }
  try {
    const { rules: judged, ...scanned } = scanSchema.parse(JSON.parse(text));
    return reportOfScan({ ...scanned, rules: rules.filter(({ id }) => judged.includes(id)) });
  } catch {
    throw new WrongUse(`${path} is not what \`npm run guard -- scan --format json\` writes.`);
  }
}
