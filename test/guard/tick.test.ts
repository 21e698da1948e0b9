import type { Change } from '../../guard/change.ts';
import type { Finding } from '../../guard/finding.ts';
import { operate } from '../../guard/operate.ts';
import { remediate } from '../../guard/remediate.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { tick } from '../../guard/tick.ts';
import { admin, type Bench, bench, configFor, fine, found, Killed, killedAfter, minute, orders, timeoutLong } from './bench.ts';

const exemption = { id: 'x1', rule: 'timeout-long', resource: orders, reason: 'migration', owner: 'shop', by: admin };

test('the first tick of a stack asks for a sweep, until one has begun', async () => {
  const { ports, ledger, world } = bench();
  expect((await tick(ports)).tasks).toEqual([{ task: 'sweep' }]);
  expect((await tick(ports)).tasks).toEqual([{ task: 'sweep' }]);
  await ledger.recordSweep('s1', world.now);
  expect((await tick(ports)).tasks).toEqual([]);
});

test('what is due is sent once by two ticks at once, and again where nobody acted on it', async () => {
  const on = bench(timeoutLong, { TimeoutLongDelay: '1' });
  const id = await found(on);
  on.advance(2 * minute);
  const both = await Promise.all([tick(on.ports), tick(on.ports)]);
  const fixes = () => both.flatMap(({ tasks }) => tasks.filter(({ task }) => task === 'fix'));
  expect(fixes()).toEqual([{ task: 'fix', rule: 'timeout-long', findingId: id }]);
  expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
  on.advance(6 * minute);
  expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toHaveLength(1);
});

test('a change that waits, or whose process died, is sent as a fix of its finding', async () => {
  const on = bench();
  const id = await found(on);
  await expect(remediate(id, timeoutLong, killedAfter(12, on.ports).ports)).rejects.toThrow(Killed);
  on.advance(20 * minute);
  expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
});

/** The first step of a change is made, and its process dies. */
async function abandoned(rule: AnyRule): Promise<{ readonly on: Bench; readonly id: string }> {
  for (let k = 1; k < 40; k += 1) {
    const on = bench(rule);
    const id = await found(on, rule);
    await expect(remediate(id, rule, killedAfter(k, on.ports).ports)).rejects.toThrow(Killed);
    for await (const { done } of on.ledger.changes()) if (done === 1) return { on, id };
  }
  throw new Error('no change got so far');
}

