import { Document, isCollection, Scalar, visit } from 'yaml';
import * as z from 'zod';
import { getMetricData } from '../../aws/cloudwatch.ts';
import type { AnyCall, Permission } from '../../guard/call.ts';
import { detailTypes } from '../../guard/cloudtrail.ts';
import { type Practice, practices } from '../../guard/finding.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { tagOperations } from '../../guard/tags.ts';
import { kebabCase } from '../kebab-case.ts';

type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };
type Block = Readonly<Record<string, Value>>;

/** EventBridge's default limit for a pattern, and IAM's for a role's inline policies. */
const patternLimit = 2048;
const policyLimit = 10_240;

/** Seconds: the queue's visibility is six times the function's, so that a retry never overlaps. */
const checkerTimeout = 60;
const remediatorTimeout = 120;
/** Of a checker that archives packages, up to 250 MB each. */
const archiverTimeout = 120;

const sub = (text: string): Value => ({ 'Fn::Sub': text });
const arnOf = (id: string): Value => ({ 'Fn::GetAtt': [id, 'Arn'] });
const ref = (id: string): Value => ({ Ref: id });

/** What the rules add to each section of template.yaml, as YAML below the section's marker. */
export function templateSections(rules: readonly AnyRule[], handlers: readonly string[]): Readonly<Record<string, string>> {
  const used = practices.filter((practice) => rules.some((rule) => rule.practice === practice));
  for (const practice of used) if (!handlers.includes(`check-${practice}.ts`)) throw new Error(`handlers/check-${practice}.ts is missing.`);
  const fixable = rules.filter((rule) => rule.fix.length > 0);
  return {
    Parameters: block(Object.assign({}, ...rules.map(parameters))),
    Conditions: block(
      Object.assign(
        {},
        ...fixable.map((rule) => ({ [remediates(rule)]: { 'Fn::Equals': [ref(`${pascalCase(rule.id)}Mode`), 'remediate'] } })),
        ...fixable.map(listConditions),
      ),
    ),
    Resources: block({
      ...Object.assign(
        {},
        ...used.map((practice) =>
          checkerResources(
            practice,
            rules.filter((rule) => rule.practice === practice),
          ),
        ),
      ),
      ...Object.assign({}, ...fixable.map(remediatorResources)),
      ...coreResources(used, rules),
      ...writers(used, fixable),
    }),
  };
}

/** YAML as a person would write it: short forms of the intrinsic functions, and small maps and lists on one line. */
function block(resources: Block): string {
  const document = new Document(shortForms(resources), { version: '1.1', aliasDuplicateObjects: false });
  visit(document, {
    Collection(_, node, path) {
      const inner = path.length > 4;
      if (inner && isCollection(node) && JSON.stringify(node.toJSON()).length < 130) node.flow = true;
    },
  });
  const text = document.toString({ lineWidth: 0, singleQuote: true, flowCollectionPadding: true });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? line : `  ${line}`))
    .join('\n');
}

/** `{ Ref: 'Key' }` → `!Ref Key`, likewise !Sub and !GetAtt. */
function shortForms(value: Value): unknown {
  if (Array.isArray(value)) return value.map(shortForms);
  // SAM's reader takes a bare `:*` for an alias.
  if (typeof value === 'string' && value.startsWith(':')) return Object.assign(new Scalar(value), { type: Scalar.QUOTE_SINGLE });
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Block);
  const [[name, argument] = ['', '']] = entries;
  if (entries.length === 1 && (name === 'Ref' || name === 'Fn::Sub' || name === 'Fn::GetAtt')) {
    const scalar = new Scalar(Array.isArray(argument) ? argument.join('.') : argument);
    scalar.tag = `!${name.replace('Fn::', '')}`;
    return scalar;
  }
  return Object.fromEntries(entries.map(([key, inner]) => [key, shortForms(inner)]));
}

function remediates(rule: AnyRule): string {
  return `${pascalCase(rule.id)}Remediates`;
}

function paramName(rule: AnyRule, param: string): string {
  return `${pascalCase(rule.id)}${param.charAt(0).toUpperCase()}${param.slice(1)}`;
}

// --- parameters

