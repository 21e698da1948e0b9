import type { Alert } from '../../guard/alert.ts';
import { errorName, RetryLater } from '../../guard/errors.ts';
import { findingId } from '../../guard/finding.ts';
import { describe as words } from '../../guard/plan.ts';
import { remediate } from '../../guard/remediate.ts';
import { type AnyRule, isWait } from '../../guard/rule.ts';
import { undo } from '../../guard/run.ts';
import { tick } from '../../guard/tick.ts';
import { assignedByAws } from '../support/world/index.ts';
import { admin, type Bench, bench, event, found, Killed, killedAfter, minute, orders, place, timeout, timeoutLong } from './bench.ts';

const writes = ['TagResource', 'AddPermission', 'UpdateFunctionConfiguration', 'UntagResource', 'RemovePermission'];

/** The writes that reached AWS, in order. */
function written({ world }: Bench): readonly string[] {
  return world.calls.flatMap(({ operation }) => (writes.includes(operation) ? [operation] : []));
}

/** Delivers the message about a finding, and whatever tick sends afterwards, until nothing is left to do. */
async function untilDone(on: Bench, id: string, rule: AnyRule = timeoutLong): Promise<void> {
  for (let round = 0; round < 12; round += 1) {
    if ((await on.ledger.finding(id))?.status !== 'open') return;
    await remediate(id, rule, on.ports);
    on.advance(5 * minute + 1);
    const { tasks } = await tick(on.ports);
    for (const task of tasks) if (task.task === 'fix') await remediate(task.findingId, rule, on.ports);
  }
}

/** Alerts by what tells one from another for whoever receives them. */
function told(alerts: readonly Alert[]): readonly string[] {
  return [...new Set(alerts.map(({ kind, status, change }) => `${kind} ${status}${change === undefined ? '' : ` ${change.id}`}`))];
}

function said(alerts: readonly Alert[]): readonly string[] {
  return [...new Set(alerts.map(({ summary }) => summary))];
}

