import { parseArn } from './arn.ts';
import type { Subject } from './subject.ts';

/** What decides beside the decision. */
interface Details {
  readonly MissingContextValues?: readonly string[] | undefined;
  readonly PermissionsBoundaryDecisionDetail?: { readonly AllowedByPermissionsBoundary?: boolean | undefined } | undefined;
}

/** A result of IAM's policy simulation, as far as it decides. */
interface Result extends Details {
  readonly EvalActionName: string | undefined;
  readonly EvalDecision: string | undefined;
  readonly OrganizationsDecisionDetail?: { readonly AllowedByOrganizations?: boolean | undefined } | undefined;
  readonly ResourceSpecificResults?:
    | readonly (Details & { readonly EvalResourceName: string | undefined; readonly EvalResourceDecision: string | undefined })[]
    | undefined;
}

export interface Simulated {
  readonly EvaluationResults?: readonly Result[] | undefined;
}

export interface ContextEntry {
  readonly ContextKeyName: string;
  readonly ContextKeyValues: string[];
  readonly ContextKeyType: 'string' | 'boolean' | 'numeric' | 'date';
}

/** What the simulation of several actions says of one resource. */
export interface Decisions {
  readonly allowed: readonly string[];
  /**
   * Denied by a statement, while a value that some condition asks for was not known: a request from elsewhere may not be. Values
   * that a request chooses for itself (iam:PolicyARN) are no such: what depends on them is limited by them.
   */
  readonly doubtful: readonly string[];
}

/**
 * The actions that a simulation allows on a resource, which has to be named where several were asked for: their sum is the most
 * restrictive decision. What a boundary or the organization does not allow is not allowed; the simulation leaves conditions of service
 * control policies out.
 * https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
 */
export function decisionsOf({ EvaluationResults = [] }: Simulated, resource?: string): Decisions {
  const results = EvaluationResults.map((result): Result => {
    const own = result.ResourceSpecificResults?.find(({ EvalResourceName }) => EvalResourceName === resource);
    return own === undefined ? result : { ...result, ...own, EvalDecision: own.EvalResourceDecision };
  });
  const named = (wanted: (result: Result) => boolean) =>
    results.flatMap((result) => (wanted(result) && result.EvalActionName !== undefined ? [result.EvalActionName] : []));
  return {
    allowed: named(
      ({ EvalDecision, OrganizationsDecisionDetail: organization, PermissionsBoundaryDecisionDetail: boundary }) =>
        EvalDecision === 'allowed' && organization?.AllowedByOrganizations !== false && boundary?.AllowedByPermissionsBoundary !== false,
    ),
    doubtful: named(
      ({ EvalDecision, MissingContextValues = [] }) => EvalDecision === 'explicitDeny' && MissingContextValues.some(isOfEveryRequest),
    ),
  };
}

/** Whether it is a key of every request, of whatever service. */
function isOfEveryRequest(key: string): boolean {
  return /^aws:/i.test(key);
}

/**
 * What every request of a principal carries, so that conditions on it count as they would. What a request would have to
 * bring along for itself (addresses, networks, tags) is left out, and a grant under such a condition is not found.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
 */
export function requestContext({ arn, region }: Subject, now: number): ContextEntry[] {
  const account = parseArn(arn)?.account ?? '';
  const entry = (ContextKeyName: string, value: string, ContextKeyType: ContextEntry['ContextKeyType'] = 'string') => ({
    ContextKeyName,
    ContextKeyValues: [value],
    ContextKeyType,
  });
  return [
    entry('aws:PrincipalArn', arn),
    entry('aws:PrincipalAccount', account),
    entry('aws:ResourceAccount', account),
    entry('aws:RequestedRegion', region),
    entry('aws:CurrentTime', new Date(now).toISOString(), 'date'),
    entry('aws:SecureTransport', 'true', 'boolean'),
    entry('aws:ViaAWSService', 'false', 'boolean'),
    entry('aws:PrincipalIsAWSService', 'false', 'boolean'),
  ];
}
