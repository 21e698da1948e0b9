import { untouchable } from '../../guard/scope.ts';
import { functionSubject, securityGroupSubject } from '../../guard/subject.ts';
import { configFor, place, timeoutLong } from './bench.ts';

const orders = functionSubject('orders', place);
const live = functionSubject('orders', place, 'live');
const group = securityGroupSubject('sg-1', place);
if (orders === undefined || live === undefined) throw new Error('these are functions');

function why(
  variables: Readonly<Record<string, string>>,
  subject = orders,
  tags: Readonly<Record<string, string>> = {},
): string | undefined {
  if (subject === undefined) throw new Error('a subject is needed');
  return untouchable({ subject, tags, rule: timeoutLong.id }, configFor([timeoutLong], variables));
}

test.each([
  ['nothing said', {}],
  ['everything', { RemediateScope: '*' }],
  ['an ARN glob', { RemediateScope: 'arn:aws:lambda:*:*:function:ord*' }],
  ['one of several', { RemediateScope: 'tag:team=x,arn:aws:lambda:us-east-1:111122223333:function:orders' }],
  ["the scope of the rule, which goes before the stack's", { RemediateScope: 'tag:team=x', TimeoutLongScope: '*' }],
])('a fix may touch it: %s', (_, variables) => {
  expect(why(variables)).toBeUndefined();
});

test.each([
  ['a tag that it does not have', { RemediateScope: 'tag:team=shop' }],
  ['another ARN', { RemediateScope: 'arn:aws:lambda:*:*:function:pay' }],
  ['a part of its ARN', { RemediateScope: 'function:orders' }],
  ["the scope of the rule, which goes before the stack's", { RemediateScope: '*', TimeoutLongScope: 'tag:team=x' }],
  ['a tag without a value, which is no tag', { RemediateScope: 'tag:team' }],
])('it is out of scope: %s', (_, variables) => {
  expect(why(variables)).toBe('It lies outside the scope in which this rule may remediate.');
});

test('a tag is compared whole', () => {
  expect(why({ RemediateScope: 'tag:team=shop' }, orders, { team: 'shop' })).toBeUndefined();
  expect(why({ RemediateScope: 'tag:team=shop' }, orders, { team: 'shop2' })).toBeDefined();
  expect(why({ RemediateScope: 'tag:team=sh*' }, orders, { team: 'shop' })).toBeDefined();
  expect(why({ RemediateScope: 'tag:a=b=c' }, orders, { a: 'b=c' })).toBeUndefined();
  expect(why({ RemediateScope: 'tag:constructor=x' }, orders, {})).toBeDefined();
});

test('what is never touched is named in the sentence, and goes before every scope', () => {
  expect(why({ NeverTouch: 'arn:aws:lambda:*:*:function:ord*', RemediateScope: '*' })).toBe(
    'NeverTouch names it (arn:aws:lambda:*:*:function:ord*).',
  );
  expect(why({ NeverTouch: 'arn:aws:ec2:*:*:security-group/sg-1' }, group)).toContain('NeverTouch');
});

test('who names a function means its aliases and versions as well', () => {
  const name = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
  expect(why({ NeverTouch: name }, live)).toContain('NeverTouch');
  expect(why({ RemediateScope: name }, live)).toBeUndefined();
  expect(why({ RemediateScope: `${name}:live` }, live)).toBeUndefined();
  expect(why({ RemediateScope: `${name}:live` }, orders)).toBeDefined();
});

test('the guard never changes itself', () => {
  expect(why({}, functionSubject('guard-check-roles', place))).toContain('guard itself');
  expect(why({}, functionSubject('guard-check-roles', place, 'live'))).toContain('guard itself');
  expect(why({}, orders, { 'aws:cloudformation:stack-name': 'guard' })).toContain('guard itself');
  expect(why({}, group, { 'aws:cloudformation:stack-name': 'guard' })).toContain('guard itself');
  expect(why({}, functionSubject('guardian', place))).toBeUndefined();
  expect(why({}, functionSubject('orders', place, 'guard-tested'))).toBeUndefined();
});

test.each([
  ['its roles', 'arn:aws:iam::111122223333:role/guard-check-roles'],
  ['its queues', 'arn:aws:sqs:us-east-1:111122223333:guard-CheckRolesEvents-1A2B3C'],
  ['its log groups', 'arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/guard-check-roles'],
])('nor %s', (_, arn) => {
  expect(why({}, { ...group, arn })).toContain('guard itself');
  expect(why({}, { ...group, arn: arn.replace('guard-', 'guardian-') })).toBeUndefined();
});
