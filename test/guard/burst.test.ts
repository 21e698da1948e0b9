import { brokenPromises, flood, overtaking, sweeping } from '../../scripts/bench/burst.ts';

// The same as `node scripts/bench/burst.ts`, of fewer events: hours of an account within seconds.

const seed = 7;

describe('150 events at once', () => {
  let figures: Awaited<ReturnType<typeof flood>>;
  beforeAll(async () => {
    figures = await flood({ events: 150, functions: 50, seed });
  });

  test('are judged within the share, none lost, none told twice, and nobody beside the guard is throttled', () => {
    expect(brokenPromises(figures)).toEqual([]);
  });

  test('use it up: many wait, and something is found', () => {
    expect(figures.messages).toBeGreaterThan(300);
    expect(figures.told).toBeGreaterThan(10);
    expect(figures.putBack).toBeGreaterThan(0);
    expect(figures.calls['lambda:*'].perSecond).toBeGreaterThan(4);
    for (const { all } of Object.values(figures.calls)) expect(all).toBeGreaterThan(50);
  });

  test('every promise is held against its figure', () => {
    const calls = { ...figures.calls, 'apigateway:*': { ...figures.calls['apigateway:*'], beyondShare: 2 } };
    const worst = { calls, throttled: { pipeline: 1, guard: 3 }, lost: 4, doubled: 5, drain: { seconds: 13, allowed: 10, ratio: 1.3 } };
    const slow = { overtaking: { alone: { median: 1, most: 1 }, duringSweep: { median: 1, most: 11 } }, eventsPerSecondByLatency: 149 };
    expect(brokenPromises({ ...worst, ...slow })).toEqual([
      '2 calls of apigateway:* beyond the share',
      '1 calls of the pipeline were throttled',
      '3 calls of the guard were throttled',
      '4 lost',
      '5 told twice',
      'took 1.30 times as long as the share allows',
      'an event took 11.0 s while a sweep ran',
      'one checker handles 149 events a second, not 150',
    ]);
  });
});

test('events overtake a sweep', async () => {
  expect((await overtaking(30, seed)).most).toBeLessThan(5);
});

test('a sweep makes its calls, each once, and loses nothing by waiting', async () => {
  const [few, more] = [await sweeping(10, seed), await sweeping(20, seed)];
  expect(few.calls['lambda:*']).toBeGreaterThan(1);
  expect(more.calls).toEqual(few.calls);
});
