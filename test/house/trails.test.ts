import { heardServices } from '../../guard/trails.ts';
import { rules } from '../../rules/index.ts';

test('a trail has to take in the calls of every service that rules listen to, and of no other', () => {
  expect(heardServices).toEqual([...new Set(rules.flatMap(({ on }) => on.map(({ service }) => service)))].sort());
});
