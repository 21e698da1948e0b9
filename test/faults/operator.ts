import type { Session } from '../../cli/session.ts';
import { undoChange } from '../../cli/undo.ts';
import { operate } from '../../guard/operate.ts';
import { wire } from '../../handlers/wire.ts';
import { place } from '../support/rule-test.ts';
import type { Guard } from './guard.ts';

// The operator at the command line. Every test file that uses this replaces openSession() of cli/session.ts with `session`.

const by = `arn:aws:sts::${place.account}:assumed-role/OnCall/olga`;

const current: { guard?: Guard } = {};

/** The deployed guard as the command line reaches it: the ledger to read, the operate function to ask. */
export async function session(): Promise<Session> {
  const { guard } = current;
  if (guard === undefined) throw new Error('nobody is at the command line');
  const { config, ledger } = wire([guard.rule]);
  return {
    connection: place,
    config,
    ledger,
    names: {},
    operate: async (request) => {
      const { answer, error } = await guard.account.run('operate', async () => await operate(request, by, wire([])));
      if (answer === undefined) throw new Error('The operate function answered 502.', { cause: error });
      return answer;
    },
  };
}

/** How a command ended: done, or with what it said. */
export interface Ended {
  readonly done: boolean;
  readonly said: string;
}

/** `npm run guard -- undo <change> …`, as an alert names it. Minutes that the command waits pass at once. */
export async function undo(guard: Guard, command: string, options: { readonly force?: boolean } = {}): Promise<Ended> {
  const [, id] = /^npm run guard -- undo (\w+) --for 7d --reason "<why>"$/.exec(command) ?? [];
  if (id === undefined) throw new Error(`no undo: ${command}`);
  current.guard = guard;
  const waits = jest.spyOn(globalThis, 'setTimeout').mockImplementation(((done: () => void, milliseconds = 0) => {
    guard.account.world.advance(milliseconds / 1000);
    queueMicrotask(done);
  }) as never);
  try {
    const { answer, process, error } = await guard.account.run(
      'operator',
      async () => await undoChange({ for: '7d', reason: 'it does harm', ...options }, [id]),
    );
    return { done: answer === 'fine' && !process.dead, said: String(error ?? (process.dead ? 'killed' : '')) };
  } finally {
    waits.mockRestore();
  }
}
