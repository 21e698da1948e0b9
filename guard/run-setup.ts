import { createHash } from 'node:crypto';
import { type ApiEvent, text } from './cloudtrail.ts';
import { lastModified } from './live.ts';
import type { CallStep } from './rule.ts';

// What decides which code of a function runs, besides its package: its set-up.

/**
 * - `command`: what an image is started with, as JSON
 * - `layers`: their ARNs, in order
 * - `switches`: environment variables that make a runtime load other code, each with a digest of its value
 */
export const setupParts = ['handler', 'runtime', 'layers', 'command', 'switches'] as const;
export type SetupPart = (typeof setupParts)[number];

/** Each part as a text, '' where there is none. A part that could not be read is left out. */
export type Setup = Readonly<Partial<Record<SetupPart, string>>>;

/** A part as a deployer left it, or as it was observed. */
export interface KnownPart {
  readonly is: string;
  /** Milliseconds of the event that made it so, 0 where it was only observed. */
  readonly asOf: number;
}
export type KnownSetup = Readonly<Partial<Record<SetupPart, KnownPart>>>;

/**
 * Variables by which a runtime, the loader of its process or Lambda itself takes in code that is not in the package.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html
 */
const switches: ReadonlySet<string> = new Set([
  'AWS_LAMBDA_EXEC_WRAPPER',
  'LD_AUDIT',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'PATH',
  'BASH_ENV',
  'NODE_OPTIONS',
  'NODE_PATH',
  'PYTHONHOME',
  'PYTHONPATH',
  'PYTHONSTARTUP',
  'PYTHONUSERBASE',
  'JAVA_TOOL_OPTIONS',
  'JDK_JAVA_OPTIONS',
  '_JAVA_OPTIONS',
  'CLASSPATH',
  'RUBYOPT',
  'RUBYLIB',
  'GEM_HOME',
  'GEM_PATH',
  'BUNDLE_GEMFILE',
  'DOTNET_STARTUP_HOOKS',
  'DOTNET_ADDITIONAL_DEPS',
  'DOTNET_SHARED_STORE',
  'CORECLR_ENABLE_PROFILING',
  'CORECLR_PROFILER',
  'CORECLR_PROFILER_PATH',
  'PERL5LIB',
  'PERL5OPT',
  'PHP_INI_SCAN_DIR',
]);

interface ImageConfig {
  readonly EntryPoint?: readonly string[] | undefined;
  readonly Command?: readonly string[] | undefined;
  readonly WorkingDirectory?: string | undefined;
}

/** A configuration, as Lambda answers. */
export interface Configured {
  readonly Handler?: string | undefined;
  readonly Runtime?: string | undefined;
  readonly Layers?: readonly { readonly Arn?: string | undefined }[] | undefined;
  readonly ImageConfigResponse?: { readonly ImageConfig?: ImageConfig | undefined } | undefined;
  readonly Environment?:
    | { readonly Variables?: Readonly<Record<string, string>> | undefined; readonly Error?: object | undefined }
    | undefined;
}

export function setupOf({ Handler = '', Runtime = '', Layers = [], ImageConfigResponse, Environment }: Configured, arn: string): Setup {
  return {
    handler: Handler,
    runtime: Runtime,
    layers: Layers.flatMap(({ Arn }) => Arn ?? []).join(' '),
    command: commandText(ImageConfigResponse?.ImageConfig),
    ...(Environment?.Error === undefined ? { switches: switchesIn(Environment?.Variables ?? {}, arn) } : {}),
  };
}

function commandText({ EntryPoint = [], Command = [], WorkingDirectory = '' }: ImageConfig = {}): string {
  const is = { EntryPoint, Command, WorkingDirectory };
  return EntryPoint.length + Command.length + WorkingDirectory.length === 0 ? '' : JSON.stringify(is);
}

/** Names and digests: a value is nobody's business, and the function's name in it keeps equal values from being told. */
function switchesIn(variables: Readonly<Record<string, string>>, arn: string): string {
  const digest = (name: string) =>
    createHash('sha256')
      .update(JSON.stringify([arn, name, variables[name]]))
      .digest('base64url')
      .slice(0, 22);
  return Object.keys(variables)
    .filter((name) => switches.has(name))
    .toSorted()
    .map((name) => `${name}=${digest(name)}`)
    .join(' ');
}

/** What an event told of the set-up. Of variables it tells nothing but that they were written. */
export interface SetupEvent {
  readonly kind: 'setup';
  /** The parts that it named and told. */
  readonly parts: Setup;
  readonly variables: boolean;
}

/** Undefined where an update named nothing of the set-up. */
export function setupEvent({ request, response }: Pick<ApiEvent, 'request' | 'response'>): SetupEvent | undefined {
  const parts: Partial<Record<SetupPart, string>> = {};
  for (const part of ['handler', 'runtime'] as const) {
    const told = text(response, part) ?? text(request, part);
    if (part in request && told !== undefined) parts[part] = told;
  }
  if (Array.isArray(request['layers'])) parts.layers = request['layers'].map(layerArn).join(' ');
  if (isRecord(request['imageConfig'])) parts.command = commandText(imageConfigIn(request['imageConfig']));
  const variables = 'environment' in request;
  return variables || Object.keys(parts).length > 0 ? { kind: 'setup', parts, variables } : undefined;
}