describe('a finding', () => {
  test('is put right: steps, a wait, the last step, and a word about it', async () => {
    const on = bench();
    const id = await found(on);
    expect(await remediate(id, timeoutLong, on.ports)).toEqual([]);
    expect(written(on)).toEqual(['TagResource', 'AddPermission']);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', attempts: 1, fixing: expect.stringMatching(/^[0-9a-f]{12}$/) });

    on.advance(59_000);
    expect(await remediate(id, timeoutLong, on.ports)).toEqual([]);
    expect(written(on)).toHaveLength(2);

    on.advance(2_000);
    const { tasks } = await tick(on.ports);
    expect(tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
    const [alert] = await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(60);
    expect(alert).toMatchObject({
      kind: 'change',
      status: 'remediated',
      findingId: id,
      summary: `Put right: ${orders} no longer breaks this rule.`,
    });
    expect(alert?.change?.calls).toEqual(['lambda:TagResource', 'lambda:AddPermission', 'lambda:UpdateFunctionConfiguration']);
    expect(alert?.change?.undo).toContain(`undo ${alert?.change?.id} `);
    expect(on.published.at(-1)).toEqual(alert);

    const finding = await on.ledger.finding(id);
    expect(finding).toMatchObject({ status: 'remediated', change: alert?.change?.id });
    expect(finding?.fixing).toBeUndefined();
    expect(await on.ledger.change(alert?.change?.id ?? '')).toMatchObject({ status: 'done', done: 4, resource: orders, finding: id });
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now, minute)).toBe(true);
  });

  test('is journaled whole, with every undo, before the first write', async () => {
    const on = bench();
    const id = await found(on);
    const atFirstWrite: unknown[] = [];
    const { ledger } = on;
    const connect = on.ports.connect;
    const spying = {
      ...on.ports,
      connect: ((calls: never) => {
        const handle = connect(calls) as Record<string, (input: unknown) => Promise<unknown>>;
        const tag = handle['tagResource'];
        if (tag === undefined) return handle;
        return {
          ...handle,
          tagResource: async (input: unknown) => {
            for await (const change of ledger.changes()) atFirstWrite.push(change);
            return await tag(input);
          },
        };
      }) as typeof connect,
    };
    await remediate(id, timeoutLong, spying);
    expect(atFirstWrite).toMatchObject([{ finding: id, done: 0, status: 'running', account: place.account, region: place.region }]);
    const [{ steps }] = atFirstWrite as [{ steps: { undo?: unknown[] }[] }];
    expect(steps.map(({ undo: calls }) => calls?.length ?? 'wait')).toEqual([1, 1, 'wait', 1]);
  });

  test('whose fix leaves something is put right in part', async () => {
    const rule: AnyRule = {
      ...timeoutLong,
      plan: async (...given: Parameters<typeof timeoutLong.plan>) => ({
        ...(await timeoutLong.plan(...given)),
        remains: ['version 3', 'version 4'],
      }),
    };
    const on = bench(rule);
    const id = await found(on, rule);
    await untilDone(on, id, rule);
    expect(on.published.at(-1)).toMatchObject({
      kind: 'change',
      status: 'partial',
      summary: 'Put right in part: version 3; version 4 still break this rule.',
    });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'partial' });
  });

  test('that is still wrong after its fix is said so, and is not tried again', async () => {
    const rule: AnyRule = {
      ...timeoutLong,
      plan: async (...given: Parameters<typeof timeoutLong.plan>) => ({ steps: (await timeoutLong.plan(...given)).steps.slice(0, 1) }),
    };
    const on = bench(rule);
    const id = await found(on, rule);
    await untilDone(on, id, rule);
    expect(on.published.at(-1)).toMatchObject({
      kind: 'change',
      status: 'failed',
      summary: expect.stringContaining('still breaks this rule'),
    });
    const calls = on.world.calls.length;
    await remediate(id, rule, on.ports);
    on.advance(60 * minute);
    expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    expect(on.world.calls).toHaveLength(calls);
  });

  test('has its plan made anew from what is there now', async () => {
    const on = bench();
    const id = await found(on);
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 900 });
    await untilDone(on, id);
    const changes = [];
    for await (const change of on.ledger.changes()) changes.push(change);
    expect(JSON.stringify(changes[0]?.steps)).toContain('"Timeout":900');
    expect(timeout(on)).toBe(60);
  });
});

