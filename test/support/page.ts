import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../house/repository.ts';

const page = join(root, 'docs/reliability.md');

/**
 * Holds a generated table of docs/reliability.md against what was found. `UPDATE=1` writes it instead.
 * @param name of the table: it stands between `<!-- generated: name -->` and `<!-- /generated -->`
 */
export function expectOnPage(name: string, heads: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const line = (cells: readonly (string | number)[]) => `| ${cells.map((cell) => (cell === 0 ? '' : cell)).join(' | ')} |`;
  const numbers = heads.map((_, index) => rows.every((row) => typeof row[index] === 'number'));
  const table = [line(heads), `|${numbers.map((number) => (number ? '---:' : '---')).join('|')}|`, ...rows.map(line)].join('\n');
  const text = readFileSync(page, 'utf8');
  const place = new RegExp(`(<!-- generated: ${name} -->\\n)[\\s\\S]*?(\\n<!-- /generated -->)`);
  if (process.env['UPDATE'] === '1')
    writeFileSync(
      page,
      text.replace(place, (_, start: string, end: string) => `${start}${table}${end}`),
    );
  else expect(place.exec(text)?.[0].split('\n').slice(1, -1).join('\n')).toBe(table);
}
