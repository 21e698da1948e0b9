import type { Step } from './rule.ts';

/**
 * A fix as the ledger journals it: written whole, with every undo, before the first step runs.
 * `waiting` goes on after resumeAt; `failed` stopped between steps and says where.
 */
export interface Change {
  readonly id: string;
  readonly finding: string;
  readonly rule: string;
  readonly resource: string;
  readonly account: string;
  readonly region: string;
  readonly steps: readonly Step[];
  readonly remains: readonly string[];
  /** How many steps are done. */
  readonly done: number;
  readonly status: 'running' | 'waiting' | 'reverting' | 'done' | 'failed' | 'reverted' | 'undone';
  readonly startedAt: string;
  /** When tick looks at it (again), in milliseconds. */
  readonly dueAt?: number;
  readonly resumeAt?: number;
  readonly error?: string;
  readonly undoneBy?: string;
}
