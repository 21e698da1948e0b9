import type { ApiEvent } from './cloudtrail.ts';
import { text } from './cloudtrail.ts';
import type { AliasRouting, Approval, Baseline, CodePackage } from './estate.ts';
import { approvedSources, type SourceEvent, sourceEvent, sourceEvents, touched } from './event-sources.ts';
import {
  differingParts,
  type KnownSetup,
  modifiedBy,
  observedSetup,
  type SetupEvent,
  type SetupPart,
  setupEvent,
  setupMark,
  setupMarks,
  setupParts,
} from './run-setup.ts';
import { latest, type RunningCode } from './running-code.ts';
import { functionSubject, type Subject } from './subject.ts';

/** How a function's code differs from its baseline. */
export interface Differences {
  readonly latest: boolean;
  readonly aliases: readonly AliasDifference[];
  /** What else decides which code of $LATEST runs. */
  readonly setup: readonly SetupPart[];
}

export interface AliasDifference {
  readonly alias: string;
  readonly routesTo: readonly string[];
  /** Those of `routesTo` whose code nobody approved. */
  readonly foreign: readonly string[];
  /** Where it should route to, if that is known. */
  readonly approved: AliasRouting | undefined;
}

/**
 * Compares what runs with a baseline: $LATEST with its package, every alias with its routing there, and every version
 * that an alias routes to with all approved hashes. An alias that the baseline does not know may serve approved code,
 * unless it was routed there by hand.
 */
export function differencesFrom(baseline: Baseline, running: RunningCode): Differences {
  const { hashes, aliases } = running;
  const byHand = byHandIn(baseline, running);
  const differing = Object.entries(aliases).flatMap(([alias, routing]) => {
    const approved = baseline.aliases[alias];
    const routesTo = versionsOf(routing);
    const foreign = routesTo.filter((version) => version !== latest && !baseline.approvedHashes.includes(hashes[version] ?? ''));
    const rerouted = approved !== undefined && !sameRouting(approved, routing);
    const marked = byHand.includes(mark(alias, routing));
    return foreign.length > 0 || rerouted || marked ? [{ alias, routesTo, foreign, approved }] : [];
  });
  const hash = hashes[latest] ?? '';
  const setup = baseline.setup === undefined && byHand.length === 0 ? [] : differingParts(baseline.setup, running.setup);
  return { latest: hash !== baseline.package.sha256 || byHand.includes(hash), aliases: differing, setup };
}

/** What runs of that which somebody put there by hand. */
export function byHandIn({ byHand = [] }: Baseline, running: RunningCode): readonly string[] {
  return byHand.length === 0 ? [] : marksOfRunning(running).filter((marked) => byHand.includes(marked));
}

/** Differences by who is known for them: `byHand`, an event told that no deployer did it; `silent`, no event told of them yet, or ever. */
export function apart(differences: Differences, baseline: Baseline, running: RunningCode): { byHand: Differences; silent: Differences } {
  const { byHand = [] } = baseline;
  const isMarked = (version: string) => byHand.includes(running.hashes[version] ?? '');
  const isOfLatest = isMarked(latest) || byHand.includes(latestMark(running.hashes[latest] ?? ''));
  const isRouted = ({ alias, foreign }: AliasDifference) => {
    const routing = running.aliases[alias];
    return foreign.some(isMarked) || (routing !== undefined && byHand.includes(mark(alias, routing)));
  };
  const isPut = (part: SetupPart) => byHand.includes(setupMark(part, running.setup[part] ?? ''));
  return {
    byHand: {
      latest: differences.latest && isOfLatest,
      aliases: differences.aliases.filter(isRouted),
      setup: differences.setup.filter(isPut),
    },
    // What nobody told of the set-up is no drift: of a deployment in parts, another event may still be on its way.
    silent: { latest: differences.latest && !isOfLatest, aliases: differences.aliases.filter((alias) => !isRouted(alias)), setup: [] },
  };
}

/** $LATEST by hand with code that was approved at another time: such code may go on serving aliases. */
function latestMark(hash: string): string {
  return `${latest}→${hash}`;
}

export function isDifferent(differences: Differences): boolean {
  return differences.latest || differences.aliases.length > 0 || differences.setup.length > 0;
}

