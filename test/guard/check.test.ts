import { check, triggered } from '../../guard/check.ts';
import type { ApiEvent } from '../../guard/cloudtrail.ts';
import { LedgerFailed, QuotaUsedUp, RetryLater } from '../../guard/errors.ts';
import { type Finding, findingId, isWrong } from '../../guard/finding.ts';
import { type AnyRule, cloudTrail } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';
import { admin, type Bench, bench, event, found, Killed, killedAfter, minute, orders, place, timeoutLong } from './bench.ts';

const rules = [timeoutLong];
const id = findingId('timeout-long', orders);

/** The statuses that were told since the last look. */
function told({ published }: Bench): readonly string[] {
  return published.splice(0).map(({ kind, status }) => `${kind} ${status}`);
}

function setTimeoutTo({ world }: Bench, Timeout: number): void {
  world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout });
}

test('the plans that alerts show of many violations read once what they have in common', async () => {
  const on = bench(timeoutLong, { TimeoutLongMode: 'alert' });
  const several: AnyRule = {
    ...timeoutLong,
    evaluate: async (subject) => ({
      violations: ['1', '2', '3'].map((version) => ({
        subject: { ...subject, arn: `${subject.arn}:${version}` },
        summary: `version ${version}`,
        evidence: {},
        tags: {},
      })),
      compliant: [],
    }),
    plan: async (_, { aws }) => {
      await aws['getFunctionConcurrency']?.({ FunctionName: orders });
      return { steps: [{ call: 'tagResource', input: { Resource: orders, Tags: {} }, undo: [] }] };
    },
  };
  on.world.calls.length = 0;
  await check({ event: event('e1') }, [several], on.ports);
  expect(on.published.map(({ plan }) => plan.length)).toEqual([1, 1, 1]);
  expect(on.world.calls.map(({ operation }) => operation)).toEqual(['GetFunctionConcurrency']);
});

test('the plan that an alert shows reads nothing again', async () => {
  const on = bench(timeoutLong, { TimeoutLongMode: 'alert' });
  const rule: AnyRule = {
    ...timeoutLong,
    plan: async (_, { aws }) => {
      const was = await aws['getFunctionConfiguration']?.({ FunctionName: orders });
      return { steps: [{ call: 'tagResource', input: { Resource: orders, Tags: { was } }, undo: [] }] };
    },
  };
  await check({ event: event('e1') }, [rule], on.ports);
  expect(on.published[0]?.plan.join()).toContain('"Timeout":300');
  expect(on.world.calls.map(({ operation }) => operation)).toEqual(['GetFunctionConfiguration', 'ListTags']);
});