function parameters(rule: AnyRule): Block {
  const name = pascalCase(rule.id);
  const modes = rule.fix.length > 0 ? ['off', 'alert', 'remediate'] : ['off', 'alert'];
  const own: Record<string, Value> = {
    [`${name}Mode`]: {
      Type: 'String',
      Default: rule.mode ?? 'alert',
      AllowedValues: modes,
      Description: `${rule.title}. What ${rule.id} does about it.`,
    },
  };
  if (rule.fix.length > 0) {
    own[`${name}Delay`] = {
      Type: 'Number',
      Default: rule.delay,
      MinValue: 0,
      MaxValue: 10080,
      Description: `Minutes between a finding of ${rule.id} and its fix.`,
    };
    own[`${name}Scope`] = {
      Type: 'String',
      Default: '',
      Description: `Where ${rule.id} may remediate (tag:key=value, ARN globs, comma-separated); empty for RemediateScope.`,
    };
  }
  for (const [param, text] of Object.entries(textParameters(rule))) {
    own[paramName(rule, param)] = {
      Type: 'String',
      Default: text.default,
      ...(text.pattern === undefined
        ? {}
        : { AllowedPattern: text.pattern, ConstraintDescription: `${paramName(rule, param)}: ${text.description}` }),
      Description: text.description,
    };
  }
  return own;
}

/** A rule's own parameters as CloudFormation takes them: texts with a default, a description and perhaps a pattern. */
function textParameters(rule: AnyRule): Readonly<Record<string, { default: string; description: string; pattern?: string }>> {
  const { properties = {} } = z.toJSONSchema(rule.params, { io: 'input' });
  for (const [param, schema] of Object.entries(properties)) {
    const { type, default: fallback, description } = schema as { type?: string; default?: unknown; description?: string };
    if (type !== 'string' || typeof fallback !== 'string' || description === undefined)
      throw new Error(`The parameter ${param} of ${rule.id} is not a text with a default and a description.`);
  }
  return properties as Readonly<Record<string, { default: string; description: string; pattern?: string }>>;
}

// --- checkers

function checkerResources(practice: Practice, rules: readonly AnyRule[]): Block {
  const name = pascalCase(practice);
  const id = `Check${name}`;
  const patterns = eventPatterns(rules);
  const isGuard = practice === 'guard';
  const ruleIds = [...patterns.map(({ service }) => `${id}On${pascalCase(service)}`), ...(isGuard ? ['Heartbeat'] : [])];
  const calls: readonly AnyCall[] = rules.flatMap((rule) => [...rule.check]);
  const variables = Object.assign({}, ...rules.map(ruleVariables));
  const archives = calls.some((call: AnyCall) => call.permissions.some(({ action }) => action === 's3:PutObject'));
  const timeout = Math.max(archives ? archiverTimeout : checkerTimeout, ...rules.map((rule) => rule.timeout ?? 0));
  return {
    ...deadLetters(id, ruleIds),
    ...queue(`${id}Events`, `${id}DeadLetters`, timeout, ruleIds, [id]),
    ...queue(`${id}Sweeps`, `${id}DeadLetters`, timeout, [], ['Sweep', id]),
    ...Object.assign(
      {},
      ...patterns.map(({ service, pattern }) => ({
        [`${id}On${pascalCase(service)}`]: eventRule(
          { Description: `CloudTrail events of ${service} for ${rules.map((rule) => rule.id).join(', ')}`, EventPattern: pattern },
          `${id}Events`,
          `${id}DeadLetters`,
        ),
      })),
    ),
    ...(isGuard
      ? {
          Heartbeat: eventRule(
            { Description: 'Goes the way of an alert', ScheduleExpression: 'rate(5 minutes)' },
            `${id}Events`,
            `${id}DeadLetters`,
            heartbeat,
          ),
        }
      : {}),
    ...lambda(id, {
      handler: `check-${practice}`,
      description: `Judges changes by the rules of the practice ${practice}`,
      timeout,
      memory: Math.max(...rules.map(({ memory = 512 }) => memory)),
      variables: { ...queuesVariable([`${id}Events`, `${id}Sweeps`]), ...(isGuard ? { AlarmTopic: ref('AlarmTopic') } : {}), ...variables },
      statements: [
        ...receives([`${id}Events`, `${id}Sweeps`]),
        // What waits for a quota goes back as a new message: it has not failed.
        { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: [`${id}Events`, `${id}Sweeps`].map(arnOf) },
        ...ledgerStatements,
        publishes,
        ...statementsOf(calls),
        ...(isGuard ? [{ Effect: 'Allow', Action: 'sns:Publish', Resource: ref('AlarmTopic') }] : []),
      ],
    }),
    ...mapping(`${id}EventsMapping`, id, `${id}Events`, 5),
    ...mapping(`${id}SweepsMapping`, id, `${id}Sweeps`, 2),
  };
}

