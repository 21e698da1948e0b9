import { matchesGlob } from './arn.ts';
import { readPolicy, type Statement } from './policy-document.ts';

/** Who asks a key for what, on behalf of a function of this account. */
export interface KeyUse {
  /** `kms:Decrypt` */
  readonly action: string;
  /** The ARN of a role; left out: anybody whom IAM allows it. */
  readonly principal?: string;
  readonly account: string;
  readonly region: string;
}

/**
 * What a key's policy says of a use through Lambda:
 * - `named`: it allows it by itself
 * - `delegated`: it leaves that to IAM, as the policy that AWS makes for a new key does
 * - `closed`: neither, or something in it may speak against it
 *
 * A condition that is not known to be met here allows nothing, and a Deny that may apply denies.
 * https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
 * @throws PolicyUnreadable where it is no policy
 */
export function keyAccess(policy: string | undefined, use: KeyUse): 'named' | 'delegated' | 'closed' {
  const statements = readPolicy(policy).filter((statement) => covers(statement, use.action));
  if (statements.some((statement) => statement.Effect === 'Deny' && mayMean(statement, use))) return 'closed';
  const allowed = statements.filter((statement) => statement.Effect === 'Allow' && isMet(statement, use));
  const principals = allowed.flatMap(awsPrincipals);
  if (principals.some((one) => one === '*' || (use.principal !== undefined && one === use.principal))) return 'named';
  return principals.some((one) => one === use.account || isRoot(one, use.account)) ? 'delegated' : 'closed';
}

/** Whether a statement may be about an action; an Allow has to say so. */
function covers({ Effect, Action = [], NotAction }: Statement, action: string): boolean {
  if (NotAction !== undefined) return Effect === 'Deny';
  return Action.some((pattern) => matchesGlob(action.toLowerCase(), pattern.toLowerCase()));
}

/** Whether a Deny may mean the principal: only a list of others surely does not. */
function mayMean({ Principal }: Statement, { principal, account }: KeyUse): boolean {
  if (Principal === undefined || principal === undefined) return true;
  return awsPrincipals({ Principal }).some((one) => one === '*' || one === principal || one === account || isRoot(one, account));
}

function awsPrincipals({ Principal = {} }: Pick<Statement, 'Principal'>): readonly string[] {
  const { AWS = [], '*': everybody = [] } = Principal as Readonly<Record<string, readonly string[]>>;
  return [...AWS, ...everybody];
}

function isRoot(principal: string, account: string): boolean {
  return new RegExp(`^arn:[a-z-]+:iam::${account}:root$`).test(principal);
}

/** Conditions that hold for whatever Lambda does with a key on behalf of somebody of this account. */
function isMet({ Condition = {}, NotPrincipal }: Statement, { action, account, region }: KeyUse): boolean {
  if (NotPrincipal !== undefined) return false;
  const service = `lambda.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  const held: Readonly<Record<string, (value: string) => boolean>> = {
    'kms:viaservice': (value) => matchesGlob(service, value),
    'kms:calleraccount': (value) => value === account,
    'aws:principalaccount': (value) => value === account,
    'kms:grantisforawsresource': (value) => action === 'kms:CreateGrant' && value === 'true',
  };
  return Object.entries(Condition).every(
    ([operator, keys]) =>
      /^(StringEquals|StringLike|Bool)$/.test(operator) &&
      Object.entries(keys).every(([key, values]) => values.some((value) => held[key.toLowerCase()]?.(value) ?? false)),
  );
}
