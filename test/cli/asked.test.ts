import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replay } from '../../cli/replay.ts';
import { policy } from '../../cli/rights.ts';
import { scan } from '../../cli/scan.ts';
import type { Options } from '../../cli/use.ts';

// What a scan, a replay or a policy is asked for, and what nobody can have meant.

let folder: string;
let printed: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'asked-'));
  printed = [];
  jest.spyOn(console, 'log').mockImplementation((text) => void printed.push(String(text)));
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
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
    await expect(scan(asked)).rejects.toEqual(wrongUse('A scan of templates can judge none of these rules.'));
  });
});
