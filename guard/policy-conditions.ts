import ipaddr from 'ipaddr.js';
import { coversHalfOfTheInternet } from './network.ts';
import type { Statement } from './policy-grammar.ts';

/** Who counts as inside. */
export interface Trust {
  /** The account that the resource belongs to. */
  readonly account: string;
  /** Ids of further accounts that count as inside. */
  readonly trustedAccounts: readonly string[];
  /** The id of the organization whose members count as inside (`o-…`), where it is known. */
  readonly organization?: string | undefined;
}

/** Whether something lets anybody outside through. `unknown`: it is not understood. */
export type Judgement = 'open' | 'closed' | 'unknown';

/** Several ways in: one that is open is enough. */
export function anyOf(ways: readonly Judgement[]): Judgement {
  return ways.find((way) => way === 'open') ?? ways.find((way) => way === 'unknown') ?? 'closed';
}

/** Several hurdles, all to be taken: one that nobody outside takes is enough. */
export function allOf(hurdles: readonly Judgement[]): Judgement {
  return hurdles.find((hurdle) => hurdle === 'closed') ?? hurdles.find((hurdle) => hurdle === 'unknown') ?? 'open';
}

/**
 * What the value of a condition key tells of a caller.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
 */
type Kind =
  | 'account'
  | 'organization'
  | 'path' // in an organization: `o-…/r-…/ou-…/`
  | 'arn' // of something that lies in an account
  | 'name' // that AWS gives to one thing in the world, or that nobody else can know
  | 'unique-id' // of a principal
  | 'range' // of public addresses
  | 'nothing'; // of where somebody belongs: whoever is outside can have it so

const aws = (...keys: readonly string[]) => keys.map((key) => `aws:${key.toLowerCase()}`);

const keys: Readonly<Record<Kind, readonly string[]>> = {
  account: [...aws('PrincipalAccount', 'SourceAccount', 'SourceOwner', 'VpceAccount'), 'kms:calleraccount'],
  organization: aws('PrincipalOrgID', 'SourceOrgID', 'VpceOrgID'),
  path: aws('PrincipalOrgPaths', 'SourceOrgPaths', 'VpceOrgPaths'),
  arn: [...aws('PrincipalArn', 'SourceArn'), 'lambda:sourcefunctionarn', 'ec2:sourceinstancearn'],
  // The token of a skill: https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html (EventSourceToken). VPCs and
  // endpoints: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html (The meaning of "public").
  name: [...aws('SourceVpc', 'SourceVpce', 'Ec2InstanceSourceVpc'), 'lambda:eventsourcetoken'],
  'unique-id': aws('userid'),
  range: aws('SourceIp'),
  nothing: [
    // What the caller says, owns or does. Addresses in a VPC are everybody's, and a service serves whoever asks it to.
    ...aws('CalledVia', 'CalledViaFirst', 'CalledViaLast', 'ViaAWSService', 'PrincipalIsAWSService', 'PrincipalServiceName'),
    ...aws('PrincipalServiceNamesList', 'PrincipalTag', 'PrincipalType', 'username', 'SourceIdentity', 'TokenIssueTime'),
    ...aws('MultiFactorAuthAge', 'MultiFactorAuthPresent', 'VpcSourceIp', 'Ec2InstanceSourcePrivateIPv4', 'Referer', 'UserAgent'),
    ...aws('CurrentTime', 'EpochTime', 'SecureTransport', 'RequestedRegion', 'RequestTag', 'TagKeys'),
    // What the resource is. The auth type says how a URL's callers are known, not who they are.
    ...aws('ResourceAccount', 'ResourceOrgID', 'ResourceOrgPaths', 'ResourceTag'),
    ...['lambda:functionurlauthtype', 'lambda:invokedviafunctionurl', 'lambda:functionarn', 'kms:viaservice'],
  ],
};

const kinds: ReadonlyMap<string, Kind> = new Map(
  (Object.keys(keys) as Kind[]).flatMap((kind) => keys[kind].map((key) => [key, kind] as const)),
);

/** Tags have their names behind a slash. */
const kindOf = (key: string) => kinds.get(key.replace(/^(aws:(?:principal|request|resource)tag)\/.+$/s, '$1'));

/** How an operator compares. Wildcards are characters like others in `exact`; in `arn` they end at the colons. */
type Comparison = 'exact' | 'like' | 'arn' | 'address' | 'boolean' | 'other' | 'absence';

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
const comparisons: ReadonlyMap<string, Comparison> = new Map([
  ...['equals', 'equalsignorecase'].map((name) => [`string${name}`, 'exact'] as const),
  ['stringlike', 'like'],
  ...['equals', 'like'].map((name) => [`arn${name}`, 'arn'] as const),
  ['ipaddress', 'address'],
  ['bool', 'boolean'],
  ['binaryequals', 'other'],
  ...['equals', 'lessthan', 'lessthanequals', 'greaterthan', 'greaterthanequals'].flatMap((name) =>
    ['numeric', 'date'].map((type) => [`${type}${name}`, 'other'] as const),
  ),
  ['null', 'absence'],
]);

