import { matchesGlob, parseArn } from './arn.ts';
import { publicAccess } from './policy-document.ts';
import { readStatements, type Statement } from './policy-grammar.ts';

/** Who may assume a role without being somebody outside. */
export interface Allowed {
  /** The account of the role. */
  readonly account: string;
  readonly trustedAccounts: readonly string[];
  readonly organization?: string | undefined;
  /** Service principals, without a region in their names (`states.amazonaws.com`). */
  readonly services: readonly string[];
}

/** A principal that should not be able to assume a role. */
export interface Opening {
  /** The statement's index in the document. */
  readonly statement: number;
  /** As in the grammar of policies: `AWS`, `Service`, `Federated`, `*`; or `NotPrincipal`, which names whom it leaves out. */
  readonly kind: string;
  readonly principal: string;
  /** Who that is, as the end of "may be assumed by …". */
  readonly who: string;
}

/** Operations that give out a role's credentials. */
const assuming = ['sts:assumerole', 'sts:assumerolewithsaml', 'sts:assumerolewithwebidentity'];

/**
 * The principals in a trust policy that should not be there, and those of which it cannot be told (`unclear`, as text).
 *
 * - A service needs no source, as it would in the policy of a resource: whoever has it use the role needs iam:PassRole for it.
 *   It has to be one of those that functions have business with.
 * - An external id keeps an account from using the role for somebody else, so it counts for an account that is named, and for
 *   nothing where everyone is.
 * - Of a web identity provider whoever it knows may come, unless the subject (or for providers that AWS knows by name, the
 *   audience) is limited.
 *
 * @throws PolicyUnreadable where there are no statements to be told apart
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
 */
export function openingsOf(
  document: string,
  allowed: Allowed,
): { readonly openings: readonly Opening[]; readonly unclear: readonly string[] } {
  const statements = readStatements(document);
  const denials = statements.flatMap(({ statement }) => (statement?.Effect === 'Deny' ? [statement] : []));
  const openings: Opening[] = [];
  const unclear: string[] = [];
  for (const [index, { sid, statement }] of statements.entries()) {
    if (statement === undefined) unclear.push(`the statement ${sid}`);
    if (statement?.Effect !== 'Allow' || !assumes(statement)) continue;
    const { NotPrincipal, Principal = {} } = statement;
    if (NotPrincipal !== undefined) {
      const principal = Object.values(NotPrincipal).flat().join(', ');
      openings.push({ statement: index, kind: 'NotPrincipal', principal, who: `everyone but ${principal}` });
    }
    for (const [kind, values] of Object.entries(Principal)) {
      for (const principal of values) {
        const verdict = judge(kind, principal, statement, denials, allowed);
        if (verdict === 'unclear') unclear.push(`${kind} ${principal}`);
        else if (verdict !== 'closed') openings.push({ statement: index, kind, principal, who: verdict.who });
      }
    }
  }
  return { openings, unclear };
}

function assumes({ Action, NotAction = [] }: Statement): boolean {
  const named = (patterns: readonly string[]) =>
    assuming.filter((action) => patterns.some((pattern) => matchesGlob(action, pattern.toLowerCase())));
  return Action === undefined ? named(NotAction).length < assuming.length : named(Action).length > 0;
}

type Verdict = 'closed' | 'unclear' | { readonly who: string };

