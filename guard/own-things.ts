import { functionName, parseArn, partitionOf, roleName } from './arn.ts';
import { type ApiEvent, text } from './cloudtrail.ts';
import { ownRole } from './own-calls.ts';
import type { Settings } from './rule.ts';
import { functionSubject, type Subject } from './subject.ts';
import { trailsSubject } from './trails.ts';

/**
 * Operations that change what a guard is made of, by service, each with what its request names. Everything of a stack is
 * called after it, but for its key; so all that is needed to know the guard's own things is in the event.
 */
const named: Readonly<Record<string, { readonly [operation: string]: (event: ApiEvent) => readonly (Subject | undefined)[] }>> = {
  events: {
    ...each(['DisableRule', 'EnableRule', 'PutRule', 'DeleteRule'], (event) => [ruleOf(event, 'name')]),
    ...each(['PutTargets', 'RemoveTargets'], (event) => [ruleOf(event, 'rule')]),
    ...each(['PutPermission', 'RemovePermission'], (event) => [busOf(event, 'eventBusName')]),
    ...each(['UpdateEventBus', 'DeleteEventBus'], (event) => [busOf(event, 'name')]),
  },
  lambda: {
    ...each(
      [
        'UpdateFunctionCode',
        'UpdateFunctionConfiguration',
        'DeleteFunction',
        'PutFunctionConcurrency',
        'DeleteFunctionConcurrency',
        'AddPermission',
        'RemovePermission',
        'PutResourcePolicy',
        'DeleteResourcePolicy',
        'UpdateFunctionUrlConfig',
        'DeleteFunctionUrlConfig',
      ],
      (event) => [wholeFunction(text(event.request, 'functionName') ?? text(event.request, 'resourceArn'), event)],
    ),
    // A mapping is called by an id: only the answer always says whose it is.
    ...each(['UpdateEventSourceMapping', 'DeleteEventSourceMapping'], (event) => [
      wholeFunction(text(event.response, 'functionArn') ?? text(event.request, 'functionName'), event),
    ]),
  },
  iam: {
    ...each(
      [
        'CreateRole',
        'UpdateAssumeRolePolicy',
        'PutRolePolicy',
        'DeleteRolePolicy',
        'AttachRolePolicy',
        'DetachRolePolicy',
        'PutRolePermissionsBoundary',
        'DeleteRolePermissionsBoundary',
        'DeleteRole',
      ],
      (event) => [role(text(event.response, 'role', 'arn') ?? text(event.request, 'roleName'), event)],
    ),
    ...each(['CreatePolicyVersion', 'SetDefaultPolicyVersion', 'DeletePolicy'], (event) => [
      whole('AWS::IAM::ManagedPolicy', text(event.request, 'policyArn'), event),
    ]),
  },
  sqs: each(['DeleteQueue', 'SetQueueAttributes', 'PurgeQueue', 'AddPermission', 'RemovePermission'], (event) => [
    at('AWS::SQS::Queue', 'sqs', lastPart(text(event.request, 'queueUrl')), event),
  ]),
  sns: each(
    [
      'Unsubscribe',
      'SetSubscriptionAttributes',
      'DeleteTopic',
      'SetTopicAttributes',
      'AddPermission',
      'RemovePermission',
      'PutDataProtectionPolicy',
    ],
    (event) => {
      const arn = text(event.request, 'topicArn') ?? text(event.request, 'subscriptionArn') ?? text(event.request, 'resourceArn');
      // A subscription is called after its topic.
      return [whole('AWS::SNS::Topic', arn?.split(':').slice(0, 6).join(':'), event)];
    },
  ),
  dynamodb: each(
    ['UpdateTable', 'DeleteTable', 'UpdateTimeToLive', 'UpdateContinuousBackups', 'PutResourcePolicy', 'DeleteResourcePolicy'],
    (event) => [
      at(
        'AWS::DynamoDB::Table',
        'dynamodb',
        prefixed('table/', text(event.request, 'tableName') ?? text(event.request, 'resourceArn')),
        event,
      ),
    ],
  ),
  kms: each(['DisableKey', 'EnableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'PutKeyPolicy'], (event) => [
    at('AWS::KMS::Key', 'kms', prefixed('key/', text(event.request, 'keyId')), event),
  ]),
  // Whichever trail it is: one may hand on what another does not.
  cloudtrail: each(['CreateTrail', 'StartLogging', 'StopLogging', 'UpdateTrail', 'DeleteTrail', 'PutEventSelectors'], (event) => [
    trailsSubject(event),
  ]),
  monitoring: {
    ...each(['DeleteAlarms', 'DisableAlarmActions'], (event) => alarms(event.request['alarmNames'], event)),
    ...each(['PutMetricAlarm'], (event) => alarms([text(event.request, 'alarmName')], event)),
  },
};

export const ownOperations: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(named).map(([service, operations]) => [service, Object.keys(operations)]),
);

