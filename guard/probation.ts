import { type Alert, alertAbout } from './alert.ts';
import { type Change, callsMade, heldBy, type Progress } from './change.ts';
import { RetryLater } from './errors.ts';
import type { Finding } from './finding.ts';
import type { FixPorts, Metrics } from './ports.ts';
import type { AnyRule } from './rule.ts';
import {
  abandonedMilliseconds,
  allowed,
  type Ending,
  isAsLeft,
  lockMilliseconds,
  pausedMilliseconds,
  read,
  stateOf,
  stoppedUndoing,
  watchMilliseconds,
} from './run.ts';

/** Fewer failures than these may be chance, whatever the share. */
const leastFailures = 3;
/** So much larger a share of failures is worse. */
const worseShare = 0.05;
/** A stream whose records are older than this is behind: milliseconds. */
const oldRecord = 60_000;
/** A function that is hardly invoked is watched for so many further times. */
const mostExtensions = 6;
/** Whoever is late finds that it is so no longer, and writes nothing. */
const watched = ['probation'] as const;

/**
 * What got worse, as a sentence, or undefined. Shares are compared, so that a busier hour is not a worse one.
 * https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
 */
export function worsened(before: Metrics, after: Metrics): string | undefined {
  const share = ({ invocations, ...counts }: Metrics, of: 'errors' | 'throttles') => {
    const all = of === 'errors' ? invocations : invocations + counts.throttles;
    return all === 0 ? 0 : counts[of] / all;
  };
  const isWorse = (of: 'errors' | 'throttles') => after[of] >= leastFailures && share(after, of) > share(before, of) + worseShare;
  const told = (of: 'errors' | 'throttles', what: string) =>
    `${after[of]} of ${of === 'errors' ? after.invocations : after.invocations + after.throttles} invocations ${what} (before: ${before[of]} of ${of === 'errors' ? before.invocations : before.invocations + before.throttles})`;
  if (isWorse('errors')) return told('errors', 'failed');
  if (isWorse('throttles')) return told('throttles', 'were throttled');
  // Each is an event that is lost. Where that happened before, the change is not what broke it.
  if (after.deadLetterErrors > 0 && before.deadLetterErrors === 0)
    return `${after.deadLetterErrors} events could not be sent to its dead letters (before: none)`;
  if (after.iteratorAge > oldRecord && after.iteratorAge > 2 * before.iteratorAge)
    return `its stream lags by ${Math.round(after.iteratorAge / 1000)} s (before: ${Math.round(before.iteratorAge / 1000)} s)`;
  return undefined;
}

/**
 * Looks after a change on probation: takes it back where the function fares worse than before, ends the probation where
 * enough was seen of it, and otherwise puts its end off. What cannot be read proves nothing.
 */
export async function watch(finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, config, now } = ports;
  const change = finding.change === undefined ? undefined : await ledger.change(finding.change);
  if (change === undefined || (change.status !== 'probation' && change.status !== 'reverting')) return [];
  const permitted = (await allowed(rule, ports)) === 'yes';
  const wait = async () => {
    await ledger.progress(change.id, { dueAt: now() + pausedMilliseconds }, [...watched, 'reverting']);
    return [];
  };
  if (change.status === 'reverting') return permitted ? await takeBack(change, finding, rule, ports) : await wait();
  const { length, invocations: enough } = config.probation;
  if (length === 0) {
    if (!permitted) return await wait();
    await ledger.progress(change.id, { status: 'done' }, watched);
    return [];
  }
  const startedAt = Date.parse(change.startedAt);
  const { watchUntil = 0, fixedAt = startedAt, extended = 0 } = change;
  // CloudWatch keeps minutes: that of the change tells of both.
  const from = Math.ceil(fixedAt / 60_000) * 60_000;
  if (from >= now()) return [];
  const { arn } = finding.subject;
  const fared = await read(async () => ({
    before: await ports.metrics(arn, startedAt - length, startedAt),
    after: await ports.metrics(arn, from, now()),
  }));
  const proof = 'error' in fared ? finding : { ...finding, evidence: { ...finding.evidence, ...fared.value } };
  const worse = 'error' in fared ? undefined : worsened(fared.value.before, fared.value.after);
  if (worse !== undefined && permitted) return await takeBack({ ...change, error: worse }, proof, rule, ports);
  if (!permitted) {
    // The change keeps the reason: it is told once, however long the pause.
    if (worse === undefined || change.error !== undefined) return await wait();
    const summary = `${arn} fares worse since the change: ${worse}. The guard is paused and takes nothing back until \`npm run guard -- resume\`: take it back by hand, or resume.`;
    return await tell(change, proof, 'failed', summary, { error: worse, dueAt: now() + pausedMilliseconds }, ports);
  }
  if (now() < watchUntil) {
    await ledger.progress(change.id, { dueAt: Math.min(now() + watchMilliseconds, watchUntil) }, watched);
    return [];
  }
  if ('value' in fared && fared.value.after.invocations >= enough) {
    await ledger.progress(change.id, { status: 'done' }, watched);
    return [];
  }
  const seen =
    'error' in fared
      ? `How ${arn} fares since the change could not be read (${fared.error})`
      : `${arn} was invoked ${fared.value.after.invocations} times since the change, too little to tell whether it still works`;
  if (extended >= mostExtensions)
    return await tell(change, proof, 'unproven', `${seen}; it is watched no longer.`, { status: 'done' }, ports);
  const until = now() + length;
  const progress = { watchUntil: until, extended: extended + 1, dueAt: Math.min(now() + watchMilliseconds, until) };
  if (extended > 0) {
    await ledger.progress(change.id, progress, watched);
    return [];
  }
  const longer = `it is watched for longer, until enough is seen or ${mostExtensions + 1} times ${length / 60_000} minutes are over`;
  return await tell(change, proof, 'unproven', `${seen}: ${longer}.`, progress, ports);
}

