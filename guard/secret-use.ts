import { matchesGlob, parseArn, roleName } from './arn.ts';
import { ifPresent } from './errors.ts';
import type { Estate } from './estate.ts';
import { type LiveConfiguration, lastModified, type liveConfigurations } from './live.ts';
import { readPolicy, type Statement } from './policy-document.ts';
import type { Subject } from './subject.ts';
import { together } from './together.ts';
import { liveWithVariables } from './variables.ts';

/** What a function's configuration tells of the secrets that it reads. */
interface Configuration {
  readonly LastModified?: string | undefined;
  readonly Role?: string | undefined;
  readonly Environment?: { readonly Variables?: Readonly<Record<string, string>> | undefined } | undefined;
}

/** The reads of IAM that it takes, as aws/iam.ts declares them. */
interface RoleReader {
  listRolePolicies(input: { RoleName: string }): Promise<readonly string[]>;
  getRolePolicy(input: { RoleName: string; PolicyName: string }): Promise<{ readonly PolicyDocument?: string | undefined }>;
  listAttachedRolePolicies(input: { RoleName: string }): Promise<readonly string[]>;
  getManagedPolicy(input: {
    PolicyArn: string;
  }): Promise<{ readonly Policy?: { readonly DefaultVersionId?: string | undefined } | undefined }>;
  getPolicyVersion(input: {
    PolicyArn: string;
    VersionId: string | undefined;
  }): Promise<{ readonly PolicyVersion?: { readonly Document?: string | undefined } | undefined }>;
}

/** A transaction of DynamoDB has a hundred items, and a function may change all of its secrets at once. */
const mostSecrets = 45;

export interface SecretsUsed {
  /** ARNs, whole or without the six characters at their end. */
  readonly secrets: readonly string[];
  /** What it read until now. */
  readonly left: readonly string[];
}

/**
 * Reads which secrets a function uses ($LATEST and every version that an alias routes to taken together), and keeps the index of
 * secrets true: those that its variables name by ARN, and those that its role's own policies let it read by name.
 */
export async function secretsUsed<C extends Configuration>(
  aws: Parameters<typeof liveConfigurations<C>>[0] & RoleReader,
  subject: Subject,
  { estate, now }: { readonly estate: Estate; readonly now: number },
): Promise<SecretsUsed> {
  const live = await liveWithVariables(aws, subject.arn);
  if (live === undefined) return { secrets: [], ...(await estate.forgetSecrets(subject.arn, now)) };
  const variables = live.flatMap(({ configuration }) => secretsIn(Object.values(configuration.Environment?.Variables ?? {})));
  const roles = new Set(live.flatMap(({ configuration: { Role } }: LiveConfiguration<C>) => Role ?? []));
  const policies: string[] = [];
  for (const role of roles) policies.push(...(await secretsOfRole(aws, role, subject)));
  const here = [...new Set([...variables, ...policies])].filter((arn) => isHere(arn, subject)).slice(0, mostSecrets);
  const asOf = lastModified(live[0]?.configuration ?? {});
  return { secrets: here, ...(await estate.recordSecrets({ function: subject.arn, asOf, secrets: here })) };
}

function secretsIn(values: readonly string[]): readonly string[] {
  return values.flatMap((value) => value.match(/arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@!-]+/g) ?? []);
}

/** A secret of another account or region is none that this guard could look at. */
function isHere(arn: string, { account, region }: Subject): boolean {
  const parsed = parseArn(arn);
  return parsed?.account === account && parsed.region === region;
}

async function secretsOfRole(aws: RoleReader, arn: string, place: Subject): Promise<readonly string[]> {
  const RoleName = roleName(arn);
  const named: string[] = [];
  const take = (document: string | undefined) => named.push(...readPolicy(document).flatMap((statement) => secretsOf(statement, place)));
  const [inline = [], attached = []] = await together(
    ifPresent(aws.listRolePolicies({ RoleName })),
    ifPresent(aws.listAttachedRolePolicies({ RoleName })),
  );
  for (const PolicyName of inline) take((await ifPresent(aws.getRolePolicy({ RoleName, PolicyName })))?.PolicyDocument);
  for (const PolicyArn of attached) {
    // AWS's own policies name no customer's secret.
    if (parseArn(PolicyArn)?.account === 'aws') continue;
    const { Policy } = (await ifPresent(aws.getManagedPolicy({ PolicyArn }))) ?? {};
    take((await ifPresent(aws.getPolicyVersion({ PolicyArn, VersionId: Policy?.DefaultVersionId })))?.PolicyVersion?.Document);
  }
  return named;
}

/** Secrets that a statement lets somebody read, each by its own name; what it covers by a pattern is not known to be used. */
function secretsOf({ Effect, Action = [], Resource = [] }: Statement, { account, region }: Subject): readonly string[] {
  const reads = Action.some((action) => matchesGlob('secretsmanager:getsecretvalue', action.toLowerCase()));
  if (Effect !== 'Allow' || !reads) return [];
  return Resource.flatMap((resource) => {
    const arn = parseArn(resource);
    const name = /^secret:(.+?)(?:-\?{6}|-\*|\*)?$/.exec(arn?.resource ?? '')?.[1];
    if (arn?.service !== 'secretsmanager' || name === undefined || /[*?$]/.test(name) || name.endsWith('/')) return [];
    const place = `${arn.region === '*' ? region : arn.region}:${arn.account === '*' ? account : arn.account}`;
    return [`arn:${arn.partition}:secretsmanager:${place}:secret:${name}`];
  });
}
