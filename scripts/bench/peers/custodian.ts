import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { run } from '../../../test/support/stack.ts';
import type { Report } from './judge.ts';
import { named, type Resource } from './named.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const bin = join(root, '.venv', 'custodian', 'bin');

/** A policy as its file has it. */
interface Policy {
  readonly name: string;
  readonly resource: string;
  readonly metadata: { readonly rules: readonly string[]; readonly names?: 'role' | 'group' | 'subnet' | 'api' };
  readonly mode?: { readonly type: string; readonly events: readonly { readonly source: string; readonly event: string }[] };
}

/** A policy in event mode: which rules of the guard ask the same, and the events that start its function. */
export interface EventPolicy {
  readonly policy: string;
  readonly rules: readonly string[];
  readonly events: readonly { readonly source: string; readonly event: string }[];
}

/** The policies of a file beside this one. */
export async function policiesOf(file: string): Promise<readonly Policy[]> {
  const text = await readFile(join(import.meta.dirname, file), 'utf8');
  return (parse(text, { merge: true }) as { policies: readonly Policy[] }).policies;
}

/** Cloud Custodian's policies in event mode. */
export async function eventPolicies(): Promise<readonly EventPolicy[]> {
  const policies = await policiesOf('custodian-events.yml');
  return policies.map(({ name, metadata, mode }) => ({ policy: name, rules: metadata.rules, events: mode?.events ?? [] }));
}

/** A function of Lambda that runs one policy in event mode. */
export interface CustodianPolicy {
  /** What a cold start takes before its first event. */
  readonly importMilliseconds: number;
  /** @param envelope an event as EventBridge delivers it. @returns the ARNs of what the policy matched, and why its invocation failed, if it did */
  readonly event: (
    envelope: object,
  ) => Promise<{ readonly milliseconds: number; readonly matched: readonly string[]; readonly error?: string }>;
  readonly end: () => Promise<void>;
}

/**
 * A run of Cloud Custodian with all policies in pull mode.
 * @throws where one of them fails
 */
export async function custodian(environment: Record<string, string>): Promise<readonly Report[]> {
  const directory = await mkdtemp(join(tmpdir(), 'custodian-'));
  try {
    // Nothing from an earlier run, but each of its policies knows what those before it have read.
    const args = ['run', '--output-dir', directory, '--cache', 'memory', '--region', environment['AWS_REGION'] ?? ''];
    const { code, output } = await run(join(bin, 'custodian'), [...args, join(import.meta.dirname, 'custodian.yml')], environment);
    if (code !== 0) throw new Error(`Cloud Custodian ended with ${code}: ${output.slice(-2000)}`);
    const reports = (await policiesOf('custodian.yml')).map(async ({ name, metadata }) => {
      const resources = JSON.parse(await readFile(join(directory, name, 'resources.json'), 'utf8')) as readonly Resource[];
      return resources.flatMap((one) => named(one, metadata.names)).map((arn) => ({ rules: metadata.rules, arn }));
    });
    return (await Promise.all(reports)).flat();
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * Starts the function of a policy in event mode, as cold as a new environment of Lambda.
 * @param environment who it acts as, and where AWS is: `environmentOf` of somebody
 * @throws where there is no such policy, or its process ends
 */
export async function custodianPolicy(name: string, environment: Readonly<Record<string, string>>): Promise<CustodianPolicy> {
  const policy = (await policiesOf('custodian-events.yml')).find((one) => one.name === name);
  if (policy === undefined) throw new Error(`custodian-events.yml has no policy ${name}.`);
  const directory = await mkdtemp(join(tmpdir(), 'custodian-'));
  // As `custodian run` deploys it; what it writes stays out of everybody's /tmp.
  const mode = { ...policy.mode, 'execution-options': { output_dir: directory } };
  await writeFile(join(directory, 'config.json'), JSON.stringify({ 'execution-options': {}, policies: [{ ...policy, mode }] }));
  const child = spawn(join(bin, 'python'), [join(import.meta.dirname, 'custodian_events.py'), directory], { env: { ...environment } });
  let errors = '';
  child.stderr.on('data', (data: Buffer) => {
    errors = `${errors}${data}`.slice(-2000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`The function of ${name} ended: ${errors.trim()}`);
    return JSON.parse(value) as T;
  };
  const { importMilliseconds } = await answer<{ importMilliseconds: number }>();
  return {
    importMilliseconds,
    async event(envelope) {
      child.stdin.write(`${JSON.stringify(envelope)}\n`);
      const { resources, ...told } = await answer<{ milliseconds: number; resources: readonly Resource[]; error?: string }>();
      return { ...told, matched: [...new Set(resources.flatMap((one) => named(one, policy.metadata.names)))] };
    },
    async end() {
      child.stdin.end();
      await ended;
      await rm(directory, { recursive: true });
    },
  };
}

/** The size of what Cloud Custodian deploys for a policy in event mode, which is the same for all of them but for some hundred bytes. */
export async function archiveBytes(): Promise<number> {
  const size = 'from c7n import mu; archive = mu.custodian_archive(); archive.close(); print(archive.size)';
  const { code, output } = await run(join(bin, 'python'), ['-c', size], { PATH: process.env['PATH'] ?? '' });
  if (code !== 0) throw new Error(`No archive of Cloud Custodian: ${output}`);
  return Number(output);
}
