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

/**
 * The statements of a policy, with single values made lists. IAM returns documents URL-encoded; both forms are read.
 * @throws PolicyUnreadable where the text is no policy: what cannot be read is never taken for safe
 */
export function readPolicy(document: string | undefined): readonly Statement[] {
  if (document === undefined || document === '') return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(document.startsWith('%7B') ? decodeURIComponent(document) : document);
  } catch (cause) {
    throw new PolicyUnreadable('the policy is not JSON', { cause });
  }
  const read = policyDocument.safeParse(parsed);
  if (!read.success) throw new PolicyUnreadable('the policy does not follow the policy grammar', { cause: read.error });
  return read.data.Statement;
}

export class PolicyUnreadable extends Error {
  override readonly name = 'PolicyUnreadable';
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
