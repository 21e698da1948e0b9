import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '..', '..');

/** A running emulator: an account of AWS on this machine, with IAM enforced. */
export interface Emulator {
  readonly endpoint: string;
  readonly account: string;
  readonly region: string;
  /** The root user's keys. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** Starts an emulator of its own on a free port (or this one). It ends with this process at the latest. */
export async function startEmulator({ port = 0, log = '' }: { readonly port?: number; readonly log?: string } = {}): Promise<Emulator> {
  const python = join(root, '.venv', 'emulator', 'bin', 'python');
  if (!existsSync(python)) throw new Error('The emulator is not set up: run `npm run setup` first.');
  const child = spawn(
    python,
    [join(root, 'test', 'emulator', 'server.py'), '--port', String(port), ...(log === '' ? [] : ['--log', log])],
    {
      // Functions run with the Node that Lambda has, and nothing of the caller's AWS session reaches them.
      env: { PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`, HOME: process.env['HOME'] ?? '' },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let errors = '';
  child.stderr.on('data', (data: Buffer) => {
    errors = `${errors}${data}`.slice(-4000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const first = await Promise.race([
    (async () => {
      for await (const line of createInterface(child.stdout)) return line;
      return undefined;
    })(),
    ended.then(() => undefined),
  ]);
  if (first === undefined) throw new Error(`The emulator did not start: ${errors.trim()}`);
  const stop = async () => {
    child.stdin.end();
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(late);
  };
  return { ...(JSON.parse(first) as Omit<Emulator, 'pid' | 'stop'>), pid: child.pid ?? 0, stop };
}
