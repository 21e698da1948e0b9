import * as z from 'zod';
import { archivePackage, findPackage } from '../../aws/archive.ts';
import { getFunction, getFunctionConfiguration, listAliases, updateAlias, updateFunctionCode } from '../../aws/lambda.ts';
import { functionName } from '../../guard/arn.ts';
import {
  type AliasDifference,
  approvedBy,
  byHandIn,
  type CodeEvent,
  codeEvent,
  type Differences,
  deployed,
  differencesFrom,
  isAsApproved,
  isDifferent,
  mark,
  markedByHand,
  marksOf,
  marksOfRunning,
  observed,
  routed,
  sameRouting,
  versionsOf,
} from '../../guard/baseline.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { errorKind, errorSummary, ifPresent, RetryLater } from '../../guard/errors.ts';
import type { AliasRouting, ArchivedObject, Baseline, CodePackage, Estate } from '../../guard/estate.ts';
import { type CallStep, cloudTrail, defineRule, type Evaluation, type Plan, type Settings } from '../../guard/rule.ts';
import { latest, type RunningFunction, runningFunction } from '../../guard/running-code.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function itself, whatever version or alias an event is about: what runs of it has one baseline. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject?.account === place.account && subject.region === place.region ? [subject] : [];
}

const check = [getFunction, listAliases, getFunctionConfiguration, archivePackage, findPackage] as const;
type Reads = Handle<typeof check>;

export const rule = defineRule({
  id: 'code-changed-by-hand',
  practice: 'deployments',
  severity: 'critical',
  title: 'The code that runs was not put there by a deployer',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionCode', 'PublishVersion', 'CreateAlias', 'UpdateAlias', 'DeleteAlias', 'DeleteFunction'],
      wholeFunction,
    ),
  ],
  check,
  fix: [updateFunctionCode, updateAlias],
  undo: [updateFunctionCode, updateAlias],
  delay: 15,
  probation: false,
  // A package is held in memory whole: at most 250 MB, and once more while it is hashed and sent.
  memory: 1536,
  params: z.object({}),
  distinguishes: ({ sha256, aliases }) => ({ sha256, aliases }),

  async evaluate(subject, { aws, estate, settings, event, now }) {
    const running = await runningFunction(aws, subject.arn);
    if (running === undefined) {
      await estate.forgetBaseline(subject.arn, now);
      return { violations: [], compliant: [subject] };
    }
    const found = { subject, running, baseline: await estate.baseline(subject.arn), aws, estate, settings, event };
    const look = { ...found, baseline: await asApproved(found) };
    const code = event === undefined ? undefined : codeEvent(event);
    if (event === undefined || code === undefined) return await judgeAsFound({ ...look, at: new Date(now).toISOString() });
    return await (isByHand(event, settings) ? judgeByHand : judgeDeployment)({ ...look, event, code });
  },

  async plan({ subject }, { aws, estate, settings, toShow }) {
    const running = await runningFunction(aws, subject.arn);
    if (running === undefined) return { steps: [] };
    if (running.updating && !toShow) throw new RetryLater(`${subject.arn} is being updated`);
    const baseline = await estate.baseline(subject.arn);
    if (baseline?.state !== 'approved') {
      const refused = `No approved package of ${functionName(subject.arn)} is known: what one of the Deployers deploys becomes it.`;
      return { steps: [], refused };
    }
    const differences = differencesFrom(baseline, running);
    if (!isMadeByHand(differences, baseline, running)) {
      const refused = `What ${functionName(subject.arn)} runs now is not known to be somebody's own work: a deployment whose event is still on its way looks the same.`;
      return { steps: [], refused };
    }
    const aliases = await aliasesBack(differences.aliases, { subject, running, baseline, aws });
    const put = differences.latest ? await codeBack({ subject, running, baseline, aws, settings }) : { steps: [] };
    return joined(aliases, put);
  },

  async state(subject, { aws }) {
    const { hashes, aliases } = (await runningFunction(aws, subject.arn)) ?? {};
    return { sha256: hashes?.[latest], aliases };
  },
});

