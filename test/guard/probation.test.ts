import { removePermission } from '../../aws/lambda.ts';
import type { Alert } from '../../guard/alert.ts';
import type { Change } from '../../guard/change.ts';
import { check } from '../../guard/check.ts';
import { operate } from '../../guard/operate.ts';
import type { FixPorts, Metrics } from '../../guard/ports.ts';
import { worsened } from '../../guard/probation.ts';
import { remediate } from '../../guard/remediate.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { tick } from '../../guard/tick.ts';
import { admin, type Bench, bench, event, fine, found, Killed, killedAfter, minute, orders, timeout, timeoutLong } from './bench.ts';

const nothing: Metrics = { invocations: 0, errors: 0, throttles: 0, deadLetterErrors: 0, iteratorAge: 0 };
const failing: Metrics = { ...fine, errors: 30 };
const quiet: Metrics = { ...fine, invocations: 5 };

test.each<[string, Partial<Metrics>, Partial<Metrics>, string | undefined]>([
  ['as before', {}, {}, undefined],
  ['nothing before, nothing after', nothing, nothing, undefined],
  ['nothing before, and all is well', nothing, {}, undefined],
  ['nothing before, and all of three fail', nothing, { invocations: 3, errors: 3 }, '3 of 3 invocations failed (before: 0 of 0)'],
  ['two failures, which may be chance', {}, { invocations: 2, errors: 2 }, undefined],
  ['three failures of thirty', {}, { invocations: 30, errors: 3 }, '3 of 30 invocations failed (before: 0 of 100)'],
  ['five of a hundred more', { errors: 10 }, { errors: 15 }, undefined],
  ['six of a hundred more', { errors: 10 }, { errors: 16 }, '16 of 100 invocations failed (before: 10 of 100)'],
  ['a busier hour with the same share of failures', { errors: 10 }, { invocations: 1_000, errors: 100 }, undefined],
  ['a calmer hour with a larger share', { errors: 10 }, { invocations: 20, errors: 8 }, '8 of 20 invocations failed (before: 10 of 100)'],
  ['fewer failures', { errors: 50 }, { errors: 20 }, undefined],
  ['nobody invokes it any more', {}, nothing, undefined],
  [
    'throttles, which are not among the invocations',
    {},
    { invocations: 90, throttles: 10 },
    '10 of 100 invocations were throttled (before: 0 of 100)',
  ],
  ['nothing but throttles', {}, { invocations: 0, throttles: 3 }, '3 of 3 invocations were throttled (before: 0 of 100)'],
  ['the same share of throttles in a busier hour', { throttles: 25 }, { invocations: 400, throttles: 100 }, undefined],
  ['two throttles', {}, { invocations: 0, throttles: 2 }, undefined],
  ['an event that is lost', {}, { deadLetterErrors: 1 }, '1 events could not be sent to its dead letters (before: none)'],
  ['events that were lost before, too', { deadLetterErrors: 1 }, { deadLetterErrors: 9 }, undefined],
  ['a stream that lags', { iteratorAge: 900 }, { iteratorAge: 61_000 }, 'its stream lags by 61 s (before: 1 s)'],
  ['a stream that lags a little', {}, { iteratorAge: 60_000 }, undefined],
  ['a stream that lagged before', { iteratorAge: 50_000 }, { iteratorAge: 100_000 }, undefined],
  [
    'a stream that lags more than twice as much',
    { iteratorAge: 50_000 },
    { iteratorAge: 100_001 },
    'its stream lags by 100 s (before: 50 s)',
  ],
])('%s', (_, before, after, worse) => {
  expect(worsened({ ...fine, ...before }, { ...fine, ...after })).toBe(worse);
});

const watched: AnyRule = { ...timeoutLong, probation: true };

interface Probation extends Bench {
  readonly id: string;
  /** All that was there while it was wrong. */
  readonly wrong: unknown;
}

/** `orders` is put right, and its change is on probation from now on. */
async function onProbation(rule: AnyRule = watched, variables: Readonly<Record<string, string>> = {}): Promise<Probation> {
  const on = bench(rule, variables);
  const wrong = on.world.snapshot();
  const id = await found(on, rule);
  await remediate(id, rule, on.ports);
  on.advance(minute);
  await remediate(id, rule, on.ports);
  expect(timeout(on)).toBe(60);
  return { ...on, id, wrong };
}

