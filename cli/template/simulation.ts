import { matchesGlob } from '../../guard/arn.ts';
import { isList, isRecord, type Properties, Unsaid, unsaidIn, type Value } from './values.ts';

// What IAM's simulation would say of a role, where the template shows all of its policies.

/** Policies of AWS, as far as rules ask: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html */
const allow = (Action: readonly string[]): Properties => ({ Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });
const ofAws: Readonly<Record<string, Properties>> = {
  AdministratorAccess: allow(['*']),
  IAMFullAccess: allow(['iam:*']),
  PowerUserAccess: { Statement: [{ Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'account:*'], Resource: '*' }] },
};
/** Policies of AWS for functions: none of them gives what rules ask for. */
const narrow =
  /^(service-role\/AWSLambda(BasicExecution|VPCAccessExecution|SQSQueueExecution|DynamoDBExecution|KinesisExecution|MSKExecution)Role|AWSLambda(BasicExecution|VPCAccessExecution|SQSQueueExecution|DynamoDBExecution|KinesisExecution|MSKExecution)Role|AWSXRayDaemonWriteAccess|AWSXrayWriteOnlyAccess|CloudWatchLambdaInsightsExecutionRolePolicy)$/;

/** The document of a managed policy of AWS that is known here. */
export function managedByAws(arn: string): Properties | undefined {
  const name = /^arn:[^:]+:iam::aws:policy\/(.+)$/.exec(arn)?.[1] ?? '';
  return Object.hasOwn(ofAws, name) ? ofAws[name] : narrow.test(name) ? { Statement: [] } : undefined;
}

export function isOfAws(arn: string): boolean {
  return /^arn:[^:]+:iam::aws:policy\//.test(arn) && !/Deny|Quarantine/.test(arn);
}

type Decision = 'allowed' | 'implicitDeny' | 'explicitDeny';

/**
 * What policies say together of an action on a resource: `*`, as SimulatePrincipalPolicy is asked without resources, or an ARN.
 * @param grants documents, or why one is not known
 * @param maybeDenied why some policy that is not known may deny what the others allow
 */
export function decide(
  action: string,
  resource: string,
  grants: readonly Value[],
  boundary: readonly Value[] | undefined,
  maybeDenied: Unsaid | undefined,
): Decision | Unsaid {
  const own = decideBy(action, resource, grants);
  if (own === 'allowed' && maybeDenied !== undefined) return maybeDenied;
  if (boundary === undefined || own === 'explicitDeny' || own === 'implicitDeny') return own;
  const limit = decideBy(action, resource, boundary);
  if (limit === 'explicitDeny' || limit === 'implicitDeny') return limit;
  return own instanceof Unsaid ? own : limit;
}

function decideBy(action: string, resource: string, documents: readonly Value[]): Decision | Unsaid {
  let allowed = false;
  let doubt: Unsaid | undefined;
  let denialDoubt: Unsaid | undefined;
  for (const document of documents) {
    const statements = isRecord(document) ? [document['Statement'] ?? []].flatMap((one) => (isList(one) ? one : [one])) : [document];
    for (const statement of statements) {
      const unsaid = unsaidIn(statement);
      const isDenial = isRecord(statement) && statement['Effect'] !== 'Allow';
      if (unsaid !== undefined && isRecord(statement) && isCertainlyElsewhere(statement, action)) continue;
      if (unsaid !== undefined || !isRecord(statement)) {
        const why = unsaid ?? new Unsaid('a policy is no document');
        if (isDenial) denialDoubt ??= why;
        doubt ??= why;
        continue;
      }
      if (!covers(statement, action, resource)) continue;
      if (statement['Condition'] !== undefined) {
        const why = new Unsaid(`whether ${action} is ${isDenial ? 'denied' : 'allowed'} depends on a condition`);
        if (isDenial) denialDoubt ??= why;
        doubt ??= why;
      } else if (isDenial) return 'explicitDeny';
      else allowed = true;
    }
  }
  return allowed ? (denialDoubt ?? 'allowed') : (doubt ?? 'implicitDeny');
}

/** Its actions are known, and none of them is asked for: what else is not said of it does not matter. */
function isCertainlyElsewhere({ Action, NotAction }: Properties, action: string): boolean {
  return NotAction === undefined && Action !== undefined && unsaidIn(Action) === undefined && !named(Action, action.toLowerCase());
}

function covers({ Action, NotAction, Resource, NotResource }: Properties, action: string, resource: string): boolean {
  const acts = Action === undefined ? !named(NotAction, action.toLowerCase()) : named(Action, action.toLowerCase());
  const on = resource.toLowerCase();
  return acts && (Resource === undefined ? !named(NotResource, on) : named(Resource, on));
}

function named(patterns: Value | undefined, text: string): boolean {
  return (isList(patterns) ? patterns : [patterns]).some(
    // Nobody changes the roles of another account: whichever is written there, it is the own one.
    (pattern) => typeof pattern === 'string' && matchesGlob(text, pattern.toLowerCase().replace(/(:iam::)\d{12}:/, '$1*:')),
  );
}
