import { createHash } from 'node:crypto';
import { connect } from '../../aws/handle.ts';
import { approve } from '../../cli/approve.ts';
import { check } from '../../guard/check.ts';
import { readEvent } from '../../guard/cloudtrail.ts';
import { rule } from '../../rules/deployments/code-changed-by-hand.ts';
import { orders, place } from '../guard/bench.ts';
import { type EventBody, sample } from '../support/events.ts';
import { type CommandLine, commandLine, olga } from './bench.ts';

jest.mock('../../cli/session.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').sessionModule());

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');
const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const archive = { ArchiveBucket: 'guard-archive' };

function guard({ by = olga, mode = 'alert' } = {}): CommandLine {
  const on = commandLine(rule, { CodeChangedByHandMode: mode, Deployers: pipeline, ...archive }, by);
  on.world.lambda.deleteFunction({ FunctionName: 'orders' });
  on.world.lambda.createFunction({ FunctionName: 'orders', Code: { ZipFile: Buffer.from('approved package') } });
  return on;
}

async function hears(on: CommandLine, file: string, change: EventBody = {}): Promise<void> {
  const read = readEvent(sample(file, { detail: { eventTime: new Date(on.world.now).toISOString(), ...change } }), place);
  if ('ignored' in read) throw new Error(read.ignored);
  await check({ event: read.event }, [rule], on.ports);
}

/** The pipeline has deployed; then somebody put a hot fix there by hand. */
async function withHotFix(on: CommandLine): Promise<void> {
  await hears(on, 'UpdateFunctionCode20150331v2/code-by-pipeline.json');
  on.world.advance(60);
  on.world.lambda.updateFunctionCode({ FunctionName: 'orders', ZipFile: Buffer.from('hot fix') });
  await hears(on, 'UpdateFunctionCode20150331v2/code-by-hand.json', { responseElements: { codeSha256: sha256('hot fix') } });
  on.published.length = 0;
}

const sweep = (on: CommandLine) =>
  check({ sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } }, [rule], on.ports);

/** How a function runs that nobody has set up otherwise. */
const asMade = ['handler→index.handler', 'runtime→nodejs24.x', 'layers→', 'command→', 'switches→'].map((part) => `setup:${part}`);

test('what runs is shown, approved by the word of an operator, and true once a checker has looked', async () => {
  const on = guard();
  await withHotFix(on);
  const { output, ended } = await on.run(approve, ['orders'], { yes: true });
  expect(ended).toBe('fine');
  expect(output).toContain(`${orders} runs\n`);
  expect(output).toMatch(new RegExp(`^\\$LATEST +${sha256('hot fix').replace(/[+/]/g, '.')} +put there by hand +-$`, 'm'));
  expect(output).toContain(`Approved until now: ${sha256('approved package')}, 2026-11-22 12:0`);
  expect(output).toMatch(/^Finding [0-9a-f]{20}: orders: the code of orders is not .* By arn:aws:/m);
  expect(on.asked).toEqual([{ action: 'approve', function: orders, sha256: sha256('hot fix'), runs: [sha256('hot fix'), ...asMade] }]);
  expect(await on.ledger.baseline(orders)).toMatchObject({ package: { sha256: sha256('approved package') }, approval: { by: olga } });
  expect(on.world.s3.keys('guard-archive').filter((key) => !key.startsWith('evidence/'))).toHaveLength(1);
  on.published.length = 0;
  await sweep(on);
  expect(await on.ledger.baseline(orders)).toMatchObject({ state: 'approved', by: olga, package: { sha256: sha256('hot fix') } });
  expect(on.world.s3.keys('guard-archive').filter((key) => !key.startsWith('evidence/'))).toHaveLength(2);
  expect(on.published).toMatchObject([{ rule: 'code-changed-by-hand', status: 'resolved' }]);
});

test('nothing is approved that was replaced meanwhile', async () => {
  const on = guard();
  await withHotFix(on);
  await on.run(approve, ['orders'], { yes: true });
  on.world.lambda.updateFunctionCode({ FunctionName: 'orders', ZipFile: Buffer.from('worse') });
  await sweep(on);
  expect(await on.ledger.baseline(orders)).toMatchObject({ by: pipeline, package: { sha256: sha256('approved package') } });
  expect((await Array.fromAsync(on.ledger.findings({})))[0]).toMatchObject({ status: 'open' });
});

