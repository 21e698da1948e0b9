import { createHash } from 'node:crypto';
import { connect } from '../../../aws/handle.ts';
import { readEvent } from '../../../guard/cloudtrail.ts';
import type { Baseline } from '../../../guard/estate.ts';
import { findingId } from '../../../guard/finding.ts';
import type { Evaluation, Plan } from '../../../guard/rule.ts';
import { functionSubject, type Subject } from '../../../guard/subject.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/deployments/code-changed-by-hand.ts';
import { type EventBody, sample } from '../../support/events.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const subject = functionSubject('orders', place) as Subject;
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');
const zip = (text: string) => ({ ZipFile: Buffer.from(text) });

let world: World;
let ledger: MemoryLedger;
let deployers: readonly string[];

beforeEach(() => {
  world = createWorld(place);
  ledger = new MemoryLedger();
  deployers = [pipeline];
});

function context() {
  const settings = {
    stack: 'guard',
    deployers,
    operators: [],
    archiveBucket: 'guard-archive',
    boundaryArn: '',
    denialArn: '',
    keyArn: '',
    alertTopicArn: '',
  };
  return { aws: connect(rule.check, place), estate: ledger, params: {}, settings, now: world.now };
}

/** What the rule says of an event, or of a sweep without one. */
async function look(body?: EventBody): Promise<Evaluation> {
  const read = body === undefined ? undefined : readEvent(body, place);
  if (read !== undefined && 'ignored' in read) throw new Error(read.ignored);
  return await rule.evaluate(subject, { ...context(), event: read?.event });
}

async function verdict(body?: EventBody): Promise<'violating' | 'compliant' | 'undecided'> {
  const { violations, compliant } = await look(body);
  if (violations.length > 0) return 'violating';
  return compliant.length > 0 ? 'compliant' : 'undecided';
}

async function plan(): Promise<Plan> {
  const { id, practice, severity, title } = rule;
  const seen = new Date(world.now).toISOString();
  const life = {
    status: 'open' as const,
    opened: 1,
    firstSeen: seen,
    lastSeen: seen,
    openedAt: seen,
    asOf: world.now,
    cause: 'event test',
    attempts: 0,
  };
  const finding = { id: findingId(id, orders), rule: id, practice, severity, title, summary: '', subject, evidence: {}, tags: {}, ...life };
  return await rule.plan(finding, { ...context(), changeId: 'c0ffee123456', toShow: false });
}

const approved = async () => (await ledger.baseline(orders)) as Baseline;
const at = (time: string, more: EventBody = {}): EventBody => ({ detail: { eventTime: time, ...more } });
const deploys = (code: string, time: string) =>
  sample('UpdateFunctionCode20150331v2/code-by-pipeline.json', at(time, { responseElements: { codeSha256: sha256(code) } }));
const byHand = (code: string, time: string) =>
  sample('UpdateFunctionCode20150331v2/code-by-hand.json', at(time, { responseElements: { codeSha256: sha256(code) } }));
const byHandRoutes = (version: string, time: string) =>
  sample('UpdateAlias20150331/code-by-hand.json', at(time, { responseElements: { functionVersion: version } }));
const routes = (version: string, time: string) =>
  sample('UpdateAlias20150331/code-by-pipeline.json', at(time, { responseElements: { functionVersion: version } }));

function make(code: string): void {
  world.lambda.createFunction({ FunctionName: 'orders', Code: zip(code) });
}

function put(code: string): void {
  world.lambda.updateFunctionCode({ FunctionName: 'orders', ...zip(code) });
}