/** Says something of a change whose finding stays as it is. */
async function tell(
  change: Change,
  finding: Finding,
  status: Alert['status'],
  summary: string,
  progress: Progress,
  { ledger, publish }: FixPorts,
): Promise<readonly Alert[]> {
  const alert = alertAbout(finding, { status, summary, change: callsMade(change) });
  await publish([alert]);
  await ledger.progress(change.id, progress, watched);
  return [alert];
}

async function takeBack(change: Change, finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, now } = ports;
  const { subject, id } = finding;
  const { error: reason = 'it fared worse' } = change;
  if (!(await ledger.lock(heldBy(change), change.id, now(), lockMilliseconds))) throw new RetryLater('another change of it is under way');
  if (change.status !== 'reverting') {
    const why = await whyNot(change, finding, rule, ports);
    if (why !== undefined) {
      const summary = `${subject.arn} fares worse since the change: ${reason}. ${why}, so nothing was taken back: somebody has to look.`;
      const alerts = await tell(change, finding, 'failed', summary, { status: 'done', error: reason }, ports);
      await ledger.unlock(heldBy(change), change.id);
      return alerts;
    }
    const begun = { status: 'reverting' as const, error: reason, dueAt: now() + abandonedMilliseconds };
    if (!(await ledger.progress(change.id, begun, watched))) throw new RetryLater(`change ${change.id} went on without this worker`);
  }
  // Before the first write: the events of the undo tell of what is wrong again, and must not have it fixed again; nor may
  // a late event of the fix, which still finds it right, end the finding (`fixing`).
  const to = { status: 'reverted' as const, cause: `change ${change.id}`, change: change.id };
  if ((await ledger.setStatus(id, { ...to, was: finding, fixing: change.id, asOf: now() })) === undefined)
    throw new RetryLater(`${subject.arn} was read in the meantime`);
  const stopped = await stoppedUndoing(change, rule, ports);
  if (stopped !== undefined) {
    const summary = `${subject.arn} fares worse since the change: ${reason}. Taking it back stopped with ${stopped}: somebody has to look.`;
    return await end(change, finding, { status: 'failed', summary, change: { status: 'failed', error: reason } }, ports);
  }
  const summary = `Taken back: ${subject.arn} fared worse after the change: ${reason}. It breaks this rule again, and is left alone until \`npm run guard -- fix ${id}\`.`;
  return await end(change, finding, { status: 'reverted', summary, change: { status: 'reverted', error: reason } }, ports);
}

/** Whoever takes back what somebody else changed meanwhile takes back their work. */
async function whyNot(change: Change, finding: Finding, rule: AnyRule, ports: FixPorts): Promise<string | undefined> {
  const state = await read(() => stateOf(finding.subject, rule, ports));
  if ('error' in state) return `Whether it still is as the change left it could not be read (${state.error})`;
  return isAsLeft(change, state.value) ? undefined : 'Somebody else changed it since then';
}

/**
 * Tells how it ended, then writes it down, the change last: until then tick sends it again, so that somebody follows
 * whoever is killed in between.
 */
async function end(
  change: Change,
  finding: Finding,
  { status, summary, change: progress }: Ending,
  { ledger, publish, now }: FixPorts,
): Promise<readonly Alert[]> {
  const alert = alertAbout(finding, { status, summary, change: callsMade(change) });
  await publish([alert]);
  const was = { status: 'reverted' as const, opened: finding.opened };
  await ledger.setStatus(finding.id, { status, was, cause: `change ${change.id}`, change: change.id, asOf: now() });
  await ledger.progress(change.id, progress, ['reverting']);
  await ledger.unlock(heldBy(change), change.id);
  return [alert];
}
