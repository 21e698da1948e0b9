import * as z from 'zod';
import { getManagedPolicy, getPolicyVersion, getRolePolicy, listAttachedRolePolicies, listRolePolicies } from '../../aws/iam.ts';
import { type FunctionConfiguration, getDecryptedConfiguration, listAliases } from '../../aws/lambda.ts';
import { cancelRotateSecret, type DescribeSecretOutput, describeSecret, listSecrets, rotateSecret } from '../../aws/secretsmanager.ts';
import { functionArn, functionName, matchesGlob, parseArn } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { cloudTrail, defineRule, type Evaluation, listing, type Plan, serviceEvents, type Violation } from '../../guard/rule.ts';
import { secretsUsed } from '../../guard/secret-use.ts';
import { functionSubject, type Subject, secretSubject } from '../../guard/subject.ts';

const id = 'secret-not-rotated';

/** The function whose variables, role or running versions an event may have changed. */
function changedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(functionArn(text(request, 'functionName') ?? '', place) ?? '', place);
  return subject === undefined ? [] : [subject];
}

/**
 * The secret that an event names: answers have its ARN (`aRN` before 2024), requests whatever the caller wrote, and what Secrets
 * Manager tells by itself its further data.
 */
function namedSecret({ request, response, ...place }: ApiEvent): readonly Subject[] {
  const named =
    text(response, 'arn') ?? text(response, 'aRN') ?? text(request, 'secretId') ?? text(request, 'SecretId') ?? text(request, 'name');
  return named === undefined ? [] : [secretSubject(named, place)];
}

type Reads = readonly [
  typeof describeSecret,
  typeof getDecryptedConfiguration,
  typeof listAliases,
  typeof listRolePolicies,
  typeof getRolePolicy,
  typeof listAttachedRolePolicies,
  typeof getManagedPolicy,
  typeof getPolicyVersion,
];

export const rule = defineRule({
  id,
  practice: 'secrets',
  severity: 'medium',
  title: 'A secret that functions read is no longer rotated',
  on: [
    cloudTrail('secretsmanager', ['CancelRotateSecret', 'RotateSecret', 'CreateSecret', 'DeleteSecret', 'RestoreSecret'], namedSecret),
    serviceEvents('secretsmanager', ['RotationFailed', 'RotationSucceeded', 'TestRotationFailed', 'TestRotationSucceeded'], namedSecret),
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      changedFunction,
    ),
  ],
  check: [
    describeSecret,
    getDecryptedConfiguration,
    listAliases,
    listRolePolicies,
    getRolePolicy,
    listAttachedRolePolicies,
    getManagedPolicy,
    getPolicyVersion,
  ],
  fix: [rotateSecret],
  undo: [cancelRotateSecret],
  delay: 15,
  probation: false,
  params: z.object({
    never: z
      .string()
      .regex(/^(true|false)$/)
      .default('false')
      .describe('true: a secret that functions read and that was never rotated is a finding, too.'),
    all: z
      .string()
      .regex(/^(true|false)$/)
      .default('false')
      .describe('true: secrets that no function is known to read are looked at as well, and are of low severity.'),
    grace: z
      .string()
      .regex(/^\d{1,4}$/)
      .default('24')
      .describe('Hours after the date of the next rotation before a secret counts as overdue.'),
    functions: z
      .string()
      .regex(/^[\w*-]{1,140}$/)
      .default('*')
      .describe('Name pattern of the functions that may be put back as the ones that rotate (SecretsManager*).'),
  }),

  list: listing([listSecrets], async function* (place, aws) {
    let NextToken: string | undefined;
    do {
      const page = await aws.listSecrets({ NextToken, MaxResults: 100 });
      yield (page.SecretList ?? []).flatMap(({ ARN, OwningService }) =>
        ARN === undefined || OwningService !== undefined ? [] : [secretSubject(ARN, place)],
      );
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
  }),

  distinguishes: ({ rotation }) => rotation,

  async evaluate(subject, { aws, estate, params, event, now }) {
    const settings = { estate, now, all: params.all === 'true', never: params.never === 'true', grace: Number(params.grace) * hour };
    if (subject.type !== 'AWS::Lambda::Function') return await evaluateSecret(subject, aws, event, settings);
    const reader = { ...aws, getFunctionConfiguration: aws.getDecryptedConfiguration };
    const { secrets, left } = await secretsUsed<FunctionConfiguration>(reader, subject, settings);
    const evaluations: Evaluation[] = [];
    for (const arn of [...secrets, ...left]) evaluations.push(await evaluateSecret(secretSubject(arn, subject), aws, undefined, settings));
    return {
      violations: evaluations.flatMap(({ violations }) => violations),
      // The function is no subject of a finding, unless it could not be read before.
      compliant: [subject, ...evaluations.flatMap(({ compliant }) => compliant)],
    };
  },

  async plan({ subject, evidence }, { aws, estate, params }): Promise<Plan> {
    const secret = await ifPresent(aws.describeSecret({ SecretId: subject.arn }));
    if (secret === undefined) return { steps: [] };
    const last = lastRotation(secret, await remembered(estate, subject.arn));
    const { function: RotationLambdaARN, rules: RotationRules } = last;
    const input = { SecretId: subject.arn, RotationLambdaARN, RotationRules, RotateImmediately: false };
    const steps = [{ call: 'rotateSecret', input, undo: [{ call: 'cancelRotateSecret', input: { SecretId: subject.arn } }] }];
    if (secret.RotationEnabled === true) return { steps: [], refused: whyItIsOn(evidence['rotation']) };
    if (RotationLambdaARN === undefined || RotationRules === undefined)
      return { steps: [], refused: 'Nothing is known of how it was rotated: choose a rotation function and a schedule.' };
    if (last.failedAt !== undefined)
      return { steps, refused: `It failed at ${last.failedAt}, before it was turned off: put its rotation function right first.` };
    const name = functionName(RotationLambdaARN);
    if (parseArn(RotationLambdaARN)?.account !== subject.account)
      return {
        steps,
        refused: `The function that rotated it, ${RotationLambdaARN}, belongs to another account: turn rotation on by hand.`,
      };
    if (!matchesGlob(name, params.functions))
      return { steps, refused: `The function that rotated it, ${name}, is none that SecretNotRotatedFunctions names.` };
    if ((await ifPresent(aws.getDecryptedConfiguration({ FunctionName: RotationLambdaARN }))) === undefined)
      return { steps, refused: `The function that rotated it, ${name}, is gone: choose another.` };
    return { steps };
  },

  // What a rotation changed stays, and is no part of it.
  async state(subject, { aws }) {
    const secret = await ifPresent(aws.describeSecret({ SecretId: subject.arn }));
    return secret?.RotationEnabled === true ? { function: secret.RotationLambdaARN, rules: secret.RotationRules } : 'off';
  },
});