describe('side by side', () => {
  /** A rule of this name that waits for a turn of the others, and says when it was at work. */
  function slow(id: string, log: string[], more: Partial<AnyRule> = {}): AnyRule {
    const evaluate = async (subject: Subject) => {
      log.push(`${id} begins`);
      await new Promise(setImmediate);
      log.push(`${id} ends`);
      return { violations: [], compliant: [subject] };
    };
    return { ...timeoutLong, id, evaluate, ...more };
  }

  async function logOf(sideBySide: boolean, more: Partial<AnyRule> = {}): Promise<readonly string[]> {
    const on = bench();
    const log: string[] = [];
    const config = { ...on.ports.config, rule: () => on.ports.config.rule(timeoutLong.id) };
    const all = [slow('a', log, more), slow('b', log, more), slow('c', log)];
    await check({ event: event() }, all, { ...on.ports, config, sideBySide });
    expect(on.ledger.calls).toEqual(['resolveAll']);
    return log;
  }

  test('rules are judged together where nothing else is looked at meanwhile', async () => {
    expect(await logOf(true)).toEqual(['a begins', 'b begins', 'c begins', 'a ends', 'b ends', 'c ends']);
    expect(await logOf(false)).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  test('those of which one reads what another writes are not', async () => {
    expect(await logOf(true, { inTurn: true })).toEqual(['a begins', 'c begins', 'a ends', 'b begins', 'c ends', 'b ends']);
  });

  test('what is wrong and what is right is written', async () => {
    const on = bench();
    const config = { ...on.ports.config, rule: () => on.ports.config.rule(timeoutLong.id) };
    const resolving = Promise.withResolvers<void>();
    const ledger = new Proxy(on.ledger, {
      get: (target, name) => {
        if (name === 'resolveAll') resolving.resolve();
        if (name === 'open') return async (candidate: Finding) => await resolving.promise.then(() => target.open(candidate));
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    await check({ event: event() }, [timeoutLong, slow('b', [])], { ...on.ports, config, ledger });
    expect(on.ledger.calls).toEqual(expect.arrayContaining(['open', 'resolveAll']));
  });
});

describe('a violation', () => {
  test('opens a finding, and one alert says who did what when', async () => {
    const on = bench(timeoutLong, { TimeoutLongMode: 'alert' });
    await check({ event: event('e1') }, rules, on.ports);
    expect(on.published).toMatchObject([
      {
        kind: 'finding',
        status: 'open',
        findingId: id,
        opened: 1,
        summary: `${orders} may run for 300 s.`,
        evidence: { timeout: 300 },
        actor: { arn: expect.stringContaining('assumed-role') },
        event: { id: 'e1', name: 'UpdateFunctionConfiguration' },
        detectedAfterMs: expect.any(Number),
      },
    ]);
    const finding = await on.ledger.finding(id);
    expect(finding).toMatchObject({ status: 'open', tags: { team: 'shop' }, cause: 'event e1', attempts: 0 });
    expect(finding?.dueAt).toBeUndefined();
    expect(isWrong(finding as never)).toBe(true);
  });

  test('is told once, whatever events follow', async () => {
    const on = bench();
    for (const name of ['e1', 'e2', 'e3']) {
      await check({ event: event(name) }, rules, on.ports);
      on.advance(minute);
    }
    await check({ sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } }, rules, on.ports);
    expect(told(on)).toEqual(['finding open']);
  });

  test('is told by its event as well where a sweep was faster: with who did it, and as no finding of the sweep', async () => {
    const on = bench();
    const sweep = { sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } } as const;
    await check(sweep, rules, on.ports);
    for (const name of ['e1', 'e2']) await check({ event: event(name) }, rules, on.ports);
    await check(sweep, rules, on.ports);
    expect(on.published).toMatchObject([
      { status: 'open', sweep: 's1' },
      {
        status: 'open',
        opened: 1,
        actor: { arn: expect.stringContaining('assumed-role') },
        event: { id: 'e1' },
        detectedAfterMs: expect.any(Number),
      },
    ]);
    expect(on.published[1]).not.toHaveProperty('sweep');
    setTimeoutTo(on, 30);
    await check({ event: event('e3') }, rules, on.ports);
    expect(on.published[2]).toMatchObject({ status: 'resolved' });
    expect(on.published[2]).not.toHaveProperty('sweep');
  });

  test('is told again when the same message is delivered again: the first may not have got that far', async () => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    await check({ event: event('e1') }, rules, on.ports);
    expect(told(on)).toEqual(['finding open', 'finding open']);
    expect(await on.ledger.finding(id)).toMatchObject({ opened: 1 });
  });

  test('is told whenever the process is killed', async () => {
    for (let k = 1; ; k += 1) {
      const on = bench();
      const finished = await check({ event: event('e1') }, rules, killedAfter(k, on.ports).ports).then(
        () => true,
        (error: unknown) => expect(error).toBeInstanceOf(Killed),
      );
      await check({ event: event('e1') }, rules, on.ports);
      expect({ k, told: new Set(told(on)) }).toEqual({ k, told: new Set(['finding open']) });
      expect(await on.ledger.finding(id)).toMatchObject({ opened: 1 });
      if (finished === true) break;
      expect(k).toBeLessThan(20);
    }
  });

  test('that ends and comes back is told each time, and counted', async () => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    setTimeoutTo(on, 30);
    on.advance(minute);
    await check({ event: event('e2') }, rules, on.ports);
    setTimeoutTo(on, 301);
    on.advance(minute);
    await check({ event: event('e3') }, rules, on.ports);
    expect(told(on)).toEqual(['finding open', 'finding resolved', 'finding open']);
    expect(await on.ledger.finding(id)).toMatchObject({ opened: 2, cause: 'event e3' });
  });

  test('of a rule in remediate is due after its delay; in alert, or without a fix, it never is', async () => {
    const due = async (rule: AnyRule, variables: Record<string, string>) => {
      const on = bench(rule, variables);
      await check({ event: event() }, [rule], on.ports);
      const { dueAt, asOf } = (await on.ledger.finding(id)) ?? {};
      return dueAt === undefined ? undefined : dueAt - (asOf ?? 0);
    };
    expect(await due(timeoutLong, { TimeoutLongDelay: '15' })).toBe(15 * minute);
    expect(await due(timeoutLong, { TimeoutLongDelay: '0' })).toBeUndefined();
    expect(await due(timeoutLong, { TimeoutLongDelay: '15', TimeoutLongMode: 'alert' })).toBeUndefined();
    expect(await due({ ...timeoutLong, fix: [] }, { TimeoutLongDelay: '15' })).toBeUndefined();
  });
});

describe('a violation that becomes another one while its finding is open', () => {
  const rule: AnyRule = { ...timeoutLong, distinguishes: ({ timeout }) => timeout };

  test('is told again, as the same finding', async () => {
    const on = bench(rule);
    await check({ event: event('e1') }, [rule], on.ports);
    setTimeoutTo(on, 600);
    on.advance(minute);
    await check({ event: event('e2') }, [rule], on.ports);
    on.advance(minute);
    await check({ event: event('e3') }, [rule], on.ports);
    expect(on.published.map(({ status, evidence, opened }) => [status, evidence['timeout'], opened])).toEqual([
      ['open', 300, 1],
      ['open', 600, 2],
    ]);
  });

  test('is not, where the rule does not tell them apart', async () => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    setTimeoutTo(on, 600);
    on.advance(minute);
    await check({ event: event('e2') }, rules, on.ports);
    expect(told(on)).toEqual(['finding open']);
  });

  test('is told again where it becomes graver', async () => {
    let severity: 'low' | 'high' = 'low';
    const graver: AnyRule = {
      ...timeoutLong,
      evaluate: async (...given: Parameters<typeof timeoutLong.evaluate>) => {
        const { violations, compliant } = await timeoutLong.evaluate(...given);
        return { violations: violations.map((violation) => ({ ...violation, severity })), compliant };
      },
    };
    const on = bench(graver);
    await check({ event: event('e1') }, [graver], on.ports);
    severity = 'high';
    on.advance(minute);
    await check({ event: event('e2') }, [graver], on.ports);
    severity = 'low';
    on.advance(minute);
    await check({ event: event('e3') }, [graver], on.ports);
    expect(on.published.map((alert) => alert.severity)).toEqual(['low', 'high']);
  });
});

