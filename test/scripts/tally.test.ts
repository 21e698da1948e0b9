import { failedInJest, failedInUnittest, tallyJest, tallyUnittest, total, withExitCode } from '../../scripts/tally.ts';

const report = (counts: object) =>
  JSON.stringify({ numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, numRuntimeErrorTestSuites: 0, ...counts });

test.each([
  ['all passed', report({ numPassedTests: 3 }), { passed: 3, failed: 0, skipped: 0 }],
  ['some failed', report({ numPassedTests: 3, numFailedTests: 2 }), { passed: 3, failed: 2, skipped: 0 }],
  ['skipped and to do', report({ numPassedTests: 1, numPendingTests: 2, numTodoTests: 1 }), { passed: 1, failed: 0, skipped: 3 }],
  ['a suite could not run', report({ numPassedTests: 1, numRuntimeErrorTestSuites: 1 }), { passed: 1, failed: 1, skipped: 0 }],
  ['no test ran', report({}), { passed: 0, failed: 1, skipped: 0 }],
  ['every test skipped', report({ numPendingTests: 4 }), { passed: 0, failed: 1, skipped: 4 }],
  ['no report', undefined, { passed: 0, failed: 1, skipped: 0 }],
])('jest: %s', (_name, text, expected) => {
  expect(tallyJest(text)).toEqual(expected);
});

test.each([
  ['all passed', 'Ran 12 tests in 3.456s\n\nOK\n', { passed: 12, failed: 0, skipped: 0 }],
  ['one test', 'Ran 1 test in 0.001s\n\nOK\n', { passed: 1, failed: 0, skipped: 0 }],
  ['failures and errors', 'Ran 12 tests in 3s\n\nFAILED (failures=1, errors=2, skipped=3)\n', { passed: 6, failed: 3, skipped: 3 }],
  ['an expected failure', 'Ran 4 tests in 3s\n\nOK (expected failures=1)\n', { passed: 4, failed: 0, skipped: 0 }],
  ['an unexpected success', 'Ran 4 tests in 3s\n\nFAILED (unexpected successes=1)\n', { passed: 3, failed: 1, skipped: 0 }],
  ['nothing found', 'Ran 0 tests in 0.000s\n\nNO TESTS RAN\n', { passed: 0, failed: 1, skipped: 0 }],
  ['a crash', 'Segmentation fault', { passed: 0, failed: 1, skipped: 0 }],
])('unittest: %s', (_name, output, expected) => {
  expect(tallyUnittest(output)).toEqual(expected);
});

test('a runner that fails without a failed test is a failure', () => {
  expect(withExitCode({ passed: 5, failed: 0, skipped: 0 }, false)).toEqual({ passed: 5, failed: 1, skipped: 0 });
  expect(withExitCode({ passed: 5, failed: 2, skipped: 0 }, false)).toEqual({ passed: 5, failed: 2, skipped: 0 });
  expect(withExitCode({ passed: 5, failed: 0, skipped: 0 }, true)).toEqual({ passed: 5, failed: 0, skipped: 0 });
});

const testResult = (fullName: string, status: string, ...failureMessages: string[]) => ({ fullName, status, failureMessages });

test('jest: what failed is named, with how its message begins', () => {
  const testResults = [
    { status: 'passed', message: '', assertionResults: [testResult('fine', 'passed')] },
    {
      status: 'failed',
      message: 'all of it',
      assertionResults: [
        testResult('fine too', 'passed'),
        testResult(
          'a part does what it should',
          'failed',
          'Error: expected 1\n\n    at run (/repo/node_modules/jest/run.js:1)\n    at test/a.ts:3',
        ),
      ],
    },
    { status: 'failed', message: '  ● Test suite failed to run', assertionResults: [] },
  ];
  expect(failedInJest(JSON.stringify({ testResults }))).toEqual([
    'a part does what it should\n    Error: expected 1\n        at test/a.ts:3',
    '      ● Test suite failed to run',
  ]);
  expect(failedInJest(undefined)).toEqual(['no report was written']);
});

test('unittest: what failed is named', () => {
  const output =
    '..FE\n=====\nFAIL: test_alias (tests.test_lambda.Alias)\n----\nERROR: test_url (tests.test_lambda.Url)\nRan 4 tests in 3s\n';
  expect(failedInUnittest(output)).toEqual(['FAIL: test_alias (tests.test_lambda.Alias)', 'ERROR: test_url (tests.test_lambda.Url)']);
  expect(failedInUnittest('Ran 4 tests in 3s\n\nOK\n')).toEqual([]);
});

test('tallies add up', () => {
  const tallies = [
    { passed: 1, failed: 0, skipped: 2 },
    { passed: 3, failed: 1, skipped: 0 },
  ];
  expect(total(tallies)).toEqual({ passed: 4, failed: 1, skipped: 2 });
});
