import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** The command line, as a shell has it, where no AWS can be reached. */
function guard(line: string, more: Readonly<Record<string, string | undefined>> = {}) {
  const AWS_ENDPOINT_URL = 'http://127.0.0.1:1';
  const none = { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', AWS_EC2_METADATA_DISABLED: 'true' };
  const env = { PATH: process.env['PATH'], AWS_ENDPOINT_URL, AWS_REGION: 'eu-west-1', ...none, ...more };
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin/node'), ['cli/main.ts', ...line.split(' ')], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  return { code: status, out: stdout, told: stderr };
}

const keys = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'x' };

test.each<[string, string, number, RegExp, Readonly<Record<string, string>>]>([
  ['nothing found', 'replay events/CreateFunctionUrlConfig/none.json --offline --rule layer-foreign', 0, /^Offline: nobody is asked/, {}],
  ['findings', 'replay events/CreateFunctionUrlConfig/none.json --offline --rule function-url-open', 1, /1 rules by/, {}],
  ['a command that there is not', 'scann', 2, /unknown command 'scann'\n\(Did you mean scan\?\)\n$/, {}],
  ['a value that there is not', 'scan --format xml', 2, /^--format takes table, json, sarif, ocsf, html; "xml" is none of them\.\n$/, {}],
  ['no region', 'findings', 2, /^Which region\? Give --region, or set AWS_REGION\.\n$/, { AWS_REGION: '' }],
  ['two regions of one stack', 'report --region eu-west-1,us-east-1', 2, /^A stack is in one region: give --region one of them\.\n$/, keys],
  ['no credentials', 'scan', 3, /^AWS does not know these credentials, or there are none: log in .*\(CredentialsProviderError\)\n$/, {}],
  [
    'no network',
    'findings',
    3,
    /^AWS cannot be reached from here: look at --region, --endpoint-url and the network\. \(ECONNREFUSED\)\n$/,
    keys,
  ],
])('%s: `guard %s` ends with %d, in one sentence', (_, line, code, sentence, more) => {
  const ended = guard(line, more);
  expect(ended).toMatchObject({ code, told: expect.stringMatching(sentence) });
  // No colours and nothing that is written over, where it is no terminal.
  expect(ended.out + ended.told).not.toContain('\u001B');
});

test('a profile brings its region and its keys, whatever else is there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'guard-'));
  const config = join(folder, 'config');
  const own = 'region = ap-south-1\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = y\n';
  writeFileSync(config, `[profile audit]\n${own}[profile bare]\nregion = ap-south-1\n`);
  const env = { ...keys, AWS_CONFIG_FILE: config, AWS_REGION: undefined };
  try {
    expect(guard('findings --profile audit', env)).toMatchObject({
      code: 3,
      told: expect.stringMatching(/^AWS cannot be reached from here/),
    });
    expect(guard('findings --profile bare', env)).toMatchObject({
      code: 3,
      told: expect.stringMatching(/^AWS does not know these credentials/),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('help shows what a command takes anywhere, and examples', () => {
  const whole = guard('--help');
  expect(whole).toMatchObject({ code: 0, told: '' });
  expect(whole.out).toMatch(/^To begin with.*\n {2}guard scan$.*^Exit codes: 0 .*3 something could not be read/ms);
  const { code, out } = guard('scan --help');
  expect(code).toBe(0);
  expect(out).toMatch(/^Global Options:$.*--endpoint-url.*^Examples:\n {2}guard scan --region us-east-1,eu-west-1 --fail-on high$/ms);
  expect(guard('--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});
