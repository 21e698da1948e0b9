import { connect } from '../../../aws/handle.ts';
import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/guard/guard-tampered.ts';
import { type EventBody, sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const checker = 'arn:aws:lambda:us-east-1:111122223333:function:guard-check-apis';
const onLambda = 'arn:aws:events:us-east-1:111122223333:rule/guard-CheckApisOnLambda-A1B2C3';
const onAlert = 'arn:aws:events:us-east-1:111122223333:rule/guard/guard-NotifyOnAlert-A1B2C3';
const key = 'arn:aws:kms:us-east-1:111122223333:key/11112222-3333-4444-5555-666677778888';
const topic = 'arn:aws:sns:us-east-1:111122223333:guard-AlertTopic-A1B2C3';
const role = 'arn:aws:iam::111122223333:role/guard-check-apis';
const mapping = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const pipeline = 'arn:aws:iam::111122223333:role/ci/deploy-pipeline';
const trails = 'arn:aws:cloudtrail:us-east-1:111122223333:trail/*';
const trail = 'arn:aws:cloudtrail:us-east-1:111122223333:trail/main';
const organizationTrail = 'arn:aws:cloudtrail:us-east-1:999988887777:trail/organization';
const ana = 'arn:aws:sts::111122223333:assumed-role/Admin/ana';
const settings = { deployers: [pipeline], operators: ['arn:aws:iam::111122223333:role/operator'] };

/** The guard, as it is deployed. */
function deployed({ eventBridge, kms, lambda, sns }: World): void {
  eventBridge.putRule({ Name: 'guard-CheckApisOnLambda-A1B2C3' });
  eventBridge.putRule({ Name: 'guard-NotifyOnAlert-A1B2C3', EventBusName: 'guard' });
  kms.createKey(key);
  lambda.createFunction({ FunctionName: 'guard-check-apis' });
  lambda.createEventSourceMapping({ FunctionName: 'guard-check-apis', UUID: mapping });
  sns.createTopic(topic, `${topic}:0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0`);
}

const but =
  (change: (world: World) => void) =>
  (world: World): void => {
    deployed(world);
    change(world);
  };

/** The same call by somebody else. */
function by(path: string, arn: string, identity: object = {}): EventBody {
  const userIdentity = { arn: `${arn.replace(':iam:', ':sts:').replace(/:role\/(?:.*\/)?/, ':assumed-role/')}/somebody`, ...identity };
  return sample(path, { detail: { userIdentity: { ...userIdentity, sessionContext: { sessionIssuer: { arn } } } } });
}

/** What Ana did, as an event tells it, with the sample's id. */
function done(path: string, call: string, who = ana) {
  const { eventID } = (sample(path) as { detail: { eventID: string } }).detail;
  return { call, event: eventID, time: '2026-11-22T12:00:00Z', by: who, sourceIp: '198.51.100.7' };
}

const saying = (call: string, what: string) =>
  `${ana}, who is neither an operator nor a deployer of the guard, called ${call} on ${what} at 2026-11-22T12:00:00Z.`;
const off = (what: string, ...which: string[]) => `Of ${what}: ${which.join(', ')}, so the guard does not see or do all that it should.`;

/** A tampering that nothing but its event tells of. */
const told = ({ name }: { readonly name: string }, path: string, call: string, subject: string, reads = 0) => ({
  name,
  kind: 'violating' as const,
  settings,
  arrange: deployed,
  event: sample(path),
  expect: {
    violations: [
      {
        subject,
        severity: 'critical' as const,
        summary: saying(call, subject.split(':').slice(5).join(':')),
        evidence: done(path, call),
        tags: {},
        plan: {
          steps: [],
          refused: 'Only what is switched off can be switched on again: deploy the stack anew, and look at who did it.',
        },
      },
    ],
  },
  calls: { aws: reads },
});

/** What is said where not all that is called reaches the guard. */
const unheard = (...why: readonly string[]) => `Not all that is called in this account and region reaches the guard: ${why.join(', ')}.`;
const everything = [
  'apigateway',
  'cloudtrail',
  'dynamodb',
  'ec2',
  'events',
  'iam',
  'kms',
  'lambda',
  'monitoring',
  'secretsmanager',
  'sns',
  'sqs',
];
const sweptTrails = { arn: trails, type: 'AWS::CloudTrail::Trail', ...place } as const;
const trailPlan = { steps: [], refused: 'The guard changes no trail: start one that takes in management events, writes among them.' };
const management = { Field: 'eventCategory', Equals: ['Management'] };

const knownTampering = async (_: World, ledger: MemoryLedger, arn: string, tampering: object) =>
  await ledger.recordKept('guard-tampered', arn, { state: { tampering }, asOf: 1 });

ruleTest(rule, {
  rows: [
    {
      name: 'a deployer changes a rule',
      kind: 'compliant',
      settings,
      arrange: deployed,
      event: by('PutRule/own.json', pipeline),
      expect: { compliant: [onLambda] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'CloudFormation acts for a deployer',
      kind: 'compliant',
      settings,
      arrange: deployed,
      event: by('PutRolePolicy/own.json', pipeline, { invokedBy: 'cloudformation.amazonaws.com' }),
      expect: { compliant: [role] },
    },
    {
      name: 'an operator empties a queue',
      kind: 'compliant',
      settings,
      arrange: deployed,
      event: by('PurgeQueue/own.json', 'arn:aws:iam::111122223333:role/operator'),
    },
    {
      name: 'no operators and no deployers are listed, and it is no console session',
      kind: 'compliant',
      arrange: deployed,
      event: sample('PutRolePolicy/own.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'the function of somebody else',
      kind: 'compliant',
      settings,
      arrange: deployed,
      event: sample('UpdateFunctionCode20150331v2/of-the-guard.json', { detail: { requestParameters: { functionName: 'guardian' } } }),
      expect: { compliant: [] },
      calls: { aws: 0, ledger: 0 },
    },
    {
      name: 'a rule is enabled again, whoever did it',
      kind: 'compliant',
      settings,
      arrange: deployed,
      event: sample('EnableRule/own.json'),
      expect: { compliant: [onLambda] },
    },
    {
      name: 'an operator disables a rule: the next sweep tells',
      kind: 'compliant',
      settings,
      arrange: but(({ eventBridge }) => void eventBridge.disableRule({ Name: 'guard-CheckApisOnLambda-A1B2C3' })),
      event: by('DisableRule/own.json', 'arn:aws:iam::111122223333:role/operator'),
      expect: { compliant: [] },
    },
    {
      name: 'a deployer puts the role right',
      kind: 'compliant',
      settings,
      arrange: async (world, ledger) =>
        await knownTampering(world, ledger, role, done('AttachRolePolicy/own.json', 'iam:AttachRolePolicy')),
      event: by('PutRolePolicy/own.json', pipeline),
      expect: { compliant: [role] },
    },
    {
      name: 'an event that comes once more, after a deployer put it right',
      kind: 'compliant',
      settings,
      arrange: async (_, ledger) => await ledger.recordKept('guard-tampered', role, { state: { until: '2026-11-22T13:00:00Z' }, asOf: 1 }),
      event: sample('PutRolePolicy/own.json'),
      expect: { compliant: [role] },
    },
    {
      name: 'the sweep finds a rule enabled',
      kind: 'compliant',
      arrange: deployed,
      listed: { arn: onAlert, type: 'AWS::Events::Rule', ...place },
      expect: { compliant: [onAlert] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a function that takes from no queue has no event source mapping',
      kind: 'compliant',
      arrange: ({ lambda }) => void lambda.createFunction({ FunctionName: 'guard-tick' }),
      listed: { arn: checker.replace('check-apis', 'tick'), type: 'AWS::Lambda::Function', ...place },
    },
    {
      name: 'the topic of alarms needs no subscription',
      kind: 'compliant',
      arrange: deployed,
      listed: { arn: topic.replace('Alert', 'Alarm'), type: 'AWS::SNS::Topic', ...place },
    },
    {
      name: 'a trail of another region takes in all management events',
      kind: 'compliant',
      arrange: ({ cloudTrail }) => cloudTrail.putTrail('arn:aws:cloudtrail:eu-west-1:111122223333:trail/all-regions'),
      listed: sweptTrails,
      expect: { compliant: [trails] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a trail is stopped, and another one logs',
      kind: 'compliant',
      settings,
      arrange: ({ cloudTrail }) => {
        cloudTrail.putTrail(trail, { IsLogging: false });
        cloudTrail.putTrail(trail.replace('main', 'second'));
      },
      event: sample('StopLogging/trail.json'),
      expect: { compliant: [trails] },
    },
    {
      name: 'two trails take in together what each leaves out',
      kind: 'compliant',
      arrange: ({ cloudTrail }) => {
        cloudTrail.putTrail(trail, {
          AdvancedEventSelectors: [
            {
              FieldSelectors: [
                management,
                { Field: 'readOnly', Equals: ['false'] },
                { Field: 'eventSource', NotEquals: ['kms.amazonaws.com'] },
              ],
            },
          ],
        });
        cloudTrail.putTrail(trail.replace('main', 'keys'), {
          AdvancedEventSelectors: [{ FieldSelectors: [management, { Field: 'eventSource', Equals: ['kms.amazonaws.com'] }] }],
        });
      },
      listed: sweptTrails,
      expect: { compliant: [trails] },
    },
    {
      name: 'a trail of the organization that this account may not read, and one of its own',
      kind: 'compliant',
      arrange: ({ cloudTrail }) => {
        cloudTrail.putTrail(organizationTrail);
        cloudTrail.putTrail(trail);
      },
      listed: sweptTrails,
    },
    {
      name: 'the logging of a trail begins again',
      kind: 'compliant',
      settings,
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(trail),
      event: sample('StartLogging/trail.json'),
      expect: { compliant: [trails] },
    },
    {
      name: 'a new trail that logs',
      kind: 'compliant',
      settings,
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(trail),
      event: sample('CreateTrail/trail.json'),
      expect: { compliant: [trails] },
    },
    {
      name: 'an operator stops the trail: the next sweep tells',
      kind: 'compliant',
      settings,
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(trail, { IsLogging: false }),
      event: by('StopLogging/trail.json', 'arn:aws:iam::111122223333:role/operator'),
      expect: { compliant: [] },
    },

    told({ name: 'somebody gives a rule another pattern' }, 'PutRule/own.json', 'events:PutRule', onLambda, 1),
    told({ name: 'somebody sends events elsewhere' }, 'PutTargets/own.json', 'events:PutTargets', onLambda, 1),
    told({ name: 'somebody takes the targets of a rule away' }, 'RemoveTargets/own.json', 'events:RemoveTargets', onLambda, 1),
    told(
      { name: 'somebody opens the bus' },
      'PutPermission/own.json',
      'events:PutPermission',
      'arn:aws:events:us-east-1:111122223333:event-bus/guard',
    ),
    told(
      { name: 'somebody replaces the code of the guard' },
      'UpdateFunctionCode20150331v2/of-the-guard.json',
      'lambda:UpdateFunctionCode',
      checker,
      2,
    ),
    told(
      { name: 'somebody filters what a function hears' },
      'UpdateEventSourceMapping20150331/filtered.json',
      'lambda:UpdateEventSourceMapping',
      checker,
      2,
    ),
    told({ name: 'somebody widens a role of the guard' }, 'PutRolePolicy/own.json', 'iam:PutRolePolicy', role),
    told({ name: 'somebody changes whom a role trusts' }, 'UpdateAssumeRolePolicy/own.json', 'iam:UpdateAssumeRolePolicy', role),
    told(
      { name: 'somebody loosens the boundary' },
      'CreatePolicyVersion/own.json',
      'iam:CreatePolicyVersion',
      'arn:aws:iam::111122223333:policy/guard-RoleBoundary-A1B2C3',
    ),
    told({ name: 'a deployer role is made anew' }, 'CreateRole/of-a-deployer.json', 'iam:CreateRole', pipeline),
    told(
      { name: 'somebody opens a queue' },
      'SetQueueAttributes/own.json',
      'sqs:SetQueueAttributes',
      'arn:aws:sqs:us-east-1:111122223333:guard-CheckApisEvents-A1B2C3',
    ),
    told(
      { name: 'somebody filters what a subscriber hears' },
      'SetSubscriptionAttributes/own.json',
      'sns:SetSubscriptionAttributes',
      topic,
      1,
    ),
    told(
      { name: 'somebody takes the policy of the ledger away' },
      'DeleteResourcePolicy/table.json',
      'dynamodb:DeleteResourcePolicy',
      'arn:aws:dynamodb:us-east-1:111122223333:table/guard-Ledger-A1B2C3',
    ),
    told(
      { name: 'somebody deletes the ledger' },
      'DeleteTable/own.json',
      'dynamodb:DeleteTable',
      'arn:aws:dynamodb:us-east-1:111122223333:table/guard-Ledger-A1B2C3',
    ),
    told({ name: 'somebody changes who may use the key' }, 'PutKeyPolicy/own.json', 'kms:PutKeyPolicy', key, 1),
    told(
      { name: 'somebody silences an alarm' },
      'DisableAlarmActions/own.json',
      'monitoring:DisableAlarmActions',
      'arn:aws:cloudwatch:us-east-1:111122223333:alarm:guard-CheckApisErrors-A1B2C3',
    ),
    {
      name: 'somebody disables a rule',
      kind: 'violating',
      settings,
      arrange: but(({ eventBridge }) => void eventBridge.disableRule({ Name: 'guard-CheckApisOnLambda-A1B2C3' })),
      event: sample('DisableRule/own.json'),
      expect: {
        violations: [
          {
            subject: onLambda,
            severity: 'critical',
            summary: off('rule/guard-CheckApisOnLambda-A1B2C3', 'the rule is disabled'),
            evidence: { off: ['the rule is disabled'] },
            tags: {},
            plan: {
              steps: [
                {
                  call: 'enableRule',
                  input: { Name: 'guard-CheckApisOnLambda-A1B2C3' },
                  undo: [{ call: 'disableRule', input: { Name: 'guard-CheckApisOnLambda-A1B2C3' } }],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'a rule is disabled, and no operators and no deployers are listed',
      kind: 'violating',
      arrange: but(({ eventBridge }) => void eventBridge.disableRule({ Name: 'guard-NotifyOnAlert-A1B2C3', EventBusName: 'guard' })),
      event: sample('DisableRule/of-its-bus.json'),
      expect: {
        violations: [
          {
            subject: onAlert,
            severity: 'critical',
            summary: off('rule/guard/guard-NotifyOnAlert-A1B2C3', 'the rule is disabled'),
            evidence: { off: ['the rule is disabled'] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the stack is deleted, and no operators and no deployers are listed',
      kind: 'compliant',
      arrange: but(({ lambda }) => void lambda.deleteEventSourceMapping({ UUID: mapping })),
      event: sample('DeleteEventSourceMapping20150331/own.json'),
      expect: { compliant: [] },
    },
    {
      name: 'somebody stops a checker, by its concurrency and its event source mapping',
      kind: 'violating',
      settings,
      arrange: but(({ lambda }) => {
        lambda.putFunctionConcurrency({ FunctionName: 'guard-check-apis', ReservedConcurrentExecutions: 0 });
        lambda.updateEventSourceMapping({ UUID: mapping, Enabled: false });
      }),
      event: sample('UpdateEventSourceMapping20150331/own.json'),
      expect: {
        violations: [
          {
            subject: checker,
            severity: 'critical',
            summary: off('function:guard-check-apis', 'its reserved concurrency is 0', `the event source mapping ${mapping} is disabled`),
            evidence: { off: ['its reserved concurrency is 0', `the event source mapping ${mapping} is disabled`] },
            tags: {},
            plan: {
              steps: [
                {
                  call: 'deleteFunctionConcurrency',
                  input: { FunctionName: checker },
                  undo: [{ call: 'putFunctionConcurrency', input: { FunctionName: checker, ReservedConcurrentExecutions: 0 } }],
                },
                {
                  call: 'updateEventSourceMapping',
                  input: { UUID: mapping, Enabled: true },
                  undo: [{ call: 'updateEventSourceMapping', input: { UUID: mapping, Enabled: false } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'the code of a function is replaced, and it is switched off',
      kind: 'violating',
      settings,
      arrange: but(
        ({ lambda }) => void lambda.putFunctionConcurrency({ FunctionName: 'guard-check-apis', ReservedConcurrentExecutions: 0 }),
      ),
      event: sample('UpdateFunctionCode20150331v2/of-the-guard.json'),
      expect: {
        violations: [
          {
            subject: checker,
            severity: 'critical',
            summary: `${saying('lambda:UpdateFunctionCode', 'function:guard-check-apis')} ${off('function:guard-check-apis', 'its reserved concurrency is 0')}`,
            evidence: {
              ...done('UpdateFunctionCode20150331v2/of-the-guard.json', 'lambda:UpdateFunctionCode'),
              off: ['its reserved concurrency is 0'],
            },
            tags: {},
            plan: {
              steps: [
                {
                  call: 'deleteFunctionConcurrency',
                  input: { FunctionName: checker },
                  undo: [{ call: 'putFunctionConcurrency', input: { FunctionName: checker, ReservedConcurrentExecutions: 0 } }],
                },
              ],
              remains: ['what lambda:UpdateFunctionCode changed'],
            },
          },
        ],
      },
    },
    {
      name: 'somebody has the key deleted',
      kind: 'violating',
      settings,
      arrange: but(({ kms }) => void kms.scheduleKeyDeletion({ KeyId: key })),
      event: sample('ScheduleKeyDeletion/own.json'),
      expect: {
        violations: [
          {
            subject: key,
            severity: 'critical',
            summary: off('key/11112222-3333-4444-5555-666677778888', 'the key is PendingDeletion'),
            evidence: { off: ['the key is PendingDeletion'] },
            tags: {},
            plan: {
              steps: [],
              refused: 'Only what is switched off can be switched on again: deploy the stack anew, and look at who did it.',
            },
          },
        ],
      },
    },
    {
      name: 'nobody hears of alerts any more',
      kind: 'violating',
      settings,
      arrange: but(({ sns }) => sns.createTopic(topic, 'PendingConfirmation')),
      event: sample('Unsubscribe/own.json'),
      expect: {
        violations: [
          {
            subject: topic,
            severity: 'critical',
            summary: off('guard-AlertTopic-A1B2C3', 'nobody has a confirmed subscription'),
            evidence: { off: ['nobody has a confirmed subscription'] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the sweep holds on to what an event told',
      kind: 'violating',
      arrange: async (world, ledger) => await knownTampering(world, ledger, role, done('PutRolePolicy/own.json', 'iam:PutRolePolicy')),
      listed: { arn: role, type: 'AWS::IAM::Role', ...place },
      expect: {
        violations: [
          {
            subject: role,
            severity: 'critical',
            summary: saying('iam:PutRolePolicy', 'role/guard-check-apis'),
            evidence: done('PutRolePolicy/own.json', 'iam:PutRolePolicy'),
            tags: {},
          },
        ],
      },
      calls: { aws: 0, ledger: 1 },
    },
    {
      name: 'the sweep finds a rule gone, and no event told',
      kind: 'violating',
      listed: { arn: onLambda, type: 'AWS::Events::Rule', ...place },
      expect: {
        violations: [
          {
            subject: onLambda,
            severity: 'critical',
            summary: off('rule/guard-CheckApisOnLambda-A1B2C3', 'it is not there'),
            evidence: { off: ['it is not there'] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the sweep finds a rule disabled, and no event told',
      kind: 'violating',
      settings,
      arrange: but(({ eventBridge }) => void eventBridge.disableRule({ Name: 'guard-CheckApisOnLambda-A1B2C3' })),
      listed: { arn: onLambda, type: 'AWS::Events::Rule', ...place },
      expect: {
        violations: [
          {
            subject: onLambda,
            severity: 'critical',
            summary: off('rule/guard-CheckApisOnLambda-A1B2C3', 'the rule is disabled'),
            evidence: { off: ['the rule is disabled'] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the sweep finds an event source mapping disabled',
      kind: 'violating',
      settings,
      arrange: but(({ lambda }) => void lambda.updateEventSourceMapping({ UUID: mapping, Enabled: false })),
      listed: { arn: checker, type: 'AWS::Lambda::Function', ...place },
      expect: {
        violations: [
          {
            subject: checker,
            severity: 'critical',
            summary: off('function:guard-check-apis', `the event source mapping ${mapping} is disabled`),
            evidence: { off: [`the event source mapping ${mapping} is disabled`] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the sweep finds a checker without its event source mapping',
      kind: 'violating',
      arrange: but(({ lambda }) => void lambda.deleteEventSourceMapping({ UUID: mapping })),
      listed: { arn: checker, type: 'AWS::Lambda::Function', ...place },
      expect: {
        violations: [
          {
            subject: checker,
            severity: 'critical',
            summary: off('function:guard-check-apis', 'it has no event source mapping'),
            evidence: { off: ['it has no event source mapping'] },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'somebody stops the trail',
      kind: 'violating',
      settings,
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(trail, { IsLogging: false, LatestDeliveryError: 'AccessDenied' }),
      event: sample('StopLogging/trail.json'),
      expect: {
        violations: [
          {
            subject: trails,
            severity: 'critical',
            summary: unheard('trail/main does not log'),
            evidence: {
              off: ['trail/main does not log'],
              trails: [{ arn: trail, logging: false, leavesOut: [], deliveryError: 'AccessDenied' }],
            },
            tags: {},
            plan: trailPlan,
          },
        ],
      },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'a trail is deleted, and no operators and no deployers are listed',
      kind: 'violating',
      event: sample('DeleteTrail/trail.json'),
      expect: {
        violations: [
          {
            subject: trails,
            severity: 'critical',
            summary: unheard('there is no trail'),
            evidence: { off: ['there is no trail'], trails: [] },
            tags: {},
            plan: trailPlan,
          },
        ],
      },
      calls: { aws: 1 },
    },
    {
      name: 'the selectors of the trail leave out management events',
      kind: 'violating',
      settings,
      arrange: ({ cloudTrail }) =>
        cloudTrail.putTrail(trail, { EventSelectors: [{ ReadWriteType: 'All', IncludeManagementEvents: false }] }),
      event: sample('PutEventSelectors/no-management-events.json'),
      expect: {
        violations: [
          {
            subject: trails,
            severity: 'critical',
            summary: unheard('trail/main takes in no calls that change something'),
            evidence: {
              off: ['trail/main takes in no calls that change something'],
              trails: [{ arn: trail, logging: true, leavesOut: everything }],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the sweep finds trails for reading calls and for data alone',
      kind: 'violating',
      arrange: ({ cloudTrail }) => {
        cloudTrail.putTrail(trail, { EventSelectors: [{ ReadWriteType: 'ReadOnly', IncludeManagementEvents: true }] });
        cloudTrail.putTrail(trail.replace('main', 'data'), {
          AdvancedEventSelectors: [{ FieldSelectors: [{ Field: 'eventCategory', Equals: ['Data'] }] }],
        });
        cloudTrail.putTrail(trail.replace('main', 'reads'), {
          AdvancedEventSelectors: [{ FieldSelectors: [management, { Field: 'readOnly', Equals: ['true'] }] }],
        });
      },
      listed: sweptTrails,
      expect: {
        violations: [
          {
            subject: trails,
            severity: 'critical',
            summary: unheard(...['main', 'data', 'reads'].map((name) => `trail/${name} takes in no calls that change something`)),
            evidence: {
              off: ['main', 'data', 'reads'].map((name) => `trail/${name} takes in no calls that change something`),
              trails: ['main', 'data', 'reads'].map((name) => ({
                arn: trail.replace('main', name),
                logging: true,
                leavesOut: everything,
              })),
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the only trail leaves out the calls of a service that rules listen to',
      kind: 'violating',
      arrange: ({ cloudTrail }) =>
        cloudTrail.putTrail(trail, {
          EventSelectors: [{ ReadWriteType: 'All', IncludeManagementEvents: true, ExcludeManagementEventSources: ['kms.amazonaws.com'] }],
        }),
      listed: sweptTrails,
      expect: {
        violations: [
          {
            subject: trails,
            severity: 'medium',
            summary: unheard('no trail takes in the calls of kms.amazonaws.com'),
            evidence: {
              off: ['no trail takes in the calls of kms.amazonaws.com'],
              trails: [{ arn: trail, logging: true, leavesOut: ['kms'] }],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the only trail takes in no events of global services',
      kind: 'violating',
      settings,
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(trail, { IncludeGlobalServiceEvents: false }),
      event: sample('UpdateTrail/one-region.json'),
      expect: {
        violations: [
          {
            subject: trails,
            severity: 'medium',
            summary: unheard('no trail takes in the calls of iam.amazonaws.com'),
            evidence: {
              off: ['no trail takes in the calls of iam.amazonaws.com'],
              trails: [{ arn: trail, logging: true, leavesOut: ['iam'] }],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'the pipeline role from the console',
      kind: 'violating',
      settings,
      arrange: deployed,
      event: sample('PutRolePolicy/own.json', {
        detail: {
          userIdentity: {
            arn: 'arn:aws:sts::111122223333:assumed-role/deploy-pipeline/ana',
            sessionContext: { sessionIssuer: { arn: pipeline } },
          },
          sessionCredentialFromConsole: 'true',
        },
      }),
      expect: {
        violations: [
          {
            subject: role,
            severity: 'critical',
            summary: saying('iam:PutRolePolicy', 'role/guard-check-apis').replace('Admin/ana', 'deploy-pipeline/ana'),
            evidence: done('PutRolePolicy/own.json', 'iam:PutRolePolicy', 'arn:aws:sts::111122223333:assumed-role/deploy-pipeline/ana'),
            tags: {},
          },
        ],
      },
    },
    { name: 'a call that failed', kind: 'ignored', event: sample('PutRule/own.json', { detail: { errorCode: 'AccessDenied' } }) },
    {
      name: 'a dry run',
      kind: 'ignored',
      event: sample('UpdateFunctionCode20150331v2/of-the-guard.json', { detail: { requestParameters: { dryRun: true } } }),
    },
    {
      name: 'a rule without a name',
      kind: 'ignored',
      event: sample('PutRule/own.json', { detail: { requestParameters: { name: undefined } } }),
    },
    {
      name: 'the key of another account',
      kind: 'ignored',
      event: sample('PutKeyPolicy/own.json', { detail: { requestParameters: { keyId: key.replace('111122223333', '444455556666') } } }),
    },
    {
      name: 'rules may not be read',
      kind: 'failing',
      arrange: deployed,
      event: sample('DisableRule/own.json'),
      fail: { operation: 'DescribeRule', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'trails may not be read',
      kind: 'failing',
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(trail),
      listed: sweptTrails,
      fail: { operation: 'GetEventSelectors', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the only trail is one of the organization, which this account may not read',
      kind: 'failing',
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(organizationTrail),
      listed: sweptTrails,
      fail: { operation: 'GetTrailStatus', error: 'CloudTrailARNInvalidException' },
      expect: { throws: 'lasting', error: 'TrailUnreadable' },
    },
    {
      name: 'CloudTrail throttles, of whomever the trail is',
      kind: 'failing',
      arrange: ({ cloudTrail }) => cloudTrail.putTrail(organizationTrail),
      listed: sweptTrails,
      fail: { operation: 'GetTrailStatus', error: 'ThrottlingException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: deployed,
      event: sample('PutFunctionConcurrency20171031/own.json'),
      fail: { operation: 'GetFunctionConcurrency', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a deployer took a function out of the stack',
      kind: 'failing',
      settings,
      event: by('DeleteFunction20150331/of-the-guard.json', pipeline),
    },
  ],
  roundTrips: [
    {
      name: 'a disabled rule of the bus of the guard',
      settings,
      arrange: but(({ eventBridge }) => void eventBridge.disableRule({ Name: 'guard-NotifyOnAlert-A1B2C3', EventBusName: 'guard' })),
      event: sample('DisableRule/of-its-bus.json'),
      steps: ['enableRule'],
    },
    {
      name: 'a checker that is stopped',
      settings,
      arrange: but(({ lambda }) => {
        lambda.putFunctionConcurrency({ FunctionName: 'guard-check-apis', ReservedConcurrentExecutions: 0 });
        lambda.updateEventSourceMapping({ UUID: mapping, Enabled: false });
      }),
      event: sample('PutFunctionConcurrency20171031/own.json'),
      steps: ['deleteFunctionConcurrency', 'updateEventSourceMapping'],
    },
    {
      name: 'a disabled key',
      settings,
      arrange: but(({ kms }) => void kms.disableKey({ KeyId: key })),
      event: sample('DisableKey/own.json'),
      steps: ['enableKey'],
    },
  ],
});

test('a sweep lists what can be seen to be switched off, or gone', async () => {
  createWorld().cloudFormation.createStack('guard', [
    { ResourceType: 'AWS::Events::Rule', PhysicalResourceId: 'guard-CheckApisOnLambda-A1B2C3' },
    { ResourceType: 'AWS::Events::Rule', PhysicalResourceId: 'guard|guard-NotifyOnAlert-A1B2C3' },
    { ResourceType: 'AWS::Lambda::Function', PhysicalResourceId: 'guard-check-apis' },
    { ResourceType: 'AWS::Lambda::Function', PhysicalResourceId: 'guard-check-old', ResourceStatus: 'DELETE_COMPLETE' },
    { ResourceType: 'AWS::IAM::Role', PhysicalResourceId: 'guard-check-apis' },
    { ResourceType: 'AWS::KMS::Key', PhysicalResourceId: '11112222-3333-4444-5555-666677778888' },
    { ResourceType: 'AWS::SNS::Topic', PhysicalResourceId: topic },
  ]);
  const listed: string[] = [];
  const aws = connect(rule.list?.calls ?? [], place);
  const named = { stack: 'guard' } as Parameters<NonNullable<typeof rule.list>['subjects']>[2];
  for await (const page of rule.list?.subjects(place, aws, named) ?? []) listed.push(...page.map(({ arn }) => arn));
  expect(listed).toEqual([trails, onLambda, onAlert, checker, key, topic]);
});

test('a function of the estate is nothing to look at in a sweep', async () => {
  const subject = { arn: checker.replace('guard-check-apis', 'orders'), type: 'AWS::Lambda::Function', ...place } as const;
  expect(await rule.sweep?.(subject, { aws: {} as never })).toEqual([]);
});