describe('nothing is written', () => {
  async function untouched(on: Bench, id: string): Promise<void> {
    await remediate(id, timeoutLong, on.ports);
    expect(written(on)).toEqual([]);
    expect(timeout(on)).toBe(300);
    const changes = [];
    for await (const change of on.ledger.changes()) changes.push(change);
    expect(changes).toEqual([]);
  }

  test('for an id that nobody knows', async () => {
    const on = bench();
    await untouched(on, findingId('timeout-long', orders));
    expect(on.world.calls).toEqual([]);
  });

  test('for a finding of another rule', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, { ...timeoutLong, id: 'another' }, on.ports);
    expect(written(on)).toEqual([]);
  });

  test.each(['remediated', 'resolved', 'failed', 'unknown', 'exempt', 'partial', 'reverted'] as const)(
    'for a finding that is %s',
    async (status) => {
      const on = bench();
      const id = await found(on);
      await on.ledger.setStatus(id, { status, cause: 'test' });
      await untouched(on, id);
    },
  );

  test('before the delay is over; after it tick sends the finding', async () => {
    const on = bench(timeoutLong, { TimeoutLongDelay: '15' });
    const id = await found(on);
    expect(await on.ledger.finding(id)).toMatchObject({ dueAt: on.world.now + 15 * minute });
    await untouched(on, id);
    on.advance(14 * minute);
    expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    on.advance(2 * minute);
    expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
  });

  test('while the guard is paused; afterwards tick sends the finding again', async () => {
    const on = bench(timeoutLong, { TimeoutLongDelay: '1' });
    const id = await found(on);
    await on.ledger.setSwitch('paused', 'incident', admin);
    on.advance(2 * minute);
    await tick(on.ports);
    await untouched(on, id);
    await on.ledger.setSwitch('paused', undefined, admin);
    on.advance(6 * minute);
    expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
    await untilDone(on, id);
    expect(timeout(on)).toBe(60);
  });

  test('while the guard is paused, though there is no delay; afterwards tick sends the finding', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.setSwitch('paused', 'incident', admin);
    await untouched(on, id);
    await on.ledger.setSwitch('paused', undefined, admin);
    expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    on.advance(6 * minute);
    expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
  });

  test('where the switches cannot be read', async () => {
    const on = bench();
    const id = await found(on);
    on.ledger.switches = async () => Promise.reject(new Error('AccessDenied'));
    await expect(remediate(id, timeoutLong, on.ports)).rejects.toThrow('AccessDenied');
    expect(written(on)).toEqual([]);
  });

  test.each(['alert', 'off'] as const)('where the rule was lowered to %s at run time', async (mode) => {
    const on = bench();
    const id = await found(on);
    await on.ledger.setSwitch('mode:timeout-long', mode, admin);
    await untouched(on, id);
  });

  test('where the rule is deployed to alert, whatever a switch says', async () => {
    const on = bench(timeoutLong, { TimeoutLongMode: 'alert' });
    const id = await found(on);
    await on.ledger.setSwitch('mode:timeout-long', 'remediate' as never, admin);
    await untouched(on, id);
  });

  test.each([
    ['out of scope', { RemediateScope: 'tag:team=payments' }],
    ['out of the scope of the rule', { RemediateScope: '*', TimeoutLongScope: 'arn:aws:lambda:*:*:function:payments-*' }],
    ['on the list of what is never touched', { NeverTouch: 'arn:aws:lambda:*:*:function:ord*' }],
    ['the guard itself', { StackName: 'orders'.slice(0, 3) }],
  ])('to what is %s', async (name, variables) => {
    const on = bench(timeoutLong, variables);
    if (name === 'the guard itself') {
      on.world.lambda.tagResource({ Resource: orders, Tags: { 'aws:cloudformation:stack-name': 'ord' } });
    }
    await untouched(on, await found(on));
  });

  test('to what is out of scope, and tick does not bring it back for ever', async () => {
    const on = bench(timeoutLong, { RemediateScope: 'tag:team=payments', TimeoutLongDelay: '1' });
    const id = await found(on);
    on.advance(2 * minute);
    expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
    await untouched(on, id);
    on.advance(60 * minute);
    expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test('to what has left the scope since it was found, by its tags of now', async () => {
    const on = bench(timeoutLong, { RemediateScope: 'tag:team=shop', TimeoutLongDelay: '1' });
    const id = await found(on);
    on.world.lambda.tagResource({ Resource: orders, Tags: { team: 'payments' } });
    on.advance(2 * minute);
    await untouched(on, id);
    on.advance(60 * minute);
    expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test('to what tags exempt since it was found: their event is on the way', async () => {
    const on = bench(timeoutLong, { AllowTagExemptions: 'true' });
    const id = await found(on);
    const Tags = {
      'compliance-guard:exempt': 'timeout-long',
      'compliance-guard:exempt-until': new Date(on.world.now + 60 * minute).toISOString().replace(/\.\d+/, ''),
      'compliance-guard:exempt-reason': 'a batch job',
    };
    on.world.lambda.tagResource({ Resource: orders, Tags });
    on.published.length = 0;
    expect(await remediate(id, timeoutLong, on.ports)).toEqual([]);
    expect(timeout(on)).toBe(300);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', attempts: 0 });
    on.world.lambda.untagResource({ Resource: orders, TagKeys: ['compliance-guard:exempt'] });
    await remediate(id, timeoutLong, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ attempts: 1 });
  });

  test('to what is exempt, and the finding says so', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.addExemption({
      id: 'x1',
      rule: 'timeout-long',
      resource: orders,
      reason: 'migration',
      owner: 'shop',
      expires: on.world.now + minute,
      by: admin,
    });
    await untouched(on, id);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt', cause: 'exemption x1' });
  });

  test('where somebody was faster: the finding ends, and says so', async () => {
    const on = bench();
    const id = await found(on);
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 30 });
    const [alert] = await remediate(id, timeoutLong, on.ports);
    expect(written(on)).toEqual([]);
    expect(alert).toMatchObject({ kind: 'finding', status: 'resolved' });
    expect(on.published.at(-1)).toEqual(alert);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'resolved' });
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now, minute)).toBe(true);
  });

  test.each([undefined, 'It is gone.'])('where somebody was faster than the plan, which says: %s', async (refused) => {
    const on = bench();
    const rule: AnyRule = {
      ...timeoutLong,
      plan: async () => {
        on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 30 });
        return { steps: [], ...(refused === undefined ? {} : { refused }) };
      },
    };
    const id = await found(on);
    const alerts = await remediate(id, rule, on.ports);
    expect(alerts).toMatchObject([{ kind: 'finding', status: 'resolved' }]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'resolved' });
  });
});

