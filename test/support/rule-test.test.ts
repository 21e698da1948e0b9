import * as z from 'zod';
import { getFunctionUrlConfig, getPolicy, updateFunctionUrlConfig } from '../../aws/lambda.ts';
import { cloudTrail, defineRule, type Rule, type Violation } from '../../guard/rule.ts';
import { functionSubject } from '../../guard/subject.ts';
import { sample } from './events.ts';
import { type RoundTrip, type Row, RuleTester, refusalsOf } from './rule-test.ts';
import type { World } from './world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const target = { FunctionName: 'orders' };
const undoing = [{ call: 'updateFunctionUrlConfig', input: { ...target, AuthType: 'NONE' } }];
const close = { call: 'updateFunctionUrlConfig', input: { ...target, AuthType: 'AWS_IAM' }, undo: undoing };

/** A rule that does everything right, as far as it goes. */
const good = defineRule({
  id: 'good',
  practice: 'apis',
  severity: 'high',
  title: 'A rule for testing the tests',
  on: [
    cloudTrail('lambda', ['CreateFunctionUrlConfig'], (event) =>
      [functionSubject('orders', event)].filter((subject) => subject !== undefined),
    ),
  ],
  check: [getFunctionUrlConfig, getPolicy],
  fix: [updateFunctionUrlConfig],
  undo: [updateFunctionUrlConfig],
  delay: 0,
  probation: false,
  params: z.object({}),
  async evaluate(subject, { aws }) {
    const { AuthType } = await aws.getFunctionUrlConfig(target);
    const violation = { subject, summary: 'It is open.', evidence: { AuthType }, tags: {} };
    return AuthType === 'NONE' ? { violations: [violation], compliant: [] } : { violations: [], compliant: [subject] };
  },
  plan: async () => ({ steps: [close] }),
  state: async (_, { aws }) => (await aws.getFunctionUrlConfig(target)).AuthType,
});

type Good = typeof good extends Rule<infer Check, infer Fix, infer Undo, infer Params> ? Rule<Check, Fix, Undo, Params> : never;
type Context = Parameters<Good['evaluate']>[1];

function open({ lambda }: World): void {
  lambda.createFunction({ FunctionName: 'orders' });
  lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'NONE' });
}

const event = sample('CreateFunctionUrlConfig/none.json');
const expected = { subject: orders, severity: 'high', summary: 'It is open.', evidence: { AuthType: 'NONE' }, tags: {} } as const;
const violating: Row = { name: 'open', kind: 'violating', arrange: open, event, expect: { violations: [expected] } };
const roundTrip: RoundTrip = { name: 'trip', arrange: open, event, steps: ['updateFunctionUrlConfig'] };
const rows: readonly Row[] = [
  { name: 'closed', kind: 'compliant', event },
  violating,
  { name: 'failed', kind: 'ignored', event: sample('CreateFunctionUrlConfig/none.json', { detail: { errorCode: 'AccessDenied' } }) },
  { name: 'other', kind: 'ignored', event: sample('DeleteFunctionUrlConfig/plain.json') },
  {
    name: 'denied',
    kind: 'failing',
    event,
    fail: { operation: 'GetFunctionUrlConfig', error: 'AccessDeniedException' },
    expect: { throws: 'lasting' },
  },
  {
    name: 'throttled',
    kind: 'failing',
    event,
    fail: { operation: 'GetFunctionUrlConfig', error: 'ThrottlingException' },
    expect: { throws: 'passing' },
  },
  { name: 'gone', kind: 'failing', event },
];

/** The good rule with another evaluate(). */
function evaluating(evaluate: (violation: Violation, context: Context) => Promise<readonly Violation[]>): Good {
  return {
    ...good,
    evaluate: async (subject, context) => {
      const violation = { subject, summary: 'It is open.', evidence: { AuthType: 'NONE' }, tags: {} };
      return { violations: await evaluate(violation, context), compliant: [] };
    },
  };
}

describe('a table is refused', () => {
  it('never, where it has everything', () => expect(refusalsOf(good, { rows, roundTrips: [roundTrip] })).toEqual([]));

  it('where two rows have one name', () => {
    expect(refusalsOf(good, { rows: [...rows, violating], roundTrips: [roundTrip] })).toEqual(['two rows are named "open"']);
  });

  it.each([
    ['closed', 'no compliant row'],
    ['open', 'no violating row'],
    ['failed', 'no ignored row of a call that failed'],
    ['other', 'no ignored row of an event that is read but names nothing for this rule'],
    ['denied', 'no failing row with AccessDenied'],
    ['throttled', 'no failing row with throttling'],
    ['gone', 'no failing row of a resource that is gone'],
  ])('without the row "%s"', (name, why) => {
    expect(refusalsOf(good, { rows: rows.filter((row) => row.name !== name), roundTrips: [roundTrip] })).toEqual([why]);
  });

  it('without a round trip, where the rule fixes', () => {
    expect(refusalsOf(good, { rows })).toEqual(['no round trip, and the rule has a fix']);
    expect(refusalsOf({ ...good, fix: [], undo: [] }, { rows })).toEqual([]);
  });

  it('without a dry run, where the rule hears of new code', () => {
    const on = [cloudTrail('lambda', ['UpdateFunctionCode'], () => [])];
    expect(refusalsOf({ ...good, on }, { rows, roundTrips: [roundTrip] })).toContain('no ignored row of a dry run');
  });

  it('where a violating row violates nothing', () => {
    const empty: Row = { ...violating, name: 'nothing', expect: { violations: [] } };
    expect(refusalsOf(good, { rows: [...rows, empty], roundTrips: [roundTrip] })).toEqual(['"nothing" violates nothing']);
  });
});

