import { matchesGlob, parseArn } from './arn.ts';
import {
  allOf,
  alwaysMet,
  anyOf,
  asksForPublicUrl,
  type Caller,
  isInside,
  type Judgement,
  judgeConditions,
  type Trust,
} from './policy-conditions.ts';
import { type NamedStatement, PolicyUnreadable, type Principals, readPolicy, readStatements, type Statement } from './policy-grammar.ts';

export type { Caller, Trust } from './policy-conditions.ts';
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
  try {
    const { grants, doubts } = publicGrants(document, trust);
    if (grants.length > 0) return { verdict: 'public', statements: grants.map(({ sid }) => sid) };
    return { verdict: doubts.length > 0 ? 'unknown' : 'restricted', statements: doubts };
  } catch (error) {
    if (error instanceof PolicyUnreadable) return { verdict: 'unknown', statements: [] };
    throw error;
  }
}

/** A statement that lets somebody outside in. */
export interface PublicGrant {
  /** Its Sid, or `#` and its index where it has none. */
  readonly sid: string;
  /** Where it stands in the policy. */
  readonly index: number;
  readonly statement: Statement;
  /** Whom it lets in from outside, as far as no denial keeps them out. */
  readonly outsiders: readonly Caller[];
}

/**
 * The same, statement by statement.
 * @returns `doubts`: the statements that are not understood, named as in PublicAccess
 * @throws PolicyUnreadable where there are no statements to be told apart
 */
export function publicGrants(
  document: unknown,
  trust: Trust,
): { readonly grants: readonly PublicGrant[]; readonly doubts: readonly string[] } {
  const statements = readStatements(document);
  const denials = statements.flatMap(({ statement }) => (statement?.Effect === 'Deny' ? [statement] : []));
  const judged = statements.map((named) => ({ ...named, ...judge(named, denials, trust) }));
  return {
    grants: judged.flatMap(({ sid, statement, judgement, outsiders }, index) =>
      statement !== undefined && judgement === 'open' ? [{ sid, index, statement, outsiders }] : [],
    ),
    doubts: judged.flatMap(({ sid, judgement }) => (judgement === 'unknown' ? [sid] : [])),
  };
}

/** Whether a statement lets anybody outside in, and no denial keeps them out. */
function judge(
  { statement }: NamedStatement,
  denials: readonly Statement[],
  trust: Trust,
): { readonly judgement: Judgement; readonly outsiders: readonly Caller[] } {
  if (statement === undefined) return { judgement: 'unknown', outsiders: [] };
  if (statement.Effect === 'Deny') return { judgement: 'closed', outsiders: [] };
  const callers = statement.Principal === undefined ? [everyone] : callersOf(statement.Principal);
  const left = callers.filter((caller) => !denials.some((denial) => denies(denial, statement, caller, trust)));
  return {
    judgement: allOf([anyOf(left.map((caller) => judgeCaller(caller, trust))), judgeConditions(statement.Condition, trust)]),
    outsiders: left.filter((caller) => judgeCaller(caller, trust) === 'open'),
  };
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
      // Of a principal that is deleted only the unique id is left, which does not tell whose it was.
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
 * With the parameters of AddPermission that make a statement again; without them where AddPermission could not (no Sid,
 * several actions, other principals beside everyone).
 */
export interface PublicUrlStatement {
  readonly addPermission: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Whether a grant lets everyone in through a function URL of auth type NONE, and no other way: lambda:InvokeFunctionUrl for
 * that auth type, and lambda:InvokeFunction for calls that come through a URL. It opens nothing where there is no such URL.
 * https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
 */
export function isOfPublicUrl({ statement }: Pick<PublicGrant, 'statement'>): boolean {
  return isForEveryone(statement) && asksForPublicUrl(statement.Condition);
}

/**
 * The statements of a function's policy that let everyone in through its URL (see isOfPublicUrl); whoever else stands in them
 * is not among their outsiders.
 * @throws PolicyUnreadable where there are none, but statements that are not understood
 */
export function publicUrlStatements(document: string | undefined, trust: Trust): readonly (PublicGrant & PublicUrlStatement)[] {
  const open = publicGrants(document, trust).grants.filter(isOfPublicUrl);
  if (open.length === 0) readPolicy(document);
  return open.map((grant) => ({
    ...grant,
    outsiders: grant.outsiders.filter(({ value }) => value === '*'),
    addPermission: addPermissionOf(grant.statement),
  }));
}

function addPermissionOf({
  Sid = '',
  Principal = {},
  Action = [],
  Resource = [],
  Condition = {},
}: Statement): PublicUrlStatement['addPermission'] {
  const conditions = Object.entries(Condition).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, values]) => `${operator} ${key.toLowerCase()} ${values.join()}`),
  );
  const single = Sid !== '' && Object.values(Principal).flat().length === 1 && Action.length === 1 && Resource.length === 1;
  if (!single || conditions.length !== 1) return undefined;
  const [[action], [condition]] = [Action, conditions];
  const made = { Action: action, Principal: '*' };
  if (action === 'lambda:InvokeFunctionUrl' && condition === 'StringEquals lambda:functionurlauthtype NONE')
    return { ...made, FunctionUrlAuthType: 'NONE' };
  if (action === 'lambda:InvokeFunction' && condition === 'Bool lambda:invokedviafunctionurl true')
    return { ...made, InvokedViaFunctionUrl: true };
  return undefined;
}
