import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clone, deniedToClones, judgeClone, namesRole } from '../../guard/role-clone.ts';
import type { SourceRole } from '../../guard/role-source.ts';

const arn = 'arn:aws:iam::111122223333:role/team/shared-app';
const trust = JSON.stringify({ Statement: { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' } });
const source: SourceRole = {
  arn,
  id: 'AROA5SHAREDAPP',
  trust,
  maxSessionDuration: 3600,
  boundary: undefined,
  tags: {},
  inline: [],
  managed: [],
};
const clone: Clone = {
  arn: 'arn:aws:iam::111122223333:role/compliance-guard/orders-c0ffee123456',
  name: 'orders-c0ffee123456',
  function: 'arn:aws:lambda:us-east-1:111122223333:function:orders',
  change: 'c0ffee123456',
  boundary: 'arn:aws:iam::111122223333:policy/boundary',
};

const allowed = (statement: object): SourceRole => ({
  ...source,
  inline: [{ name: 'work', document: JSON.stringify({ Statement: { Effect: 'Allow', ...statement } }) }],
});
const trusting = (...statements: readonly object[]): SourceRole => ({
  ...source,
  trust: JSON.stringify({ Statement: [...JSON.parse(`[${JSON.stringify(JSON.parse(trust).Statement)}]`), ...statements] }),
});
const refusalOf = (role: SourceRole): string | undefined => {
  const judged = judgeClone(role, clone);
  return 'refused' in judged ? judged.refused : undefined;
};

describe('actions beyond the boundary of a clone', () => {
  it.each([
    { Action: '*' },
    { Action: '*:*' },
    { Action: 'iam:*' },
    { Action: 'i?m:GetRole' },
    { Action: 'IAM:getrole' },
    { Action: 'sts:*' },
    { Action: 'st*:assumeROLE' },
    { Action: ['logs:*', 'sts:AssumeRole'] },
    { NotAction: 'logs:*' },
    { NotAction: 'iam:*' },
    { NotAction: ['iam:Get*', 'sts:*'] },
    { NotAction: ['sts:AssumeRole'] },
    { NotAction: ['iam:*', 'sts:*'] },
    { Action: 'organizations:DescribeOrganization' },
    { Action: 'account:*' },
  ])('$Action $NotAction', (actions) => {
    expect(refusalOf(allowed({ ...actions, Resource: '*' }))).toContain('the boundary of a clone denies some of that');
  });

  it.each([
    { Action: 'logs:*' },
    { Action: ['xray:*', 'cloudwatch:PutMetricData', 'ec2:CreateNetworkInterface'] },
    { Action: 'LOGS:PutLogEvents' },
  ])('do not include $Action', ({ Action }) => {
    expect(judgeClone(allowed({ Action, Resource: '*' }), clone)).toEqual({ reach: [] });
  });

  it('are those that the template denies', () => {
    const template = readFileSync(join(__dirname, '../../template.yaml'), 'utf8');
    const denied = /Sid: NoClimbing, Effect: Deny, Action: \[(.*?)\]/.exec(template)?.[1];
    expect(denied?.split(', ')).toEqual(deniedToClones.map((action) => `'${action}'`));
  });

  it('do not include what a statement denies', () => {
    const document = JSON.stringify({ Statement: { Effect: 'Deny', Action: '*', Resource: '*' } });
    expect(judgeClone({ ...source, managed: [{ name: 'deny', document }] }, clone)).toEqual({ reach: [] });
  });

  it('leave a statement in doubt that allows everything else', () => {
    const role = allowed({ NotAction: ['iam:*', 'organizations:*', 'account:*', 'sts:*'], Resource: '*' });
    expect(refusalOf(role)).toBe(
      'The policy work allows everything but iam:*, organizations:*, account:*, sts:* on *: the policies of everything that this covers cannot be read, and one may name the role.',
    );
  });
});

describe('the trust of a clone', () => {
  it.each([
    { who: { AWS: '*' }, named: '*' },
    { who: '*', named: '*' },
    { who: { AWS: ['111122223333', '999988887777'] }, named: '999988887777' },
    { who: { AWS: 'arn:aws:iam::999988887777:role/other' }, named: 'arn:aws:iam::999988887777:role/other' },
    { who: { AWS: 'AIDA5SOMEBODYWHOISGONE' }, named: 'AIDA5SOMEBODYWHOISGONE' },
    { who: { Federated: 'token.actions.githubusercontent.com' }, named: 'token.actions.githubusercontent.com' },
  ])('is not given to $named', ({ who, named }) => {
    const role = trusting({ Effect: 'Allow', Principal: who, Action: 'sts:AssumeRole' });
    expect(refusalOf(role)).toBe(
      `The trust policy of ${arn} names ${named}, which is neither a service nor known to belong to this account.`,
    );
  });

  it.each([
    { Service: ['lambda.amazonaws.com', 'edgelambda.amazonaws.com', 'scheduler.amazonaws.com'] },
    { AWS: '111122223333' },
    { AWS: ['arn:aws:iam::111122223333:role/developers', 'arn:aws:sts::111122223333:assumed-role/ci/run'] },
  ])('is given to %j', (who) => {
    expect(refusalOf(trusting({ Effect: 'Allow', Principal: who, Action: 'sts:AssumeRole' }))).toBeUndefined();
  });

  it('is not guessed from who may not', () => {
    const role = trusting({ Effect: 'Allow', NotPrincipal: { AWS: '111122223333' }, Action: 'sts:AssumeRole' });
    expect(refusalOf(role)).toContain('(NotPrincipal)');
  });

  it('has to include Lambda', () => {
    const deny = JSON.stringify({
      Statement: { Effect: 'Deny', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
    });
    expect(refusalOf({ ...source, trust: deny })).toBe(`The trust policy of ${arn} does not let Lambda assume it.`);
  });

  it('does not name the role itself', () => {
    const role = trusting({ Effect: 'Allow', Principal: { AWS: arn }, Action: 'sts:AssumeRole' });
    expect(refusalOf(role)).toBe(`The trust policy of ${arn} names the role itself.`);
  });

  it('is refused where it is no policy', () => {
    expect(refusalOf({ ...source, trust: 'anybody' })).toBe(`A policy of ${arn} is not understood: the policy is not JSON.`);
  });
});

describe('what a clone cannot repeat', () => {
  it('is a boundary other than its own', () => {
    expect(refusalOf({ ...source, boundary: clone.boundary })).toBeUndefined();
    expect(refusalOf({ ...source, boundary: 'arn:aws:iam::aws:policy/ReadOnlyAccess' })).toContain('the permissions boundary');
  });

  it('is more tags than fit beside its own; those of AWS do not count', () => {
    const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`tag-${index}`, 'x']));
    expect(refusalOf({ ...source, tags: { ...tags(47), 'aws:cloudformation:stack-name': 'shop' } })).toBeUndefined();
    expect(refusalOf({ ...source, tags: tags(48) })).toContain('so many tags');
  });

  it.each(['${aws:userid}', '${aws:PrincipalArn}', '${aws:UserId}'])('is what depends on %s', (variable) => {
    const role = allowed({ Action: 'logs:*', Resource: '*', Condition: { StringLike: { 'aws:ResourceTag/owner': variable } } });
    expect(refusalOf(role)).toBe('The policy work goes by the name or id of the role, which the clone does not share.');
  });

  it('is a policy of its own that names it', () => {
    const role = allowed({ Action: 'logs:*', Resource: '*', Condition: { ArnEquals: { 'aws:PrincipalArn': arn } } });
    expect(refusalOf(role)).toBe('The policy work goes by the name or id of the role, which the clone does not share.');
  });
});

describe('resources with policies of their own', () => {
  it.each([
    ['arn:aws:s3:::orders-data', { service: 's3', arn: 'arn:aws:s3:::orders-data', name: 'orders-data' }],
    ['arn:aws:s3:::orders-data/in/*', { service: 's3', arn: 'arn:aws:s3:::orders-data', name: 'orders-data' }],
    ['arn:aws:sqs:us-east-1:111122223333:orders.fifo', { service: 'sqs', name: 'orders.fifo' }],
    ['arn:aws:sns:us-east-1:111122223333:orders', { service: 'sns' }],
    ['arn:aws:kms:us-east-1:111122223333:key/mrk-0f1e2d3c', { service: 'kms' }],
    ['arn:aws:dynamodb:us-east-1:111122223333:table/orders', { service: 'dynamodb' }],
    [
      'arn:aws:dynamodb:us-east-1:111122223333:table/orders/index/*',
      { service: 'dynamodb', arn: 'arn:aws:dynamodb:us-east-1:111122223333:table/orders' },
    ],
    ['arn:aws:dynamodb:us-east-1:111122223333:table/orders/stream/2026-11-22T12:00:00.000', { service: 'dynamodb' }],
    ['arn:aws:secretsmanager:us-east-1:111122223333:secret:orders/db-AbC123', { service: 'secretsmanager' }],
    ['arn:aws:secretsmanager:us-east-1:111122223333:secret:orders/db-??????', { service: 'secretsmanager', arn: 'orders/db' }],
    ['arn:aws:lambda:us-east-1:111122223333:function:audit', { service: 'lambda', name: 'audit', qualifier: undefined }],
    ['arn:aws:lambda:us-east-1:111122223333:function:audit:live', { service: 'lambda', name: 'audit', qualifier: 'live' }],
  ])('%s is one', (Resource, expected) => {
    expect(judgeClone(allowed({ Action: 'x:Y', Resource }), clone)).toEqual({ reach: [{ arn: Resource, ...expected }] });
  });

  it.each([
    'arn:aws:s3:::*',
    'arn:aws:s3:::orders-*',
    'arn:aws:s3:us-east-1:111122223333:accesspoint/orders',
    'arn:aws:sqs:us-east-1:111122223333:orders-*',
    'arn:aws:sqs:*:111122223333:orders',
    'arn:aws:sqs:us-east-1:*:orders',
    'arn:aws:sqs:eu-west-1:111122223333:orders',
    'arn:aws-cn:sqs:us-east-1:111122223333:orders',
    'arn:aws:sns:us-east-1:111122223333:orders:0f1e2d3c',
    'arn:aws:kms:us-east-1:111122223333:alias/orders',
    'arn:aws:kms:us-east-1:111122223333:key/*',
    'arn:aws:dynamodb:us-east-1:111122223333:table/*',
    'arn:aws:dynamodb:us-east-1:111122223333:table/orders/stream/*',
    'arn:aws:secretsmanager:us-east-1:111122223333:secret:orders/*',
    'arn:aws:secretsmanager:us-east-1:111122223333:secret:orders/db-*',
    'arn:aws:lambda:us-east-1:111122223333:function:audit:*',
    'arn:aws:lambda:us-east-1:111122223333:function:*',
    'arn:aws:kinesis:us-east-1:111122223333:stream/orders',
    'arn:aws:es:us-east-1:111122223333:domain/orders/*',
    'arn:aws:events:us-east-1:111122223333:event-bus/orders',
  ])('%s is a doubt', (Resource) => {
    expect(refusalOf(allowed({ Action: 'x:Y', Resource }))).toBe(
      `The policy work names ${Resource}: who else decides over it cannot be read, and may name the role.`,
    );
  });

  it.each([
    ['s3:GetObject', '*'],
    ['dynamodb:GetItem', 'arn:aws:*:us-east-1:111122223333:table/orders'],
    ['kinesis:PutRecord', 'arn:*'],
  ])('%s on %s is a doubt', (Action, Resource) => {
    expect(refusalOf(allowed({ Action: ['logs:*', Action], Resource }))).toBe(
      `The policy work allows ${Action} on ${Resource}: the policies of everything that this covers cannot be read, and one may name the role.`,
    );
  });

  it('are everything, where a statement names only what it leaves out', () => {
    expect(refusalOf(allowed({ Action: 's3:GetObject', NotResource: 'arn:aws:s3:::private/*' }))).toContain('allows s3:GetObject on *');
  });

  it('are not those of another account', () => {
    for (const Resource of ['arn:aws:logs:us-east-1:999988887777:log-group:x', 'arn:aws:kms:us-east-1:999988887777:key/1']) {
      expect(refusalOf(allowed({ Action: 'x:Y', Resource }))).toBe(
        `The policy work reaches ${Resource}, and what another account lets the role do cannot be read.`,
      );
    }
  });

  it('are read once, however often they are named', () => {
    const Resource = [
      'arn:aws:s3:::orders-data',
      'arn:aws:s3:::orders-data/*',
      'arn:aws:logs:*:*:*',
      'arn:aws:ssm:us-east-1:111122223333:parameter/*',
    ];
    expect(judgeClone(allowed({ Action: 'x:Y', Resource }), clone)).toEqual({
      reach: [{ service: 's3', arn: 'arn:aws:s3:::orders-data', name: 'orders-data' }],
    });
  });
});

describe('a document', () => {
  it.each([
    arn,
    arn.toUpperCase(),
    'AROA5SHAREDAPP',
    'AROA5SHAREDAPP:orders',
    'AROA5SHAREDAPP:*',
    'arn:aws:sts::111122223333:assumed-role/shared-app/orders',
    'arn:aws:sts::111122223333:assumed-role/shared-*',
    'arn:aws:iam::111122223333:role/team/*',
    'arn:aws:iam::*:role/*/shared-app',
    'arn:aws:iam::111122223333:role/compliance-guard/*',
  ])('tells the role from its clone by %s', (principal) => {
    expect(namesRole(JSON.stringify({ Statement: [{ Principal: { AWS: [principal] } }] }), source, clone)).toBe(true);
    expect(namesRole(JSON.stringify({ Condition: { StringLike: { 'aws:PrincipalArn': principal } } }), source, clone)).toBe(true);
  });

  it.each([
    '*',
    '111122223333',
    'arn:aws:iam::111122223333:root',
    'arn:aws:iam::111122223333:role/*',
    'arn:aws:sts::111122223333:assumed-role/*',
    'arn:aws:iam::111122223333:role/team/shared-app-2',
    'arn:aws:iam::111122223333:role/shared-app',
    'AROA5SOMEBODYELSE',
  ])('does not by %s', (principal) => {
    expect(namesRole(JSON.stringify({ Statement: [{ Sid: 'one', Effect: 'Allow', Principal: { AWS: principal } }] }), source, clone)).toBe(
      false,
    );
  });
});