/** What the schedule sends instead of its own event. */
const heartbeat: Block = { Input: JSON.stringify({ task: 'heartbeat' }) };

function ruleVariables(rule: AnyRule): Block {
  const names = Object.keys(rule.params.shape).map((param) => paramName(rule, param));
  return { ...switchVariables(rule), ...Object.fromEntries(names.map((name) => [name, ref(name)])) };
}

/** What a rule may do, and when: the same for every rule. */
function switchVariables(rule: AnyRule): Block {
  const name = pascalCase(rule.id);
  const names = [`${name}Mode`, ...(rule.fix.length > 0 ? [`${name}Delay`, `${name}Scope`] : [])];
  return Object.fromEntries(names.map((each) => [each, ref(each)]));
}

/**
 * One pattern a service: names as they are, and with the API version that CloudTrail adds to Lambda's (`…20150331v2`).
 * Calls that failed changed nothing and do not match. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
 */
export function eventPatterns(rules: readonly AnyRule[]): readonly { readonly service: string; readonly pattern: Block }[] {
  const byService = new Map<string, Set<string>>();
  const triggers = rules.flatMap((rule) => [...rule.on]);
  for (const { service, operations } of triggers) {
    const known = byService.get(service) ?? new Set();
    for (const operation of operations) known.add(operation);
    byService.set(service, known);
  }
  // Tags may exempt whatever the rules find on a resource of the service.
  for (const [service, operations] of Object.entries(tagOperations))
    for (const operation of operations) byService.get(service)?.add(operation);
  return [...byService].map(([service, operations]) => {
    const names = [...operations].sort();
    const eventName = [...names, ...(service === 'lambda' ? names.map((name) => ({ prefix: `${name}20` })) : [])];
    // A service's own events are called like no operation: both kinds fit in one pattern.
    const tells = triggers.some((trigger) => trigger.service === service && trigger.ofService === true);
    const pattern = {
      source: [`aws.${service}`],
      'detail-type': tells ? [detailTypes.call, detailTypes.service] : [detailTypes.call],
      detail: { eventSource: [`${service}.amazonaws.com`], eventName, errorCode: [{ exists: false }] },
    };
    const { length } = JSON.stringify(pattern);
    if (length > patternLimit) throw new Error(`The pattern for ${service} has ${length} characters, EventBridge takes ${patternLimit}.`);
    return { service, pattern };
  });
}

// --- remediators

function remediatorResources(rule: AnyRule): Block {
  const name = pascalCase(rule.id);
  const id = `Remediate${name}`;
  const calls = [...rule.check, ...rule.fix, ...(rule.probation ? [...rule.undo, getMetricData] : [])];
  const resources: Record<string, Value> = {
    ...deadLetters(id, [`${id}OnFinding`]),
    ...queue(`${id}Findings`, `${id}DeadLetters`, remediatorTimeout, [`${id}OnFinding`]),
    [`${id}OnFinding`]: eventRule(
      {
        Description: `Open findings of ${rule.id}, and those whose time has come`,
        EventBusName: ref('GuardBus'),
        EventPattern: {
          source: ['compliance-guard'],
          'detail-type': ['Compliance Finding', 'Compliance Due'],
          detail: { rule: [rule.id], $or: [{ status: ['open'] }, { task: ['fix'] }] },
        },
      },
      `${id}Findings`,
      `${id}DeadLetters`,
    ),
    ...lambda(id, {
      handler: 'remediate',
      description: `Puts right what ${rule.id} finds`,
      timeout: remediatorTimeout,
      memory: rule.memory ?? 512,
      variables: { ...queuesVariable([`${id}Findings`]), Rule: rule.id, ...(ruleVariables(rule) as Record<string, Value>) },
      statements: [
        ...receives([`${id}Findings`]),
        ...ledgerStatements,
        publishes,
        ...statementsOf(calls),
        ...(rule.practice === 'guard' ? [] : neverItself(calls)),
        neverTouched(calls),
      ],
    }),
    ...mapping(`${id}FindingsMapping`, id, `${id}Findings`, 2),
  };
  return Object.fromEntries(
    Object.entries(resources).map(([key, resource]) => [key, { Condition: remediates(rule), ...(resource as Block) }]),
  );
}

