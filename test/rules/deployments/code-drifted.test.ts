import { createHash } from 'node:crypto';
import type { Baseline } from '../../../guard/estate.ts';
import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/deployments/code-drifted.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const settings = { deployers: [pipeline] };

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');
const zip = (text: string) => ({ ZipFile: Buffer.from(text) });
const keyOf = (hash: string) => `orders/${hash.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}.zip`;
const approvedHash = sha256('approved package');
const foreignHash = sha256('foreign package');
const anyVersion = expect.any(String) as unknown as string;
const anyRevision = expect.any(String) as unknown as string;

const archived = { bucket: 'guard-archive', key: keyOf(approvedHash), version: anyVersion };
const kept = { bucket: 'guard-archive', key: `evidence/${keyOf(foreignHash)}`, version: anyVersion };

function withFunction({ lambda }: World, code = 'approved package'): void {
  lambda.createFunction({ FunctionName: 'orders', Code: zip(code), Tags: { team: 'shop' } });
}

function withForeignCode(world: World): void {
  withFunction(world);
  world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('foreign package') });
}

/** The approved package in the archive, and the baseline that says so. */
async function approve({ s3 }: World, ledger: MemoryLedger, more: Partial<Baseline> = {}): Promise<void> {
  const place = { Bucket: 'guard-archive', Key: keyOf(approvedHash) };
  const { VersionId: version } = s3.putObject({ ...place, Body: 'approved package', ChecksumSHA256: approvedHash }) as {
    VersionId: string;
  };
  await ledger.recordBaseline({
    function: orders,
    state: 'approved',
    package: { type: 'Zip', sha256: approvedHash, archive: { bucket: place.Bucket, key: place.Key, version }, architecture: 'arm64' },
    approvedHashes: [approvedHash],
    aliases: {},
    by: pipeline,
    at: '2026-11-22T11:00:00Z',
    asOf: Date.parse('2026-11-22T11:00:00Z'),
    revision: 1,
    ...more,
  });
}

async function observe(_world: World, ledger: MemoryLedger, more: Partial<Baseline> = {}): Promise<void> {
  await ledger.recordBaseline({
    function: orders,
    state: 'observed',
    package: { type: 'Zip', sha256: approvedHash, archive: undefined, architecture: 'arm64' },
    approvedHashes: [approvedHash],
    aliases: {},
    by: '',
    at: '2026-11-22T11:00:00Z',
    asOf: 0,
    revision: 1,
    ...more,
  });
}

/** Version 1 is what the pipeline deployed and `live` serves; version 2 is what somebody published by hand. */
function withTwoVersions({ lambda }: World): void {
  lambda.createFunction({ FunctionName: 'orders', Code: zip('approved package') });
  lambda.publishVersion({ FunctionName: 'orders' });
  lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('foreign package') });
  lambda.publishVersion({ FunctionName: 'orders' });
}

const liveAtOne = { aliases: { live: { version: '1', weights: {} } } };
const approvedBy = { approved: approvedHash, approvedBy: pipeline, approvedAt: '2026-11-22T11:00:00Z' };
const byPipeline = `Approved is the package of ${pipeline}, since 2026-11-22T11:00:00Z.`;

const changed = {
  subject: orders,
  severity: 'critical' as const,
  summary: `orders: the code of orders is not the one that was deployed. ${byPipeline}`,
  evidence: { sha256: foreignHash, ...approvedBy, aliases: [], kept },
  tags: { team: 'shop' },
};
const putBack = {
  call: 'updateFunctionCode',
  input: {
    FunctionName: orders,
    sha256: approvedHash,
    S3Bucket: 'guard-archive',
    S3Key: archived.key,
    S3ObjectVersion: anyVersion,
    Architectures: ['arm64'],
    RevisionId: anyRevision,
  },
  undo: [
    {
      call: 'updateFunctionCode',
      input: {
        FunctionName: orders,
        sha256: foreignHash,
        S3Bucket: 'guard-archive',
        S3Key: kept.key,
        S3ObjectVersion: anyVersion,
        Architectures: ['arm64'],
      },
    },
  ],
};

ruleTest(rule, {
  rows: [
    {
      name: 'a sweep that finds what is approved',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        await approve(world, ledger);
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a sweep that sees the function for the first time',
      kind: 'compliant',
      arrange: (world) => withTwoVersions(world),
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a sweep that finds other code than it observed',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await observe(world, ledger);
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'code that an event told of is of code-changed-by-hand',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger, { byHand: [foreignHash] });
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'what drifted, once an event tells that it was by hand',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a deployment, which ends it',
      kind: 'compliant',
      arrange: (world) => withFunction(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'another event of a function that drifted opens and ends nothing',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      event: sample('PublishVersion20150331/code-by-pipeline.json'),
      expect: { compliant: [] },
    },
    {
      name: 'a sweep that finds code of which no event told',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      sweep: orders,
      expect: { violations: [{ ...changed, plan: { steps: [putBack] } }] },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'an alias that went somewhere else in silence',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        await approve(world, ledger, { ...liveAtOne, byHand: [foreignHash], approvedHashes: [approvedHash] });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '3' });
      },
      settings,
      sweep: orders,
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its alias live routes to 3, where no deployer has put it. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [{ alias: 'live', routesTo: ['3'], unapproved: [], approved: ['1'] }],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'code in silence beside an alias by hand: each is told by its own rule',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        await approve(world, ledger, { ...liveAtOne, byHand: ['live→2'] });
      },
      settings,
      sweep: orders,
      expect: { violations: [{ ...changed, tags: {}, plan: { steps: [{ ...putBack, input: expect.anything() }] } }] },
    },
    {
      name: 'a package that is no longer in the archive',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
        world.s3.remove('guard-archive', keyOf(approvedHash));
      },
      settings,
      sweep: orders,
      expect: {
        violations: [{ ...changed, plan: { steps: [], refused: 'The approved package of orders is no longer in the archive.' } }],
      },
    },
    { name: 'a dry run', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-dry-run.json') },
    { name: 'a call that was denied', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-denied.json') },
    { name: 'a function of another account', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-other-account.json') },
    {
      name: 'the function may not be read',
      kind: 'failing',
      settings,
      sweep: orders,
      arrange: (world) => withForeignCode(world),
      fail: { operation: 'GetFunction', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      settings,
      sweep: orders,
      arrange: (world) => withForeignCode(world),
      fail: { operation: 'ListAliases', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a live version may not be read',
      kind: 'failing',
      settings,
      sweep: orders,
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        await approve(world, ledger, liveAtOne);
      },
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    { name: 'the function is gone', kind: 'failing', settings, event: sample('DeleteFunction20150331/code-function-gone.json') },
  ],
  roundTrips: [
    {
      name: 'the approved code comes back, and the alias',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        await approve(world, ledger, liveAtOne);
      },
      settings,
      sweep: orders,
      steps: ['updateAlias', 'updateFunctionCode'],
      fixed: ({ lambda }) => expect(lambda.getFunctionConfiguration({ FunctionName: 'orders' }).CodeSha256).toBe(approvedHash),
    },
  ],
});