function judge(kind: string, principal: string, statement: Statement, denials: readonly Statement[], allowed: Allowed): Verdict {
  if (kind === 'Service') {
    const name = principal.replace(/\.[a-z]{2}(-[a-z]+)+-\d(?=\.amazonaws\.com)/, '').replace(/\.cn$/, '');
    return allowed.services.includes(name) ? 'closed' : { who: `the service ${principal}, which is none that functions work with` };
  }
  if (kind === 'Federated' && !/:saml-provider\//.test(principal)) return judgeWebIdentity(principal, statement);
  if (isDeleted(principal)) return 'closed';
  const isNamed = kind === 'AWS' && principal !== '*';
  if (isNamed && valuesOf(statement, 'sts:ExternalId').some((value) => !/[*?]/.test(value))) return 'closed';
  const alone = { ...without(statement, 'sts:ExternalId'), Principal: { [kind]: [principal] } };
  const { verdict } = publicAccess({ Statement: [alone, ...denials] }, allowed);
  if (verdict === 'restricted') return 'closed';
  if (verdict === 'unknown') return 'unclear';
  if (kind === 'Federated') return { who: `the identity provider ${principal} of another account` };
  return { who: isNamed ? `${principal} of another account, under no condition that limits it` : 'everyone with an AWS account' };
}

function judgeWebIdentity(principal: string, statement: Statement): Verdict {
  const { resource = '' } = parseArn(principal) ?? {};
  const provider = resource.replace(/^oidc-provider\//, '');
  // The audience of a provider that AWS knows by name is somebody's own application; in IAM's own providers it is given anyway.
  const keys = provider === '' ? ['aud', 'app_id'].map((key) => `${principal}:${key}`) : [`${provider}:sub`];
  const isLimited = keys.some((key) => {
    const values = valuesOf(statement, key);
    // Before a wildcard there has to be more than the kind of a subject (`repo:*`).
    return values.length > 0 && values.every((value) => /^[^*?]+$|^[^*?:]*:[^*?]/.test(value));
  });
  return isLimited ? 'closed' : { who: `whoever logs in at ${provider || principal}` };
}

/** What a key has to be, by a condition that is not met where the key is absent. */
function valuesOf({ Condition = {} }: Statement, key: string): readonly string[] {
  return Object.entries(Condition).flatMap(([operator, block]) =>
    /^(ForAnyValue:)?String(Equals|EqualsIgnoreCase|Like)$/i.test(operator)
      ? Object.entries(block).flatMap(([name, values]) => (name.toLowerCase() === key.toLowerCase() ? values : []))
      : [],
  );
}

function without(statement: Statement, key: string): Statement {
  const blocks = Object.entries(statement.Condition ?? {}).flatMap(([operator, block]) => {
    const rest = Object.entries(block).filter(([name]) => name.toLowerCase() !== key.toLowerCase());
    return rest.length === 0 ? [] : [[operator, Object.fromEntries(rest)] as const];
  });
  return { ...statement, Condition: Object.fromEntries(blocks) };
}

/** A trust policy without some of its principals, and without statements that name nobody any more. */
export function withoutOpenings(document: string, openings: readonly Opening[]): { readonly Statement: readonly RawStatement[] } {
  const parsed = JSON.parse(document) as { readonly Statement: RawStatement | readonly RawStatement[] };
  const Statement = [parsed.Statement].flat().flatMap((statement: RawStatement, index) => {
    const gone = openings.filter((opening) => opening.statement === index);
    if (gone.length === 0) return [statement];
    const { Principal } = statement;
    if (Principal === undefined || typeof Principal === 'string') return [];
    const left = Object.entries(Principal).flatMap(([kind, names]) => {
      const kept = [names].flat().filter((name) => !gone.some((opening) => opening.kind === kind && opening.principal === name));
      if (kept.length === 0) return [];
      return [[kind, kept.length === 1 && typeof names === 'string' ? names : kept] as const];
    });
    return left.length === 0 ? [] : [{ ...statement, Principal: Object.fromEntries(left) }];
  });
  return { ...parsed, Statement };
}

interface RawStatement {
  readonly Effect?: string;
  readonly Principal?: string | Readonly<Record<string, string | readonly string[]>>;
}

/**
 * Ids that stand in a trust policy for users and roles that were deleted. IAM shows them, and takes no document with one.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
 */
export function deletedPrincipals(document: string): readonly string[] {
  return readStatements(document).flatMap(({ statement }) =>
    [statement?.Principal, statement?.NotPrincipal].flatMap((principals) =>
      Object.values(principals ?? {})
        .flat()
        .filter(isDeleted),
    ),
  );
}

/** The id is nobody's again. */
function isDeleted(principal: string): boolean {
  return /^A(IDA|ROA)[A-Z0-9]{12,}$/.test(principal);
}
