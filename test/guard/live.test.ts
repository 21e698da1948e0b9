import { connect } from '../../aws/handle.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { lastModified, liveConfigurations, routedVersions } from '../../guard/live.ts';
import { createWorld } from '../support/world/index.ts';
import { place } from './bench.ts';

function estate() {
  const world = createWorld(place);
  const { lambda } = world;
  lambda.createFunction({ FunctionName: 'orders', Description: 'first' });
  for (const description of ['second', 'third', 'fourth']) {
    lambda.publishVersion({ FunctionName: 'orders' });
    lambda.updateFunctionConfiguration({ FunctionName: 'orders', Description: description });
  }
  lambda.createAlias({
    FunctionName: 'orders',
    Name: 'live',
    FunctionVersion: '1',
    RoutingConfig: { AdditionalVersionWeights: { '2': 0.1 } },
  });
  lambda.createAlias({ FunctionName: 'orders', Name: 'next', FunctionVersion: '2' });
  lambda.createAlias({ FunctionName: 'orders', Name: 'head', FunctionVersion: '$LATEST' });
  return { world, aws: connect([getFunctionConfiguration, listAliases], place) };
}

test('what runs is $LATEST, and every version that an alias routes to', async () => {
  const { world, aws } = estate();
  const live = await liveConfigurations(aws, 'orders');
  expect(live?.map(({ version, aliases, configuration: { Description } }) => [version, aliases, Description])).toEqual([
    ['$LATEST', [], 'fourth'],
    ['1', ['live'], 'first'],
    ['2', ['live', 'next'], 'second'],
  ]);
  expect(world.calls).toHaveLength(4);
});

test('a function without aliases takes two reads', async () => {
  const { world, aws } = estate();
  world.lambda.createFunction({ FunctionName: 'alone' });
  expect(await liveConfigurations(aws, 'alone')).toHaveLength(1);
  expect(world.calls.map(({ operation }) => operation)).toEqual(['GetFunctionConfiguration', 'ListAliases']);
});

test('a function that is gone has nothing that runs', async () => {
  const { world, aws } = estate();
  expect(await liveConfigurations(aws, 'gone')).toBeUndefined();
  expect(world.calls).toHaveLength(1);
});

test.each(['GetFunctionConfiguration', 'ListAliases'])('what %s may not read is not taken for gone', async (operation) => {
  const { world, aws } = estate();
  world.fail(operation, 'AccessDeniedException');
  await expect(liveConfigurations(aws, 'orders')).rejects.toMatchObject({ name: 'AccessDeniedException' });
});

test('aliases without routing', () => {
  expect(routedVersions([])).toEqual(new Map());
  expect(routedVersions([{ Name: 'live' }, { Name: 'head', FunctionVersion: '$LATEST' }])).toEqual(new Map());
  expect(routedVersions([{ Name: 'live', FunctionVersion: '$LATEST', RoutingConfig: { AdditionalVersionWeights: { '3': 0.5 } } }])).toEqual(
    new Map([['3', ['live']]]),
  );
});

test.each([
  ['2026-11-22T18:00:00.000+0000', Date.UTC(2026, 10, 22, 18)],
  ['2026-11-22T18:00:00.000Z', Date.UTC(2026, 10, 22, 18)],
  [undefined, 0],
  ['yesterday', 0],
])('LastModified %s', (LastModified, milliseconds) => expect(lastModified({ LastModified })).toBe(milliseconds));
