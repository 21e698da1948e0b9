import { connect } from '../../aws/handle.ts';
import { addPermission, updateAlias, updateFunctionCode, updateFunctionUrlConfig } from '../../aws/lambda.ts';
import { createWorld, type World } from '../support/world/index.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const route = { FunctionName: 'orders', Name: 'live', FunctionVersion: '2' };

let world: World;
beforeEach(() => {
  world = createWorld(place);
  world.lambda.createFunction({ FunctionName: 'orders' });
  world.lambda.publishVersion({ FunctionName: 'orders' });
});

test('an alias that is gone is left so, and a function too', async () => {
  const { updateAlias: update } = connect([updateAlias], place);
  await expect(update(route)).resolves.toBeUndefined();
  world.lambda.deleteFunction({ FunctionName: 'orders' });
  await expect(update(route)).resolves.toBeUndefined();
});

test('an alias cannot go back to a version that is gone, and that is an error', async () => {
  world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  await expect(connect([updateAlias], place).updateAlias(route)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});

test.each([updateFunctionUrlConfig, addPermission, updateFunctionCode])('$name on what is gone counts as done', ({ alreadyDone }) => {
  expect(alreadyDone).toEqual(['ResourceNotFoundException']);
});
