import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml';

/** A template's text as data, intrinsic functions in their long form: `!Ref x` is `{ Ref: 'x' }`. */
export type Raw = string | number | boolean | null | readonly Raw[] | { readonly [key: string]: Raw };

export interface TemplateDocument {
  readonly content: { readonly [key: string]: Raw };
  /** The line of a resource, by its logical id. */
  readonly lines: ReadonlyMap<string, number>;
}

/** A file that should be a template, and cannot be read as one. */
export class TemplateUnreadable extends Error {
  override readonly name = 'TemplateUnreadable';
}

/** More values than CloudFormation takes in any template: aliases of YAML can make a small file a large one. */
const mostValues = 500_000;

/**
 * Reads YAML or JSON, as CloudFormation does (YAML 1.1, https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html).
 * Undefined where it is another kind of file.
 * @throws TemplateUnreadable where it looks like a template and is broken
 */
export function readTemplate(text: string): TemplateDocument | undefined {
  if (!hasResources(text)) return undefined;
  try {
    const counter = new LineCounter();
    const parsed = parseDocument(text, { version: '1.1', logLevel: 'silent', lineCounter: counter, merge: true, prettyErrors: false });
    const [error] = parsed.errors;
    if (error !== undefined) throw new TemplateUnreadable(`line ${counter.linePos(error.pos[0]).line}: ${error.message}`);
    let left = mostValues;
    const plain = (node: unknown): Raw => {
      left -= 1;
      if (left < 0) throw new TemplateUnreadable('it holds more than a template can');
      if (isAlias(node)) return plain(node.resolve(parsed) ?? refuse(`an alias of nothing: ${node.source}`));
      if (isMap(node)) {
        const entries = node.items.flatMap(({ key, value }): (readonly [string, Raw])[] => {
          const name = String(isScalar(key) ? (key.source ?? key.value) : key);
          const read = plain(value);
          return name === '<<' && isRaw(read) ? Object.entries(read) : [[name, read]];
        });
        return tagged(node.tag, recordOf(entries));
      }
      if (isSeq(node)) return tagged(node.tag, node.items.map(plain));
      return isScalar(node) ? tagged(node.tag, scalar(node)) : null;
    };
    const content = plain(parsed.contents);
    if (!isRaw(content) || !isRaw(content['Resources'])) return undefined;
    return { content, lines: linesOf(parsed.get('Resources', true) as Node | undefined, counter) };
  } catch (error) {
    // Nested deeper than the parser can follow, or an alias of nothing.
    if (error instanceof TemplateUnreadable) throw error;
    throw new TemplateUnreadable(error instanceof Error ? error.message : String(error));
  }
}

/** Whether it looks like a template. */
export function hasResources(text: string): boolean {
  return /^\s*["']?Resources["']?\s*:|[{,]\s*"Resources"\s*:/m.test(text);
}

export function isRaw(value: Raw | undefined): value is { readonly [key: string]: Raw } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Without a prototype to be reached by a key of the file. */
export function recordOf<T>(entries: Iterable<readonly [string, T]>): { readonly [key: string]: T } {
  const made: { [key: string]: T } = Object.create(null);
  for (const [key, value] of entries) made[key] = value;
  return made;
}

function refuse(why: string): never {
  throw new TemplateUnreadable(why);
}

function scalar({ value, source = '', type }: Scalar): Raw {
  if (type !== undefined && type !== 'PLAIN') return typeof value === 'string' ? value : source;
  // To CloudFormation a bare y or n is a letter, a date a text, and an account's number keeps its zeros.
  if (typeof value === 'boolean') return /^[yn]$/i.test(source) ? source : value;
  if (typeof value === 'number') return /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(source) ? value : source;
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : source;
}

function tagged(tag: string | undefined, value: Raw): Raw {
  if (tag === undefined || !/^!\w/.test(tag)) return value;
  const name = tag.slice(1);
  if (name === 'Ref' || name === 'Condition') return { [name]: value };
  const [logicalId = '', ...attribute] = typeof value === 'string' ? value.split('.') : [];
  return { [`Fn::${name}`]: name === 'GetAtt' && typeof value === 'string' ? [logicalId, attribute.join('.')] : value };
}

function linesOf(resources: Node | undefined, counter: LineCounter): ReadonlyMap<string, number> {
  if (!isMap(resources)) return new Map();
  return new Map(
    resources.items.flatMap(({ key }) =>
      isScalar(key) && key.range !== null && key.range !== undefined ? [[String(key.value), counter.linePos(key.range[0]).line]] : [],
    ),
  );
}
