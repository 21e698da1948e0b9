import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..', 'docs', 'rules');

/** What a rule's page says below a heading, as Markdown without links; empty where the page or the heading is missing. */
export function onPage(rule: string, heading: string): string {
  const path = join(folder, `${rule}.md`);
  if (!/^[a-z-]+$/.test(rule) || !existsSync(path)) return '';
  const text = new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  return text.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1').trim();
}

/** The version of this guard, as its package says. */
export const version: string = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')).version;