/** So many minutes pass; each time everything is done that tick asks for. */
async function pass(on: Bench, minutes: number, rule: AnyRule = watched, ports: FixPorts = on.ports): Promise<void> {
  for (let passed = 0; passed < minutes; passed += 1) {
    on.advance(minute);
    for (const task of (await tick(ports)).tasks) if (task.task === 'fix') await remediate(task.findingId, rule, ports);
  }
}

/** The change that was made first, or the one after it. */
async function changeOf({ ledger }: Bench, index = 0): Promise<Change> {
  const all: Change[] = [];
  for await (const change of ledger.changes()) all.push(change);
  const change = all[index];
  if (change === undefined) throw new Error(`there are ${all.length} changes`);
  return change;
}

/** What an alert says to whoever receives it: the same is sent once. */
function told(alerts: readonly Alert[]): readonly string[] {
  return [...new Set(alerts.map(({ status, summary }) => `${status}: ${summary}`))];
}

function writesOf({ world }: Bench): number {
  return world.calls.filter(({ operation }) => /^(Update|Tag|Untag|Add|Remove)/.test(operation)).length;
}

describe('a change on probation', () => {
  test('ends without a word where the function does as before', async () => {
    const on = await onProbation();
    expect(on.published.at(-1)).toMatchObject({
      kind: 'change',
      status: 'remediated',
      summary: `Put right: ${orders} no longer breaks this rule. It is watched for 60 minutes, and the change is taken back if it fares worse.`,
    });
    const before = on.published.length;
    await pass(on, 59);
    expect(await changeOf(on)).toMatchObject({ status: 'probation', done: 4 });
    await pass(on, 1);
    const change = await changeOf(on);
    expect(change.status).toBe('done');
    expect(change).not.toHaveProperty('dueAt');
    expect(on.published).toHaveLength(before);
    expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'remediated', change: change.id });
    expect(timeout(on)).toBe(60);
  });

  test('is looked at every minute: as long before the change as it is watched, and since the minute after it', async () => {
    const on = await onProbation(watched, { ProbationMinutes: '10' });
    const asked: (readonly [string, number, number])[] = [];
    const metrics: FixPorts['metrics'] = async (...given) => {
      asked.push(given);
      return await on.ports.metrics(...given);
    };
    const { startedAt, fixedAt = 0 } = await changeOf(on);
    const began = Date.parse(startedAt);
    expect(fixedAt).toBe(on.world.now);
    await pass(on, 12, watched, { ...on.ports, metrics });
    const befores = asked.filter(([, , to]) => to === began);
    const afters = asked.filter(([, , to]) => to !== began);
    expect(befores).toHaveLength(10);
    expect(new Set(befores.map(String))).toEqual(new Set([String([orders, began - 10 * minute, began])]));
    const next = Math.ceil(fixedAt / minute) * minute;
    expect(afters).toEqual(Array.from({ length: 10 }, (_, index) => [orders, next, fixedAt + (index + 1) * minute]));
  });

  test('is not looked at before CloudWatch has a whole minute of it, whoever sends it', async () => {
    const on = await onProbation();
    const { fixedAt = 0 } = await changeOf(on);
    const asking = { ...on.ports, metrics: async () => Promise.reject(new Error('CloudWatch is asked')) };
    expect(await remediate(on.id, watched, asking)).toEqual([]);
    on.advance(Math.ceil(fixedAt / minute) * minute - fixedAt);
    expect(await remediate(on.id, watched, asking)).toEqual([]);
    on.advance(1);
    await expect(remediate(on.id, watched, asking)).rejects.toThrow('CloudWatch is asked');
  });

  test('is taken back where the function fares worse, with the evidence, and is not fixed again until somebody says so', async () => {
    const on = await onProbation();
    await pass(on, 3);
    on.metrics.after = failing;
    const since = on.published.length;
    await pass(on, 1);
    const { id } = on;
    const change = await changeOf(on);
    expect(on.published.slice(since)).toMatchObject([
      {
        kind: 'change',
        status: 'reverted',
        findingId: id,
        summary: `Taken back: ${orders} fared worse after the change: 30 of 100 invocations failed (before: 0 of 100). It breaks this rule again, and is left alone until \`npm run guard -- fix ${id}\`.`,
        evidence: { timeout: 300, before: fine, after: failing },
        change: { id: change.id },
      },
    ]);
    expect(on.world.snapshot()).toEqual(on.wrong);
    expect(change).toMatchObject({ status: 'reverted', error: '30 of 100 invocations failed (before: 0 of 100)' });
    expect(change).not.toHaveProperty('dueAt');
    const finding = await on.ledger.finding(id);
    if (finding === undefined) throw new Error('the finding is gone');
    expect(finding).toMatchObject({ status: 'reverted', change: change.id });
    expect(finding).not.toHaveProperty('fixing');
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now, 1)).toBe(true);

    // The undo's own events, and a sweep a day later.
    const writes = writesOf(on);
    for (const name of ['e2', 'e3']) expect(await check({ event: event(name) }, [watched], on.ports)).toEqual([]);
    await pass(on, 30);
    expect(await check({ sweep: 's1', subject: finding.subject }, [watched], on.ports)).toEqual([]);
    await remediate(id, watched, on.ports);
    expect(writesOf(on)).toBe(writes);
    expect(on.published).toHaveLength(since + 1);

    on.metrics.after = fine;
    await operate({ action: 'fix', findings: [id] }, admin, on.ports);
    await pass(on, 3);
    expect(timeout(on)).toBe(60);
    expect(await changeOf(on, 1)).toMatchObject({ status: 'probation' });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated' });
  });

  test('is taken back though a late event of the fix comes in between, and stays so', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    const setStatus = on.ledger.setStatus.bind(on.ledger);
    on.ledger.setStatus = async (...given) => {
      const kept = await setStatus(...given);
      await check({ event: event(`late-${on.ledger.calls.length}`) }, [watched], on.ports);
      return kept;
    };
    await pass(on, 10);
    expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'reverted' });
    expect(timeout(on)).toBe(300);
    expect(told(on.published).map((text) => text.split(':')[0])).toEqual(['open', 'remediated', 'reverted']);
  });

  test('with too few invocations is unproven, which is told once, and once more when it is given up', async () => {
    const on = await onProbation();
    on.metrics.after = quiet;
    const since = on.published.length;
    await pass(on, 59);
    expect(on.published).toHaveLength(since);
    await pass(on, 1);
    const few = `${orders} was invoked 5 times since the change, too little to tell whether it still works`;
    const first = {
      kind: 'change',
      status: 'unproven',
      summary: `${few}: it is watched for longer, until enough is seen or 7 times 60 minutes are over.`,
      evidence: { timeout: 300, before: fine, after: quiet },
    };
    expect(on.published.slice(since)).toMatchObject([first]);
    expect(await changeOf(on)).toMatchObject({ status: 'probation', extended: 1 });
    await pass(on, 6 * 60 - 1);
    expect(on.published).toHaveLength(since + 1);
    await pass(on, 1);
    expect(on.published.slice(since)).toMatchObject([first, { status: 'unproven', summary: `${few}; it is watched no longer.` }]);
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
    await pass(on, 120);
    expect(on.published).toHaveLength(since + 2);
    expect(timeout(on)).toBe(60);
  });

  test('that was unproven ends without a word when enough is seen', async () => {
    const on = await onProbation();
    on.metrics.after = quiet;
    await pass(on, 60);
    const since = on.published.length;
    on.metrics.after = { ...fine, invocations: 20 };
    await pass(on, 60);
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
    expect(on.published).toHaveLength(since);
  });

  test('that was unproven is taken back when it turns out to be worse', async () => {
    const on = await onProbation();
    on.metrics.after = quiet;
    await pass(on, 90);
    on.metrics.after = failing;
    await pass(on, 1);
    expect(on.published.at(-1)).toMatchObject({ status: 'reverted' });
    expect(on.world.snapshot()).toEqual(on.wrong);
  });

  test.each([
    ['ProbationInvocations', { ProbationInvocations: '5' }, 60],
    ['ProbationMinutes', { ProbationMinutes: '5', ProbationInvocations: '1' }, 5],
  ])('is watched as %s says', async (_, variables, minutes) => {
    const on = await onProbation(watched, variables);
    on.metrics.after = quiet;
    await pass(on, minutes - 1);
    expect(await changeOf(on)).toMatchObject({ status: 'probation' });
    await pass(on, 1);
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
  });

  test('is left alone while the guard is paused, and looked at again afterwards', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    await on.ledger.setSwitch('paused', 'incident', admin);
    const writes = writesOf(on);
    await pass(on, 30);
    expect({ writes: writesOf(on), status: (await changeOf(on)).status }).toEqual({ writes, status: 'probation' });
    // Once, however long the pause and however the numbers change.
    const worse = on.published.filter(({ summary }) => summary.includes('fares worse since'));
    expect(worse).toMatchObject([{ status: 'failed', summary: expect.stringContaining('The guard is paused and takes nothing back') }]);
    expect(worse[0]?.change?.undo).toContain('undo');
    await on.ledger.setSwitch('paused', undefined, admin);
    await pass(on, 6);
    expect(on.published.at(-1)).toMatchObject({ status: 'reverted' });
    expect(on.world.snapshot()).toEqual(on.wrong);
  });

  test('that is being taken back goes no further while the guard is paused', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    on.world.fail('RemovePermission', 'TooManyRequestsException');
    await expect(pass(on, 1)).rejects.toThrow('RemovePermission');
    expect(await changeOf(on)).toMatchObject({ status: 'reverting' });
    on.world.fail('RemovePermission', 'none', { after: 99 });
    await on.ledger.setSwitch('paused', 'incident', admin);
    const writes = writesOf(on);
    await pass(on, 30);
    expect(writesOf(on)).toBe(writes);
    await on.ledger.setSwitch('paused', undefined, admin);
    await pass(on, 6);
    expect(on.world.snapshot()).toEqual(on.wrong);
    expect(told(on.published).filter((text) => text.startsWith('reverted'))).toHaveLength(1);
  });

  test('is done without a word where an operator undoes it meanwhile', async () => {
    const on = await onProbation();
    const { id: change } = await changeOf(on);
    const expires = on.world.now + 60 * minute;
    await operate({ action: 'undo', change, reason: 'it is meant so', expires }, 'arn:aws:iam::111122223333:user/other', on.ports);
    on.metrics.after = failing;
    const [writes, since] = [writesOf(on), on.published.length];
    await remediate(on.id, watched, on.ports);
    await pass(on, 10);
    expect(writesOf(on)).toBe(writes);
    expect(on.published).toHaveLength(since);
    expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'exempt' });
    await operate({ action: 'undone', change }, 'arn:aws:iam::111122223333:user/other', on.ports);
    expect((await on.ledger.due(on.world.now + 10 * minute)).filter(({ kind }) => kind === 'change')).toEqual([]);
  });

  test('stays in the hands of an operator who undoes it while it is looked at', async () => {
    const on = await onProbation();
    const { id: change } = await changeOf(on);
    const request = { action: 'undo', change, reason: 'it is meant so', expires: on.world.now + 60 * minute };
    const metrics: FixPorts['metrics'] = async (_, __, to) => {
      if (to === on.world.now) await operate(request, 'arn:aws:iam::111122223333:user/other', on.ports);
      return to === on.world.now ? failing : fine;
    };
    on.advance(2 * minute);
    const writes = writesOf(on);
    await expect(remediate(on.id, watched, { ...on.ports, metrics })).rejects.toThrow('another change of it is under way');
    await remediate(on.id, watched, on.ports);
    expect(writesOf(on)).toBe(writes);
    expect(await changeOf(on)).toMatchObject({ status: 'undoing' });
    expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'exempt' });
  });

  test('is not taken back by a worker who comes when it is being undone already', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    on.advance(2 * minute);
    const { id } = await changeOf(on);
    const lock = on.ledger.lock.bind(on.ledger);
    on.ledger.lock = async (...given) => {
      await on.ledger.progress(id, { status: 'undoing' });
      return await lock(...given);
    };
    const writes = writesOf(on);
    await expect(remediate(on.id, watched, on.ports)).rejects.toThrow('went on without this worker');
    expect({ writes: writesOf(on), status: (await changeOf(on)).status }).toEqual({ writes, status: 'undoing' });
  });

  test('is ended by one of two workers, and the one who is late writes nothing', async () => {
    const on = await onProbation();
    on.advance(61 * minute);
    let taken = false;
    const metrics: FixPorts['metrics'] = async (_, __, to) => {
      if (to === on.world.now && !taken) {
        taken = true;
        on.metrics.after = failing;
        await remediate(on.id, watched, on.ports);
      }
      return fine;
    };
    await remediate(on.id, watched, { ...on.ports, metrics });
    expect(await changeOf(on)).toMatchObject({ status: 'reverted' });
    expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'reverted' });
    expect(on.world.snapshot()).toEqual(on.wrong);
  });

  test('that is worse is taken back once by two workers at once', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    on.advance(2 * minute);
    await Promise.allSettled([remediate(on.id, watched, on.ports), remediate(on.id, watched, on.ports)]);
    await pass(on, 20);
    expect(on.world.snapshot()).toEqual(on.wrong);
    expect(await changeOf(on)).toMatchObject({ status: 'reverted' });
    const finding = await on.ledger.finding(on.id);
    expect(finding).toMatchObject({ status: 'reverted' });
    expect(finding).not.toHaveProperty('fixing');
    expect(told(on.published).filter((text) => text.startsWith('reverted'))).toHaveLength(1);
  });

  test('is left alone where its finding was made exempt while it was looked at', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    const progress = on.ledger.progress.bind(on.ledger);
    on.ledger.progress = async (...given) => {
      if (given[1].status === 'reverting') await on.ledger.setStatus(on.id, { status: 'exempt', cause: 'exemption x1' });
      return await progress(...given);
    };
    on.advance(2 * minute);
    const writes = writesOf(on);
    await expect(remediate(on.id, watched, on.ports)).rejects.toThrow('was read in the meantime');
    await pass(on, 30);
    expect(writesOf(on)).toBe(writes);
    expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'exempt' });
    expect(await changeOf(on)).not.toHaveProperty('dueAt');
  });

  test.each([0, 15])(
    'is done where somebody breaks it again (and the delay is %s minutes): the next change has a probation of its own',
    async (delay) => {
      const on = await onProbation();
      const { config } = on.ports;
      const ports = { ...on.ports, config: { ...config, rule: (id: string) => ({ ...config.rule(id), delay: delay * minute }) } };
      await pass(on, 1);
      on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
      expect(await found({ ...on, ports }, watched, 'e2')).toBe(on.id);
      if (delay === 0) await remediate(on.id, watched, ports);
      await pass(on, delay + 3, watched, ports);
      expect(await changeOf(on, 0)).toMatchObject({ status: 'done' });
      expect(await changeOf(on, 0)).not.toHaveProperty('dueAt');
      const second = await changeOf(on, 1);
      expect(second).toMatchObject({ status: 'probation' });
      expect(await on.ledger.finding(on.id)).toMatchObject({ status: 'remediated', opened: 2, change: second.id });
      on.metrics.after = failing;
      await pass(on, 1, watched, ports);
      expect(await changeOf(on, 0)).toMatchObject({ status: 'done' });
      expect(await changeOf(on, 1)).toMatchObject({ status: 'reverted' });
      expect(timeout(on)).toBe(300);
    },
  );
});