describe('a row', () => {
  it('passes where all is as it says', async () => await new RuleTester(good).row(violating));

  it('compares violations whole', async () => {
    const wrong: Row = { ...violating, expect: { violations: [{ ...expected, tags: { team: 'shop' } }] } };
    await expect(new RuleTester(good).row(wrong)).rejects.toThrow('toEqual');
  });

  it('compares the plan', async () => {
    const wrong: Row = { ...violating, expect: { violations: [{ ...expected, plan: { steps: [] } }] } };
    await expect(new RuleTester(good).row(wrong)).rejects.toThrow('toEqual');
  });

  it('counts calls', async () => {
    await expect(new RuleTester(good).row({ ...violating, calls: { aws: 2 } })).rejects.toThrow('toHaveLength');
  });

  it('does not let a rule change what it is given', async () => {
    const mutating = evaluating(async (violation) => {
      Object.assign(violation.subject, { region: 'eu-central-1' });
      return [violation];
    });
    await expect(new RuleTester(mutating).row(violating)).rejects.toThrow('read only');
  });

  it('does not let a rule write while it looks', async () => {
    const writing: Good = {
      ...good,
      check: [{ ...getFunctionUrlConfig, run: (connection) => updateFunctionUrlConfig.run(connection, target) as never }, getPolicy],
    };
    await expect(new RuleTester(writing).row(violating)).rejects.toThrow('evaluate() writes: UpdateFunctionUrlConfig');
  });

  it.each([
    ['evidence', { evidence: {} }, 'has no evidence'],
    ['summary', { summary: ' ' }, 'has no summary'],
  ])('does not let a violation go without %s', async (_, part, why) => {
    const poor = evaluating(async (violation) => [{ ...violation, ...part }]);
    await expect(new RuleTester(poor).row(violating)).rejects.toThrow(why);
  });

  it('does not take silence for an answer to a failure', async () => {
    const silent = evaluating(async (_, { aws }) => {
      await aws.getFunctionUrlConfig(target).catch(() => undefined);
      return [];
    });
    const [denied] = rows.filter(({ name }) => name === 'denied');
    if (denied !== undefined) await expect(new RuleTester(silent).row(denied)).rejects.toThrow('what cannot be read is never compliant');
  });

  it('wants the failing operation to be called', async () => {
    const row: Row = { name: 'x', kind: 'failing', arrange: open, event, fail: { operation: 'ListTags', error: 'AccessDeniedException' } };
    await expect(new RuleTester(good).row(row)).rejects.toThrow('ListTags was never called');
  });

  it('wants an ignored event to be ignored', async () => {
    await expect(new RuleTester(good).row({ name: 'x', kind: 'ignored', event })).rejects.toThrow();
  });
});

describe('a round trip', () => {
  it.each([1, 2] as const)('passes with every call made %i times', async (times) => await new RuleTester(good).roundTrip(roundTrip, times));

  it('fails where undo does not lead back', async () => {
    const rule: Good = { ...good, plan: async () => ({ steps: [{ ...close, undo: [] }] }) };
    await expect(new RuleTester(rule).roundTrip(roundTrip, 1)).rejects.toThrow('toEqual');
  });

  it('fails where the fix does not help', async () => {
    const rule: Good = { ...good, plan: async () => ({ steps: [{ ...close, input: { ...target, InvokeMode: 'RESPONSE_STREAM' } }] }) };
    await expect(new RuleTester(rule).roundTrip(roundTrip, 1)).rejects.toThrow('toBe');
  });

  it('fails where a step cannot be repeated', async () => {
    const once = { ...updateFunctionUrlConfig, alreadyDone: [] };
    let made = 0;
    const rule: Good = {
      ...good,
      fix: [
        {
          ...once,
          run: async (connection, input) => {
            made += 1;
            if (made > 1) throw Object.assign(new Error('used up'), { name: 'PreconditionFailedException' });
            return await updateFunctionUrlConfig.run(connection, { ...input, AuthType: undefined });
          },
        },
      ],
    };
    await expect(new RuleTester(rule).roundTrip(roundTrip, 2)).rejects.toThrow('failed at its second run');
  });

  it('fails where the plan makes a call that the rule did not declare', async () => {
    const rule: Good = { ...good, plan: async () => ({ steps: [{ ...close, call: 'deleteFunction' }] }) };
    await expect(new RuleTester(rule).roundTrip(roundTrip, 1)).rejects.toThrow('the plan calls deleteFunction');
  });

  it('fails where a remediator, which has no event, would find nothing', async () => {
    const rule = evaluating(async (violation, context) => (context.event === undefined ? [] : [violation]));
    await expect(new RuleTester(rule).roundTrip(roundTrip, 1)).rejects.toThrow('finds nothing wrong');
  });
});

it('tells which declared calls were never made', async () => {
  const tester = new RuleTester(good);
  await tester.row(violating);
  expect(tester.neverCalled()).toEqual([
    'declared but never called: getPolicy in check',
    'declared but never called: updateFunctionUrlConfig in fix',
    'declared but never called: updateFunctionUrlConfig in undo',
  ]);
});
