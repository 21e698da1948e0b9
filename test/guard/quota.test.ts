import { QuotaUsedUp } from '../../guard/errors.ts';
import { ofEvents, ofSweeps, quotaOf, type Rank, scarce } from '../../guard/quota.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { VirtualTime } from '../../scripts/bench/burst/virtual-time.ts';

const start = 1_000_000;

/** Functions of the guard that share a quota of five a second, and when their calls went. */
function bench(ledger: Parameters<typeof quotaOf>[0] = new MemoryLedger()) {
  const time = new VirtualTime(start);
  const went: number[] = [];
  const worker = (rank: Rank = ofEvents) => {
    const take = quotaOf(ledger, { perSecond: 5, rank, ...time });
    return async (begun = true, name = 'lambda') => {
      await take(name, begun);
      went.push(time.now() - start);
    };
  };
  const over = async (all: Promise<unknown>) => {
    let done = false;
    const settled = all.finally(() => {
      done = true;
    });
    await Promise.all([settled, time.passes(() => done)]);
  };
  return { time, went, worker, over };
}

test('who was idle makes five calls at once, and then one each fifth of a second', async () => {
  const { worker, went, over } = bench();
  const [one, other] = [worker(), worker()];
  await over(Promise.all(Array.from({ length: 10 }, (_, call) => (call % 2 === 0 ? one() : other()))));
  expect(went.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 0, 200, 400, 600, 800, 1000]);
});

test('who takes more than the share waits, and over a minute it is kept', async () => {
  const { worker, went, over } = bench();
  const take = worker();
  const all = async () => {
    for (let call = 0; call < 300; call += 1) await take();
  };
  await over(all());
  expect(went.at(-1)).toBe(59_000);
});

test('what waits side by side is leased for in one go, five at the most', async () => {
  const ledger = new MemoryLedger();
  const { worker, over } = bench(ledger);
  const take = worker();
  await over(Promise.all(Array.from({ length: 12 }, () => take())));
  expect(ledger.calls.filter((name) => name === 'lease')).toHaveLength(3);
});

test('a message begins only where little is promised to others, and goes on whatever is', async () => {
  const { worker, went, over, time } = bench();
  const busy = worker();
  const [fresh, atWork] = [worker(), worker()];
  const others = Promise.all(Array.from({ length: 50 }, () => busy()));
  await over(time.sleep(1));
  const when: Record<string, number> = {};
  const noted = async (name: string, call: Promise<void>) => {
    await call;
    when[name] = time.now() - start;
  };
  await over(Promise.all([noted('new', fresh(false)), noted('at work', atWork(true)), others]));
  // Ten seconds' worth is promised away; the first second's worth went at once.
  expect(when['at work']).toBe(9_200);
  expect(when['new']).toBe(9_400);
  expect(went).toHaveLength(52);
});

test('a sweep begins when nobody waits', async () => {
  const { worker, over, time } = bench();
  await over(worker()());
  const swept = worker(ofSweeps)(false);
  await over(worker()(false));
  expect(time.now()).toBe(start);
  await over(swept);
  expect(time.now()).toBe(start + 500);
});

test.each([
  ['an event', ofEvents, 15],
  ['a sweep', ofSweeps, 120],
])('%s does not wait for ever: its message comes back later', async (_, rank, away) => {
  const { worker, over, time } = bench({ lease: async () => undefined });
  const take = worker(rank);
  const error = await over(take(false)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(QuotaUsedUp);
  expect(error).toMatchObject({ away, message: 'the quota lambda is used up for now' });
  expect(time.now() - start).toBe(30_000);
});

test('whoever comes while others wait has a wait of its own', async () => {
  let open = false;
  const { worker, over, time } = bench({ lease: async (_, _calls, _perSecond, now) => (open ? now : undefined) });
  const take = worker();
  const first = expect(take(false)).rejects.toThrow(QuotaUsedUp);
  await over(time.sleep(20_000));
  const second = take(false);
  await over(first);
  open = true;
  await over(second);
  expect(time.now() - start).toBe(30_500);
});

test('where the ledger fails, so does whoever waits, and the next one asks again', async () => {
  let fails = true;
  const { worker, over } = bench({
    lease: async (_, _calls, _perSecond, now) => {
      if (fails) throw new Error('down');
      return now;
    },
  });
  const take = worker();
  await over(expect(Promise.all([take(), take()])).rejects.toThrow('down'));
  fails = false;
  await over(expect(take()).resolves.toBeUndefined());
});

test('quotas have nothing to do with one another', async () => {
  const { worker, went, over } = bench();
  const take = worker();
  await over(Promise.all(Array.from({ length: 5 }, () => [take(), take(true, 'lambda-policy')]).flat()));
  expect(went).toEqual(Array.from({ length: 10 }, () => 0));
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
  [{ service: 'lambda', name: 'getDecryptedFunction', operation: 'GetFunction' }, undefined],
  [
    { service: 'lambda', name: 'scanLayerVersion', operation: 'GetLayerVersionByArn' },
    { name: 'lambda', service: 'lambda' },
  ],
  [{ service: 'iam', name: 'getRole' }, undefined],
])('%j counts against %s', (call, quota) => expect(scarce(call)).toEqual(quota));
