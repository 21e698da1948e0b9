import type { Alert } from '../../guard/alert.ts';
import { check } from '../../guard/check.ts';
import { operate } from '../../guard/operate.ts';
import { remediate } from '../../guard/remediate.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { tick } from '../../guard/tick.ts';
import { admin, type Bench, bench, event, found, Killed, killedAfter, minute, orders, timeout, timeoutLong } from './bench.ts';

/** Its fix is one call, so that it is made at once. */
const quick: AnyRule = {
  ...timeoutLong,
  plan: async (...given: Parameters<typeof timeoutLong.plan>) => ({ steps: (await timeoutLong.plan(...given)).steps.slice(-1) }),
};

/** Somebody breaks it, or brings it back. @returns the finding's id */
async function broken({ world, ports }: Bench, id: string, FunctionName = 'orders'): Promise<string> {
  world.lambda.updateFunctionConfiguration({ FunctionName, Timeout: 300 });
  const [alert] = await check({ event: event(id, { requestParameters: { functionName: FunctionName } }) }, [quick], ports);
  if (alert === undefined) throw new Error(`${id} tells nothing`);
  return alert.findingId;
}

/** Broken and put right, so many times. */
async function fight(on: Bench, times: number, name = 'e'): Promise<string> {
  let id = '';
  for (let time = 1; time <= times; time += 1) {
    id = await broken(on, `${name}${time}`);
    await remediate(id, quick, on.ports);
    expect({ time, timeout: timeout(on) }).toEqual({ time, timeout: 60 });
  }
  return id;
}

function told(alerts: readonly Alert[], status: Alert['status']): readonly string[] {
  return [...new Set(alerts.flatMap((alert) => (alert.status === status ? [alert.summary] : [])))];
}

