import { getRole } from '../../aws/iam.ts';
import { functionPages } from '../../aws/lambda.ts';
import { type Alert, emailText } from '../../guard/alert.ts';
import { check } from '../../guard/check.ts';
import { type Finding, findingId, type Practice, type Status } from '../../guard/finding.ts';
import type { Exemption } from '../../guard/ledger.ts';
import { type AnyRule, listing } from '../../guard/rule.ts';
import type { Subject } from '../../guard/subject.ts';
import { type SweepMessage, sweep } from '../../guard/sweep.ts';
import { expectValid } from '../support/alert-schema.ts';
import { admin, type Bench, bench, event, found, minute, orders, place, timeout, timeoutLong } from './bench.ts';

const practices: readonly Practice[] = ['apis', 'deployments'];

function collecting() {
  const sent: { readonly practice: Practice; readonly message: SweepMessage }[] = [];
  const batches: number[] = [];
  return {
    batches,
    to: (practice: Practice) => sent.flatMap((one) => (one.practice === practice ? [one.message] : [])),
    send: async (practice: Practice, messages: readonly SweepMessage[]) => {
      batches.push(messages.length);
      sent.push(...messages.map((message) => ({ practice, message })));
    },
  };
}

async function* nobody(): AsyncGenerator<readonly object[]> {}

/** A sweep, and then whatever the checker of the practice deployments makes of it. */
async function swept(on: Bench, id: string): Promise<readonly SweepMessage[]> {
  const { send, to } = collecting();
  await sweep(id, functionPages(place), practices, [], send, on.ports);
  for (const message of to('deployments')) await check(message, [timeoutLong], on.ports);
  return to('deployments');
}

test('every function is sent to every checker once, page by page', async () => {
  const { ports, world, ledger } = bench();
  for (let index = 0; index < 119; index += 1) world.lambda.createFunction({ FunctionName: `f${index}` });
  const { send, to, batches } = collecting();
  expect(await sweep('s1', functionPages(place), practices, [], send, ports)).toEqual({ functions: 120, listed: 0, findings: 0 });
  expect(batches).toEqual([50, 50, 50, 50, 20, 20]);
  for (const practice of practices) {
    expect(new Set(to(practice).map(({ subject }) => subject.arn)).size).toBe(120);
    expect(to(practice)[0]).toEqual({ sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } });
  }
  expect(await ledger.lastSweep()).toEqual({ id: 's1', startedAt: expect.any(Number) });
});

test('the queues are filled side by side', async () => {
  const { ports } = bench();
  let open = 0;
  let most = 0;
  const send = async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 1));
    open -= 1;
  };
  await sweep('s1', functionPages(place), practices, [], send, ports);
  expect(most).toBe(2);
});

test('functions that only the ledger knows are sent as well, and none twice', async () => {
  const { ports, ledger, world } = bench();
  const gone = `${orders}-gone`;
  await ledger.recordRoles({ function: gone, asOf: world.now, role: 'r', liveRoles: [] });
  await ledger.recordRoles({ function: orders, asOf: world.now, role: 'r', liveRoles: [] });
  await ledger.recordNetwork({ function: gone, asOf: world.now, groups: ['sg-1'], subnets: [] });
  const { send, to } = collecting();
  expect(await sweep('s1', functionPages(place), practices, [], send, ports)).toMatchObject({ functions: 2 });
  expect(to('apis').map(({ subject }) => subject.arn)).toEqual([orders, gone]);
});

describe('what a rule lists besides functions', () => {
  const listed = (name: string): Subject => ({ arn: `arn:aws:iam::111122223333:role/${name}`, type: 'AWS::IAM::Role', ...place });
  const listingRule = (subjects: () => AsyncIterable<readonly Subject[]>): AnyRule => ({
    ...timeoutLong,
    list: listing([getRole], subjects),
  });
  async function* roles() {
    yield Array.from({ length: 60 }, (_, index) => listed(`r${index}`));
    yield [listed('last')];
  }

  test('is sent to its own practice, and to its own rule', async () => {
    const { ports } = bench();
    const { send, to, batches } = collecting();
    const rule = listingRule(roles);
    expect(await sweep('s1', nobody(), practices, [rule, timeoutLong], send, ports)).toEqual({ functions: 0, listed: 61, findings: 0 });
    expect(batches).toEqual([50, 10, 1]);
    expect(to('deployments').at(-1)).toEqual({ sweep: 's1', rule: rule.id, subject: listed('last') });
    expect(to('apis')).toEqual([]);
  });

  test('is not even listed where the rule is off', async () => {
    const { ports } = bench(timeoutLong, { TimeoutLongMode: 'off' });
    const { send } = collecting();
    expect(await sweep('s1', nobody(), practices, [listingRule(roles)], send, ports)).toMatchObject({ listed: 0 });
  });

  test('keeps nothing else from being sent where it cannot be listed, and fails in the end', async () => {
    const { ports } = bench();
    const { send, to } = collecting();
    // biome-ignore lint/correctness/useYield: it fails before its first page
    const denied = listingRule(async function* () {
      throw new Error('denied');
    });
    await expect(sweep('s1', functionPages(place), practices, [denied, listingRule(roles)], send, ports)).rejects.toThrow('denied');
    expect(to('apis')).toHaveLength(1);
    expect(to('deployments')).toHaveLength(62);
  });
});

