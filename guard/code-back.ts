import { functionName } from './arn.ts';
import { type AliasDifference, type Differences, versionsOf } from './baseline.ts';
import { evidenceKey } from './code-judgement.ts';
import { ifPresent } from './errors.ts';
import type { AliasRouting, ArchivedObject, Baseline, CodePackage } from './estate.ts';
import type { ForeignSource } from './event-sources.ts';
import type { CallStep, Plan, Settings } from './rule.ts';
import { setupBack } from './run-setup.ts';
import { latest, type RunningFunction } from './running-code.ts';
import type { Subject } from './subject.ts';

// How approved code comes back, whichever rule found other code.

/** The reads that it takes, as aws/ declares them. */
interface Reader {
  findPackage(input: { bucket: string; key: string; version?: string; sha256: string }): Promise<ArchivedObject | undefined>;
  getFunctionConfiguration(input: { FunctionName: string; Qualifier: string }): Promise<{ readonly CodeSha256?: string | undefined }>;
}

interface Fixing {
  readonly subject: Subject;
  readonly running: RunningFunction;
  readonly baseline: Baseline;
  readonly aws: Reader;
}

/** Aliases first, because they usually serve production; then $LATEST, its code before what decides with which of it runs. */
export async function putBack(
  differences: Differences,
  fixing: Fixing & { readonly settings: Settings },
  sources: readonly ForeignSource[] = [],
): Promise<Plan> {
  const { running, baseline } = fixing;
  const aliases = await aliasesBack(differences.aliases, fixing);
  const code = differences.latest ? await codeBack(fixing) : { steps: [] };
  // The code's own revision holds the first of two steps; by then the second's would be used up.
  const revision = differences.latest ? undefined : running.revision;
  const setup = setupBack(differences.setup, { function: running.function, known: baseline.setup, setup: running.setup, revision });
  const left = sources.map(({ mapping }) => `the event source mapping ${mapping}, which only who knows its source can judge`);
  return joined([aliases, code, setup, { steps: [], remains: left }]);
}

async function codeBack({ subject, running, baseline, aws, settings }: Fixing & { readonly settings: Settings }): Promise<Plan> {
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
  aws: Reader,
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

function joined(plans: readonly Plan[]): Plan {
  const steps = plans.flatMap((plan) => plan.steps);
  const remains = plans.flatMap((plan) => plan.remains ?? []);
  const refused =
    plans.find((plan) => plan.refused !== undefined)?.refused ??
    (steps.length === 0 && remains.length > 0 ? `Nothing can be put back: ${remains.join('; ')}.` : undefined);
  return { steps, ...(remains.length === 0 ? {} : { remains }), ...(refused === undefined ? {} : { refused }) };
}
