import { fix, plan } from '../../cli/plan.ts';
import type { Status } from '../../guard/finding.ts';
import { remediate } from '../../guard/remediate.ts';
import { configFor, found, minute, orders, timeout, timeoutLong } from '../guard/bench.ts';
import { type CommandLine, commandLine, olga } from './bench.ts';

jest.mock('../../cli/session.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').sessionModule());
jest.mock('../../rules/index.ts', () => ({
  get rules() {
    return [jest.requireActual<typeof import('../guard/bench.ts')>('../guard/bench.ts').timeoutLong];
  },
}));

/** A finding of a time when the rule was in alert, of a guard that has it in remediate now. */
async function older(variables: Readonly<Record<string, string>> = {}): Promise<{ readonly on: CommandLine; readonly id: string }> {
  const on = commandLine(timeoutLong, variables);
  const config = configFor([timeoutLong], { TimeoutLongMode: 'alert' });
  const id = await found({ ...on, ports: { ...on.ports, config } });
  on.world.calls.length = 0;
  on.ledger.calls.length = 0;
  on.published.length = 0;
  return { on, id };
}

const writes =
  /^(open|resolve|setStatus|begin|progress|lock|unlock|setSwitch|add|remove|record|forget|postpone|announce|mark|hold|release|lease|spend|remind)/;

