import { isDeepStrictEqual } from 'node:util';
import { type Alert, alertAbout } from './alert.ts';
import type { AnyCall, RecordedCall } from './call.ts';
import { type Change, callsMade, heldBy, type Progress } from './change.ts';
import { evaluate } from './check.ts';
import { errorKind, errorName, errorSummary, isAnswer, RetryLater } from './errors.ts';
import type { Finding, Status } from './finding.ts';
import { lower } from './mode.ts';
import { nameOf } from './plan.ts';
import type { FixPorts, Ports } from './ports.ts';
import { type AnyRule, isWait, type Violation } from './rule.ts';
import type { Subject } from './subject.ts';

/** How long a fix holds its resource: longer than a remediator runs, so that a killed one frees it. */
export const lockMilliseconds = 5 * 60_000;
/** How long tick leaves a change alone that is under way, before it sends it on again: its remediator was killed. */
export const abandonedMilliseconds = 15 * 60_000;
/** How soon tick looks again at a resource that was busy. */
export const busyMilliseconds = 15_000;
/** How long a resource may be busy before its change is given up. */
export const patienceMilliseconds = 60 * 60_000;
/** How soon tick looks again at what a pause has stopped. */
export const pausedMilliseconds = 5 * 60_000;
/** How soon tick looks again at a change on probation. */
export const watchMilliseconds = 60_000;

/** The resource is busy with another change: nothing is wrong, it is just too early. */
export function isBusy(error: unknown): boolean {
  return error instanceof RetryLater || errorName(error) === 'ResourceConflictException';
}

/** Asked before every write: what cannot be read throws, and stops it. */
export async function allowed(rule: AnyRule, { ledger, config }: Ports): Promise<'yes' | 'paused' | 'mode'> {
  const { paused, modes } = await ledger.switches();
  if (paused) return 'paused';
  const deployed = config.rule(rule.id).mode;
  return lower(deployed, modes[rule.id] ?? deployed) === 'remediate' ? 'yes' : 'mode';
}

/** Judges a finding's subject once more. */
export async function violationOf(finding: Finding, rule: AnyRule, ports: Ports): Promise<Violation | undefined> {
  const { violations } = await evaluate(rule, finding.subject, undefined, ports);
  return violations.find(({ subject }) => subject.arn === finding.subject.arn);
}

/** What cannot be read counts as broken still. */
async function stillBreaks(finding: Finding, rule: AnyRule, ports: Ports): Promise<boolean> {
  try {
    return (await violationOf(finding, rule, ports)) !== undefined;
  } catch (error) {
    if (isAnswer(error) && errorKind(error) !== 'passing') return true;
    throw error;
  }
}

/** What a fix touches, as it is now (Rule.state). */
export async function stateOf(subject: Subject, rule: AnyRule, { connect }: Pick<Ports, 'connect'>): Promise<unknown> {
  return await rule.state(subject, { aws: connect(rule.check) });
}

/** Runs the steps of a journaled change that are not done yet. */
export async function run(change: Change, finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, connect, now } = ports;
  if (change.status === 'waiting' && (change.resumeAt ?? 0) > now()) return [];
  if (change.status === 'reverting') return await giveUp(change, change.error ?? 'a step failed', finding, rule, ports);
  if (change.status === 'failed' || change.status === 'reverted') {
    // It ended, and was told: whoever wrote that down was killed before the finding's turn.
    await ledger.setStatus(finding.id, { status: 'failed', cause: `change ${change.id}`, change: change.id, asOf: now() });
    return [];
  }
  if (change.status !== 'running' && change.status !== 'waiting') return await conclude(change, finding, rule, ports);
  if (finding.fixing === undefined) {
    const { status, cause, attempts, fixes = [] } = finding;
    const counted = { attempts: attempts + 1, fixes: [...fixes, now()].slice(-100) };
    const to = { status, cause, fixing: change.id, change: change.id, ...counted };
    // Somebody put it right since it was read, or it is exempt, or another one by now: nothing is done, and tick ends the change.
    if ((await ledger.setStatus(finding.id, { ...to, was: finding })) === undefined) return [];
  }
  const fix = connect(rule.fix as readonly AnyCall[]);
  for (const [index, step] of change.steps.entries()) {
    if (index < change.done) continue;
    if (isWait(step)) {
      await wait(change, index + 1, now() + step.waitSeconds * 1000, ports);
      return [];
    }
    if ((await allowed(rule, ports)) !== 'yes') {
      await wait(change, index, now() + pausedMilliseconds, ports);
      return [];
    }
    try {
      await make(step, rule.fix, fix);
    } catch (error) {
      if (isBusy(error) && now() - Date.parse(change.startedAt) < patienceMilliseconds) {
        await wait(change, index, now() + busyMilliseconds, ports);
        return [];
      }
      if (errorKind(error) === 'passing' && !isBusy(error)) throw error;
      // A step whose RevisionId is used up may have been made before this process was killed: then all is well.
      if (await stillBreaks(finding, rule, ports)) {
        const reason = `${nameOf(step.call, rule.fix)} failed with ${errorSummary(error)}`;
        return await giveUp({ ...change, done: index }, reason, finding, rule, ports);
      }
    }
    await goOn(change, { done: index + 1, status: 'running', dueAt: now() + abandonedMilliseconds }, ports);
  }
  return await conclude(change, finding, rule, ports);
}