describe('nothing wrong', () => {
  test('says nothing, and costs a read and a call to the ledger', async () => {
    const on = bench();
    setTimeoutTo(on, 30);
    await check({ event: event() }, rules, on.ports);
    expect(on.published).toEqual([]);
    expect(on.world.calls).toHaveLength(1);
    expect(on.ledger.calls).toEqual(['resolveAll']);
  });

  test('costs one call to the ledger, however many rules say so of however many subjects', async () => {
    const several: AnyRule = {
      ...timeoutLong,
      evaluate: async (subject) => ({
        violations: [],
        compliant: ['1', '2'].map((version) => ({ ...subject, arn: `${subject.arn}:${version}` })),
      }),
    };
    const on = bench();
    setTimeoutTo(on, 30);
    await check({ event: event() }, [several, timeoutLong, several], on.ports);
    expect(on.ledger.calls).toEqual(['resolveAll']);
  });

  test('is compared with what the ledger holds after the last reading', async () => {
    const on = bench();
    setTimeoutTo(on, 30);
    const another = { ...timeoutLong, evaluate: async () => ({ violations: [], compliant: [] }) };
    const late: AnyRule = {
      ...another,
      evaluate: async () => {
        // Another worker, which is told while this one still reads for another rule.
        on.advance(1);
        setTimeoutTo(on, 300);
        await check({ event: event('e2') }, rules, on.ports);
        return { violations: [], compliant: [] };
      },
    };
    await check({ event: event('e1') }, [timeoutLong, late], on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', cause: 'event e2' });
    expect(on.world.calls.filter(({ operation }) => operation === 'GetFunctionConfiguration')).toHaveLength(3);
  });

  test('ends nothing that another subject of the same event was found to break', async () => {
    const on = bench();
    const twice = {
      ...cloudTrail('lambda', ['UpdateFunctionConfiguration'], ({ account, region }) =>
        ['a', 'b'].map((name) => functionSubject(name, { account, region }) as Subject),
      ),
    };
    const rule: AnyRule = {
      ...timeoutLong,
      on: [twice],
      evaluate: async (subject) => {
        const whole = { ...subject, arn: orders };
        if (subject.arn.endsWith(':b')) return { violations: [], compliant: [whole] };
        return { violations: [{ subject: whole, summary: 'it is wrong', evidence: {}, tags: {} }], compliant: [] };
      },
    };
    await check({ event: event('e1') }, [rule], on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    expect(told(on)).toEqual(['finding open']);
  });

  test('keeps nothing wrong from being told where the ledger cannot be asked what to end', async () => {
    const on = bench();
    const resolveAll = async () => await Promise.reject(new LedgerFailed(new Error('the ledger is away')));
    const ledger = new Proxy(on.ledger, {
      get: (target, name) => (name === 'resolveAll' ? resolveAll : Reflect.get(target, name)?.bind?.(target)),
    });
    const right: AnyRule = { ...timeoutLong, id: 'memory-small', evaluate: async (subject) => ({ violations: [], compliant: [subject] }) };
    const config = { ...on.ports.config, rule: () => on.ports.config.rule(timeoutLong.id) };
    await expect(check({ event: event('e1') }, [right, timeoutLong], { ...on.ports, ledger, config })).rejects.toThrow(
      'the ledger is away',
    );
    expect(told(on)).toEqual(['finding open']);
  });

  test('ends what was unknown, partial or failed', async () => {
    for (const status of ['unknown', 'partial', 'failed'] as const) {
      const on = bench();
      await check({ event: event('e1') }, rules, on.ports);
      await on.ledger.setStatus(id, { status, cause: 'test' });
      setTimeoutTo(on, 30);
      on.advance(minute);
      await check({ event: event('e2') }, rules, on.ports);
      expect(told(on).at(-1)).toBe('finding resolved');
    }
  });
});

describe('what cannot be read', () => {
  test.each(['AccessDeniedException', 'KMSAccessDeniedException', 'InvalidParameterValueException'])(
    '%s: unknown, told once as a failure, and not tried for ever',
    async (error) => {
      const on = bench();
      on.world.fail('GetFunctionConfiguration', error);
      await check({ event: event('e1') }, rules, on.ports);
      await check({ event: event('e2') }, rules, on.ports);
      expect(on.published).toMatchObject([
        {
          kind: 'failure',
          status: 'unknown',
          evidence: { error },
          summary: `Whether ${orders} keeps this rule is unknown: it could not be read (${error}).`,
        },
      ]);
      const finding = await on.ledger.finding(id);
      expect(finding).toMatchObject({ status: 'unknown' });
      expect(finding?.dueAt).toBeUndefined();
    },
  );

  test('is never taken for compliant: an open finding stays open', async () => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    on.advance(minute);
    await check({ event: event('e2') }, rules, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
  });

  test('and can be read later is open, or over', async () => {
    const on = bench();
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    await check({ event: event('e1') }, rules, on.ports);
    on.world.fail('GetFunctionConfiguration', 'none', { after: 99 });
    on.advance(minute);
    await check({ event: event('e2') }, rules, on.ports);
    expect(told(on)).toEqual(['failure unknown', 'finding open']);
  });

  test.each(['TooManyRequestsException', 'ServiceException', 'ThrottlingException'])(
    '%s may pass: it is thrown, nothing is written, and the next delivery finds it',
    async (error) => {
      const on = bench();
      on.world.fail('GetFunctionConfiguration', error);
      await expect(check({ event: event('e1') }, rules, on.ports)).rejects.toMatchObject({ name: error });
      expect(await on.ledger.finding(id)).toBeUndefined();
      expect(on.published).toEqual([]);
      on.world.fail('GetFunctionConfiguration', 'none', { after: 99 });
      await check({ event: event('e1') }, rules, on.ports);
      expect(told(on)).toEqual(['finding open']);
    },
  );

  test.each(['PolicyUnreadable', 'EnvironmentUnreadable', 'PackageUnreadable'])('%s is an answer as well', async (name) => {
    const rule: AnyRule = { ...timeoutLong, evaluate: async () => Promise.reject(Object.assign(new Error('x'), { name })) };
    const on = bench(rule);
    await check({ event: event() }, [rule], on.ports);
    expect(on.published).toMatchObject([{ status: 'unknown' }]);
  });

  test('is unknown also in a rule that tells violations apart: there is no evidence to tell them by', async () => {
    const rule: AnyRule = { ...timeoutLong, distinguishes: ({ timeout }) => (timeout as number).toFixed() };
    const on = bench(rule);
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    await check({ event: event('e1') }, [rule], on.ports);
    expect(told(on)).toEqual(['failure unknown']);
  });

  test.each([
    ['two workers at one index, once', [new RetryLater('x')], true, 2],
    ['two workers at one index, twice', [new RetryLater('x'), new RetryLater('x')], true, 3],
    ['two workers at one index, all the time', Array.from({ length: 9 }, () => new RetryLater('x')), false, 3],
    ['a quota that is used up', [new QuotaUsedUp('x', 15)], false, 1],
    ['an error of AWS', [Object.assign(new Error('x'), { name: 'TooManyRequestsException', $metadata: {} })], false, 1],
  ])('%s: looked at once more, or not', async (_, errors, succeeds, looks) => {
    let looked = 0;
    const failures = [...errors];
    const rule: AnyRule = {
      ...timeoutLong,
      evaluate: async (...given: Parameters<typeof timeoutLong.evaluate>) => {
        looked += 1;
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        return await timeoutLong.evaluate(...given);
      },
    };
    const on = bench(rule);
    const checked = check({ event: event('e1') }, [rule], on.ports);
    if (succeeds) await checked;
    else await expect(checked).rejects.toThrow('x');
    expect(looked).toBe(looks);
    expect(told(on)).toEqual(succeeds ? ['finding open'] : []);
  });

  test('a defect is no answer: it goes to the dead letters', async () => {
    const rule: AnyRule = { ...timeoutLong, evaluate: async () => Promise.reject(new TypeError('undefined is not a function')) };
    const on = bench(rule);
    await expect(check({ event: event() }, [rule], on.ports)).rejects.toThrow(TypeError);
    expect(await on.ledger.finding(id)).toBeUndefined();
  });

  test('says nothing of what the error quoted', async () => {
    const rule: AnyRule = {
      ...timeoutLong,
      evaluate: async () => Promise.reject(Object.assign(new Error('password=hunter2'), { name: 'ValidationException', $metadata: {} })),
    };
    const on = bench(rule);
    await check({ event: event() }, [rule], on.ports);
    expect(JSON.stringify([on.published, await on.ledger.finding(id)])).not.toContain('hunter2');
  });
});

describe('an exemption', () => {
  test('keeps quiet about what it covers, and only about that', async () => {
    const on = bench();
    await on.ledger.addExemption({
      id: 'x1',
      rule: 'timeout-long',
      resource: orders,
      reason: 'migration',
      owner: 'shop',
      expires: on.world.now + minute,
      by: admin,
    });
    await check({ event: event('e1') }, rules, on.ports);
    expect(on.published).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
    const other = bench();
    await other.ledger.addExemption({
      id: 'x1',
      rule: 'timeout-long',
      resource: `${orders}2`,
      reason: 'migration',
      owner: 'shop',
      expires: other.world.now + minute,
      by: admin,
    });
    await check({ event: event('e1') }, rules, other.ports);
    expect(told(other)).toEqual(['finding open']);
  });
});

describe('what a rule is asked for', () => {
  test('nothing where it is off', async () => {
    const on = bench(timeoutLong, { TimeoutLongMode: 'off' });
    await check({ event: event() }, rules, on.ports);
    expect(on.world.calls).toEqual([]);
    expect(on.ledger.calls).toEqual([]);
  });

  test('nothing where the event is of another operation or service, or names nothing', async () => {
    const on = bench();
    for (const other of [
      { ...event(), operation: 'DeleteFunction' },
      { ...event(), service: 's3' },
      { ...event(), request: {} },
      { ...event(), request: { functionName: 'a b' } },
    ]) {
      await check({ event: other }, rules, on.ports);
    }
    expect(on.world.calls).toEqual([]);
  });

  test('each subject once, however many triggers name it', () => {
    const subjects = () => [functionSubject('orders', place), functionSubject('orders', place)].filter((subject) => subject !== undefined);
    const rule: AnyRule = {
      ...timeoutLong,
      on: [
        cloudTrail('lambda', ['UpdateFunctionConfiguration'], subjects),
        cloudTrail('lambda', ['UpdateFunctionConfiguration'], subjects),
      ],
    };
    expect(triggered(rule, event())).toHaveLength(1);
  });

  test('its own subjects in a sweep, where it has some', async () => {
    const seen: string[] = [];
    const rule: AnyRule = {
      ...timeoutLong,
      sweep: async (subject: Subject) => [subject, { ...subject, arn: `${subject.arn}:live` }],
      evaluate: async (subject: Subject) => {
        seen.push(subject.arn);
        return { violations: [], compliant: [] };
      },
    };
    const on = bench(rule);
    await check({ sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } }, [rule], on.ports);
    expect(seen).toEqual([orders, `${orders}:live`]);
  });

  test('just the subject of a finding by its own rule, where a sweep names them', async () => {
    const seen: string[] = [];
    const looking = (id: string): AnyRule => ({
      ...timeoutLong,
      id,
      sweep: async () => Promise.reject(new Error('nobody asks')),
      evaluate: async (subject: Subject) => {
        seen.push(`${id} ${subject.arn}`);
        return { violations: [], compliant: [] };
      },
    });
    const on = bench();
    const ports = { ...on.ports, config: { ...on.config, rule: () => on.config.rule('timeout-long') } };
    const subject: Subject = { arn: `${orders}:live`, type: 'AWS::Lambda::Function', ...place };
    await check({ sweep: 's1', rule: 'one', subject }, [looking('one'), looking('two')], ports);
    await check({ sweep: 's1', rule: 'that is no more', subject }, [looking('one')], ports);
    expect(seen).toEqual([`one ${orders}:live`]);
  });
});

describe('a rule that fails', () => {
  const failing = (id: string, error: Error): AnyRule => ({ ...timeoutLong, id, evaluate: async () => Promise.reject(error) });
  const throttled = Object.assign(new Error('x'), { name: 'TooManyRequestsException', $metadata: {} });
  const everyRule = (on: Bench) => ({ ...on.ports, config: { ...on.config, rule: () => on.config.rule('timeout-long') } });

  test.each([
    ['before', (rule: AnyRule) => [rule, timeoutLong]],
    ['after', (rule: AnyRule) => [timeoutLong, rule]],
  ])('%s another keeps nothing from it: the message comes again, and tells nothing new', async (_, both) => {
    const on = bench();
    const all = both(failing('failing', throttled));
    await expect(check({ event: event('e1') }, all, everyRule(on))).rejects.toMatchObject({ name: 'TooManyRequestsException' });
    expect(told(on)).toEqual(['finding open']);
    await expect(check({ event: event('e1') }, all, everyRule(on))).rejects.toMatchObject({ name: 'TooManyRequestsException' });
    expect(told(on)).toEqual(['finding open']);
    expect(await on.ledger.finding(id)).toMatchObject({ opened: 1 });
  });

  test('for one subject is still asked for the others', async () => {
    const on = bench();
    const rule: AnyRule = {
      ...timeoutLong,
      sweep: async (subject: Subject) => [{ ...subject, arn: `${subject.arn}:bad` }, subject],
      evaluate: async (...given: Parameters<typeof timeoutLong.evaluate>) =>
        given[0].arn.endsWith(':bad') ? Promise.reject(throttled) : timeoutLong.evaluate(...given),
    };
    const message = { sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } } as const;
    await expect(check(message, [rule], on.ports)).rejects.toBe(throttled);
    expect(told(on)).toEqual(['finding open']);
  });

  test('and cannot list its subjects is an error as well', async () => {
    const on = bench();
    const rule: AnyRule = { ...timeoutLong, id: 'failing', sweep: async () => Promise.reject(throttled) };
    const message = { sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } } as const;
    await expect(check(message, [rule, timeoutLong], everyRule(on))).rejects.toBe(throttled);
    expect(told(on)).toEqual(['finding open']);
  });

  test('and may not list its subjects knows nothing of the function, and says so once', async () => {
    const on = bench();
    const denied = Object.assign(new Error('x'), { name: 'AccessDeniedException', $metadata: {} });
    const rule: AnyRule = { ...timeoutLong, sweep: async () => Promise.reject(denied) };
    const subject: Subject = { arn: orders, type: 'AWS::Lambda::Function', ...place };
    for (const sweep of ['s1', 's2']) {
      await check({ sweep, subject }, [rule], on.ports);
      on.advance(minute);
    }
    expect(on.published).toMatchObject([{ kind: 'failure', status: 'unknown', evidence: { error: 'AccessDeniedException' } }]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'unknown' });
  });

  test('for now makes the message come back soon, whatever fails for good beside it', async () => {
    const on = bench();
    const defect = failing('defect', new TypeError('x'));
    await expect(check({ event: event('e1') }, [defect, failing('busy', throttled)], everyRule(on))).rejects.toBe(throttled);
    await expect(check({ event: event('e1') }, [defect], everyRule(on))).rejects.toThrow(TypeError);
  });

  test('because the quota is used up ends it all: there is no time to wait once more', async () => {
    const on = bench();
    const all = [failing('first', new QuotaUsedUp('x', 15)), timeoutLong];
    await expect(check({ event: event('e1') }, all, everyRule(on))).rejects.toBeInstanceOf(QuotaUsedUp);
    expect(on.world.calls).toEqual([]);
  });
});