test('a change on probation is done where the next fix was faster than the clock', async () => {
  const quick: AnyRule = {
    ...watched,
    plan: async (...given: Parameters<typeof timeoutLong.plan>) => ({ steps: (await timeoutLong.plan(...given)).steps.slice(-1) }),
  };
  const on = bench(quick);
  for (const name of ['e1', 'e2']) {
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
    await remediate(await found(on, quick, name), quick, on.ports);
  }
  on.advance(2 * minute);
  const { tasks } = await tick(on.ports);
  expect(tasks.filter(({ task }) => task === 'fix')).toHaveLength(1);
  expect(await changeOf(on, 0)).toMatchObject({ status: 'done' });
  expect(await changeOf(on, 1)).toMatchObject({ status: 'probation' });
});

test('a change whose process is killed at its end gets on probation all the same', async () => {
  for (let k = 1; ; k += 1) {
    const on = bench(watched);
    const id = await found(on, watched);
    await remediate(id, watched, on.ports);
    on.advance(minute);
    const finished = await remediate(id, watched, killedAfter(k, on.ports).ports).then(
      () => true,
      () => false,
    );
    await pass(on, 20);
    const { status, fixing } = (await on.ledger.finding(id)) ?? {};
    expect({ k, status, fixing, change: (await changeOf(on)).status }).toEqual({
      k,
      status: 'remediated',
      fixing: undefined,
      change: 'probation',
    });
    expect(told(on.published).filter((text) => text.startsWith('remediated'))).toHaveLength(1);
    if (finished) break;
    expect(k).toBeLessThan(40);
  }
});