describe('what a deployment leaves', () => {
  test('an approved baseline, and the package in the archive', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    const key = `orders/${sha256('approved package').replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}.zip`;
    expect(await approved()).toMatchObject({
      state: 'approved',
      package: { type: 'Zip', sha256: sha256('approved package'), archive: { bucket: 'guard-archive', key }, architecture: 'arm64' },
      approvedHashes: [sha256('approved package')],
      by: pipeline,
      at: '2026-11-22T12:00:00Z',
      asOf: Date.parse('2026-11-22T12:00:00Z'),
    });
    expect(Buffer.from(world.s3.object('guard-archive', key) ?? []).toString()).toBe('approved package');
  });

  test('the same, when its event comes twice', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    const first = await approved();
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    expect(await approved()).toEqual(first);
  });

  test('the settings that its code needs to come back', async () => {
    make('approved package');
    const key = 'arn:aws:kms:us-east-1:111122223333:key/b1f7c9d2';
    const { getFunction } = world.lambda;
    world.lambda.getFunction = (input) => {
      const answer = getFunction.call(world.lambda, input) as { Code: object };
      return { ...answer, Code: { ...answer.Code, SourceKMSKeyArn: key } };
    };
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    world.lambda.getFunction = getFunction;
    put('foreign package');
    await look(byHand('foreign package', '2026-11-22T12:05:00Z'));
    expect((await plan()).steps).toMatchObject([{ input: { SourceKMSKeyArn: key, Architectures: ['arm64'] } }]);
  });

  test('no more than what its aliases serve and twenty hashes before', async () => {
    make('package 0');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    for (let index = 0; index < 30; index += 1) {
      if (index > 0) put(`package ${index}`);
      await look(deploys(`package ${index}`, new Date(Date.parse('2026-11-22T12:00:00Z') + index * 60_000).toISOString()));
    }
    const { approvedHashes } = await approved();
    expect(approvedHashes).toHaveLength(22);
    expect(approvedHashes).toEqual(expect.arrayContaining([sha256('package 0'), sha256('package 29'), sha256('package 10')]));
    expect(await verdict()).toBe('compliant');
  });
});

describe('nothing is approved', () => {
  test('that was replaced before the event was read', async () => {
    make('foreign package');
    expect(await verdict(deploys('approved package', '2026-11-22T12:00:00Z'))).toBe('undecided');
    expect(await ledger.baseline(orders)).toBeUndefined();
    expect(world.s3.keys('guard-archive')).toEqual([]);
  });

  test('but by whoever deployed it, where it is replaced between reading and archiving: it is archived as it was read', async () => {
    make('approved package');
    const { listAliases } = world.lambda;
    world.lambda.listAliases = (input) => {
      put('foreign package');
      return listAliases.call(world.lambda, input);
    };
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    const { archive } = (await approved()).package as { readonly archive: { readonly key: string } };
    expect(Buffer.from(world.s3.object('guard-archive', archive.key) ?? []).toString()).toBe('approved package');
    expect(await verdict(byHand('foreign package', '2026-11-22T12:01:00Z'))).toBe('violating');
  });

  test('that comes with other bytes than its hash says', async () => {
    make('approved package');
    globalThis.fetch = async () => new Response('foreign package');
    expect(await verdict(deploys('approved package', '2026-11-22T12:00:00Z'))).toBe('undecided');
    expect(world.s3.keys('guard-archive')).toEqual([]);
  });

  test('that Lambda hands out no package of', async () => {
    make('approved package');
    const { getFunction } = world.lambda;
    world.lambda.getFunction = (input) => ({
      ...getFunction.call(world.lambda, input),
      Code: { RepositoryType: 'S3', Error: { ErrorCode: 'AccessDeniedException', Message: 'kms' } },
    });
    await expect(look(deploys('approved package', '2026-11-22T12:00:00Z'))).rejects.toMatchObject({ name: 'PackageUnreadable' });
  });

  test('by an old event that is delivered again, once somebody has gone back by hand', async () => {
    make('first package');
    await look(deploys('first package', '2026-11-22T12:00:00Z'));
    put('second package');
    await look(deploys('second package', '2026-11-22T12:10:00Z'));
    put('first package');
    expect(await verdict(byHand('first package', '2026-11-22T12:20:00Z'))).toBe('violating');
    expect(await verdict(deploys('first package', '2026-11-22T12:00:00Z'))).toBe('violating');
    expect((await approved()).package.sha256).toBe(sha256('second package'));
    expect(await verdict()).toBe('violating');
  });

  test('where another worker wrote the baseline in between', async () => {
    make('approved package');
    ledger.recordBaseline = async () => false;
    await expect(look(deploys('approved package', '2026-11-22T12:00:00Z'))).rejects.toMatchObject({ name: 'RetryLater' });
  });
});