describe('tags of a subject', () => {
  const day = 24 * 60 * minute;
  const allowed = { AllowTagExemptions: 'true' };
  const until = (on: Bench, days = 30) => new Date(on.world.now + days * day).toISOString().replace(/\.\d+/, '');
  const exempting = (on: Bench, more: Readonly<Record<string, string>> = {}) => ({
    'compliance-guard:exempt': 'timeout-long',
    'compliance-guard:exempt-until': until(on),
    'compliance-guard:exempt-reason': 'a batch job',
    ...more,
  });
  const tag = ({ world }: Bench, Tags: Record<string, string>) => world.lambda.tagResource({ Resource: orders, Tags });
  const untag = ({ world }: Bench) => world.lambda.untagResource({ Resource: orders, TagKeys: ['compliance-guard:exempt'] });
  const tagged = (name: string): ApiEvent => ({
    ...event(name),
    operation: 'TagResource',
    request: { resource: orders, tags: { 'compliance-guard:exempt': 'timeout-long' } },
  });

  test('exempt it: the status says so, the cause names the tag, and it is told once', async () => {
    const on = bench(timeoutLong, { ...allowed, TimeoutLongDelay: '15' });
    tag(on, exempting(on));
    for (const name of ['e1', 'e2', 'e3']) {
      await check({ event: event(name) }, rules, on.ports);
      on.advance(minute);
    }
    expect(on.published).toMatchObject([
      {
        kind: 'finding',
        status: 'exempt',
        plan: [],
        summary: expect.stringMatching(/may run for 300 s\. Its tags exempt it from this rule until .*Z: a batch job$/),
      },
    ]);
    const finding = await on.ledger.finding(id);
    const end = Date.parse(until(on)) - 3 * minute;
    expect(finding).toMatchObject({
      status: 'exempt',
      cause: 'tag compliance-guard:exempt, event e1',
      summary: `${orders} may run for 300 s.`,
    });
    expect(finding?.exemptUntil).toBe(finding?.dueAt);
    expect(Math.abs((finding?.exemptUntil ?? 0) - end)).toBeLessThan(1_000);
    expect(finding?.fixAfter).toBeUndefined();
  });

  test('are heard of by their own event, come and gone: open again, with the delay of the rule', async () => {
    const on = bench(timeoutLong, { ...allowed, TimeoutLongDelay: '15' });
    await check({ event: event('e1') }, rules, on.ports);
    on.advance(minute);
    tag(on, exempting(on));
    await check({ event: tagged('e2') }, rules, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
    on.advance(minute);
    untag(on);
    await check(
      { event: { ...tagged('e3'), operation: 'UntagResource', request: { resource: orders, tagKeys: ['compliance-guard:exempt'] } } },
      rules,
      on.ports,
    );
    expect(told(on)).toEqual(['finding open', 'finding exempt', 'finding open']);
    const finding = await on.ledger.finding(id);
    expect(finding).toMatchObject({ status: 'open', opened: 3, dueAt: on.world.now + 15 * minute, fixAfter: on.world.now + 15 * minute });
    expect(finding).not.toHaveProperty('exemptUntil');
  });

  test('of a function are those of its aliases', async () => {
    const on = bench(timeoutLong, allowed);
    const rule: AnyRule = { ...timeoutLong, sweep: async (subject: Subject) => [subject, { ...subject, arn: `${subject.arn}:live` }] };
    on.world.lambda.publishVersion({ FunctionName: 'orders' });
    on.world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await check({ event: { ...event('e1'), request: { functionName: `${orders}:live` } } }, [rule], on.ports);
    expect(on.published).toMatchObject([{ status: 'open', resource: { arn: `${orders}:live` } }]);
    on.advance(minute);
    tag(on, exempting(on));
    // Tags are the function's; this rule asks for those of its subject.
    const listTags = on.world.lambda.listTags.bind(on.world.lambda);
    on.world.lambda.listTags = () => listTags({ Resource: orders });
    await check({ event: tagged('e2') }, [rule], on.ports);
    expect(on.published.slice(1)).toMatchObject([{ status: 'exempt', resource: { arn: `${orders}:live` } }]);
  });

  test('make nobody look where nothing was found, or where what was found has ended', async () => {
    const on = bench(timeoutLong, allowed);
    await check({ event: tagged('e1') }, rules, on.ports);
    expect(on.ledger.calls).toEqual(['finding']);
    expect(on.world.calls).toEqual([]);
    await check({ event: event('e2') }, rules, on.ports);
    setTimeoutTo(on, 30);
    on.advance(minute);
    await check({ event: event('e3') }, rules, on.ports);
    on.world.calls.length = 0;
    await check({ event: tagged('e4') }, rules, on.ports);
    expect(on.world.calls).toEqual([]);
  });

  test('that give another date count from then on; what was told is told again', async () => {
    const on = bench(timeoutLong, allowed);
    tag(on, exempting(on));
    await check({ event: event('e1') }, rules, on.ports);
    on.advance(minute);
    tag(on, { 'compliance-guard:exempt-until': until(on, 60) });
    await check({ event: tagged('e2') }, rules, on.ports);
    expect(told(on)).toEqual(['finding exempt', 'finding exempt']);
    const { exemptUntil = 0, dueAt } = (await on.ledger.finding(id)) ?? {};
    expect(exemptUntil).toBeGreaterThan(on.world.now + 59 * day);
    expect(dueAt).toBe(exemptUntil);
  });

  test('that do not count leave it open, and the alert says why', async () => {
    const on = bench(timeoutLong, allowed);
    tag(on, exempting(on, { 'compliance-guard:exempt-reason': '' }));
    await check({ event: event('e1') }, rules, on.ports);
    expect(on.published).toMatchObject([
      {
        status: 'open',
        summary: `${orders} may run for 300 s. Its tag compliance-guard:exempt does not count: compliance-guard:exempt-reason has to say why.`,
      },
    ]);
    const notAllowed = bench();
    tag(notAllowed, exempting(notAllowed));
    await check({ event: event('e1') }, rules, notAllowed.ports);
    expect(notAllowed.published).toMatchObject([{ status: 'open', summary: expect.stringContaining('AllowTagExemptions') }]);
  });

  test('never exempt from a critical finding, not even from one that has become critical', async () => {
    let severity: 'high' | 'critical' = 'high';
    const rule: AnyRule = {
      ...timeoutLong,
      evaluate: async (...given: Parameters<typeof timeoutLong.evaluate>) => {
        const { violations, compliant } = await timeoutLong.evaluate(...given);
        return { violations: violations.map((violation) => ({ ...violation, severity })), compliant };
      },
    };
    const on = bench(rule, allowed);
    tag(on, exempting(on));
    await check({ event: event('e1') }, [rule], on.ports);
    severity = 'critical';
    on.advance(minute);
    await check({ event: event('e2') }, [rule], on.ports);
    expect(on.published).toMatchObject([
      { status: 'exempt' },
      { status: 'open', severity: 'critical', summary: expect.stringContaining('only an operator') },
    ]);
  });

  test('do not touch what an operator exempted, and what cannot be read stays exempt', async () => {
    const on = bench(timeoutLong, allowed);
    tag(on, exempting(on));
    await check({ event: event('e1') }, rules, on.ports);
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    on.advance(minute);
    await check({ event: event('e2') }, rules, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
    on.world.fail('GetFunctionConfiguration', 'none', { after: 99 });
    await on.ledger.addExemption({
      id: 'x1',
      rule: 'timeout-long',
      resource: orders,
      reason: 'migration',
      owner: 'shop',
      expires: on.world.now + day,
      by: admin,
    });
    on.advance(minute);
    await check({ event: event('e3') }, rules, on.ports);
    untag(on);
    on.advance(minute);
    await check({ event: tagged('e4') }, rules, on.ports);
    expect(told(on)).toEqual(['finding exempt']);
    expect(await on.ledger.finding(id)).not.toHaveProperty('exemptUntil');
  });
});

test('an exempt finding ends where its subject keeps the rule, and is told', async () => {
  const on = bench();
  await check({ event: event('e1') }, rules, on.ports);
  await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
  setTimeoutTo(on, 30);
  on.advance(minute);
  await check({ event: event('e2') }, rules, on.ports);
  expect(told(on)).toEqual(['finding open', 'finding resolved']);
});

/** A rule whose next look finds what was there at first, while somebody changes it: the answer comes back later. */
function slowly(on: Bench, meanwhile: () => Promise<void>): AnyRule {
  let looks = 0;
  return {
    ...timeoutLong,
    evaluate: async (...given: Parameters<typeof timeoutLong.evaluate>) => {
      const seen = await timeoutLong.evaluate(...given);
      looks += 1;
      if (looks === 1) {
        on.advance(1);
        await meanwhile();
      }
      return seen;
    },
  };
}

describe('a late event does not overwrite what a newer reading said', () => {
  test('what was put right before anybody knew of it ends at the next look', async () => {
    const on = bench();
    const late = slowly(on, async () => {
      setTimeoutTo(on, 30);
      await check({ event: event('e2') }, rules, on.ports);
    });
    await check({ event: event('e1') }, [late], on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    on.advance(1);
    await check({ event: event('e3') }, rules, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'resolved' });
    expect(told(on)).toEqual(['finding open', 'finding resolved']);
  });

  test('nothing ends that was broken again meanwhile', async () => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    setTimeoutTo(on, 30);
    const late = slowly(on, async () => {
      setTimeoutTo(on, 300);
      await check({ event: event('e3') }, rules, on.ports);
    });
    await check({ event: event('e2') }, [late], on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open', opened: 1 });
    expect(told(on)).toEqual(['finding open']);
  });

  test('nothing opens again that was ended meanwhile', async () => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    const late = slowly(on, async () => {
      setTimeoutTo(on, 30);
      await check({ event: event('e3') }, rules, on.ports);
    });
    await check({ event: event('e2') }, [late], on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'resolved', opened: 1 });
    expect(told(on)).toEqual(['finding open', 'finding resolved']);
  });

  /** What an index says may be older than the reading that asks it: another worker has just written to it, and found more. */
  test.each([
    ['is looked at once more where it was found a moment ago', true, 0, 'open'],
    ['is believed of what was found before', true, 5 * minute, 'resolved'],
    ['is believed of a rule that looks at nobody else', undefined, 0, 'resolved'],
  ] as const)('that something is right %s', async (_, relative, passed, status) => {
    const on = bench();
    await check({ event: event('e1') }, rules, on.ports);
    on.advance(passed);
    let looks = 0;
    const behind: AnyRule = {
      ...timeoutLong,
      ...(relative === undefined ? {} : { relative }),
      evaluate: async (subject, tools) => {
        looks += 1;
        return looks === 1 ? { violations: [], compliant: [subject] } : await timeoutLong.evaluate(subject, tools as never);
      },
    };
    await check({ event: event('e2') }, [behind], on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status });
  });

  test('what changes all the time comes back with its message', async () => {
    const on = bench();
    await check({ event: event('e0') }, rules, on.ports);
    let looks = 0;
    const restless: AnyRule = {
      ...timeoutLong,
      evaluate: async (...given: Parameters<typeof timeoutLong.evaluate>) => {
        const seen = await timeoutLong.evaluate(...given);
        looks += 1;
        on.advance(1);
        setTimeoutTo(on, looks % 2 === 0 ? 300 : 30);
        await check({ event: event(`meanwhile-${looks}`) }, rules, on.ports);
        return seen;
      },
    };
    await expect(check({ event: event('e1') }, [restless], on.ports)).rejects.toBeInstanceOf(RetryLater);
    expect(looks).toBe(5);
  });
});

test('a finding has the same id wherever it is found, and another for another rule or subject', () => {
  expect(findingId('a', 'b')).toMatch(/^[0-9a-f]{20}$/);
  expect(findingId('a', 'b')).toBe(findingId('a', 'b'));
  expect(new Set([findingId('a', 'b'), findingId('b', 'a'), findingId('a\nb', ''), findingId('a', 'c')]).size).toBe(4);
});

test('an exemption that ended since the checker last read them exempts from nothing', async () => {
  const on = bench();
  const ended = { id: 'x1', rule: 'timeout-long', resource: '*', reason: 'r', owner: 'o', expires: 0, by: admin };
  // As the ledger answers that kept what it had read half a minute ago.
  jest.spyOn(on.ledger, 'exemption').mockImplementation(async (_rule, _resource, _now, maxAge = 0) => (maxAge > 0 ? ended : undefined));
  const id = await found(on);
  expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
});
