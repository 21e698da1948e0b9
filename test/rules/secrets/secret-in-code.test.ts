import { strToU8, type Zippable, zipSync } from 'fflate';
import { rule } from '../../../rules/secrets/secret-in-code.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const layer = 'arn:aws:lambda:us-east-1:111122223333:layer:tools:3';
// Joined from parts, so that the secret scanners of code hosts find nothing here.
const githubToken = ['ghp', '_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');
const password = ['Tr0ub4dor', '&3', 'Zebra'].join('');

function packageOf(files: Readonly<Record<string, string>>): Uint8Array {
  const entries: Zippable = {};
  for (const [name, text] of Object.entries(files)) entries[name] = [strToU8(text), { mtime: new Date('2026-01-01') }];
  return zipSync(entries);
}

const clean = packageOf({ 'index.js': 'exports.handler = async () => process.env.DB_PASSWORD;\n' });
const leaky = packageOf({ 'index.js': `const a = 1;\nconst token = '${githubToken}';\n`, 'lib/db.py': `password = "${password}"\n` });

const withCode = ({ lambda }: World, ZipFile: Uint8Array, more: object = {}) =>
  void lambda.createFunction({ FunctionName: 'orders', Code: { ZipFile }, ...more });

const event = sample('UpdateFunctionCode20150331v2/code-by-hand.json');
const nothing = { dependencies: 0, binary: 0, archives: 0 };
const inToken = { in: 'package', file: 'index.js', line: 2, kind: 'GitHub token', versions: ['$LATEST'] };
const examined = (files: number, bytes: number, more: object = {}) => ({
  in: 'package',
  versions: ['$LATEST'],
  files,
  bytes,
  skipped: nothing,
  ...more,
});
const summary = (where: string) => `The code of orders holds a credential: ${where}. Whoever may read the code knows it. Rotate it.`;

