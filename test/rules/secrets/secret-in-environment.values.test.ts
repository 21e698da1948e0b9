import { inspect } from 'node:util';
import { connect } from '../../../aws/handle.ts';
import type { Alert } from '../../../guard/alert.ts';
import { check } from '../../../guard/check.ts';
import { readEvent } from '../../../guard/cloudtrail.ts';
import { readConfig } from '../../../guard/config.ts';
import type { FixPorts } from '../../../guard/ports.ts';
import { remediate } from '../../../guard/remediate.ts';
import { undo } from '../../../guard/run.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/secrets/secret-in-environment.ts';
import { sample } from '../../support/events.ts';
import { createWorld, type World } from '../../support/world/index.ts';

// Joined from parts, so that the secret scanners of code hosts find nothing here.
const password = ['Kx7-mellow', 'Zebra!', '93'].join('');
const githubToken = ['ghp', '_zY9xW7vU5tS3rQ1pO9nM7lK5jI3hG1fE9dC7'].join('');
const urlPassword = ['Vq4-Solemn', 'Otter', '61'].join('');
const apiKey = ['n8Vb3Kp7', 'Lq2Zx5Mw', 'T9cR4sD6'].join('');
const secrets = [password, githubToken, urlPassword, apiKey];
const variables = {
  DB_PASSWORD: password,
  SETTINGS: githubToken,
  DATABASE_URL: `postgres://app:${urlPassword}@db.internal/app`,
  CONFIG: JSON.stringify({ apiKey }),
  STAGE: 'prod',
};

const event = sample('UpdateFunctionConfiguration20150331v2/secret-variables.json');
const operations = [
  'GetFunctionConfiguration',
  'ListAliases',
  'ListTags',
  'SimulatePrincipalPolicy',
  'CreateSecret',
  'DescribeSecret',
  'GetSecretValue',
  'UpdateFunctionConfiguration',
  'ListVersionsByFunction',
  'DeleteSecret',
];

/** Everything that the guard says, writes down or throws from here on, as text. */
function listen(): { readonly heard: string[]; readonly hear: (value: unknown) => void } {
  const heard: string[] = [];
  const hear = (value: unknown) =>
    void heard.push(inspect(value, { depth: 20, showHidden: true, maxStringLength: null }), JSON.stringify(value) ?? '');
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const)
    jest.spyOn(console, method).mockImplementation((...said) => hear(said));
  for (const stream of [process.stdout, process.stderr]) {
    jest.spyOn(stream, 'write').mockImplementation((chunk) => {
      hear(String(chunk));
      return true;
    });
  }
  return { heard, hear };
}

function arrange(): World {
  const world = createWorld();
  const Statement = [{ Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: '*' }];
  world.iam.createRole({ RoleName: 'orders' });
  world.iam.putRolePolicy({
    RoleName: 'orders',
    PolicyName: 'secrets',
    PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement }),
  });
  world.lambda.createFunction({
    FunctionName: 'orders',
    Environment: { Variables: variables },
    Tags: { 'compliance-guard:secret-reader': 'yes' },
  });
  world.lambda.publishVersion({ FunctionName: 'orders' });
  world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  return world;
}

