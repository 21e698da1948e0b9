import { addedTo, commonTo, type DeployRights, resourcesNamed } from '../../guard/deploy-rights.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const arn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:${name}`;
const naming = (...Resource: readonly string[]) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'lambda:*', Resource }] });

test.each([
  ['*', []],
  [arn('function:orders'), [arn('function:orders')]],
  [arn('function:orders:*'), [arn('function:orders')]],
  [arn('function:prod-*-api'), [arn('function:prod-x-api')]],
  [arn('*'), [arn('function:x')]],
  ['arn:aws:lambda:*:*:function:*', [arn('function:x')]],
  ['arn:aws:lambda:us-*:1111*:function:a', [arn('function:a')]],
  ['arn:aws:lambda:eu-west-1:111122223333:function:a', []],
  ['arn:aws:lambda:us-east-1:444455556666:function:a', []],
  ['arn:aws:*:*:*:*', [arn('function:x')]],
  ['arn:aws:s3:::bucket/*', []],
  [arn('layer:base'), [arn('layer:base')]],
  [arn('event-source-mapping:*'), []],
  [arn(`function:${'$'}{aws:username}`), []],
])('%s is asked by %j', (pattern, asked) => expect(resourcesNamed([naming(pattern)], place)).toEqual(asked));

test('what no statement may allow is not asked, and of many the widest twenty are', () => {
  const deny = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: arn('function:a') }] });
  const read = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'lambda:Get*', Resource: arn('function:a') }],
  });
  expect(resourcesNamed([deny, read], place)).toEqual([]);
  const many = resourcesNamed(
    [naming(...Array.from({ length: 30 }, (_, index) => arn(`function:f${index}`)), arn('function:wide-*'))],
    place,
  );
  expect(many).toHaveLength(20);
  expect(many[0]).toBe(arn('function:wide-x'));
});

const one = arn('function:one');
test.each<readonly [DeployRights, DeployRights, DeployRights, DeployRights]>([
  [{}, { '*': ['a'] }, { '*': ['a'] }, {}],
  [{ '*': ['a'] }, { [one]: ['a', 'b'] }, { [one]: ['b'] }, { [one]: ['a'] }],
  [{ [one]: ['a'] }, { '*': ['a'] }, { '*': ['a'] }, { [one]: ['a'] }],
  [{ '*': ['a'] }, {}, {}, {}],
  [{ '*': ['a', 'b'] }, { '*': ['a'] }, {}, { '*': ['a'] }],
])('of %j and then %j is added %j, and common %j', (before, now, added, common) => {
  expect(addedTo(before, now)).toEqual(added);
  expect(commonTo(before, now)).toEqual(common);
});
