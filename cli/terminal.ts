import { createInterface } from 'node:readline/promises';
import { plain } from './plain.ts';
import { type Options, WrongUse } from './use.ts';

/** Asks for a yes, unless --yes said it before. @throws WrongUse where nobody can be asked */
export async function confirmed(question: string, { yes }: Options): Promise<boolean> {
  if (yes === true) return true;
  if (!process.stdin.isTTY) throw new WrongUse(`${question} Nobody can be asked here: give --yes.`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${plain(question)} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/** Rows in columns, under their heads. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, ...rows.map((row) => row.map(plain))];
  const widths = heads.map((_, column) => Math.max(...lines.map((row) => row[column]?.length ?? 0)));
  return lines
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `2026-11-22 18:00`, in UTC. */
export function minuteOf(time: string | number): string {
  return new Date(time).toISOString().slice(0, 16).replace('T', ' ');
}

/** How far something is, on a terminal: one line of standard error that is written over. Undefined where nobody looks. */
export function progressBar(what: string): { readonly show: (done: number, known: number) => void; readonly end: () => void } | undefined {
  if (process.stderr.isTTY !== true) return undefined;
  const width = 30;
  return {
    show: (done, known) => {
      const full = known === 0 ? 0 : Math.round((width * done) / known);
      process.stderr.write(`\r${what} [${'#'.repeat(full)}${'.'.repeat(width - full)}] ${done} of ${known}`);
    },
    end: () => void process.stderr.write('\r\u001B[2K'),
  };
}

/** `1 finding`, `2 findings`. */
export function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** `Developers/ana` of a session's ARN, `ana` of a user's. */
export function whoOf(arn: string): string {
  return arn.replace(/^arn:[^:]*:[^:]*:[^:]*:[^:]*:(assumed-role\/|user\/(.*\/)?)?/, '');
}
