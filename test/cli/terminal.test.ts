import { createInterface } from 'node:readline/promises';
import { plain } from '../../cli/plain.ts';
import { confirmed, minuteOf, table } from '../../cli/terminal.ts';

jest.mock('node:readline/promises', () => ({ createInterface: jest.fn() }));

/** Somebody sits at a terminal and answers so. */
function answering(answer: string): { asked: string[]; closed: () => number } {
  const asked: string[] = [];
  const close = jest.fn();
  jest.mocked(createInterface).mockReturnValue({
    question: async (question: string) => {
      asked.push(question);
      return answer;
    },
    close,
  } as unknown as ReturnType<typeof createInterface>);
  return { asked, closed: () => close.mock.calls.length };
}

const { isTTY } = process.stdin;
afterEach(() => {
  process.stdin.isTTY = isTTY;
});

describe('a question', () => {
  test.each([
    ['y', true],
    ['Yes', true],
    [' y ', true],
    ['', false],
    ['n', false],
    ['yesterday', false],
  ])('that is answered with "%s" means %s', async (answer, means) => {
    process.stdin.isTTY = true;
    const { asked, closed } = answering(answer);
    expect(await confirmed('Fix it?', {})).toBe(means);
    expect({ asked, closed: closed() }).toEqual({ asked: ['Fix it? [y/N] '], closed: 1 });
  });

  test('is not asked with --yes', async () => {
    process.stdin.isTTY = true;
    const { asked } = answering('n');
    expect(await confirmed('Fix it?', { yes: true })).toBe(true);
    expect(asked).toEqual([]);
  });

  test('needs somebody who could answer', async () => {
    process.stdin.isTTY = false;
    const { asked } = answering('y');
    await expect(confirmed('Fix it?', {})).rejects.toMatchObject({
      name: 'WrongUse',
      message: 'Fix it? Nobody can be asked here: give --yes.',
    });
    expect(asked).toEqual([]);
  });
});

test('columns are as wide as what is in them', () => {
  expect(
    table(
      ['a', 'long head', 'c'],
      [
        ['wider', 'x', 'end'],
        ['y', '', ''],
      ],
    ),
  ).toBe('a      long head  c\nwider  x          end\ny');
});

describe('text of others', () => {
  test.each([
    ['a line of its own', 'x\nNothing is wrong.\r\n', 'x\\u000aNothing is wrong.\\u000d\\u000a'],
    ['what clears a screen', '\u001B[2J\u009B2J', '\\u001b[2J\\u009b2J'],
    ['what turns the direction', 'a\u202Eb', 'a\\u202eb'],
    [
      'commands to the log of a CI',
      ' ::error::x ##vso[task.complete] ##[error]',
      ' \\u003a:error::x \\u0023#vso[task.complete] \\u0023#[error]',
    ],
    [
      'what commands nothing',
      'arn:aws:iam::1:role/é, ::/0 from 10.0.0.0/8: \\d ## x',
      'arn:aws:iam::1:role/é, ::/0 from 10.0.0.0/8: \\d ## x',
    ],
  ])('%s', (_, text, shown) => {
    expect(plain(text)).toBe(shown);
    expect(table(['a', 'b'], [[text, 'end']]).split('\n')[1]).toBe(`${shown}  end`);
  });

  test('in a question', async () => {
    process.stdin.isTTY = true;
    const { asked } = answering('n');
    await confirmed('Take back\u001B[2J?', {});
    expect(asked).toEqual(['Take back\\u001b[2J? [y/N] ']);
  });
});

test('times are told in UTC, to the minute', () => {
  expect(minuteOf('2026-11-22T18:03:59.999Z')).toBe('2026-11-22 18:03');
  expect(minuteOf(0)).toBe('1970-01-01 00:00');
});