export function versionsOf({ version, weights }: AliasRouting): readonly string[] {
  return [version, ...Object.keys(weights)];
}

export function sameRouting(a: AliasRouting, b: AliasRouting): boolean {
  const [weights, others] = [Object.entries(a.weights), Object.entries(b.weights)];
  return a.version === b.version && weights.length === others.length && weights.every(([version, weight]) => b.weights[version] === weight);
}

/** What may put other code where it runs, or end that it does. */
export const codeEvents = [
  'CreateFunction',
  'UpdateFunctionCode',
  'PublishVersion',
  'CreateAlias',
  'UpdateAlias',
  'DeleteAlias',
  'DeleteFunction',
] as const;

/** What may change with which of its code a function runs, and what it is run by. */
export const setupEvents = ['UpdateFunctionConfiguration', ...sourceEvents] as const;

/** The function itself, whatever version or alias an event is about: what runs of it has one baseline. */
export function wholeFunction({ operation, request, response, ...place }: ApiEvent): readonly Subject[] {
  // A mapping is updated by its own name, and may be given to another function.
  const mapped = operation.endsWith('EventSourceMapping') ? text(response, 'functionArn') : undefined;
  const subject = functionSubject(mapped ?? text(request, 'functionName') ?? '', place, '$LATEST');
  return subject === undefined ? [] : [subject];
}

/** Events that put other code where it runs. Publishing changes nothing that runs. */
export type CodeEvent =
  | { readonly kind: 'code'; readonly sha256: string; readonly creates: boolean }
  | { readonly kind: 'alias'; readonly alias: string; readonly routing: AliasRouting }
  | SetupEvent
  | SourceEvent;

/** What an event did to the code that runs, by its own word; undefined where it did nothing to it, or does not say what. */
export function codeEvent(event: ApiEvent): CodeEvent | undefined {
  const { operation, request, response, time } = event;
  // Without a time nothing is known of the order.
  if (Number.isNaN(Date.parse(time))) return undefined;
  if (operation === 'CreateFunction' || operation === 'UpdateFunctionCode') {
    const sha256 = text(response, 'codeSha256');
    return sha256 === undefined ? undefined : { kind: 'code', sha256, creates: operation === 'CreateFunction' };
  }
  if (operation === 'UpdateFunctionConfiguration') return setupEvent(event);
  if (operation !== 'CreateAlias' && operation !== 'UpdateAlias') return sourceEvent(event);
  const alias = text(response, 'name') ?? text(request, 'name');
  const version = text(response, 'functionVersion') ?? text(request, 'functionVersion');
  if (alias === undefined || version === undefined) return undefined;
  return { kind: 'alias', alias, routing: { version, weights: weightsIn(response['routingConfig']) } };
}

