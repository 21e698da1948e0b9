import { unlicensed } from '../../scripts/licences.ts';

const lockfile = (license: string | undefined, dev = false) =>
  JSON.stringify({ packages: { '': { name: 'root' }, 'node_modules/a/node_modules/b': { version: '1.0.0', license, dev } } });

test.each(['MIT', 'Apache-2.0', '(MIT OR GPL-3.0-only)', 'MIT AND ISC', '(BSD-3-Clause AND MIT)'])('%s is permissive', (license) => {
  expect(unlicensed(lockfile(license))).toEqual([]);
});

test.each(['GPL-3.0-only', 'MIT AND GPL-3.0-only', 'SEE LICENSE IN LICENSE', ''])('"%s" is not', (license) => {
  expect(unlicensed(lockfile(license))).toEqual([`b 1.0.0: ${license}`]);
});

test('a package without a licence is named', () => {
  expect(unlicensed(lockfile(undefined))).toEqual(['b 1.0.0: no licence named']);
});

test('packages for development alone do not matter', () => {
  expect(unlicensed(lockfile('GPL-3.0-only', true))).toEqual([]);
});