/**
 * Whatever a rule may write, it may not write to the guard's own functions, roles and policies, nor to roles that AWS makes
 * for its services and for permission sets. The rule that looks after the guard itself may, and to nothing else: its calls
 * name the guard's own things.
 */
function neverItself(calls: readonly AnyCall[]): readonly Block[] {
  const actions = [...new Set(calls.flatMap(({ permissions }) => permissions.map(({ action }) => action)))].sort();
  const never = (writes: RegExp, resources: readonly string[]) => {
    const Action = actions.filter((action) => writes.test(action));
    return Action.length === 0
      ? []
      : [{ Effect: 'Deny', Action, Resource: resources.length === 1 ? sub(resources[0] ?? '') : resources.map(sub) }];
  };
  const iam = 'arn:${AWS::Partition}:iam::*';
  const roles = ['${AWS::StackName}-*', 'aws-service-role/*', 'aws-reserved/*'].map((name) => `${iam}:role/${name}`);
  return [
    ...never(/^lambda:(Update|Add|Remove|Put|Delete|Invoke)/, ['arn:${AWS::Partition}:lambda:*:*:function:${AWS::StackName}-*']),
    ...never(/^iam:(Attach|Detach|Put|Delete|Update)\w*Role/, roles),
    ...never(/^iam:SetDefaultPolicyVersion/, [`${iam}:policy/\${AWS::StackName}-*`]),
  ];
}

/**
 * Nor to what NeverTouch names, which the code asks first: IAM has the last word. Whoever names a function means its
 * aliases and versions too (`:*`).
 */
function neverTouched(calls: readonly AnyCall[]): Block {
  const named: Value = { 'Fn::Join': [':*,', { 'Fn::Split': [',', ref('NeverTouch')] }] };
  const reads = /:(GET$|Get|List|Describe|Simulate|Decrypt|Encrypt|GenerateDataKey|PassRole)/;
  const actions = [...new Set(calls.flatMap(({ permissions }) => permissions.map(({ action }) => action)))];
  const denial = {
    Effect: 'Deny',
    Action: actions.filter((action) => !reads.test(action)).sort(),
    Resource: { 'Fn::Split': [',', { 'Fn::Join': [',', [ref('NeverTouch'), { 'Fn::Join': [':*', [named, '']] }]] }] },
  };
  return { 'Fn::If': ['NeverTouchGiven', denial, ref('AWS::NoValue')] };
}

/** A parameter that lists ARNs may be empty, and a policy's Resource may not. */
function listConditions(rule: AnyRule): Block {
  const lists = listsIn([...rule.check, ...rule.fix, ...(rule.probation ? rule.undo : [])]);
  return Object.fromEntries(lists.map((name) => [`${name}Given`, { 'Fn::Not': [{ 'Fn::Equals': [ref(name), ''] }] }]));
}

/** Parameters that stand alone as a resource (`${RoleSharedSplitRoles}`): comma-separated ARNs, or one. */
function listsIn(calls: readonly AnyCall[]): readonly string[] {
  const resources = calls.flatMap(({ permissions }) => permissions.flatMap(({ resource }) => resource));
  return [
    ...new Set(
      resources.flatMap((resource) => /^\$\{(\w+)\}$/.exec(resource)?.[1] ?? []).filter((name) => /^[A-Z]\w+([a-z]s|Arn)$/.test(name)),
    ),
  ];
}

