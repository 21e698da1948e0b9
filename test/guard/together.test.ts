import { setImmediate as nextTurn } from 'node:timers/promises';
import { together } from '../../guard/together.ts';

const ended: string[] = [];
async function work<T>(name: string, turns: number, yields: () => T): Promise<T> {
  for (let turn = 0; turn < turns; turn += 1) await nextTurn();
  ended.push(name);
  return yields();
}
const fails = (name: string) => () => {
  throw new Error(name);
};

beforeEach(() => {
  ended.length = 0;
});

test('yields what each of them yields, in the order given', async () => {
  expect(
    await together(
      work('slow', 3, () => 1),
      work('quick', 1, () => 'two'),
    ),
  ).toEqual([1, 'two']);
  expect(ended).toEqual(['quick', 'slow']);
});

test('where one fails the others have ended before it is told', async () => {
  await expect(
    together(
      work('quick', 1, fails('quick')),
      work('slow', 5, () => 1),
    ),
  ).rejects.toThrow('quick');
  expect(ended).toEqual(['quick', 'slow']);
});

test('what is told is the first that failed as they are given, not as they ended', async () => {
  await expect(together(work('slow', 5, fails('slow')), work('quick', 1, fails('quick')))).rejects.toThrow('slow');
  expect(ended).toEqual(['quick', 'slow']);
});
