import type { Change } from '../../guard/change.ts';
import { check } from '../../guard/check.ts';
import type { Actor } from '../../guard/cloudtrail.ts';
import type { Baseline } from '../../guard/estate.ts';
import { type Finding, findingId, type Status } from '../../guard/finding.ts';
import { operate, Refused } from '../../guard/operate.ts';
import { remediate } from '../../guard/remediate.ts';
import { tick } from '../../guard/tick.ts';
import {
  admin,
  type Bench,
  bench,
  configFor,
  event,
  found,
  Killed,
  killedAfter,
  minute,
  orders,
  place,
  timeout,
  timeoutLong,
} from './bench.ts';

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

  test('is told once for each finding that it covers, with who, until when and why', async () => {
    const on = bench();
    const id = await found(on);
    on.published.length = 0;
    const request = exempting(on);
    await operate(request, operator, on.ports);
    const told = { kind: 'finding', status: 'exempt', rule: 'timeout-long', findingId: id };
    const until = new Date(request.expires).toISOString();
    const summary = `${operator} exempted ${orders} from this rule until ${until}: migration until May`;
    expect(on.published).toMatchObject([{ ...told, summary }]);
    await operate(request, operator, on.ports);
    expect(on.published).toHaveLength(1);
  });

  test.each(['exempt', 'fix'] as const)('and %s are told at once, where a sweep found it', async (action) => {
    const on = bench();
    const subject = { arn: orders, type: 'AWS::Lambda::Function', ...place } as const;
    const [alert] = await check({ sweep: 's1', subject }, [timeoutLong], on.ports);
    expect(alert).toMatchObject({ sweep: 's1' });
    on.published.length = 0;
    await operate(action === 'exempt' ? exempting(on) : { action, findings: [alert?.findingId] }, operator, on.ports);
    expect(on.published).toHaveLength(1);
    expect(on.published[0]).not.toHaveProperty('sweep');
  });

  test.each([
    ['was put right meanwhile stays so', 'resolved', 'resolved'],
    ['was given up meanwhile is exempt all the same', 'failed', 'exempt'],
  ] as const)('of what %s', async (_, meanwhile, status) => {
    const on = bench();
    const id = await found(on);
    const publish: typeof on.ports.publish = async (alerts) => {
      await on.ports.publish(alerts);
      await on.ledger.setStatus(id, { status: meanwhile, cause: 'meanwhile' });
    };
    await operate(exempting(on), operator, { ...on.ports, publish });
    expect(await on.ledger.finding(id)).toMatchObject({ status });
  });

  test('is told as well where nothing is wrong yet', async () => {
    const on = bench();
    const request = exempting(on, { resource: `${orders}-*` });
    await operate(request, operator, on.ports);
    expect(on.published).toMatchObject([
      { status: 'exempt', rule: 'timeout-long', findingId: '', summary: expect.stringContaining(`${orders}-* from timeout-long`) },
    ]);
    await operate(request, operator, on.ports);
    expect(on.published).toHaveLength(1);
  });

  test('is no end of a finding that could not be told', async () => {
    const on = bench();
    const id = await found(on);
    const publish = async () => Promise.reject(new Error('the bus is away'));
    await expect(operate(exempting(on), operator, { ...on.ports, publish })).rejects.toThrow('the bus is away');
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
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

describe('switches are told', () => {
  test.each([
    [{ action: 'pause', reason: 'incident' }, 'paused', '*', 'paused every fix: incident'],
    [{ action: 'resume' }, 'resolved', '*', 'ended the pause'],
    [{ action: 'mode', rule: 'timeout-long', mode: 'alert' }, 'paused', 'timeout-long', 'lowered timeout-long to alert'],
    // As an alert of the rule itself it would be silenced with the rule.
    [{ action: 'mode', rule: 'timeout-long', mode: 'off' }, 'paused', '*', 'lowered timeout-long to off'],
    [{ action: 'mode', rule: 'timeout-long', mode: 'deployed' }, 'resolved', 'timeout-long', 'back to the mode it was deployed with'],
  ])('%j', async (request, status, rule, said) => {
    const on = bench();
    await operate(request, operator, on.ports);
    const told = { kind: 'failure', status, rule, practice: 'guard', resource: { type: 'AWS::CloudFormation::Stack' } };
    expect(on.published).toMatchObject([{ ...told, summary: expect.stringMatching(`^${operator} .*${said}`) }]);
  });
});

test('an act that is repeated is told in other words, so that nobody takes it for the first one', async () => {
  const on = bench();
  const id = await found(on);
  on.published.length = 0;
  for (let time = 0; time < 2; time += 1) {
    on.advance(minute);
    await operate({ action: 'resume' }, operator, on.ports);
    await operate({ action: 'fix', findings: [id] }, operator, on.ports);
  }
  const words = on.published.map(({ summary }) => summary);
  expect({ told: words.length, different: new Set(words).size }).toEqual({ told: 4, different: 4 });
});

describe('a rule is not lowered', () => {
  const lowering = (on: Bench, mode = 'alert', rule = 'timeout-long') => operate({ action: 'mode', rule, mode }, operator, on.ports);
  const inStatus = async (status: Change['status']) => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const { change = '' } = (await on.ledger.finding(id)) ?? {};
    await on.ledger.progress(change, { status });
    on.published.length = 0;
    return { on, change };
  };

  test.each([
    ['running', 'is under way'],
    ['waiting', 'is under way'],
    ['reverting', 'is under way'],
    ['probation', 'is on probation'],
  ] as const)('while a change of it is %s', async (status, said) => {
    const { on, change } = await inStatus(status);
    await expect(lowering(on)).rejects.toThrow(`Change ${change} of ${orders} ${said}`);
    await expect(lowering(on, 'off')).rejects.toThrow(Refused);
    expect(await on.ledger.switches()).toEqual({ paused: false, modes: {} });
    expect(on.published).toEqual([]);
    await lowering(on, 'deployed');
    await lowering(on, 'alert', 'another');
  });

  test.each(['done', 'failed', 'reverted', 'undoing', 'undone'] as const)('for ever: a change that is %s stops nobody', async (status) => {
    const { on } = await inStatus(status);
    expect(await lowering(on)).toEqual({ rule: 'timeout-long', mode: 'alert' });
    expect(await on.ledger.switches()).toEqual({ paused: false, modes: { 'timeout-long': 'alert' } });
  });
});

describe('a fix by an operator', () => {
  const fixing = (on: Bench, ...findings: readonly string[]) => operate({ action: 'fix', findings }, operator, on.ports);

  /** Found while the rule was in alert; then it was deployed in remediate. */
  async function older(): Promise<{ readonly on: Bench; readonly id: string }> {
    const on = bench();
    const id = await found({ ...on, ports: { ...on.ports, config: configFor([timeoutLong], { TimeoutLongMode: 'alert' }) } });
    expect(await on.ledger.finding(id)).not.toHaveProperty('fixAfter');
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(300);
    on.published.length = 0;
    return { on, id };
  }

  test('of a finding that is older than the switch begins at once, and is told with who had it made', async () => {
    const { on, id } = await older();
    expect(await fixing(on, id)).toEqual({ fixing: [id] });
    const { now } = on.world;
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', fixAfter: now, dueAt: now, orderedBy: operator, fixes: [] });
    expect(on.published).toMatchObject([{ kind: 'finding', status: 'open', findingId: id, summary: expect.stringContaining(operator) }]);
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(60);
  });

  test('that nobody heard of begins with the clock', async () => {
    const { on, id } = await older();
    const publish = async () => Promise.reject(new Error('the bus is away'));
    await expect(operate({ action: 'fix', findings: [id] }, operator, { ...on.ports, publish })).rejects.toThrow('the bus is away');
    expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
  });

  test.each(['failed', 'reverted', 'partial'] as const)('of what is %s begins anew, with its budget unspent', async (status) => {
    const on = bench();
    const id = await found(on);
    const { now } = on.world;
    await on.ledger.setStatus(id, { status, cause: 'budget', fixes: [now - 3, now - 2, now - 1] });
    await fixing(on, id);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', fixes: [], orderedBy: operator });
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(60);
  });

  test('leaves a finding alone whose fix is under way', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const before = await on.ledger.finding(id);
    on.published.length = 0;
    await fixing(on, id);
    expect(await on.ledger.finding(id)).toEqual(before);
    expect(on.published).toEqual([]);
  });

  test('of nothing that there is is refused', async () => {
    const { on, id } = await older();
    await expect(fixing(on, id, '0000')).rejects.toThrow('There is no finding 0000.');
    await expect(fixing(on)).rejects.toThrow(Refused);
    expect(await on.ledger.finding(id)).not.toHaveProperty('orderedBy');
  });

  test.each(['resolved', 'remediated', 'exempt', 'unknown'] as const)('of what is %s is refused', async (status) => {
    const { on, id } = await older();
    await on.ledger.setStatus(id, { status, cause: 'test' });
    await expect(fixing(on, id)).rejects.toThrow(`Finding ${id} is ${status}: only what is open`);
    expect(await on.ledger.finding(id)).toMatchObject({ status, cause: 'test' });
  });

  test('of a rule that was deployed in alert, or lowered since, is refused', async () => {
    const { on, id } = await older();
    const config = configFor([timeoutLong], { TimeoutLongMode: 'alert' });
    const asked = { action: 'fix', findings: [id] };
    await expect(operate(asked, operator, { ...on.ports, config })).rejects.toThrow('timeout-long is not in remediate');
    await on.ledger.setSwitch('mode:timeout-long', 'alert', operator);
    await expect(fixing(on, id)).rejects.toThrow('timeout-long is not in remediate');
    expect(on.published).toEqual([]);
  });
});