describe('a plan that is refused', () => {
  const refusing: AnyRule = {
    ...timeoutLong,
    plan: async (...given: Parameters<typeof timeoutLong.plan>) => ({
      ...(await timeoutLong.plan(...given)),
      refused: 'Somebody waits for it.',
    }),
  };

  test('is shown and not made', async () => {
    const on = bench(refusing);
    const id = await found(on, refusing);
    const [alert] = await remediate(id, refusing, on.ports);
    expect(written(on)).toEqual([]);
    // Not as a finding, which remediators listen to: it would come back to the one that sent it.
    expect(alert).toMatchObject({
      kind: 'failure',
      status: 'open',
      summary: `${orders} may run for 300 s. Not put right: Somebody waits for it.`,
    });
    expect(alert?.plan).toEqual([
      expect.stringMatching(/^lambda:TagResource \{/),
      expect.stringMatching(/^lambda:AddPermission \{/),
      'wait 60 s: somebody may object',
      expect.stringMatching(/^lambda:UpdateFunctionConfiguration \{/),
    ]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', attempts: 0 });
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now, minute)).toBe(true);
  });

  test('is told once: neither its own alert nor the clock brings it back', async () => {
    const on = bench(refusing, { TimeoutLongDelay: '1' });
    const id = await found(on, refusing);
    on.advance(2 * minute);
    for (let round = 0; round < 5; round += 1) {
      const { tasks } = await tick(on.ports);
      for (const task of tasks) if (task.task === 'fix') await remediate(task.findingId, refusing, on.ports);
      on.advance(6 * minute);
    }
    expect(on.published.filter(({ kind, plan }) => kind === 'failure' && plan.length > 0)).toHaveLength(1);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test('of no steps is one that has no fix', async () => {
    const rule: AnyRule = { ...timeoutLong, plan: async () => ({ steps: [] }) };
    const on = bench(rule);
    const [alert] = await remediate(await found(on, rule), rule, on.ports);
    expect(alert?.summary).toContain('There is no fix for it.');
  });
});

describe('a process that is killed', () => {
  async function reference(): Promise<{ readonly snapshot: unknown; readonly calls: number; readonly alerts: readonly string[] }> {
    const on = bench();
    const id = await found(on);
    const counting = killedAfter(Number.POSITIVE_INFINITY, on.ports);
    await untilDone({ ...on, ports: counting.ports }, id);
    return { snapshot: on.world.snapshot(), calls: counting.calls(), alerts: told(on.published) };
  }

  test('after any of its calls is no harm: the next delivery completes the change, and each step is made once', async () => {
    const { snapshot, calls, alerts } = await reference();
    expect(calls).toBeGreaterThan(20);
    for (let k = 1; k < calls; k += 1) {
      const on = bench();
      const id = await found(on);
      const mortal = killedAfter(k, on.ports);
      await expect(untilDone({ ...on, ports: mortal.ports }, id)).rejects.toThrow(Killed);
      on.advance(20 * minute);
      await untilDone(on, id);
      expect({ k, status: (await on.ledger.finding(id))?.status }).toEqual({ k, status: 'remediated' });
      expect({ k, alerts: told(on.published) }).toEqual({ k, alerts });
      // A call may be made again, but what it does is there once.
      expect(withoutIds(on.world.snapshot())).toEqual(withoutIds(snapshot));
      for (const operation of ['TagResource', 'AddPermission', 'UpdateFunctionConfiguration']) {
        expect(written(on).filter((name) => name === operation).length).toBeLessThanOrEqual(2);
      }
      const changes = [];
      for await (const change of on.ledger.changes()) changes.push(change);
      expect(changes).toMatchObject([{ status: 'done', done: 4 }]);
    }
  });

  test.each([
    ['', timeoutLong, { limited: true }],
    [', in a rule with probation', { ...timeoutLong, probation: true } as AnyRule, { limited: false }],
  ])('while a change fails%s, leaves it failed, and told once', async (_, rule, { limited }) => {
    const failing = async (on: Bench) => {
      const id = await found(on, rule);
      on.world.fail('UpdateFunctionConfiguration', 'AccessDeniedException');
      return id;
    };
    const counting = bench(rule);
    const counted = killedAfter(Number.POSITIVE_INFINITY, counting.ports);
    await untilDone({ ...counting, ports: counted.ports }, await failing(counting), rule);
    for (let k = 1; k < counted.calls(); k += 1) {
      const on = bench(rule);
      const id = await failing(on);
      await expect(untilDone({ ...on, ports: killedAfter(k, on.ports).ports }, id, rule)).rejects.toThrow(Killed);
      on.advance(20 * minute);
      await untilDone(on, id, rule);
      const { Tags } = on.world.lambda.listTags({ Resource: orders }) as { Tags: Record<string, string> };
      expect({ k, status: (await on.ledger.finding(id))?.status, limited: 'limited' in Tags, said: said(on.published) }).toEqual({
        k,
        status: 'failed',
        limited,
        said: said(counting.published),
      });
      expect(told(on.published)).toEqual(told(counting.published));
    }
  });

  test('holds what its rule says, where that is more than its subject, until it is over', async () => {
    const api = 'arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5';
    const rule: AnyRule = { ...timeoutLong, holds: () => api };
    const on = bench();
    const id = await found(on);
    await remediate(id, rule, on.ports);
    expect(written(on)).toHaveLength(2);
    expect(await on.ledger.lock(api, 'another', on.world.now, 1)).toBe(false);
    expect(await on.ledger.lock(orders, 'another', on.world.now, 1)).toBe(true);
    await untilDone(on, id, rule);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated' });
    expect(await on.ledger.lock(api, 'another', on.world.now, 1)).toBe(true);
  });

  test('waits while another change holds what it would hold', async () => {
    const api = 'arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5';
    const rule: AnyRule = { ...timeoutLong, holds: () => api };
    const on = bench();
    const id = await found(on);
    expect(await on.ledger.lock(api, 'the change of another method', on.world.now, minute)).toBe(true);
    expect(await remediate(id, rule, on.ports)).toEqual([]);
    expect(written(on)).toEqual([]);
    await untilDone(on, id, rule);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated' });
  });

  test('leaves its resource locked only until it could be dead', async () => {
    const on = bench();
    const id = await found(on);
    await expect(remediate(id, timeoutLong, killedAfter(6, on.ports).ports)).rejects.toThrow(Killed);
    expect(await on.ledger.lock(orders, 'another', on.world.now, 1)).toBe(false);
    expect(await on.ledger.lock(orders, 'another', on.world.now + 6 * minute, 1)).toBe(true);
  });
});

function withoutIds(snapshot: unknown): unknown {
  expect(assignedByAws).toContain('RevisionId');
  return JSON.parse(JSON.stringify(snapshot).replace(/[0-9a-f]{12}/g, 'id'));
}

describe('two at once', () => {
  test('on one resource: the second comes back later', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.lock(orders, 'another change', on.world.now, minute);
    const answer = await remediate(id, timeoutLong, on.ports).catch((error: unknown) => error);
    expect(written(on)).toEqual([]);
    if (answer instanceof Error) expect(answer).toBeInstanceOf(RetryLater);
    else {
      // Or tick sends it again soon.
      on.advance(minute);
      expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
    }
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    on.advance(2 * minute);
    await untilDone(on, id);
    expect(timeout(on)).toBe(60);
  });

  test('on one finding: it is put right once, and told once', async () => {
    const on = bench();
    const id = await found(on);
    await Promise.allSettled([remediate(id, timeoutLong, on.ports), remediate(id, timeoutLong, on.ports)]);
    on.advance(2 * minute);
    await Promise.allSettled([remediate(id, timeoutLong, on.ports), remediate(id, timeoutLong, on.ports)]);
    on.advance(2 * minute);
    await untilDone(on, id);
    expect(timeout(on)).toBe(60);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated', attempts: 1 });
    expect(told(on.published).filter((alert) => alert.startsWith('change'))).toHaveLength(1);
    const { Tags } = on.world.lambda.listTags({ Resource: orders }) as { Tags: Record<string, string> };
    expect(Tags['limited']).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe('a call that fails', () => {
  const steps = [
    ['TagResource', 0, 'nothing was changed'],
    ['AddPermission', 1, 'the steps before it are in place'],
    ['UpdateFunctionConfiguration', 3, 'the steps before it are in place'],
  ] as const;

  test.each(steps)('%s for good: the change stops there, and says what is in place', async (operation, done, state) => {
    const on = bench();
    const id = await found(on);
    on.world.fail(operation, 'AccessDeniedException');
    await untilDone(on, id);
    const alert = on.published.at(-1);
    expect(alert).toMatchObject({
      kind: 'change',
      status: 'failed',
      summary: `The fix of ${orders} stopped: lambda:${operation} failed with AccessDeniedException; ${state}.`,
    });
    expect(await on.ledger.change(alert?.change?.id ?? '')).toMatchObject({
      status: 'failed',
      done,
      error: expect.stringContaining('AccessDeniedException'),
    });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'failed' });
    expect(written(on).filter((name) => name.startsWith('Un') || name.startsWith('Remove'))).toEqual([]);
  });

  test.each(steps)('%s for good, in a rule with probation: what was done is taken back', async (operation, done) => {
    const rule: AnyRule = { ...timeoutLong, probation: true };
    const on = bench(rule);
    const before = on.world.snapshot();
    const id = await found(on, rule);
    on.world.fail(operation, 'AccessDeniedException');
    await untilDone(on, id, rule);
    const alert = on.published.at(-1);
    expect(alert).toMatchObject({ status: 'failed', summary: expect.stringContaining(done === 0 ? 'nothing was changed' : 'taken back') });
    expect(on.world.snapshot()).toEqual(before);
    expect(await on.ledger.change(alert?.change?.id ?? '')).toMatchObject({ status: done === 0 ? 'failed' : 'reverted' });
  });

  test('while it is taken back: the taking back goes on with the next delivery', async () => {
    const rule: AnyRule = { ...timeoutLong, probation: true };
    const on = bench(rule);
    const before = on.world.snapshot();
    const id = await found(on, rule);
    await remediate(id, rule, on.ports);
    on.advance(2 * minute);
    on.world.fail('UpdateFunctionConfiguration', 'AccessDeniedException');
    on.world.fail('RemovePermission', 'TooManyRequestsException');
    await expect(remediate(id, rule, on.ports)).rejects.toThrow();
    expect((await on.ledger.finding(id))?.status).toBe('open');
    on.world.fail('RemovePermission', 'none', { after: 99 });
    on.advance(20 * minute);
    await untilDone(on, id, rule);
    expect(on.world.snapshot()).toEqual(before);
    expect(told(on.published).filter((alert) => alert.startsWith('change'))).toHaveLength(1);
  });

  test('while it is taken back, for good: it is told, and nobody tries for ever', async () => {
    const rule: AnyRule = { ...timeoutLong, probation: true };
    const on = bench(rule);
    const id = await found(on, rule);
    on.world.fail('UpdateFunctionConfiguration', 'AccessDeniedException');
    on.world.fail('RemovePermission', 'AccessDeniedException');
    await untilDone(on, id, rule);
    expect(on.published.at(-1)).toMatchObject({
      kind: 'change',
      status: 'failed',
      summary: `The fix of ${orders} stopped: lambda:UpdateFunctionConfiguration failed with AccessDeniedException; taking back what had been done stopped with AccessDeniedException, and somebody has to look.`,
    });
    const change = await on.ledger.change(on.published.at(-1)?.change?.id ?? '');
    expect(change).toMatchObject({ status: 'failed' });
    expect(change).not.toHaveProperty('dueAt');
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'failed' });
  });

  test.each(['TooManyRequestsException', 'ServiceException'])('with %s is tried again by the queue', async (error) => {
    const on = bench();
    const id = await found(on);
    on.world.fail('AddPermission', error);
    await expect(
      remediate(id, timeoutLong, on.ports).catch((thrown: unknown) => Promise.reject(new Error(errorName(thrown)))),
    ).rejects.toThrow(error);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    on.world.fail('AddPermission', 'none', { after: 99 });
    await untilDone(on, id);
    expect(timeout(on)).toBe(60);
    expect(written(on).filter((name) => name === 'TagResource')).toHaveLength(1);
  });

  test('with a conflict, because Lambda is at work on the function, is tried again soon', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.world.lambda.settleSeconds = 10;
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Description: 'busy' });
    on.advance(minute);
    on.world.fail('UpdateFunctionConfiguration', 'ResourceConflictException', { after: 0 });
    await remediate(id, timeoutLong, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    on.advance(minute);
    expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
  });

  test('with a reading that is refused: said once, not tried for ever', async () => {
    const on = bench(timeoutLong, { TimeoutLongDelay: '1' });
    const id = await found(on);
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    on.advance(2 * minute);
    for (let round = 0; round < 5; round += 1) {
      const { tasks } = await tick(on.ports);
      for (const task of tasks) if (task.task === 'fix') await remediate(task.findingId, timeoutLong, on.ports).catch(() => undefined);
      on.advance(6 * minute);
    }
    expect(written(on)).toEqual([]);
    expect(on.published.filter(({ kind }) => kind === 'failure')).toHaveLength(1);
    expect(on.world.calls.filter(({ operation }) => operation === 'GetFunctionConfiguration').length).toBeLessThan(6);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'failed' });
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now - 60 * minute, minute)).toBe(true);
  });

  test('in the reading afterwards: the fix is made, and what came of it is unknown', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(60);
    expect(on.published.at(-1)).toMatchObject({
      kind: 'change',
      status: 'unknown',
      summary: expect.stringContaining('AccessDeniedException'),
    });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'unknown' });
  });

  test('in the step, while nobody can look: it is tried again', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    on.world.fail('GetFunctionConfiguration', 'TooManyRequestsException');
    on.world.fail('UpdateFunctionConfiguration', 'AccessDeniedException');
    await expect(remediate(id, timeoutLong, on.ports)).rejects.toMatchObject({ name: 'TooManyRequestsException' });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test('in the step and in the reading afterwards: the change stops all the same', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    on.world.fail('UpdateFunctionConfiguration', 'AccessDeniedException');
    await remediate(id, timeoutLong, on.ports);
    expect(on.published.at(-1)).toMatchObject({ kind: 'change', status: 'failed' });
    expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
  });

  test('that a step names and the rule did not declare is never made', async () => {
    const rule: AnyRule = {
      ...timeoutLong,
      plan: async () => ({ steps: [{ call: 'deleteFunction', input: { FunctionName: orders }, undo: [] }] }),
    };
    const on = bench(rule);
    const id = await found(on, rule);
    await untilDone(on, id, rule).catch(() => undefined);
    expect(timeout(on)).toBe(300);
    expect((await on.ledger.finding(id))?.status).toBe('failed');
  });
});

