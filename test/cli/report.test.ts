import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formats } from '../../cli/formats.ts';
import { report } from '../../cli/report.ts';
import { sampleScan } from '../../scripts/generate/sample.ts';
import { found } from '../guard/bench.ts';
import { commandLine } from './bench.ts';

jest.mock('../../cli/session.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').sessionModule());

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A file with what a scan wrote, or with something else. */
function file(content: string): string {
  const path = join(folder, 'scan.json');
  writeFileSync(path, content);
  return path;
}

const scanned = formats['json']?.(sampleScan) ?? '';

test("is made of the deployed guard's ledger", async () => {
  const on = commandLine();
  const id = await found(on);
  const { output, ended } = await on.run(report);
  expect(ended).toBe('fine');
  expect(output).toMatch(/^<!doctype html>/);
  for (const text of [`finding-${id}`, '1 finding is open', 'Developer/ana', 'id="exemptions"', 'From the deployed guard', '111122223333'])
    expect(output.includes(text) || text).toBe(true);
});

test('is made of a scan, and then is what `scan --format html` prints', async () => {
  const { output, ended } = await commandLine().run(report, [], { fromScan: file(scanned) });
  expect(ended).toBe('fine');
  expect(output).toBe(formats['html']?.(sampleScan));
  expect(output).not.toContain('id="exemptions"');
});

test('is written to a file', async () => {
  const log = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  const output = join(folder, 'report.html');
  expect(await commandLine().run(report, [], { fromScan: file(scanned), output })).toEqual({ output: '', ended: 'fine' });
  expect(readFileSync(output, 'utf8')).toMatch(/<\/html>\n$/);
  log.mockRestore();
});

test.each([
  ['a file that is not there', () => ({ fromScan: join(folder, 'none.json') }), /cannot be read/],
  ['no JSON', () => ({ fromScan: file('<html>') }), /is not what `npm run guard -- scan --format json` writes/],
  ['something else', () => ({ fromScan: file('{"version":"1"}') }), /is not what/],
  ['a finding without its severity', () => ({ fromScan: file(scanned.replaceAll('"severity"', '"gravity"')) }), /is not what/],
  ['nowhere to write to', () => ({ fromScan: file(scanned), output: join(folder, 'no', 'report.html') }), /cannot be written/],
])('%s is wrong use', async (_, options, message) => {
  const { ended, error } = await commandLine().run(report, [], options());
  expect(ended).toBe('WrongUse');
  expect(error?.message).toMatch(message);
});