const hour = 3600_000;
const day = 24 * hour;

/** How a secret is rotated, or was when it last was: what is kept of it, and what the fix brings back. */
interface Rotation {
  readonly function?: string | undefined;
  readonly rules?: DescribeSecretOutput['RotationRules'];
  /** When Secrets Manager said that it failed. */
  readonly failedAt?: string | undefined;
}

interface Settings {
  readonly estate: Estate;
  readonly now: number;
  readonly all: boolean;
  readonly never: boolean;
  /** Milliseconds. */
  readonly grace: number;
}

async function evaluateSecret(
  named: Subject,
  aws: Pick<Handle<Reads>, 'describeSecret'>,
  event: ApiEvent | undefined,
  settings: Settings,
): Promise<Evaluation> {
  const { estate, now, all } = settings;
  const secret = await ifPresent(aws.describeSecret({ SecretId: named.arn }));
  const subject = secretSubject(secret?.ARN ?? named.arn, named);
  const compliant = { violations: [], compliant: [...new Map([subject, named].map((each) => [each.arn, each])).values()] };
  if (secret === undefined || isExempt(secret, subject)) return compliant;
  const functions = await estate.functionsReading(subject.arn);
  if (functions.length === 0 && !all) return compliant;
  const known = await remembered(estate, subject.arn);
  const last = taught(lastRotation(secret, known), event);
  if (!isSame(last, known)) await estate.recordKept(id, subject.arn, { state: last, asOf: now });
  const wrong = whatIsWrong(secret, last, settings);
  if (wrong === undefined) return compliant;
  // A name in a request is no subject of a finding.
  return { violations: [violationOf(secret, subject, last, wrong, functions)], compliant: named.arn === subject.arn ? [] : [named] };
}

/**
 * Secrets that others rotate or nobody does: managed by a service, a replica (its primary is rotated), or about to be deleted.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_managed.html
 */
function isExempt({ OwningService, PrimaryRegion, DeletedDate }: DescribeSecretOutput, { region }: Subject): boolean {
  return OwningService !== undefined || (PrimaryRegion ?? region) !== region || DeletedDate !== undefined;
}

async function remembered(estate: Pick<Estate, 'kept'>, arn: string): Promise<Rotation | undefined> {
  return (await estate.kept(id, arn))?.state as Rotation | undefined;
}

/** Its rotation, or what it was before it was turned off. Secrets Manager may go on naming the function, or not. */
function lastRotation({ RotationEnabled, RotationLambdaARN, RotationRules }: DescribeSecretOutput, known: Rotation | undefined): Rotation {
  const told = { function: RotationLambdaARN, rules: RotationRules };
  const { function: name, rules } =
    RotationEnabled === true ? told : { function: told.function ?? known?.function, rules: told.rules ?? known?.rules };
  return {
    ...(name === undefined ? {} : { function: name }),
    ...(rules === undefined ? {} : { rules: JSON.parse(JSON.stringify(rules)) as Rotation['rules'] }),
    ...(known?.failedAt === undefined ? {} : { failedAt: known.failedAt }),
  };
}

