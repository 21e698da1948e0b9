import { rules } from '../../rules/index.ts';
import { checkerBundles } from '../../scripts/bench/bundles.ts';

// What is loaded at a cold start: a client of the SDK that only one call needs is soon 100 KB.

test('the bundle of every checker has at most 600 KB, zipped', async () => {
  const bundles = await checkerBundles();
  expect(bundles.map(({ practice }) => practice).sort()).toEqual([...new Set(rules.map(({ practice }) => practice))].sort());
  expect(bundles.filter(({ zippedBytes }) => zippedBytes > 600_000)).toEqual([]);
  // A bundle without its largest inputs would be none.
  expect(bundles.filter(({ zippedBytes }) => zippedBytes < 50_000)).toEqual([]);
});
