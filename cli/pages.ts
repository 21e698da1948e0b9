import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inClone } from './clone.ts';

const folder = inClone('docs', 'rules');

/** A rule's page, as Markdown; empty where there is none. */
export function pageOf(rule: string): string {
  const path = join(folder, `${rule}.md`);
  return /^[a-z-]+$/.test(rule) && existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Markdown with links by their words. */
export function withoutLinks(text: string): string {
  return text.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');
}

/** All that a rule's page says below its table, as Markdown without links; empty where there is no page. */
export function proseOf(rule: string): string {
  return withoutLinks(/^## [\s\S]*/m.exec(pageOf(rule))?.[0] ?? '').trim();
}

/** What a rule's page says below a heading, as Markdown without links; empty where the page or the heading is missing. */
export function onPage(rule: string, heading: string): string {
  const text = new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(pageOf(rule))?.[1] ?? '';
  return withoutLinks(text).trim();
}

/** The version of this guard, as its package says. */
export const version: string = JSON.parse(readFileSync(inClone('package.json'), 'utf8')).version;