/**
 * No call tells that a rotation failed: only Secrets Manager's own event does, so it is kept until a later one succeeds, or the
 * secret's last rotation turns out to be later.
 */
function taught(last: Rotation, event: ApiEvent | undefined): Rotation {
  if (event?.ofService !== true) return last;
  const { failedAt, ...rest } = last;
  const later = failedAt === undefined || Date.parse(event.time) >= Date.parse(failedAt);
  if (!later) return last;
  return event.operation.endsWith('Failed') ? { ...rest, failedAt: event.time } : rest;
}

function isSame(last: Rotation, known: Rotation | undefined): boolean {
  const words = ({ function: name, rules, failedAt }: Rotation) =>
    JSON.stringify([name, rules?.AutomaticallyAfterDays, rules?.Duration, rules?.ScheduleExpression, failedAt]);
  return words(last) === words(known ?? {});
}

type Wrong = 'cancelled' | 'failing' | 'overdue' | 'never rotated';

function whatIsWrong(secret: DescribeSecretOutput, { failedAt, ...last }: Rotation, { now, grace, never }: Settings): Wrong | undefined {
  const { RotationEnabled, LastRotatedDate } = secret;
  if (RotationEnabled !== true) {
    // AWS answers false where rotation was turned off, and nothing where it never was on.
    if (RotationEnabled === false || last.function !== undefined || last.rules !== undefined) return 'cancelled';
    return never ? 'never rotated' : undefined;
  }
  if (failedAt !== undefined && !(LastRotatedDate !== undefined && LastRotatedDate.getTime() >= Date.parse(failedAt))) return 'failing';
  const due = dueAt(secret);
  return due !== undefined && due + grace < now ? 'overdue' : undefined;
}

/**
 * When the next rotation has to be over: Secrets Manager's own date, and where it tells none, the last change and the interval.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
 */
function dueAt({
  NextRotationDate,
  LastRotatedDate,
  LastChangedDate,
  CreatedDate,
  RotationRules,
}: DescribeSecretOutput): number | undefined {
  if (NextRotationDate !== undefined) return NextRotationDate.getTime();
  const since = (LastRotatedDate ?? LastChangedDate ?? CreatedDate)?.getTime();
  const [, count, unit] = /^rate\((\d+) (hour|day)s?\)$/.exec(RotationRules?.ScheduleExpression ?? '') ?? [];
  const interval =
    count === undefined ? (RotationRules?.AutomaticallyAfterDays ?? 0) * day : Number(count) * (unit === 'hour' ? hour : day);
  return since === undefined || interval === 0 ? undefined : since + interval;
}

function violationOf(
  { Name = '', LastRotatedDate, NextRotationDate, Tags = [] }: DescribeSecretOutput,
  subject: Subject,
  last: Rotation,
  rotation: Wrong,
  functions: readonly string[],
): Violation {
  const readers = functions.map(functionName);
  const read =
    readers.length === 0
      ? 'No function is known to read it.'
      : `It is read by ${readers.slice(0, 3).join(', ')}${readers.length > 3 ? ` and ${readers.length - 3} more` : ''}.`;
  const rotator = last.function === undefined ? 'Its rotation' : `Its rotation by ${functionName(last.function)}`;
  const because = {
    cancelled: `${rotator} was turned off`,
    failing: `${rotator} failed at ${last.failedAt}, and has not succeeded since`,
    overdue: `${rotator} was due by ${NextRotationDate?.toISOString() ?? 'its schedule'} and did not happen`,
    'never rotated': 'It was never rotated',
  }[rotation];
  return {
    subject,
    summary: `The secret ${Name} keeps its value. ${because}. ${read}`,
    evidence: {
      rotation,
      functions,
      ...(last.function === undefined ? {} : { rotatedBy: last.function }),
      ...(last.rules === undefined ? {} : { schedule: last.rules }),
      ...(LastRotatedDate === undefined ? {} : { lastRotated: LastRotatedDate.toISOString() }),
      ...(NextRotationDate === undefined ? {} : { nextRotation: NextRotationDate.toISOString() }),
      ...(last.failedAt === undefined ? {} : { failedAt: last.failedAt }),
    },
    tags: Object.fromEntries(Tags.flatMap(({ Key, Value = '' }) => (Key === undefined ? [] : [[Key, Value]]))),
    ...(functions.length === 0 ? { severity: 'low' as const } : {}),
  };
}

function whyItIsOn(rotation: unknown): string {
  const what = rotation === 'overdue' ? 'did not run' : 'fails';
  return `Its rotation is on and ${what}: only its rotation function can be put right, and its log says why.`;
}
