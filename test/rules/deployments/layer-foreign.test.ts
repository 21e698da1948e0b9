import { connect } from '../../../aws/handle.ts';
import { functionSubject, type Subject } from '../../../guard/subject.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/deployments/layer-foreign.ts';
import { sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const own = 'arn:aws:lambda:us-east-1:111122223333:layer:shared:7';
const datadog = 'arn:aws:lambda:us-east-1:464622532012:layer:Datadog-Extension:65';
const secrets = 'arn:aws:lambda:us-east-1:177933569100:layer:AWS-Parameters-and-Secrets-Lambda-Extension:17';
const foreign = 'arn:aws:lambda:us-east-1:444455556666:layer:helper:1';
const params = { accounts: '777788889999,444455556666' };
const changed = sample('UpdateFunctionConfiguration20150331v2/layer-foreign.json');
const made = sample('CreateFunction20150331/role-shared.json');
const anyRevision = expect.any(String) as unknown as string;

function withLayers({ lambda }: World, ...Layers: string[]): void {
  lambda.createFunction({ FunctionName: 'orders', Layers, Tags: { team: 'shop' } });
}

async function before({ lambda }: World, ledger: MemoryLedger, ...layers: string[]): Promise<void> {
  for (const layer of layers) lambda.publishLayer(layer, Buffer.from(layer));
  await ledger.recordKept('layer-foreign', orders, { state: layers, asOf: 1 });
}

const found = {
  subject: orders,
  severity: 'high' as const,
  summary: `orders runs code of account 444455556666 from a layer (${foreign} in $LATEST), with its own role and variables, and nobody listed that account.`,
  evidence: { layers: [{ layer: foreign, account: '444455556666', versions: ['$LATEST'] }] },
  tags: { team: 'shop' },
};
const back = (layers: string[], current: string[]) => ({
  call: 'putLayers',
  input: { FunctionName: orders, Layers: layers, RevisionId: anyRevision },
  undo: [{ call: 'putLayers', input: { FunctionName: orders, Layers: current } }],
});

ruleTest(rule, {
  rows: [
    {
      name: 'a function without layers',
      kind: 'compliant',
      arrange: (world) => withLayers(world),
      event: made,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: "layers of one's own, of AWS's and of a vendor's",
      kind: 'compliant',
      arrange: (world) => withLayers(world, own, secrets, datadog),
      event: changed,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a layer of an account that is listed',
      kind: 'compliant',
      arrange: (world) => withLayers(world, foreign),
      params,
      event: changed,
      expect: { compliant: [orders] },
    },
    {
      name: 'a foreign layer in a version that no alias routes to',
      kind: 'compliant',
      arrange: (world) => {
        withLayers(world, foreign);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Layers: [own] });
      },
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'a foreign layer that somebody added',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, own, foreign);
        await before(world, ledger, own);
      },
      event: changed,
      expect: { violations: [{ ...found, plan: { steps: [back([own], [own, foreign])], remains: [] } }] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a foreign layer in the place of another',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, foreign);
        await before(world, ledger, own, datadog);
      },
      sweep: orders,
      expect: { violations: [{ ...found, plan: { steps: [back([own, datadog], [foreign])], remains: [] } }] },
    },
    {
      name: "a vendor's account that publishes nothing in this region",
      kind: 'violating',
      arrange: (world) => withLayers(world, secrets.replace('177933569100', '590474943231')),
      event: changed,
      expect: {
        violations: [
          {
            ...found,
            summary: found.summary
              .replace(foreign, secrets)
              .replaceAll('177933569100', '590474943231')
              .replace('444455556666', '590474943231'),
            evidence: {
              layers: [{ layer: secrets.replace('177933569100', '590474943231'), account: '590474943231', versions: ['$LATEST'] }],
            },
          },
        ],
      },
    },
    {
      name: 'a function that was made with a foreign layer',
      kind: 'violating',
      arrange: (world) => withLayers(world, foreign),
      event: made,
      expect: {
        violations: [
          {
            ...found,
            plan: {
              steps: [],
              remains: [],
              refused: 'Which layers orders had before is not known: the guard never saw it without a foreign one.',
            },
          },
        ],
      },
    },
    {
      name: 'a function of the same name had other layers before it was deleted',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, foreign);
        await before(world, ledger, own);
        await ledger.recordKept('layer-foreign', orders, { state: null, asOf: 2 });
      },
      event: made,
      expect: { violations: [{ ...found, plan: expect.objectContaining({ steps: [] }) }] },
    },
    {
      name: 'a foreign layer in a version that an alias routes to',
      kind: 'violating',
      arrange: async (world) => {
        withLayers(world, foreign);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Layers: [own] });
      },
      event: changed,
      expect: {
        violations: [
          {
            ...found,
            summary: found.summary.replace('$LATEST', '1'),
            evidence: { layers: [{ layer: foreign, account: '444455556666', versions: ['1'] }] },
            plan: {
              steps: [],
              remains: [`version 1, which live routes to (${foreign})`],
              refused: 'Only published versions run it, and a version cannot be changed: publish a new one and move its aliases.',
            },
          },
        ],
      },
      calls: { aws: 4, ledger: 1 },
    },
    {
      name: 'what it had before is no longer on the list',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, foreign);
        await before(world, ledger, own, 'arn:aws:lambda:us-east-1:777788889999:layer:partner:1');
      },
      event: changed,
      expect: {
        violations: [
          {
            ...found,
            plan: expect.objectContaining({
              refused: 'arn:aws:lambda:us-east-1:777788889999:layer:partner:1, which it had before, is foreign as well.',
            }),
          },
        ],
      },
    },
    {
      name: 'what it had before is gone',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, foreign);
        await before(world, ledger, own);
        world.lambda.deleteLayerVersion(own);
      },
      event: changed,
      expect: { violations: [{ ...found, plan: expect.objectContaining({ refused: `${own}, which it had before, is gone.` }) }] },
    },
    {
      name: 'a layer whose owner deleted it stays where it is',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, own, foreign);
        await before(world, ledger, own);
        world.lambda.deleteLayerVersion(own);
      },
      event: changed,
      expect: { violations: [{ ...found, plan: { steps: [back([own], [own, foreign])], remains: [] } }] },
    },
    {
      name: 'what it had before may not be read any more',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withLayers(world, foreign);
        await before(world, ledger, datadog);
        world.fail('GetLayerVersionByArn', 'AccessDeniedException');
      },
      event: changed,
      expect: {
        violations: [
          {
            ...found,
            plan: expect.objectContaining({
              refused: `${datadog}, which it had before, may not be read any more (AccessDeniedException).`,
            }),
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/layer-foreign.json', { detail: { errorCode: 'AccessDeniedException' } }),
    },
    {
      name: 'a function of another account',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/secret-other-account.json'),
    },
    {
      name: 'the configuration may not be read',
      kind: 'failing',
      arrange: (world) => withLayers(world, foreign),
      event: changed,
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: (world) => withLayers(world, foreign),
      event: changed,
      fail: { operation: 'ListAliases', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the function is gone',
      kind: 'failing',
      event: sample('DeleteFunction20150331/code-function-gone.json'),
      calls: { ledger: 1 },
    },
  ],
  roundTrips: [
    {
      name: 'the layers of before come back',
      arrange: async (world, ledger) => {
        world.lambda.settleSeconds = 5;
        withLayers(world, own, foreign);
        await before(world, ledger, own);
        world.advance(60);
      },
      event: changed,
      steps: ['putLayers'],
      fixed: ({ lambda }) => expect(lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Layers).toMatchObject([{ Arn: own }]),
    },
    {
      name: 'a function that had no layers has none again, and a version keeps its own',
      arrange: async (world, ledger) => {
        withLayers(world, foreign);
        await before(world, ledger);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
      },
      sweep: orders,
      steps: ['putLayers'],
      remains: [`version 1, which live routes to (${foreign})`],
    },
  ],
});

test('what a function had is kept while nothing of it is foreign, and forgotten when it is gone', async () => {
  const world = createWorld(place);
  const ledger = new MemoryLedger();
  const subject = functionSubject('orders', place) as Subject;
  const settings = {
    stack: '',
    deployers: [],
    operators: [],
    archiveBucket: '',
    boundaryArn: '',
    keyArn: '',
    alertTopicArn: '',
    denialArn: '',
  };
  const look = async () => {
    const context = {
      aws: connect(rule.check, place),
      estate: ledger,
      params: { accounts: [] },
      settings,
      event: undefined,
      now: world.now,
    };
    await rule.evaluate(subject, context);
    return (await ledger.kept('layer-foreign', orders))?.state;
  };
  withLayers(world, own, datadog);
  expect(await look()).toEqual([own, datadog]);
  world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Layers: [foreign] });
  expect(await look()).toEqual([own, datadog]);
  world.lambda.deleteFunction({ FunctionName: 'orders' });
  world.advance(60);
  expect(await look()).toBeNull();
});