/** A rule's switches in a few letters: a function has 4 KB for all its variables. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
function modeOf({ id, fix }: AnyRule): Value {
  const name = pascalCase(id);
  return sub(`${id}=\${${name}Mode}:${fix.length > 0 ? `\${${name}Delay}` : 0}`);
}

// --- the functions that serve every rule

function coreResources(used: readonly Practice[], rules: readonly AnyRule[]): Record<string, Value> {
  const modes = { Modes: { 'Fn::Join': [',', rules.map(modeOf)] } };
  const sweepQueues = used.map((practice) => `Check${pascalCase(practice)}Sweeps`);
  const key: Block = { Effect: 'Allow', Action: ['kms:Decrypt', 'kms:GenerateDataKey'], Resource: sub('${Key.Arn}') };
  return {
    ...deadLetters('Notify', ['NotifyOnAlert', 'NotifyOnDigest']),
    ...queue('NotifyAlerts', 'NotifyDeadLetters', 60, ['NotifyOnAlert', 'NotifyOnDigest']),
    NotifyOnAlert: eventRule(
      {
        Description: 'Every finding, change and failure',
        EventBusName: ref('GuardBus'),
        EventPattern: { source: ['compliance-guard'], 'detail-type': ['Compliance Finding', 'Compliance Change', 'Compliance Failure'] },
      },
      'NotifyAlerts',
      'NotifyDeadLetters',
    ),
    NotifyOnDigest: eventRule(
      {
        Description: 'Digests that are due, and heartbeats',
        EventBusName: ref('GuardBus'),
        EventPattern: { source: ['compliance-guard'], 'detail-type': ['Compliance Due'], detail: { task: ['digest', 'heartbeat'] } },
      },
      'NotifyAlerts',
      'NotifyDeadLetters',
    ),
    ...lambda('Notify', {
      handler: 'notify',
      description: 'Sends alerts to the topic, once each, many as a digest',
      timeout: 60,
      variables: queuesVariable(['NotifyAlerts']),
      statements: [
        ...receives(['NotifyAlerts']),
        ...ledgerStatements,
        { Effect: 'Allow', Action: 'sns:Publish', Resource: ref('AlertTopic') },
      ],
    }),
    ...mapping('NotifyAlertsMapping', 'Notify', 'NotifyAlerts', 2),
    // CloudWatch alone looks whether heartbeats come to the end of their way.
    NotifySilent: alarm(
      'No heartbeat came to the notifier for 15 minutes, so that no alert may come either',
      'ComplianceGuard',
      'Heartbeats',
      { service: 'compliance-guard', stack: ref('AWS::StackName') },
      1,
      { Statistic: 'Sum', Period: 300, EvaluationPeriods: 3, ComparisonOperator: 'LessThanThreshold', TreatMissingData: 'breaching' },
    ),
    ...lambda('Sweep', {
      handler: 'sweep',
      description: 'Lists the estate: every function, and whatever has a finding, to the checkers',
      timeout: 900,
      dead: 'SweepDeadLetters',
      variables: {
        ...modes,
        SweepQueues: { 'Fn::Join': [',', used.map((practice) => sub(`${practice}=\${Check${pascalCase(practice)}Sweeps}`))] },
      },
      statements: [
        { Effect: 'Allow', Action: 'lambda:ListFunctions', Resource: '*' },
        ...statementsOf(rules.flatMap(({ list }) => list?.calls ?? [])),
        { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: sweepQueues.map(arnOf) },
        key,
        ...ledgerStatements,
        publishes,
      ],
    }),
    ...deadLetters('Sweep', ['SweepOnSchedule', 'SweepOnDue']),
    SweepOnSchedule: invocation({ Description: 'The regular sweep', ScheduleExpression: ref('SweepSchedule') }, 'Sweep'),
    SweepOnSchedulePermission: invokePermission('Sweep', 'SweepOnSchedule'),
    SweepOnDue: invocation(
      {
        Description: 'The first sweep after a deployment',
        EventBusName: ref('GuardBus'),
        EventPattern: { source: ['compliance-guard'], 'detail-type': ['Compliance Due'], detail: { task: ['sweep'] } },
      },
      'Sweep',
    ),
    SweepOnDuePermission: invokePermission('Sweep', 'SweepOnDue'),
    ...lambda('Tick', {
      handler: 'tick',
      description: 'Every minute: sends on whatever is due',
      timeout: 50,
      dead: 'TickDeadLetters',
      variables: modes,
      statements: [key, ...ledgerStatements, publishes],
    }),
    ...deadLetters('Tick', ['TickEveryMinute']),
    TickEveryMinute: invocation({ Description: 'The clock of the guard', ScheduleExpression: 'rate(1 minute)' }, 'Tick'),
    TickEveryMinutePermission: invokePermission('Tick', 'TickEveryMinute'),
    ...lambda('Operate', {
      handler: 'operate',
      description: 'Operators: exempt, pause, mode, fix, undo; its URL tells who called',
      timeout: 60,
      variables: modes,
      statements: [key, ...ledgerStatements, publishes],
    }),
    OperateUrl: { Type: 'AWS::Lambda::Url', Properties: { TargetFunctionArn: arnOf('Operate'), AuthType: 'AWS_IAM' } },
  };
}

function invocation(properties: Block, functionId: string): Value {
  return {
    Type: 'AWS::Events::Rule',
    Properties: {
      ...properties,
      State: 'ENABLED',
      Targets: [{ Id: 'function', Arn: arnOf(functionId), DeadLetterConfig: { Arn: arnOf(`${functionId}DeadLetters`) } }],
    },
  };
}

function invokePermission(functionId: string, ruleId: string): Value {
  return {
    Type: 'AWS::Lambda::Permission',
    Properties: {
      FunctionName: ref(functionId),
      Action: 'lambda:InvokeFunction',
      Principal: 'events.amazonaws.com',
      SourceArn: arnOf(ruleId),
    },
  };
}

// --- what every function has

interface LambdaParts {
  readonly handler: string;
  readonly description: string;
  readonly timeout: number;
  readonly memory?: number;
  /** Where events go that an asynchronous invocation could not handle; functions of a queue have the queue's. */
  readonly dead?: string;
  readonly variables: Block;
  readonly statements: readonly Block[];
}