/** Whether an event told of everything that differs, and that a deployer did not do it: only that is ever put back. */
function isMadeByHand(differences: Differences, baseline: Baseline, running: RunningFunction): boolean {
  const marked = byHandIn(baseline, running);
  const isMarked = (version: string) => marked.includes(running.hashes[version] ?? '');
  const isRoutedByHand = ({ alias, foreign }: Differences['aliases'][number]) => {
    const routing = running.aliases[alias];
    return foreign.some(isMarked) || (routing !== undefined && marked.includes(mark(alias, routing)));
  };
  return (!differences.latest || isMarked(latest)) && differences.aliases.every(isRoutedByHand);
}

/** The baseline, by what an operator approved in the meantime: only if that is what runs, and is archived. */
async function asApproved(look: Look): Promise<Baseline | undefined> {
  const { running, baseline } = look;
  if (baseline?.approval === undefined || !isAsApproved(baseline.approval, running)) return baseline;
  const code = await archived(look);
  if (code === undefined) return baseline;
  const next = approvedBy(baseline.approval, running, code, baseline);
  await record(next, look);
  return next;
}

/** The package of $LATEST as it can be put back; undefined where it was replaced since it was read. */
async function archived({ running, aws, settings }: Look): Promise<CodePackage | undefined> {
  const { package: code, function: arn } = running;
  if (code.type !== 'Zip') return code;
  const { sha256 } = code;
  const archive = await aws.archivePackage({
    functionName: arn,
    sha256,
    bucket: settings.archiveBucket,
    key: keyOf(arn, sha256),
  });
  return archive === undefined ? undefined : { ...code, archive };
}

interface Look {
  readonly subject: Subject;
  readonly running: RunningFunction;
  readonly baseline: Baseline | undefined;
  readonly aws: Reads;
  readonly estate: Estate;
  readonly settings: Settings;
  readonly event: ApiEvent | undefined;
}

interface Happened<Kind extends CodeEvent['kind'] = CodeEvent['kind']> {
  readonly event: ApiEvent;
  readonly code: CodeEvent & { readonly kind: Kind };
}

/** Console sessions are never deployers, whatever role they wear; where no deployer is listed, they alone are by hand. */
function isByHand({ actor }: ApiEvent, { deployers }: Settings): boolean {
  return actor.console || (deployers.length > 0 && !deployers.includes(actor.issuer));
}

/** A sweep, a remediator that looks again, or an event that put no code anywhere. */
async function judgeAsFound(look: Look & { readonly at: string }): Promise<Evaluation> {
  const { subject, running, baseline, settings, event, at } = look;
  if (baseline?.state === 'approved') {
    const differences = differencesFrom(baseline, running);
    if (!isDifferent(differences)) return { violations: [], compliant: [subject] };
    return event === undefined || isByHand(event, settings) ? await violating(look, differences) : undecided;
  }
  if (baseline !== undefined && byHandIn(baseline, running).length > 0) return await violating(look, differencesFrom(baseline, running));
  if (baseline === undefined || isDifferent(differencesFrom(baseline, running))) await record(observed(running, baseline, at), look);
  return { violations: [], compliant: [subject] };
}

/**
 * Events come in any order: between those of one deployment, what runs may be ahead of what is approved so far. Such an
 * event opens no finding and ends none; what somebody puts there by hand has an event of its own, and a sweep finds the rest.
 */
const undecided: Evaluation = { violations: [], compliant: [] };

async function judgeByHand(look: Look & Happened): Promise<Evaluation> {
  const { subject, running, baseline, event, code } = look;
  // What was observed only after the event says nothing about what was there before it.
  const isEarlier = baseline?.state === 'approved' || (baseline !== undefined && Date.parse(baseline.at) < Date.parse(event.time));
  if (isEarlier && !isDifferent(differencesFrom(baseline, running))) return { violations: [], compliant: [subject] };
  if (!marksOf(code).some((marked) => marksOfRunning(running).includes(marked))) return undecided;
  const marked = markedByHand(running, event, code, baseline);
  if (marked !== undefined) await record(marked, look);
  const known = marked ?? baseline;
  return known === undefined ? undecided : await violating({ ...look, baseline: known }, differencesFrom(known, running));
}