ruleTest(rule, {
  rows: [
    {
      name: 'a package that reads its password from elsewhere',
      kind: 'compliant',
      arrange: (world) => withCode(world, clean),
      event,
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a package that was examined before, under any function',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withCode(world, clean);
        const scan = { sha256: 'x', found: [], more: 0, scanned: { files: 1, bytes: 1 }, skipped: nothing };
        const folders = ['node_modules', 'site-packages', 'dist-packages', 'vendor', '__pycache__', '.git'];
        const sha256 = world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).CodeSha256;
        await ledger.recordKept('secret-in-code', `sha256:${sha256}`, { state: { edition: 1, folders, scan }, asOf: 1 });
      },
      event,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a token in a dependency',
      kind: 'compliant',
      arrange: (world) => withCode(world, packageOf({ 'index.js': '1', 'node_modules/lib/test/keys.js': `x('${githubToken}')` })),
      event,
      expect: { compliant: [orders] },
    },
    {
      name: 'words for people under names like those of credentials',
      kind: 'compliant',
      arrange: (world) =>
        withCode(world, packageOf({ 'messages.json': '{"password":"Passwort vergessen","token":"Zugangscode","secret":"Geheimnis"}' })),
      event,
      expect: { compliant: [orders] },
    },
    {
      name: 'a container image is not judged',
      kind: 'compliant',
      arrange: (world) => void world.lambda.createFunction({ FunctionName: 'orders', Code: { ImageUri: 'registry/orders:1' } }),
      event,
      expect: { compliant: [] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'a token and a password in the package',
      kind: 'violating',
      arrange: (world) => withCode(world, leaky, { Tags: { team: 'shop' } }),
      event,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary:
              'The code of orders holds a credential: GitHub token in index.js, line 2, of its package, and 1 more. Whoever may read the code knows it. Rotate each of them.',
            evidence: {
              found: [inToken, { in: 'package', file: 'lib/db.py', line: 1, kind: 'named like a password', versions: ['$LATEST'] }],
              examined: [examined(2, 101)],
            },
            tags: { team: 'shop' },
          },
        ],
      },
      calls: { aws: 4, ledger: 2 },
    },
    {
      name: 'a file of variables in the package',
      kind: 'violating',
      arrange: (world) => withCode(world, packageOf({ '.env.production': 'STAGE=prod\nDB_PASSWORD=correcthorsebattery\n' })),
      event,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: summary('named like a password in .env.production, line 2, of its package'),
            evidence: {
              found: [{ in: 'package', file: '.env.production', line: 2, kind: 'named like a password', versions: ['$LATEST'] }],
              examined: [examined(1, 43)],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'a dependency that is examined where the parameter says so',
      kind: 'violating',
      arrange: (world) => withCode(world, packageOf({ 'node_modules/keys.js': `x('${githubToken}')` })),
      params: { folders: 'bower_components' },
      event,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: summary('GitHub token in node_modules/keys.js, line 1, of its package'),
            evidence: {
              found: [{ in: 'package', file: 'node_modules/keys.js', line: 1, kind: 'GitHub token', versions: ['$LATEST'] }],
              examined: [examined(1, 45)],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'a credential in a layer, which versions share',
      kind: 'violating',
      arrange: (world) => {
        world.lambda.publishLayer(layer, packageOf({ 'bin/tool.sh': `#!/bin/sh\n\ncurl -H 'Authorization: ${githubToken}'\n` }));
        withCode(world, clean, { Layers: [layer], Publish: true });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      event: sample('CreateAlias20150331/code-by-hand.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary: summary(`GitHub token in bin/tool.sh, line 3, of the layer ${layer}`),
            evidence: {
              found: [{ in: layer, file: 'bin/tool.sh', line: 3, kind: 'GitHub token', versions: ['$LATEST', '1'] }],
              examined: [
                examined(1, 55, { versions: ['$LATEST', '1'] }),
                { in: layer, versions: ['$LATEST', '1'], files: 1, bytes: 77, skipped: nothing },
              ],
            },
            tags: {},
          },
        ],
      },
      calls: { aws: 6, ledger: 4 },
    },
    {
      name: 'a credential in the version that an alias routes to, and a layer that nobody may read',
      kind: 'violating',
      arrange: (world) => {
        withCode(world, leaky, { Publish: true });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ZipFile: clean });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Layers: [layer] });
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'high',
            summary:
              'The code of orders holds a credential: GitHub token in index.js, line 2, of its package, and 1 more. Whoever may read the code knows it. Rotate each of them.',
            evidence: {
              found: [
                { ...inToken, versions: ['1'] },
                { in: 'package', file: 'lib/db.py', line: 1, kind: 'named like a password', versions: ['1'] },
              ],
              examined: [
                examined(1, 55),
                examined(2, 101, { versions: ['1'] }),
                { in: layer, versions: ['$LATEST'], skipped: 'may not be read' },
              ],
            },
            tags: {},
          },
        ],
      },
    },
    { name: 'a call that failed', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-denied.json') },
    { name: 'a dry run', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-dry-run.json') },
    { name: 'tags that are changed', kind: 'ignored', event: sample('TagResource20170331v2/exempt.json') },
    {
      name: 'the package may not be downloaded',
      kind: 'failing',
      arrange: (world) => withCode(world, clean),
      event,
      fail: { operation: 'GetFunction', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: (world) => withCode(world, clean),
      event,
      fail: { operation: 'GetFunctionConfiguration', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a package that is no zip',
      kind: 'failing',
      arrange: (world) => withCode(world, Buffer.from('#!/bin/sh')),
      event,
      expect: { throws: 'lasting', error: 'PackageUnreadable' },
    },
    {
      name: 'a layer that nobody may read is never taken for clean',
      kind: 'failing',
      arrange: (world) => withCode(world, clean, { Layers: [layer] }),
      event,
      fail: { operation: 'GetLayerVersionByArn', error: 'AccessDeniedException' },
      expect: { throws: 'lasting', error: 'PackageUnreadable' },
    },
    {
      name: 'a package of more text than may be examined',
      kind: 'failing',
      arrange: (world) => withCode(world, packageOf({ 'big.js': '// nothing\n'.repeat(200_000) })),
      params: { megabytes: '1' },
      event,
      expect: { throws: 'lasting', error: 'PackageUnreadable' },
    },
    {
      name: 'other bytes than those that the hash belongs to',
      kind: 'failing',
      arrange: (world) => {
        withCode(world, leaky);
        world.lambda.tamper(world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).CodeSha256 ?? '', clean);
      },
      event,
      expect: { throws: 'passing', error: 'RetryLater' },
    },
    { name: 'the function is gone', kind: 'failing', event: sample('DeleteFunction20150331/code-function-gone.json') },
  ],
});
