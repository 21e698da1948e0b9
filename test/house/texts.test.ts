import { committed, read } from './repository.ts';

// What belongs to one machine, to one person's desk or to the making of a file has no place in a file that others read.

/** A text that this file may speak of without holding it. */
const text = (...parts: readonly string[]) => parts.join('');

const forbidden: readonly (readonly [string, RegExp])[] = [
  ['a home directory', new RegExp(text('(?<![\\w.*])/(home', '|Users)/[a-z]'), '')],
  ['the home of root', new RegExp(text('(?<![\\w.*])/roo', 't/'), '')],
  ['a checkout on some machine', new RegExp(text('(?<![\\w.*-])/wor', 'k/(?!\\*)'), '')],
  ['a directory beside the repository', new RegExp(text('\\.\\./sha', 'red\\b'), '')],
  ['a page that is not in the repository', new RegExp(text('\\b(DES', 'IGN|FIE', 'LD|STY', 'LE|EMUL', 'ATOR)\\.md\\b'), '')],
  ["a number of somebody's list", new RegExp(text('\\b(pit', 'fall|iss', 'ue|part|section) #?\\d'), 'i')],
  ['who or what wrote it', new RegExp(text('\\b(clau', 'de|anthro', 'pic|chat', 'gpt|cop', 'ilot|open', 'ai)\\b'), 'i')],
  ['how it came about', new RegExp(text('\\b(as an? (ai|language mod', 'el)|sub-?ag', 'ent|this bri', 'ef)\\b'), 'i')],
  ['a key of AWS', new RegExp(text('\\bAKI', 'A(?!\\w*(EXAMPLE|EMULATOR|ADMIN|BENCH|TEST))[0-9A-Z]{16}\\b'), '')],
  ['a merge that was not finished', new RegExp(text('^(<<<', '<<<< |>>>', '>>>> )'), 'm')],
  ["a window's line ends", /\r\n/],
];

// Names and numbers of others' issues belong to the texts that they are quoted in; a lock file quotes registries.
const files = committed().filter(
  (path) => path !== 'package-lock.json' && !path.startsWith('requirements/') && !/\.(png|ico|zip)$/.test(path),
);

test('there is something to read', () => {
  expect(files.length).toBeGreaterThan(100);
});

test.each(forbidden)('no file names %s', (_, pattern) => {
  const found = files.flatMap((path) => {
    const line = read(path)
      .split('\n')
      .findIndex((one) => pattern.test(one));
    const whole = pattern.multiline ? pattern.test(read(path)) : line >= 0;
    return whole ? [`${path}:${line + 1}`] : [];
  });
  expect(found).toEqual([]);
});

test.each([
  ['a home directory', text('/ho', 'me/ana/guard')],
  ['a checkout on some machine', text('see /wo', 'rk/main/guard')],
  ['a directory beside the repository', text('../sha', 'red/x')],
  ["a number of somebody's list", text('see iss', 'ue 3')],
  ["a number of somebody's list", text('Pit', 'fall 25')],
  ['a page that is not in the repository', text('see DES', 'IGN.md')],
])('%s would be seen: %s', (name, line) => {
  expect(forbidden.find(([one]) => one === name)?.[1].test(line)).toBe(true);
});

test.each(['https://example.com/home/x', '.work/jest.json', '<rootDir>/.work/', 'home/ana'])('%s is none of these', (line) => {
  expect(forbidden.filter(([, pattern]) => pattern.test(line)).map(([name]) => name)).toEqual([]);
});
