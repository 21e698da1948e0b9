import { check } from '../../guard/check.ts';
import { operate, Refused } from '../../guard/operate.ts';
import { remediate } from '../../guard/remediate.ts';
import { tick } from '../../guard/tick.ts';
import { admin, type Bench, bench, event, found, minute, orders, timeout, timeoutLong } from './bench.ts';

const day = 24 * 60 * minute;
const operator = 'arn:aws:sts::111122223333:assumed-role/Operators/olga';

function exempting(on: Bench, more: object = {}) {
  return {
    action: 'exempt',
    rule: 'timeout-long',
    resource: orders,
    reason: 'migration until May',
    owner: 'shop',
    expires: on.world.now + 7 * day,
    ...more,
  };
}

async function exemptions({ ledger }: Bench) {
  const all = [];
  for await (const one of ledger.exemptions()) all.push(one);
  return all;
}

describe('who may', () => {
  const asked = (by: string, Operators: string) => {
    const on = bench(timeoutLong, { Operators });
    return operate({ action: 'pause', reason: 'incident' }, by, on.ports);
  };

  test.each([
    ['anybody whom AWS lets through, where none are named', operator, ''],
    ['a session of a role that is named', operator, 'arn:aws:iam::111122223333:role/Operators'],
    ['a session of a role with a path', operator, 'arn:aws:iam::111122223333:role/team/ops/Operators'],
    ['a user that is named', 'arn:aws:iam::111122223333:user/olga', 'arn:aws:iam::111122223333:user/olga'],
    ['one of several', operator, 'arn:aws:iam::111122223333:user/olga,arn:aws:iam::111122223333:role/Operators'],
  ])('%s', async (_, by, operators) => {
    await expect(asked(by, operators)).resolves.toEqual({ paused: true });
  });

  test.each([
    ['another role', 'arn:aws:sts::111122223333:assumed-role/Admin/ana', 'arn:aws:iam::111122223333:role/Operators'],
    ['a role whose name only begins so', 'arn:aws:sts::111122223333:assumed-role/Operators2/x', 'arn:aws:iam::111122223333:role/Operators'],
    ['a session that is named so', 'arn:aws:sts::111122223333:assumed-role/Admin/Operators', 'arn:aws:iam::111122223333:role/Operators'],
    ['the role of another account', 'arn:aws:sts::444455556666:assumed-role/Operators/x', 'arn:aws:iam::111122223333:role/Operators'],
    ['another user', 'arn:aws:iam::111122223333:user/olga2', 'arn:aws:iam::111122223333:user/olga'],
    ['nobody', '', 'arn:aws:iam::111122223333:role/Operators'],
  ])('not %s', async (_, by, operators) => {
    await expect(asked(by, operators)).rejects.toThrow(Refused);
    await expect(asked(by, operators)).rejects.toThrow("is not among the stack's Operators");
  });
});

describe('what cannot be read is refused, with a sentence', () => {
  test.each([
    ['nothing', undefined],
    ['a text', 'pause'],
    ['no action', {}],
    ['an unknown action', { action: 'delete' }],
    ['a pause without a reason', { action: 'pause' }],
    ['a reason of two signs', { action: 'pause', reason: ' x ' }],
    ['a mode that would raise a rule', { action: 'mode', rule: 'timeout-long', mode: 'remediate' }],
    ['an exemption without an owner', { action: 'exempt', rule: 'r', resource: '*', reason: 'because', expires: 1 }],
    ['an exemption without an end', { action: 'exempt', rule: 'r', resource: '*', reason: 'because', owner: 'x' }],
  ])('%s', async (_, body) => {
    const on = bench();
    await expect(operate(body, operator, on.ports)).rejects.toThrow(Refused);
    expect(await on.ledger.switches()).toEqual({ paused: false, modes: {} });
    expect(await exemptions(on)).toEqual([]);
  });
});