describe('an approval', () => {
  const baseline: Baseline = {
    function: orders,
    state: 'observed',
    package: { type: 'Zip', sha256: 'seen', archive: undefined },
    approvedHashes: ['seen'],
    aliases: {},
    byHand: ['hash'],
    by: '',
    at: '2026-11-22T11:00:00Z',
    asOf: 0,
    revision: 4,
  };
  const approving = (on: Bench, by = operator, more: object = {}) =>
    operate({ action: 'approve', function: 'orders', sha256: 'hash', runs: ['hash', 'live→3'], ...more }, by, on.ports);

  /** A finding of code that olga put there. */
  async function byOlga(on: Bench, status: Status): Promise<string> {
    const id = await found(on);
    const finding = (await on.ledger.finding(id)) as Finding;
    const actor = { ...(finding.actor as Actor), arn: operator, issuer: 'arn:aws:iam::111122223333:role/Operators' };
    const code = { ...finding, id: findingId('code-changed-by-hand', orders), rule: 'code-changed-by-hand', actor };
    await on.ledger.open(code);
    await on.ledger.setStatus(code.id, { status, cause: 'test' });
    on.published.length = 0;
    return code.id;
  }

  test('is a word in the baseline, which a checker makes true, and is told', async () => {
    const on = bench();
    await on.ledger.recordBaseline(baseline);
    expect(await approving(on)).toEqual({ function: orders, approved: 'hash' });
    const at = new Date(on.world.now).toISOString();
    const approval = { runs: ['hash', 'live→3'], sha256: 'hash', by: operator, at };
    expect(await on.ledger.baseline(orders)).toEqual({ ...baseline, approval, revision: 5 });
    expect(on.published).toMatchObject([
      {
        kind: 'failure',
        status: 'resolved',
        rule: 'code-changed-by-hand',
        summary: expect.stringMatching(`^${operator} .*${orders}.*hash`),
      },
    ]);
  });

  test.each(['open', 'partial', 'failed', 'reverted', 'exempt'] as const)(
    'of what one put there oneself is refused, while it is %s',
    async (status) => {
      const on = bench();
      await on.ledger.recordBaseline(baseline);
      const id = await byOlga(on, status);
      await expect(approving(on)).rejects.toThrow(`${operator} made the change behind finding ${id}: somebody else has to approve it.`);
      expect(await on.ledger.baseline(orders)).toEqual(baseline);
      expect(on.published).toEqual([]);
      await approving(on, 'arn:aws:iam::111122223333:user/otto');
    },
  );

  test("is nobody else's business once a finding has ended", async () => {
    const on = bench();
    await on.ledger.recordBaseline(baseline);
    await byOlga(on, 'resolved');
    expect(await approving(on)).toMatchObject({ approved: 'hash' });
  });

  test('of a function that the guard does not know, or of no function, is refused', async () => {
    const on = bench();
    await expect(approving(on)).rejects.toThrow(`The guard knows no code of ${orders} yet`);
    await expect(approving(on, operator, { function: 'no/function' })).rejects.toThrow('no/function is no name of a function.');
    await expect(approving(on, operator, { runs: [] })).rejects.toThrow(Refused);
    expect(on.published).toEqual([]);
  });

  test('that a checker comes in between is refused, and has to be given again', async () => {
    const on = bench();
    await on.ledger.recordBaseline(baseline);
    on.ledger.recordBaseline = async () => false;
    await expect(approving(on)).rejects.toThrow('was changed at this moment');
    expect(on.published).toEqual([]);
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

/** The first step is made and written down, the remediator dead. */
async function killedInAChange(): Promise<{ readonly on: Bench; readonly id: string; readonly change: string }> {
  for (let k = 1; ; k += 1) {
    const on = bench();
    const id = await found(on);
    await expect(remediate(id, timeoutLong, killedAfter(k, on.ports).ports)).rejects.toThrow(Killed);
    const { change = '' } = (await on.ledger.finding(id)) ?? {};
    if ((await on.ledger.change(change))?.done === 1) return { on, id, change };
  }
}

describe('an undo', () => {
  const undoing = (on: Bench, change: string, more: object = {}, by = operator) =>
    operate({ action: 'undo', change, reason: 'it was needed', expires: on.world.now + day, ...more }, by, on.ports);

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

  test('that is not done after a quarter of an hour is told, once, and may still be done', async () => {
    const { on, id, change } = await fixed();
    await undoing(on, change);
    on.published.length = 0;
    on.advance(14 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    on.advance(2 * minute);
    const { alerts } = await tick(on.ports);
    expect(alerts).toMatchObject([{ status: 'failed', findingId: id, change: { id: change } }]);
    expect(alerts[0]?.summary).toContain(`${operator} began to take the change of ${orders} back and did not end it`);
    expect(on.published).toEqual(alerts);
    on.advance(60 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undoing' });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
    await operate({ action: 'undone', change }, operator, on.ports);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone' });
  });

  test('that is done in time is not told of again', async () => {
    const { on, change } = await fixed();
    await undoing(on, change);
    await operate({ action: 'undone', change }, operator, on.ports);
    on.advance(60 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
  });

  test('of a change that waits stops it first', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const { fixing = '' } = (await on.ledger.finding(id)) ?? {};
    await operate({ action: 'undo', change: fixing, reason: 'it was needed', expires: on.world.now + day }, operator, on.ports);
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'undoing', done: 3, undoneBy: operator });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
    on.advance(10 * minute);
    for (const task of (await tick(on.ports)).tasks) if (task.task === 'fix') await remediate(task.findingId, timeoutLong, on.ports);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(300);
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'undoing' });
  });

  test('of a change that is going on at this moment is refused, and nothing is written', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const { fixing = '' } = (await on.ledger.finding(id)) ?? {};
    on.advance(2 * minute);
    // Its remediator has come back to it, and has it locked.
    expect(await on.ledger.lock(orders, fixing, on.world.now, 5 * minute)).toBe(true);
    await expect(undoing(on, fixing)).rejects.toThrow(`${orders} is being changed at this moment`);
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'waiting' });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    expect(await exemptions(on)).toEqual([]);
  });

  test('of a change that a pause holds back is made at once', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    const { fixing = '' } = (await on.ledger.finding(id)) ?? {};
    await on.ledger.setSwitch('paused', 'incident', operator);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    await undoing(on, fixing);
    expect(await on.ledger.change(fixing)).toMatchObject({ status: 'undoing', done: 3 });
  });

  test('of a change whose remediator was killed takes back one step more than was written down', async () => {
    const { on, change } = await killedInAChange();
    await expect(undoing(on, change)).rejects.toThrow('is being changed at this moment');
    // A pause stops the next write, not the one that is being made.
    await on.ledger.setSwitch('paused', 'incident', operator);
    await expect(undoing(on, change)).rejects.toThrow('is being changed at this moment');
    on.advance(6 * minute);
    await undoing(on, change);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undoing', done: 2 });
  });

  test('keeps the resource for itself until it ends', async () => {
    const { on, change } = await fixed();
    await undoing(on, change);
    expect(await on.ledger.lock(orders, 'another', on.world.now, minute)).toBe(false);
    await operate({ action: 'undone', change }, operator, on.ports);
    expect(await on.ledger.lock(orders, 'another', on.world.now, minute)).toBe(true);
  });

  test('that was interrupted goes on, also with another operator', async () => {
    const { on, change } = await fixed();
    await undoing(on, change);
    await undoing(on, change, { expires: on.world.now + 3 * day }, 'arn:aws:iam::111122223333:user/otto');
    expect(await exemptions(on)).toMatchObject([{ id: `undo-${change}`, expires: on.world.now + 3 * day }]);
    await operate({ action: 'undone', change }, operator, on.ports);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone', undoneBy: operator });
  });

  test('of what was taken back before is refused, and says by whom', async () => {
    const { on, change } = await fixed();
    await undoing(on, change);
    await operate({ action: 'undone', change }, operator, on.ports);
    await expect(undoing(on, change)).rejects.toThrow(`Change ${change} was taken back before, by ${operator}.`);
    const other = await fixed();
    await other.on.ledger.progress(other.change, { status: 'reverted' });
    await expect(undoing(other.on, other.change)).rejects.toThrow(`Change ${other.change} was taken back before, by the guard.`);
    expect(await exemptions(other.on)).toEqual([]);
  });

  test('by the one who broke it is refused', async () => {
    const { on, id, change } = await fixed();
    const { status, actor } = (await on.ledger.finding(id)) ?? {};
    expect({ status, arn: actor?.arn }).toEqual({ status: 'remediated', arn: expect.stringContaining(':assumed-role/') });
    await expect(undoing(on, change, {}, actor?.arn)).rejects.toThrow(
      `${actor?.arn} made the change behind finding ${id}: somebody else has to take that back.`,
    );
    expect(await on.ledger.change(change)).toMatchObject({ status: 'done' });
    expect(await exemptions(on)).toEqual([]);
  });

  test('is told when it is made, once, and written down after that', async () => {
    const { on, id, change } = await fixed();
    on.published.length = 0;
    await undoing(on, change);
    expect(on.published).toEqual([]);
    const publish = async () => Promise.reject(new Error('the bus is away'));
    await expect(operate({ action: 'undone', change }, operator, { ...on.ports, publish })).rejects.toThrow('the bus is away');
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undoing' });
    expect(await operate({ action: 'undone', change }, operator, on.ports)).toEqual({ change, undoneBy: operator });
    expect(on.published).toMatchObject([
      { kind: 'change', status: 'exempt', findingId: id, change: { id: change }, summary: expect.stringContaining(operator) },
    ]);
    const other = 'arn:aws:iam::111122223333:user/otto';
    expect(await operate({ action: 'undone', change }, other, on.ports)).toEqual({ change, undoneBy: operator });
    expect(on.published).toHaveLength(1);
  });

  test('ends nothing that nobody began', async () => {
    const { on, change } = await fixed();
    await expect(operate({ action: 'undone', change }, operator, on.ports)).rejects.toThrow(
      `Change ${change} is done, and nobody takes it back: begin with undo.`,
    );
    expect(await on.ledger.change(change)).toMatchObject({ status: 'done' });
  });

  test('ends with a word about who did it', async () => {
    const { on, change } = await fixed();
    await operate({ action: 'undo', change, reason: 'it was needed', expires: on.world.now + day }, operator, on.ports);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undoing' });
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
