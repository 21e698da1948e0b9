import { type CpuProfile, flameGraph, selfTimes } from '../../scripts/bench/events/flame.ts';

const frame = (functionName: string, url = 'check.js') => ({ functionName, url, lineNumber: 0 });

/** root → handler → (sign, <send>), and idle; a millisecond of each, and one of the first before all others. */
const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)', ''), children: [2, 5] },
    { id: 2, callFrame: frame('handler'), children: [3, 4] },
    { id: 3, callFrame: frame('sign', 'sdk.js') },
    { id: 4, callFrame: frame('<send>', 'sdk.js') },
    { id: 5, callFrame: frame('(idle)', '') },
  ],
  startTime: 1_000_000,
  samples: [2, 2, 3, 4, 4, 5],
  timeDeltas: [1000, 1000, 1000, 1000, 1000, 5000],
};
const ownerOf = ({ functionName, url }: { readonly functionName: string; readonly url: string }) =>
  functionName === '(root)' ? undefined : url;

/** Of each box: what it says, where it begins, how wide it is and how high it stands. */
function boxes(svg: string): readonly (readonly [string, number, number, number])[] {
  return [...svg.matchAll(/<title>(.*?)<\/title><rect x="(.*?)" y="(.*?)" width="(.*?)"/g)].map(
    ([, told = '', x, y, wide]) => [told, Number(x), Number(wide), Number(y)] as const,
  );
}

test('times are those of a function itself, since a moment', () => {
  expect(Object.fromEntries(selfTimes(profile))).toEqual({ 2: 2, 3: 1, 4: 2, 5: 5 });
  expect(Object.fromEntries(selfTimes(profile, 1_003_000))).toEqual({ 3: 1, 4: 2, 5: 5 });
});

test('a box is as wide as what it took with all that it called, and stands on its caller', () => {
  expect(boxes(flameGraph(profile, 'all', ownerOf))).toEqual([
    ['all: 10.0 ms', 0, 1200, 34],
    ['handler (check.js): 5.0 ms', 0, 600, 17],
    ['&lt;send&gt; (sdk.js): 2.0 ms', 0, 240, 0],
    ['sign (sdk.js): 1.0 ms', 240, 120, 0],
    ['(idle): 5.0 ms', 600, 600, 17],
  ]);
});

test('many events are shown as one, and what is over before they begin is left out', () => {
  const svg = flameGraph(profile, 'one of two', ownerOf, { since: 1_003_000, share: 2 });
  expect(boxes(svg).map(([told]) => told)).toEqual([
    'one of two: 4.0 ms',
    '(idle): 2.5 ms',
    'handler (check.js): 1.5 ms',
    '&lt;send&gt; (sdk.js): 1.0 ms',
    'sign (sdk.js): 0.5 ms',
  ]);
});