describe('a deployment took the remediator away', () => {
  const rule: AnyRule = { ...timeoutLong, probation: true };

  /** `orders` is being put right, and waits between two steps. */
  async function waiting(): Promise<{ readonly on: Bench; readonly id: string }> {
    const on = bench(rule);
    const id = await found(on, rule);
    await remediate(id, rule, on.ports);
    return { on, id };
  }

  async function onProbation() {
    const made = await waiting();
    made.on.advance(minute);
    await remediate(made.id, rule, made.on.ports);
    return made;
  }

  /** So far a change may be when nobody goes on with it. */
  const states: readonly (readonly [string, () => Promise<{ readonly on: Bench; readonly id: string }>, object])[] = [
    [
      'while a change was under way',
      () => abandoned(rule),
      {
        alert: 'failed',
        says: 'was under way, after 1 of its 3 calls: look at it',
        calls: ['lambda:TagResource'],
        change: 'failed',
        finding: 'failed',
      },
    ],
    [
      'while a change waited',
      waiting,
      {
        alert: 'failed',
        says: 'was under way, after 2 of its 3 calls: look at it',
        calls: ['lambda:TagResource', 'lambda:AddPermission'],
        change: 'failed',
        finding: 'failed',
      },
    ],
    [
      'while a change was being taken back',
      async () => {
        const made = await onProbation();
        made.on.metrics.after = { ...fine, errors: 100 };
        made.on.advance(minute);
        made.on.world.fail('RemovePermission', 'TooManyRequestsException');
        await expect(remediate(made.id, rule, made.on.ports)).rejects.toThrow('RemovePermission');
        return made;
      },
      {
        alert: 'failed',
        says: 'was being taken back, and perhaps only a part of it is: look at it',
        calls: ['lambda:TagResource', 'lambda:AddPermission', 'lambda:UpdateFunctionConfiguration'],
        change: 'failed',
        finding: 'failed',
      },
    ],
    [
      'while a change was on probation',
      onProbation,
      {
        alert: 'unproven',
        says: 'was on probation, and nobody watches it any more: look at it',
        calls: ['lambda:TagResource', 'lambda:AddPermission', 'lambda:UpdateFunctionConfiguration'],
        change: 'done',
        finding: 'remediated',
      },
    ],
  ];
  const deployed = configFor([rule], { TimeoutLongMode: 'alert' });

  async function outcome({ on, id }: { readonly on: Bench; readonly id: string }, since: number) {
    const changes: Change[] = [];
    for await (const change of on.ledger.changes()) changes.push(change);
    const said = new Map(on.published.slice(since).map((alert) => [JSON.stringify(alert), alert]));
    expect(said.size).toBe(1);
    const [alert] = said.values();
    const prefix = `A deployment took the remediator of timeout-long away while its change of ${orders} `;
    expect(alert?.summary.startsWith(prefix)).toBe(true);
    expect(alert?.change).toMatchObject({ id: changes[0]?.id, undo: expect.stringContaining(`undo ${changes[0]?.id} `) });
    const finding = await on.ledger.finding(id);
    expect(finding).not.toHaveProperty('fixing');
    return {
      alert: alert?.status,
      says: alert?.summary.slice(prefix.length).replace(/, and take the change back.*$/, ''),
      calls: alert?.change?.calls,
      change: changes[0]?.status,
      finding: finding?.status,
    };
  }

  test.each(states)('%s: it is told once, with the undo', async (_, prepare, expected) => {
    const made = await prepare();
    const { on } = made;
    const since = on.published.length;
    on.advance(16 * minute);
    const { alerts, tasks } = await tick({ ...on.ports, config: deployed });
    expect(tasks.filter(({ task }) => task === 'fix')).toEqual([]);
    expect(alerts).toEqual(on.published.slice(since));
    for (let passed = 0; passed < 5; passed += 1) {
      on.advance(6 * minute);
      expect(await tick({ ...on.ports, config: deployed })).toEqual({ alerts: [], tasks: [{ task: 'sweep' }] });
    }
    expect(on.published).toHaveLength(since + 1);
    expect(await outcome(made, since)).toEqual(expected);
  });

  test.each(states)('%s: it is told, whenever the process is killed', async (_, prepare, expected) => {
    for (let k = 1; ; k += 1) {
      const made = await prepare();
      const { on } = made;
      const since = on.published.length;
      on.advance(16 * minute);
      const finished = await tick(killedAfter(k, { ...on.ports, config: deployed }).ports).then(
        () => true,
        () => false,
      );
      for (let passed = 0; passed < 3; passed += 1) {
        on.advance(6 * minute);
        await tick({ ...on.ports, config: deployed });
      }
      expect({ k, ...(await outcome(made, since)) }).toEqual({ k, ...expected });
      expect(await on.ledger.due(on.world.now + 60 * minute)).toEqual([]);
      if (finished) break;
      expect(k).toBeLessThan(30);
    }
  });

  test('of a rule whose finding waited for its time: nobody is sent for it any more, and it stays open', async () => {
    const on = bench(timeoutLong, { TimeoutLongDelay: '1' });
    const id = await found(on);
    on.advance(2 * minute);
    expect(await tick({ ...on.ports, config: deployed })).toEqual({ alerts: [], tasks: [{ task: 'sweep' }] });
    expect(await on.ledger.due(on.world.now + 60 * minute)).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });
});

test('a change whose process died is not sent for ever where its finding was made exempt', async () => {
  const { on } = await abandoned(timeoutLong);
  const { id: _, by: __, ...request } = { ...exemption, expires: on.world.now + 600 * minute };
  await operate({ action: 'exempt', ...request }, 'arn:aws:iam::111122223333:user/other', on.ports);
  on.advance(20 * minute);
  expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
  expect(await on.ledger.due(on.world.now + 60 * minute)).toEqual([]);
});