describe('what cannot be read is no proof', () => {
  /** As the SDK throws it. */
  const refused = (name: string, httpStatusCode: number) => Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });

  test('metrics that are refused: the change is unproven, and never taken back', async () => {
    const on = await onProbation();
    const ports = { ...on.ports, metrics: async () => Promise.reject(refused('AccessDenied', 403)) };
    const since = on.published.length;
    await pass(on, 8 * 60, watched, ports);
    const unread = `How ${orders} fares since the change could not be read (AccessDenied)`;
    expect(on.published.slice(since)).toMatchObject([
      {
        kind: 'change',
        status: 'unproven',
        summary: expect.stringContaining(`${unread}: it is watched for longer`),
        evidence: { timeout: 300 },
      },
      { kind: 'change', status: 'unproven', summary: `${unread}; it is watched no longer.` },
    ]);
    expect(on.published).toHaveLength(since + 2);
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
    expect(timeout(on)).toBe(60);
  });

  test('metrics of before that are refused, while those of after say that it fails', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    const metrics: FixPorts['metrics'] = async (arn, from, to) =>
      to === on.world.now ? await on.ports.metrics(arn, from, to) : Promise.reject(refused('AccessDenied', 403));
    await pass(on, 61, watched, { ...on.ports, metrics });
    expect(on.published.at(-1)).toMatchObject({ status: 'unproven' });
    expect(timeout(on)).toBe(60);
  });

  test('metrics that CloudWatch does not tell now: the message comes again', async () => {
    const on = await onProbation();
    const ports = { ...on.ports, metrics: async () => Promise.reject(refused('Throttling', 400)) };
    const since = on.published.length;
    on.advance(2 * minute);
    await expect(remediate(on.id, watched, ports)).rejects.toThrow('Throttling');
    expect(await changeOf(on)).toMatchObject({ status: 'probation' });
    expect(on.published).toHaveLength(since);
  });

  test('what the change left: somebody has to look', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    const [writes, since] = [writesOf(on), on.published.length];
    await pass(on, 10);
    expect(on.published.slice(since)).toMatchObject([
      {
        status: 'failed',
        summary: `${orders} fares worse since the change: 30 of 100 invocations failed (before: 0 of 100). Whether it still is as the change left it could not be read (AccessDeniedException), so nothing was taken back: somebody has to look.`,
      },
    ]);
    expect(writesOf(on)).toBe(writes);
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
  });
});