interface Condition {
  /** In lower case: AWS takes keys in any. */
  readonly key: string;
  /** Undefined where the operator is none of AWS's. */
  readonly comparison: Comparison | undefined;
  /** True where any value but those given will do, and none at all. */
  readonly negated: boolean;
  readonly set: string | undefined;
  readonly ifExists: boolean;
  readonly values: readonly string[];
}

function conditionsOf(block: Statement['Condition'] = {}): readonly Condition[] {
  return Object.entries(block).flatMap(([operator, conditions]) => {
    const [, set, name = '', suffix] = /^(?:(forallvalues|foranyvalue):)?(.*?)(ifexists)?$/s.exec(operator.toLowerCase()) ?? [];
    const plain = name.replace(/^(?:(string|arn|numeric|date)not(equals|equalsignorecase|like)|not(ipaddress))$/, '$1$2$3');
    const ifExists = suffix !== undefined;
    const comparison = plain === 'null' && (ifExists || set !== undefined) ? undefined : comparisons.get(plain);
    return Object.entries(conditions).map(([key, values]) => {
      return { key: key.toLowerCase(), comparison, negated: plain !== name, set, ifExists, values };
    });
  });
}

/**
 * Whether anybody outside meets all conditions of a statement. What is not understood does not count as met, nor as a
 * hurdle. A negated operator keeps out only whom it names. An absent key passes `…IfExists` and `ForAllValues`, which so keep
 * nobody out, unless the key is always there or a `Null` asks for it.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
 */
export function judgeConditions(block: Statement['Condition'], trust: Trust): Judgement {
  const conditions = conditionsOf(block);
  const asked = conditions.filter(({ comparison, values }) => comparison === 'absence' && values.join() === 'false').map(({ key }) => key);
  const present = new Set(['aws:principalaccount', ...asked]);
  return allOf(
    conditions.map((condition) => {
      const { key, comparison, negated, set, ifExists } = condition;
      if (comparison === undefined || kindOf(key) === undefined) return 'unknown';
      if (comparison === 'absence' || negated) return 'open';
      if ((ifExists || set === 'forallvalues') && !present.has(key)) return 'open';
      return judgeValues(condition, trust);
    }),
  );
}

/** Whether the conditions of a statement can be met by nobody but who comes through a function URL, and are for auth type NONE. */
export function asksForPublicUrl(block: Statement['Condition']): boolean {
  return conditionsOf(block).some(({ key, comparison, negated, set, ifExists, values }) => {
    if (negated || ifExists || set === 'forallvalues') return false;
    if (key === 'lambda:invokedviafunctionurl') return comparison === 'boolean' && values.includes('true');
    return key === 'lambda:functionurlauthtype' && (comparison === 'exact' || comparison === 'like') && values.includes('NONE');
  });
}

/**
 * Whether conditions name somebody: an account, an organization or a resource of either. A wildcard names nobody, nor does an
 * ARN without an account.
 */
export function namedIn(block: Statement['Condition'], trust: Trust): { readonly inside: boolean; readonly outside: boolean } {
  const judgements = conditionsOf(block).flatMap(({ key, comparison, negated, values }) => {
    const kind = kindOf(key);
    if (negated || comparison === undefined || kind === undefined || kind === 'nothing' || kind === 'range') return [];
    return values.flatMap((value) => (/[*?]|^$/.test(whose(kind, value)) ? [] : [judgeValue[kind](value, comparison, trust)]));
  });
  return { inside: judgements.includes('closed'), outside: judgements.includes('open') };
}

/** The part of a value that tells whose something is. */
function whose(kind: Kind, value: string): string {
  if (kind === 'arn') return value.split(':')[4] ?? '';
  return kind === 'path' ? value.split('/', 1).join() : value;
}

/** The principal that a statement lets in: a `kind` as in the policy grammar, and one of its values. */
export interface Caller {
  readonly kind: string;
  readonly value: string;
}

/**
 * Whether the conditions of a Deny are met by every request that a caller outside can make: they are negated, and leave out
 * only what nobody outside has. An absent key meets a negated condition, but none with `ForAnyValue`. Direct calls of a
 * service are told from others by aws:PrincipalIsAWSService.
 */
export function alwaysMet(block: Statement['Condition'], { kind, value }: Caller, trust: Trust): boolean {
  return conditionsOf(block).every((condition) => {
    const { key, comparison, negated, set, values } = condition;
    const known = kind === 'Service' || (kind === 'AWS' && value !== '*');
    if (known && key === 'aws:principalisawsservice' && comparison === 'boolean') {
      return values.join() === String(kind === 'Service');
    }
    const everyValue = kindOf(key) === 'path' ? set === 'forallvalues' : set !== 'foranyvalue';
    return negated && everyValue && judgeValues(condition, trust) === 'closed';
  });
}

