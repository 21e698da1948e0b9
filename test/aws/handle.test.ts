import { GetFunctionCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { callsOf } from '../../aws/call.ts';
import { clientPerRegion } from '../../aws/clients.ts';
import { connect } from '../../aws/handle.ts';
import { getFunction, getFunctionConfiguration, updateFunctionUrlConfig } from '../../aws/lambda.ts';
import { iamName } from '../../guard/call.ts';

const place = { account: '111122223333', region: 'eu-central-1' };

test('a handle has the calls that were declared, and nothing else', () => {
  expect(Object.keys(connect([getFunction, updateFunctionUrlConfig], place))).toEqual(['getFunction', 'updateFunctionUrlConfig']);
  expect(connect([], place)).toEqual({});
  const handle = connect([getFunction], place);
  // @ts-expect-error a call that was not declared does not compile
  expect(handle.updateFunctionUrlConfig).toBeUndefined();
});

test('a call reaches its service in the region of the handle, and is watched', async () => {
  const regions: unknown[] = [];
  const { send } = mockClient(LambdaClient);
  send.callsFake(async function (this: LambdaClient) {
    regions.push(await this.config.region());
    return {};
  } as never);
  const seen: unknown[] = [];
  const handle = connect([getFunction], place, ({ name }, input) => void seen.push([name, input]));
  await handle.getFunction({ FunctionName: 'orders' });
  await connect([getFunction], { ...place, region: 'us-west-2' }).getFunction({ FunctionName: 'orders' });
  expect(seen).toEqual([['getFunction', { FunctionName: 'orders' }]]);
  expect(regions).toEqual(['eu-central-1', 'us-west-2']);
});

test('what watches a call can stop it', async () => {
  const mock = mockClient(LambdaClient);
  const handle = connect([getFunction], place, () => {
    throw new Error('the quota is used up');
  });
  await expect(handle.getFunction({ FunctionName: 'orders' })).rejects.toThrow('quota');
  expect(mock.calls()).toEqual([]);
});

test('an error of AWS comes through as it is', async () => {
  mockClient(LambdaClient)
    .on(GetFunctionCommand)
    .rejects(Object.assign(new Error('x'), { name: 'AccessDeniedException' }));
  await expect(connect([getFunction], place).getFunction({ FunctionName: 'orders' })).rejects.toMatchObject({
    name: 'AccessDeniedException',
  });
});

test('one client a region, made when it is first needed', () => {
  const made: string[] = [];
  const client = clientPerRegion(({ region, retryMode, maxAttempts }) => {
    made.push(`${region} ${retryMode} ${maxAttempts}`);
    return { region };
  });
  expect(made).toEqual([]);
  expect(client({ region: 'a' })).toBe(client({ region: 'a' }));
  expect(client({ region: 'b' })).not.toBe(client({ region: 'a' }));
  expect(made).toEqual(['a adaptive 4', 'b adaptive 4']);
});

test('a call is named as its operation, and needs the permission of that name unless it says otherwise', () => {
  const call = callsOf('lambda', async () => ({}));
  const also = { action: 'kms:Decrypt', resource: 'k' };
  expect(call('GetFunction', GetFunctionCommand, { resource: 'r' })).toMatchObject({
    name: 'getFunction',
    service: 'lambda',
    permissions: [{ action: 'lambda:GetFunction', resource: 'r' }],
    alreadyDone: [],
  });
  expect(
    call('GetFunction', GetFunctionCommand, {
      resource: 'r',
      action: 'lambda:Other',
      also: [also],
      condition: { Bool: { a: 'true' } },
      alreadyDone: ['X'],
    }),
  ).toMatchObject({
    permissions: [{ action: 'lambda:Other', resource: 'r', condition: { Bool: { a: 'true' } } }, also],
    alreadyDone: ['X'],
  });
});

test('calls are told as AWS spells them', () => {
  expect(iamName(getFunctionConfiguration)).toBe('lambda:GetFunctionConfiguration');
  expect(iamName({ ...getFunctionConfiguration, name: 'switchRole', operation: 'UpdateFunctionConfiguration' })).toBe(
    'lambda:UpdateFunctionConfiguration',
  );
  const { operation: _, ...own } = { ...getFunctionConfiguration, service: 's3', name: 'archivePackage' };
  expect(iamName(own)).toBe('s3:ArchivePackage');
});
