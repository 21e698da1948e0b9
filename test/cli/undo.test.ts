import { undoChange } from '../../cli/undo.ts';
import { remediate } from '../../guard/remediate.ts';
import { found, minute, orders, timeout, timeoutLong } from '../guard/bench.ts';
import { type CommandLine, commandLine, olga } from './bench.ts';

jest.mock('../../cli/session.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').sessionModule());
jest.mock('../../rules/index.ts', () => ({
  get rules() {
    return [jest.requireActual<typeof import('../guard/bench.ts')>('../guard/bench.ts').timeoutLong];
  },
}));

const options = { for: '7d', reason: 'it was needed' };
const watched = { ...timeoutLong, probation: true };

/** A change that is made whole, or waits after its first two calls. */
async function changed({
  whole = true,
  rule = timeoutLong,
  by = olga,
} = {}): Promise<{ readonly on: CommandLine; readonly id: string; readonly change: string }> {
  const on = commandLine(rule, {}, by);
  const id = await found(on, rule);
  await remediate(id, rule, on.ports);
  if (whole) {
    on.advance(2 * minute);
    await remediate(id, rule, on.ports);
  }
  const { change = '' } = (await on.ledger.finding(id)) ?? {};
  on.world.calls.length = 0;
  on.published.length = 0;
  return { on, id, change };
}

const writesTo = ({ world }: CommandLine) =>
  world.calls.map(({ operation }) => operation).filter((operation) => !/^(Get|List)/.test(operation));
const tags = ({ world }: CommandLine) => (world.lambda.listTags({ Resource: orders }) as { Tags: object }).Tags;

describe('an undo', () => {
  test('takes back every call, last first, with an exemption around it', async () => {
    const { on, id, change } = await changed();
    expect(timeout(on)).toBe(60);
    const { output, ended } = await on.run(undoChange, [change], options);
    expect({ ended, timeout: timeout(on), tags: tags(on) }).toEqual({ ended: 'fine', timeout: 300, tags: { team: 'shop' } });
    expect(output.split('\n')).toEqual([
      `Taking back 3 of 3 calls on ${orders}:`,
      '  lambda:UpdateFunctionConfiguration',
      '  lambda:RemovePermission',
      '  lambda:UntagResource',
      expect.stringMatching(`Change ${change} is undone. timeout-long leaves ${orders} alone until 2026-11-29T12:0`),
    ]);
    expect(on.asked.map(({ action }) => action)).toEqual(['undo', 'undone']);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone', undoneBy: olga });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
  });

  test('that is run again says that it was done before, and by whom', async () => {
    const { on, change } = await changed();
    await on.run(undoChange, [change], options);
    on.world.calls.length = 0;
    expect(await on.run(undoChange, [change], options)).toEqual({
      output: `Change ${change} was taken back before, by ${olga}.`,
      ended: 'fine',
    });
    expect(on.world.calls).toEqual([]);
    expect(on.asked).toHaveLength(2);
  });

  test('of what the guard took back itself says so', async () => {
    const { on, change } = await changed();
    await on.ledger.progress(change, { status: 'reverted' });
    expect(await on.run(undoChange, [change], options)).toEqual({
      output: `Change ${change} was taken back before, by the guard.`,
      ended: 'fine',
    });
  });

  test('of a change on probation ends the probation', async () => {
    const { on, id, change } = await changed({ rule: watched });
    expect(await on.ledger.change(change)).toMatchObject({ status: 'probation' });
    expect((await on.run(undoChange, [change], options)).ended).toBe('fine');
    expect(timeout(on)).toBe(300);
    on.advance(24 * 60 * minute);
    on.metrics.after = { ...on.metrics.after, errors: 100 };
    expect(await remediate(id, watched, on.ports)).toEqual([]);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone' });
  });

  test.each(['waiting', 'failed'] as const)('of a change that is %s half way takes back what was made', async (status) => {
    const { on, change } = await changed({ whole: false });
    expect(tags(on)).toEqual({ team: 'shop', limited: change });
    if (status === 'failed') {
      await on.ledger.progress(change, { status: 'failed', error: 'test' });
      await on.ledger.unlock(orders, change);
    }
    const { output, ended } = await on.run(undoChange, [change], options);
    expect({ ended, tags: tags(on), timeout: timeout(on) }).toEqual({ ended: 'fine', tags: { team: 'shop' }, timeout: 300 });
    expect(output).toContain(`Taking back 2 of 3 calls on ${orders}:\n  lambda:RemovePermission\n  lambda:UntagResource\n`);
  });

  test('of a change whose remediator was killed takes back the call that it made and did not write down', async () => {
    const { on, change } = await changed({ whole: false });
    await on.ledger.progress(change, { status: 'running', done: 1 });
    await on.ledger.unlock(orders, change);
    const { output } = await on.run(undoChange, [change], options);
    expect(output).toContain(`Taking back 2 of 3 calls on ${orders}:\n  lambda:RemovePermission\n  lambda:UntagResource\n`);
    expect(tags(on)).toEqual({ team: 'shop' });
  });

  test('by the one who broke it is refused, and changes nothing', async () => {
    const { on, change } = await changed({ by: 'arn:aws:sts::111122223333:assumed-role/Developer/ana' });
    const { error } = await on.run(undoChange, [change], options);
    expect(error?.message).toContain('somebody else has to take that back');
    expect(writesTo(on)).toEqual([]);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'done' });
  });

  test.each([
    ['a change that there is not', 'nobody', options],
    ['no change', '', options],
    ['no time', 'c0ffee123456', { reason: 'x' }],
    ['a time that is none', 'c0ffee123456', { ...options, for: '7 days' }],
  ])('of %s is wrong use', async (_, change, given) => {
    const { on } = await changed();
    expect((await on.run(undoChange, [change], given)).ended).toBe('WrongUse');
    expect(on.asked).toEqual([]);
  });

  test('of a rule that this version does not have says which version does', async () => {
    const { on, change } = await changed();
    const { change: read } = on.ledger;
    on.ledger.change = async (id) => {
      const found = await read.call(on.ledger, id);
      return found === undefined ? undefined : { ...found, rule: 'gone' };
    };
    const { ended, error } = await on.run(undoChange, [change], options);
    expect({ ended, message: error?.message }).toEqual({ ended: 'WrongUse', message: expect.stringContaining('check out the version') });
  });
});

