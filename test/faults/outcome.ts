import type { Change } from '../../guard/change.ts';
import type { Finding } from '../../guard/finding.ts';
import { isWait } from '../../guard/rule.ts';
import { lockMilliseconds } from '../../guard/run.ts';
import type { Call } from './account.ts';
import type { Guard } from './guard.ts';
import { undo } from './operator.ts';

/** How it may end. Anything else is a defect. */
export const outcomes = ['fixed', 'untouched', 'restored', 'restored by the undo', 'gone'] as const;
export type Outcome = (typeof outcomes)[number];

/** A guard without any fault, and what the account looks like at each end of it. */
export interface Reference {
  readonly calls: readonly Call[];
  readonly before: string;
  readonly fixed: string;
  /** The same, where somebody deleted the resource. */
  readonly goneBefore: string;
  readonly goneFixed: string;
}

export async function referenceOf(deploy: () => Promise<Guard>): Promise<Reference> {
  const untouched = await deploy();
  await untouched.found();
  const before = state(untouched);
  untouched.setUp.remove(untouched.account.world);
  const goneBefore = state(untouched);
  const guard = await deploy();
  await guard.found();
  guard.account.counting = true;
  await guard.untilQuiet();
  const fixed = state(guard);
  const { calls } = guard.account;
  guard.setUp.remove(guard.account.world);
  return { calls, before, fixed, goneBefore, goneFixed: state(guard) };
}