describe('a finding that comes back again and again', () => {
  test('is put right three times within an hour; then the alert says who brings it back, once', async () => {
    const on = bench(quick);
    const id = await fight(on, 3);
    expect(await broken(on, 'e4')).toBe(id);
    await remediate(id, quick, on.ports);
    expect(timeout(on)).toBe(300);
    expect(on.published.at(-1)).toMatchObject({
      kind: 'failure',
      status: 'failed',
      findingId: id,
      summary: `Stopped: ${orders} was put right 3 times within an hour and broken again each time, last by ${event().actor.issuer.split('/').at(-1)} (${event().actor.arn}) with UpdateFunctionConfiguration. The guard leaves it alone until \`npm run guard -- fix ${id}\`; put it right where it comes from.`,
    });
    expect(on.published.at(-1)).not.toHaveProperty('change');
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'failed', attempts: 3 });
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now, 1)).toBe(true);

    const since = on.published.length;
    for (const again of ['e5', 'e6']) expect(await check({ event: event(again) }, [quick], on.ports)).toEqual([]);
    for (let passed = 0; passed < 90; passed += 1) {
      on.advance(minute);
      expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    }
    await remediate(id, quick, on.ports);
    expect(on.published).toHaveLength(since);
    expect(timeout(on)).toBe(300);
  });

  test('is alerted on: resolved where it is put right, open and stopped again where it comes back within the hour', async () => {
    const on = bench(quick);
    const id = await fight(on, 3);
    await broken(on, 'e4');
    await remediate(id, quick, on.ports);
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 30 });
    expect(await check({ event: event('e5') }, [quick], on.ports)).toMatchObject([{ status: 'resolved' }]);
    await broken(on, 'e6');
    expect(on.published.at(-1)).toMatchObject({ kind: 'finding', status: 'open', findingId: id });
    await remediate(id, quick, on.ports);
    expect(on.published.at(-1)).toMatchObject({ status: 'failed', summary: expect.stringMatching(/^Stopped: /) });
    expect(timeout(on)).toBe(300);
  });

  test('is put right again an hour later', async () => {
    const on = bench(quick);
    await fight(on, 1, 'a');
    on.advance(30 * minute);
    await fight(on, 2, 'b');
    on.advance(30 * minute);
    const id = await fight(on, 1, 'c');
    await broken(on, 'd');
    await remediate(id, quick, on.ports);
    expect(told(on.published, 'failed')).toHaveLength(1);
  });

  test('is put right by the word of an operator, and as often as before from then on', async () => {
    const on = bench(quick);
    const id = await fight(on, 3);
    await broken(on, 'e4');
    await remediate(id, quick, on.ports);
    await operate({ action: 'fix', findings: [id] }, admin, on.ports);
    await remediate(id, quick, on.ports);
    expect(timeout(on)).toBe(60);
    await fight(on, 2, 'again');
    await broken(on, 'e5');
    await remediate(id, quick, on.ports);
    expect(timeout(on)).toBe(300);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'failed' });
  });

  test('is put right as often as FixesPerFinding says', async () => {
    const on = bench(quick, { FixesPerFinding: '1' });
    const id = await fight(on, 1);
    await broken(on, 'e2');
    await remediate(id, quick, on.ports);
    expect(on.published.at(-1)?.summary).toContain('was put right 1 times within an hour');
    expect(timeout(on)).toBe(300);
  });

  test('that a sweep found last is brought back by somebody', async () => {
    const on = bench(quick, { FixesPerFinding: '1' });
    const id = await fight(on, 1);
    const subject = (await on.ledger.finding(id))?.subject;
    if (subject === undefined) throw new Error('the finding is gone');
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
    await check({ sweep: 's1', subject }, [quick], on.ports);
    await remediate(id, quick, on.ports);
    expect(on.published.at(-1)?.summary).toContain('broken again each time, last by somebody. The guard');
  });

  test('is stopped and told once, whoever is killed, and by two at once', async () => {
    const stopped = async () => {
      const on = bench(quick);
      const id = await fight(on, 3);
      await broken(on, 'e4');
      return { on, id };
    };
    const both = await stopped();
    await Promise.all([remediate(both.id, quick, both.on.ports), remediate(both.id, quick, both.on.ports)]);
    expect(told(both.on.published, 'failed')).toHaveLength(1);
    for (let k = 1; ; k += 1) {
      const { on, id } = await stopped();
      const finished = await remediate(id, quick, killedAfter(k, on.ports).ports).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Killed);
          return false;
        },
      );
      await remediate(id, quick, on.ports);
      const { status } = (await on.ledger.finding(id)) ?? {};
      expect({ k, status, timeout: timeout(on), told: told(on.published, 'failed').length }).toEqual({
        k,
        status: 'failed',
        timeout: 300,
        told: 1,
      });
      if (finished) break;
      expect(k).toBeLessThan(30);
    }
  });
});