function weightsIn(routingConfig: unknown): Readonly<Record<string, number>> {
  const weights = (routingConfig as { additionalVersionWeights?: unknown } | null | undefined)?.additionalVersionWeights;
  if (typeof weights !== 'object' || weights === null) return {};
  return Object.fromEntries(Object.entries(weights).filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
}

/** What an event put there, in the words of `byHand`; what variables it wrote only the function tells. */
export function marksOf(event: CodeEvent, { setup }: RunningCode): readonly string[] {
  switch (event.kind) {
    case 'code':
      return [event.sha256];
    case 'alias':
      return [mark(event.alias, event.routing)];
    case 'setup':
      return setupMarks(event.variables && setup.switches !== undefined ? { ...event.parts, switches: setup.switches } : event.parts);
    case 'source':
      return [];
  }
}

/** What runs, in the words of `byHand`. */
export function marksOfRunning({ hashes, aliases, setup }: RunningCode): readonly string[] {
  const routes = Object.entries(aliases).map(([alias, routing]) => mark(alias, routing));
  return [...new Set([...Object.values(hashes), ...routes, ...setupMarks(setup)])];
}

/** A routing, in the words of `byHand`: another weight is another routing. */
export function mark(alias: string, { version, weights }: AliasRouting): string {
  return `${alias}→${[version, ...Object.entries(weights).map(([other, weight]) => `${other}@${weight}`)].join('+')}`;
}

/** How many hashes, and marks of what was done by hand, a baseline keeps besides those that still run. */
const kept = 20;

/** A baseline of what was found running. It stays the oldest: any deployment overwrites it. */
export function observed(running: RunningCode, before: Baseline | undefined, at: string): Baseline {
  return {
    function: running.function,
    state: 'observed',
    package: running.package,
    approvedHashes: hashesKept([...Object.values(running.hashes), ...(before?.approvedHashes ?? [])], running),
    aliases: running.aliases,
    byHand: before?.byHand ?? [],
    setup: observedSetup(running.setup),
    ...(before?.sources === undefined ? {} : { sources: before.sources }),
    by: '',
    at,
    asOf: before?.asOf ?? 0,
    revision: revisionAfter(before),
  };
}

/** The baseline after a deployment: its package is the approved one (or, where nobody is known to deploy, the observed). */
export function deployed(
  {
    running,
    event,
    code,
    before,
  }: { running: RunningCode; event: ApiEvent; code: CodeEvent & { kind: 'code' }; before: Baseline | undefined },
  as: { readonly state: Baseline['state']; readonly package: CodePackage },
): Baseline {
  // A function that was made anew begins its versions at 1 again: what was known of them is of another function.
  const known = code.creates && before !== undefined && Date.parse(before.at) < Date.parse(event.time) ? undefined : before;
  const byHand = (known?.byHand ?? []).filter((marked) => marked !== code.sha256 && marked !== latestMark(code.sha256));
  const found = Object.values(running.hashes).filter((hash) => !byHand.includes(hash));
  return {
    function: running.function,
    ...as,
    approvedHashes: hashesKept([code.sha256, ...(known?.approvedHashes ?? found)], running),
    aliases: known?.aliases ?? running.aliases,
    byHand,
    ...setupAfter(running, event, code, known),
    ...(before?.sources === undefined ? {} : { sources: before.sources }),
    by: event.actor.issuer,
    at: event.time,
    asOf: Date.parse(event.time),
    revision: revisionAfter(before),
  };
}

/** What is known of the set-up after an event of a deployer: the parts that it told, and variables if nobody wrote after it. */
function setupAfter(
  { setup, modified }: RunningCode,
  event: ApiEvent,
  code: CodeEvent & { kind: 'code' | 'setup' },
  before: Baseline | undefined,
): Pick<Baseline, 'setup' | 'variablesDue'> {
  const asOf = Date.parse(event.time);
  const creates = code.kind === 'code' && code.creates;
  const told = code.kind === 'setup' ? code.parts : creates ? (setupEvent(event)?.parts ?? {}) : {};
  // What was made anew has what its event told; of another function nothing is known but what runs.
  const known: Partial<Record<SetupPart, KnownSetup[SetupPart]>> = {
    ...(before?.setup ?? observedSetup(setup, { but: before?.byHand ?? [] })),
  };
  for (const part of setupParts) {
    const is = told[part];
    if (is !== undefined && (creates || asOf >= (known[part]?.asOf ?? 0))) known[part] = { is, asOf };
  }
  const due = creates || (code.kind === 'setup' && code.variables) ? asOf : before?.variablesDue;
  if (due === undefined || due < (known.switches?.asOf ?? 0)) return { setup: known };
  if (setup.switches === undefined || modified === 0 || modified !== modifiedBy(event)) return { setup: known, variablesDue: due };
  return { setup: { ...known, switches: { is: setup.switches, asOf } } };
}

/** The baseline after a deployer changed the set-up; undefined where it says so already. */
export function setUp(running: RunningCode, event: ApiEvent, code: SetupEvent, before: Baseline): Baseline | undefined {
  const after = setupAfter(running, event, code, before);
  const same = (part: SetupPart) =>
    after.setup?.[part]?.is === before.setup?.[part]?.is && after.setup?.[part]?.asOf === before.setup?.[part]?.asOf;
  if (setupParts.every(same) && after.variablesDue === before.variablesDue) return undefined;
  const { variablesDue: _done, ...rest } = before;
  const approved = setupParts.flatMap((part) => {
    const is = after.setup?.[part]?.is;
    return is === undefined ? [] : [setupMark(part, is)];
  });
  const byHand = (before.byHand ?? []).filter((marked) => !approved.includes(marked));
  return { ...rest, ...after, byHand, revision: revisionAfter(before) };
}

/** The baseline after somebody made or changed an event source mapping; undefined where something newer is known of it. */
export function sourced(event: ApiEvent, { uuid }: SourceEvent, byHand: boolean, before: Baseline): Baseline | undefined {
  const sources = touched(before.sources, uuid, { byHand, asOf: Date.parse(event.time) });
  return sources === undefined ? undefined : { ...before, sources, revision: revisionAfter(before) };
}

/** The baseline after a deployment that routed an alias. */
export function routed(running: RunningCode, { alias, routing }: CodeEvent & { kind: 'alias' }, before: Baseline): Baseline {
  const hashes = versionsOf(routing).flatMap((version) => running.hashes[version] ?? []);
  return {
    ...before,
    approvedHashes: hashesKept([...hashes, ...before.approvedHashes], running),
    aliases: { ...before.aliases, [alias]: routing },
    byHand: (before.byHand ?? []).filter((marked) => !marked.startsWith(`${alias}→`)),
    revision: revisionAfter(before),
  };
}

/** Whether an operator approved exactly what runs now. */
export function isAsApproved({ runs, sha256 }: Approval, running: RunningCode): boolean {
  return running.hashes[latest] === sha256 && marksOfRunning(running).every((marked) => runs.includes(marked));
}

/** The baseline by an operator's word: what runs is approved, whoever put it there. Events from before change nothing about it. */
export function approvedBy({ by, at }: Approval, running: RunningCode, code: CodePackage, before: Baseline): Baseline {
  const runs = marksOfRunning(running);
  return {
    function: running.function,
    state: 'approved',
    package: code,
    approvedHashes: hashesKept([...Object.values(running.hashes), ...before.approvedHashes], running),
    aliases: running.aliases,
    byHand: (before.byHand ?? []).filter((marked) => !runs.includes(marked) && !runs.map(latestMark).includes(marked)),
    setup: observedSetup(running.setup, { asOf: Date.parse(at) }),
    sources: approvedSources(before.sources, Date.parse(at)),
    by,
    at,
    asOf: Math.max(before.asOf, Date.parse(at)),
    revision: revisionAfter(before),
  };
}

/**
 * The baseline with what an event by hand put there; undefined where it says so already. Where there was none, whatever
 * else runs counts as observed. Approved code stays approved, even if somebody goes back to it by hand.
 */
export function markedByHand(running: RunningCode, event: ApiEvent, code: CodeEvent, before: Baseline | undefined): Baseline | undefined {
  const base = before ?? observed(without(running, code), undefined, event.time);
  const wasApproved = (marked: string) => base.state === 'approved' && base.approvedHashes.includes(marked);
  const isKnown = setupParts.map((part) => setupMark(part, base.setup?.[part]?.is ?? ''));
  const marks = marksOf(code, running)
    .filter((marked) => !isKnown.includes(marked))
    .map((marked) => (wasApproved(marked) ? latestMark(marked) : marked));
  const fresh = marks.filter((marked) => !base.byHand?.includes(marked));
  if (fresh.length === 0) return undefined;
  return { ...base, byHand: [...(base.byHand ?? []), ...fresh].slice(-2 * kept), revision: revisionAfter(before) };
}

/** What runs but for that which the event put there. */
function without({ hashes, aliases, setup, ...running }: RunningCode, code: CodeEvent): RunningCode {
  const isTold = (part: SetupPart) => code.kind === 'setup' && code.parts[part] !== undefined;
  return {
    ...running,
    setup: Object.fromEntries(setupParts.flatMap((part) => (isTold(part) || setup[part] === undefined ? [] : [[part, setup[part]]]))),
    hashes: Object.fromEntries(Object.entries(hashes).filter(([, hash]) => code.kind !== 'code' || hash !== code.sha256)),
    aliases: Object.fromEntries(Object.entries(aliases).filter(([alias]) => code.kind !== 'alias' || alias !== code.alias)),
  };
}

function hashesKept(hashes: readonly string[], running: RunningCode): readonly string[] {
  const runs = new Set(Object.values(running.hashes));
  const unique = [...new Set(hashes)];
  return [...unique.filter((hash) => runs.has(hash)), ...unique.filter((hash) => !runs.has(hash)).slice(0, kept)];
}

function revisionAfter(before: Baseline | undefined): number {
  return (before?.revision ?? 0) + 1;
}
