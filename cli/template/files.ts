import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { filesIn, LeftOut } from '../files.ts';
import { hasResources, readTemplate, type TemplateDocument } from './document.ts';

/** A template that was found, or why a file is none that can be judged. */
export interface TemplateFile {
  /** As people name it: relative to where they are. */
  readonly file: string;
  readonly document: TemplateDocument | { readonly why: string };
}

/** CloudFormation takes no template that is larger than 1 MB; with comments, a source may be. */
const largest = 4_000_000;

/** What is taken for a template in a folder, and what might be one. */
const isNamedSo = (name: string) => /\.(ya?ml|json|template)$/i.test(name);
const mayBeNamedSo = (name: string) => /ya?ml|json|template|tmpl|cfn|cloudformation/i.test(name);

/** The templates of a folder, or one file. What is no template is left out of a folder, and is named where it was asked for. */
export function templatesIn(path: string): readonly TemplateFile[] {
  if (!statSync(path).isDirectory())
    return [templateAt(path) ?? { file: named(path), document: { why: 'it is no template: it has no Resources' } }];
  const leftOut = new LeftOut();
  // What tools build or install lies beside what people write.
  const enters = (_: string, name: string) => !name.startsWith('.') && name !== 'node_modules';
  const found = [...filesIn(path, enters)].flatMap(({ path: file, name, size }) => {
    const isTaken = isNamedSo(name) && size !== undefined && (size <= largest || hasResources(headOf(file)));
    if (isTaken) return templateAt(file) ?? [];
    if (mayBeNamedSo(name)) leftOut.add(named(file));
    return [];
  });
  leftOut.tell(path, 'templates');
  return found;
}

/** As much of a file as a template may be long. */
function headOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(largest);
    return bytes.toString('utf8', 0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
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
