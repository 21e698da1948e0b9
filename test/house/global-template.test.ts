import type { AnyRule } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { sample } from '../support/events.ts';
import { matches } from './pattern.ts';
import { read } from './repository.ts';
import { deploy, ofType, parse, roleStatements } from './template.ts';

// The small stack that forwards what IAM tells to a guard in another region.

const nothing = { Globals: { Function: {} }, Conditions: {}, Outputs: {} };
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
