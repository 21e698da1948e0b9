import { z } from 'zod';

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Counts from the file that `jest --json --outputFile` writes. A suite that could not run, or a run of no tests, is a failure. */
export function tallyJest(report: string | undefined): Tally {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } = JSON.parse(report);
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return { passed: numPassedTests, failed: numPassedTests + failed === 0 ? 1 : failed, skipped: numPendingTests + numTodoTests };
}

/** Counts from the closing lines of Python's unittest: `Ran 12 tests in 3.4s`, `FAILED (failures=1, errors=2, skipped=1)`. */
export function tallyUnittest(output: string): Tally {
  const ran = Number(output.match(/^Ran (\d+) tests? in /m)?.[1] ?? 0);
  const closing = output.match(/^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$/m)?.[1] ?? '';
  const count = (word: string) => Number(closing.match(new RegExp(`(?:^|, )${word}=(\\d+)`))?.[1] ?? 0);
  const failed = count('failures') + count('errors') + count('unexpected successes');
  const skipped = count('skipped');
  const passed = Math.max(0, ran - failed - skipped);
  return { passed, failed: passed + failed === 0 ? 1 : failed, skipped };
}

/** The runner's exit code has the last word: a run that fails without a failed test (a crash, a coverage threshold) is not a success. */
export function withExitCode(tally: Tally, succeeded: boolean): Tally {
  return succeeded || tally.failed > 0 ? tally : { ...tally, failed: 1 };
}

/** What failed, by name and with how its message begins, from the file that `jest --json --outputFile` writes. */
export function failedInJest(report: string | undefined): readonly string[] {
  if (report === undefined) return ['no report was written'];
  const { testResults } = z.object({ testResults: z.array(suite) }).parse(JSON.parse(report));
  return testResults.flatMap(({ status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [beginning(message)] : [];
    return failed.map(({ fullName, failureMessages }) => `${fullName}\n${beginning(failureMessages.join('\n'))}`);
  });
}

const suite = z.object({
  status: z.string(),
  message: z.string(),
  assertionResults: z.array(z.object({ fullName: z.string(), status: z.string(), failureMessages: z.array(z.string()) })),
});

/** The first lines of a message, without where in which file it came up. */
const beginning = (message: string) =>
  message
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s+at .*node_modules/.test(line))
    .slice(0, 12)
    .map((line) => `    ${line.slice(0, 240)}`)
    .join('\n');

/** What failed, by name, from the output of Python's unittest. */
export function failedInUnittest(output: string): readonly string[] {
  return output.match(/^(?:FAIL|ERROR): .*$/gm) ?? [];
}

export function total(tallies: Tally[]): Tally {
  const sum = (pick: (tally: Tally) => number) => tallies.reduce((result, tally) => result + pick(tally), 0);
  return { passed: sum((t) => t.passed), failed: sum((t) => t.failed), skipped: sum((t) => t.skipped) };
}
