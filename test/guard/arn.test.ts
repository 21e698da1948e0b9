import fc from 'fast-check';
import { functionArn, functionName, matchesGlob, parseArn, partitionOf, qualifierOf, roleName } from '../../guard/arn.ts';
import { functionSubject, securityGroupSubject } from '../../guard/subject.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';

test.each([
  ['orders'],
  ['orders:live'],
  ['orders:$LATEST'],
  ['orders:7'],
  ['111122223333:function:orders'],
  ['111122223333:function:orders:live'],
  [orders],
  [`${orders}:live`],
  [`${orders}:$LATEST`],
])('%s is the function orders', (text) => expect(functionArn(text, place)).toBe(orders));

test('a full ARN says itself where it lies', () => {
  expect(functionArn('arn:aws:lambda:eu-west-1:444455556666:function:orders', place)).toBe(
    'arn:aws:lambda:eu-west-1:444455556666:function:orders',
  );
  expect(functionArn('orders', { account: '111122223333', region: 'cn-north-1' })).toBe(
    'arn:aws-cn:lambda:cn-north-1:111122223333:function:orders',
  );
});

test.each([
  '',
  ' ',
  'orders live',
  'orders:',
  'orders:a:b',
  'arn:aws:s3:::bucket',
  'arn:aws:lambda:us-east-1:111122223333:layer:x',
  'arn:aws:lambda:us-east-1:1:function:x',
  '*',
  'orders\n',
])('"%s" is no function', (text) => expect(functionArn(text, place)).toBeUndefined());

test.each([
  ['orders', undefined],
  ['orders:$LATEST', undefined],
  ['orders:live', 'live'],
  ['111122223333:function:orders:7', '7'],
  [orders, undefined],
  [`${orders}:live`, 'live'],
  ['', undefined],
])('the qualifier of %s is %s', (text, qualifier) => expect(qualifierOf(text)).toBe(qualifier));

test('the parts of an ARN', () => {
  expect(parseArn('arn:aws:s3:::bucket/key:with:colons')).toEqual({
    partition: 'aws',
    service: 's3',
    region: '',
    account: '',
    resource: 'bucket/key:with:colons',
  });
  expect(functionName(`${orders}:live`)).toBe('orders');
  expect(roleName('arn:aws:iam::111122223333:role/compliance-guard/orders')).toBe('orders');
  for (const text of ['', 'arn', 'arn:aws:s3', 'arn:::::']) expect(parseArn(text)).toBeUndefined();
});

test.each([
  ['us-east-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
])('%s is in the partition %s', (region, partition) => expect(partitionOf(region)).toBe(partition));

describe('a glob', () => {
  test.each([
    ['*', true],
    [orders, true],
    ['arn:aws:lambda:*:*:function:ord*', true],
    ['arn:aws:lambda:us-east-1:111122223333:function:order?', true],
    ['arn:aws:lambda:us-east-1:111122223333:function:order', false],
    ['function:orders', false],
    ['', false],
    ['arn:aws:lambda:us-east-1:111122223333:function:.*', false],
    ['arn.aws.lambda*', false],
    ['arn:aws:lambda:us-east-1:111122223333:function:(orders|x)', false],
    ['[a-z]*', false],
  ])('%s: %s', (glob, matches) => expect(matchesGlob(orders, glob)).toBe(matches));

  test('without * and ? is the text itself, whatever signs are in it', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, other) => {
        const glob = text.replace(/[*?]/g, '');
        expect(matchesGlob(glob, glob)).toBe(true);
        if (other !== glob) expect(matchesGlob(other, glob)).toBe(false);
      }),
    );
  });

  test('takes no longer for a hostile one', () => {
    const start = performance.now();
    matchesGlob('a'.repeat(2000), `${'*a'.repeat(12)}b`);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe('subjects', () => {
  test.each([
    ['orders', undefined, orders],
    ['orders', 'live', `${orders}:live`],
    ['orders', '$LATEST', orders],
    ['orders:live', undefined, `${orders}:live`],
    [`${orders}:7`, undefined, `${orders}:7`],
  ])('%s with %s', (name, qualifier, arn) => {
    expect(functionSubject(name, place, qualifier)).toEqual({ arn, type: 'AWS::Lambda::Function', ...place });
  });

  test('are not made of what is no name', () => {
    expect(functionSubject('', place)).toBeUndefined();
    expect(functionSubject('a b', place)).toBeUndefined();
  });

  test('of another region lie there', () => {
    expect(functionSubject('arn:aws:lambda:eu-west-1:444455556666:function:orders', place)).toMatchObject({
      account: '444455556666',
      region: 'eu-west-1',
    });
  });

  test('a security group', () => {
    expect(securityGroupSubject('sg-1', place)).toEqual({
      arn: 'arn:aws:ec2:us-east-1:111122223333:security-group/sg-1',
      type: 'AWS::EC2::SecurityGroup',
      ...place,
    });
  });
});