describe('switches and words during a change', () => {
  test('a pause holds it between steps; it goes on afterwards', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    await on.ledger.setSwitch('paused', 'incident', admin);
    on.advance(20 * minute);
    for (const task of (await tick(on.ports)).tasks) if (task.task === 'fix') await remediate(task.findingId, timeoutLong, on.ports);
    expect(timeout(on)).toBe(300);
    await on.ledger.setSwitch('paused', undefined, admin);
    on.advance(20 * minute);
    await untilDone(on, id);
    expect(timeout(on)).toBe(60);
  });

  test('a pause in the middle of it stops it before its next write', async () => {
    const on = bench();
    const id = await found(on);
    const tag = on.world.lambda.tagResource.bind(on.world.lambda);
    on.world.lambda.tagResource = (input) => {
      void on.ledger.setSwitch('paused', 'incident', admin);
      return tag(input);
    };
    await remediate(id, timeoutLong, on.ports);
    expect(written(on)).toEqual(['TagResource']);
    expect(await on.ledger.change((await on.ledger.finding(id))?.fixing ?? '')).toMatchObject({ status: 'waiting', done: 1 });
    await on.ledger.setSwitch('paused', undefined, admin);
    on.advance(6 * minute);
    await untilDone(on, id);
    expect(written(on)).toEqual(['TagResource', 'AddPermission', 'UpdateFunctionConfiguration']);
  });

  test('a change that waits for long keeps its resource to itself', async () => {
    const rule: AnyRule = {
      ...timeoutLong,
      plan: async (...given: Parameters<typeof timeoutLong.plan>) => {
        const { steps } = await timeoutLong.plan(...given);
        return { steps: steps.map((step) => (isWait(step) ? { ...step, waitSeconds: 900 } : step)) };
      },
    };
    const on = bench(rule);
    const id = await found(on, rule);
    await remediate(id, rule, on.ports);
    on.advance(14 * minute);
    expect(await on.ledger.lock(orders, 'another', on.world.now, minute)).toBe(false);
    on.advance(10 * minute);
    expect(await on.ledger.lock(orders, 'another', on.world.now, minute)).toBe(true);
  });

  test('an event that finds it compliant in between does not end it', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    await on.ledger.resolve(id, { asOf: on.world.now, cause: 'event 2' });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test('what was fixed and broken again is fixed again, as a change of its own', async () => {
    const on = bench();
    const id = await found(on);
    await untilDone(on, id);
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
    expect(await found(on, timeoutLong, 'e2')).toBe(id);
    await untilDone(on, id);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated', opened: 2, attempts: 2 });
    const changes = [];
    for await (const change of on.ledger.changes()) changes.push(change);
    expect(changes).toHaveLength(2);
    expect(told(on.published).filter((alert) => alert.startsWith('change remediated'))).toHaveLength(2);
  });
});

