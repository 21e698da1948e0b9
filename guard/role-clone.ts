import { functionName, matchesGlob, parseArn, roleName } from './arn.ts';
import { PolicyUnreadable, readPolicy, type Statement } from './policy-document.ts';
import { type GuardedResource, reachOf } from './role-reach.ts';
import type { SourceRole } from './role-source.ts';
import type { CallStep } from './rule.ts';

/** What a clone is to be: whose it is, and how it is named beforehand, so that its steps can be repeated. */
export interface Clone {
  readonly arn: string;
  readonly name: string;
  readonly function: string;
  readonly change: string;
  readonly boundary: string;
}

/** Where the guard makes roles, and the only place where it may. */
const path = '/compliance-guard/';

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const longestRoleName = 64;
const mostTags = 50;

export function cloneOf(
  source: Pick<SourceRole, 'arn'>,
  { functionArn, change, boundary }: { readonly functionArn: string; readonly change: string; readonly boundary: string },
): Clone {
  const name = `${functionName(functionArn).slice(0, longestRoleName - change.length - 1)}-${change}`;
  return { arn: source.arn.replace(/:role\/.*$/, `:role${path}${name}`), name, function: functionArn, change, boundary };
}

/** Makes the clone and everything on it; every step can be made again, and its undo leaves nothing behind. */
export function cloneSteps(source: SourceRole, clone: Clone): readonly CallStep[] {
  const RoleName = clone.name;
  return [
    {
      call: 'createRole',
      input: {
        Path: path,
        RoleName,
        AssumeRolePolicyDocument: source.trust,
        Description: `Made by the compliance guard for ${functionName(clone.function)} out of ${roleName(source.arn)}`,
        MaxSessionDuration: source.maxSessionDuration,
        PermissionsBoundary: clone.boundary,
        Tags: Object.entries(cloneTags(source, clone)).map(([Key, Value]) => ({ Key, Value })),
      },
      undo: [{ call: 'deleteRole', input: { RoleName } }],
    },
    ...source.inline.map(({ name: PolicyName, document }) => ({
      call: 'putRolePolicy',
      input: { RoleName, PolicyName, PolicyDocument: document },
      undo: [{ call: 'deleteRolePolicy', input: { RoleName, PolicyName } }],
    })),
    ...source.managed.map(({ name: PolicyArn }) => ({
      call: 'attachRolePolicy',
      input: { RoleName, PolicyArn },
      undo: [{ call: 'detachRolePolicy', input: { RoleName, PolicyArn } }],
    })),
  ];
}

/** Tags of the source, for policies that go by tags; those of AWS (`aws:`) nobody else may write. */
function cloneTags(source: SourceRole, clone: Clone): Readonly<Record<string, string>> {
  return {
    ...Object.fromEntries(Object.entries(source.tags).filter(([key]) => !/^aws:/i.test(key))),
    'compliance-guard:source-role': source.arn,
    'compliance-guard:function': clone.function,
    'compliance-guard:change': clone.change,
  };
}

/**
 * Why a clone would not do the same as its source, or would do more than it should: one sentence, or undefined where
 * only policies outside IAM remain to be read, which are then in `reach`. What is not understood counts as a reason.
 */
export function judgeClone(
  source: SourceRole,
  clone: Clone,
): { readonly refused: string } | { readonly reach: readonly GuardedResource[] } {
  try {
    const policies = [...source.inline, ...source.managed].map(({ name, document }) => ({
      name,
      document,
      statements: readPolicy(document),
    }));
    const naming = policies.find(({ document }) => /\$\{aws:(userid|PrincipalArn)\}/i.test(document) || namesRole(document, source, clone));
    const refused =
      boundaryDiffers(source, clone) ??
      trustsOthers(readPolicy(source.trust), source) ??
      (namesRole(source.trust, source, clone) ? `The trust policy of ${source.arn} names the role itself.` : undefined) ??
      needsMoreThanBoundary(policies) ??
      (naming === undefined
        ? undefined
        : `The policy ${naming.name} goes by the name or id of the role, which the clone does not share.`) ??
      (Object.keys(cloneTags(source, clone)).length > mostTags
        ? `${source.arn} has so many tags that the clone's own do not fit beside them.`
        : undefined);
    if (refused !== undefined) return { refused };
    const reach = reachOf(policies, source.arn, clone.function);
    return 'doubt' in reach ? { refused: reach.doubt } : { reach: reach.resources };
  } catch (error) {
    if (!(error instanceof PolicyUnreadable)) throw error;
    return { refused: `A policy of ${source.arn} is not understood: ${error.message}.` };
  }
}