/**
 * Writes down how far a fix is.
 * @throws RetryLater where another delivery of the same message is ahead, or has ended it
 */
async function goOn({ id }: Change, to: Progress, { ledger }: Ports): Promise<void> {
  if (!(await ledger.progress(id, to, ['running', 'waiting']))) throw new RetryLater(`change ${id} went on without this worker`);
}

async function wait(change: Change, done: number, dueAt: number, ports: Ports): Promise<void> {
  const { ledger, now } = ports;
  await goOn(change, { done, status: 'waiting', dueAt, resumeAt: dueAt }, ports);
  await ledger.lock(heldBy(change), change.id, now(), dueAt - now() + lockMilliseconds);
}

/** Makes one call of a journaled step; what was made already counts as made. */
async function make(step: RecordedCall, calls: readonly AnyCall[], handle: object): Promise<void> {
  const call = calls.find(({ name }) => name === step.call);
  const method = (handle as Readonly<Record<string, (input: unknown) => Promise<unknown>>>)[step.call];
  if (call === undefined || method === undefined) throw new Error(`${step.call} is not among the calls that this rule declares`);
  try {
    await method(step.input);
  } catch (error) {
    if (!call.alreadyDone.includes(errorName(error))) throw error;
  }
}

/** All steps are made: looks again, and says what came of it. */
async function conclude(change: Change, finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { config, now } = ports;
  const { arn } = finding.subject;
  const whole = { ...change, done: change.steps.length };
  const lookedAt = now();
  const left = await read(() => violationOf(finding, rule, ports));
  if ('error' in left) {
    const summary = `The fix was made; whether ${arn} still breaks this rule could not be read (${left.error}): somebody has to look.`;
    return await end(whole, finding, { status: 'unknown', summary, change: { status: 'done' } }, ports);
  }
  const after = await read(() => stateOf(finding.subject, rule, ports));
  const made = { status: 'done' as const, ...('error' in after ? {} : { after: after.value }), fixedAt: now() };
  if (change.remains.length > 0) {
    const summary = `Put right in part: ${change.remains.join('; ')} still ${change.remains.length === 1 ? 'breaks' : 'break'} this rule.`;
    return await end(whole, finding, { status: 'partial', summary, change: made }, ports);
  }
  if (left.value !== undefined) {
    const summary = `The fix was made, and ${arn} still breaks this rule: somebody has to look.`;
    const error = 'it still breaks the rule after the fix';
    return await end(whole, finding, { status: 'failed', summary, change: { ...made, status: 'failed' as const, error } }, ports);
  }
  const summary = `Put right: ${arn} no longer breaks this rule.`;
  const { length } = config.probation;
  const right = { status: 'remediated' as const, lookedAt };
  if (!rule.probation || length === 0) return await end(whole, finding, { ...right, summary, change: made }, ports);
  const watched = { ...made, status: 'probation' as const, watchUntil: now() + length, dueAt: now() + watchMilliseconds };
  const told = `${summary} It is watched for ${length / 60_000} minutes, and the change is taken back if it fares worse.`;
  return await end(whole, finding, { ...right, summary: told, change: watched }, ports);
}