function lambda(
  id: string,
  { handler, description, timeout, memory = 512, dead, variables, statements }: LambdaParts,
): Record<string, Value> {
  const name = sub(`\${AWS::StackName}-${kebabCase(id)}`);
  const policy = {
    Version: '2012-10-17',
    Statement: [
      logs(id),
      ...(dead === undefined ? [] : [{ Effect: 'Allow', Action: 'sqs:SendMessage', Resource: arnOf(dead) }]),
      ...statements,
    ],
  };
  const { length } = JSON.stringify(policy);
  if (length > policyLimit) throw new Error(`The role of ${id} has ${length} characters of policy, IAM takes ${policyLimit}.`);
  return {
    [`${id}Logs`]: {
      Type: 'AWS::Logs::LogGroup',
      DeletionPolicy: 'Delete',
      UpdateReplacePolicy: 'Delete',
      Properties: {
        LogGroupName: sub(`/aws/lambda/\${AWS::StackName}-${kebabCase(id)}`),
        RetentionInDays: ref('LogRetentionDays'),
        KmsKeyId: arnOf('Key'),
      },
    },
    [`${id}Role`]: {
      Type: 'AWS::IAM::Role',
      Properties: {
        RoleName: name,
        AssumeRolePolicyDocument: {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
        },
        Policies: [{ PolicyName: 'least-privilege', PolicyDocument: policy }],
      },
    },
    [id]: {
      Type: 'AWS::Serverless::Function',
      Properties: {
        FunctionName: name,
        Description: description,
        Handler: `${handler}.handler`,
        Role: arnOf(`${id}Role`),
        Timeout: timeout,
        ...(memory === 512 ? {} : { MemorySize: memory }),
        ...(dead === undefined ? {} : { DeadLetterQueue: { Type: 'SQS', TargetArn: arnOf(dead) } }),
        Environment: { Variables: variables },
        LoggingConfig: { LogGroup: ref(`${id}Logs`) },
      },
      Metadata: { BuildMethod: 'makefile', checkov: { skip: skips(dead !== undefined) } },
    },
    [`${id}Errors`]: alarm(`${id} fails`, 'AWS/Lambda', 'Errors', { FunctionName: ref(id) }, 1),
  };
}

/** Why checkov's checks do not apply, in place. https://www.checkov.io/5.Policy%20Index/cloudformation.html */
function skips(hasDeadLetters: boolean): Value {
  return [
    { id: 'CKV_AWS_115', comment: 'its queue limits the concurrency, or a schedule starts it; reserving would take from the account' },
    ...(hasDeadLetters ? [] : [{ id: 'CKV_AWS_116', comment: 'its queue has dead letters, or its caller waits for the answer' }]),
    { id: 'CKV_AWS_117', comment: 'it calls AWS APIs only: a VPC would add a way out and protect nothing' },
  ];
}

function logs(id: string): Block {
  return { Effect: 'Allow', Action: ['logs:CreateLogStream', 'logs:PutLogEvents'], Resource: sub(`\${${id}Logs.Arn}`) };
}

function receives(queues: readonly string[]): readonly Block[] {
  return [
    {
      Effect: 'Allow',
      Action: ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'],
      Resource: queues.map((name) => sub(`\${${name}.Arn}`)),
    },
    { Effect: 'Allow', Action: ['kms:Decrypt', 'kms:GenerateDataKey'], Resource: sub('${Key.Arn}') },
  ];
}

/** The addresses of a function's own queues: it takes messages from nowhere else. */
function queuesVariable(queues: readonly string[]): Block {
  return { Queues: queues.length === 1 ? ref(queues[0] ?? '') : { 'Fn::Join': [',', queues.map(ref)] } };
}