test('a digest is sent on when its time has come, and put off by every further alert', async () => {
  const { ports, ledger, world, advance } = bench();
  await ledger.recordSweep('s1', world.now);
  await ledger.hold('sweep-s1', 'a', {}, world.now + minute);
  advance(30_000);
  await ledger.hold('sweep-s1', 'b', {}, world.now + minute);
  advance(45_000);
  expect((await tick(ports)).tasks).toEqual([]);
  advance(30_000);
  expect((await tick(ports)).tasks).toEqual([{ task: 'digest', bucket: 'sweep-s1' }]);
});

describe('an exemption that is over', () => {
  test('opens again what it covered, and tells so', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
    expect((await tick(on.ports)).alerts).toEqual([]);
    on.advance(2 * minute);
    const { alerts } = await tick(on.ports);
    expect(alerts).toMatchObject([
      { kind: 'finding', status: 'open', summary: `${orders} may run for 300 s. Its exemption (migration) has expired.` },
    ]);
    expect(on.published.at(-1)).toEqual(alerts[0]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    on.advance(60 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    const left = [];
    for await (const one of on.ledger.exemptions()) left.push(one);
    expect(left).toEqual([]);
  });

  test.each([0, 15])('in a rule in remediate gives its owner the delay of the rule, here %s minutes', async (delay) => {
    const on = bench(timeoutLong, { TimeoutLongDelay: String(delay) });
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
    on.advance(2 * minute);
    // As tick is deployed: without the rules, from the stack's parameters.
    const { alerts } = await tick({ ...on.ports, config: configFor([], { Modes: `timeout-long=remediate:${delay}` }) });
    const opened = on.world.now;
    expect(alerts).toMatchObject([{ kind: 'finding', status: 'open', findingId: id }]);
    const finding = await on.ledger.finding(id);
    expect(finding).toMatchObject({ status: 'open', fixAfter: opened + delay * minute });
    expect(finding?.dueAt).toBe(delay === 0 ? undefined : opened + delay * minute);
    await remediate(id, timeoutLong, on.ports);
    expect((await on.ledger.finding(id))?.attempts).toBe(delay === 0 ? 1 : 0);
    on.advance(delay * minute);
    const { tasks } = await tick(on.ports);
    for (const task of tasks) if (task.task === 'fix') await remediate(task.findingId, timeoutLong, on.ports);
    expect((await on.ledger.finding(id))?.attempts).toBe(1);
  });

  test('in a rule in alert is fixed by nobody', async () => {
    const on = bench(timeoutLong, { TimeoutLongMode: 'alert', TimeoutLongDelay: '15' });
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
    on.advance(2 * minute);
    await tick(on.ports);
    const finding = await on.ledger.finding(id);
    expect(finding).toMatchObject({ status: 'open' });
    expect(finding).not.toHaveProperty('fixAfter');
    expect(finding).not.toHaveProperty('dueAt');
  });

  test('is told again by whoever follows a tick that was killed, and leaves the fix alone that has begun meanwhile', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
    on.advance(2 * minute);
    const removeExemption = on.ledger.removeExemption.bind(on.ledger);
    on.ledger.removeExemption = async () => Promise.reject(new Killed());
    await expect(tick(on.ports)).rejects.toThrow(Killed);
    await remediate(id, timeoutLong, on.ports);
    const { fixing } = (await on.ledger.finding(id)) ?? {};
    expect(fixing).toBeDefined();
    on.ledger.removeExemption = removeExemption;
    on.advance(6 * minute);
    await tick(on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', fixing });
  });

  test('leaves alone what it did not cover, and what is not exempt', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, resource: `${orders}-other`, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x2' });
    on.advance(2 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
  });

  test('leaves alone what tags exempt', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.open({ ...((await on.ledger.finding(id)) as Finding), status: 'exempt', exemptUntil: on.world.now + 60 * minute });
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
    on.advance(2 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
  });

  test('is told, whenever the process is killed', async () => {
    for (let k = 1; ; k += 1) {
      const on = bench();
      const id = await found(on);
      await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
      await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
      on.published.length = 0;
      on.advance(2 * minute);
      const mortal = killedAfter(k, on.ports);
      const finished = await tick(mortal.ports).then(
        () => true,
        () => false,
      );
      on.advance(6 * minute);
      await tick(on.ports);
      expect({ k, told: on.published.length > 0, status: (await on.ledger.finding(id))?.status }).toEqual({
        k,
        told: true,
        status: 'open',
      });
      if (finished) break;
      expect(k).toBeLessThan(30);
    }
  });
});

describe('an exemption by tags whose date has come', () => {
  async function exemptByTags(variables: Readonly<Record<string, string>> = {}): Promise<{ readonly on: Bench; readonly id: string }> {
    const on = bench(timeoutLong, { AllowTagExemptions: 'true', ...variables });
    await on.ledger.recordSweep('s1', on.world.now);
    const Tags = {
      'compliance-guard:exempt': 'timeout-long',
      'compliance-guard:exempt-until': new Date(on.world.now + 60 * minute).toISOString().replace(/\.\d+/, ''),
      'compliance-guard:exempt-reason': 'a batch job',
    };
    on.world.lambda.tagResource({ Resource: orders, Tags });
    const id = await found(on);
    on.published.length = 0;
    return { on, id };
  }

  test.each([
    ['in remediate, with its delay', { TimeoutLongDelay: '15' }, 15 * minute],
    ['in remediate, at once', {}, 0],
    ['in alert', { TimeoutLongMode: 'alert' }, undefined],
  ])('opens the finding again, told: %s', async (_, variables, delay) => {
    const { on, id } = await exemptByTags(variables);
    expect(await tick(on.ports)).toEqual({ tasks: [], alerts: [] });
    on.advance(61 * minute);
    const { alerts, tasks } = await tick(on.ports);
    expect(tasks).toEqual([]);
    expect(alerts).toMatchObject([
      { status: 'open', findingId: id, summary: `${orders} may run for 300 s. Its exemption by tags has expired.` },
    ]);
    expect(on.published).toEqual(alerts);
    const { status, dueAt, fixAfter, exemptUntil } = (await on.ledger.finding(id)) as Finding;
    const then = delay === undefined ? undefined : on.world.now + delay;
    expect({ status, dueAt, fixAfter, exemptUntil }).toEqual({ status: 'open', dueAt: then, fixAfter: then, exemptUntil: undefined });
    on.advance(20 * minute);
    expect((await tick(on.ports)).tasks).toEqual(delay === undefined ? [] : [{ task: 'fix', rule: 'timeout-long', findingId: id }]);
  });

  test('is followed by the exemption of an operator, if there is one', async () => {
    const { on, id } = await exemptByTags();
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + 90 * minute });
    on.advance(61 * minute);
    expect(await tick(on.ports)).toEqual({ tasks: [], alerts: [] });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt', cause: 'exemption x1' });
    on.advance(60 * minute);
    expect((await tick(on.ports)).alerts).toMatchObject([{ status: 'open' }]);
  });

  test('is told, whenever the process is killed, and fixed then', async () => {
    for (let k = 1; ; k += 1) {
      const { on, id } = await exemptByTags();
      on.advance(61 * minute);
      const finished = await tick(killedAfter(k, on.ports).ports).then(
        () => true,
        () => false,
      );
      on.advance(6 * minute);
      const { tasks: first } = await tick(on.ports);
      on.advance(6 * minute);
      const tasks = [...first, ...(await tick(on.ports)).tasks];
      expect({ k, told: new Set(on.published.map(({ status, summary, opened }) => [status, summary, opened].join(' '))).size }).toEqual({
        k,
        told: 1,
      });
      expect(tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
      expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
      if (finished) break;
      expect(k).toBeLessThan(30);
    }
  });
});
