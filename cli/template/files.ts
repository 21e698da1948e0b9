import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readTemplate, type TemplateDocument } from './document.ts';

/** A template that was found, or why a file is none that can be judged. */
export interface TemplateFile {
  /** As people name it: relative to where they are. */
  readonly file: string;
  readonly document: TemplateDocument | { readonly why: string };
}

/** CloudFormation takes no template that is larger than 1 MB; with comments, a source may be. */
const largest = 4_000_000;

/** The templates of a folder, or one file. What is no template is left out of a folder, and is named where it was asked for. */
export function templatesIn(path: string): readonly TemplateFile[] {
  if (!statSync(path).isDirectory())
    return [templateAt(path) ?? { file: named(path), document: { why: 'it is no template: it has no Resources' } }];
  return walk(path).flatMap((file) => templateAt(file) ?? []);
}

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      // What tools build or install lies beside what people write.
      if (entry.isDirectory()) return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : walk(path);
      return entry.isFile() && /\.(ya?ml|json|template)$/i.test(entry.name) && statSync(path).size <= largest ? [path] : [];
    });
}

function templateAt(path: string): TemplateFile | undefined {
  try {
    if (statSync(path).size > largest) return { file: named(path), document: { why: 'it is larger than any template' } };
    const document = readTemplate(readFileSync(path, 'utf8'));
    return document === undefined ? undefined : { file: named(path), document };
  } catch (error) {
    return { file: named(path), document: { why: error instanceof Error ? `${error.name}: ${error.message}` : String(error) } };
  }
}

function named(path: string): string {
  const from = relative(process.cwd(), path);
  return from.startsWith('..') || from === '' ? path : from;
}
