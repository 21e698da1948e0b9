import { createHash } from 'node:crypto';
import * as z from 'zod';
import { simulatePrincipalPolicy } from '../../aws/iam.ts';
import { type FunctionConfiguration, getDecryptedConfiguration, listAliases, listTags } from '../../aws/lambda.ts';
import {
  createSecretFromVariable,
  deleteSecret,
  pointVariablesAtSecrets,
  restoreVariablesFromSecrets,
  type VariableMove,
} from '../../aws/secretsmanager.ts';
import { functionName, matchesGlob, partitionOf } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent, RetryLater } from '../../guard/errors.ts';
import type { LiveConfiguration } from '../../guard/live.ts';
import { cloudTrail, defineRule, type Step } from '../../guard/rule.ts';
import { findSecrets } from '../../guard/secret-detection.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';
import { liveWithVariables } from '../../guard/variables.ts';

/** The function itself, whatever version or alias an event is about: the variables of all that run are one finding. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject?.account === place.account && subject.region === place.region ? [subject] : [];
}

type Reads = Handle<readonly [typeof getDecryptedConfiguration, typeof listAliases]>;

export const rule = defineRule({
  id: 'secret-in-environment',
  practice: 'secrets',
  severity: 'critical',
  title: 'An environment variable holds a plaintext credential',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      wholeFunction,
    ),
  ],
  check: [getDecryptedConfiguration, listAliases, listTags, simulatePrincipalPolicy],
  fix: [createSecretFromVariable, pointVariablesAtSecrets],
  undo: [restoreVariablesFromSecrets, deleteSecret],
  delay: 15,
  probation: true,
  params: z.object({
    readers: z
      .string()
      .default('')
      .describe(
        'Name patterns of functions that fetch their secrets, comma-separated; the same as the tag compliance-guard:secret-reader.',
      ),
  }),

  distinguishes: ({ variables }) =>
    (variables as readonly { variable: string; kind: string }[]).map(({ variable, kind }) => [variable, kind]),

  // CloudTrail redacts variables: only the configuration tells what they hold.
  // https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
  async evaluate(subject, { aws }) {
    const found = variablesOf(await live(aws, subject));
    if (found.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
    return { violations: [{ subject, summary: summaryOf(subject, found), evidence: { variables: found }, tags: Tags }], compliant: [] };
  },

  async plan({ subject }, { aws, params, changeId, toShow }) {
    const configurations = await live(aws, subject);
    const found = variablesOf(configurations);
    const remains = configurations.filter(({ version }) => version !== '$LATEST').flatMap((frozen) => whatRemains(frozen, found));
    const latest = configurations[0]?.configuration;
    const moves = found.filter(({ versions }) => versions.includes('$LATEST')).map(({ variable }) => moveOf(subject, variable, changeId));
    if (latest === undefined || moves.length === 0) {
      return {
        steps: [],
        remains,
        refused: 'Only published versions still hold it, and a version cannot be changed: publish a new one and move its aliases.',
      };
    }
    if (!toShow && (latest.State === 'Pending' || latest.LastUpdateStatus === 'InProgress'))
      throw new RetryLater(`${subject.arn} is being updated`);
    const steps = stepsOf(subject, moves, changeId);
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
    const refused =
      notAReader(subject, Tags, params.readers) ??
      tooLong(latest, moves, subject) ??
      (await notAllowed(latest.Role ?? '', moves, subject, aws));
    return refused === undefined ? { steps, remains } : { steps, remains, refused };
  },

  // Which variables there are, and which of them hold a secret's ARN: values stay where they are.
  async state(subject, { aws }) {
    const { Environment } = (await ifPresent(aws.getDecryptedConfiguration({ FunctionName: subject.arn }))) ?? {};
    const isSecret = (value: string) => /^arn:[a-z-]+:secretsmanager:/.test(value);
    return Object.entries(Environment?.Variables ?? {})
      .map(([name, value]) => (isSecret(value) ? `${name}=${value}` : name))
      .sort();
  },
});

interface FoundVariable {
  readonly variable: string;
  readonly kind: string;
  readonly versions: readonly string[];
}

/** What runs of the function, with its variables in the clear; nothing where the function is gone. */
async function live({ getDecryptedConfiguration: getFunctionConfiguration, listAliases: aliases }: Reads, { arn }: Subject) {
  return (await liveWithVariables<FunctionConfiguration>({ getFunctionConfiguration, listAliases: aliases }, arn)) ?? [];
}

function variablesOf(configurations: readonly LiveConfiguration<FunctionConfiguration>[]): readonly FoundVariable[] {
  const found = new Map<string, FoundVariable>();
  for (const { version, configuration } of configurations) {
    for (const { variable, kind } of findSecrets(configuration.Environment?.Variables ?? {})) {
      const known = found.get(variable);
      found.set(variable, { variable, kind: known?.kind ?? kind, versions: [...(known?.versions ?? []), version] });
    }
  }
  return [...found.values()];
}

