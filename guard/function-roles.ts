import { roleName } from './arn.ts';
import { type ApiEvent, text } from './cloudtrail.ts';
import { ifPresent, RetryLater } from './errors.ts';
import type { Estate } from './estate.ts';
import type { liveConfigurations } from './live.ts';
import { rolesUsed } from './role-use.ts';
import { functionSubject, iamSubject, type Subject } from './subject.ts';

// Roles that functions run with: how an event, a sweep or a finding leads to them. IAM's events name a role without its path,
// so GetRole tells its ARN, and the index of roles whether any function runs with it.

interface Configuration {
  readonly Role?: string | undefined;
  readonly LastModified?: string | undefined;
}

/** The role that an event of IAM names; its path is not in the event. */
export function namedRole({ request, ...place }: ApiEvent): readonly Subject[] {
  const name = text(request, 'roleName');
  return name === undefined ? [] : [iamSubject('AWS::IAM::Role', `role/${name}`, place)];
}

/** The function of an event that may have given it, or a version of it that runs, another role. */
export function functionWithRole({ operation, request, ...place }: ApiEvent): readonly Subject[] {
  // An update names what it changes, and no more.
  if (operation === 'UpdateFunctionConfiguration' && text(request, 'role') === undefined) return [];
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject === undefined ? [] : [subject];
}

/** Lambda's events that functionWithRole reads. */
export const roleChanges = [
  'CreateFunction',
  'UpdateFunctionConfiguration',
  'DeleteFunction',
  'CreateAlias',
  'UpdateAlias',
  'DeleteAlias',
] as const;

interface Reader<C extends Configuration, Role extends Found> {
  getFunctionConfiguration(input: { FunctionName: string; Qualifier?: string }): Promise<C>;
  listAliases: Parameters<typeof liveConfigurations<C>>[0]['listAliases'];
  getRole(input: { RoleName: string }): Promise<{ readonly Role?: Role | undefined }>;
}

interface Found {
  readonly Arn?: string | undefined;
}

/** A role that functions run with. */
export interface UsedRole<Role> {
  readonly subject: Subject;
  readonly role: Role;
  /** Those that have run with it for longest, two at most. */
  readonly functions: readonly string[];
}

export interface Roles<Role> {
  readonly used: readonly UsedRole<Role>[];
  readonly others: readonly Subject[];
}

interface Look {
  readonly estate: Estate;
  readonly event: ApiEvent | undefined;
  readonly now: number;
}

/**
 * The roles of functions that subjects (functions, roles) lead to, and subjects that are no matter of a rule about such roles:
 * what is gone, and roles that no function runs with.
 */
export async function usedRoles<C extends Configuration, Role extends Found>(
  subject: Subject,
  aws: Reader<C, Role>,
  { estate, event, now }: Look,
): Promise<Roles<Role>> {
  if (subject.type !== 'AWS::Lambda::Function') return await rolesAmong([subject], aws, estate);
  const { live = [], left, stale } = await rolesUsed(aws, subject, { estate, now });
  if (stale) {
    // A checker has judged the newer state. A sweep must not take silence for an answer.
    if (event === undefined) throw new RetryLater(`${subject.arn} changed while it was read`);
    return { used: [], others: [] };
  }
  const roles = [...new Set(live.flatMap(({ configuration: { Role: arn } }) => arn ?? []))];
  const role = (arn: string): Subject => ({ ...subject, arn, type: 'AWS::IAM::Role' });
  const { used, others } = await rolesAmong(roles.map(role), aws, estate);
  const free: Subject[] = [];
  for (const arn of left) if ((await estate.longestUsers(arn)).length === 0) free.push(role(arn));
  // A function is no subject of a finding, unless it could not be read before: then a sweep comes back to it.
  return { used, others: [...others, ...free, ...(event === undefined ? [subject] : [])] };
}

/** Those of some roles that functions run with, each by its ARN as it is; two calls a role. */
export async function rolesAmong<Role extends Found>(
  subjects: readonly Subject[],
  aws: Pick<Reader<Configuration, Role>, 'getRole'>,
  estate: Estate,
): Promise<Roles<Role>> {
  const used: UsedRole<Role>[] = [];
  const others: Subject[] = [];
  for (const named of subjects) {
    const { Role: role } = (await ifPresent(aws.getRole({ RoleName: roleName(named.arn) }))) ?? {};
    const arn = role?.Arn ?? named.arn;
    const functions = role === undefined ? [] : (await estate.longestUsers(arn)).map((use) => use.function);
    if (role !== undefined && functions.length > 0) used.push({ subject: { ...named, arn }, role, functions });
    else others.push({ ...named, arn });
    // Without its path a name is no subject of a finding, unless it could not be looked up before.
    if (arn !== named.arn) others.push(named);
  }
  return { used, others };
}

/** Why a role is nobody's to change, as a sentence: AWS makes it, for a service or for a permission set, and changes it back. */
export function whyNotOurs(roleArn: string): string | undefined {
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-friendly-names
  const [, path] = /:role\/(aws-service-role|aws-reserved)\//.exec(roleArn) ?? [];
  if (path === 'aws-service-role') return `${roleName(roleArn)} is a service-linked role, which only its service can change.`;
  const reserved = path !== undefined || roleName(roleArn).startsWith('AWSReservedSSO_');
  return reserved ? `${roleName(roleArn)} belongs to a permission set of IAM Identity Center: change that.` : undefined;
}
