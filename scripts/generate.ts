/**
 * Writes everything that follows from the rules: rules/index.ts, the generated parts of template.yaml, the heads of the
 * doc pages, README's rule table, the JSON Schemas, docs/samples and docs/cost.md. With --check it writes nothing and fails where a text is not current.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { alertSchema } from '../guard/alert-schema.ts';
import type { AnyRule } from '../guard/rule.ts';
import { docHead, ruleTable } from './generate/docs.ts';
import { globalTemplate } from './generate/global.ts';
import { checkOperations } from './generate/operations.ts';
import { heardModule, indexModule, ruleFiles } from './generate/rules-index.ts';
import { templateSections } from './generate/template.ts';

const root = join(import.meta.dirname, '..');
const check = process.argv.includes('--check');
const stale: string[] = [];

const files = ruleFiles(join(root, 'rules'));
const rules: AnyRule[] = [];
for (const { path, id } of files) {
  const { rule } = (await import(join(root, path))) as { rule: AnyRule };
  if (rule.id !== id) throw new Error(`${path} holds the rule ${rule.id}: a rule's file has the rule's name.`);
  rules.push(rule);
}
await checkOperations(rules);

write('rules/index.ts', indexModule(files));
write('rules/heard.ts', heardModule(rules));
write('schemas/alert.json', `${JSON.stringify(z.toJSONSchema(alertSchema), null, 2)}\n`);
writeTemplate();
write('template.global.yaml', globalTemplate(rules));
for (const rule of rules) writeBetween(`docs/rules/${rule.id}.md`, 'head', docHead(rule));
writeBetween('README.md', 'rules', ruleTable(rules));
// Read after rules/index.ts was written, because they are made with the rules that it lists.
const { samples } = await import('./generate/samples.ts');
for (const [path, text] of Object.entries(samples())) write(path, text);
// Likewise after template.yaml, which it counts.
const cost = await import('./bench/cost/page.ts');
write('docs/cost.md', cost.page());

if (stale.length > 0) {
  console.error(`Not current: ${stale.join(', ')}. Run \`npm run generate\` and commit what it writes.`);
  process.exit(1);
}

function write(path: string, text: string): void {
  const full = join(root, path);
  if (existsSync(full) && readFileSync(full, 'utf8') === text) return;
  if (check) stale.push(path);
  else writeFileSync(full, text);
}

/** Replaces what stands between `<!-- generated: name -->` and `<!-- /generated -->`. */
function writeBetween(path: string, name: string, text: string): void {
  const full = join(root, path);
  if (!existsSync(full)) throw new Error(`${path} is missing: every rule has a page, and README a rule table.`);
  const old = readFileSync(full, 'utf8');
  const parts = new RegExp(`(<!-- generated: ${name} -->\\n)[\\s\\S]*?(<!-- /generated -->)`);
  if (!parts.test(old))
    throw new Error(
      `${path} has no place for generated text: write <!-- generated: ${name} --> and <!-- /generated --> on lines of their own.`,
    );
  write(
    path,
    old.replace(parts, (_, start: string, end: string) => `${start}${text}\n${end}`),
  );
}

/** Each section of the template ends with a marker line; what follows it, up to the next section, is generated. */
function writeTemplate(): void {
  let template = readFileSync(join(root, 'template.yaml'), 'utf8');
  for (const [section, text] of Object.entries(templateSections(rules, readdirSync(join(root, 'handlers'))))) {
    const place = new RegExp(`(^${section}:\\n(?:(?: .*|#.*)?\\n)*?  # Generated from rules/ .*\\n)(?:(?: .*)?\\n)*`, 'm');
    if (!place.test(template)) throw new Error(`template.yaml has no marker in ${section}.`);
    template = template.replace(place, (_, head: string) => `${head}${text}\n`);
  }
  write('template.yaml', `${template.trimEnd()}\n`);
}