/** event → finding → fix → undo, with the machinery, and every word of it. */
async function wholeWay(world: World, hear: (value: unknown) => void): Promise<void> {
  const ledger = new MemoryLedger();
  const config = readConfig(
    {
      GUARD_ACCOUNT: '111122223333',
      AWS_REGION: 'us-east-1',
      StackName: 'guard',
      SecretInEnvironmentMode: 'remediate',
      SecretInEnvironmentDelay: '0',
    },
    [rule],
  );
  const place = { account: '111122223333', region: 'us-east-1' };
  const ports: FixPorts = {
    ledger,
    config,
    connect: (calls) => connect(calls, place, (call, input) => hear([call.name, input])),
    publish: async (alerts: readonly Alert[]) => hear(alerts),
    now: () => world.now,
    metrics: async () => ({ invocations: 100, errors: 0, throttles: 0, deadLetterErrors: 0, iteratorAge: 0 }),
  };
  const read = readEvent(event, place);
  if ('ignored' in read) throw new Error(read.ignored);
  const steps: readonly (() => Promise<unknown>)[] = [
    () => check({ event: read.event }, [rule], ports),
    async () => {
      for await (const { id } of ledger.findings({})) hear(await remediate(id, rule, ports));
    },
    async () => {
      for await (const change of ledger.changes()) await undo(change, rule, ports.connect(rule.undo));
    },
    async () => {
      for await (const finding of ledger.findings({})) hear(finding);
      for await (const change of ledger.changes()) hear(change);
    },
  ];
  for (const step of steps) {
    try {
      hear(await step());
    } catch (error) {
      hear([error, String(error), (error as Error).stack, (error as Error).cause]);
    }
  }
}

function expectSilence(heard: readonly string[]): void {
  const all = heard.join('\n');
  for (const secret of secrets) {
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64'), secret.slice(0, 8), secret.slice(-8)]) {
      // Not toContain(): a failure must not print what it is about.
      if (all.includes(form))
        throw new Error(`secret ${secrets.indexOf(secret)} was told, around ${all.indexOf(form)} of ${all.length} characters`);
    }
  }
}

afterEach(() => void jest.restoreAllMocks());

test('no value is told on the whole way from event to undo', async () => {
  const world = arrange();
  const { heard, hear } = listen();
  await wholeWay(world, hear);
  jest.restoreAllMocks();
  expectSilence(heard);
  const all = heard.join('\n');
  for (const word of ['DB_PASSWORD', 'GitHub token', 'password in a URL', 'holds a key', 'createSecretFromVariable', 'partial'])
    expect(all).toContain(word);
  expect(world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Environment?.Variables).toEqual(variables);
  expect(world.secretsManager.names()).toEqual([]);
});

test.each(operations)('no value is told when %s fails', async (operation) => {
  for (const error of ['AccessDeniedException', 'ThrottlingException', 'ResourceNotFoundException', 'InvalidParameterValueException']) {
    for (const after of [0, 1, 3]) {
      const world = arrange();
      const { heard, hear } = listen();
      world.fail(operation, error, { after });
      await wholeWay(world, hear);
      jest.restoreAllMocks();
      expectSilence(heard);
    }
  }
});

test('no value is told when AWS quotes it in an error that lasts', async () => {
  const world = arrange();
  const { heard, hear } = listen();
  world.secretsManager.createSecret = ({ SecretString }) => {
    throw Object.assign(new Error(`invalid value ${SecretString}`), {
      name: 'InvalidParameterException',
      $metadata: { httpStatusCode: 400 },
    });
  };
  await wholeWay(world, hear);
  jest.restoreAllMocks();
  expectSilence(heard);
  expect(heard.join('\n')).toContain('InvalidParameterException');
});

test('a value that changed between two steps is not lost', async () => {
  const world = arrange();
  const connection = { account: '111122223333', region: 'us-east-1' };
  const fix = connect(rule.fix, connection);
  const move = { variable: 'DB_PASSWORD', secretName: 'compliance-guard/orders/DB_PASSWORD-c0ffee123456', token: 'a'.repeat(36) };
  await fix.createSecretFromVariable({ functionName: 'orders', ...move, tags: {} });
  const rotated = { ...variables, DB_PASSWORD: [password, 'rotated'].join('-') };
  world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', Environment: { Variables: rotated } });
  await expect(fix.pointVariablesAtSecrets({ functionName: 'orders', moves: [move] })).rejects.toMatchObject({ name: 'VariableChanged' });
  await connect(rule.undo, connection).restoreVariablesFromSecrets({ functionName: 'orders', moves: [move] });
  expect(world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Environment?.Variables).toEqual(rotated);
});
