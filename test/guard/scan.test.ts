import { functionPages } from '../../aws/lambda.ts';
import type { AnyCall } from '../../guard/call.ts';
import { type AnyRule, listing } from '../../guard/rule.ts';
import { type Scanned, scan } from '../../guard/scan.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { expectValid } from '../support/alert-schema.ts';
import { type Bench, bench, orders, place, timeoutLong } from './bench.ts';

async function scanned(on: Bench, rules: readonly AnyRule[] = [timeoutLong], more: object = {}): Promise<Scanned> {
  return await scan(functionPages(place), rules, { ...on.ports, ledger: new MemoryLedger() }, { concurrency: 4, ...more });
}

test('finds what is wrong and nothing else, tells it as an alert with its plan, and changes nothing', async () => {
  const on = bench(timeoutLong, { TimeoutLongMode: 'alert' });
  for (let index = 0; index < 60; index += 1)
    on.world.lambda.createFunction({ FunctionName: `f${index}`, Timeout: index % 20 === 0 ? 120 : 3 });
  const before = on.world.calls.length;
  const { findings, unknown, resources } = await scanned(on);
  expect(findings.map(({ rule, resource }) => `${rule} ${resource.arn.split(':').at(-1)}`)).toEqual(
    ['f0', 'f20', 'f40', 'orders'].map((name) => `timeout-long ${name}`),
  );
  for (const finding of findings) expectValid(finding);
  expect(findings.at(-1)).toMatchObject({ status: 'open', plan: expect.arrayContaining([expect.stringMatching(/^lambda:TagResource /)]) });
  expect({ unknown, resources }).toEqual({ unknown: [], resources: 61 });
  expect(on.world.calls.slice(before).filter(({ operation }) => !/^(Get|List)/.test(operation))).toEqual([]);
  expect(on.published).toEqual([]);
});

test('looks at so many resources at a time, and tells how far it is', async () => {
  const on = bench();
  for (let index = 0; index < 20; index += 1) on.world.lambda.createFunction({ FunctionName: `f${index}` });
  let [open, most] = [0, 0];
  const slow: AnyRule = {
    ...timeoutLong,
    evaluate: async (subject) => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setTimeout(resolve, 1));
      open -= 1;
      return { violations: [], compliant: [subject] };
    },
  };
  const progress: string[] = [];
  await scanned(on, [slow], { concurrency: 3, progress: (done: number, known: number) => progress.push(`${done}/${known}`) });
  expect(most).toBe(3);
  expect(progress).toHaveLength(21);
  expect(progress.at(-1)).toBe('21/21');
});

test('looks at each resource with calls of its own, which may forget with it what they have read', async () => {
  const on = bench();
  on.world.lambda.createFunction({ FunctionName: 'bills' });
  let looks = 0;
  const ports = {
    ...on.ports,
    connect: () => {
      throw new Error('a look has calls of its own');
    },
    forOneLook: () => {
      looks += 1;
      return on.ports.connect;
    },
  };
  const { resources, unknown } = await scanned({ ...on, ports });
  expect({ looks, resources, unknown }).toEqual({ looks: 2, resources: 2, unknown: [] });
});

describe('what could not be read is unknown, never compliant', () => {
  test('a function', async () => {
    const on = bench();
    on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
    const { findings, unknown } = await scanned(on);
    expect(findings).toEqual([]);
    expect(unknown).toEqual([{ rule: 'timeout-long', resource: orders, why: expect.stringContaining('AccessDeniedException') }]);
  });

  test('a function for which AWS has no time, also at the second look', async () => {
    const on = bench();
    let looks = 0;
    const busy = (times: number): AnyRule => ({
      ...timeoutLong,
      evaluate: async (subject, tools) => {
        looks += 1;
        if (looks > times) return await timeoutLong.evaluate(subject, tools as never);
        throw Object.assign(new Error('slow down'), { name: 'TooManyRequestsException', $metadata: {} });
      },
    });
    expect(await scanned(on, [busy(9)])).toMatchObject({
      findings: [],
      unknown: [{ rule: 'timeout-long', resource: orders, why: 'TooManyRequestsException' }],
      resources: 1,
    });
    expect(looks).toBe(2);
    looks = 0;
    expect(await scanned(on, [busy(1)])).toMatchObject({ findings: [{ resource: { arn: orders } }], unknown: [] });
  });

  test('the list of functions', async () => {
    const on = bench();
    on.world.fail('ListFunctions', 'AccessDeniedException');
    const all = 'arn:aws:lambda:us-east-1:111122223333:function:*';
    expect(await scanned(on)).toEqual({
      findings: [],
      unknown: [{ rule: '*', resource: all, why: 'AccessDeniedException' }],
      resources: 0,
      functions: [],
    });
  });

  test('what a rule lists; the other rules are asked all the same', async () => {
    const on = bench();
    const failing: AnyRule = {
      ...timeoutLong,
      id: 'listed',
      list: listing([] as readonly AnyCall[], async function* () {
        yield [];
        throw Object.assign(new Error('no'), { name: 'AccessDeniedException', $metadata: {} });
      }),
      sweep: async () => [],
    };
    const config = { ...on.config, rule: () => on.config.rule('timeout-long') };
    const { findings, unknown } = await scanned({ ...on, ports: { ...on.ports, config } }, [failing, timeoutLong]);
    expect(findings.map(({ rule }) => rule)).toEqual(['timeout-long']);
    expect(unknown).toMatchObject([{ rule: 'listed', why: 'AccessDeniedException' }]);
  });
});
