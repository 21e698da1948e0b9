import { functionName } from './arn.ts';
import {
  apart,
  approvedBy,
  byHandIn,
  type CodeEvent,
  codeEvent,
  type Differences,
  deployed,
  differencesFrom,
  isAsApproved,
  isDifferent,
  markedByHand,
  marksOf,
  marksOfRunning,
  observed,
  routed,
  sameRouting,
  setUp,
  sourced,
  versionsOf,
} from './baseline.ts';
import type { ApiEvent } from './cloudtrail.ts';
import { errorKind, errorSummary, RetryLater, VariablesUnreadable } from './errors.ts';
import type { ArchivedObject, Baseline, CodePackage, Estate } from './estate.ts';
import type { ForeignSource } from './event-sources.ts';
import { ownRole } from './own-calls.ts';
import type { Evaluation, Settings } from './rule.ts';
import { partsDiffering, toldOf } from './run-setup.ts';
import { latest, type RunningFunction } from './running-code.ts';
import type { Subject } from './subject.ts';

// What the rules about the code that runs share: how events make a baseline, and what differs from it. Each event is taken in
// by whichever rule looks first; whoever comes second finds it done.

/** The reads that it takes, as aws/ declares them. */
export interface CodeReader {
  archivePackage(input: {
    functionName: string;
    qualifier?: string | undefined;
    location?: string | undefined;
    sha256: string;
    bucket: string;
    key: string;
  }): Promise<ArchivedObject | undefined>;
}