/** A deployment by an allowed role; where none is listed, by anybody but a console session, and then only observed. */
async function judgeDeployment(look: Look & Happened): Promise<Evaluation> {
  const { subject, running, code, baseline } = look;
  const next = code.kind === 'code' ? await afterDeployment({ ...look, code }) : afterRouting({ ...look, code });
  if (next !== undefined) await record(next, look);
  const known = next ?? baseline;
  if (known === undefined) return undecided;
  const differences = differencesFrom(known, running);
  if (!isDifferent(differences)) return { violations: [], compliant: [subject] };
  if (byHandIn(known, running).length > 0) return await violating({ ...look, baseline: known }, differences);
  return known.state === 'approved' ? undecided : { violations: [], compliant: [subject] };
}

/** Nothing is approved unless it is what runs: code that was replaced since then must not become the approved package. */
async function afterDeployment(look: Look & Happened<'code'>): Promise<Baseline | undefined> {
  const { running, event, code, baseline, settings } = look;
  if (code.sha256 !== running.hashes[latest] || Date.parse(event.time) < (baseline?.asOf ?? 0)) return undefined;
  const deployment = { running, event, code, before: baseline };
  if (settings.deployers.length === 0) return deployed(deployment, { state: 'observed', package: running.package });
  const approved = await archived(look);
  return approved === undefined ? undefined : deployed(deployment, { state: 'approved', package: approved });
}

/** An alias is approved as the event left it, if it still is so and routes to nothing that was put there by hand. */
function afterRouting({ running, event, code, baseline }: Look & Happened<'alias'>): Baseline | undefined {
  const current = running.aliases[code.alias];
  if (current === undefined || !sameRouting(current, code.routing)) return undefined;
  const hashes = versionsOf(current).map((version) => running.hashes[version] ?? '');
  if (hashes.some((hash) => hash === '' || baseline?.byHand?.includes(hash))) return undefined;
  return routed(running, code, baseline ?? observed(running, undefined, event.time));
}

async function record(baseline: Baseline, { estate, subject }: Look): Promise<void> {
  if (!(await estate.recordBaseline(baseline))) throw new RetryLater(`the baseline of ${subject.arn} was changed in between`);
}

async function violating(look: Look, differences: Differences): Promise<Evaluation> {
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
    ...(await evidenceOf(look, differences)),
  };
  return { violations: [{ subject, summary: summaryOf(look, differences), evidence, tags: running.tags }], compliant: [] };
}