test('an empty estate sends nothing', async () => {
  const { ports } = bench();
  const { send, batches } = collecting();
  expect(await sweep('s1', nobody(), practices, [], send, ports)).toEqual({ functions: 0, listed: 0, findings: 0 });
  expect(batches).toEqual([]);
});

test('a list that breaks off is an error: a sweep that saw half is not one that saw all', async () => {
  const { ports, world } = bench();
  world.fail('ListFunctions', 'TooManyRequestsException');
  const { send } = collecting();
  await expect(sweep('s1', functionPages(place), practices, [], send, ports)).rejects.toMatchObject({ name: 'TooManyRequestsException' });
});

test('a queue that takes nothing is an error in the end, and keeps nothing from the others', async () => {
  const on = bench();
  await found(on);
  const { send, to } = collecting();
  const failing = async (practice: Practice, messages: readonly SweepMessage[]) => {
    if (practice === 'apis') throw new Error('the queue is gone');
    await send(practice, messages);
  };
  await expect(sweep('s1', functionPages(place), practices, [], failing, on.ports)).rejects.toThrow('the queue is gone');
  expect(to('deployments').map(({ rule }) => rule)).toEqual([undefined, 'timeout-long']);
});

test('what a sweep finds is said to come from it, has nobody who did it, and ends with a sweep', async () => {
  const on = bench();
  await swept(on, 's1');
  expect(on.published).toMatchObject([{ status: 'open', sweep: 's1' }]);
  expect(on.published[0]?.actor).toBeUndefined();
  on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 10 });
  on.advance(minute);
  await swept(on, 's2');
  expect(on.published.at(-1)).toMatchObject({ status: 'resolved' });
  expect(timeout(on)).toBe(10);
});

describe('findings', () => {
  /** A finding as if something had been found there. */
  async function finding(on: Bench, name: string, status: Status, more: Partial<Finding> = {}): Promise<Finding> {
    const arn = `${orders}:${name}`;
    const [alert] = await check({ event: event('e1') }, [timeoutLong], bench().ports);
    if (alert === undefined) throw new Error('nothing was found');
    const seen = new Date(on.world.now).toISOString();
    const { finding: kept } = await on.ledger.open({
      ...alert,
      practice: 'deployments',
      id: findingId('timeout-long', arn),
      subject: { arn, type: 'AWS::Lambda::Function', ...place },
      tags: {},
      status: 'open',
      opened: 1,
      firstSeen: seen,
      openedAt: seen,
      lastSeen: seen,
      asOf: on.world.now,
      cause: 'event e1',
      attempts: 0,
      ...more,
    } as Finding);
    if (status !== 'open') await on.ledger.setStatus(kept.id, { status, cause: 'test' });
    return kept;
  }

  test('that have not ended are sent by rule and subject, each to its own practice', async () => {
    const on = bench();
    const unended: readonly Status[] = ['open', 'partial', 'failed', 'reverted', 'unknown', 'exempt'];
    for (const status of [...unended, 'resolved', 'remediated'] as const) await finding(on, status, status);
    await finding(on, 'other', 'open', { practice: 'apis', rule: 'function-url-open' });
    // No checker of this practice is deployed.
    await finding(on, 'elsewhere', 'open', { practice: 'guard', rule: 'guard-tampered' });
    const { send, to } = collecting();
    expect(await sweep('s1', nobody(), practices, [], send, on.ports)).toEqual({ functions: 0, listed: 0, findings: unended.length + 1 });
    expect(to('deployments')).toEqual(
      unended.map((name) => ({
        sweep: 's1',
        rule: 'timeout-long',
        subject: { arn: `${orders}:${name}`, type: 'AWS::Lambda::Function', ...place },
      })),
    );
    expect(to('apis').map(({ rule, subject }) => [rule, subject.arn])).toEqual([['function-url-open', `${orders}:other`]]);
  });

  test('in any number are sent in batches', async () => {
    const on = bench();
    for (let index = 0; index < 120; index += 1) await finding(on, `a${index}`, 'open');
    const { send, batches } = collecting();
    await sweep('s1', nobody(), practices, [], send, on.ports);
    expect(batches).toEqual([50, 50, 20]);
  });

  test.each(['open', 'failed', 'unknown', 'exempt'] as const)(
    'that are %s end where their subject is gone, and are told',
    async (status) => {
      const gone: AnyRule = { ...timeoutLong, evaluate: async (subject: Subject) => ({ violations: [], compliant: [subject] }) };
      const on = bench();
      const { id } = await finding(on, 'live', status);
      on.advance(minute);
      const { send, to } = collecting();
      await sweep('s1', nobody(), practices, [], send, on.ports);
      for (const message of to('deployments')) await check(message, [gone], on.ports);
      expect(await on.ledger.finding(id)).toMatchObject({ status: 'resolved' });
      expect(on.published).toMatchObject([{ status: 'resolved', findingId: id, resource: { arn: `${orders}:live` } }]);
    },
  );
});

