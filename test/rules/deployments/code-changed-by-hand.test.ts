import { createHash } from 'node:crypto';
import type { UpdateFunctionConfigurationCommandInput } from '@aws-sdk/client-lambda';
import type { Baseline } from '../../../guard/estate.ts';
import { setupOf } from '../../../guard/run-setup.ts';
import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/deployments/code-changed-by-hand.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const settings = { deployers: [pipeline] };
const repository = '111122223333.dkr.ecr.us-east-1.amazonaws.com/orders';

const sha256 = (text: string, encoding: 'base64' | 'hex' = 'base64') => createHash('sha256').update(text).digest(encoding);
const zip = (text: string) => ({ ZipFile: Buffer.from(text) });
const keyOf = (hash: string) => `orders/${hash.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}.zip`;
const approvedHash = sha256('approved package');
const foreignHash = sha256('foreign package');
const image = (text: string) => `${repository}@sha256:${sha256(text, 'hex')}`;
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

const hooks = 'arn:aws:lambda:us-east-1:111122223333:layer:hooks:3';
const mapping = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const known = (is: string) => ({ is, asOf: 0 });
const asDeployed = {
  handler: known('index.handler'),
  runtime: known('nodejs24.x'),
  layers: known(''),
  command: known(''),
  switches: known(''),
};

/** At the time that the samples tell. */
function setUp({ lambda }: World, settings: Omit<UpdateFunctionConfigurationCommandInput, 'FunctionName'>): void {
  lambda.updateFunctionConfiguration({ FunctionName: 'orders', ...settings });
  lambda.edit('orders', { LastModified: '2026-11-22T12:00:00.000+0000' });
}