function summaryOf({ arn }: Subject, found: readonly FoundVariable[]): string {
  const names = found.map(({ variable }) => variable);
  const listed = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
  const [hold, credentials] =
    names.length === 1
      ? ['variable holds a plaintext credential', 'this credential']
      : ['variables hold plaintext credentials', 'each of these credentials'];
  return `${names.length} environment ${hold} in ${functionName(arn)} (${listed}): whoever may read the function's configuration knows it. Rotate ${credentials}.`;
}

/** A version's variables are frozen. https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html */
function whatRemains({ version, aliases }: LiveConfiguration<unknown>, found: readonly FoundVariable[]): readonly string[] {
  const held = found.filter(({ versions }) => versions.includes(version)).map(({ variable }) => variable);
  return held.length === 0 ? [] : [`version ${version}, which ${aliases.join(', ')} routes to (${held.join(', ')})`];
}

function moveOf({ arn }: Subject, variable: string, changeId: string): VariableMove {
  // The same change makes the same token: a step that is repeated makes no second secret, and no second version.
  const token = createHash('sha256')
    .update(`${changeId}\n${variable}`)
    .digest('hex')
    .slice(0, 32)
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { variable, secretName: `compliance-guard/${functionName(arn)}/${variable}-${changeId}`, token };
}

function stepsOf({ arn }: Subject, moves: readonly VariableMove[], changeId: string): readonly Step[] {
  const tags = { 'compliance-guard:function': functionName(arn), 'compliance-guard:change': changeId };
  return [
    ...moves.map((move) => ({
      call: 'createSecretFromVariable',
      input: { functionName: arn, ...move, tags },
      undo: [{ call: 'deleteSecret', input: { functionName: arn, SecretId: move.secretName, RecoveryWindowInDays: 7 } }],
    })),
    {
      call: 'pointVariablesAtSecrets',
      input: { functionName: arn, moves },
      undo: [{ call: 'restoreVariablesFromSecrets', input: { functionName: arn, moves } }],
    },
  ];
}

function notAReader({ arn }: Subject, tags: Readonly<Record<string, string>>, readers: string): string | undefined {
  const name = functionName(arn);
  const globs = readers.split(',').map((glob) => glob.trim());
  if ((tags[readerTag] ?? 'false') !== 'false' || globs.some((glob) => glob !== '' && matchesGlob(name, glob))) return undefined;
  return `Nothing says that ${name} fetches its secrets, so an ARN in place of the value would break it: once its code does, tag it ${readerTag} or name it in SecretInEnvironmentReaders.`;
}

const readerTag = 'compliance-guard:secret-reader';

// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const variablesLimit = 4096;

/** ARNs are longer than most credentials, and Lambda refuses variables of more than 4 KB. */
function tooLong({ Environment }: FunctionConfiguration, moves: readonly VariableMove[], subject: Subject): string | undefined {
  const moved = Object.fromEntries(moves.map((move) => [move.variable, likelyArn(move, subject)]));
  const length = Buffer.byteLength(JSON.stringify({ ...Environment?.Variables, ...moved }));
  if (length <= variablesLimit) return undefined;
  return `With ARNs in place of the values the variables would take ${length} bytes, and Lambda allows ${variablesLimit}: move some of them by hand.`;
}

/** The ARN that a secret will have: Secrets Manager adds six characters of its own. */
function likelyArn({ secretName }: VariableMove, { account, region }: Subject): string {
  return `arn:${partitionOf(region)}:secretsmanager:${region}:${account}:secret:${secretName}-a1B2c3`;
}

async function notAllowed(
  role: string,
  moves: readonly VariableMove[],
  subject: Subject,
  { simulatePrincipalPolicy: simulate }: Handle<readonly [typeof simulatePrincipalPolicy]>,
): Promise<string | undefined> {
  // One at a time: an answer about several resources may sum them up in one decision.
  const answers = await Promise.all(
    moves.map((move) =>
      ifPresent(
        simulate({ PolicySourceArn: role, ActionNames: ['secretsmanager:GetSecretValue'], ResourceArns: [likelyArn(move, subject)] }),
      ),
    ),
  );
  const decisions = answers.map((answer) => (answer?.EvaluationResults ?? []).map(({ EvalDecision }) => EvalDecision));
  if (decisions.every(([decision, ...more]) => decision === 'allowed' && more.length === 0)) return undefined;
  const pattern = likelyArn({ variable: '', secretName: `compliance-guard/${functionName(subject.arn)}/*`, token: '' }, subject).replace(
    /-a1B2c3$/,
    '',
  );
  return `Its role ${role} could not read the secrets: allow it secretsmanager:GetSecretValue on ${pattern}.`;
}
