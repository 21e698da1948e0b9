import { RetryLater } from '../../guard/errors.ts';
import { quotaOf, scarce } from '../../guard/quota.ts';
import { MemoryLedger } from '../../ledger/memory.ts';

function clock() {
  let time = 1_000_000;
  const slept: number[] = [];
  return {
    now: () => time,
    slept,
    sleep: async (milliseconds: number) => {
      slept.push(milliseconds);
      time += milliseconds;
    },
  };
}

test('five calls are leased at a time', async () => {
  const ledger = new MemoryLedger();
  const { now, sleep, slept } = clock();
  const take = quotaOf(ledger, { perSecond: 5, burst: 10_000, now, sleep });
  for (let call = 0; call < 10; call += 1) await take('lambda');
  expect(ledger.calls.filter((name) => name === 'lease')).toHaveLength(2);
  expect(slept).toEqual([]);
});

test('who takes more than the share waits, and over a minute it is kept', async () => {
  const { now, sleep } = clock();
  const take = quotaOf(new MemoryLedger(), { perSecond: 5, burst: 10_000, now, sleep });
  const start = now();
  for (let call = 0; call < 300; call += 1) await take('lambda');
  expect(now() - start).toBeGreaterThanOrEqual(40_000);
  expect(now() - start).toBeLessThan(70_000);
});

test('a function does not wait for ever: its message comes back later', async () => {
  const { now, sleep, slept } = clock();
  const take = quotaOf({ lease: async () => false }, { perSecond: 5, burst: 0, now, sleep });
  await expect(take('lambda')).rejects.toThrow(RetryLater);
  expect(slept.reduce((sum, one) => sum + one, 0)).toBeLessThan(30_000);
  await expect(take('lambda')).rejects.toThrow('the quota lambda is used up for now');
});

test('messages that are handled side by side share one lease', async () => {
  const ledger = new MemoryLedger();
  const { now, sleep } = clock();
  const take = quotaOf(ledger, { perSecond: 5, burst: 10_000, now, sleep });
  await Promise.all([take('lambda'), take('lambda'), take('lambda'), take('lambda')]);
  expect(ledger.calls.filter((name) => name === 'lease')).toHaveLength(1);
});

test('one that fails does not stop those that come after it', async () => {
  let open = false;
  const { now, sleep } = clock();
  const take = quotaOf({ lease: async () => open }, { perSecond: 5, burst: 0, now, sleep });
  await expect(take('lambda')).rejects.toThrow(RetryLater);
  open = true;
  await expect(take('lambda')).resolves.toBeUndefined();
});

test('quotas have nothing to do with one another', async () => {
  const ledger = new MemoryLedger();
  const { now, sleep } = clock();
  const take = quotaOf(ledger, { perSecond: 5, burst: 10_000, now, sleep });
  await take('lambda');
  await take('lambda-policy');
  expect(ledger.calls.filter((name) => name === 'lease')).toHaveLength(2);
});

// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
// https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
test.each([
  [
    { service: 'lambda', name: 'getFunctionConfiguration' },
    { name: 'lambda', service: 'lambda' },
  ],
  [
    { service: 'lambda', name: 'updateFunctionCode' },
    { name: 'lambda', service: 'lambda' },
  ],
  [
    { service: 'lambda', name: 'getPolicy' },
    { name: 'lambda-policy', service: 'lambda' },
  ],
  [
    { service: 'apigateway', name: 'getRoutes' },
    { name: 'apigateway', service: 'apigateway' },
  ],
  [{ service: 'lambda', name: 'getFunction' }, undefined],
  [{ service: 'lambda', name: 'getDecryptedFunction' }, undefined],
  [{ service: 'iam', name: 'getRole' }, undefined],
])('%j counts against %s', (call, quota) => expect(scarce(call)).toEqual(quota));