/** Everything in the account, one line a value, but for six characters that Secrets Manager adds to each name. */
export function state({ account }: Guard): string {
  return linesOf(account.world.snapshot(), '')
    .toSorted()
    .join('\n')
    .replace(/(:secret:compliance-guard\/[\w/-]+)-[0-9a-f]{6}(?=")/g, '$1');
}

function linesOf(value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [`${path} = ${JSON.stringify(value)}`];
  return Object.entries(value).flatMap(([key, inner]) => linesOf(inner, `${path}/${key}`));
}

/** What one account has and the other has not. */
export function differences(now: string, wanted: string): readonly string[] {
  const [here, there] = [now.split('\n'), wanted.split('\n')];
  return [
    ...here.filter((line) => !there.includes(line)).map((line) => `+ ${line}`),
    ...there.filter((line) => !here.includes(line)).map((line) => `- ${line}`),
  ];
}

/** @throws with everything that contradicts itself: the account, the ledger, and what was told */
export async function outcomeOf(guard: Guard, reference: Reference): Promise<Outcome> {
  const [finding, change] = await ledgerOf(guard);
  const wrong = [
    ...untold(guard, finding, change),
    ...locked(guard),
    ...(guard.deadLetters > 0 ? [`${guard.deadLetters} messages lie among the dead letters`] : []),
  ];
  const text = summaryOf(guard, finding, change);
  const now = state(guard);
  let outcome: Outcome;
  if (now === reference.fixed) outcome = 'fixed';
  else if (now === reference.before) outcome = change === undefined || change.done === 0 ? 'untouched' : 'restored';
  else {
    // Half of it is there, or what was made for a resource that is gone: an alert has to say how to take it back.
    const after = now === reference.goneBefore ? now : await afterUndo(guard);
    outcome = after === reference.before ? 'restored by the undo' : 'gone';
    if (after !== reference.before && after !== reference.goneBefore)
      wrong.push('it is neither as before nor fixed, and after the undo it is', ...differences(after, reference.before));
  }
  wrong.push(...contradictions(outcome, finding, change, guard));
  if (wrong.length > 0) throw new Error([...wrong, text].join('\n'));
  return outcome;
}

async function ledgerOf(guard: Guard): Promise<readonly [Finding, Change | undefined]> {
  const [findings, changes] = [await guard.findings(), await guard.changes()];
  const [finding] = findings;
  if (finding === undefined || findings.length > 1 || changes.length > 1)
    throw new Error(`there are ${findings.length} findings and ${changes.length} changes`);
  return [finding, changes[0]];
}

/** Runs the command that the alert about a change names. @returns the account afterwards, or why it stopped */
async function afterUndo(guard: Guard): Promise<string> {
  const told = guard.account.sent.findLast((alert) => alert.change !== undefined)?.change;
  if (told === undefined) return 'no alert names one';
  const first = await undo(guard, told.undo);
  // It shows what is there now, and says how to go on.
  const { done, said } = first.said.includes('With --force') ? await undo(guard, told.undo, { force: true }) : first;
  if (!done) return `it stopped: ${said}`;
  await guard.untilQuiet();
  return state(guard);
}

/** What finding and change may say for each outcome. */
function contradictions(outcome: Outcome, { status }: Finding, change: Change | undefined, { account, setUp }: Guard): readonly string[] {
  const said = `${status}, ${change === undefined ? 'no change' : `${change.status} after ${change.done} of ${change.steps.length} steps`}`;
  // What is refused stays open, and the reason is told.
  const refused = account.sent.some((alert) => alert.kind === 'failure' && alert.status === 'open');
  const done = change?.status === 'done' && change.done === change.steps.length;
  const fits: Readonly<Record<Outcome, boolean>> = {
    fixed: done && ['remediated', 'unknown'].includes(status),
    untouched:
      (['failed', 'unknown'].includes(status) || (status === 'open' && refused)) &&
      (change === undefined || (change.status === 'failed' && change.done === 0)),
    restored: change?.status === 'reverted' && status === 'failed',
    'restored by the undo': change?.status === 'failed' && change.done > 0 && status === 'failed',
    gone:
      (status !== 'open' || (setUp.missed === true && refused)) &&
      !['running', 'waiting', 'probation', 'reverting'].includes(change?.status ?? ''),
  };
  return fits[outcome] ? [] : [`it is ${outcome}, and the ledger says: ${said}`];
}

/** What had to be told and was not; and what was told twice. */
function untold({ account: { sent } }: Guard, finding: Finding, change: Change | undefined): readonly string[] {
  const keys = new Map<string, Set<string>>();
  // A change that cannot be watched is told when that begins, and when it ends.
  for (const { kind, status, opened, summary, change: of } of sent.filter((alert) => alert.status !== 'unproven')) {
    const key = `${kind} ${status} ${opened} ${of?.id ?? ''}`;
    keys.set(key, (keys.get(key) ?? new Set()).add(summary));
  }
  const twice = [...keys].flatMap(([key, summaries]) => (summaries.size > 1 ? [`told twice: ${key}`] : []));
  const ends = new Set(
    sent.flatMap(({ kind, status }) => ((kind === 'finding' && status === 'open') || status === 'unproven' ? [] : [status])),
  );
  const wrong = [...ends].filter((status) => status !== finding.status);
  return [
    ...twice,
    ...(sent.some(({ kind, status }) => kind === 'finding' && status === 'open') ? [] : ['that it was found is not told']),
    ...(ends.has(finding.status) ? [] : [`that it is ${finding.status} is not told`]),
    ...wrong.map((status) => `${status} is told, and it is ${finding.status}`),
    ...(change?.status === 'failed' && !sent.some((alert) => alert.change?.id === change.id) ? ['the change that failed is not told'] : []),
  ];
}

/** A lock must end by itself soon after the last call. */
export function locked({ account: { table, world } }: Guard): readonly string[] {
  return table.items.flatMap(({ pk, until }) =>
    String(pk).startsWith('LOCK#') && Number(until) > world.now + lockMilliseconds
      ? [`${pk} is locked for longer than a fix can take`]
      : [],
  );
}

function summaryOf({ account }: Guard, { status, cause, fixing }: Finding, change: Change | undefined): string {
  return [
    `finding ${status} (${cause}, fixing ${fixing})`,
    change === undefined
      ? 'no change'
      : `change ${change.status} ${change.done} of ${change.steps.filter((step) => !isWait(step)).length} ${change.error ?? ''}`,
    ...account.sent.map((alert) => `told: ${alert.kind} ${alert.status} ${alert.summary}`),
  ].join('\n');
}