const approvalOf = (hash: string) => ({
  runs: [hash, 'setup:handler→index.handler', 'setup:runtime→nodejs24.x', 'setup:layers→', 'setup:command→', 'setup:switches→'],
  sha256: hash,
  by: 'arn:aws:sts::111122223333:assumed-role/Operators/olga',
  at: '2026-11-22T11:30:00.000Z',
});
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
const unknownBefore = {
  ...changed,
  summary: 'orders: the code of orders is not the one that was deployed. No approved package of it is known.',
  evidence: { sha256: foreignHash, aliases: [], kept },
  plan: { steps: [], refused: 'No approved package of orders is known: what one of the Deployers deploys becomes it.' },
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
      name: 'a deployment by the pipeline',
      kind: 'compliant',
      arrange: (world) => withFunction(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a deployment that publishes a version',
      kind: 'compliant',
      arrange: (world) => withFunction(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-published-by-pipeline.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'a function that the pipeline makes',
      kind: 'compliant',
      arrange: (world) => withFunction(world),
      settings,
      event: sample('CreateFunction20150331/code-by-pipeline.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'the pipeline moves an alias to what it deployed',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'orders', Code: zip('older package') });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        await approve(world, ledger, liveAtOne);
      },
      settings,
      event: sample('UpdateAlias20150331/code-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'the pipeline starts a canary',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', RoutingConfig: { AdditionalVersionWeights: { 2: 0.1 } } });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        await approve(world, ledger, liveAtOne);
      },
      settings,
      event: sample('UpdateAlias20150331/code-canary-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 4 },
    },
    {
      name: 'by hand, but it is the approved code',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'the pipeline changes handler, layers and variables',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        setUp(world, { Handler: 'hook.handler', Layers: [hooks], Environment: { Variables: { NODE_OPTIONS: '--enable-source-maps' } } });
        await approve(world, ledger, { setup: asDeployed });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a variable of the application that somebody sets by hand',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        setUp(world, { Environment: { Variables: { LOG_LEVEL: 'debug' } } });
        await approve(world, ledger, { setup: asDeployed });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-variables-by-hand.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'an event source that a deployer has taken over since',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        world.lambda.createEventSourceMapping({ FunctionName: 'orders', UUID: mapping });
        await approve(world, ledger, { sources: { [mapping]: { byHand: true, asOf: 1 } } });
      },
      settings,
      event: sample('UpdateEventSourceMapping20150331/source-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'an event source by hand that is disabled by now',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        world.lambda.createEventSourceMapping({ FunctionName: 'orders', UUID: mapping });
        world.lambda.updateEventSourceMapping({ UUID: mapping, Enabled: false });
        await approve(world, ledger, { sources: { [mapping]: { byHand: true, asOf: 1 } } });
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'a layer that another rule of the guard has put back',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        setUp(world, { Handler: 'hook.handler', Layers: [hooks] });
        await approve(world, ledger, { setup: asDeployed });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-by-hand.json', {
        detail: {
          userIdentity: { sessionContext: { sessionIssuer: { arn: 'arn:aws:iam::111122223333:role/guard-remediate-layer-foreign' } } },
        },
      }),
      expect: { compliant: [orders] },
    },
    {
      name: 'by hand, and nothing that was not observed before',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        await observe(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { compliant: [orders] },
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
      name: 'a sweep that finds other code than it observed, and no event said that it was by hand',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await observe(world, ledger);
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { ledger: 2 },
    },
    {
      name: 'a sweep that finds code of which no event told, which is of code-drifted',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'code by hand that an operator approved, and that still runs',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger, { byHand: [foreignHash], approval: approvalOf(foreignHash) });
      },
      settings,
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'an image that an operator approved, where nobody is listed as a deployer',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'orders', PackageType: 'Image', Code: { ImageUri: image('foreign image') } });
        await observe(world, ledger, { approval: approvalOf(sha256('foreign image', 'hex')) });
      },
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'no deployers are listed, and it was no console session',
      kind: 'compliant',
      arrange: (world) => withForeignCode(world),
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a new alias by hand, to approved code',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        await approve(world, ledger);
      },
      settings,
      event: sample('CreateAlias20150331/code-by-hand.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'an event of the pipeline that newer code has overtaken decides nothing',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        withFunction(world, 'next package');
        await approve(world, ledger, {
          approvedHashes: [sha256('older package')],
          package: { type: 'Zip', sha256: sha256('older package'), archive: undefined },
        });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json'),
      expect: { compliant: [] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'the pipeline publishes before its new code is approved: that decides nothing',
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
      name: 'an image that the pipeline deploys',
      kind: 'compliant',
      arrange: ({ lambda }) =>
        void lambda.createFunction({ FunctionName: 'orders', PackageType: 'Image', Code: { ImageUri: image('approved image') } }),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-image-by-pipeline.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'code that somebody put there by hand',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { violations: [{ ...changed, plan: { steps: [putBack] } }] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'an operator approved other code than somebody put there by hand since',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger, { approval: approvalOf(sha256('hot fix')) });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { violations: [{ ...changed, plan: { steps: [putBack] } }] },
    },
    {
      name: "a console session that wears the pipeline's role",
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-in-the-console.json'),
      expect: { violations: [changed] },
    },
    {
      name: "a user's own stack update is not the pipeline's",
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-cloudformation-user.json'),
      expect: { violations: [changed] },
    },
    {
      name: 'a console session, where no deployers are listed',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await observe(world, ledger);
      },
      event: sample('UpdateFunctionCode20150331v2/code-in-the-console.json'),
      expect: { violations: [unknownBefore] },
    },
    {
      name: 'by hand, on a function of which nothing is known',
      kind: 'violating',
      arrange: (world) => withForeignCode(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { violations: [unknownBefore] },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'a function made by hand',
      kind: 'violating',
      arrange: (world) => withFunction(world, 'foreign package'),
      settings,
      event: sample('CreateFunction20150331/code-by-hand.json'),
      expect: { violations: [unknownBefore] },
    },
    {
      name: 'by hand, and a sweep was there between the change and its event',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await observe(world, ledger, {
          package: { type: 'Zip', sha256: foreignHash, archive: undefined },
          approvedHashes: [foreignHash],
          at: '2026-11-22T12:00:30.000Z',
        });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: { violations: [unknownBefore] },
    },
    {
      name: 'a sweep after a change by hand, where nothing is approved',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await observe(world, ledger, { byHand: [foreignHash] });
      },
      settings,
      sweep: orders,
      expect: { violations: [{ ...unknownBefore, evidence: { sha256: foreignHash, aliases: [] } }] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'somebody publishes the code that they put there',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger, { byHand: [foreignHash] });
      },
      settings,
      event: sample('PublishVersion20150331/code-by-hand.json'),
      expect: { violations: [changed] },
    },
    {
      name: 'an alias that somebody moved to a version of their own',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        await approve(world, ledger, liveAtOne);
      },
      settings,
      event: sample('UpdateAlias20150331/code-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its alias live routes to 2, where no deployer has put it. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [{ alias: 'live', routesTo: ['2'], unapproved: ['2'], approved: ['1'] }],
              kept,
            },
            tags: {},
            plan: {
              steps: [
                {
                  call: 'updateAlias',
                  input: {
                    FunctionName: orders,
                    Name: 'live',
                    FunctionVersion: '1',
                    RoutingConfig: { AdditionalVersionWeights: {} },
                    RevisionId: anyRevision,
                  },
                  undo: [
                    {
                      call: 'updateAlias',
                      input: { FunctionName: orders, Name: 'live', FunctionVersion: '2', RoutingConfig: { AdditionalVersionWeights: {} } },
                    },
                  ],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 5, ledger: 2 },
    },
    {
      name: 'an alias that somebody moved back to an older approved version',
      kind: 'violating',
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'orders', Code: zip('older package') });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        await approve(world, ledger, {
          approvedHashes: [approvedHash, sha256('older package')],
          aliases: { live: { version: '2', weights: {} } },
        });
      },
      settings,
      event: sample('UpdateAlias20150331/code-by-hand.json', {
        detail: { responseElements: { functionVersion: '1' }, requestParameters: { functionVersion: '1' } },
      }),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its alias live routes to 1, where no deployer has put it. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [{ alias: 'live', routesTo: ['1'], unapproved: [], approved: ['2'] }],
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'an alias to foreign code, whose approved target nobody knows',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateAlias20150331/code-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its alias live routes to 2, where no deployer has put it. ${byPipeline}`,
            evidence: { sha256: approvedHash, ...approvedBy, aliases: [{ alias: 'live', routesTo: ['2'], unapproved: ['2'] }], kept },
            tags: {},
            plan: {
              steps: [],
              remains: ['alias live, which routes to 2 and has no approved target'],
              refused: 'Nothing can be put back: alias live, which routes to 2 and has no approved target.',
            },
          },
        ],
      },
    },
    {
      name: 'the pipeline moves an alias to a version that was made by hand',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('approved package') });
        await approve(world, ledger, { ...liveAtOne, byHand: [foreignHash] });
      },
      settings,
      event: sample('UpdateAlias20150331/code-by-pipeline.json'),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its alias live routes to 2, where no deployer has put it. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [{ alias: 'live', routesTo: ['2'], unapproved: ['2'], approved: ['1'] }],
              kept,
            },
            tags: {},
          },
        ],
      },
    },
    {
      name: 'a handler and a layer that somebody changed by hand',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withFunction(world);
        setUp(world, { Handler: 'hook.handler', Layers: [hooks] });
        await approve(world, ledger, { setup: asDeployed });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its handler is hook.handler instead of index.handler, and no deployer did that, and its layers are ${hooks} instead of none, and no deployer did that. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [],
              setup: [
                { what: 'handler', now: 'hook.handler', approved: 'index.handler' },
                { what: 'layers', now: hooks, approved: '' },
              ],
            },
            plan: {
              steps: [
                {
                  call: 'putSetup',
                  input: { FunctionName: orders, Handler: 'index.handler', Layers: [], RevisionId: anyRevision },
                  undo: [{ call: 'putSetup', input: { FunctionName: orders, Handler: 'hook.handler', Layers: [hooks] } }],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a variable by which other code is loaded, set by hand',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withFunction(world);
        setUp(world, { Environment: { Variables: { NODE_OPTIONS: '--require /tmp/hook.js', LOG_LEVEL: 'debug' } } });
        await approve(world, ledger, { setup: asDeployed });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-variables-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its variable NODE_OPTIONS, which decides what code runs, was set, and no deployer did that. ${byPipeline}`,
            evidence: { sha256: approvedHash, ...approvedBy, aliases: [], setup: [{ what: 'NODE_OPTIONS', now: 'set' }] },
            plan: {
              steps: [],
              remains: ['NODE_OPTIONS: no values of variables are kept, so put them back yourself'],
              refused: 'Nothing can be put back: NODE_OPTIONS: no values of variables are kept, so put them back yourself.',
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a sweep that finds a handler again of which an event told',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withFunction(world);
        setUp(world, { Handler: 'hook.handler' });
        await approve(world, ledger, { setup: asDeployed, byHand: ['setup:handler→hook.handler'] });
      },
      settings,
      sweep: orders,
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its handler is hook.handler instead of index.handler, and no deployer did that. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [],
              setup: [{ what: 'handler', now: 'hook.handler', approved: 'index.handler' }],
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'an event source that somebody gave the function by hand',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withFunction(world);
        world.lambda.createEventSourceMapping({ FunctionName: 'orders', UUID: mapping });
        await approve(world, ledger);
      },
      settings,
      event: sample('CreateEventSourceMapping20150331/source-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            summary: `orders: its event source mapping ${mapping} (arn:aws:sqs:us-east-1:111122223333:stranger) was made or changed by no deployer. ${byPipeline}`,
            evidence: {
              sha256: approvedHash,
              ...approvedBy,
              aliases: [],
              sources: [{ mapping, source: 'arn:aws:sqs:us-east-1:111122223333:stranger' }],
            },
            plan: {
              steps: [],
              remains: [`the event source mapping ${mapping}, which only who knows its source can judge`],
              refused: `Nothing can be put back: the event source mapping ${mapping}, which only who knows its source can judge.`,
            },
          },
        ],
      },
      calls: { aws: 3, ledger: 2 },
    },
    {
      name: 'an image that somebody put there by hand',
      kind: 'violating',
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'orders', PackageType: 'Image', Code: { ImageUri: image('foreign image') } });
        const hash = sha256('approved image', 'hex');
        await approve(world, ledger, {
          package: { type: 'Image', sha256: hash, imageUri: image('approved image'), architecture: 'arm64' },
          approvedHashes: [hash],
        });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-image-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            evidence: { sha256: sha256('foreign image', 'hex'), ...approvedBy, approved: sha256('approved image', 'hex'), aliases: [] },
            tags: {},
            plan: {
              steps: [
                {
                  call: 'updateFunctionCode',
                  input: {
                    FunctionName: orders,
                    sha256: sha256('approved image', 'hex'),
                    ImageUri: image('approved image'),
                    Architectures: ['arm64'],
                    RevisionId: anyRevision,
                  },
                  undo: [
                    {
                      call: 'updateFunctionCode',
                      input: {
                        FunctionName: orders,
                        sha256: sha256('foreign image', 'hex'),
                        ImageUri: image('foreign image'),
                        Architectures: ['arm64'],
                      },
                    },
                  ],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a package that lies in a bucket of the customer is not read by the guard',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger, {
          package: { type: 'Reference', sha256: approvedHash, object: { bucket: 'artifacts', key: 'orders.zip', version: 'v7' } },
        });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            plan: {
              steps: [
                {
                  call: 'updateFunctionCode',
                  input: {
                    FunctionName: orders,
                    sha256: approvedHash,
                    S3Bucket: 'artifacts',
                    S3Key: 'orders.zip',
                    S3ObjectVersion: 'v7',
                    S3ObjectStorageMode: 'REFERENCE',
                    RevisionId: anyRevision,
                  },
                  undo: [],
                },
              ],
              refused:
                'The approved package of orders lies in a bucket of yours (s3://artifacts/orders.zip), which the guard may not read: put it back yourself.',
            },
          },
        ],
      },
    },
    {
      name: 'an approved package that is no longer in the archive',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withForeignCode(world);
        await approve(world, ledger);
        world.s3.remove('guard-archive', keyOf(approvedHash));
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      expect: {
        violations: [{ ...changed, plan: { steps: [], refused: 'The approved package of orders is no longer in the archive.' } }],
      },
    },
    {
      name: 'a function that was made anew as an image',
      kind: 'violating',
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'orders', PackageType: 'Image', Code: { ImageUri: image('foreign image') } });
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-image-by-hand.json'),
      expect: {
        violations: [
          {
            ...changed,
            evidence: { sha256: sha256('foreign image', 'hex'), ...approvedBy, aliases: [] },
            tags: {},
            plan: { steps: [], refused: 'orders was made anew with another package type, which no update of its code changes back.' },
          },
        ],
      },
    },
    {
      name: 'variables that somebody wrote by hand, and that cannot be decrypted',
      kind: 'failing',
      arrange: async (world, ledger) => {
        withFunction(world);
        world.lambda.edit('orders', { Environment: { Error: { ErrorCode: 'AccessDeniedException', Message: 'no key' } } });
        await approve(world, ledger, { setup: asDeployed });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-variables-by-hand.json'),
      expect: { throws: 'lasting', error: 'VariablesUnreadable' },
    },
    { name: 'a dry run', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-dry-run.json') },
    { name: 'a call that was denied', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-denied.json') },
    { name: 'a function of another account', kind: 'ignored', event: sample('UpdateFunctionCode20150331v2/code-other-account.json') },
    {
      name: 'an event that changes nothing that runs',
      kind: 'ignored',
      event: sample('PutFunctionConcurrency20171031/own.json'),
    },
    {
      name: 'the function may not be read',
      kind: 'failing',
      arrange: (world) => withForeignCode(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      fail: { operation: 'GetFunction', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: (world) => withForeignCode(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      fail: { operation: 'ListAliases', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a live version may not be read',
      kind: 'failing',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        await approve(world, ledger, liveAtOne);
      },
      settings,
      sweep: orders,
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'what cannot be archived is not approved',
      kind: 'failing',
      arrange: (world) => withFunction(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json'),
      fail: { operation: 'PutObject', error: 'AccessDenied' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the archive is busy',
      kind: 'failing',
      arrange: (world) => withFunction(world),
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-pipeline.json'),
      fail: { operation: 'PutObject', error: 'SlowDown' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a function without a hash is never compliant',
      kind: 'failing',
      arrange: (world) => {
        withFunction(world);
        world.lambda.edit('orders', { CodeSha256: '' });
      },
      settings,
      sweep: orders,
      expect: { throws: 'lasting', error: 'PackageUnreadable' },
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      settings,
      event: sample('DeleteFunction20150331/code-function-gone.json'),
    },
  ],
  roundTrips: [
    {
      name: 'the approved code comes back',
      arrange: async (world, ledger) => {
        world.lambda.settleSeconds = 5;
        withFunction(world);
        world.advance(60);
        world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('foreign package') });
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      steps: ['updateFunctionCode'],
      fixed: ({ lambda }) => expect(lambda.getFunctionConfiguration({ FunctionName: 'orders' }).CodeSha256).toBe(approvedHash),
    },
    {
      name: 'handler, runtime and layers come back',
      arrange: async (world, ledger) => {
        world.lambda.settleSeconds = 5;
        withFunction(world);
        world.advance(60);
        setUp(world, { Handler: 'hook.handler', Runtime: 'nodejs22.x', Layers: [hooks] });
        const byHand = ['setup:handler→hook.handler', 'setup:runtime→nodejs22.x', `setup:layers→${hooks}`];
        await approve(world, ledger, { setup: asDeployed, byHand });
      },
      settings,
      event: sample('UpdateFunctionConfiguration20150331v2/setup-by-hand.json'),
      steps: ['putSetup'],
      fixed: ({ lambda }) => {
        const { Handler, Runtime, Layers } = lambda.getFunctionConfiguration({ FunctionName: 'orders' });
        expect({ Handler, Runtime, Layers }).toEqual({ Handler: 'index.handler', Runtime: 'nodejs24.x', Layers: undefined });
      },
    },
    {
      name: 'the command of an image and its code come back, and a variable stays',
      arrange: async (world, ledger) => {
        world.lambda.settleSeconds = 5;
        world.lambda.createFunction({ FunctionName: 'orders', PackageType: 'Image', Code: { ImageUri: image('foreign image') } });
        world.advance(60);
        setUp(world, { ImageConfig: { Command: ['hook.handler'] }, Environment: { Variables: { LD_PRELOAD: '/tmp/hook.so' } } });
        const hash = sha256('approved image', 'hex');
        const command = JSON.stringify({ EntryPoint: [], Command: ['hook.handler'], WorkingDirectory: '' });
        const { switches } = setupOf(world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }), orders);
        await approve(world, ledger, {
          package: { type: 'Image', sha256: hash, imageUri: image('approved image'), architecture: 'arm64' },
          approvedHashes: [hash],
          setup: { ...asDeployed, handler: { is: '', asOf: 0 }, runtime: { is: '', asOf: 0 } },
          byHand: [`setup:command→${command}`, `setup:switches→${switches}`],
        });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-image-by-hand.json'),
      steps: ['updateFunctionCode', 'putSetup'],
      remains: ['LD_PRELOAD: no values of variables are kept, so put them back yourself'],
    },
    {
      name: 'code and alias come back',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({
          FunctionName: 'orders',
          Name: 'live',
          FunctionVersion: '2',
          RoutingConfig: { AdditionalVersionWeights: { 1: 0.5 } },
        });
        await approve(world, ledger, liveAtOne);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      steps: ['updateAlias', 'updateFunctionCode'],
      fixed: ({ lambda }) =>
        expect(lambda.getFunctionConfiguration({ FunctionName: 'orders', Qualifier: 'live' }).CodeSha256).toBe(approvedHash),
    },
    {
      name: 'an image comes back by its digest',
      arrange: async (world, ledger) => {
        world.lambda.createFunction({ FunctionName: 'orders', PackageType: 'Image', Code: { ImageUri: image('foreign image') } });
        const hash = sha256('approved image', 'hex');
        await approve(world, ledger, {
          package: { type: 'Image', sha256: hash, imageUri: image('approved image'), architecture: 'arm64' },
          approvedHashes: [hash],
        });
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-image-by-hand.json'),
      steps: ['updateFunctionCode'],
    },
    {
      name: 'an alias without an approved target stays as it is',
      arrange: async (world, ledger) => {
        withTwoVersions(world);
        world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
        await approve(world, ledger);
      },
      settings,
      event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
      steps: ['updateFunctionCode'],
      remains: ['alias live, which routes to 2 and has no approved target'],
    },
  ],
});
