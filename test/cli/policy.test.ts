import { asOperator, readsAmong } from '../../cli/policy.ts';
import type { AnyCall } from '../../guard/call.ts';

const call = (name: string, ...actions: readonly string[]): AnyCall => ({
  name,
  service: 'lambda',
  permissions: actions.map((action) => ({ action, resource: 'arn:aws:lambda:*:*:function:*' })),
  alreadyDone: [],
  run: async () => undefined,
});
const read = call('getPolicy', 'lambda:GetPolicy', 'kms:Decrypt');
const refusal = (name: string, message: string) => Object.assign(new Error(message), { name, $metadata: {} });

/** What the operator reads where the first call fails so. */
async function told(error: Error): Promise<string> {
  const failing = asOperator('A plan', [read], { names: {} }, async (watch) => {
    await watch(read, {});
    throw error;
  });
  return await failing.then(
    () => 'nothing',
    (thrown: Error) => `${thrown.name}: ${thrown.message.split('\n')[0]}`,
  );
}

test.each([
  [
    'AccessDeniedException',
    'User: arn:aws:iam::111122223333:user/olga is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:…',
    'kms:Decrypt',
  ],
  ['UnauthorizedOperation', 'You are not authorized to perform this operation.', 'lambda:GetPolicy'],
  ['403', 'UnknownError', 'lambda:GetPolicy'],
])('%s: %s', async (name, message, action) => {
  expect(await told(refusal(name, message))).toBe(
    `NotAllowed: A plan needs ${action}, which your credentials do not allow. This policy allows all of it:`,
  );
});

test('every other error goes on', async () => {
  expect(await told(refusal('ThrottlingException', 'is not authorized to perform: kms:Decrypt'))).toMatch(/^ThrottlingException: /);
});

test('reads are calls that need nothing but reads', () => {
  const archive = call('archivePackage', 'lambda:GetFunction', 's3:PutObject');
  const simulate = call('simulatePrincipalPolicy', 'iam:SimulatePrincipalPolicy');
  const list = call('listAliases', 'lambda:ListAliases');
  const describe = call('describeSecurityGroups', 'ec2:DescribeSecurityGroups');
  const update = call('updateAlias', 'lambda:UpdateAlias');
  expect(readsAmong([read, archive, simulate, list, describe, update])).toEqual([read, simulate, list, describe]);
});
