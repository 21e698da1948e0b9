import { pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { assumeRole, Inbox, samBuild, samDeploy } from '../support/stack.ts';
import type { Answer } from './boto.ts';
import { type Before, before, build, draw, type Expected, finding, kinds, once, parameters } from './estate.ts';
import { buildDirectory, closeStage, due, guard, guardAs, openStage, quiet, stage, trust } from './stage.ts';

// An account in which one function of three breaks one rule, in ways drawn at random, and another looks like it: the deployed
// guard finds the ones and nothing else. There are as many as it takes for every kind to occur; `FUNCTIONS=500` and `SEED=…` make
// another account, of fewer only some kinds occur.

const functions = Number(process.env['FUNCTIONS'] ?? 3 * kinds.length);
const seed = Number(process.env['SEED'] ?? 20_261_123);

const modes = Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'alert']));

let known: Before;
let expected: readonly Expected[] = [];

beforeAll(async () => {
  await openStage('estate');
  [known] = await Promise.all([before(), samBuild(stage.pipeline, buildDirectory)]);
  // The emulator has no quota, and nobody waits here for the clock.
  const calls = { LambdaCallsPerSecond: '1000', ApiGatewayCallsPerSecond: '10' };
  const more = { Deployers: stage.pipelineRole, Operators: stage.operatorRole, ...calls, DigestOver: '1000' };
  stage.outputs = await samDeploy(stage.pipeline, { ...modes, ...parameters(known), ...more }, buildDirectory);
  stage.deployedAt = Date.now();
  stage.inbox = await Inbox.subscribe(stage.administrator, stage.outputs['AlertTopicArn'] ?? '', 'estate-alerts');
  await due('TickEveryMinute');
  await quiet(1_500);
});
afterAll(closeStage);

interface Found {
  readonly rule: string;
  readonly status: string;
  readonly summary: string;
  readonly subject: { readonly arn: string };
}

interface Scan {
  readonly findings: readonly { readonly rule: string; readonly resource: { readonly arn: string } }[];
  readonly unknown: readonly object[];
  readonly stats: { readonly calls: number };
}

/** What the deployed guard has found: rule and ARN, and its sentence. */
async function found(): Promise<readonly (readonly [string, string])[]> {
  const { output } = await guard('findings', '--json');
  const all = (JSON.parse(output) as readonly Found[]).filter(({ status }) => status !== 'resolved');
  return all.map(({ rule, subject, summary }) => [finding(rule, subject.arn), summary]);
}

/** What the guard found of what it should have, and what else, each by rule and ARN; who reads it knows what it was made of. */
async function verdict(wanted: readonly Expected[]): Promise<{ missed: readonly string[]; unexpected: readonly string[] }> {
  const there = new Map(await found());
  const names = new Map(wanted.map((one) => [one.finding, one.name]));
  return {
    missed: [...names].flatMap(([one, name]) => (there.has(one) ? [] : [`${one} (${name})`])).sort(),
    unexpected: [...there].flatMap(([one, summary]) => (names.has(one) ? [] : [`${one}: ${summary}`])).sort(),
  };
}

/** On a busy machine many functions take a while. */
const seconds = Math.max(900, 3 * functions);

const exact = { missed: [], unexpected: [] };

/** Until nothing of the guard has called anything for so long, every message is handled. */
async function settled(what: string): Promise<void> {
  const since = Date.now();
  await stage.bench.quiet('lambda-compliance-guard-', { milliseconds: 3_000, seconds });
  took(what, since);
}

function took(what: string, since: number): void {
  process.stdout.write(`estate of ${functions} functions, seed ${seed}: ${what} took ${Math.round((Date.now() - since) / 1000)} s\n`);
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

test('every rule that ships is broken in some way', () => {
  const broken = new Set([...kinds, ...once].map(({ rule }) => rule));
  expect(rules.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([]);
  expect(new Set(kinds.map(({ how }) => how)).size).toBe(kinds.length);
});

test(
  `${functions} functions, seed ${seed}: events find every violation, and nothing else`,
  async () => {
    const began = Date.now();
    const account = await build(draw(functions, seed), known);
    ({ expected } = account);
    took('building', began);
    await settled('events');
    await account.later();
    await settled('later events');
    expect(await verdict(expected.filter(({ kind }) => kind.onlySwept === undefined))).toEqual(exact);
  },
  3_000 * seconds,
);

test(
  'a sweep by a guard that knows the account finds what no event told as well',
  async () => {
    await due('SweepOnSchedule');
    await settled('sweep');
    expect(await verdict(expected)).toEqual(exact);
  },
  2_000 * seconds,
);

test(
  'a sweep of an account that the guard does not know finds all that can be seen',
  async () => {
    await forget();
    await due('SweepOnSchedule');
    await settled('sweep of the unknown');
    const seen = expected.filter(({ kind }) => kind.onlyHeard === undefined && kind.onlySwept === undefined);
    expect(await verdict(seen)).toEqual(exact);
  },
  2_000 * seconds,
);

test(
  'a scan by somebody who may do what `guard policy` prints, and nothing else, finds the same as the deployed guard',
  async () => {
    const since = Date.now();
    const { output: policy } = await guard('policy', '--account', stage.emulator.account);
    const reader = await stage.boto.call('iam', 'create_role', {
      RoleName: 'scanner',
      AssumeRolePolicyDocument: trust({ AWS: `arn:aws:iam::${stage.emulator.account}:root` }),
    });
    await stage.boto.call('iam', 'put_role_policy', { RoleName: 'scanner', PolicyName: 'scan', PolicyDocument: policy });
    const scanner = await assumeRole(stage.administrator, reader.Role.Arn, 'scan');
    const { code, output } = await guardAs(scanner, 'scan', '--format', 'json');
    const { findings, unknown, stats } = JSON.parse(output.slice(output.indexOf('{'))) as Scan;
    took(`a scan (${stats.calls} calls)`, since);
    const scanned = findings.map(({ rule, resource }) => finding(rule, resource.arn)).sort();
    const deployed = (await found()).map(([one]) => one).sort();
    expect({ unknown, code }).toEqual({ unknown: [], code: 1 });
    // Policy, URLs, aliases and package of each function; the rest are lists, and what findings ask.
    expect(stats.calls).toBeLessThan(5 * functions + 150);
    expect(scanned).toEqual(deployed);
    const denied = await stage.bench.denied();
    expect(denied.filter(({ principalArn }) => principalArn.includes('/scanner/'))).toEqual([]);
  },
  1_000 * seconds,
);

test('the guard was refused nothing, and no message was given up', async () => {
  const denied = await stage.bench.denied();
  expect(denied.filter(({ principalArn }) => principalArn.includes('lambda-compliance-guard-'))).toEqual([]);
  expect((await stage.bench.undelivered()).filter(({ time }) => Date.parse(time) > stage.deployedAt)).toEqual([]);
});