/** What an event names that could be part of a guard. */
export function namedThings(event: ApiEvent): readonly Subject[] {
  return (named[event.service]?.[event.operation]?.(event) ?? []).filter((subject) => subject !== undefined);
}

/** Calls after which the state of the thing says all: whatever switches off can be seen to be off. */
export function isSwitch({ service, operation, request }: ApiEvent): boolean {
  if (operation === 'UpdateEventSourceMapping') return Object.keys(request).every((key) => /^(uuid|enabled|functionName)$/i.test(key));
  return (
    (service === 'events' && ['DisableRule', 'EnableRule'].includes(operation)) ||
    (service === 'lambda' && operation.endsWith('FunctionConcurrency')) ||
    (service === 'kms' && operation !== 'PutKeyPolicy') ||
    (service === 'sns' && operation === 'Unsubscribe')
  );
}

/** Whether something is the guard's own, or a role that it trusts. */
export function isOwn({ arn, type }: Subject, { stack, keyArn, deployers, operators }: Settings): boolean {
  if (type === 'AWS::KMS::Key') return arn === keyArn;
  // No part of the stack, but what all events come by.
  if (type === 'AWS::CloudTrail::Trail') return true;
  if (type === 'AWS::IAM::Role' && [...deployers, ...operators].some((listed) => listed.includes(':role/') && sameRole(listed, arn)))
    return true;
  if (type === 'AWS::Lambda::Function') return functionName(arn).startsWith(`${stack}-`);
  const { resource = '' } = parseArn(arn) ?? {};
  const name = resource.slice(Math.max(resource.lastIndexOf('/'), resource.lastIndexOf(':')) + 1);
  return name.startsWith(`${stack}-`) || (type === 'AWS::Events::EventBus' && name === stack);
}

/** Names of roles are unique in an account, whatever their paths. */
function sameRole(one: string, other: string): boolean {
  return roleName(one) === roleName(other) && parseArn(one)?.account === parseArn(other)?.account;
}

/**
 * Whether somebody may change the guard: operators, and deployers outside the console. Where neither are listed, everybody
 * outside the console is. What a role of the guard does by itself is held against its changes (see unexplainedCall).
 */
export function mayChange({ actor, account, region }: ApiEvent, { stack, deployers, operators }: Settings): boolean {
  if (ownRole(actor.issuer, { stack, home: { account, region } }) !== undefined) return true;
  if (operators.some((operator) => operator === actor.issuer || operator === actor.arn)) return true;
  return !actor.console && (deployers.length + operators.length === 0 || deployers.includes(actor.issuer));
}

function each<T>(operations: readonly string[], names: T): Readonly<Record<string, T>> {
  return Object.fromEntries(operations.map((operation) => [operation, names]));
}

function ruleOf(event: ApiEvent, key: string): Subject | undefined {
  const name = text(event.request, key);
  const bus = lastPart(text(event.request, 'eventBusName')) ?? 'default';
  return name === undefined ? undefined : at('AWS::Events::Rule', 'events', `rule/${bus === 'default' ? '' : `${bus}/`}${name}`, event);
}

function busOf(event: ApiEvent, key: string): Subject | undefined {
  return at('AWS::Events::EventBus', 'events', prefixed('event-bus/', lastPart(text(event.request, key))), event);
}

function wholeFunction(name: string | undefined, event: ApiEvent): Subject | undefined {
  return functionSubject(name ?? '', event, '$LATEST');
}

function role(name: string | undefined, event: ApiEvent): Subject | undefined {
  const { account, region } = event;
  const arn = name === undefined || name.startsWith('arn:') ? name : `arn:${partitionOf(region)}:iam::${account}:role/${name}`;
  return whole('AWS::IAM::Role', arn, event);
}

function alarms(names: unknown, event: ApiEvent): readonly (Subject | undefined)[] {
  if (!Array.isArray(names)) return [];
  return names.map((name) => (typeof name === 'string' ? at('AWS::CloudWatch::Alarm', 'cloudwatch', `alarm:${name}`, event) : undefined));
}

function lastPart(name: string | undefined): string | undefined {
  return name?.slice(name.lastIndexOf('/') + 1);
}

/** A name as it stands in an ARN; where the request already names an ARN, that. */
function prefixed(prefix: string, name: string | undefined): string | undefined {
  return name === undefined || name.startsWith('arn:') ? name : `${prefix}${name}`;
}

function at(type: Subject['type'], service: string, resource: string | undefined, { account, region }: ApiEvent): Subject | undefined {
  if (resource === undefined || resource.startsWith('arn:')) return whole(type, resource, { account, region });
  return { arn: `arn:${partitionOf(region)}:${service}:${region}:${account}:${resource}`, type, account, region };
}

function whole(
  type: Subject['type'],
  arn: string | undefined,
  { account, region }: Pick<Subject, 'account' | 'region'>,
): Subject | undefined {
  const parsed = parseArn(arn ?? '');
  if (arn === undefined || parsed === undefined || parsed.account !== account) return undefined;
  return { arn, type, account, region: parsed.region === '' ? region : parsed.region };
}