const ledgerStatements: readonly Block[] = [
  {
    Effect: 'Allow',
    Action: [
      'dynamodb:BatchGetItem',
      'dynamodb:DeleteItem',
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
    ],
    Resource: [sub('${Ledger.Arn}'), sub('${Ledger.Arn}/index/*')],
  },
];

const publishes: Block = { Effect: 'Allow', Action: 'events:PutEvents', Resource: sub('${GuardBus.Arn}') };

/** Statements of declared calls: permissions on the same resources under the same condition are one statement. */
function statementsOf(calls: readonly AnyCall[]): readonly Block[] {
  const groups = new Map<string, { resource: readonly string[]; condition: Permission['condition']; actions: Set<string> }>();
  for (const { action, resource, condition } of calls.flatMap(({ permissions }) => permissions)) {
    const resources = [resource].flat();
    const key = JSON.stringify([resources, condition ?? null]);
    const group = groups.get(key) ?? { resource: resources, condition, actions: new Set<string>() };
    group.actions.add(action);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ resource, condition, actions }) => {
    const lists = resource.flatMap((text) => listsIn([{ permissions: [{ action: '', resource: text }] } as unknown as AnyCall]));
    const [list] = lists;
    const fixed = resource.filter((text) => text !== `\${${list}}`).map(substituted);
    const none = sub('arn:${AWS::Partition}:iam::${AWS::AccountId}:role/compliance-guard/none');
    const Resource: Value =
      list === undefined
        ? fixed.length === 1
          ? (fixed[0] as Value)
          : fixed
        : { 'Fn::If': [`${list}Given`, { 'Fn::Split': [',', ref(list)] }, none] };
    if (list !== undefined && fixed.length > 0) throw new Error(`A permission on the list ${list} names no other resource beside it.`);
    return {
      Effect: 'Allow',
      Action: [...actions].sort(),
      Resource,
      ...(condition === undefined
        ? {}
        : {
            Condition: mapValues(condition, (keys) =>
              mapValues(keys, (value) => (typeof value === 'string' ? substituted(value) : [...value].map(substituted))),
            ),
          }),
    };
  });
}

function substituted(text: string): Value {
  return text.includes('${') ? sub(text) : text;
}

function mapValues<T>(record: Readonly<Record<string, T>>, to: (value: T) => Value): Block {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, to(value)]));
}

// --- queues and alarms

function queue(
  id: string,
  dead: string,
  timeout: number,
  eventRules: readonly string[],
  functions: readonly string[] = [],
): Record<string, Value> {
  // Operators may move messages back from the dead letters, but for those of a sweep; AWS asks sqs:SendMessage of whoever does.
  const senders: Value = functions.includes('Sweep')
    ? functions.map(roleArn)
    : {
        'Fn::If': [
          'OperatorsGiven',
          { 'Fn::Split': [',', functions.length === 0 ? ref('Operators') : sub(['${Operators}', ...functions.map(roleText)].join(','))] },
          functions.length === 0 ? roleArn('Sweep') : functions.map(roleArn),
        ],
      };
  const reader = dead.replace(/DeadLetters$/, '');
  // A sweep of thousands of functions takes its time: it has what the quota leaves over.
  const longest = functions.includes('Sweep') ? 14_400 : 900;
  return {
    [id]: {
      Type: 'AWS::SQS::Queue',
      Properties: {
        KmsMasterKeyId: ref('Key'),
        VisibilityTimeout: 6 * timeout,
        MessageRetentionPeriod: 345600,
        RedrivePolicy: { deadLetterTargetArn: arnOf(dead), maxReceiveCount: 8 },
      },
    },
    [`${id}Policy`]: queuePolicy(id, eventRules, senders, reader),
    [`${id}Age`]: alarm(
      `${id}: the oldest message waits for more than ${longest / 60} minutes`,
      'AWS/SQS',
      'ApproximateAgeOfOldestMessage',
      { QueueName: { 'Fn::GetAtt': [id, 'QueueName'] } },
      longest,
    ),
  };
}

function deadLetters(id: string, eventRules: readonly string[]): Record<string, Value> {
  const name = `${id}DeadLetters`;
  return {
    [name]: { Type: 'AWS::SQS::Queue', Properties: { KmsMasterKeyId: ref('Key'), MessageRetentionPeriod: 1209600 } },
    [`${name}Policy`]: queuePolicy(name, eventRules, roleArn(id)),
    [`${name}Waiting`]: alarm(
      `${name}: messages could not be handled`,
      'AWS/SQS',
      'ApproximateNumberOfMessagesVisible',
      { QueueName: { 'Fn::GetAtt': [name, 'QueueName'] } },
      1,
    ),
  };
}

