import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { DynamoDBDocumentClient, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import type { Result } from '../../cli/formats.ts';
import { scan } from '../../cli/scan.ts';
import { defaultStack, type Options } from '../../cli/use.ts';
import { createWorld, type World } from '../support/world/index.ts';

const account = '111122223333';
const open = 'arn:aws:lambda:us-east-1:111122223333:function:open';
const named = (name: string, message: string) => Object.assign(new Error(message), { name, $metadata: {} });
const noStack = named('ValidationError', `Stack with id ${defaultStack} does not exist`);

let world: World;
let told: string[];

/** An account with one open URL, in which no guard is deployed. */
beforeEach(() => {
  world = createWorld({ account, region: 'us-east-1' });
  for (const FunctionName of ['open', 'closed']) world.lambda.createFunction({ FunctionName });
  world.lambda.createFunctionUrlConfig({ FunctionName: 'open', AuthType: 'NONE' });
  mockClient(CloudFormationClient).on(DescribeStacksCommand).rejects(noStack);
  mockClient(STSClient).on(GetCallerIdentityCommand).resolves({ Account: account });
  told = [];
  jest.spyOn(console, 'error').mockImplementation((...said) => void told.push(said.join(' ')));
});

async function scanned(options: Options = {}): Promise<Omit<Result, 'unknown'> & Pick<Result, 'unknown'> & { readonly code: string }> {
  const printed: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((...said) => void printed.push(said.join(' ')));
  const code = await scan({ stack: defaultStack, region: 'us-east-1', format: 'json', rule: 'function-url-open', ...options });
  log.mockRestore();
  return { ...(JSON.parse(printed.join('\n')) as Result), code };
}

/** A guard that exempts the open URL, or whose ledger nobody may read. */
function deployed(ledger: 'exempts' | 'closed'): void {
  const outputs = { LedgerTableName: 'ledger', GuardBusName: defaultStack };
  const Outputs = Object.entries(outputs).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue }));
  const StackId = `arn:aws:cloudformation:us-east-1:${account}:stack/${defaultStack}/1`;
  const stack = { StackId, StackName: defaultStack, StackStatus: 'CREATE_COMPLETE' as const, CreationTime: new Date(), Outputs };
  mockClient(CloudFormationClient)
    .on(DescribeStacksCommand)
    .resolves({ Stacks: [stack] });
  const exemption = { id: 'x', rule: 'function-url-open', resource: open, expires: Date.now() + 60_000, reason: 'known', by: 'olga' };
  const query = mockClient(DynamoDBDocumentClient).on(QueryCommand);
  if (ledger === 'exempts') query.resolves({ Items: [{ pk: 'EXEMPTIONS', sk: 'x', ...exemption }] });
  else query.rejects(named('AccessDeniedException', 'User: x is not authorized to perform: dynamodb:Query on resource: y'));
}

test('what is wrong is found where nothing is deployed', async () => {
  expect(await scanned()).toMatchObject({ code: 'findings', unknown: [], findings: [{ resource: { arn: open } }] });
});

test('a table has no plans, and nothing is read for any', async () => {
  world.lambda.addPermission({ FunctionName: 'open', StatementId: 'all', Action: 'lambda:InvokeFunction', Principal: '*' });
  world.calls.length = 0;
  const reads = () => world.calls.splice(0).filter(({ operation }) => operation === 'GetResourcePolicy').length;
  const [{ plan }] = (await scanned({ rule: 'function-policy-open' })).findings as [Result['findings'][0]];
  expect(plan).not.toEqual([]);
  expect(reads()).toBe(1);
  const log = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  await scan({ stack: defaultStack, region: 'us-east-1', rule: 'function-policy-open' });
  log.mockRestore();
  expect(reads()).toBe(0);
});

test('whoever may not look for the stack is told that its parameters are not known', async () => {
  const denied = named('AccessDenied', 'User: x is not authorized to perform: cloudformation:DescribeStacks on resource: y');
  mockClient(CloudFormationClient).on(DescribeStacksCommand).rejects(denied);
  const { code, unknown, findings } = await scanned();
  expect({ code, found: findings.length }).toEqual({ code: 'unreadable', found: 1 });
  expect(unknown).toEqual([
    {
      rule: '*',
      resource: `arn:aws:cloudformation:us-east-1:${account}:stack/${defaultStack}`,
      why: expect.stringContaining('cloudformation:DescribeStacks'),
    },
  ]);
});

test.each<readonly [string, Options, string]>([
  ['a stack of another name that is not there', { stack: 'prod-gaurd' }, 'There is no guard prod-gaurd in us-east-1'],
  ['a rule that remembers', { rule: 'code-drifted' }, 'code-drifted judges what changes'],
  ['the rule of a guard where there is none', { rule: 'guard-tampered' }, 'guard-tampered judges nothing'],
])('%s is wrong use', async (_, options, message) => {
  await expect(scanned(options)).rejects.toMatchObject({ name: 'WrongUse', message: expect.stringContaining(message) });
});

test('rules that take a deployed guard are left out, and named', async () => {
  await scanned({ rule: undefined });
  expect(told.join('\n')).toContain(
    'it takes a deployed guard: code-changed-by-hand, code-drifted, direct-deploy-permission, guard-tampered.',
  );
});

test('one region that cannot be read says nothing of another', async () => {
  const cloudFormation = mockClient(CloudFormationClient).on(DescribeStacksCommand);
  cloudFormation.rejectsOnce(noStack).rejects(named('InvalidClientTokenId', 'The security token included in the request is invalid'));
  const { code, unknown, findings, account: of } = await scanned({ region: 'us-east-1,me-south-1' });
  expect({ code, of, found: findings.length }).toEqual({ code: 'unreadable', of: account, found: 1 });
  expect(unknown).toEqual([{ rule: '*', resource: 'me-south-1', why: expect.stringContaining('InvalidClientTokenId') }]);
});

test('what the deployed guard exempts is exempt; where its ledger cannot be read, more is found and it says so', async () => {
  deployed('exempts');
  expect(await scanned()).toMatchObject({ code: 'fine', findings: [] });
  deployed('closed');
  expect(await scanned()).toMatchObject({ code: 'findings', findings: [{ resource: { arn: open } }] });
  expect(told.join('\n')).toContain('its ledger could not be read. Your credentials do not allow dynamodb:Query');
});

test('where tags exempt, Lambda itself is asked for them', async () => {
  world.lambda.tagResource({ Resource: open, Tags: { team: 'shop' } });
  const asked = () => world.calls.map(({ operation }) => operation).filter((operation) => /^(ListTags|GetResources)$/.test(operation));
  await scanned();
  expect(asked()).toEqual(['GetResources']);
  world.calls.length = 0;
  await scanned({ parameter: 'AllowTagExemptions=true' });
  expect(asked()).toEqual(['ListTags']);
});
