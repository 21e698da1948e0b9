import { rules as all } from '../rules/index.ts';
import { pageOf, withoutLinks } from './pages.ts';
import { ruleOf } from './plan.ts';
import type { Options } from './session.ts';
import { table } from './terminal.ts';

/** The rules; of one, its page. */
export async function rules(_: Options, [id]: readonly string[]): Promise<'fine'> {
  if (id === undefined) {
    const rows = all.map(({ id: rule, practice, severity, mode = 'alert', fix, title }) => [
      rule,
      practice,
      severity,
      mode,
      fix.length > 0 ? 'yes' : 'no',
      title,
    ]);
    console.log(table(['rule', 'practice', 'severity', 'ships in', 'can remediate', 'broken when'], rows));
    console.log('\nnpm run guard -- rules <rule> explains one: what it finds, what its fix does, and when not to use it.');
    return 'fine';
  }
  console.log(asText(pageOf(ruleOf(id).id)));
  return 'fine';
}

/** A page of Markdown as a terminal shows it best: without comments, links by their words, tables by their cells. */
function asText(page: string): string {
  return withoutLinks(page)
    .replace(/<!--.*?-->\n?/gs, '')
    .replace(/^\|[-| ]+\|\n/gm, '')
    .replace(/^\| +\| +\|\n/gm, '')
    .replace(/^\| (.+?) \| (.*) \|$/gm, (_, head: string, cell: string) => `${head.padEnd(12)}${cell}`)
    .replace(/`([^`]+)`/g, '$1')
    .replace(/\*\*([^*]+)\*\*/g, '$1')
    .trim();
}
