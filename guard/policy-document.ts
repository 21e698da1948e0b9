import { matchesGlob, parseArn } from './arn.ts';
import { allOf, alwaysMet, anyOf, type Caller, isInside, type Judgement, judgeConditions, type Trust } from './policy-conditions.ts';
import { type NamedStatement, PolicyUnreadable, type Principals, readPolicy, readStatements, type Statement } from './policy-grammar.ts';

export type { Trust } from './policy-conditions.ts';
export { PolicyUnreadable, readPolicy, type Statement } from './policy-grammar.ts';

export interface PublicAccess {
  readonly verdict: 'public' | 'restricted' | 'unknown';
  /** The Sids of the statements that make it so, or `#` and their index where they have none. Empty where the document is not understood at all. */
  readonly statements: readonly string[];
}

/**
 * Whether the policy of a resource lets anybody outside in: everyone, an account that is not trusted, or a service on behalf of
 * whoever asks it to (the confused deputy). `unknown` is what is not understood; it is never safe. Role trust policies need no
 * source of a service, because iam:PassRole guards those: ask something else about their services.
 *
 * @param document the parsed JSON or its text; undefined or '' where there is no policy
 *
 * - A grant may be kept in by its conditions: see judgeConditions. Source ranges and VPCs do so as they do for S3.
 * - The same policy may deny what it grants. A Deny counts only where it is certain to cover everyone whom the grant lets in
 *   from outside, every action and every resource of it.
 * - Times count for nothing: a grant that is over, or has not begun, is a grant.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
 * https://docs.aws.amazon.com/config/latest/developerguide/lambda-function-public-access-prohibited.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
 */
export function publicAccess(document: unknown, trust: Trust): PublicAccess {
  let statements: readonly NamedStatement[];
  try {
    statements = readStatements(document);
  } catch (error) {
    if (error instanceof PolicyUnreadable) return { verdict: 'unknown', statements: [] };
    throw error;
  }
  const denials = statements.flatMap(({ statement }) => (statement?.Effect === 'Deny' ? [statement] : []));
  const judged = statements.map(({ sid, statement }) => ({ sid, judgement: statement ? judge(statement, denials, trust) : 'unknown' }));
  const sids = (wanted: Judgement) => judged.flatMap(({ sid, judgement }) => (judgement === wanted ? [sid] : []));
  if (sids('open').length > 0) return { verdict: 'public', statements: sids('open') };
  return { verdict: sids('unknown').length > 0 ? 'unknown' : 'restricted', statements: sids('unknown') };
}

/** Whether a statement lets anybody outside in, and no denial keeps them out. */
function judge(statement: Statement, denials: readonly Statement[], trust: Trust): Judgement {
  if (statement.Effect === 'Deny') return 'closed';
  const callers = statement.Principal === undefined ? [everyone] : callersOf(statement.Principal);
  const left = callers.filter((caller) => !denials.some((denial) => denies(denial, statement, caller, trust)));
  return allOf([anyOf(left.map((caller) => judgeCaller(caller, trust))), judgeConditions(statement.Condition, trust)]);
}

/** What NotPrincipal grants to, whomever it leaves out. */
const everyone: Caller = { kind: '*', value: '*' };

function callersOf(principals: Principals): readonly Caller[] {
  return Object.entries(principals).flatMap(([kind, values]) => values.map((value) => ({ kind, value })));
}

/**
 * The replication of Lambda@Edge has a statement that Lambda adds to the policy itself, for callers who may
 * lambda:EnableReplication*; it names no source.
 * https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-permissions.html
 */
const withoutSource: ReadonlySet<string> = new Set(['replicator.lambda.amazonaws.com']);

/**
 * Whether a principal is somebody outside. No wildcard is a part of a principal's name: AWS does not expand it.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
 */
function judgeCaller({ kind, value }: Caller, trust: Trust): Judgement {
  const { account, resource = '' } = accountOf(value);
  switch (kind) {
    case '*':
      return value === '*' ? 'open' : 'unknown';
    case 'AWS':
      if (value === '*') return 'open';
      // A principal that is deleted: only its unique id is left, which is nobody's again.
      if (/^A(IDA|ROA)[A-Z0-9]{12,}$/.test(value)) return 'closed';
      if (account === undefined) return 'unknown';
      if (isInside(account, trust)) return 'closed';
      return /[*?]/.test(value) ? 'unknown' : 'open';
    case 'Service':
      return withoutSource.has(value) ? 'closed' : 'open';
    case 'Federated':
      // An identity provider for the whole world, such as graph.facebook.com.
      if (!value.startsWith('arn:')) return 'open';
      if (account !== undefined && !isInside(account, trust)) return 'open';
      return resource.startsWith('saml-provider/') ? 'closed' : 'unknown';
    default:
      return 'unknown';
  }
}