/** Whether anybody outside has one of the values of a key. */
function judgeValues({ key, comparison, values }: Condition, trust: Trust): Judgement {
  const kind = kindOf(key);
  if (values.length === 0 || kind === undefined || comparison === undefined) return 'unknown';
  if (kind === 'nothing') return 'open';
  if (kind === 'range') return comparison === 'address' ? judgeRanges(values) : 'unknown';
  if (comparison === 'exact' || comparison === 'like' || (comparison === 'arn' && kind === 'arn')) {
    return anyOf(values.map((value) => judgeValue[kind](value, comparison, trust)));
  }
  return 'unknown';
}

/** Of a value whose wildcards leave open what counts. Where they are no wildcards nothing equals it: a slip of the pen. */
const undecided = (comparison: Comparison): Judgement => (comparison === 'exact' ? 'unknown' : 'open');

const judgeValue: Readonly<Record<Exclude<Kind, 'nothing' | 'range'>, (value: string, comparison: Comparison, trust: Trust) => Judgement>> =
  {
    account(value, comparison, trust) {
      if (/^\d{12}$/.test(value)) return isInside(value, trust) ? 'closed' : 'open';
      if (/^\$\{aws:ResourceAccount\}$/i.test(value)) return 'closed';
      if (value.includes('${')) return 'unknown';
      if (/[*?]/.test(value)) return undecided(comparison);
      return value === 'anonymous' ? 'open' : 'unknown';
    },

    organization(value, comparison, { organization }) {
      if (/^\$\{aws:ResourceOrgID\}$/i.test(value)) return 'closed';
      if (value.includes('${')) return 'unknown';
      if (/[*?]/.test(value)) return undecided(comparison);
      if (organization === undefined || !/^o-[a-z0-9]+$/.test(value)) return 'unknown';
      return value === organization ? 'closed' : 'open';
    },

    /** Ids of units are unique in their organization only. */
    path(value, comparison, trust) {
      const end = value.indexOf('/');
      if (end === -1) return /[*?]/.test(value) ? undecided(comparison) : 'unknown';
      return judgeValue.organization(value.slice(0, end), comparison, trust);
    },

    /**
     * The ARN of a bucket names no account, and a bucket may change hands. A wildcard of StringLike reaches over colons: what
     * looks like the account may be part of the name of a resource elsewhere.
     * https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html#cross-service-confused-deputy-prevention
     */
    arn(value, comparison, trust) {
      const own = value.replace(/\$\{aws:ResourceAccount\}/gi, trust.account);
      const [arn = '', partition = '', service = '', region = '', account = '', ...resource] = own.split(':');
      const before = [arn, partition, service, region].join('');
      if (before.includes('$')) return 'unknown';
      if (resource.length === 0) return /[*?]/.test(own) ? undecided(comparison) : 'unknown';
      if (account === '') return 'open';
      if (!/^\d{12}$/.test(account)) return /[*?]/.test(account) ? undecided(comparison) : 'unknown';
      if (!isInside(account, trust)) return 'open';
      return comparison === 'like' && /[*?]/.test(before) ? 'unknown' : 'closed';
    },

    name(value, comparison) {
      if (value === '' || value.includes('${')) return 'unknown';
      return /[*?]/.test(value) ? undecided(comparison) : 'closed';
    },

    /** The id of a root user is that of its account; the ids of other principals do not tell theirs. */
    'unique-id'(value, comparison, trust) {
      if (/^\d{12}$/.test(value)) return judgeValue.account(value, comparison, trust);
      if (/^A[A-Z]{3}[A-Z0-9]{12}/.test(value) || value.includes('${') || !/[*?]/.test(value)) return 'unknown';
      return undecided(comparison);
    },
  };

export function isInside(account: string, trust: Trust): boolean {
  return account === trust.account || trust.trustedAccounts.includes(account);
}

/**
 * Ranges are open where S3 would call them public, and where they make up half of the internet together. A range that is
 * private is nobody's there: aws:SourceIp is a public address.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
 */
function judgeRanges(values: readonly string[]): Judgement {
  const ranges = values
    .map((value) => (ipaddr.IPv4.isValid(value) ? `${value}/32` : ipaddr.IPv6.isValid(value) ? `${value}/128` : value))
    .filter((range) => ipaddr.isValidCIDR(range) && ipaddr.parseCIDR(range)[0].range() !== 'ipv4Mapped');
  const wide = ranges.some((range) => {
    const [address, prefix] = ipaddr.parseCIDR(range);
    return address.kind() === 'ipv4' ? prefix < 8 : prefix < 32 && !(address.range() === 'uniqueLocal' && prefix >= 7);
  });
  if (wide || coversHalfOfTheInternet(ranges)) return 'open';
  return ranges.length === values.length ? 'closed' : 'unknown';
}