describe('an exemption', () => {
  test('covers what is open now, and what comes', async () => {
    const on = bench();
    const id = await found(on);
    const { exemption } = await operate(exempting(on), operator, on.ports);
    expect(await exemptions(on)).toMatchObject([
      { id: exemption, by: operator, owner: 'shop', reason: 'migration until May', rule: 'timeout-long', resource: orders },
    ]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt', cause: `exemption ${exemption}` });
    on.published.length = 0;
    await check({ event: event('e2') }, [timeoutLong], on.ports);
    expect(await remediate(id, timeoutLong, on.ports)).toEqual([]);
    expect(on.published).toEqual([]);
    expect(timeout(on)).toBe(300);
  });

  test('leaves other resources and rules alone', async () => {
    const on = bench();
    const id = await found(on);
    await operate(exempting(on, { resource: `${orders}-other` }), operator, on.ports);
    await operate(exempting(on, { rule: 'another' }), operator, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test.each([
    ['is over already', 0],
    ['was over long ago', -day],
    ['lasts for years', 400 * day],
  ])('that %s is refused', async (_, from) => {
    const on = bench();
    await expect(operate(exempting(on, { expires: on.world.now + from }), operator, on.ports)).rejects.toThrow(Refused);
    expect(await exemptions(on)).toEqual([]);
  });

  test.each(['open', 'partial', 'failed'] as const)('from what one broke oneself is refused, while it is %s', async (status) => {
    const on = bench();
    const id = await found(on);
    const by = (await on.ledger.finding(id))?.actor?.arn ?? '';
    expect(by).not.toBe('');
    if (status !== 'open') await on.ledger.setStatus(id, { status, cause: 'change 1' });
    await expect(operate(exempting(on), by, on.ports)).rejects.toThrow(`made the change behind finding ${id}`);
    await expect(operate(exempting(on, { resource: '*' }), by, on.ports)).rejects.toThrow(Refused);
    expect(await on.ledger.finding(id)).toMatchObject({ status });
  });

  test('stops a change that waits: what is done of it stays, nothing more is done, and the resource is free', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const { fixing = '' } = (await on.ledger.finding(id)) ?? {};
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'waiting' });
    await operate(exempting(on), operator, on.ports);
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'failed', done: 3, error: `stopped by ${operator}` });
    expect(await on.ledger.lock(orders, 'another', on.world.now, minute)).toBe(true);
    on.advance(60 * minute);
    for (const task of (await tick(on.ports)).tasks) if (task.task === 'fix') await remediate(task.findingId, timeoutLong, on.ports);
    expect(timeout(on)).toBe(300);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
  });

  test.each(['resolved', 'remediated', 'unknown'] as const)('does not touch a finding that is %s', async (status) => {
    const on = bench();
    const id = await found(on);
    await on.ledger.setStatus(id, { status, cause: 'test' });
    await operate(exempting(on), operator, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status, cause: 'test' });
  });

  test('that is asked for twice is one', async () => {
    const on = bench();
    const request = exempting(on);
    expect(await operate(request, operator, on.ports)).toEqual(await operate(request, operator, on.ports));
    expect(await exemptions(on)).toHaveLength(1);
  });

  test('that is taken back is over at once, and what it covered is open again and told', async () => {
    const on = bench();
    const id = await found(on);
    const { exemption } = await operate(exempting(on), operator, on.ports);
    on.published.length = 0;
    await operate({ action: 'unexempt', id: exemption }, operator, on.ports);
    expect(await on.ledger.exemption('timeout-long', orders, on.world.now)).toBeUndefined();
    on.advance(minute);
    await tick(on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    expect(on.published).toMatchObject([
      { status: 'open', findingId: '', summary: expect.stringContaining(`${operator} ended the exemption`) },
      { status: 'open', findingId: id },
    ]);
    expect(await exemptions(on)).toEqual([]);
  });

  test('that is not there cannot be taken back', async () => {
    await expect(operate({ action: 'unexempt', id: 'nobody' }, operator, bench().ports)).rejects.toThrow('There is no exemption nobody.');
  });
});

test('switches are written and taken back', async () => {
  const { ports, ledger } = bench();
  await operate({ action: 'pause', reason: 'incident' }, operator, ports);
  await operate({ action: 'mode', rule: 'timeout-long', mode: 'alert' }, operator, ports);
  expect(await ledger.switches()).toEqual({ paused: true, modes: { 'timeout-long': 'alert' } });
  expect(await operate({ action: 'resume' }, operator, ports)).toEqual({ paused: false });
  await operate({ action: 'mode', rule: 'timeout-long', mode: 'deployed' }, operator, ports);
  expect(await ledger.switches()).toEqual({ paused: false, modes: {} });
});

describe('an undo', () => {
  async function fixed(): Promise<{ readonly on: Bench; readonly id: string; readonly change: string }> {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    const { change = '', status } = (await on.ledger.finding(id)) ?? {};
    expect(status).toBe('remediated');
    return { on, id, change };
  }

  test("begins with an exemption, so that nothing is put right under the operator's hands", async () => {
    const { on, id, change } = await fixed();
    await operate({ action: 'undo', change, reason: 'it was needed', expires: on.world.now + 7 * day }, operator, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt', change });
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
    on.published.length = 0;
    await check({ event: event('e3') }, [timeoutLong], on.ports);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(300);
    expect(on.published).toEqual([]);
  });

  test('of a change that waits stops it first', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const { fixing = '' } = (await on.ledger.finding(id)) ?? {};
    await operate({ action: 'undo', change: fixing, reason: 'it was needed', expires: on.world.now + day }, operator, on.ports);
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'failed', done: 3 });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
    on.advance(10 * minute);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(300);
  });

  test('ends with a word about who did it', async () => {
    const { on, change } = await fixed();
    await operate({ action: 'undo', change, reason: 'it was needed', expires: on.world.now + day }, operator, on.ports);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'done' });
    await operate({ action: 'undone', change }, operator, on.ports);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone', undoneBy: operator });
  });

  test('of no change, or for ever, is refused', async () => {
    const { on, change } = await fixed();
    await expect(
      operate({ action: 'undo', change: 'nobody', reason: 'because', expires: on.world.now + day }, operator, on.ports),
    ).rejects.toThrow('There is no change nobody.');
    await expect(
      operate({ action: 'undo', change, reason: 'because', expires: on.world.now + 1000 * day }, operator, on.ports),
    ).rejects.toThrow(Refused);
    expect(await exemptions(on)).toEqual([]);
  });

  test('that is over leaves the resource to the guard again', async () => {
    const { on, id, change } = await fixed();
    await operate({ action: 'undo', change, reason: 'it was needed', expires: on.world.now + day }, operator, on.ports);
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
    on.advance(day + minute);
    await tick(on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(60);
    expect(admin).toBeDefined();
  });
});