describe('the events of one deployment', () => {
  const orders3 = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  test.each(orders3)('open nothing and end approved, in the order %d %d %d', async (...order) => {
    make('first package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('first package', '2026-11-22T11:00:00Z'));
    put('second package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
    const events = [
      deploys('second package', '2026-11-22T12:00:00Z'),
      sample('PublishVersion20150331/code-by-pipeline.json', at('2026-11-22T12:00:01Z')),
      routes('2', '2026-11-22T12:00:02Z'),
    ];
    for (const index of order) expect(await verdict(events[index])).not.toBe('violating');
    expect(await approved()).toMatchObject({ state: 'approved', aliases: { live: { version: '2', weights: {} } } });
    expect(await verdict()).toBe('compliant');
  });

  test.each(orders3)('of a new function end approved, in the order %d %d %d', async (...order) => {
    make('approved package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    const events = [
      sample('CreateFunction20150331/code-by-pipeline.json', at('2026-11-22T12:00:00Z')),
      sample('PublishVersion20150331/code-by-pipeline.json', at('2026-11-22T12:00:01Z')),
      sample('CreateAlias20150331/code-by-pipeline.json', at('2026-11-22T12:00:02Z')),
    ];
    for (const index of order) expect(await verdict(events[index])).not.toBe('violating');
    expect(await approved()).toMatchObject({ state: 'approved', aliases: { live: { version: '1', weights: {} } } });
    expect(await verdict()).toBe('compliant');
  });

  test('two deployments in a row open nothing', async () => {
    make('first package');
    await look(deploys('first package', '2026-11-22T11:00:00Z'));
    put('third package');
    expect(await verdict(deploys('second package', '2026-11-22T12:00:00Z'))).toBe('undecided');
    expect(await verdict(deploys('third package', '2026-11-22T12:00:10Z'))).toBe('compliant');
  });
});

describe('a change by hand', () => {
  test('stays a finding through every sweep until a deployer deploys, where nothing was known before', async () => {
    make('foreign package');
    expect(await verdict(sample('CreateFunction20150331/code-by-hand.json'))).toBe('violating');
    expect(await verdict()).toBe('violating');
    expect(await verdict()).toBe('violating');
    expect(await plan()).toMatchObject({ steps: [], refused: expect.stringContaining('No approved package') });
    put('approved package');
    expect(await verdict(deploys('approved package', '2026-11-22T12:10:00Z'))).toBe('compliant');
    expect(await verdict()).toBe('compliant');
  });

  test('ends where somebody takes it back to what was observed before', async () => {
    make('first package');
    expect(await verdict()).toBe('compliant');
    put('foreign package');
    world.advance(60);
    expect(await verdict(byHand('foreign package', '2026-11-22T12:05:00Z'))).toBe('violating');
    put('first package');
    expect(await verdict(byHand('first package', '2026-11-22T12:06:00Z'))).toBe('compliant');
    expect(await verdict()).toBe('compliant');
  });

  test('of an alias stays a finding through every sweep', async () => {
    make('first package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    put('second package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    expect(await verdict()).toBe('compliant');
    world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
    expect(await verdict(sample('UpdateAlias20150331/code-by-hand.json', at('2026-11-22T12:05:00Z')))).toBe('violating');
    expect(await verdict()).toBe('violating');
    expect(await verdict(routes('2', '2026-11-22T12:10:00Z'))).toBe('compliant');
    expect(await verdict()).toBe('compliant');
  });

  test('of nothing but a weight stays a finding, and ends where the old one is back', async () => {
    make('first package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    put('second package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    const weigh = (weight: number) => {
      const RoutingConfig = { AdditionalVersionWeights: { 2: weight } };
      world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1', RoutingConfig });
      return { functionVersion: '1', routingConfig: { additionalVersionWeights: { 2: weight } } };
    };
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('second package', '2026-11-22T12:00:00Z'));
    const canary = weigh(0.1);
    const byPipeline = sample('UpdateAlias20150331/code-by-pipeline.json', at('2026-11-22T12:01:00Z', { responseElements: canary }));
    expect(await verdict(byPipeline)).toBe('compliant');
    const all = weigh(1);
    expect(await verdict(sample('UpdateAlias20150331/code-by-hand.json', at('2026-11-22T12:05:00Z', { responseElements: all })))).toBe(
      'violating',
    );
    expect(await plan()).toMatchObject({ steps: [{ input: { RoutingConfig: { AdditionalVersionWeights: { 2: 0.1 } } } }] });
    weigh(0.1);
    expect(await verdict()).toBe('compliant');
  });

  test('is not approved because the pipeline publishes it and routes to it', async () => {
    make('approved package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    put('foreign package');
    expect(await verdict(byHand('foreign package', '2026-11-22T12:05:00Z'))).toBe('violating');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
    expect(await verdict(routes('2', '2026-11-22T12:06:00Z'))).toBe('violating');
    expect((await approved()).aliases).toEqual({ live: { version: '1', weights: {} } });
  });

  test('becomes approved when a deployer deploys the very same code', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    put('hot fix');
    expect(await verdict(byHand('hot fix', '2026-11-22T12:05:00Z'))).toBe('violating');
    expect(await verdict(deploys('hot fix', '2026-11-22T12:30:00Z'))).toBe('compliant');
    expect((await approved()).byHand).toEqual([]);
  });

  test('that something newer has overtaken decides nothing', async () => {
    make('first package');
    await look(deploys('first package', '2026-11-22T11:00:00Z'));
    put('second package');
    expect(await verdict(byHand('foreign package', '2026-11-22T12:00:00Z'))).toBe('undecided');
  });

  test('is told even where its package cannot be kept', async () => {
    make('foreign package');
    world.fail('PutObject', 'AccessDenied');
    const { violations } = await look(byHand('foreign package', '2026-11-22T12:00:00Z'));
    expect(violations).toMatchObject([{ evidence: { notKept: 'AccessDenied' } }]);
  });

  test('is read again where the archive is only busy', async () => {
    make('foreign package');
    world.fail('PutObject', 'SlowDown');
    await expect(look(byHand('foreign package', '2026-11-22T12:00:00Z'))).rejects.toMatchObject({ name: 'SlowDown' });
  });

  test('by an event without a readable time decides nothing', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    put('foreign package');
    expect(await verdict(byHand('foreign package', 'yesterday'))).toBe('undecided');
    expect(await verdict(deploys('foreign package', 'yesterday'))).toBe('undecided');
  });
});

describe('what decides which code runs', () => {
  const hooks = 'arn:aws:lambda:us-east-1:111122223333:layer:hooks:3';
  const setsUp = (by: 'hand' | 'pipeline', time: string, request: EventBody, response: EventBody = request) => {
    const about = at(time, { requestParameters: { handler: undefined, layers: undefined, environment: undefined, ...request } });
    const { detail } = about as { detail: EventBody };
    const responseElements = { handler: 'index.handler', layers: undefined, lastModified: undefined, ...response };
    return sample(`UpdateFunctionConfiguration20150331v2/setup-by-${by}.json`, { detail: { ...detail, responseElements } });
  };
  const modified = () => world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).LastModified;
  const variables = (Variables: Record<string, string>) =>
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Environment: { Variables } });

  beforeEach(async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
  });

  test('is what a deployer left last, also where its event comes after that of somebody who changed it since', async () => {
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Handler: 'hook.handler' });
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { handler: 'hook.handler' }))).toBe('violating');
    expect(await verdict(setsUp('pipeline', '2026-11-22T12:05:00Z', { handler: 'next.handler' }))).toBe('violating');
    expect((await plan()).steps).toMatchObject([{ call: 'putSetup', input: { Handler: 'next.handler' } }]);
    expect(await verdict(setsUp('pipeline', '2026-11-22T12:00:00Z', { handler: 'old.handler' }))).toBe('violating');
    expect((await plan()).steps).toMatchObject([{ input: { Handler: 'next.handler' } }]);
    expect(await verdict(setsUp('pipeline', '2026-11-22T12:15:00Z', { handler: 'hook.handler' }))).toBe('compliant');
    expect((await approved()).byHand).toEqual([]);
  });

  test('is not what somebody sent along without changing it', async () => {
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Timeout: 9 });
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { handler: 'index.handler', runtime: 'nodejs24.x' }))).toBe('compliant');
    expect((await approved()).byHand).toEqual([]);
  });

  test('is an image configuration as well', async () => {
    const command = { entryPoint: [], command: ['hook.handler'] };
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', ImageConfig: { Command: ['hook.handler'] } });
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { imageConfig: command }))).toBe('violating');
    expect((await plan()).steps).toMatchObject([{ input: { ImageConfig: { EntryPoint: [], Command: [], WorkingDirectory: '' } } }]);
  });

  test('are the variables that a deployer wrote, where nobody changed the function after it', async () => {
    variables({ NODE_OPTIONS: '--enable-source-maps' });
    await look(setsUp('pipeline', '2026-11-22T12:05:00Z', { environment: {} }, { lastModified: modified() }));
    variables({ NODE_OPTIONS: '--enable-source-maps', LOG_LEVEL: 'debug' });
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { environment: {} }))).toBe('compliant');
    variables({ NODE_OPTIONS: '--require /tmp/hook.js' });
    const { violations } = await look(setsUp('hand', '2026-11-22T12:11:00Z', { environment: {} }));
    expect(violations).toMatchObject([{ evidence: { setup: [{ what: 'NODE_OPTIONS', now: 'set to another value' }] } }]);
    expect(JSON.stringify([violations, await approved()])).not.toMatch(/hook|source-maps/);
    variables({ LD_PRELOAD: '/tmp/hook.so' });
    const changes = [
      { what: 'LD_PRELOAD', now: 'set' },
      { what: 'NODE_OPTIONS', now: 'taken out' },
    ];
    const further = await look(setsUp('hand', '2026-11-22T12:12:00Z', { environment: {} }));
    expect(further.violations).toMatchObject([{ evidence: { setup: changes } }]);
  });

  test('are the variables that came before the code of the same deployment', async () => {
    variables({ NODE_OPTIONS: '--enable-source-maps' });
    const [first] = [modified()];
    world.advance(5);
    put('next package');
    await look(setsUp('pipeline', '2026-11-22T12:05:00Z', { environment: {} }, { lastModified: first }));
    expect(await approved()).toMatchObject({ variablesDue: Date.parse('2026-11-22T12:05:00Z') });
    const code = { codeSha256: sha256('next package'), lastModified: modified() };
    await look(sample('UpdateFunctionCode20150331v2/code-by-pipeline.json', at('2026-11-22T12:05:05Z', { responseElements: code })));
    expect(await approved()).not.toHaveProperty('variablesDue');
    variables({ NODE_OPTIONS: '--enable-source-maps', LOG_LEVEL: 'debug' });
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { environment: {} }))).toBe('compliant');
  });

  test('is what the event told of a function that was made, not what somebody changed since', async () => {
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    world.lambda.createFunction({ FunctionName: 'orders', Code: zip('approved package'), Handler: 'hook.handler', Layers: [hooks] });
    const told = { codeSha256: sha256('approved package') };
    await look(sample('CreateFunction20150331/code-by-pipeline.json', at('2026-11-22T12:00:00Z', { responseElements: told })));
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { handler: 'hook.handler' }))).toBe('violating');
    expect((await plan()).steps).toMatchObject([{ input: { Handler: 'index.handler' } }]);
  });

  test('is not known of a function that nobody deployed, and then by hand whatever it is', async () => {
    ledger = new MemoryLedger();
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Layers: [hooks] });
    expect(await verdict(setsUp('hand', '2026-11-22T12:10:00Z', { layers: [hooks] }))).toBe('violating');
    expect(await plan()).toMatchObject({ steps: [], refused: expect.stringContaining('No approved package') });
  });

  test('keeps whoever touched an event source last', async () => {
    const UUID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
    world.lambda.createEventSourceMapping({ FunctionName: 'orders', UUID });
    expect(await verdict(sample('UpdateEventSourceMapping20150331/source-by-pipeline.json', at('2026-11-22T12:20:00Z')))).toBe('compliant');
    expect(await verdict(sample('CreateEventSourceMapping20150331/source-by-hand.json', at('2026-11-22T12:10:00Z')))).toBe('compliant');
    expect(await verdict(sample('CreateEventSourceMapping20150331/source-by-hand.json', at('2026-11-22T12:30:00Z')))).toBe('violating');
    expect(await verdict()).toBe('violating');
    world.lambda.deleteEventSourceMapping({ UUID });
    expect(await verdict()).toBe('compliant');
  });
});

