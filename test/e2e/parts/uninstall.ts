import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import { isLive } from '../../../cli/uninstall.ts';
import type { Change } from '../../../guard/change.ts';
import { type Finding, isWrong } from '../../../guard/finding.ts';
import type { Exemption } from '../../../guard/ledger.ts';
import { environmentOf, samDelete } from '../../support/stack.ts';
import type { Answer } from '../boto.ts';
import { guard, keepLogs, stack, stage } from '../stage.ts';

async function listed<T>(command: 'findings' | 'changes' | 'exemptions'): Promise<readonly T[]> {
  return JSON.parse((await guard(command, '--json')).output) as readonly T[];
}

const liveChanges = async () => (await listed<Change>('changes')).filter(isLive);
/** What the first group of a pattern finds. */
const all = (pattern: RegExp, text: string) => [...text.matchAll(pattern)].map(([, found = '']) => found).sort();
const ids = (of: readonly { readonly id: string }[]) => of.map(({ id }) => id).sort();

/** Of an ARN or a URL. */
const lastPart = (name: string) => name.split(/[/:]/).at(-1) ?? '';

/** Where each thing of a stack is listed, and its name there. */
const lists: readonly (readonly [service: string, operation: string, list: string, name?: string])[] = [
  ['dynamodb', 'list_tables', 'TableNames'],
  ['s3', 'list_buckets', 'Buckets', 'Name'],
  ['iam', 'list_policies', 'Policies', 'PolicyName'],
  ['iam', 'list_roles', 'Roles', 'RoleName'],
  ['lambda', 'list_functions', 'Functions', 'FunctionName'],
  ['events', 'list_event_buses', 'EventBuses', 'Name'],
  ['events', 'list_rules', 'Rules', 'Name'],
  ['sqs', 'list_queues', 'QueueUrls'],
  ['sns', 'list_topics', 'Topics', 'TopicArn'],
  ['cloudwatch', 'describe_alarms', 'MetricAlarms', 'AlarmName'],
];

/** The names of whatever there is of the stack. Keys have none. */
async function ofTheStack(): Promise<readonly string[]> {
  const names = lists.map(async ([service, operation, list, name]) => {
    const answer = await stage.botoRoot.call(service, operation, ['iam', 'lambda'].includes(service) ? { MaxItems: 1_000 } : {});
    const found: readonly string[] = (answer[list] ?? []).map((one: Answer) => (name === undefined ? one : one[name]));
    return found.map(lastPart).filter((one) => one === stack || one.startsWith(`${stack}-`));
  });
  return (await Promise.all(names)).flat().sort();
}

const python = '.venv/emulator/bin/python';
const asTerminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

/** The command line as the operator has it on a terminal, who answers what it asks. */
async function onTerminal(command: string, yes: (before: string) => boolean): Promise<{ readonly code: number; readonly output: string }> {
  const env = environmentOf(stage.operator);
  const child = spawn(python, ['-c', asTerminal, 'node_modules/.bin/node', 'cli/main.ts', command], { env });
  let [raw, answered] = ['', 0];
  const output = () => stripVTControlCharacters(raw).replaceAll('\r', '');
  child.stdout.on('data', (data: Buffer) => {
    raw += data;
    for (const asked = output().split('[y/N] ').length - 1; answered < asked; answered += 1)
      child.stdin.write(yes(output()) ? 'y\n' : 'n\n');
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, output: output() };
}

/** In the end nothing of the guard is there any more: no test can follow. */
export function uninstall(): void {
  describe('a guard that is taken leave of', () => {
    beforeAll(keepLogs);

    it('reports every open finding, change and exemption of its ledger', async () => {
      const why = ['--for', '1h', '--reason', 'the last one', '--owner', 'shop'];
      expect(await guard('exempt', 'function-url-open', 'arn:aws:lambda:*:*:function:last-*', ...why)).toMatchObject({ code: 0 });
      const output = '.work/e2e/report.html';
      expect(await guard('report', '--output', output)).toEqual({ code: 0, output: `The report is in ${output}.\n` });
      const page = await readFile(output, 'utf8');
      const [before = '', changes = '', exemptions = ''] = page.split(/<h2 id="(?:changes|exemptions)">/);
      const findings = (await listed<Finding>('findings')).filter((finding) => isWrong(finding) && finding.status !== 'unknown');
      expect(findings.length).toBeGreaterThan(2);
      expect(all(/<article class="finding" id="finding-(\w+)"/g, before)).toEqual(ids(findings));
      const made = await listed<Change>('changes');
      expect(made.length).toBeGreaterThan(0);
      expect(all(/<td><code>(\w+)<\/code><\/td><\/tr>/g, changes)).toEqual(ids(made));
      const granted = await listed<Exemption>('exemptions');
      expect(granted.map(({ reason }) => reason)).toContain('the last one');
      expect(all(/<td><code>(arn:[^<]*)<\/code><\/td>/g, exemptions)).toEqual(granted.map(({ resource }) => resource).sort());
    });

    it('takes back the latest change that nobody has gone over since, when told to, and leaves nothing else but what it names', async () => {
      const live = await liveChanges();
      const { code, output } = await onTerminal('uninstall', (before) => !before.includes(' is undone.'));
      const left = await liveChanges();
      const undone = all(/^Change (\w+) is undone\./gm, output);
      expect(undone).toHaveLength(1);
      expect(ids(left)).toEqual(ids(live).filter((id) => !undone.includes(id)));
      expect(code).toBe(left.length === 0 ? 0 : 1);
      expect(output).toContain(left.length === 0 ? 'Next: sam delete' : `\n${left.length} change`);

      const outliving = all(/^ {2}(\S+)$/gm, output.split('These outlive the stack')[1] ?? '')
        .map(lastPart)
        .sort();
      expect(outliving).toHaveLength(5);
      expect((await ofTheStack()).length).toBeGreaterThan(50);
      const keys = (await stage.botoRoot.call('kms', 'list_keys')).Keys.map(({ KeyId }: Answer) => KeyId);
      await samDelete(stage.pipeline);
      expect(await guard('findings')).toMatchObject({ code: 2, output: expect.stringContaining(`There is no stack ${stack}`) });
      expect([...(await ofTheStack()), ...keys.filter((key: string) => outliving.includes(key))].sort()).toEqual(outliving);
    });
  });
}
