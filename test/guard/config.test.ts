import * as z from 'zod';
import { ConfigError, readConfig } from '../../guard/config.ts';
import { lower } from '../../guard/mode.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { timeoutLong } from './bench.ts';

const needed = { GUARD_ACCOUNT: '111122223333', AWS_REGION: 'eu-central-1', StackName: 'guard' };
const rule: AnyRule = {
  ...timeoutLong,
  delay: 15,
  params: z.object({
    longest: z.string().default('60').transform(Number).pipe(z.number().min(1, 'it is at least 1').max(900)),
    names: z
      .string()
      .default('a,b')
      .transform((value) => value.split(',')),
  }),
};

test('what nobody sets has a default, and no rule acts by itself', () => {
  const config = readConfig(needed, [rule]);
  expect(config).toMatchObject({
    home: { account: '111122223333', region: 'eu-central-1' },
    stack: 'guard',
    settings: { deployers: [], archiveBucket: '', boundaryArn: '', denialArn: '', stack: 'guard' },
    operators: [],
    neverTouch: [],
    allowTagExemptions: false,
    digestOver: 20,
    lambdaCallsPerSecond: 5,
    apiGatewayCallsPerSecond: 3,
  });
  expect(config.rule('timeout-long')).toEqual({
    mode: 'off',
    delay: 15 * 60_000,
    scope: ['*'],
    params: { longest: 60, names: ['a', 'b'] },
  });
  expect(config.rule('unheard-of')).toMatchObject({ mode: 'off', scope: ['*'], delay: 0 });
});

test('parameters are read by the names that the stack gives them', () => {
  const config = readConfig(
    {
      ...needed,
      Deployers: 'arn:aws:iam::111122223333:role/a, arn:aws:iam::111122223333:role/b,',
      Operators: 'arn:aws:iam::111122223333:role/ops',
      NeverTouch: 'arn:aws:lambda:*:*:function:pay-*',
      RemediateScope: 'tag:team=shop,arn:aws:lambda:*:*:function:x',
      ArchiveBucket: 'archive',
      BoundaryArn: 'arn:aws:iam::111122223333:policy/boundary',
      AllowTagExemptions: 'true',
      DigestOver: '3',
      LambdaCallsPerSecond: '10',
      ApiGatewayCallsPerSecond: '8',
      TimeoutLongMode: 'remediate',
      TimeoutLongDelay: '1.5',
      TimeoutLongScope: 'tag:stage=dev',
      TimeoutLongLongest: '120',
      TimeoutLongNames: 'x',
    },
    [rule],
  );
  expect(config).toMatchObject({
    settings: { deployers: ['arn:aws:iam::111122223333:role/a', 'arn:aws:iam::111122223333:role/b'], archiveBucket: 'archive' },
    operators: ['arn:aws:iam::111122223333:role/ops'],
    neverTouch: ['arn:aws:lambda:*:*:function:pay-*'],
    allowTagExemptions: true,
    digestOver: 3,
    lambdaCallsPerSecond: 10,
    apiGatewayCallsPerSecond: 8,
  });
  expect(config.rule('timeout-long')).toEqual({
    mode: 'remediate',
    delay: 90_000,
    scope: ['tag:stage=dev'],
    params: { longest: 120, names: ['x'] },
  });
  const { scope } = readConfig({ ...needed, RemediateScope: 'tag:team=shop' }, [rule]).rule('timeout-long');
  expect(scope).toEqual(['tag:team=shop']);
});

test('who has no rules at hand knows the modes and delays of all of them', () => {
  const config = readConfig({ ...needed, Modes: 'timeout-long=remediate:1.5, role-shared=alert:0' }, []);
  expect(config.rule('timeout-long')).toMatchObject({ mode: 'remediate', delay: 90_000 });
  expect(config.rule('role-shared')).toMatchObject({ mode: 'alert', delay: 0 });
  expect(config.rule('unheard-of')).toMatchObject({ mode: 'off', delay: 0 });
});

test.each([
  ['GUARD_ACCOUNT', '12345'],
  ['GUARD_ACCOUNT', undefined],
  ['AWS_REGION', ''],
  ['AWS_REGION', undefined],
  ['StackName', ''],
  ['AllowTagExemptions', 'yes'],
  ['DigestOver', '0'],
  ['DigestOver', '1001'],
  ['DigestOver', 'many'],
  ['DigestOver', ''],
  ['LambdaCallsPerSecond', '0'],
  ['LambdaCallsPerSecond', '1001'],
  ['LambdaCallsPerSecond', 'NaN'],
  ['ApiGatewayCallsPerSecond', '11'],
  ['Modes', 'timeout-long'],
  ['Modes', 'timeout-long=fix:0'],
  ['Modes', 'timeout-long=alert:soon'],
  ['TimeoutLongMode', 'fix'],
  ['TimeoutLongMode', ''],
  ['TimeoutLongMode', 'Remediate'],
  ['TimeoutLongDelay', '-1'],
  ['TimeoutLongDelay', '10081'],
  ['TimeoutLongDelay', 'soon'],
  ['TimeoutLongLongest', '0'],
  ['TimeoutLongLongest', '901'],
  ['TimeoutLongLongest', 'x'],
])('%s cannot be "%s", and the sentence names it', (name, value) => {
  const read = () => readConfig({ ...needed, [name]: value }, [rule]);
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(new RegExp(`^The parameter ${name} cannot be used: .+\\.$`, 's'));
});

test('what is refused is never repeated: a parameter in the wrong place may be a secret', () => {
  try {
    readConfig({ ...needed, DigestOver: 'hunter2-of-production' }, [rule]);
    throw new Error('nothing was refused');
  } catch (error) {
    expect(String(error)).toContain('DigestOver');
    expect(String(error)).not.toContain('hunter2');
  }
});

test.each([
  ['role-shared', 'RoleShared'],
  ['function-url-open', 'FunctionUrlOpen'],
  ['x', 'X'],
])('%s is spelled %s in parameters', (id, name) => expect(pascalCase(id)).toBe(name));

test('the milder of two modes', () => {
  expect(lower('remediate', 'alert')).toBe('alert');
  expect(lower('alert', 'remediate')).toBe('alert');
  expect(lower('remediate', 'remediate')).toBe('remediate');
  expect(lower('off', 'remediate')).toBe('off');
  expect(lower('remediate', 'something else' as never)).toBe('off');
});
