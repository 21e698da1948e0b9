import { uninstall } from '../../cli/uninstall.ts';
import { remediate } from '../../guard/remediate.ts';
import { found, minute, orders, timeout, timeoutLong } from '../guard/bench.ts';
import { type CommandLine, commandLine } from './bench.ts';

jest.mock('../../cli/session.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').sessionModule());
jest.mock('../../rules/index.ts', () => ({
  get rules() {
    return [jest.requireActual<typeof import('../guard/bench.ts')>('../guard/bench.ts').timeoutLong];
  },
}));

async function changed(): Promise<{ readonly on: CommandLine; readonly change: string }> {
  const on = commandLine(timeoutLong);
  const id = await found(on);
  await remediate(id, timeoutLong, on.ports);
  on.advance(2 * minute);
  await remediate(id, timeoutLong, on.ports);
  return { on, change: (await on.ledger.finding(id))?.change ?? '' };
}

const options = { stack: 'guard', region: 'us-east-1' };

test('every change is taken back while the guard is paused, and what outlives the stack is named', async () => {
  const { on, change } = await changed();
  const { output, ended } = await on.run(uninstall, [], { ...options, yes: true });
  expect({ ended, timeout: timeout(on) }).toEqual({ ended: 'fine', timeout: 300 });
  expect(await on.ledger.change(change)).toMatchObject({ status: 'undone' });
  expect(on.asked.map(({ action }) => action)).toEqual(['pause', 'undo', 'undone']);
  expect(output).toContain(`Change ${change} is undone.`);
  expect(output).toMatch(/^Next: sam delete --stack-name guard --region us-east-1$/m);
  expect(output).toMatch(/^ {2}arn:aws:s3:::guard-archive$/m);
});

test('a change that was begun before the pause is taken back as well', async () => {
  const { on, change } = await changed();
  const listed = await Array.fromAsync(on.ledger.changes());
  const [first] = listed;
  if (first === undefined) throw new Error('nothing was changed');
  await on.ledger.begin({ ...first, id: 'late', done: 1, status: 'failed', startedAt: '2026-11-22T12:59:00.000Z' });
  jest.spyOn(on.ledger, 'changes').mockImplementationOnce(async function* () {
    yield* listed;
  });
  const { output } = await on.run(uninstall, [], { ...options, yes: true });
  expect(output.indexOf('Change late ')).toBeGreaterThan(output.indexOf('The guard is paused'));
  expect(output.indexOf(`Change ${change} `)).toBeGreaterThan(output.indexOf('Change late '));
});

test('where nobody can be asked the guard is not paused', async () => {
  const { on } = await changed();
  const { error, ended } = await on.run(uninstall, [], options);
  expect({ ended, timeout: timeout(on), asked: on.asked }).toEqual({ ended: 'WrongUse', timeout: 60, asked: [] });
  expect(error?.message).toBe('Nobody can be asked here: give --yes, or --keep.');
});

test('what is kept is told, and nothing is asked of the guard', async () => {
  const { on, change } = await changed();
  const { output, ended } = await on.run(uninstall, [], { ...options, keep: true });
  expect({ ended, timeout: timeout(on), asked: on.asked }).toEqual({ ended: 'findings', timeout: 60, asked: [] });
  expect(output).toMatch(new RegExp(`^${change} +done +timeout-long +2026-11-22 12:\\d+ +${orders}$`, 'm'));
  expect(output).toContain('1 change stays: nobody can take it back with the guard once the stack is gone.');
});

test('what cannot be taken back stays, and is told with the reason', async () => {
  const { on, change } = await changed();
  on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 7 });
  const { output, ended } = await on.run(uninstall, [], { ...options, yes: true });
  expect({ ended, timeout: timeout(on) }).toEqual({ ended: 'findings', timeout: 7 });
  expect(output).toContain(`Change ${change} stays: ${orders} is no longer as change ${change} left it`);
});

test('roles and secrets that kept changes made are named, and exemptions that end', async () => {
  const on = commandLine(timeoutLong);
  const steps = [
    { call: 'createRole', input: { RoleName: 'orders-c0ffee' }, undo: [] },
    { waitSeconds: 9, why: 'IAM' },
    { call: 'createSecret', input: { Name: 'compliance-guard/orders/PASSWORD' }, undo: [] },
    { call: 'createSecret', input: { Name: 'never-made' }, undo: [] },
  ];
  const change = { id: 'c1', finding: 'f', rule: 'timeout-long', resource: orders, account: '111122223333', region: 'us-east-1' };
  await on.ledger.begin({ ...change, steps, calls: [], remains: [], done: 3, status: 'failed', startedAt: '2026-11-22T12:00:00.000Z' });
  await on.ledger.addExemption({
    id: 'e1',
    rule: 'timeout-long',
    resource: orders,
    reason: 'old',
    owner: 'shop',
    by: 'olga',
    since: 0,
    expires: on.world.now + minute,
  });
  const { output } = await on.run(uninstall, [], { ...options, keep: true });
  expect(output).toContain('Functions need what was made for them: role orders-c0ffee, secret compliance-guard/orders/PASSWORD.');
  expect(output).toMatch(new RegExp(`^Exemptions end with the guard:\n.*\ntimeout-long +${orders} +shop `, 'm'));
});

test('with nothing to take back it says so; both answers at once are refused', async () => {
  const on = commandLine(timeoutLong);
  expect(await on.run(uninstall, [], options)).toMatchObject({
    ended: 'fine',
    output: expect.stringContaining('Nothing that the guard changed is still so.'),
  });
  expect(await on.run(uninstall, [], { ...options, yes: true, keep: true })).toMatchObject({ ended: 'WrongUse' });
});