describe('what an operator approves', () => {
  const olga = 'arn:aws:sts::111122223333:assumed-role/Operators/olga';

  /** How a function runs that nobody has set up otherwise. */
  const asMade = ['handler→index.handler', 'runtime→nodejs24.x', 'layers→', 'command→', 'switches→'].map((part) => `setup:${part}`);

  /** As operate writes it down: what the operator saw, and nothing else of the baseline. */
  async function approves(...runs: readonly string[]): Promise<void> {
    const baseline = await approved();
    const approval = { runs: [...runs, ...asMade], sha256: runs[0] ?? '', by: olga, at: new Date(world.now).toISOString() };
    expect(await ledger.recordBaseline({ ...baseline, approval, revision: (baseline.revision ?? 0) + 1 })).toBe(true);
  }

  const keyOf = (text: string) => `orders/${sha256(text).replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}.zip`;

  test('is archived, is what comes back, and is by hand no longer', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
    put('hot fix');
    expect(await verdict(byHand('hot fix', '2026-11-22T11:05:00Z'))).toBe('violating');
    await approves(sha256('hot fix'));
    expect(await verdict()).toBe('compliant');
    const kept = { sha256: sha256('hot fix'), archive: { bucket: 'guard-archive', key: keyOf('hot fix') }, architecture: 'arm64' };
    expect(await approved()).toMatchObject({ state: 'approved', package: kept, by: olga, byHand: [] });
    expect(await approved()).not.toHaveProperty('approval');
    expect(Buffer.from(world.s3.object('guard-archive', keyOf('hot fix')) ?? []).toString()).toBe('hot fix');
    put('foreign package');
    world.advance(60);
    expect(await verdict(byHand('foreign package', new Date(world.now).toISOString()))).toBe('violating');
    expect((await plan()).steps).toMatchObject([{ input: { sha256: sha256('hot fix'), S3Key: keyOf('hot fix') } }]);
  });

  test('may be what a sweep only observed', async () => {
    make('first package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    expect(await verdict()).toBe('compliant');
    expect((await approved()).state).toBe('observed');
    await approves(sha256('first package'), 'live→1');
    expect(await verdict()).toBe('compliant');
    expect(await approved()).toMatchObject({ state: 'approved', aliases: { live: { version: '1', weights: {} } } });
  });

  test('waits where an alias routes elsewhere by then', async () => {
    make('approved package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
    put('hot fix');
    await look(byHand('hot fix', '2026-11-22T11:05:00Z'));
    await approves(sha256('hot fix'), sha256('approved package'), 'live→1');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
    expect(await verdict(byHandRoutes('2', '2026-11-22T11:10:00Z'))).toBe('violating');
    expect(await approved()).toMatchObject({ state: 'approved', by: pipeline, package: { sha256: sha256('approved package') } });
    world.lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    expect(await verdict()).toBe('compliant');
    expect(await approved()).toMatchObject({ by: olga, package: { sha256: sha256('hot fix') } });
  });

  test('is not what a version runs, once that is $LATEST as well', async () => {
    make('approved package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
    put('hot fix');
    await look(byHand('hot fix', '2026-11-22T11:05:00Z'));
    await approves(sha256('hot fix'), sha256('approved package'), 'live→1');
    put('approved package');
    expect(await verdict()).toBe('compliant');
    expect(await approved()).toMatchObject({ by: pipeline, approval: { by: olga } });
  });

  test('is all that is approved, where it is replaced between reading and archiving', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
    put('hot fix');
    await look(byHand('hot fix', '2026-11-22T11:05:00Z'));
    await approves(sha256('hot fix'));
    const { listAliases } = world.lambda;
    world.lambda.listAliases = (input) => {
      put('foreign package');
      return listAliases.call(world.lambda, input);
    };
    await look();
    expect(await approved()).toMatchObject({ by: olga, approvedHashes: [sha256('hot fix'), sha256('approved package')] });
    expect(await verdict(byHand('foreign package', '2026-11-22T12:01:00Z'))).toBe('violating');
  });

  test('is forgotten once a deployer has deployed', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
    put('hot fix');
    await look(byHand('hot fix', '2026-11-22T11:05:00Z'));
    await approves(sha256('hot fix'));
    put('next package');
    world.advance(60);
    expect(await verdict(deploys('next package', new Date(world.now).toISOString()))).toBe('compliant');
    put('hot fix');
    world.advance(60);
    expect(await verdict(byHand('hot fix', new Date(world.now).toISOString()))).toBe('violating');
  });

  test('does not give way to an event from before, which comes late', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T11:00:00Z'));
    put('hot fix');
    await look(byHand('hot fix', '2026-11-22T11:05:00Z'));
    await approves(sha256('hot fix'));
    await look();
    put('approved package');
    expect(await verdict(deploys('approved package', '2026-11-22T11:00:00Z'))).toBe('undecided');
    expect(await approved()).toMatchObject({ by: olga, package: { sha256: sha256('hot fix') } });
  });
});

