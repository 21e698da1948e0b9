import * as z from 'zod';

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
const oneOrMany = z.union([z.string(), z.array(z.string())]).transform((value) => (typeof value === 'string' ? [value] : value));
const conditionValue = z
  .union([z.string(), z.boolean(), z.number(), z.array(z.union([z.string(), z.boolean(), z.number()]))])
  .transform((value) => (Array.isArray(value) ? value : [value]).map(String));
const principal = z.union([z.literal('*').transform(() => ({ '*': ['*'] })), z.record(z.string(), oneOrMany)]);

const statement = z.looseObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: principal.optional(),
  NotPrincipal: principal.optional(),
  Action: oneOrMany.optional(),
  NotAction: oneOrMany.optional(),
  Resource: oneOrMany.optional(),
  NotResource: oneOrMany.optional(),
  Condition: z.record(z.string(), z.record(z.string(), conditionValue)).optional(),
});

const policyDocument = z.looseObject({
  Statement: z.union([statement, z.array(statement)]).transform((value) => (Array.isArray(value) ? value : [value])),
});

export type Statement = z.output<typeof statement>;
export type Principals = z.output<typeof principal>;

/**
 * The statements of a policy, with single values made lists. IAM returns documents URL-encoded; both forms are read.
 * @throws PolicyUnreadable where the text is no policy: what cannot be read is never taken for safe
 */
export function readPolicy(document: string | undefined): readonly Statement[] {
  if (document === undefined || document === '') return [];
  const parsed = parse(document);
  const read = policyDocument.safeParse(parsed);
  if (!read.success || holdsPrototype(parsed))
    throw new PolicyUnreadable('the policy does not follow the policy grammar', { cause: read.error });
  return read.data.Statement;
}

export class PolicyUnreadable extends Error {
  override readonly name = 'PolicyUnreadable';
}

function parse(document: string): unknown {
  try {
    return JSON.parse(document.startsWith('%7B') ? decodeURIComponent(document) : document);
  } catch (cause) {
    throw new PolicyUnreadable('the policy is not JSON', { cause });
  }
}

/** Whether a key is `__proto__`: records leave that out, and a condition with it. */
function holdsPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(holdsPrototype);
}

const resourceStatement = z.strictObject(statement.shape).refine(isWhole);

/** Whether a statement names principals and actions, one way or the other, and no condition key twice in two cases. */
function isWhole({
  Principal,
  NotPrincipal,
  Action,
  NotAction,
  Resource,
  NotResource,
  Condition = {},
}: z.output<typeof statement>): boolean {
  const names = (principals: Principals | undefined) => principals && Object.values(principals).flat();
  const oneOf = (a: readonly string[] | undefined, b: readonly string[] | undefined) => !(a && b) && (a ?? b ?? []).length > 0;
  const blocks = [Condition, ...Object.values(Condition)].map((block) => Object.keys(block).map((key) => key.toLowerCase()));
  return (
    oneOf(names(Principal), names(NotPrincipal)) &&
    oneOf(Action, NotAction) &&
    !(Resource && NotResource) &&
    blocks.every((keys) => new Set(keys).size === keys.length)
  );
}

/** A statement, by its Sid, or by `#` and its index in the policy where it has none; undefined where it is not understood. */
export interface NamedStatement {
  readonly sid: string;
  readonly statement: Statement | undefined;
}

const anyDocument = z.looseObject({ Statement: z.unknown() });
const named = z.object({ Sid: z.string().min(1) });

/**
 * The statements of a resource's policy one by one, so that none hides behind another that is not understood.
 * @param document the parsed JSON, or its text
 * @throws PolicyUnreadable where there are no statements to be told apart
 */
export function readStatements(document: unknown): readonly NamedStatement[] {
  if (document === undefined || document === '') return [];
  const read = anyDocument.safeParse(typeof document === 'string' ? parse(document) : document);
  if (!read.success || typeof read.data.Statement !== 'object') throw new PolicyUnreadable('the policy has no statements');
  return [read.data.Statement].flat().map((one, index) => {
    const { Sid } = named.safeParse(one).data ?? {};
    return { sid: Sid ?? `#${index}`, statement: holdsPrototype(one) ? undefined : resourceStatement.safeParse(one).data };
  });
}
