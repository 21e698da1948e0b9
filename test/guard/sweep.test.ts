import { functionPages } from '../../aws/lambda.ts';
import { check } from '../../guard/check.ts';
import { type SweepMessage, sweep } from '../../guard/sweep.ts';
import { bench, minute, orders, place, timeout, timeoutLong } from './bench.ts';

function collecting(): {
  readonly send: (messages: readonly SweepMessage[]) => Promise<void>;
  readonly messages: SweepMessage[];
  readonly batches: number[];
} {
  const messages: SweepMessage[] = [];
  const batches: number[] = [];
  return {
    messages,
    batches,
    send: async (more) => {
      batches.push(more.length);
      messages.push(...more);
    },
  };
}

test('every function is sent once, page by page', async () => {
  const { ports, world, ledger } = bench();
  for (let index = 0; index < 119; index += 1) world.lambda.createFunction({ FunctionName: `f${index}` });
  const { send, messages, batches } = collecting();
  expect(await sweep('s1', functionPages(place), send, ports)).toBe(120);
  expect(batches).toEqual([50, 50, 20]);
  expect(new Set(messages.map(({ subject }) => subject.arn)).size).toBe(120);
  expect(messages[0]).toEqual({ sweep: 's1', subject: { arn: orders, type: 'AWS::Lambda::Function', ...place } });
  expect(await ledger.lastSweep()).toEqual({ id: 's1', startedAt: expect.any(Number) });
});

test('functions that only the ledger knows are sent as well, and none twice', async () => {
  const { ports, ledger, world } = bench();
  const gone = `${orders}-gone`;
  await ledger.recordRoles({ function: gone, asOf: world.now, role: 'r', liveRoles: [] });
  await ledger.recordRoles({ function: orders, asOf: world.now, role: 'r', liveRoles: [] });
  await ledger.recordNetwork({ function: gone, asOf: world.now, groups: ['sg-1'], subnets: [] });
  const { send, messages } = collecting();
  expect(await sweep('s1', functionPages(place), send, ports)).toBe(2);
  expect(messages.map(({ subject }) => subject.arn)).toEqual([orders, gone]);
});

test('an empty estate sends nothing', async () => {
  const { ports } = bench();
  const { send, batches } = collecting();
  expect(await sweep('s1', (async function* () {})(), send, ports)).toBe(0);
  expect(batches).toEqual([]);
});

test('a list that breaks off is an error: a sweep that saw half is not one that saw all', async () => {
  const { ports, world } = bench();
  world.fail('ListFunctions', 'TooManyRequestsException');
  const { send } = collecting();
  await expect(sweep('s1', functionPages(place), send, ports)).rejects.toMatchObject({ name: 'TooManyRequestsException' });
});

test('what a sweep finds is said to come from it, has nobody who did it, and ends with a sweep', async () => {
  const on = bench();
  const { send, messages } = collecting();
  await sweep('s1', functionPages(place), send, on.ports);
  for (const message of messages) await check(message, [timeoutLong], on.ports);
  expect(on.published).toMatchObject([{ status: 'open', sweep: 's1' }]);
  expect(on.published[0]?.actor).toBeUndefined();
  on.world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 10 });
  on.advance(minute);
  for (const message of messages) await check({ ...message, sweep: 's2' }, [timeoutLong], on.ports);
  expect(on.published.at(-1)).toMatchObject({ status: 'resolved' });
  expect(timeout(on)).toBe(10);
});
