import { pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { Inbox, samBuild, samDeploy } from '../support/stack.ts';
import type { Answer } from './boto.ts';
import { build, draw, type Kind, kinds } from './estate.ts';
import { buildDirectory, closeStage, due, guard, openStage, quiet, stage } from './stage.ts';

// An account in which one function of three breaks one rule, in ways drawn at random: the deployed guard finds that and nothing else.

const functions = Number(process.env['FUNCTIONS'] ?? 500);
const seed = Number(process.env['SEED'] ?? 20_261_123);

const modes = Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'alert']));

let expected: readonly { readonly finding: string; readonly kind: Kind }[] = [];

beforeAll(async () => {
  await openStage();
  await samBuild(stage.pipeline, buildDirectory);
  // The emulator has no quota, and nobody waits here for the clock.
  const more = { Deployers: stage.pipelineRole, Operators: stage.operatorRole, LambdaCallsPerSecond: '1000', DigestOver: '1000' };
  stage.outputs = await samDeploy(stage.pipeline, { ...modes, ...more }, buildDirectory);
  stage.deployedAt = Date.now();
  stage.inbox = await Inbox.subscribe(stage.administrator, stage.outputs['AlertTopicArn'] ?? '', 'estate-alerts');
  await due('TickEveryMinute');
  await quiet(1_500);
});
afterAll(closeStage);

/** Of two that share a role, either may be the one that is found. */
function finding(rule: string, resource: string): string {
  return `${rule} ${rule === 'role-shared' ? resource.replace(/-[12]$/, '-*') : resource}`;
}

async function found(): Promise<readonly string[]> {
  const { output } = await guard('findings', '--json');
  const all = JSON.parse(output) as readonly {
    readonly rule: string;
    readonly status: string;
    readonly subject: { readonly arn: string };
  }[];
  return all
    .filter(({ status }) => status !== 'resolved')
    .map(({ rule, subject }) => finding(rule, subject.arn))
    .sort();
}

/** Everything that the guard ever knew. */
async function forget(): Promise<void> {
  const TableName = stage.outputs['LedgerTableName'];
  for (;;) {
    const { Items } = await stage.botoRoot.call('dynamodb', 'scan', { TableName, ProjectionExpression: 'pk, sk' });
    if (Items.length === 0) return;
    for (let first = 0; first < Items.length; first += 25) {
      const requests = Items.slice(first, first + 25).map((Key: Answer) => ({ DeleteRequest: { Key } }));
      await stage.botoRoot.call('dynamodb', 'batch_write_item', { RequestItems: { [TableName ?? '']: requests } });
    }
  }
}

test(`every rule that ships is broken in some way, or it says why not`, () => {
  expect(rules.map(({ id }) => id).filter((id) => !kinds.some(({ rule }) => rule === id))).toEqual([]);
});

test(`${functions} functions, seed ${seed}: events find every violation, and nothing else`, async () => {
  expected = await build(draw(functions, seed));
  await stage.bench.quiet('lambda-compliance-guard-', { milliseconds: 3_000, seconds: 900 });
  expect(await found()).toEqual(expected.map((one) => one.finding).sort());
});

test('a sweep of an account that the guard does not know finds the same', async () => {
  await forget();
  await due('SweepOnSchedule');
  await stage.bench.quiet('lambda-compliance-guard-', { milliseconds: 3_000, seconds: 900 });
  expect(await found()).toEqual(expected.flatMap((one) => (one.kind.onlyHeard === undefined ? [one.finding] : [])).sort());
});

test('the guard was refused nothing, and no message was given up', async () => {
  const denied = await stage.bench.denied();
  expect(denied.filter(({ principalArn }) => principalArn.includes('lambda-compliance-guard-'))).toEqual([]);
  expect((await stage.bench.undelivered()).filter(({ time }) => Date.parse(time) > stage.deployedAt)).toEqual([]);
});
