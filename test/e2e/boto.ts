import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { environmentOf, type Principal } from '../support/stack.ts';

const root = join(import.meta.dirname, '..', '..');

/** What boto3 answered; only tests look into it. */
// biome-ignore lint/suspicious/noExplicitAny: answers of any operation of any service
export type Answer = any;

/**
 * boto3 in a process of its own, acting as one principal: what the guard hears of is then not shaped by the client
 * library that the guard itself uses.
 */
export class Boto {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting: ((line: string) => void)[] = [];
  #errors = '';

  constructor(as: Principal) {
    this.#process = spawn(join(root, '.venv', 'emulator', 'bin', 'python'), [join(import.meta.dirname, 'client.py')], {
      env: environmentOf(as),
    });
    this.#process.stderr.on('data', (data: Buffer) => {
      this.#errors = `${this.#errors}${data}`.slice(-2000);
    });
    createInterface(this.#process.stdout).on('line', (line) => this.#waiting.shift()?.(line));
    this.#process.once('exit', () => {
      for (const answer of this.#waiting.splice(0)) answer(JSON.stringify({ error: { code: 'ClientEnded', message: this.#errors } }));
    });
  }

  /** @throws Error whose `name` is AWS's error code */
  async call(service: string, operation: string, params: object = {}, { console = false } = {}): Promise<Answer> {
    const line = await new Promise<string>((resolve) => {
      this.#waiting.push(resolve);
      this.#process.stdin.write(`${JSON.stringify({ service, operation, params, console })}\n`);
    });
    const { result, error } = JSON.parse(line) as { result?: Answer; error?: { code: string; message: string } };
    if (error === undefined) return result;
    throw Object.assign(new Error(`${service} ${operation}: ${error.code}: ${error.message}`), { name: error.code });
  }

  end(): void {
    this.#process.stdin.end();
  }
}

/** Bytes in parameters of a call. */
export function bytes(data: Uint8Array): { readonly $base64: string } {
  return { $base64: Buffer.from(data).toString('base64') };
}