/** The ways in which a change that fares worse may end, and what is to be there then. */
const endings = [
  ['taken back', async () => {}, { finding: 'reverted', change: 'reverted', says: 'Taken back: ', timeout: 300 }],
  [
    'left alone, because somebody changed it since',
    async ({ world }: Bench) => {
      world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 45 });
    },
    { finding: 'remediated', change: 'done', says: 'Somebody else changed it since then, so nothing was taken back', timeout: 45 },
  ],
  [
    'left half way, because a call is refused',
    async ({ world }: Bench) => world.fail('RemovePermission', 'AccessDeniedException'),
    { finding: 'failed', change: 'failed', says: 'Taking it back stopped with AccessDeniedException', timeout: 300 },
  ],
] as const;

describe.each(endings)('a change that fares worse is %s', (_, prepare, { says, ...expected }) => {
  async function worse(): Promise<Probation> {
    const on = await onProbation();
    await prepare(on);
    on.metrics.after = failing;
    return on;
  }

  async function outcome(on: Probation) {
    const { status: finding, fixing } = (await on.ledger.finding(on.id)) ?? {};
    const { status: change, dueAt } = await changeOf(on);
    const said = told(on.published).filter((text) => !/^(open|remediated)/.test(text));
    return { finding, change, timeout: timeout(on), fixing, dueAt, said: said.length };
  }

  test('once, with a word', async () => {
    const on = await worse();
    const since = on.published.length;
    await pass(on, 120);
    expect(await outcome(on)).toEqual({ ...expected, fixing: undefined, dueAt: undefined, said: 1 });
    expect(on.published.slice(since)).toMatchObject([{ kind: 'change', summary: expect.stringContaining(says) }]);
    expect(await on.ledger.lock(orders, 'somebody else', on.world.now - 119 * minute, 1)).toBe(true);
  });

  test.each([
    ['the queue delivers the message again', async (on: Probation) => void (await remediate(on.id, watched, on.ports))],
    ['tick sends it again', async () => {}],
    [
      'whoever follows is killed in the middle of it, too',
      async (on: Probation) => void (await remediate(on.id, watched, killedAfter(6, on.ports).ports).catch(() => undefined)),
    ],
  ])('after any call at which its process is killed; %s', async (__, deliver) => {
    const counting = await worse();
    const counted = killedAfter(Number.POSITIVE_INFINITY, counting.ports);
    counting.advance(minute);
    await remediate(counting.id, watched, counted.ports);
    expect(counted.calls()).toBeGreaterThan(9);
    for (let k = 1; k < counted.calls(); k += 1) {
      const on = await worse();
      on.advance(minute);
      await expect(remediate(on.id, watched, killedAfter(k, on.ports).ports)).rejects.toThrow(Killed);
      await deliver(on);
      // Events of whatever was undone until then.
      await check({ event: event('late') }, [watched], on.ports);
      await pass(on, 25);
      expect({ k, ...(await outcome(on)) }).toEqual({ k, ...expected, fixing: undefined, dueAt: undefined, said: 1 });
    }
  });
});