function summaryOf({ subject, baseline }: Look, { latest: code, aliases }: Differences): string {
  const name = functionName(subject.arn);
  const what = [
    ...(code ? [`the code of ${name} is not the one that was deployed`] : []),
    ...aliases.map(({ alias, routesTo }) => `its alias ${alias} routes to ${routesTo.join(' and ')}, where no deployer has put it`),
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

function evidenceKey(arn: string, sha256: string): string {
  return `evidence/${keyOf(arn, sha256)}`;
}

type Fixing = Pick<Look, 'subject' | 'running' | 'aws'> & { readonly baseline: Baseline };

async function codeBack({ subject, running, baseline, aws, settings }: Fixing & Pick<Look, 'settings'>): Promise<Plan> {
  const name = functionName(subject.arn);
  const approved = baseline.package;
  if ((approved.type === 'Image') !== (running.package.type === 'Image')) {
    return { steps: [], refused: `${name} was made anew with another package type, which no update of its code changes back.` };
  }
  const step: CallStep = {
    call: 'updateFunctionCode',
    input: {
      FunctionName: subject.arn,
      ...sourceOf(approved),
      ...settingsOf(approved),
      ...(running.revision === undefined ? {} : { RevisionId: running.revision }),
    },
    undo: [],
  };
  if (approved.type === 'Reference') {
    return {
      steps: [step],
      refused: `The approved package of ${name} lies in a bucket of yours (s3://${approved.object.bucket}/${approved.object.key}), which the guard may not read: put it back yourself.`,
    };
  }
  if (approved.type === 'Zip') {
    const there = approved.archive === undefined ? undefined : await aws.findPackage({ ...approved.archive, sha256: approved.sha256 });
    if (there === undefined) return { steps: [], refused: `The approved package of ${name} is no longer in the archive.` };
  }
  const foreign = await foreignPackage(running, settings, aws);
  if (foreign === undefined) {
    return { steps: [step], refused: `What runs as ${name} now could not be kept, so this fix could not be taken back.` };
  }
  return {
    steps: [
      {
        ...step,
        undo: [{ call: 'updateFunctionCode', input: { FunctionName: subject.arn, ...sourceOf(foreign), ...settingsOf(foreign) } }],
      },
    ],
  };
}

async function foreignPackage(
  { function: arn, package: current }: RunningFunction,
  { archiveBucket: bucket }: Settings,
  aws: Reads,
): Promise<CodePackage | undefined> {
  if (current.type !== 'Zip') return current;
  const archive = await aws.findPackage({ bucket, key: evidenceKey(arn, current.sha256), sha256: current.sha256 });
  return archive === undefined ? undefined : { ...current, archive };
}

function sourceOf(source: CodePackage): Readonly<Record<string, unknown>> {
  const { sha256 } = source;
  if (source.type === 'Image') return { sha256, ImageUri: source.imageUri };
  const object = source.type === 'Zip' ? source.archive : source.object;
  return {
    sha256,
    S3Bucket: object?.bucket,
    S3Key: object?.key,
    S3ObjectVersion: object?.version,
    ...(source.type === 'Reference' ? { S3ObjectStorageMode: 'REFERENCE' } : {}),
  };
}

function settingsOf({ architecture, kmsKeyArn }: CodePackage): Readonly<Record<string, unknown>> {
  return {
    ...(architecture === undefined ? {} : { Architectures: [architecture] }),
    ...(kmsKeyArn === undefined ? {} : { SourceKMSKeyArn: kmsKeyArn }),
  };
}

async function aliasesBack(differing: readonly AliasDifference[], { subject, running, baseline, aws }: Fixing): Promise<Plan> {
  const steps: CallStep[] = [];
  const remains: string[] = [];
  for (const { alias, routesTo, approved } of differing) {
    const current = running.aliases[alias];
    if (current === undefined) continue;
    if (approved === undefined || !(await isApproved(approved, { subject, running, baseline, aws }))) {
      remains.push(`alias ${alias}, which routes to ${routesTo.join(' and ')} and has no approved target`);
      continue;
    }
    const routing = (to: AliasRouting) => ({
      FunctionName: subject.arn,
      Name: alias,
      FunctionVersion: to.version,
      RoutingConfig: { AdditionalVersionWeights: to.weights },
    });
    const revision = running.revisions[alias];
    steps.push({
      call: 'updateAlias',
      input: { ...routing(approved), ...(revision === undefined ? {} : { RevisionId: revision }) },
      undo: [{ call: 'updateAlias', input: routing(current) }],
    });
  }
  return { steps, remains };
}

/** Whether a routing's versions still exist, with approved code: a function that was made anew counts them from 1 again. */
async function isApproved(routing: AliasRouting, { subject, running, baseline, aws }: Fixing): Promise<boolean> {
  for (const version of versionsOf(routing)) {
    if (version === latest) continue;
    const hash =
      running.hashes[version] ??
      (await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn, Qualifier: version })))?.CodeSha256;
    if (hash === undefined || !baseline.approvedHashes.includes(hash)) return false;
  }
  return true;
}

function joined(aliases: Plan, code: Plan): Plan {
  const steps = [...aliases.steps, ...code.steps];
  const remains = aliases.remains ?? [];
  const refused =
    code.refused ?? (steps.length === 0 && remains.length > 0 ? `Nothing can be put back: ${remains.join('; ')}.` : undefined);
  return { steps, ...(remains.length === 0 ? {} : { remains }), ...(refused === undefined ? {} : { refused }) };
}
