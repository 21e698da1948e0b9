import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { mockClient } from 'aws-sdk-client-mock';
import { replay } from '../../cli/replay.ts';
import { policy } from '../../cli/rights.ts';
import { scan } from '../../cli/scan.ts';
import type { Options } from '../../cli/use.ts';
import { sample } from '../support/events.ts';
import { createWorld, type World } from '../support/world/index.ts';

// What a scan, a replay or a policy is asked for, and what nobody can have meant.

let folder: string;
let printed: string[];
let told: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'asked-'));
  [printed, told] = [[], []];
  jest.spyOn(console, 'log').mockImplementation((text) => void printed.push(String(text)));
  jest.spyOn(console, 'error').mockImplementation((text) => void told.push(String(text)));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const open = (name: string) =>
  `  ${name}:\n    Type: AWS::Serverless::Function\n    Properties: { Handler: i.h, Runtime: nodejs24.x, FunctionUrlConfig: { AuthType: NONE } }\n`;
const template = (...names: readonly string[]) => `Transform: AWS::Serverless-2016-10-31\nResources:\n${names.map(open).join('')}`;
const wrongUse = (message: string) => expect.objectContaining({ name: 'WrongUse', message });

describe('rules', () => {
  const none = { rule: 'role-shared', practice: 'apis' };
  const why = wrongUse('No rule that --rule names is of the practice apis.');

  test('a rule of another practice leaves none', async () => {
    await expect(scan({ ...none, template: write('t.yaml', template('A')) })).rejects.toEqual(why);
    await expect(policy(none)).rejects.toEqual(why);
    const log = write('log.json', '{"Records":[]}');
    await expect(replay({ ...none, offline: true }, [log])).rejects.toEqual(why);
  });

  test('a practice of which templates say nothing', async () => {
    const asked: Options = { practice: 'guard', template: write('t.yaml', template('A')) };
    await expect(scan(asked)).rejects.toEqual(wrongUse('None of these rules judges templates: scan the account for them.'));
  });
});

describe('names that others chose', () => {
  const evil = 'x\n::error::y\u001B[2J\nNothing is wrong.';
  const shown = 'x\\u000a::error::y\\u001b[2J\\u000aNothing is wrong.';
  const lines = () => [...printed, ...told].join('\n').split('\n');
  const expectHarmless = () => {
    expect(lines().filter((line) => /^(::|Nothing)/.test(line) || line.includes('\u001B'))).toEqual([]);
    expect(lines().join('\n')).toContain(shown);
  };

  test('in a template', async () => {
    const Fn = { Type: 'AWS::Lambda::Function', Properties: { Environment: { Variables: { DB_PASSWORD: 'Xk39vbQ2mmZp7Lw1' } } } };
    const text = JSON.stringify({ Transform: evil, Resources: { [evil]: Fn } }, null, 2);
    expect(await scan({ template: write('t.json', text), format: 'table' })).toBe('unreadable');
    expectHarmless();
  });

  test('in a log, and of a file', async () => {
    const detail = sample('CreateFunctionUrlConfig/none.json')['detail'] as { readonly userIdentity: object };
    const userIdentity = { ...detail.userIdentity, arn: `arn:aws:sts::111122223333:assumed-role/a/${evil}` };
    write('a.json', JSON.stringify({ Records: [{ ...detail, userIdentity }] }));
    write(`${evil}.json`, 'hello');
    expect(await replay({ offline: true, stack: 'guard', format: 'table' }, [folder])).toBe('unreadable');
    expectHarmless();
    expect(told.join('\n')).toContain(`${shown}.json: record 1`);
    expect(printed.join('\n')).toContain(`assumed-role/a/${shown}`);
  });
});

describe('a function', () => {
  const rule = 'function-url-open';
  const found = () =>
    (JSON.parse(printed.at(-1) ?? '') as { findings: { resource: { arn: string } }[] }).findings.map((one) => one.resource.arn);

  describe('of the account', () => {
    const account = '111122223333';
    const arn = (name: string, region = 'us-east-1') => `arn:aws:lambda:${region}:${account}:function:${name}`;
    let world: World;
    beforeEach(() => {
      world = createWorld({ account, region: 'us-east-1' });
      for (const FunctionName of ['orders', 'orders-2']) {
        world.lambda.createFunction({ FunctionName });
        world.lambda.createFunctionUrlConfig({ FunctionName, AuthType: 'NONE' });
      }
      const invalid = Object.assign(new Error('Stack with id guard does not exist'), { name: 'ValidationError' });
      mockClient(CloudFormationClient).on(DescribeStacksCommand).rejects(invalid);
      mockClient(STSClient).on(GetCallerIdentityCommand).resolves({ Account: account });
    });
    const scanned = (asked: string) =>
      scan({ region: 'us-east-1', stack: 'lambda-compliance-guard', rule, format: 'json', function: asked });

    test.each(['orders', 'orders:live', '111122223333:function:orders', arn('orders'), arn('orders:live'), arn('orders:$LATEST')])(
      'as %s',
      async (asked) => {
        expect(await scanned(asked)).toBe('findings');
        expect(found()).toEqual([arn('orders')]);
      },
    );

    test.each(['order', arn('orders', 'eu-west-1'), 'arn:aws:lambda:us-east-1:444455556666:function:orders'])(
      'there is none called %s',
      async (asked) => {
        const message = `There is no function ${asked} in what was scanned (us-east-1); there is orders, orders-2.`;
        await expect(scanned(asked)).rejects.toEqual(wrongUse(message));
      },
    );

    test('a text that names none', async () => {
      await expect(scanned('my orders')).rejects.toEqual(wrongUse(`--function takes a function's name or ARN; "my orders" is neither.`));
    });

    test('where functions could not be listed, nobody knows', async () => {
      world.fail('ListFunctions', 'AccessDeniedException');
      expect(await scanned('order')).toBe('unreadable');
    });
  });

  describe('of templates', () => {
    const scanned = (asked: string, text: string) =>
      scan({ template: write('t.yaml', text), rule, format: 'json', function: asked, allowUnknown: true });

    test('by its name, or by an ARN that it will have', async () => {
      const text = template('A', 'B');
      for (const asked of ['A', 'A:live', 'arn:aws:lambda:us-east-1:000000000000:function:A:3']) {
        expect(await scanned(asked, text)).toBe('findings');
        expect(found()).toEqual(['arn:aws:lambda:us-east-1:000000000000:function:A']);
      }
    });

    test('there is none', async () => {
      const message = 'There is no function C in what was scanned (us-east-1); there is A, B.';
      await expect(scanned('C', template('A', 'B'))).rejects.toEqual(wrongUse(message));
    });

    test('it may stand in another template', async () => {
      const nested = '  Nested: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: x } }\n';
      expect(await scanned('C', template('A') + nested)).toBe('unreadable');
    });
  });
});
