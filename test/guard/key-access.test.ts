import { keyAccess } from '../../guard/key-access.ts';

const role = 'arn:aws:iam::111122223333:role/orders';
const root = { AWS: 'arn:aws:iam::111122223333:root' };
const decrypt = { action: 'kms:Decrypt', principal: role, account: '111122223333', region: 'us-east-1' };
const allow = (more: object = {}) => ({ Effect: 'Allow', Principal: root, Action: 'kms:*', Resource: '*', ...more });
const through = (service: string) => ({ Condition: { StringEquals: { 'kms:ViaService': service, 'kms:CallerAccount': '111122223333' } } });
const lambda = 'lambda.us-east-1.amazonaws.com';

test.each([
  ['the policy of a new key', 'delegated', [allow()]],
  ['the account by its number', 'delegated', [allow({ Principal: { AWS: '111122223333' } })]],
  ['another account', 'closed', [allow({ Principal: { AWS: 'arn:aws:iam::444455556666:root' } })]],
  ['a service', 'closed', [allow({ Principal: { Service: 'lambda.amazonaws.com' } })]],
  ['the role itself', 'named', [allow({ Principal: { AWS: role } })]],
  ['another role', 'closed', [allow({ Principal: { AWS: `${role}-2` } })]],
  ['everybody through Lambda', 'named', [allow({ Principal: { AWS: '*' }, ...through(lambda) })]],
  [
    'everybody through any service',
    'named',
    [allow({ Principal: '*', Condition: { StringLike: { 'kms:ViaService': '*.amazonaws.com' } } })],
  ],
  ['everybody through S3', 'closed', [allow({ Principal: '*', ...through('s3.us-east-1.amazonaws.com') })]],
  ['Lambda in another region', 'closed', [allow(through('lambda.eu-west-1.amazonaws.com'))]],
  ['a condition that is not known', 'closed', [allow({ Condition: { StringEquals: { 'aws:PrincipalTag/team': 'shop' } } })]],
  ['an operator that is not known', 'closed', [allow({ Condition: { StringNotEquals: { 'kms:CallerAccount': '444455556666' } } })]],
  ['another action', 'closed', [allow({ Action: ['kms:Encrypt', 'kms:ReEncrypt*'] })]],
  ['a pattern of actions, in other letters', 'delegated', [allow({ Action: 'KMS:De*' })]],
  ['everything but an action', 'closed', [allow({ Action: undefined, NotAction: 'kms:ScheduleKeyDeletion' })]],
  ['everybody but somebody', 'closed', [allow({ Principal: undefined, NotPrincipal: { AWS: role } })]],
  ['a Deny for the role', 'closed', [allow(), allow({ Effect: 'Deny', Principal: { AWS: role } })]],
  ['a Deny for somebody else', 'delegated', [allow(), allow({ Effect: 'Deny', Principal: { AWS: `${role}-2` } })]],
  ['a Deny for the account', 'closed', [allow(), allow({ Effect: 'Deny' })]],
  ['a Deny under a condition', 'closed', [allow(), allow({ Effect: 'Deny', Principal: '*', ...through('s3.us-east-1.amazonaws.com') })]],
  [
    'a Deny of everything but an action',
    'closed',
    [allow(), allow({ Effect: 'Deny', Principal: '*', Action: undefined, NotAction: 'kms:Decrypt' })],
  ],
  ['a Deny of something else', 'delegated', [allow(), allow({ Effect: 'Deny', Principal: '*', Action: 'kms:ScheduleKeyDeletion' })]],
  ['nothing', 'closed', []],
])('a policy that names %s is %s', (_, access, Statement) => {
  expect(keyAccess(JSON.stringify({ Version: '2012-10-17', Statement }), decrypt)).toBe(access);
});

test('without a principal, a Deny for anybody is a doubt', () => {
  const Statement = [allow(), allow({ Effect: 'Deny', Principal: { AWS: `${role}-2` } })];
  const { principal: _, ...anybody } = decrypt;
  expect(keyAccess(JSON.stringify({ Statement }), anybody)).toBe('closed');
});

test('a grant that an AWS service makes may be all that is allowed', () => {
  const policy = JSON.stringify({ Statement: [allow({ Condition: { Bool: { 'kms:GrantIsForAWSResource': true } } })] });
  expect(keyAccess(policy, { ...decrypt, action: 'kms:CreateGrant' })).toBe('delegated');
  expect(keyAccess(policy, decrypt)).toBe('closed');
});

test('in China services have another ending', () => {
  const china = { ...decrypt, region: 'cn-north-1' };
  const policy = (service: string) => JSON.stringify({ Statement: [allow({ Principal: '*', ...through(service) })] });
  expect(keyAccess(policy('lambda.cn-north-1.amazonaws.com.cn'), china)).toBe('named');
  expect(keyAccess(policy('lambda.cn-north-1.amazonaws.com'), china)).toBe('closed');
});

test('what is no policy is never an answer', () => {
  expect(() => keyAccess('{', decrypt)).toThrow('the policy is not JSON');
});
