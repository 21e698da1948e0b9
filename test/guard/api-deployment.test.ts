import { deploymentMark, differences, latelyWritten } from '../../guard/api-deployment.ts';
import { globsMeet, judgeAnonymous } from '../../guard/api-policy.ts';

const now = Date.parse('2026-11-22T13:00:00Z');
const at = (minutesAgo: number) => new Date(now - minutesAgo * 60_000);
const quiet = { minutes: 15, now, event: undefined };

describe('who may still be at work on an API', () => {
  test.each([
    [
      'nobody, of late',
      { deployments: [{ at: at(15), description: 'release' }], stages: [{ name: 'prod', at: at(60) }] },
      quiet,
      undefined,
    ],
    [
      'who deployed',
      { deployments: [{ at: at(14), description: undefined }], stages: [] },
      quiet,
      'it was deployed at 2026-11-22T12:46:00.000Z, less than 15 minutes ago',
    ],
    [
      'who wrote to a stage',
      { deployments: [], stages: [{ name: 'prod', at: at(2) }] },
      quiet,
      'its stage prod was written to at 2026-11-22T12:58:00.000Z, less than 15 minutes ago',
    ],
    [
      'not the guard, whose deployment writes to the stage as well',
      { deployments: [{ at: at(2), description: deploymentMark('c0ffee123456', 'prod') }], stages: [{ name: 'prod', at: at(2) }] },
      quiet,
      undefined,
    ],
    [
      'not whoever opened it, as the event says',
      { deployments: [{ at: at(1), description: 'release' }], stages: [{ name: 'prod', at: at(1) }] },
      { ...quiet, event: '2026-11-22T12:59:10Z' },
      undefined,
    ],
    [
      'somebody who wrote to it after that',
      { deployments: [{ at: at(5), description: 'release' }], stages: [{ name: 'prod', at: at(2) }] },
      { ...quiet, event: '2026-11-22T12:55:00Z' },
      'its stage prod was written to at 2026-11-22T12:58:00.000Z, less than 15 minutes ago',
    ],
    [
      'nobody, where no time is asked for',
      { deployments: [{ at: at(0), description: '' }], stages: [] },
      { ...quiet, minutes: 0 },
      undefined,
    ],
  ])('%s', (_, history, wanted, said) => expect(latelyWritten(history, wanted)).toBe(said));
});

test('differences are told by their paths, three of them at most, whatever the order of keys', () => {
  expect(differences({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 })).toEqual([]);
  expect(differences({ a: { b: 1, c: [1, 2] } }, { a: { b: 2, c: [1] }, d: 0 })).toEqual(['a b', 'a c', 'd']);
  expect(differences({ a: 1, b: 1, c: 1, d: 1 }, {})).toHaveLength(3);
  expect(differences({ a: [] }, { a: {} })).toEqual(['a']);
});

test.each([
  ['a*c', '*bc', true],
  ['GET/*', 'GET/orders/*', true],
  ['GET/orders', 'GET/orders/*', false],
  ['*/GET/?', 'prod/GET/*', true],
  ['prod/*', 'test/*', false],
  ['', '*', true],
])('%s meets %s: %s', (one, other, met) => {
  expect(globsMeet(one, other)).toBe(met);
  expect(globsMeet(other, one)).toBe(met);
});

describe('a resource policy before a method that asks for no authorization', () => {
  const method = { account: '111122223333', region: 'us-east-1', api: 'a1b2c3d4e5', stage: 'prod', verb: 'ANY', path: '/orders/{id}' };
  const allow = { Effect: 'Allow', Principal: '*', Action: 'execute-api:*', Resource: 'execute-api:/*' };
  const judged = (...Statement: readonly object[]) => judgeAnonymous({ Version: '2012-10-17', Statement }, method);

  test.each([
    ['lets everyone in', [allow], 'open'],
    ['lets in no one', [], 'closed'],
    ['is about other actions', [{ ...allow, Action: 'execute-api:ManageConnections' }], 'closed'],
    ['grants all but other actions', [{ ...allow, Action: undefined, NotAction: 'execute-api:ManageConnections' }], 'open'],
    [
      'names an account, which nobody is who signs nothing',
      [
        {
          ...allow,
          Principal: { AWS: '*', Service: 'a.amazonaws.com' },
          Condition: { StringEquals: { 'aws:PrincipalAccount': '444455556666' } },
        },
      ],
      'closed',
    ],
    [
      'asks who calls only where that is known',
      [{ ...allow, Condition: { StringEqualsIfExists: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }],
      'open',
    ],
    ['grants all but another path', [{ ...allow, Resource: undefined, NotResource: 'execute-api:/prod/GET/health' }], 'open'],
    ['grants all but this one', [{ ...allow, Resource: undefined, NotResource: 'execute-api:/prod/*' }], 'closed'],
    ['denies this path to everyone', [allow, { ...allow, Effect: 'Deny', Resource: 'execute-api:/*/*/orders/*' }], 'closed'],
    ['denies a part of what the method serves', [allow, { ...allow, Effect: 'Deny', Resource: 'execute-api:/*/GET/orders/*' }], 'open'],
  ])('%s', (_, statements, judgement) => expect(judged(...statements)).toBe(judgement));
});
