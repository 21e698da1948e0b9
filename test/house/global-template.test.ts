import type { AnyRule } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { sample } from '../support/events.ts';
import { matches } from './pattern.ts';
import { read } from './repository.ts';
import { deploy, ofType, parse, roleStatements } from './template.ts';

// The small stack that forwards what IAM tells to a guard in another region.

const nothing = { Globals: { Function: {} } };
const template = { ...nothing, ...parse(read('template.global.yaml')) };
const stack = deploy({ HomeRegion: 'eu-central-1' }, template);
const forwarding = ofType(stack, 'AWS::Events::Rule');
const home = 'arn:aws:events:eu-central-1:111122223333:event-bus/default';
const all: readonly AnyRule[] = rules;

test('it forwards every operation of IAM that some rule listens to', () => {
  const body = sample('PutRolePolicy/own.json') as { detail: object };
  const operations = all.flatMap(({ on }) => on.flatMap(({ service, operations }) => (service === 'iam' ? operations : [])));
  expect(operations.length).toBeGreaterThan(0);
  const isForwarded = (eventName: string, more = {}) =>
    forwarding.some(([, { EventPattern }]) => matches(EventPattern, { ...body, detail: { ...body.detail, eventName, ...more } }));
  expect(operations.filter((operation) => !isForwarded(operation))).toEqual([]);
  expect(isForwarded('GetRole')).toBe(false);
  expect(isForwarded('PutRolePolicy', { errorCode: 'AccessDenied' })).toBe(false);
});

test('it forwards to the bus of that region, and may do nothing else', () => {
  for (const [, { Targets }] of forwarding) expect(Targets).toMatchObject([{ Arn: home, RoleArn: '${ForwardingRole.Arn}' }]);
  const [role] = ofType(stack, 'AWS::IAM::Role');
  expect(roleStatements(role?.[1] ?? {})).toMatchObject([{ effect: 'Allow', actions: ['events:PutEvents'], resources: [home] }]);
});

test('what could not be forwarded is heard of', () => {
  const [queue, ...others] = ofType(stack, 'AWS::SQS::Queue');
  expect(others).toEqual([]);
  for (const [, { Targets }] of forwarding) expect(Targets).toMatchObject([{ DeadLetterConfig: { Arn: `\${${queue?.[0]}.Arn}` } }]);
  expect(ofType(stack, 'AWS::CloudWatch::Alarm')).toMatchObject([
    [
      'DeadLettersWaiting',
      {
        MetricName: 'ApproximateNumberOfMessagesVisible',
        Dimensions: [{ Name: 'QueueName', Value: `\${${queue?.[0]}.QueueName}` }],
        Threshold: 1,
        AlarmActions: ['${AlarmTopic}'],
      },
    ],
  ]);
  expect(ofType(stack, 'AWS::SNS::Subscription')).toEqual([]);
  const told = ofType(deploy({ HomeRegion: 'eu-central-1', AlertEmail: 'ops@example.com' }, template), 'AWS::SNS::Subscription');
  expect(told).toMatchObject([['AlarmSubscription', { TopicArn: '${AlarmTopic}', Endpoint: 'ops@example.com' }]]);
});
