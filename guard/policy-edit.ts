import { isDeepStrictEqual } from 'node:util';
import { partitionOf, qualifiedName } from './arn.ts';
import { namedIn, type Trust } from './policy-conditions.ts';
import type { PublicGrant } from './policy-document.ts';
import type { CallStep } from './rule.ts';
import type { Subject } from './subject.ts';

/** A function's policy as Lambda returns it. */
export interface ReadPolicy {
  readonly Policy?: string | undefined;
  readonly RevisionId?: string | undefined;
}

/** A statement as it is written, in whatever form. */
type Raw = Readonly<Record<string, unknown>>;

/** The steps that take grants out of a policy, or why there are none. */
export type PolicyFix = { readonly steps: readonly CallStep[] } | { readonly steps: readonly []; readonly refused: string };

/**
 * One step that takes grants out of the policy of a function, version or alias, and leaves all else of it as it is. It is bound to
 * the revision that was read: what somebody else writes meanwhile is not written over. Undo puts back the text that was read.
 *
 * - Whoever is outside goes; who is inside and stands in the same statement stays.
 * - A service that names no source stays, on behalf of the accounts inside, where it is known how it names its sources.
 * - Where one whole statement goes that has a Sid, RemovePermission takes it out; where none is left, the policy goes.
 */
export function policyFix(
  subject: Subject,
  { Policy = '', RevisionId }: ReadPolicy,
  grants: readonly PublicGrant[],
  trust: Trust,
): PolicyFix {
  if (grants.length === 0) return { steps: [] };
  const document = JSON.parse(Policy) as Raw;
  const statements = [document['Statement']].flat() as readonly Raw[];
  if (statements.some(namesDeleted)) {
    return refusal(
      `The policy of ${subject.arn} names a principal that was deleted, and Lambda takes no such policy back: take that out first.`,
    );
  }
  const edited = statements.map((raw, index): readonly Raw[] | string => {
    const grant = grants.find((one) => one.index === index);
    return grant === undefined ? [raw] : without(raw, grant, subject, trust);
  });
  const refused = edited.find((one) => typeof one === 'string');
  if (refused !== undefined) return refusal(refused);
  const left = numbered(edited as readonly (readonly Raw[])[]);
  const { FunctionName, Qualifier } = qualifiedName(subject.arn);
  const undo = [{ call: 'restoreResourcePolicy', input: { ResourceArn: subject.arn, Policy } }];
  const sid = onlyStatementGone(statements, edited as readonly (readonly Raw[])[]);
  if (sid !== undefined) {
    const named = Qualifier === undefined ? { FunctionName } : { FunctionName, Qualifier };
    return { steps: [{ call: 'removePermission', input: { ...named, StatementId: sid, RevisionId }, undo }] };
  }
  const bound = { ResourceArn: subject.arn, RevisionId };
  if (left.length === 0) return { steps: [{ call: 'deleteResourcePolicy', input: bound, undo }] };
  const text = JSON.stringify({ ...document, Statement: left });
  return { steps: [{ call: 'putResourcePolicy', input: { ...bound, Policy: text }, undo }] };
}

function refusal(refused: string): PolicyFix {
  return { steps: [], refused };
}

/**
 * Of a principal that is deleted a policy shows the unique id, which no new policy may name.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
 */
function namesDeleted({ Principal, NotPrincipal }: Raw): boolean {
  return [Principal, NotPrincipal].some((principals) =>
    valuesOf(principals, 'AWS').some((value) => /^A(IDA|ROA)[A-Z0-9]{12,}$/.test(value)),
  );
}

function valuesOf(principals: unknown, kind: string): readonly string[] {
  if (typeof principals !== 'object' || principals === null) return [];
  return [(principals as Readonly<Record<string, string | readonly string[]>>)[kind] ?? []].flat();
}

/** What is left of a statement without the outsiders that it lets in, or why that cannot be told. */
function without(raw: Raw, { sid, outsiders, statement }: PublicGrant, subject: Subject, trust: Trust): readonly Raw[] | string {
  const named = namedIn(statement.Condition, trust);
  const services = outsiders.filter(({ kind }) => kind === 'Service').map(({ value }) => value);
  if (named.inside && (named.outside || services.length < outsiders.length)) {
    return `The conditions of the statement ${sid} name somebody inside as well, who would be shut out with the others: edit the policy of ${subject.arn} by hand.`;
  }
  const rest = remaining(raw, outsiders);
  const kept: Raw[] = rest === undefined ? [] : [{ ...raw, Principal: rest }];
  if (named.outside) return kept;
  const scopes = new Map<string, { readonly scope: Scope; readonly services: string[] }>();
  for (const service of services) {
    const scope = scopeOf(service, subject, trust);
    if (scope === undefined) {
      return `Which sources of ${service} the statement ${sid} is meant for is not known: add a condition on aws:SourceArn or aws:SourceAccount to it by hand.`;
    }
    const name = JSON.stringify(scope);
    scopes.set(name, { scope, services: [...(scopes.get(name)?.services ?? []), service] });
  }
  const scoped = [...scopes.values()].map(({ scope, services: [first, ...more] }) => {
    const Condition = withScope(raw['Condition'], scope);
    return Condition === undefined
      ? undefined
      : { ...raw, Principal: { Service: more.length === 0 ? first : [first, ...more] }, Condition };
  });
  if (scoped.includes(undefined)) {
    return `The statement ${sid} has a condition on its source already, which lets everybody in: edit the policy of ${subject.arn} by hand.`;
  }
  return [...kept, ...(scoped as readonly Raw[])];
}

