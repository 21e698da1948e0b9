import type { PlannedFix } from '../../guard/replay.ts';

/** What a fix would have done, or why it would not have been made. */
export function whatOf({ plan, refused, unknown }: PlannedFix): string {
  if (unknown !== undefined) return `Unknown: ${unknown}`;
  return refused === undefined ? plan.join('; ') : `Not made: ${refused}`;
}
