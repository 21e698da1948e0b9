import { inspect } from 'node:util';
import type { Options, Session } from '../../cli/session.ts';
import { type OperateRequest, operate } from '../../guard/operate.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { type Bench, bench, place } from '../guard/bench.ts';

// The command line as an operator runs it, with the guard in memory behind it: what it asks of operate is carried out.
// Every file that uses this replaces cli/session.ts with `sessionModule()`.

export const olga = 'arn:aws:sts::111122223333:assumed-role/Operators/olga';

/** The session that the next command opens. */
const current: { session: Session | undefined } = { session: undefined };

/** What stands in for cli/session.ts. */
export function sessionModule(): object {
  const actual = jest.requireActual<typeof import('../../cli/session.ts')>('../../cli/session.ts');
  return {
    ...actual,
    openSession: async () => {
      if (current.session === undefined) throw new Error('no session was made for this test');
      return current.session;
    },
  };
}

export interface CommandLine extends Bench {
  /** Requests that reached operate, in order. */
  readonly asked: OperateRequest[];
  /** Runs a command. @returns what it printed, and how it ended: its answer, or the error that main.ts turns into an exit code */
  readonly run: (
    command: (options: Options, args: readonly string[]) => Promise<string>,
    args?: readonly string[],
    options?: Options,
  ) => Promise<{ readonly output: string; readonly ended: string; readonly error?: Error }>;
}

/** @param by who runs the command line */
export function commandLine(rule?: AnyRule, variables: Readonly<Record<string, string>> = {}, by = olga): CommandLine {
  const on = bench(rule, variables);
  jest.spyOn(Date, 'now').mockImplementation(() => on.world.now);
  const asked: OperateRequest[] = [];
  current.session = {
    connection: place,
    ledger: on.ledger,
    config: on.config,
    names: {
      'AWS::Partition': 'aws',
      'AWS::AccountId': place.account,
      'Archive.Arn': 'arn:aws:s3:::guard-archive',
      'Key.Arn': 'arn:aws:kms:us-east-1:111122223333:key/guard',
      RoleSharedSplitRoles: 'arn:aws:iam::111122223333:role/one,arn:aws:iam::111122223333:role/two',
      EnvironmentWithoutCmkArn: 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d',
      CodeSigningOffConfigArn: 'arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-00000000000000000',
    },
    operate: async (request) => {
      asked.push(request);
      return await operate(structuredClone(request), by, on.ports);
    },
  };
  const run: CommandLine['run'] = async (command, args = [], options = {}) => {
    const printed: string[] = [];
    const log = jest.spyOn(console, 'log').mockImplementation((...said) => {
      printed.push(said.map((one) => (typeof one === 'string' ? one : inspect(one))).join(' '));
    });
    try {
      const ended = await command(options, args);
      return { output: printed.join('\n'), ended };
    } catch (error) {
      const thrown = error as Error;
      return { output: printed.join('\n'), ended: thrown.name, error: thrown };
    } finally {
      log.mockRestore();
    }
  };
  return { ...on, asked, run };
}