describe('more changes in the account than anybody expects', () => {
  const names = ['invoices', 'refunds', 'returns', 'reports'];

  /** Functions that break the rule, found and not yet put right. */
  async function many(limit: number, count = names.length): Promise<{ readonly on: Bench; readonly ids: readonly string[] }> {
    const on = bench(quick, { ChangesPerTenMinutes: String(limit) });
    const ids: string[] = [];
    for (const name of names.slice(0, count)) {
      on.world.lambda.createFunction({ FunctionName: name, Timeout: 3 });
      ids.push(await broken(on, `e-${name}`, name));
    }
    return { on, ids };
  }

  async function statuses({ ledger }: Bench, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    return await Promise.all(ids.map(async (id) => (await ledger.finding(id))?.status));
  }

  test('pause the guard, once; resume lets it go on', async () => {
    const { on, ids } = await many(2);
    for (const id of ids) await remediate(id, quick, on.ports);
    expect(await statuses(on, ids)).toEqual(['remediated', 'remediated', 'open', 'open']);
    expect((await on.ledger.switches()).paused).toBe(true);
    const paused = on.published.filter(({ status }) => status === 'paused');
    expect(paused).toMatchObject([
      {
        kind: 'failure',
        rule: '*',
        practice: 'guard',
        severity: 'high',
        title: 'Every fix is paused',
        summary: expect.stringMatching(
          /^The guard made 2 changes within ten minutes and would have made more: it has paused itself \(2026-11-22T12:\d\dZ\)\. /,
        ),
      },
    ]);
    expect(paused[0]?.summary).toContain('`npm run guard -- resume` lets it go on');

    const writes = on.world.calls.length;
    const asked = async (minutes: number) => {
      for (let passed = 0; passed < minutes; passed += 1) {
        on.advance(minute);
        for (const task of (await tick(on.ports)).tasks) if (task.task === 'fix') await remediate(task.findingId, quick, on.ports);
      }
    };
    await asked(60);
    expect(on.world.calls.length).toBe(writes);
    expect(told(on.published, 'paused')).toHaveLength(1);

    await operate({ action: 'resume' }, admin, on.ports);
    await asked(11);
    expect(await statuses(on, ids)).toEqual(['remediated', 'remediated', 'remediated', 'remediated']);
    expect(told(on.published, 'paused')).toHaveLength(1);
  });

  test('are counted anew after ten minutes', async () => {
    const { on, ids } = await many(2);
    for (const id of ids.slice(0, 2)) await remediate(id, quick, on.ports);
    on.advance(10 * minute);
    for (const id of ids.slice(2)) await remediate(id, quick, on.ports);
    expect((await on.ledger.switches()).paused).toBe(false);
    expect(await statuses(on, ids)).toEqual(['remediated', 'remediated', 'remediated', 'remediated']);
  });

  test('are not those that an operator orders', async () => {
    const { on, ids } = await many(1);
    await operate({ action: 'fix', findings: [...ids] }, admin, on.ports);
    for (const id of ids) await remediate(id, quick, on.ports);
    expect(await statuses(on, ids)).toEqual(ids.map(() => 'remediated'));
    // And they leave the budget to the others.
    const other = await found(on, quick, 'e9');
    await remediate(other, quick, on.ports);
    expect(await statuses(on, [other])).toEqual(['remediated']);
    expect((await on.ledger.switches()).paused).toBe(false);
  });

  test('are spent once by two remediators at once, and by a message that comes again', async () => {
    const { on, ids } = await many(2, 3);
    const [first = '', second = '', third = ''] = ids;
    await Promise.all([remediate(first, quick, on.ports), remediate(first, quick, on.ports)]);
    await remediate(first, quick, on.ports);
    await remediate(second, quick, on.ports);
    expect(await statuses(on, ids)).toEqual(['remediated', 'remediated', 'open']);
    expect((await on.ledger.switches()).paused).toBe(false);
    await remediate(third, quick, on.ports);
    expect((await on.ledger.switches()).paused).toBe(true);
  });

  test('are spent once, whenever the process is killed', async () => {
    for (let k = 1; ; k += 1) {
      const { on, ids } = await many(2, 2);
      const [first = '', second = ''] = ids;
      const finished = await remediate(first, quick, killedAfter(k, on.ports).ports).then(
        () => true,
        () => false,
      );
      on.advance(1_000);
      await remediate(first, quick, on.ports);
      await remediate(second, quick, on.ports);
      const { paused } = await on.ledger.switches();
      expect({ k, paused, statuses: await statuses(on, ids) }).toEqual({ k, paused: false, statuses: ['remediated', 'remediated'] });
      if (finished) break;
      expect(k).toBeLessThan(40);
    }
  });

  test('pause the guard for certain, told once within a minute, whenever the process is killed', async () => {
    for (let k = 1; ; k += 1) {
      const { on, ids } = await many(1, 2);
      const [first = '', second = ''] = ids;
      await remediate(first, quick, on.ports);
      on.advance(60 - ((on.world.now / 1000) % 60));
      const finished = await remediate(second, quick, killedAfter(k, on.ports).ports).then(
        () => true,
        () => false,
      );
      await remediate(second, quick, on.ports);
      const { paused } = await on.ledger.switches();
      expect({ k, paused, told: told(on.published, 'paused').length, open: (await on.ledger.finding(second))?.status }).toEqual({
        k,
        paused: true,
        told: 1,
        open: 'open',
      });
      expect((await on.ledger.finding(second))?.dueAt).toBeGreaterThan(on.world.now);
      if (finished) break;
      expect(k).toBeLessThan(30);
    }
  });
});