describe('where somebody changed the subject since', () => {
  async function changedSince(): Promise<Awaited<ReturnType<typeof changed>>> {
    const all = await changed();
    all.on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 30 });
    return all;
  }

  test('an undo is refused before anything is written, and says what is different', async () => {
    const { on, id, change } = await changedSince();
    const { ended, error } = await on.run(undoChange, [change], options);
    expect(ended).toBe('WrongUse');
    expect(error?.message.split('\n')).toEqual([
      `${orders} is no longer as change ${change} left it, so somebody changed it since: nothing was taken back.`,
      'The change left  {"timeout":60}',
      'Now it is        {"timeout":30}',
      expect.stringContaining('--force'),
    ]);
    expect({ writes: writesTo(on), asked: on.asked, timeout: timeout(on) }).toEqual({ writes: [], asked: [], timeout: 30 });
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated' });
    expect(await Array.fromAsync(on.ledger.exemptions())).toEqual([]);
  });

  test('it says so where somebody had taken it back by hand', async () => {
    const { on, change } = await changed();
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 300 });
    expect((await on.run(undoChange, [change], options)).error?.message).toContain('It is as it was before the change.');
  });

  test('--force takes it back all the same', async () => {
    const { on, change } = await changedSince();
    expect((await on.run(undoChange, [change], { ...options, force: true })).ended).toBe('fine');
    expect(timeout(on)).toBe(300);
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone' });
  });

  test('an undo that was interrupted goes on without it', async () => {
    const { on, change } = await changed();
    on.world.fail('UntagResource', 'AccessDeniedException');
    expect((await on.run(undoChange, [change], options)).ended).toBe('Error');
    expect({ timeout: timeout(on), tags: tags(on) }).toEqual({ timeout: 300, tags: { team: 'shop', limited: change } });
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undoing' });
    on.world.fail('UntagResource', '', { after: Number.POSITIVE_INFINITY });
    expect((await on.run(undoChange, [change], options)).ended).toBe('fine');
    expect(tags(on)).toEqual({ team: 'shop' });
    expect(await on.ledger.change(change)).toMatchObject({ status: 'undone' });
  });

  test('so does one that the guard had begun, and not ended', async () => {
    const { on, change } = await changedSince();
    await on.ledger.progress(change, { status: 'reverting' });
    expect((await on.run(undoChange, [change], options)).ended).toBe('fine');
  });
});

describe('what the credentials lack', () => {
  const policy = (message = '') => JSON.parse(message.slice(message.indexOf('{\n'))) as { Statement: { Action: string[] }[] };

  test('for a call of the undo is named, with the policy', async () => {
    const { on, change } = await changed();
    on.world.fail('RemovePermission', 'AccessDeniedException');
    const { error } = await on.run(undoChange, [change], options);
    expect(error?.message).toContain('The undo stopped. What was taken back stays so; run the command again when the cause is gone.');
    expect(error?.message).toContain('The undo needs lambda:RemovePermission, which your credentials do not allow.');
    expect(
      policy(error?.message)
        .Statement.flatMap(({ Action }) => Action)
        .sort(),
    ).toEqual(['lambda:RemovePermission', 'lambda:UntagResource', 'lambda:UpdateFunctionConfiguration']);
  });

  test('to see the subject is named before anything is taken back', async () => {
    const { on, change } = await changed();
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    const { error } = await on.run(undoChange, [change], options);
    expect(error?.message).toContain('The undo needs lambda:GetFunctionConfiguration, which');
    expect(policy(error?.message).Statement.flatMap(({ Action }) => Action)).toEqual(
      expect.arrayContaining(['lambda:GetFunctionConfiguration', 'lambda:RemovePermission']),
    );
    expect(on.asked).toEqual([]);
  });
});

test('what AWS says of a call that fails is left out: it may quote what was sent', async () => {
  const { on, change } = await changed();
  on.world.fail('UpdateFunctionConfiguration', 'InvalidParameterValueException');
  const { error } = await on.run(undoChange, [change], options);
  expect(error?.message).toContain('\nInvalidParameterValueException');
  expect(error?.message).not.toContain('fails in this test');
});

test('an undo waits where AWS is busy with the resource', async () => {
  jest.useFakeTimers({ doNotFake: ['Date', 'nextTick', 'setImmediate'] });
  const { on, change } = await changed();
  on.world.fail('UpdateFunctionConfiguration', 'ResourceConflictException');
  const running = on.run(undoChange, [change], options);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  expect(timeout(on)).toBe(60);
  on.world.fail('UpdateFunctionConfiguration', '', { after: Number.POSITIVE_INFINITY });
  await jest.advanceTimersByTimeAsync(1_000);
  expect((await running).ended).toBe('fine');
  expect(timeout(on)).toBe(300);
  jest.useRealTimers();
});