describe('plan', () => {
  test('shows the finding, the subject as it is, every call with its undo, and changes nothing', async () => {
    const { on, id } = await older();
    const before = on.world.snapshot();
    const { output, ended } = await on.run(plan, [id]);
    expect(ended).toBe('fine');
    expect(output).toContain(`Finding   ${id}, high, open, first seen 2026-11-22 12:00\n`);
    expect(output).toContain('Rule      timeout-long: A function may run for longer than a minute\n');
    expect(output).toContain(`Resource  ${orders}\nSummary   ${orders} may run for 300 s.\n`);
    expect(output).toContain('By        arn:aws:sts::111122223333:assumed-role/Developer/ana with UpdateFunctionConfiguration at ');
    expect(output).toContain('Now       {"timeout":300}\n');
    const target = `{"FunctionName":"${orders}"`;
    expect(output.slice(output.indexOf('Plan\n')).split('\n')).toEqual([
      'Plan',
      `  1. lambda:TagResource {"Resource":"${orders}","Tags":{"limited":"change"}}`,
      `     undo: lambda:UntagResource {"Resource":"${orders}","TagKeys":["limited"]}`,
      `  2. lambda:AddPermission ${target},"StatementId":"change","Action":"lambda:InvokeFunction","Principal":"444455556666"}`,
      `     undo: lambda:RemovePermission ${target},"StatementId":"change"}`,
      '  3. wait 60 s: somebody may object',
      expect.stringContaining(`  4. lambda:UpdateFunctionConfiguration ${target},"Timeout":60,"RevisionId":`),
      `     undo: lambda:UpdateFunctionConfiguration ${target},"Timeout":300}`,
    ]);
    expect(on.world.snapshot()).toEqual(before);
    expect(on.world.calls.map(({ operation }) => operation).filter((operation) => !/^(Get|List)/.test(operation))).toEqual([]);
    expect(on.ledger.calls.filter((call) => writes.test(call))).toEqual([]);
    expect({ asked: on.asked, published: on.published }).toEqual({ asked: [], published: [] });
  });

  test('of no finding is wrong use', async () => {
    const { on } = await older();
    expect(await on.run(plan, ['0000'])).toMatchObject({
      ended: 'WrongUse',
      error: { message: expect.stringContaining('There is no finding 0000') },
    });
  });

  test('names the action that the credentials lack, and the policy that they need', async () => {
    const { on, id } = await older();
    on.world.fail('GetFunctionConcurrency', 'AccessDeniedException');
    const { ended, error } = await on.run(plan, [id]);
    expect(ended).toBe('NotAllowed');
    const [sentence = '', ...policy] = error?.message.split('\n') ?? [];
    expect(sentence).toBe(
      'A plan of timeout-long needs lambda:GetFunctionConcurrency, which your credentials do not allow. This policy allows all of it:',
    );
    expect(JSON.parse(policy.join('\n'))).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: ['lambda:GetFunctionConfiguration', 'lambda:ListTags'],
          Resource: ['arn:aws:lambda:*:111122223333:function:*'],
        },
        { Effect: 'Allow', Action: ['lambda:GetFunctionConcurrency'], Resource: ['arn:*'] },
      ],
    });
  });

  test('ends with any other error as it is', async () => {
    const { on, id } = await older();
    on.world.fail('GetFunctionConcurrency', 'ServiceException');
    expect((await on.run(plan, [id])).ended).toBe('ServiceException');
  });

  test.each([
    ['the rule is in alert', { TimeoutLongMode: 'alert' }, 'timeout-long is in alert: only a rule in remediate fixes anything.'],
    ['somebody wants it never touched', { NeverTouch: '*:orders' }, 'NeverTouch names it (*:orders).'],
    ['it is out of scope', { TimeoutLongScope: 'tag:stage=dev' }, 'It lies outside the scope in which this rule may remediate.'],
  ])('says why it would not be run: %s', async (_, variables, why) => {
    const { on, id } = await older(variables);
    const { output, ended } = await on.run(plan, [id]);
    expect(output).toMatch(/4\. lambda:UpdateFunctionConfiguration/);
    expect({ last: output.split('\n').at(-1), ended }).toEqual({ last: `Not run   ${why}`, ended: 'fine' });
  });

  test('says that its rule was lowered, that it is being fixed, or that it has ended', async () => {
    const { on, id } = await older();
    await on.ledger.setSwitch('mode:timeout-long', 'alert', olga);
    expect((await on.run(plan, [id])).output).toContain('Not run   timeout-long is in alert');
    await on.ledger.setSwitch('mode:timeout-long', undefined, olga);
    await on.ledger.setStatus(id, { status: 'open', cause: 'test', fixing: 'c0ffee123456' });
    expect((await on.run(plan, [id])).output).toContain('Not run   Its change c0ffee123456 is under way.');
    await on.ledger.setStatus(id, { status: 'resolved', cause: 'test' });
    expect((await on.run(plan, [id])).output).toContain('Not run   It is resolved: only what is open');
  });

  test('shows what the rule itself refuses, and what would remain', async () => {
    const { on, id } = await older();
    jest.spyOn(timeoutLong, 'plan').mockResolvedValueOnce({ steps: [], refused: 'It would break.', remains: ['version 1'] });
    const { output } = await on.run(plan, [id]);
    expect(output.split('\n').slice(-4)).toEqual(['Plan', '  nothing', 'Remains   version 1', 'Not run   It would break.']);
  });

  test('has no call at hand that changes anything', async () => {
    const { on, id } = await older();
    const write = timeoutLong.undo[1];
    const declared = timeoutLong.check as unknown as unknown[];
    declared.push(write);
    try {
      const spied = jest.spyOn(timeoutLong, 'plan').mockResolvedValueOnce({ steps: [] });
      await on.run(plan, [id]);
      const { aws } = spied.mock.calls.at(-1)?.[1] ?? {};
      expect(Object.keys(aws ?? {})).toEqual(['getFunctionConfiguration', 'listTags', 'getFunctionConcurrency']);
    } finally {
      declared.pop();
    }
  });
});