describe('exemptions that cover nothing', () => {
  const day = 24 * 60 * minute;
  const granted = (on: Bench, more: Partial<Exemption> = {}): Exemption => ({
    id: 'x1',
    rule: 'timeout-long',
    resource: `${orders}*`,
    reason: 'migration until May',
    owner: 'shop',
    expires: on.world.now + 90 * day,
    by: admin,
    since: on.world.now,
    ...more,
  });
  const idle = (on: Bench): readonly Alert[] => on.published.filter(({ title }) => title === 'Exemptions that cover nothing');

  test('are told by the sweep after the next one, each time, with owner and reason', async () => {
    const on = bench();
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 10 });
    await swept(on, 's0');
    on.advance(minute);
    await on.ledger.addExemption(granted(on));
    on.advance(minute);
    await swept(on, 's1');
    expect(idle(on)).toEqual([]);
    on.advance(minute);
    await swept(on, 's2');
    expect(idle(on)).toMatchObject([
      {
        kind: 'failure',
        severity: 'low',
        rule: '*',
        sweep: 's2',
        summary: `An exemption covers nothing that is wrong, says the sweep of s2: ${orders}* from timeout-long (shop: migration until May). \`npm run guard -- unexempt <id>\` ends one.`,
        evidence: { exemptions: [{ id: 'x1', owner: 'shop', reason: 'migration until May', expires: expect.stringMatching(/^\d{4}-/) }] },
      },
    ]);
    on.advance(minute);
    await swept(on, 's3');
    // Another sentence, or the notifier would take it for the same alert.
    expect(new Set(idle(on).map(({ summary }) => summary)).size).toBe(2);
  });

  test('are those of which no finding is exempt; one by tags does not count', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
    await on.ledger.addExemption(granted(on));
    for (const name of ['s1', 's2']) {
      on.advance(minute);
      await swept(on, name);
    }
    expect(idle(on)).toEqual([]);
    await on.ledger.addExemption(granted(on, { id: 'x2', rule: 'another' }));
    await on.ledger.addExemption(granted(on, { id: 'x3', resource: `${orders}-other` }));
    await on.ledger.addExemption(granted(on, { id: 'x4', resource: 'arn:over', expires: on.world.now + 1 }));
    for (const name of ['s3', 's4']) {
      on.advance(minute);
      await swept(on, name);
    }
    expect(idle(on).map(({ evidence }) => evidence['exemptions'])).toMatchObject([[{ id: 'x2' }, { id: 'x3' }]]);
    const byTags = bench();
    await found(byTags);
    const kept = (await byTags.ledger.finding(id)) as Finding;
    await byTags.ledger.open({ ...kept, status: 'exempt', cause: 'tag', exemptUntil: byTags.world.now + day });
    await byTags.ledger.addExemption(granted(byTags));
    const { send } = collecting();
    for (const name of ['s1', 's2']) {
      byTags.advance(minute);
      await sweep(name, nobody(), practices, [], send, byTags.ports);
    }
    expect(idle(byTags)).toHaveLength(1);
  });

  test('in any number fit into one alert', async () => {
    const on = bench();
    for (let index = 0; index < 1_000; index += 1)
      await on.ledger.addExemption(granted(on, { id: `x${index}`, rule: 'r', reason: 'because '.repeat(62) }));
    const { send } = collecting();
    for (const name of ['s1', 's2']) {
      on.advance(minute);
      await sweep(name, nobody(), practices, [], send, on.ports);
    }
    const [alert] = idle(on);
    if (alert === undefined) throw new Error('nothing was told');
    expectValid(alert);
    expect(alert.summary).toContain('1000 exemptions cover nothing');
    expect(alert.summary).toContain('and 997 more');
    // Both stand in one message of SNS, and it takes 256 KB.
    expect(JSON.stringify(alert).length + emailText(alert).length).toBeLessThan(250_000);
  });
});