describe('undo', () => {
  test('takes back what is done, last first, and may be repeated', async () => {
    const on = bench();
    const before = on.world.snapshot();
    const id = await found(on);
    await untilDone(on, id);
    const change = await on.ledger.change((await on.ledger.finding(id))?.change ?? '');
    if (change === undefined) throw new Error('there is no change');
    const calls: string[] = [];
    const handle = on.ports.connect(timeoutLong.undo);
    await undo(change, timeoutLong, handle, (call) => calls.push(call));
    expect(calls).toEqual(['lambda:UpdateFunctionConfiguration', 'lambda:RemovePermission', 'lambda:UntagResource']);
    await undo(change, timeoutLong, handle);
    expect(on.world.snapshot()).toEqual(before);
  });

  test('leaves alone what was not done', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const change = await on.ledger.change((await on.ledger.finding(id))?.change ?? '');
    const calls: string[] = [];
    await undo({ steps: change?.steps ?? [], done: 1 }, timeoutLong, on.ports.connect(timeoutLong.undo), (call) => calls.push(call));
    expect(calls).toEqual(['lambda:UntagResource']);
  });
});

test('a plan in words names calls as AWS does', () => {
  const step = { call: 'tagResource', input: { Resource: orders }, undo: [] };
  expect(isWait(step)).toBe(false);
  expect(words([step, { waitSeconds: 5, why: 'why' }], timeoutLong)).toEqual([
    `lambda:TagResource {"Resource":"${orders}"}`,
    'wait 5 s: why',
  ]);
  expect(event().operation).toBe('UpdateFunctionConfiguration');
});
