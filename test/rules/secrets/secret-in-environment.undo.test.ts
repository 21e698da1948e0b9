import { connect } from '../../../aws/handle.ts';
import { rule } from '../../../rules/secrets/secret-in-environment.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const name = 'compliance-guard/orders/DB_PASSWORD-c0ffee123456';

// A version keeps the variables that it was published with, and may be invoked by its number, whatever the aliases say.

let world: World;

beforeEach(() => {
  world = createWorld(place);
  const { ARN } = world.secretsManager.createSecret({ Name: name, SecretString: 'not of this test' }) as { ARN: string };
  world.lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { DB_PASSWORD: ARN } } });
});

async function deleteSecret(): Promise<readonly string[]> {
  await connect(rule.undo, place).deleteSecret({ functionName: orders, SecretId: name, RecoveryWindowInDays: 7 });
  return world.secretsManager.names();
}

function set(Variables: Record<string, string>): void {
  world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Environment: { Variables } });
}

test('a secret that a published version names stays', async () => {
  world.lambda.publishVersion({ FunctionName: 'orders' });
  set({ DB_PASSWORD: 'as before' });
  expect(await deleteSecret()).toEqual([name]);
});

test('so does one that the last of many versions names', async () => {
  for (let version = 1; version <= 60; version += 1) {
    set({ VERSION: String(version), ...(version === 60 ? { URL: `secret=${name}` } : {}) });
    world.lambda.publishVersion({ FunctionName: 'orders' });
  }
  set({ DB_PASSWORD: 'as before' });
  expect(await deleteSecret()).toEqual([name]);
});

test('so does one that the function itself still names, whoever put it there', async () => {
  set({ OTHER: `arn:aws:secretsmanager:us-east-1:111122223333:secret:${name}-a1B2c3` });
  expect(await deleteSecret()).toEqual([name]);
});

test('so does one of a version whose variables cannot be read', async () => {
  set({ STAGE: 'prod' });
  world.lambda.publishVersion({ FunctionName: 'orders' });
  const { listVersionsByFunction } = world.lambda;
  world.lambda.listVersionsByFunction = (input) => {
    const { Versions } = listVersionsByFunction.call(world.lambda, input) as { Versions: readonly object[] };
    const Environment = { Error: { ErrorCode: 'AccessDeniedException', Message: 'kms' } };
    return { Versions: Versions.map((version, index) => (index === 0 ? version : { ...version, Environment })) };
  };
  expect(await deleteSecret()).toEqual([name]);
});

test('one that no version names is deleted, and can be recovered for a week', async () => {
  world.lambda.publishVersion({ FunctionName: 'orders' });
  world.lambda.deleteFunction({ FunctionName: 'orders', Qualifier: '1' });
  set({ STAGE: 'prod' });
  world.lambda.publishVersion({ FunctionName: 'orders' });
  expect(await deleteSecret()).toEqual([]);
  expect(world.secretsManager.describeSecret({ SecretId: name })).toHaveProperty('DeletedDate');
});

test('one of a function that is gone is deleted', async () => {
  world.lambda.deleteFunction({ FunctionName: 'orders' });
  expect(await deleteSecret()).toEqual([]);
});

test('where the versions cannot be listed nothing is deleted', async () => {
  world.fail('ListVersionsByFunction', 'AccessDeniedException');
  await expect(deleteSecret()).rejects.toMatchObject({ name: 'AccessDeniedException' });
  expect(world.secretsManager.names()).toEqual([name]);
});

describe('values are put back', () => {
  const moves = [{ variable: 'DB_PASSWORD', secretName: name, token: 'a'.repeat(36) }];
  const restore = async () => await connect(rule.undo, place).restoreVariablesFromSecrets({ functionName: orders, moves });
  const variables = () => world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Environment?.Variables;

  test('not where the function is gone: the undo goes on without it', async () => {
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    await expect(restore()).resolves.toBeUndefined();
  });

  test('not where the secret was never made', async () => {
    moves[0] = { variable: 'DB_PASSWORD', secretName: `${name}-not-made`, token: 'a'.repeat(36) };
    set({ DB_PASSWORD: 'as before' });
    await restore();
    expect(variables()).toEqual({ DB_PASSWORD: 'as before' });
  });

  test('and it is an error where the secret that a variable names is gone', async () => {
    const secretName = `${name}-lost`;
    moves[0] = { variable: 'DB_PASSWORD', secretName, token: 'a'.repeat(36) };
    set({ DB_PASSWORD: `arn:aws:secretsmanager:us-east-1:111122223333:secret:${secretName}-a1B2c3` });
    await expect(restore()).rejects.toMatchObject({ name: 'VariableChanged', message: expect.stringContaining(secretName) });
  });
});