describe('fix', () => {
  test('shows the plan, orders the fix, and the guard makes it', async () => {
    const { on, id } = await older();
    const { output, ended } = await on.run(fix, [id], { yes: true });
    expect(output).toContain('  4. lambda:UpdateFunctionConfiguration');
    expect(output).toContain('The fix is ordered. It begins at once, and is told as an alert.');
    expect(ended).toBe('fine');
    expect(on.asked).toEqual([{ action: 'fix', findings: [id] }]);
    expect(await on.ledger.finding(id)).toMatchObject({ orderedBy: olga });
    await remediate(id, timeoutLong, on.ports);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    expect(timeout(on)).toBe(60);
  });

  test('asks first, and without --yes nobody is there to answer', async () => {
    const { on, id } = await older();
    const { output, error, ended } = await on.run(fix, [id]);
    expect(output).toContain('  4. lambda:UpdateFunctionConfiguration');
    expect({ ended, message: error?.message }).toEqual({
      ended: 'WrongUse',
      message: `Fix finding ${id}? Nobody can be asked here: give --yes.`,
    });
    expect(on.asked).toEqual([]);
  });

  test('says that fixes are paused', async () => {
    const { on, id } = await older();
    await on.ledger.setSwitch('paused', 'incident', olga);
    expect((await on.run(fix, [id], { yes: true })).output).toContain('It begins after `npm run guard -- resume`');
    expect(on.asked).toHaveLength(1);
  });

  test('of a rule fixes all that are open, and leaves out what cannot be fixed', async () => {
    const { on, id } = await older();
    const finding = await on.ledger.finding(id);
    if (finding === undefined) throw new Error('nothing was found');
    const another = async (name: string, status: Status, tags = {}) => {
      on.world.lambda.createFunction({ FunctionName: name, Timeout: 200 });
      const subject = { ...finding.subject, arn: orders.replace('orders', name) };
      await on.ledger.open({ ...finding, id: name, subject, tags });
      await on.ledger.setStatus(name, { status, cause: 'test' });
    };
    await another('failed', 'failed');
    await another('unknown', 'unknown');
    await another('exempt', 'exempt');
    await another('guards-own', 'open', { 'aws:cloudformation:stack-name': 'guard' });
    const { output } = await on.run(fix, [], { rule: 'timeout-long', yes: true });
    expect(on.asked).toEqual([{ action: 'fix', findings: [id, 'failed'] }]);
    expect(output).toContain('Not run   It belongs to the guard itself');
    expect(output).toContain('2 fixes are ordered.');
    // What cannot be read has no plan that could be shown.
    expect(output).not.toMatch(/:(unknown|exempt)\n/);
  });

  test('of a rule of which nothing is open does nothing', async () => {
    const { on, id } = await older();
    await on.ledger.setStatus(id, { status: 'resolved', cause: 'test' });
    const { output, ended } = await on.run(fix, [], { rule: 'timeout-long' });
    expect({ output, ended }).toEqual({ output: 'There is nothing of timeout-long that could be fixed.', ended: 'fine' });
    expect(on.asked).toEqual([]);
  });

  test('asks for as many as operate takes at a time', async () => {
    const { on, id } = await older();
    const finding = await on.ledger.finding(id);
    if (finding === undefined) throw new Error('nothing was found');
    for (let index = 1; index < 130; index += 1) await on.ledger.open({ ...finding, id: `f${index}` });
    await on.run(fix, [], { rule: 'timeout-long', yes: true });
    expect(on.asked.map((request) => ('findings' in request ? request.findings.length : 0))).toEqual([100, 30]);
  });

  test.each([
    ['alert', 'timeout-long is in alert'],
    ['off', 'timeout-long is in off'],
  ] as const)('is refused in a sentence while the rule is lowered to %s', async (mode, why) => {
    const { on, id } = await older();
    await on.ledger.setSwitch('mode:timeout-long', mode, olga);
    const { error, ended } = await on.run(fix, [id], { yes: true });
    expect({ ended, message: error?.message }).toEqual({
      ended: 'Error',
      message: expect.stringContaining(`Finding ${id} is not fixed: ${why}`),
    });
    expect(error?.message).not.toContain('\n');
    expect(on.asked).toEqual([]);
  });

  test('is refused in a sentence where the plan is', async () => {
    const { on, id } = await older();
    on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 3 });
    jest.spyOn(timeoutLong, 'plan').mockResolvedValueOnce({ steps: [] });
    const { error } = await on.run(fix, [id], { yes: true });
    expect(error?.message).toBe(`Finding ${id} is not fixed: There is nothing to do: it was put right, or is gone.`);
    expect(on.asked).toEqual([]);
  });

  test.each([
    ['neither a finding nor a rule', [], {}],
    ['both', ['0000'], { rule: 'timeout-long' }],
    ['a rule that there is not', [], { rule: 'another' }],
    ['a finding that there is not', ['0000'], {}],
  ])('of %s is wrong use', async (_, args, options) => {
    const { on } = await older();
    expect((await on.run(fix, args, { ...options, yes: true })).ended).toBe('WrongUse');
    expect(on.asked).toEqual([]);
  });
});