type Reading<T> = { readonly value: T } | { readonly error: string };

/** What cannot be read for good is no reason to say nothing; what may pass is tried again. */
export async function read<T>(look: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await look() };
  } catch (error) {
    if (!isAnswer(error) || errorKind(error) === 'passing') throw error;
    return { error: errorSummary(error) };
  }
}

/** A step failed for good. Where the rule's undo may run here it runs; otherwise the alert carries the command. */
async function giveUp(change: Change, error: string, finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, now } = ports;
  const takeBack = rule.probation && change.done > 0;
  let stopped: string | undefined;
  if (takeBack) {
    // Written first: should AWS be busy now, the next delivery goes on taking back instead of trying the fix again.
    await ledger.progress(change.id, { done: change.done, status: 'reverting', error, dueAt: now() + abandonedMilliseconds });
    stopped = await stoppedUndoing(change, rule, ports);
  }
  const state = !takeBack
    ? change.done === 0
      ? 'nothing was changed'
      : 'the steps before it are in place'
    : stopped === undefined
      ? 'what had been done was taken back'
      : `taking back what had been done stopped with ${stopped}, and somebody has to look`;
  const summary = `The fix of ${finding.subject.arn} stopped: ${error}; ${state}.`;
  const ended = takeBack && stopped === undefined ? 'reverted' : 'failed';
  return await end(change, finding, { status: 'failed', summary, change: { status: ended, error } }, ports);
}

/**
 * Takes a change back with the remediator's own rights.
 * @returns why it stopped for good, or undefined where it is taken back
 */
export async function stoppedUndoing(change: Change, rule: AnyRule, { connect }: FixPorts): Promise<string | undefined> {
  try {
    await undo(change, rule, connect(rule.undo as readonly AnyCall[]));
    return undefined;
  } catch (error) {
    if (errorKind(error) === 'passing') throw error;
    return errorSummary(error);
  }
}

/** How a change ended: what is said of it, and what is written down of finding and change. */
export interface Ending {
  readonly status: Status & Alert['status'];
  readonly summary: string;
  readonly change: Progress & { readonly status: Change['status'] };
  /** Where it is right now: when that was read, in milliseconds. */
  readonly lookedAt?: number;
}

/**
 * Tells how a change ended, then writes it down: whoever is killed in between tells it again, and the notifier knows
 * what it has sent. The other way round the alert would be lost.
 */
export async function end(change: Change, finding: Finding, ending: Ending, { ledger, publish, now }: Ports): Promise<readonly Alert[]> {
  const { status, summary, lookedAt } = ending;
  const alert = alertAbout(finding, { status, summary, change: callsMade(change) });
  await publish([alert]);
  await ledger.progress(change.id, { done: change.done, ...ending.change });
  const asOf = lookedAt === undefined ? { asOf: now() } : { asOf: lookedAt, unreadSince: lookedAt };
  const ended = await ledger.setStatus(finding.id, { status, was: finding, cause: `change ${change.id}`, change: change.id, ...asOf });
  // A checker read it since then, so that it is looked at once more; or it is exempt by now, and stays so.
  if (ended === undefined) throw new RetryLater(`${finding.subject.arn} was read in the meantime`);
  return [alert];
}

/** Takes back the steps of a change that are done, last first. Repeatable: what is taken back already stays so. */
export async function undo(
  change: Pick<Change, 'steps' | 'done'>,
  rule: AnyRule,
  handle: object,
  told: (call: string) => void = () => {},
): Promise<void> {
  for (const step of change.steps.slice(0, change.done).reverse()) {
    if (isWait(step)) continue;
    for (const call of step.undo) {
      told(nameOf(call.call, rule.undo));
      await make(call, rule.undo, handle);
    }
  }
}

/**
 * Whether the subject is still as a change left it: whoever takes it back otherwise takes back somebody else's work.
 * Where the change knows no state (it stopped on its way, or could not be read), nothing speaks against it.
 */
export function isAsLeft(change: Pick<Change, 'after'>, state: unknown): boolean {
  return (
    change.after === undefined || isDeepStrictEqual(JSON.parse(JSON.stringify(state ?? null)), JSON.parse(JSON.stringify(change.after)))
  );
}
