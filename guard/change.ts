import type { Step } from './rule.ts';

/**
 * A fix as the ledger journals it: written whole, with every undo, before the first step runs.
 * `waiting` goes on after resumeAt; `probation` is made, and watched until its time is over; `failed` stopped between
 * steps and says where. The guard takes it back (`reverting`, then `reverted`), or an operator (`undoing`, then
 * `undone`): in between, part of it is back already.
 */
export interface Change {
  readonly id: string;
  readonly finding: string;
  readonly rule: string;
  readonly resource: string;
  /** What it keeps other changes from, where that is more than its resource (see Rule.holds). */
  readonly holds?: string;
  readonly account: string;
  readonly region: string;
  readonly steps: readonly Step[];
  /** The steps' calls as IAM spells them; empty texts for waits. */
  readonly calls: readonly string[];
  readonly remains: readonly string[];
  /** How many steps are done. */
  readonly done: number;
  readonly status: 'running' | 'waiting' | 'probation' | 'reverting' | 'undoing' | 'done' | 'failed' | 'reverted' | 'undone';
  readonly startedAt: string;
  /** When tick looks at it (again), in milliseconds. */
  readonly dueAt?: number;
  readonly resumeAt?: number;
  readonly error?: string;
  /** The rule's state of the subject before the first step and after the last one (see Rule.state). */
  readonly before?: unknown;
  readonly after?: unknown;
  /** When the last step was made, in milliseconds: probation compares what follows with what was before. */
  readonly fixedAt?: number;
  /** The end of its probation, in milliseconds, which is put off while too little happens to tell. */
  readonly watchUntil?: number;
  /** How often the end of its probation was put off. */
  readonly extended?: number;
  /** The operator who takes it back, or did. */
  readonly undoneBy?: string;
}

/** What is locked while a change runs. */
export function heldBy({ holds, resource }: Pick<Change, 'holds' | 'resource'>): string {
  return holds ?? resource;
}

/** What of a change may be written down after it was journaled. */
export type Progress = Partial<
  Pick<Change, 'done' | 'status' | 'dueAt' | 'resumeAt' | 'error' | 'after' | 'fixedAt' | 'watchUntil' | 'extended' | 'undoneBy'>
>;

/** A change as an alert tells it: the calls that were made so far. */
export function callsMade({ id, calls, done }: Pick<Change, 'id' | 'calls' | 'done'>): {
  readonly id: string;
  readonly calls: readonly string[];
} {
  return { id, calls: calls.slice(0, done).filter((call) => call !== '') };
}