/** Whose a principal is, as far as its name tells, and which part of the account. */
function accountOf(value: string): { readonly account?: string; readonly resource?: string } {
  if (/^\d{12}$/.test(value)) return { account: value, resource: 'root' };
  const { account = '', resource = '' } = parseArn(value) ?? {};
  return /^\d{12}$/.test(account) ? { account, resource } : {};
}

/**
 * Whether a Deny takes from a caller outside all that a statement grants. One that says what it does not deny, other than by
 * NotPrincipal, is not looked into: it takes nothing.
 */
function denies(denial: Statement, statement: Statement, caller: Caller, trust: Trust): boolean {
  const { Principal, NotPrincipal = {}, Action = [], Resource = ['*'], NotResource, Condition } = denial;
  const named = Principal
    ? callersOf(Principal).some((denied) => includes(denied, caller))
    : callersOf(NotPrincipal).every((spared) => judgeCaller(spared, trust) === 'closed');
  return (
    named &&
    NotResource === undefined &&
    (statement.Action ?? ['*']).every((action) => Action.some((denied) => covers(denied.toLowerCase(), action.toLowerCase()))) &&
    (statement.Resource ?? ['*']).every((resource) => Resource.some((denied) => coversArn(denied, resource))) &&
    alwaysMet(Condition, caller, trust)
  );
}

/** An account's root names the whole account. Nobody says that {AWS: '*'} is every service as well. */
function includes(denied: Caller, caller: Caller): boolean {
  if (denied.kind !== caller.kind) return denied.kind === '*' && denied.value === '*';
  const { account, resource } = accountOf(denied.value);
  const whole = denied.kind === 'AWS' && resource === 'root' && account === accountOf(caller.value).account;
  return denied.value === '*' || denied.value === caller.value || whole;
}

/** Whether a pattern matches all that another one matches. What `?` stands for is not enough for what `*` stands for. */
function covers(pattern: string, other: string): boolean {
  return pattern === other || (matchesGlob(other, pattern) && !(pattern.includes('?') && other.includes('*')));
}

/** The same of ARNs, in which a wildcard ends at a colon. */
function coversArn(pattern: string, other: string): boolean {
  const [these, those] = [parseArn(pattern), parseArn(other)];
  if (these === undefined || those === undefined) return pattern === '*';
  return (['partition', 'service', 'region', 'account', 'resource'] as const).every((part) => covers(these[part], those[part]));
}

/** Whether a statement speaks of everyone. */
export function isForEveryone({ Principal }: Statement): boolean {
  return Object.entries(Principal ?? {}).some(([kind, values]) => (kind === 'AWS' || kind === '*') && values.includes('*'));
}

/**
 * A statement that grants a function's URL to everyone, and the parameters of AddPermission that make the same one
 * again; without them where AddPermission could not (no Sid, several actions, other principals beside everyone).
 */
export interface PublicUrlStatement {
  /** Empty where it has none. */
  readonly sid: string;
  readonly addPermission: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The statements that let everyone invoke through a function URL: lambda:InvokeFunctionUrl for auth type NONE, and
 * lambda:InvokeFunction for calls that come through the URL.
 * https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
 */
export function publicUrlStatements(document: string | undefined): readonly PublicUrlStatement[] {
  return readPolicy(document).flatMap((statement) => {
    if (statement.Effect !== 'Allow' || !isForEveryone(statement)) return [];
    const conditions = Object.entries(statement.Condition ?? {}).flatMap(([operator, keys]) =>
      Object.entries(keys).map(([key, values]) => ({ operator, key: key.toLowerCase(), values })),
    );
    const action = statement.Action?.length === 1 ? statement.Action[0] : undefined;
    const only = conditions.length === 1 ? conditions[0] : undefined;
    const throughUrl = only?.key === 'lambda:invokedviafunctionurl' && only.values.includes('true');
    const withoutAuth = only?.key === 'lambda:functionurlauthtype' && only.values.includes('NONE');
    if (only === undefined || (!throughUrl && !withoutAuth)) return [];
    const principals = Object.values(statement.Principal ?? {});
    const exact =
      only.values.length === 1 &&
      principals.length === 1 &&
      principals[0]?.length === 1 &&
      statement.Resource?.length === 1 &&
      ((throughUrl && only.operator === 'Bool' && action === 'lambda:InvokeFunction') ||
        (withoutAuth && only.operator === 'StringEquals' && action === 'lambda:InvokeFunctionUrl'));
    const sid = statement.Sid ?? '';
    const parameters = {
      Action: action,
      Principal: '*',
      ...(throughUrl ? { InvokedViaFunctionUrl: true } : { FunctionUrlAuthType: 'NONE' }),
    };
    return [{ sid, addPermission: exact && sid !== '' ? parameters : undefined }];
  });
}
