import { rules } from '../../rules/index.ts';
import { eventPolicies, policiesOf } from '../../scripts/bench/peers/custodian.ts';
import { judge } from '../../scripts/bench/peers/judge.ts';
import { named } from '../../scripts/bench/peers/named.ts';
import { reportsOf } from '../../scripts/bench/peers/prowler.ts';
import type { Expected } from '../e2e/estate.ts';

const ids = rules.map(({ id }) => id);

test('every policy in pull mode names the rules that ask the same', async () => {
  for (const { name, metadata } of await policiesOf('custodian.yml'))
    expect([name, metadata.rules.length > 0, metadata.rules.filter((id) => !ids.includes(id))]).toEqual([name, true, []]);
});

test('every policy in event mode names the rules that ask the same, and events', async () => {
  for (const { policy, rules: same, events } of await eventPolicies()) {
    expect([policy, same.filter((id) => !ids.includes(id))]).toEqual([policy, []]);
    expect([policy, same.length > 0, events.length > 0]).toEqual([policy, true, true]);
  }
});

test.each(['custodian.yml', 'custodian-events.yml'])('the names of policies are their own in %s', async (file) => {
  const names = (await policiesOf(file)).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

const home = 'us-east-1:111122223333';
const lambda = { FunctionArn: `arn:aws:lambda:${home}:function:orders:live`, Role: 'arn:aws:iam::111122223333:role/orders' };

test.each([
  ['a function, by whatever qualifier it was asked for', lambda, undefined, [`arn:aws:lambda:${home}:function:orders`]],
  ['its role', lambda, 'role', ['arn:aws:iam::111122223333:role/orders']],
  ['its groups', { ...lambda, 'c7n:matched-security-groups': ['sg-1'] }, 'group', [`arn:aws:ec2:${home}:security-group/sg-1`]],
  ['its subnets', { ...lambda, 'c7n:matched-subnets': ['subnet-1'] }, 'subnet', [`arn:aws:ec2:${home}:subnet/subnet-1`]],
  ['a role', { Arn: 'arn:aws:iam::111122223333:role/orders' }, undefined, ['arn:aws:iam::111122223333:role/orders']],
  ['a group', { GroupId: 'sg-1', VpcId: 'vpc-1' }, undefined, [`arn:aws:ec2:${home}:security-group/sg-1`]],
  [
    'a group of IAM',
    { GroupId: 'AGPA1', Arn: 'arn:aws:iam::111122223333:group/devs' },
    undefined,
    ['arn:aws:iam::111122223333:group/devs'],
  ],
  ['an HTTP API', { ApiId: 'a1' }, 'api', ['arn:aws:apigateway:us-east-1::/apis/a1']],
  ['a REST API', { id: 'a1' }, 'api', ['arn:aws:apigateway:us-east-1::/restapis/a1']],
  ['a network ACL', { NetworkAclId: 'acl-1' }, undefined, [`arn:aws:ec2:${home}:network-acl/acl-1`]],
  ['a secret', { ARN: `arn:aws:secretsmanager:${home}:secret:db` }, undefined, [`arn:aws:secretsmanager:${home}:secret:db`]],
  ['a route', { RouteId: 'r1', 'c7n:parent-id': 'a1' }, undefined, ['arn:aws:apigateway:us-east-1::/apis/a1/routes/r1']],
  [
    'methods of a resource',
    { id: 'x', restApiId: 'a1', 'c7n:matched-resource-methods': [{ resourceId: 'x', httpMethod: 'GET' }] },
    undefined,
    ['arn:aws:apigateway:us-east-1::/restapis/a1/resources/x/methods/GET'],
  ],
] as const)('Cloud Custodian names %s', (_what, resource, instead, expected) => {
  expect(named(resource, instead)).toEqual(expected);
});

const violation = (rule: string, how: string, arn: string): Expected => ({
  finding: `${rule} ${arn}`,
  name: how,
  kind: { rule, how, make: async () => arn },
});
const orders = `arn:aws:lambda:${home}:function:orders`;

describe('a tool is judged', () => {
  test('by kinds of violation and by violations', () => {
    const expected = [
      violation('a', 'one', `${orders}-1x`),
      violation('a', 'one', `${orders}-2x`),
      violation('a', 'other', `${orders}-3x`),
    ];
    const { recall, kinds, missed } = judge([{ rules: ['a'], arn: `${orders}-1x` }], expected);
    expect(recall).toEqual({ kinds: 0.25, violations: 1 / 3 });
    expect(kinds).toEqual({ all: 2, found: 1 });
    expect(missed).toEqual({ 'a one': '1 of 2', 'a other': '1 of 1' });
  });

  test('by what it reports of what is not wrong, or not by that rule', () => {
    const expected = [violation('a', 'one', orders), violation('b', 'one', `${orders}-b`)];
    const reports = [
      { rules: ['a'], arn: orders },
      { rules: ['a'], arn: `${orders}-b` },
      { rules: ['b'], arn: `${orders}-b` },
    ];
    const { precision, wrong } = judge(reports, expected);
    expect(precision).toEqual({ rules: 0.75, reports: 2 / 3 });
    expect(wrong).toEqual([`a ${orders}-b`]);
  });

  test.each([
    ['the function of an alias', orders, `${orders}:live`, true],
    ['another function whose name begins alike', orders, `${orders}-2:live`, false],
    ['an alias, of a function', `${orders}:live`, orders, false],
    ['the API of a route', 'arn:aws:apigateway:us-east-1::/apis/a1', 'arn:aws:apigateway:us-east-1::/apis/a1/routes/r1', true],
  ])('whoever names %s', (_what, reported, wrong, found) => {
    expect(judge([{ rules: ['a'], arn: reported }], [violation('a', 'one', wrong)]).recall.violations).toBe(found ? 1 : 0);
  });

  test('either of two that share a role is the one', () => {
    const expected = [violation('role-shared', 'shared', `${orders}-*`)];
    for (const one of [1, 2]) expect(judge([{ rules: ['role-shared'], arn: `${orders}-${one}` }], expected).recall.violations).toBe(1);
  });

  test('and what only an event could tell is not missed, but right', () => {
    const heard = violation('a', 'heard', orders);
    const { recall, precision } = judge(
      [
        { rules: ['a'], arn: orders },
        { rules: ['a'], arn: `${orders}-1x` },
      ],
      [violation('a', 'one', `${orders}-1x`)],
      [heard, violation('a', 'one', `${orders}-1x`)],
    );
    expect([recall.violations, precision.reports]).toEqual([1, 1]);
  });
});

const prowlers = (event_code: string, uid: string, more: object = {}) => ({
  status_code: 'FAIL',
  status: 'New',
  metadata: { event_code },
  resources: [{ uid }],
  ...more,
});

test.each([
  ['a finding', prowlers('awslambda_function_url_public', orders), [{ rules: ['function-url-open'], arn: orders }]],
  ['what is muted', prowlers('awslambda_function_url_public', orders, { status: 'Suppressed' }), []],
  ['what is fine', prowlers('awslambda_function_url_public', orders, { status_code: 'PASS' }), []],
  [
    'an API in its own spelling',
    prowlers('apigatewayv2_api_authorizers_enabled', 'arn:aws:apigateway:us-east-1::apis/a1'),
    [{ rules: ['http-route-open'], arn: 'arn:aws:apigateway:us-east-1::/apis/a1' }],
  ],
  [
    'a policy, for the role that has its name',
    prowlers('iam_policy_allows_privilege_escalation', 'arn:aws:iam::111122223333:policy/orders'),
    [{ rules: ['role-too-broad'], arn: 'arn:aws:iam::111122223333:role/orders' }],
  ],
  [
    'a user, whom the rule is not about',
    prowlers('iam_inline_policy_allows_privilege_escalation', 'arn:aws:iam::111122223333:user/ana'),
    [],
  ],
  [
    'a layer, for the function that has its name',
    prowlers('awslambda_layer_no_secrets_in_content', `arn:aws:lambda:${home}:layer:orders:1`),
    [{ rules: ['secret-in-code'], arn: orders }],
  ],
] as const)('Prowler reports %s', (_what, found, expected) => {
  expect(reportsOf([found])).toEqual(expected);
});