function boundaryDiffers({ arn, boundary }: SourceRole, clone: Clone): string | undefined {
  return boundary === undefined || boundary === clone.boundary
    ? undefined
    : `${arn} has the permissions boundary ${boundary}, and a clone can only have the guard's.`;
}

/** The trust is cloned as it is; so whoever it names must be a service, or belong to this account. */
function trustsOthers(statements: readonly Statement[], { arn }: SourceRole): string | undefined {
  const { partition = '', account = '' } = parseArn(arn) ?? {};
  const own = (value: string) =>
    value === account || value.startsWith(`arn:${partition}:iam::${account}:`) || value.startsWith(`arn:${partition}:sts::${account}:`);
  for (const { NotPrincipal, Principal = {} } of statements) {
    if (NotPrincipal !== undefined) return `The trust policy of ${arn} says who may not assume it (NotPrincipal) instead of who may.`;
    for (const [kind, values] of Object.entries(Principal)) {
      if (kind === 'Service') continue;
      const other = kind === 'AWS' ? values.find((value) => !own(value)) : values[0];
      if (other !== undefined)
        return `The trust policy of ${arn} names ${other}, which is neither a service nor known to belong to this account.`;
    }
  }
  const trustsLambda = statements.some(
    ({ Effect, Principal = {} }) =>
      Effect === 'Allow' &&
      Object.entries(Principal).some(([kind, values]) => kind === 'Service' && values.includes('lambda.amazonaws.com')),
  );
  return trustsLambda ? undefined : `The trust policy of ${arn} does not let Lambda assume it.`;
}

/** What the stack's boundary denies to the roles that the guard makes (RoleBoundary in template.yaml). */
export const deniedToClones = ['iam:*', 'organizations:*', 'account:*', 'sts:AssumeRole'] as const;

/** A role that may do what the boundary denies could do less as a clone. */
function needsMoreThanBoundary(
  policies: readonly { readonly name: string; readonly statements: readonly Statement[] }[],
): string | undefined {
  for (const { name, statements } of policies) {
    for (const { Effect, Action = [], NotAction } of statements) {
      if (Effect !== 'Allow') continue;
      const rest = NotAction === undefined || leavesOutDenied(NotAction) ? undefined : `everything but ${NotAction.join(', ')}`;
      const action = Action.find(deniedToSome) ?? rest;
      if (action !== undefined) return `The policy ${name} allows ${action}, and the boundary of a clone denies some of that.`;
    }
  }
  return undefined;
}

function deniedToSome(action: string): boolean {
  const [service, operation] = partsOf(action);
  return deniedToClones.map(partsOf).some(([of, denied]) => matchesGlob(of, service) && (denied === '*' || matchesGlob(denied, operation)));
}

function leavesOutDenied(notAction: readonly string[]): boolean {
  const patterns = notAction.map(partsOf);
  return deniedToClones
    .map(partsOf)
    .every(([of, denied]) =>
      patterns.some(
        ([service, operation]) => matchesGlob(of, service) && (denied === '*' ? /^\*+$/.test(operation) : matchesGlob(denied, operation)),
      ),
    );
}

/** `iam:Get*` → iam, get*. Actions are not case-sensitive; `*` alone is every action of every service. */
function partsOf(action: string): readonly [service: string, operation: string] {
  const [service = '*', operation = '*'] = action.toLowerCase().split(':', 2);
  return [service, operation];
}

/**
 * Whether a document (a policy, a grant) tells the role from its clone: it names one of them by ARN, ARN pattern,
 * session or unique id, and not the other. A pattern that fits both (`*`, a whole account) makes no difference.
 */
export function namesRole(document: string, source: Pick<SourceRole, 'arn' | 'id'>, clone: Pick<Clone, 'arn'>): boolean {
  const [old, made] = [source.arn, clone.arn].map((arn) => [
    arn,
    arn
      .replace(':iam:', ':sts:')
      .replace(/:role\/(?:.*\/)?/, ':assumed-role/')
      .concat('/session'),
  ]);
  const fits = (names: readonly string[] | undefined, pattern: string) =>
    names?.some((name) => matchesGlob(name.toLowerCase(), pattern)) === true;
  return textsIn(parsed(document)).some((text) => {
    const pattern = text.toLowerCase();
    if (pattern.includes(source.id.toLowerCase())) return true;
    if (pattern.includes(`:assumed-role/${roleName(source.arn).toLowerCase()}/`)) return true;
    return fits(old, pattern) !== fits(made, pattern);
  });
}

function parsed(document: string): unknown {
  try {
    return JSON.parse(document);
  } catch (cause) {
    throw new PolicyUnreadable('the document is not JSON', { cause });
  }
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