test('taking back is put off while another change of the resource is under way', async () => {
  const on = await onProbation();
  on.metrics.after = failing;
  await on.ledger.lock(orders, 'another change', on.world.now, 3 * minute);
  on.advance(minute);
  await expect(remediate(on.id, watched, on.ports)).rejects.toThrow('another change of it is under way');
  expect(timeout(on)).toBe(60);
  on.advance(3 * minute);
  await pass(on, 6);
  expect(on.world.snapshot()).toEqual(on.wrong);
});

test('an undo that stops for a reason of its own is told, and not tried for ever', async () => {
  class RoleInUse extends Error {
    override readonly name = 'RoleInUse';
  }
  const removal = { ...removePermission, run: async () => Promise.reject(new RoleInUse('a version runs with it')) };
  const rule: AnyRule = { ...watched, undo: timeoutLong.undo.map((call) => (call.name === 'removePermission' ? removal : call)) };
  const on = await onProbation(rule);
  on.metrics.after = failing;
  await pass(on, 60, rule);
  expect(on.published.at(-1)).toMatchObject({
    status: 'failed',
    summary: expect.stringContaining('Taking it back stopped with RoleInUse'),
  });
  expect(told(on.published).filter((text) => text.startsWith('failed'))).toHaveLength(1);
});

describe('nothing is watched', () => {
  test('where ProbationMinutes is 0', async () => {
    const on = await onProbation(watched, { ProbationMinutes: '0' });
    on.metrics.after = failing;
    expect(on.published.at(-1)).toMatchObject({ status: 'remediated', summary: `Put right: ${orders} no longer breaks this rule.` });
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
    await pass(on, 10);
    expect(timeout(on)).toBe(60);
  });

  test('any longer where ProbationMinutes is set to 0 meanwhile', async () => {
    const on = await onProbation();
    on.metrics.after = failing;
    const { config } = on.ports;
    await pass(on, 1, watched, { ...on.ports, config: { ...config, probation: { ...config.probation, length: 0 } } });
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
    expect(timeout(on)).toBe(60);
  });

  test('of a rule without probation: whoever can cause errors could have the guard open again what it closed', async () => {
    const on = await onProbation(timeoutLong);
    on.metrics.after = failing;
    expect(await changeOf(on)).toMatchObject({ status: 'done' });
    const asking = { ...on.ports, metrics: async () => Promise.reject(new Error('CloudWatch is asked')) };
    await pass(on, 10, timeoutLong, asking);
    await remediate(on.id, timeoutLong, asking);
    expect(timeout(on)).toBe(60);
  });
});