/** The principals of a statement that are left without some, as they are written; undefined where nobody is. */
function remaining({ Principal }: Raw, outsiders: PublicGrant['outsiders']): Raw | undefined {
  if (typeof Principal !== 'object' || Principal === null) return undefined;
  const kinds = Object.entries(Principal as Raw).flatMap(([kind, values]) => {
    const left = ([values].flat() as readonly string[]).filter(
      (value) => !outsiders.some((one) => one.kind === kind && one.value === value),
    );
    return left.length === 0 ? [] : [[kind, Array.isArray(values) ? left : values]];
  });
  return kinds.length === 0 ? undefined : Object.fromEntries(kinds);
}

/** A condition that only sources inside meet. */
interface Scope {
  readonly operators: readonly string[];
  readonly key: string;
  readonly values: readonly string[];
}

/**
 * By what services say for whom they call, as AWS documents it for their function policies: the account, or where only the ARN of a
 * source is documented, everything of that service in the account.
 * https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html (SourceAccount, SourceArn)
 * https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-services.html
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html
 */
const sources = new Map<string, 'account' | { readonly arnsOf: string }>([
  ...['s3', 'ses', 'config', 'secretsmanager'].map((service) => [service, 'account'] as const),
  ...['sns', 'events', 'logs', 'iot', 'cognito-idp', 'elasticloadbalancing'].map((service) => [service, { arnsOf: service }] as const),
  ['apigateway', { arnsOf: 'execute-api' }] as const,
]);

function scopeOf(principal: string, { region }: Subject, { account, trustedAccounts }: Trust): Scope | undefined {
  const source = sources.get(principal.replace(/\.amazonaws\.com(\.cn)?$/, ''));
  const accounts = [account, ...trustedAccounts];
  if (source === undefined) return undefined;
  if (source === 'account') return { operators: ['StringEquals'], key: 'aws:SourceAccount', values: accounts };
  const values = accounts.map((one) => `arn:${partitionOf(region)}:${source.arnsOf}:*:${one}:*`);
  // The two mean the same: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
  return { operators: ['ArnLike', 'ArnEquals'], key: 'aws:SourceArn', values };
}

/** Conditions with one more, beside those that are there; undefined where one on the same key is in its place. */
function withScope(block: unknown, { operators, key, values }: Scope): Raw | undefined {
  const conditions = (block ?? {}) as Readonly<Record<string, Raw>>;
  for (const operator of operators) {
    const written = Object.keys(conditions).find((one) => one.toLowerCase() === operator.toLowerCase()) ?? operator;
    const keys = conditions[written] ?? {};
    if (Object.keys(keys).some((one) => one.toLowerCase() === key.toLowerCase())) continue;
    return { ...conditions, [written]: { ...keys, [key]: values.length === 1 ? values[0] : values } };
  }
  return undefined;
}

/** What was split off a statement gets a Sid of its own: the next number behind the old one. */
function numbered(edited: readonly (readonly Raw[])[]): readonly Raw[] {
  const taken = new Set(edited.flat().map(({ Sid }) => Sid));
  return edited.flatMap(([first, ...more]) => {
    if (first === undefined) return [];
    const split = more.map((statement) => {
      const { Sid } = statement;
      if (typeof Sid !== 'string' || Sid === '') return statement;
      let number = 2;
      while (taken.has(`${Sid}${number}`)) number += 1;
      taken.add(`${Sid}${number}`);
      return { ...statement, Sid: `${Sid}${number}` };
    });
    return [first, ...split];
  });
}

/** The Sid of the only statement that goes, where all others stay as they are and none shares it. */
function onlyStatementGone(statements: readonly Raw[], edited: readonly (readonly Raw[])[]): string | undefined {
  const changed = statements.flatMap((raw, index) => (isDeepStrictEqual(edited[index], [raw]) ? [] : [{ raw, left: edited[index] ?? [] }]));
  const [first, ...more] = changed;
  const sid = first?.raw['Sid'];
  if (first === undefined || more.length > 0 || first.left.length > 0 || typeof sid !== 'string') return undefined;
  return statements.filter(({ Sid }) => Sid === sid).length === 1 && /^[\w-]+$/.test(sid) ? sid : undefined;
}
