import { nodeFlag } from '../../cli/clone.ts';
import { environmentOf, run } from '../../test/support/stack.ts';
import type { Account } from './account.ts';

/** What a scan says of an account, as far as a bench asks. */
interface Scanned {
  readonly findings: readonly { readonly rule: string; readonly resource: { readonly arn: string } }[];
  readonly unknown: readonly object[];
}

/** What a process held at most, as Linux reports it. */
const tellsMemory = `data:text/javascript,${encodeURIComponent(
  "process.on('exit', () => process.stdout.write('\\nmost memory: ' + process.resourceUsage().maxRSS + ' KB\\n'))",
)}`;

/**
 * The command by some rules, a process of its own.
 * @param format JSON is read; a table, which is what a user gets who asks for nothing else, has no plans, and is not
 * @returns megabytes that it held at most, and how long it took; what it found, of JSON
 * @throws where it ended with anything but `fine` and `findings`
 */
export async function guardScan<Format extends 'json' | 'table'>(
  { reader, parameters }: Account,
  ids: readonly string[],
  format: Format,
): Promise<{ readonly megabytes: number; readonly seconds: number; readonly scanned: Format extends 'json' ? Scanned : undefined }> {
  const given = Object.entries(parameters).flatMap(([name, value]) => ['--parameter', `${name}=${value}`]);
  const args = [nodeFlag, '--import', tellsMemory, 'scripts/guard.mjs', 'scan', '--format', format, '--rule', ids.join(','), ...given];
  const began = performance.now();
  const { code, output } = await run('node_modules/.bin/node', args, environmentOf(reader));
  const seconds = (performance.now() - began) / 1000;
  if (code > 1) throw new Error(`The scan ended with ${code}: ${output.slice(-2_000)}`);
  const [said = '', kilobytes] = output.split(/\nmost memory: (\d+) KB\n/);
  const scanned = format === 'json' ? (JSON.parse(said.slice(said.indexOf('{'))) as Scanned) : undefined;
  return { megabytes: Number(kilobytes ?? Number.NaN) / 1000, seconds, scanned: scanned as never };
}