/** Only these rules of EventBridge, and these principals, may put messages into the queue; only this function takes them out. */
function queuePolicy(id: string, eventRules: readonly string[], senders: Value, reader?: string): Value {
  const denied = (Sid: string, Action: Value, Condition: Value): Value => ({
    Sid,
    Effect: 'Deny',
    Principal: '*',
    Action,
    Resource: arnOf(id),
    Condition,
  });
  const unless = (principals: Value): Value => ({
    Bool: { 'aws:PrincipalIsAWSService': 'false' },
    ArnNotLike: { 'aws:PrincipalArn': principals },
  });
  const Statement: Value[] = [
    denied('TlsOnly', 'sqs:*', { Bool: { 'aws:SecureTransport': 'false' } }),
    denied('NobodyElse', 'sqs:SendMessage', unless(senders)),
  ];
  if (reader !== undefined) {
    // Whoever took a message out could keep it from the guard, or hand its receipt to the function with another body.
    const takes = ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:PurgeQueue', 'sqs:ReceiveMessage'];
    Statement.push(denied('NobodyElseReads', takes, unless(roleArn(reader))));
  }
  if (eventRules.length > 0) {
    Statement.push({
      Sid: 'OwnRules',
      Effect: 'Allow',
      Principal: { Service: 'events.amazonaws.com' },
      Action: 'sqs:SendMessage',
      Resource: arnOf(id),
      Condition: { ArnEquals: { 'aws:SourceArn': eventRules.map(arnOf) } },
    });
  }
  return { Type: 'AWS::SQS::QueuePolicy', Properties: { Queues: [ref(id)], PolicyDocument: { Version: '2012-10-17', Statement } } };
}

function eventRule(properties: Block, target: string, dead: string, more: Block = {}): Value {
  return {
    Type: 'AWS::Events::Rule',
    Properties: {
      ...properties,
      State: 'ENABLED',
      Targets: [{ Id: 'queue', Arn: arnOf(target), DeadLetterConfig: { Arn: arnOf(dead) }, ...more }],
    },
  };
}

function mapping(id: string, functionId: string, queueId: string, concurrency: number): Record<string, Value> {
  return {
    [id]: {
      Type: 'AWS::Lambda::EventSourceMapping',
      Properties: {
        EventSourceArn: arnOf(queueId),
        FunctionName: ref(functionId),
        BatchSize: 10,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        ScalingConfig: { MaximumConcurrency: concurrency },
      },
    },
  };
}

function alarm(description: string, namespace: string, metric: string, dimensions: Block, threshold: number, more: Block = {}): Value {
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      AlarmDescription: description,
      Namespace: namespace,
      MetricName: metric,
      Dimensions: Object.entries(dimensions).map(([Name, value]) => ({ Name, Value: value })),
      Statistic: metric === 'Errors' ? 'Sum' : 'Maximum',
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: threshold,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      AlarmActions: [ref('AlarmTopic')],
      ...more,
    },
  };
}

/** Only the guard's own roles write to the bus and to the ledger; everybody else is refused, whatever their own policies say. */
function writers(used: readonly Practice[], fixable: readonly AnyRule[]): Block {
  const ids = [...used.map((practice) => `Check${pascalCase(practice)}`), ...fixable.map((rule) => `Remediate${pascalCase(rule.id)}`)];
  return {
    GuardBusPolicy: {
      Type: 'AWS::Events::EventBusPolicy',
      Properties: {
        EventBusName: ref('GuardBus'),
        StatementId: 'NobodyElse',
        Statement: {
          Effect: 'Deny',
          Principal: '*',
          Action: 'events:PutEvents',
          Resource: arnOf('GuardBus'),
          Condition: { ArnNotEquals: { 'aws:PrincipalArn': [...ids, 'Sweep', 'Tick', 'Operate'].map(roleArn) } },
        },
      },
    },
  };
}

function roleArn(id: string): Value {
  return sub(roleText(id));
}

function roleText(id: string): string {
  return `arn:\${AWS::Partition}:iam::\${AWS::AccountId}:role/\${AWS::StackName}-${kebabCase(id)}`;
}
