// Every check of the project, in one command: `npm test`, and `npm run check` without the emulator.
// The last line is `N passed, N failed`, counted from the runners' own reports; a check without such a report counts as one test.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { unlicensed } from './licences.ts';
import { failedInJest, failedInUnittest, type Tally, tallyJest, tallyUnittest, total, withExitCode } from './tally.ts';

interface Outcome {
  succeeded: boolean;
  output: string;
}

interface Step {
  name: string;
  run: () => Promise<Outcome>;
  tally?: (outcome: Outcome) => Tally;
  /** Whether its output is of interest where nothing failed, too. */
  shown?: true;
  /** The tests that failed, each by name. */
  failed?: (outcome: Outcome) => readonly string[];
}

const root = join(import.meta.dirname, '..');
const work = join(root, '.work');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const venv = (name: string, tool: string) => join(root, '.venv', name, 'bin', tool);

const withoutEmulator = process.argv.includes('--without-emulator');
const templates = ['template.yaml', 'template.global.yaml'];

// No test may reach a real account: whatever names one in the user's environment is left out.
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_') || name === 'AWS_CA_BUNDLE')),
  PATH: [join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter),
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
  SAM_CLI_TELEMETRY: '0',
  __SAM_CLI_APP_DIR: join(work, 'sam'),
  XDG_CACHE_HOME: join(work, 'cache'),
  FORCE_COLOR: '0',
};

function command(file: string, args: string[], minutes = 10): () => Promise<Outcome> {
  return () =>
    new Promise((resolve) => {
      const child = spawn(file, args, { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'pipe'], timeout: minutes * 60_000 });
      let output = '';
      const collect = (data: Buffer) => {
        output += data;
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      child.on('error', (error) => resolve({ succeeded: false, output: String(error) }));
      child.on('close', (status, signal) => {
        if (signal) output += `\nStopped by ${signal} (the limit is ${minutes} minutes).`;
        resolve({ succeeded: status === 0, output });
      });
    });
}

function jest(project: 'unit' | 'faults' | 'e2e', ...args: string[]): Omit<Step, 'name'> {
  const report = join(work, `jest-${project}.json`);
  const written = () => (existsSync(report) ? readFileSync(report, 'utf8') : undefined);
  const run = command(bin('jest'), ['--selectProjects', project, '--ci', '--json', '--outputFile', report, ...args], 55);
  return {
    run: async () => {
      rmSync(report, { force: true });
      return withoutReport(await run());
    },
    tally: ({ succeeded }) => withExitCode(tallyJest(written()), succeeded),
    failed: () => failedInJest(written()),
  };
}

// With --json, jest also writes the report to its standard output, as one line.
const withoutReport = (outcome: Outcome): Outcome => ({
  ...outcome,
  output: outcome.output
    .split('\n')
    .filter((line) => !line.startsWith('{"num'))
    .join('\n'),
});

const unittest = ['-m', 'unittest', 'discover', '-s', 'test/emulator/tests', '-t', 'test/emulator'];

// Two at a time, longest first. What takes minutes comes after, one by one: the emulator's tests measure time.
const independent: Step[] = [
  { name: 'unit tests (jest)', ...jest('unit', '--maxWorkers=2') },
  ...templates.flatMap((template): Step[] => [
    { name: `${template}: sam validate --lint`, run: command(venv('sam', 'sam'), ['validate', '--lint', '-t', template]) },
    {
      name: `${template}: checkov`,
      run: command(venv('lint', 'checkov'), ['-f', template, '--framework', 'cloudformation', '--quiet', '--compact', '--skip-download']),
    },
    { name: `${template}: cfn-lint`, run: command(venv('lint', 'cfn-lint'), ['-t', template]) },
  ]),
  { name: 'lint and format (biome)', run: command(bin('biome'), ['ci', '--colors=off', '--max-diagnostics=50']) },
  { name: 'types (tsc)', run: command(bin('tsc'), ['--noEmit', '--pretty', 'false']) },
  { name: 'unused code (knip)', run: command(bin('knip'), ['--no-progress']) },
  { name: 'generated text is current', run: command(process.execPath, ['scripts/generate.ts', '--check']) },
  {
    name: 'licences of what is shipped',
    run: async () => {
      const refused = unlicensed(readFileSync(join(root, 'package-lock.json'), 'utf8'));
      return { succeeded: refused.length === 0, output: refused.join('\n') };
    },
  },
];

const afterwards: Step[] = [
  { name: 'every fault at every call (jest)', ...jest('faults', '--maxWorkers=2') },
  {
    name: 'emulator tests (unittest)',
    run: command(venv('emulator', 'python'), unittest, 20),
    tally: ({ succeeded, output }) => withExitCode(tallyUnittest(output), succeeded),
    failed: ({ output }) => failedInUnittest(output),
  },
  { name: 'end to end on the emulator (jest)', ...jest('e2e', '--runInBand') },
  {
    name: 'bench: what is found, called and stored',
    run: command(process.execPath, ['scripts/bench.ts', 'bundles', 'scan', '--functions', '60', '--rounds', '3'], 10),
    shown: true,
  },
];

// Said before all that a step printed, and again at the end: whoever sees only a part of a long run sees what failed.
const failures: string[] = [];

async function perform(step: Step): Promise<Tally> {
  const start = Date.now();
  const seconds = () => `${((Date.now() - start) / 1000).toFixed(1)} s`;
  const heartbeat = setInterval(() => console.log(`  …   ${step.name} is still running (${seconds()})`), 30_000);
  const outcome = await step.run();
  clearInterval(heartbeat);
  const tally = step.tally?.(outcome) ?? withExitCode({ passed: outcome.succeeded ? 1 : 0, failed: 0, skipped: 0 }, outcome.succeeded);
  const tests = step.tally ? `, ${tally.passed} of ${tally.passed + tally.failed} tests` : '';
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  console.log(`${tally.failed > 0 ? 'FAILED' : '  ok  '} ${step.name} (${seconds()}${tests}${skipped})`);
  const failed = tally.failed > 0 ? (step.failed?.(outcome) ?? []) : [];
  for (const test of failed) console.log(`FAILED ${test}`);
  failures.push(...failed.map((test) => `${step.name}: ${test}`));
  if (tally.failed > 0 || step.shown) console.log(outcome.output.trim().replace(/^/gm, '       | '));
  return tally;
}

async function performAll(steps: Step[], atOnce: number): Promise<Tally[]> {
  const queue = [...steps];
  const tallies: Tally[] = [];
  const worker = async () => {
    for (let step = queue.shift(); step; step = queue.shift()) tallies.push(await perform(step));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return tallies;
}

mkdirSync(work, { recursive: true });
const tallies = await performAll(independent, 2);
if (!withoutEmulator) tallies.push(...(await performAll(afterwards, 1)));

const { passed, failed } = total(tallies);
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0); // a process that could not start leaves its time limit behind
