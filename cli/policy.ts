import type { Watch } from '../aws/handle.ts';
import { type AnyCall, iamName, isReading, type Permission } from '../guard/call.ts';
import { deniedAction, errorName } from '../guard/errors.ts';
import { Told } from './plain.ts';
import type { Session } from './session.ts';

/** The operator's credentials lack a permission: the message names it, and holds the policy that they need. */
export class NotAllowed extends Told {
  override readonly name = 'NotAllowed';
}

/**
 * Makes calls with the operator's credentials.
 * @param what what the calls are for, as the first words of a sentence
 * @throws NotAllowed where IAM refuses one of them
 */
export async function asOperator<T>(
  what: string,
  calls: readonly AnyCall[],
  { names }: Pick<Session, 'names'>,
  make: (watch: Watch) => Promise<T>,
): Promise<T> {
  let latest: AnyCall | undefined;
  try {
    return await make((call) => {
      latest = call;
    });
  } catch (error) {
    const action = missingAction(error, latest);
    if (action === undefined) throw error;
    throw new NotAllowed(
      `${what} needs ${action}, which your credentials do not allow. This policy allows all of it:`,
      ...policyOf(calls, names).split('\n'),
    );
  }
}

const denials = /^(AccessDenied(Exception)?|UnauthorizedOperation|AuthorizationError(Exception)?|Forbidden|403)$/;

/** The action that IAM refused, by AWS's own word, or the call that was made where AWS does not tell. */
function missingAction(error: unknown, latest: AnyCall | undefined): string | undefined {
  if (!denials.test(errorName(error))) return undefined;
  return deniedAction(error) ?? (latest === undefined ? 'more' : iamName(latest));
}

/** The IAM policy by which somebody may make these calls in this stack's account. */
export function policyOf(calls: readonly Pick<AnyCall, 'permissions'>[], names: Session['names']): string {
  const actions = new Map<string, string[]>();
  for (const { action, resource, condition } of calls.flatMap(({ permissions }) => permissions)) {
    // A parameter that lists several resources becomes several.
    const resources = [resource].flat().flatMap((one) => filled(one, names).split(','));
    const on = filled(JSON.stringify([resources, condition]), names);
    actions.set(on, [...(actions.get(on) ?? []), action]);
  }
  const Statement = [...actions].map(([on, allowed]) => {
    const [Resource, Condition] = JSON.parse(on) as [readonly string[], Permission['condition'] | null];
    return { Effect: 'Allow', Action: [...new Set(allowed)].sort(), Resource, ...(Condition === null ? {} : { Condition }) };
  });
  return JSON.stringify({ Version: '2012-10-17', Statement }, null, 2);
}

/** With what the variables stand for in this stack. */
function filled(text: string, names: Session['names']): string {
  return text.replace(/\$\{([\w:.]+)\}/g, (whole, name: string) => names[name] || whole);
}

/** The calls among these that change nothing. */
export function readsAmong<Calls extends readonly AnyCall[]>(calls: Calls): Calls {
  return calls.filter(isReading) as readonly AnyCall[] as Calls;
}
