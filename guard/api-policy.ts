import { isRecord } from './api-deployment.ts';
import { matchesGlob, type Place, partitionOf } from './arn.ts';
import type { Judgement } from './policy-conditions.ts';
import { isForEveryone, PolicyUnreadable, publicAccess, readPolicy, type Statement } from './policy-document.ts';

/** A method of a REST API on one of its stages. */
export interface StageMethod extends Place {
  readonly api: string;
  readonly stage: string;
  /** `GET`, or `ANY`. */
  readonly verb: string;
  /** As resources have it: `/orders/{id}`. */
  readonly path: string;
}

/**
 * Whether a resource policy lets everyone call a method that asks for no authorization. Nobody is known there: a statement
 * counts only where it is for everyone, and one that asks who the caller is lets nobody in.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
 */
export function judgeAnonymous(policy: unknown, method: StageMethod): Judgement {
  const prefix = `arn:${partitionOf(method.region)}:execute-api:${method.region}:${method.account}:${method.api}/`;
  const path = method.path.replace(/^\//, '').replace(/\{[^}]*\}/g, '*');
  const called = `${prefix}${method.stage}/${method.verb === 'ANY' ? '*' : method.verb}/${path}`;
  const Statement = readPolicy(JSON.stringify(policy)).flatMap((statement) => {
    const whole = (resources: readonly string[] | undefined) => resources?.map((resource) => resource.replace(/^execute-api:\//, prefix));
    const { Effect, Action, NotAction, Resource, NotResource, ...rest } = statement;
    const resource = whole(Resource);
    const others = whole(NotResource);
    if (Effect === 'Deny')
      return [
        {
          ...statement,
          ...(resource === undefined ? {} : { Resource: resource }),
          ...(others === undefined ? {} : { NotResource: others }),
        },
      ];
    const reached =
      resource === undefined ? !(others ?? []).some((one) => matchesGlob(called, one)) : resource.some((one) => globsMeet(one, called));
    if (!reached || !invokes(Action, NotAction) || !isForAnybody(statement)) return [];
    return [{ ...rest, Effect, Action: [invoke], Resource: [called] }];
  });
  const { verdict } = publicAccess({ Version: '2012-10-17', Statement }, { account: method.account, trustedAccounts: [] });
  return verdict === 'public' ? 'open' : verdict === 'restricted' ? 'closed' : 'unknown';
}

const invoke = 'execute-api:Invoke';

function invokes(actions: readonly string[] | undefined, others: readonly string[] | undefined): boolean {
  const names = (patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(invoke.toLowerCase(), pattern.toLowerCase()));
  return actions === undefined ? !names(others ?? []) : names(actions);
}

/** Whether whoever signs nothing can be meant: they have no account, organization, name or tags. */
function isForAnybody({ Principal, Condition = {}, ...rest }: Statement): boolean {
  if (Principal !== undefined && !isForEveryone({ ...rest, Principal })) return false;
  return !Object.entries(Condition).some(
    ([operator, keys]) =>
      !/not|ifexists$|^forallvalues:|^null$/i.test(operator) &&
      Object.keys(keys).some((key) => /^aws:(principal|userid$|username$)/i.test(key)),
  );
}

/** Whether some text matches both patterns, in which `*` stands for anything and `?` for one character. */
export function globsMeet(one: string, other: string): boolean {
  const failed = new Set<number>();
  const meet = (i: number, j: number): boolean => {
    if (i === one.length && j === other.length) return true;
    const key = i * (other.length + 1) + j;
    if (failed.has(key)) return false;
    const [a, b] = [one[i], other[j]];
    const met =
      (a === '*' && (meet(i + 1, j) || (j < other.length && meet(i, j + 1)))) ||
      (b === '*' && (meet(i, j + 1) || (i < one.length && meet(i + 1, j)))) ||
      (a !== undefined && b !== undefined && (a === b || a === '?' || b === '?') && a !== '*' && b !== '*' && meet(i + 1, j + 1));
    if (!met) failed.add(key);
    return met;
  };
  return meet(0, 0);
}

/**
 * The resource policy in GetRestApi's answer, in which its quotes are escaped; undefined where there is none.
 * @throws PolicyUnreadable
 */
export function policyOf(text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined;
  for (const candidate of [text, text.replace(/\\(["\\/])/g, '$1')]) {
    try {
      const parsed: unknown = JSON.parse(candidate);
      if (isRecord(parsed)) return parsed;
    } catch {}
  }
  throw new PolicyUnreadable('the resource policy of an API is not JSON');
}