/** Layers are texts in a request, and objects in a response. */
function layerArn(layer: unknown): string {
  return isRecord(layer) ? String(layer['arn'] ?? '') : String(layer);
}

function imageConfigIn({ entryPoint, command, workingDirectory }: Readonly<Record<string, unknown>>): ImageConfig {
  const texts = (list: unknown) => (Array.isArray(list) ? list.map(String) : []);
  return {
    EntryPoint: texts(entryPoint),
    Command: texts(command),
    WorkingDirectory: typeof workingDirectory === 'string' ? workingDirectory : '',
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** When the configuration was changed, by an event's own word: equal to the function's, nobody has changed it since. */
export function modifiedBy({ response }: Pick<ApiEvent, 'response'>): number {
  return lastModified({ LastModified: text(response, 'lastModified') });
}

/** A part in the words of a baseline's `byHand`; no alias has a colon in its name. */
export function setupMark(part: SetupPart, is: string): string {
  return `setup:${part}→${is}`;
}

export function setupMarks(setup: Setup): readonly string[] {
  return setupParts.flatMap((part) => {
    const is = setup[part];
    return is === undefined ? [] : [setupMark(part, is)];
  });
}

export function observedSetup(setup: Setup, { but = [], asOf = 0 }: { but?: readonly string[]; asOf?: number } = {}): KnownSetup {
  const known = setupParts.flatMap((part) => {
    const is = setup[part];
    return is === undefined || but.includes(setupMark(part, is)) ? [] : [[part, { is, asOf }] as const];
  });
  return Object.fromEntries(known);
}

/** The parts that are not as they are known; what cannot be read differs from nothing. */
export function differingParts(known: KnownSetup | undefined, setup: Setup): readonly SetupPart[] {
  return setupParts.filter((part) => setup[part] !== undefined && setup[part] !== known?.[part]?.is);
}

/** A part that differs, for the evidence. Of variables only names are told. */
export interface PartDifference {
  readonly what: string;
  readonly now: string;
  readonly approved?: string;
}

export function partsDiffering(parts: readonly SetupPart[], known: KnownSetup | undefined, setup: Setup): readonly PartDifference[] {
  return parts.flatMap((part) => {
    const approved = known?.[part]?.is;
    if (part === 'switches') return switchesDiffering(approved ?? '', setup.switches ?? '');
    return [{ what: part, now: setup[part] ?? '', ...(approved === undefined ? {} : { approved }) }];
  });
}

function switchesDiffering(before: string, now: string): readonly PartDifference[] {
  const [was, is] = [before, now].map(
    (list) => new Map(list.split(' ').flatMap((one) => (one === '' ? [] : [one.split('=') as [string, string]]))),
  );
  const names = [...new Set([...(is?.keys() ?? []), ...(was?.keys() ?? [])])].toSorted();
  return names.flatMap((name) => {
    const [before, now] = [was?.get(name), is?.get(name)];
    if (before === now) return [];
    return [{ what: name, now: now === undefined ? 'taken out' : before === undefined ? 'set' : 'set to another value' }];
  });
}

export function toldOf({ what, now, approved }: PartDifference): string {
  if (switches.has(what)) return `its variable ${what}, which decides what code runs, was ${now}`;
  const instead = approved === undefined ? '' : ` instead of ${approved === '' ? 'none' : approved}`;
  const [name, verb] = what === 'layers' ? ['layers', 'are'] : [what === 'command' ? 'image configuration' : what, 'is'];
  return `its ${name} ${verb} ${now === '' ? 'none' : now}${instead}`;
}

/** The step that puts parts back, and what it has to leave. */
export function setupBack(
  parts: readonly SetupPart[],
  {
    function: arn,
    known,
    setup,
    revision,
  }: { function: string; known: KnownSetup | undefined; setup: Setup; revision?: string | undefined },
): { readonly steps: readonly CallStep[]; readonly remains: readonly string[] } {
  const remains: string[] = [];
  let [there, back]: [object, object] = [{}, {}];
  for (const part of parts) {
    const approved = known?.[part]?.is;
    if (part === 'switches') {
      const names = switchesDiffering(approved ?? '', setup.switches ?? '').map(({ what }) => what);
      remains.push(`${names.join(' and ')}: no values of variables are kept, so put them back yourself`);
    } else if (approved === undefined) {
      remains.push(`its ${part}, of which nobody knows what a deployer put there`);
    } else {
      there = { ...there, ...inputOf(part, approved) };
      back = { ...back, ...inputOf(part, setup[part] ?? '') };
    }
  }
  if (Object.keys(there).length === 0) return { steps: [], remains };
  const step = {
    call: 'putSetup',
    input: { FunctionName: arn, ...there, ...(revision === undefined ? {} : { RevisionId: revision }) },
    undo: [{ call: 'putSetup', input: { FunctionName: arn, ...back } }],
  };
  return { steps: [step], remains };
}

function inputOf(part: Exclude<SetupPart, 'switches'>, is: string): Readonly<Record<string, unknown>> {
  switch (part) {
    case 'handler':
      return { Handler: is };
    case 'runtime':
      return { Runtime: is };
    case 'layers':
      return { Layers: is === '' ? [] : is.split(' ') };
    case 'command':
      return { ImageConfig: is === '' ? { EntryPoint: [], Command: [], WorkingDirectory: '' } : JSON.parse(is) };
  }
}