test('a remediator that comes before the sweep finds that it is right', async () => {
  const on = guard({ mode: 'remediate' });
  await withHotFix(on);
  await on.run(approve, ['orders'], { yes: true });
  const { remediate } = await import('../../guard/remediate.ts');
  const [finding] = await Array.fromAsync(on.ledger.findings({}));
  on.advance(60 * 60_000);
  await remediate(finding?.id ?? '', rule, on.ports);
  expect(await on.ledger.finding(finding?.id ?? '')).toMatchObject({ status: 'resolved' });
  expect((await connect(rule.check, place).getFunctionConfiguration({ FunctionName: orders })).CodeSha256).toBe(sha256('hot fix'));
});

test('what a sweep only observed is shown as such, with what aliases route to', async () => {
  const on = guard();
  on.world.lambda.publishVersion({ FunctionName: 'orders' });
  on.world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  on.world.lambda.createAlias({ FunctionName: 'orders', Name: 'next', FunctionVersion: '1' });
  await sweep(on);
  const { output } = await on.run(approve, [orders], { yes: true });
  expect(output).toMatch(/^1 .* not approved +live, next$/m);
  expect(output).toContain('Observed until now: ');
  expect(on.asked).toMatchObject([{ runs: [sha256('approved package'), 'live→1', 'next→1', ...asMade] }]);
  await sweep(on);
  expect(await on.ledger.baseline(orders)).toMatchObject({ state: 'approved', by: olga });
});

test('what is approved already is not asked for', async () => {
  const on = guard();
  await hears(on, 'UpdateFunctionCode20150331v2/code-by-pipeline.json');
  const { output, ended } = await on.run(approve, ['orders']);
  expect({ output, ended }).toEqual({
    output: expect.stringContaining(`is approved: ${sha256('approved package')} of ${pipeline}`),
    ended: 'fine',
  });
  expect(on.asked).toEqual([]);
});

test('nobody approves what they put there themselves', async () => {
  const on = guard({ by: 'arn:aws:sts::111122223333:assumed-role/Admin/ana' });
  await withHotFix(on);
  const { error } = await on.run(approve, ['orders'], { yes: true });
  expect(error?.message).toContain('somebody else has to approve it');
  expect(await on.ledger.baseline(orders)).not.toHaveProperty('approval');
});

test('nothing is approved without a yes', async () => {
  const on = guard();
  await withHotFix(on);
  expect((await on.run(approve, ['orders'])).ended).toBe('WrongUse');
  expect(on.asked).toEqual([]);
});

test.each([
  ['no function', 'no/function', 'WrongUse', 'is no function of 111122223333 in us-east-1'],
  ['a function that is not there', 'nobody', 'WrongUse', 'There is no function arn:'],
  ['a function of another region', 'arn:aws:lambda:eu-west-1:111122223333:function:orders', 'WrongUse', 'is no function of'],
  ['a function of another account', 'arn:aws:lambda:us-east-1:444455556666:function:orders', 'WrongUse', 'is no function of'],
  ['a function that no checker has seen', 'orders', 'Error', 'it does after the next sweep'],
])('%s cannot be approved', async (_, name, ended, why) => {
  const on = guard();
  const { error, ...run } = await on.run(approve, [name], { yes: true });
  expect({ ended: run.ended, message: error?.message }).toEqual({ ended, message: expect.stringContaining(why) });
  expect(on.asked).toEqual([]);
});

test('a function that is being updated has to wait', async () => {
  const on = guard();
  await withHotFix(on);
  on.world.lambda.settleSeconds = 30;
  on.world.lambda.updateFunctionCode({ FunctionName: 'orders', ZipFile: Buffer.from('another') });
  expect((await on.run(approve, ['orders'], { yes: true })).error?.message).toContain('is being updated');
});

test('what the credentials lack is named, with the policy', async () => {
  const on = guard();
  await withHotFix(on);
  on.world.fail('ListAliases', 'AccessDeniedException');
  const { error } = await on.run(approve, ['orders'], { yes: true });
  expect(error?.message).toContain('To see what runs needs lambda:ListAliases, which your credentials do not allow.');
});