/** One look at a function, and what is known of it. */
export interface Look {
  readonly subject: Subject;
  readonly running: RunningFunction;
  readonly baseline: Baseline | undefined;
  readonly aws: CodeReader;
  readonly estate: Estate;
  readonly settings: Settings;
  readonly event: ApiEvent | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Takes in what an event, an operator's approval or the first sight of a function says of its code.
 * @returns the baseline by then; undefined where nothing is known yet
 */
export async function learn(look: Look): Promise<Baseline | undefined> {
  const { running, event, settings, now } = look;
  const known = { ...look, baseline: await asApproved(look) };
  const code = event === undefined ? undefined : codeEvent(event);
  if (event === undefined || code === undefined) {
    const { baseline } = known;
    if (baseline?.state === 'approved' || (baseline !== undefined && byHandIn(baseline, running).length > 0)) return baseline;
    if (baseline !== undefined && !isDifferent(differencesFrom(baseline, running))) return baseline;
    return await record(observed(running, baseline, new Date(now).toISOString()), look);
  }
  const happened = { ...known, event, code };
  if ((code.kind === 'setup' || code.kind === 'source') && isOwn(event, look)) return known.baseline;
  const next = isByHand(event, settings) ? afterHand(happened) : await afterDeployer(happened);
  return next === undefined ? known.baseline : await record(next, look);
}

/** What differs from a baseline, apart by who is known for it. */
export function differing(baseline: Baseline, running: RunningFunction): ReturnType<typeof apart> {
  return apart(differencesFrom(baseline, running), baseline, running);
}

/** The baseline, by what an operator approved in the meantime: only if that is what runs, and is archived. */
async function asApproved(look: Look): Promise<Baseline | undefined> {
  const { running, baseline } = look;
  if (baseline?.approval === undefined || !isAsApproved(baseline.approval, running)) return baseline;
  const code = await archived(look);
  if (code === undefined) return baseline;
  return await record(approvedBy(baseline.approval, running, code, baseline), look);
}

/** The package of $LATEST as it can be put back; undefined where it was replaced since it was read. */
async function archived({ running, aws, settings }: Look): Promise<CodePackage | undefined> {
  const { package: code, function: arn, location } = running;
  if (code.type !== 'Zip') return code;
  const { sha256 } = code;
  const archive = await aws.archivePackage({
    functionName: arn,
    location,
    sha256,
    bucket: settings.archiveBucket,
    key: keyOf(arn, sha256),
  });
  return archive === undefined ? undefined : { ...code, archive };
}

interface Happened<Kind extends CodeEvent['kind'] = CodeEvent['kind']> {
  readonly event: ApiEvent;
  readonly code: CodeEvent & { readonly kind: Kind };
}

/** Console sessions are never deployers, whatever role they wear; where no deployer is listed, they alone are by hand. */
export function isByHand({ actor }: ApiEvent, { deployers }: Settings): boolean {
  return actor.console || (deployers.length > 0 && !deployers.includes(actor.issuer));
}

/** What another fix of the guard changes is not by hand, and approves nothing: a call that no fix explains is told by itself. */
function isOwn({ actor, ...home }: ApiEvent, { settings: { stack } }: Look): boolean {
  return ownRole(actor.issuer, { stack, home }) !== undefined;
}

/**
 * Somebody wrote a function's variables by hand, and they cannot be read.
 * @throws VariablesUnreadable
 */
export function refuseUnreadable({ running, event, settings }: Look): void {
  const code = event === undefined ? undefined : codeEvent(event);
  if (event === undefined || code?.kind !== 'setup' || !code.variables || running.setup.switches !== undefined) return;
  if (isByHand(event, settings)) throw new VariablesUnreadable(`the variables of ${running.function} cannot be decrypted`);
}

function afterHand(look: Look & Happened): Baseline | undefined {
  const { running, baseline, event, code } = look;
  if (code.kind === 'source') return sourced(event, code, true, baseline ?? observed(running, undefined, event.time));
  // What was observed only after the event says nothing about what was there before it.
  const isEarlier = baseline?.state === 'approved' || (baseline !== undefined && Date.parse(baseline.at) < Date.parse(event.time));
  if (isEarlier && !isDifferent(differencesFrom(baseline, running))) return undefined;
  if (!marksOf(code, running).some((marked) => marksOfRunning(running).includes(marked))) return undefined;
  return markedByHand(running, event, code, baseline);
}

/** A deployment by an allowed role; where none is listed, by anybody but a console session, and then only observed. */
async function afterDeployer(look: Look & Happened): Promise<Baseline | undefined> {
  const { code, running, event, baseline } = look;
  const before = () => baseline ?? observed(running, undefined, event.time);
  switch (code.kind) {
    case 'code':
      return await afterDeployment({ ...look, code });
    case 'alias':
      return afterRouting({ ...look, code });
    case 'setup':
      return setUp(running, event, code, before());
    case 'source':
      return sourced(event, code, false, before());
  }
}

/** Nothing is approved unless it is what runs: code that was replaced since then must not become the approved package. */
async function afterDeployment(look: Look & Happened<'code'>): Promise<Baseline | undefined> {
  const { running, event, code, baseline, settings } = look;
  if (code.sha256 !== running.hashes[latest] || Date.parse(event.time) < (baseline?.asOf ?? 0)) return undefined;
  if (isTakenIn(event, code, baseline)) return undefined;
  const deployment = { running, event, code, before: baseline };
  if (settings.deployers.length === 0) return deployed(deployment, { state: 'observed', package: running.package });
  const approved = await archived(look);
  return approved === undefined ? undefined : deployed(deployment, { state: 'approved', package: approved });
}

/** The event came twice, or to another rule before. */
function isTakenIn(event: ApiEvent, { sha256 }: CodeEvent & { kind: 'code' }, baseline: Baseline | undefined): boolean {
  return baseline?.package.sha256 === sha256 && baseline.by === event.actor.issuer && baseline.at === event.time;
}

/** An alias is approved as the event left it, if it still is so and routes to nothing that was put there by hand. */
function afterRouting({ running, event, code, baseline }: Look & Happened<'alias'>): Baseline | undefined {
  const current = running.aliases[code.alias];
  if (current === undefined || !sameRouting(current, code.routing)) return undefined;
  const hashes = versionsOf(current).map((version) => running.hashes[version] ?? '');
  if (hashes.some((hash) => hash === '' || baseline?.byHand?.includes(hash))) return undefined;
  const known = baseline?.aliases[code.alias];
  const isMarked = baseline?.byHand?.some((marked) => marked.startsWith(`${code.alias}→`)) ?? false;
  const approved = baseline !== undefined && hashes.every((hash) => baseline.approvedHashes.includes(hash));
  if (approved && !isMarked && known !== undefined && sameRouting(known, current)) return undefined;
  return routed(running, code, baseline ?? observed(running, undefined, event.time));
}

async function record(baseline: Baseline, { estate, subject }: Look): Promise<Baseline> {
  if (!(await estate.recordBaseline(baseline))) throw new RetryLater(`the baseline of ${subject.arn} was changed in between`);
  return baseline;
}

/** The violation that differences are, with a copy of the foreign package. */
export async function violating(look: Look, differences: Differences, sources: readonly ForeignSource[] = []): Promise<Evaluation> {
  const { subject, running, baseline } = look;
  const approved = baseline?.state === 'approved';
  const evidence = {
    sha256: running.hashes[latest],
    ...(approved ? { approved: baseline.package.sha256, approvedBy: baseline.by, approvedAt: baseline.at } : {}),
    aliases: differences.aliases.map(({ alias, routesTo, foreign, approved: target }) => ({
      alias,
      routesTo: [...routesTo],
      unapproved: [...foreign],
      ...(approved && target !== undefined ? { approved: [...versionsOf(target)] } : {}),
    })),
    ...(differences.setup.length === 0 ? {} : { setup: partsDiffering(differences.setup, baseline?.setup, running.setup) }),
    ...(sources.length === 0 ? {} : { sources }),
    ...(await evidenceOf(look, differences)),
  };
  return { violations: [{ subject, summary: summaryOf(look, differences, sources), evidence, tags: running.tags }], compliant: [] };
}

function summaryOf(
  { subject, baseline, running }: Look,
  { latest: code, aliases, setup }: Differences,
  sources: readonly ForeignSource[],
): string {
  const name = functionName(subject.arn);
  const what = [
    ...(code ? [`the code of ${name} is not the one that was deployed`] : []),
    ...aliases.map(({ alias, routesTo }) => `its alias ${alias} routes to ${routesTo.join(' and ')}, where no deployer has put it`),
    ...partsDiffering(setup, baseline?.setup, running.setup).map((part) => `${toldOf(part)}, and no deployer did that`),
    ...sources.map(({ mapping, source }) => `its event source mapping ${mapping} (${source}) was made or changed by no deployer`),
  ].join(', and ');
  const known =
    baseline?.state === 'approved'
      ? `Approved is the package of ${baseline.by}, since ${baseline.at}.`
      : 'No approved package of it is known.';
  return `${name}: ${what}. ${known}`;
}

/** Keeps a copy of what was put there, before it is gone: whoever looks into it needs it, and so does the undo. */
async function evidenceOf(
  { running, baseline, aws, settings, event }: Look,
  differences: Differences,
): Promise<{ readonly kept?: ArchivedObject; readonly notKept?: string }> {
  const foreign = differences.latest ? latest : differences.aliases.flatMap((alias) => alias.foreign)[0];
  const sha256 = foreign === undefined ? undefined : running.hashes[foreign];
  if (foreign === undefined || sha256 === undefined || running.package.type !== 'Zip') return {};
  // It was kept when the event came that put it there.
  if (event === undefined && baseline?.byHand?.includes(sha256)) return {};
  const qualifier = foreign === latest ? undefined : foreign;
  try {
    const kept = await aws.archivePackage({
      functionName: running.function,
      qualifier,
      location: qualifier === undefined ? running.location : undefined,
      sha256,
      bucket: settings.archiveBucket,
      key: evidenceKey(running.function, sha256),
    });
    return kept === undefined ? { notKept: 'it was replaced in the meantime' } : { kept };
  } catch (error) {
    // That it cannot be kept must not keep the alert back.
    if (errorKind(error) === 'passing') throw error;
    return { notKept: errorSummary(error) };
  }
}

function keyOf(arn: string, sha256: string): string {
  return `${functionName(arn)}/${sha256.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}.zip`;
}

export function evidenceKey(arn: string, sha256: string): string {
  return `evidence/${keyOf(arn, sha256)}`;
}
