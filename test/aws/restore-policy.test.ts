import { GetResourcePolicyCommand, LambdaClient, PutResourcePolicyCommand } from '@aws-sdk/client-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { restoreResourcePolicy } from '../../aws/lambda.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const ResourceArn = 'arn:aws:lambda:us-east-1:111122223333:function:orders:live';
const Policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}';
const lambda = mockClient(LambdaClient);
const absent = Object.assign(new Error('x'), { name: 'ResourceNotFoundException' });
const restore = async () => await restoreResourcePolicy.run(place, { ResourceArn, Policy });
const written = () => lambda.commandCalls(PutResourcePolicyCommand).map(({ args: [{ input }] }) => input);

beforeEach(() => void lambda.reset());

test('a policy is put back over the revision that was read, and no other', async () => {
  lambda.on(GetResourcePolicyCommand, { ResourceArn }).resolves({ Policy: '{"Statement":[]}', RevisionId: 'r2' });
  lambda.on(PutResourcePolicyCommand).resolves({});
  await restore();
  expect(written()).toEqual([{ ResourceArn, Policy, RevisionId: 'r2' }]);
});

test('a policy that is back, in whatever spelling, is not written again', async () => {
  lambda.on(GetResourcePolicyCommand).resolves({ Policy: JSON.stringify(JSON.parse(Policy), null, 2), RevisionId: 'r2' });
  await restore();
  expect(written()).toEqual([]);
});

test('a policy is put back where there is none', async () => {
  lambda.on(GetResourcePolicyCommand).rejects(absent);
  lambda.on(PutResourcePolicyCommand).resolves({});
  await restore();
  expect(written()).toEqual([{ ResourceArn, Policy, RevisionId: undefined }]);
});

test('what may not be read is not written over', async () => {
  lambda.on(GetResourcePolicyCommand).rejects(Object.assign(new Error('x'), { name: 'AccessDeniedException' }));
  await expect(restore()).rejects.toMatchObject({ name: 'AccessDeniedException' });
  expect(written()).toEqual([]);
});
