import { createHash } from 'node:crypto';
import { zipSync } from 'fflate';
import { connect } from '../../aws/handle.ts';
import { check } from '../../guard/check.ts';
import { readEvent } from '../../guard/cloudtrail.ts';
import { readConfig, withModes } from '../../guard/config.ts';
import type { Mode } from '../../guard/mode.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { rules } from '../../rules/index.ts';
import { sample } from '../support/events.ts';
import { place } from '../support/rule-test.ts';
import { createWorld, type World } from '../support/world/index.ts';

// What the calls of AWS are that one CreateFunction costs each checker: a function that is wrong in nothing, by rules as they ship.

const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const trust = { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' };

const ZipFile = zipSync({ 'index.js': Buffer.from('exports.handler = async () => ({});') });
const codeSha256 = createHash('sha256').update(ZipFile).digest('base64');

function withNewFunction({ lambda, iam }: World): void {
  iam.createRole({ RoleName: 'orders', AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [trust] }) });
  const Environment = { Variables: { TABLE: 'orders' } };
  lambda.createFunction({ FunctionName: 'orders', Code: { ZipFile }, Role: 'arn:aws:iam::111122223333:role/orders', Environment });
}

/** The operations that a checker calls, in order, and what it finds. */
async function callsOf(practice: string): Promise<{ readonly calls: readonly string[]; readonly found: readonly string[] }> {
  const world = createWorld(place);
  withNewFunction(world);
  world.calls.length = 0;
  const variables = { GUARD_ACCOUNT: place.account, AWS_REGION: place.region, StackName: 'guard', ArchiveBucket: 'guard-archive' };
  const modeOf = new Map<string, Mode>(rules.map((rule) => [rule.id, rule.mode ?? 'alert']));
  const config = withModes(readConfig({ ...variables, Deployers: pipeline }, rules), (id) => modeOf.get(id) ?? 'off');
  const read = readEvent(sample('CreateFunction20150331/code-by-pipeline.json', { detail: { responseElements: { codeSha256 } } }), place);
  if ('ignored' in read) throw new Error(`the event is ignored: ${read.ignored}`);
  const ports = {
    config,
    ledger: new MemoryLedger(),
    connect: <const Calls extends Parameters<typeof connect>[0]>(calls: Calls) => connect(calls, place),
    prefersLarger: true,
    publish: async () => undefined,
    now: Date.now,
  };
  const alerts = await check(
    read,
    rules.filter((rule) => rule.practice === practice),
    ports,
  );
  return { calls: world.calls.map(({ operation }) => operation), found: alerts.map(({ summary }) => summary) };
}

describe('one CreateFunction that is wrong in nothing', () => {
  it.each([
    [
      'roles',
      [
        'GetFunctionConfiguration',
        'ListAliases',
        'GetRole',
        'ListAttachedRolePolicies',
        'SimulatePrincipalPolicy',
        'SimulatePrincipalPolicy',
        'ListRolePolicies',
      ],
    ],
    ['secrets', ['GetFunction', 'ListAliases', 'ListRolePolicies', 'ListAttachedRolePolicies']],
    ['apis', []],
    ['vpc', ['GetFunction', 'ListAliases']],
    ['deployments', ['GetFunction', 'ListAliases', 'PutObject']],
    ['guard', []],
  ])('costs the checker of %s these calls', async (practice, expected) => {
    const { calls, found } = await callsOf(practice);
    expect({ calls, found }).toEqual({ calls: expected, found: [] });
  });

  it('costs nine reads in all, beside simulations and aliases, and its package is written to the archive', async () => {
    const calls: string[] = [];
    for (const practice of new Set(rules.map((rule) => rule.practice))) calls.push(...(await callsOf(practice)).calls);
    const others = calls.filter((call) => call !== 'ListAliases' && call !== 'SimulatePrincipalPolicy');
    expect({
      reads: others.filter((call) => call !== 'PutObject').length,
      written: calls.filter((call) => call === 'PutObject').length,
    }).toEqual({
      reads: 9,
      written: 1,
    });
  });
});