describe('a plan', () => {
  beforeEach(async () => {
    make('approved package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
  });

  test('waits while the function is being updated', async () => {
    world.lambda.settleSeconds = 30;
    put('foreign package');
    await expect(plan()).rejects.toMatchObject({ name: 'RetryLater' });
  });

  test('is refused where what runs now was not kept, so that there would be no undo', async () => {
    put('foreign package');
    world.fail('PutObject', 'AccessDenied');
    await look(byHand('foreign package', '2026-11-22T12:05:00Z'));
    expect(await plan()).toMatchObject({ refused: 'What runs as orders now could not be kept, so this fix could not be taken back.' });
  });

  test('is empty where no event told who put there what runs: a deployment whose event is late looks the same', async () => {
    put('hotfix');
    await look(byHand('hotfix', '2026-11-22T12:05:00Z'));
    expect(await plan()).toMatchObject({ steps: [{ call: 'updateFunctionCode' }] });
    put('next release');
    expect(await plan()).toEqual({ steps: [] });
    expect(await verdict()).toBe('undecided');
  });

  test('is empty where the function is gone', async () => {
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    expect(await plan()).toEqual({ steps: [] });
  });

  test('routes no alias to a version of the same number with other code', async () => {
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    make('foreign package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    put('another foreign package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
    await look(byHand('another foreign package', '2026-11-22T12:05:00Z'));
    await look(byHandRoutes('2', '2026-11-22T12:06:00Z'));
    expect(await plan()).toMatchObject({
      steps: [{ call: 'updateFunctionCode' }],
      remains: ['alias live, which routes to 2 and has no approved target'],
    });
  });
});

describe('a function that is gone', () => {
  test('keeps its baseline for when it is made again by hand', async () => {
    make('approved package');
    await look(deploys('approved package', '2026-11-22T12:00:00Z'));
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    expect(await verdict(sample('DeleteFunction20150331/code-function-gone.json'))).toBe('compliant');
    expect(await Array.fromAsync(ledger.functionsRecorded())).toEqual([]);
    make('foreign package');
    expect(await verdict(sample('CreateFunction20150331/code-by-hand.json', at('2026-11-22T12:10:00Z')))).toBe('violating');
    expect(await plan()).toMatchObject({ steps: [{ input: { sha256: sha256('approved package') } }] });
  });

  test('starts anew when a deployer makes it again', async () => {
    make('first package');
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    await look(deploys('first package', '2026-11-22T12:00:00Z'));
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    make('approved package');
    await look(sample('CreateFunction20150331/code-by-pipeline.json', at('2026-11-22T12:10:00Z')));
    expect(await approved()).toMatchObject({ approvedHashes: [sha256('approved package')], aliases: {} });
  });
});

test('without deployers everything but console sessions is observed, and nothing is archived', async () => {
  deployers = [];
  make('first package');
  expect(await verdict(deploys('first package', '2026-11-22T12:00:00Z'))).toBe('compliant');
  expect(await approved()).toMatchObject({ state: 'observed', byHand: [] });
  expect(world.s3.keys('guard-archive')).toEqual([]);
  put('foreign package');
  const inConsole = sample('UpdateFunctionCode20150331v2/code-in-the-console.json', at('2026-11-22T12:05:00Z'));
  expect(await verdict(inConsole)).toBe('violating');
  expect(await verdict()).toBe('violating');
  put('second package');
  expect(await verdict(deploys('second package', '2026-11-22T12:10:00Z'))).toBe('compliant');
});
