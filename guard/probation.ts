import { type Alert, alertAbout } from './alert.ts';
import type { AnyCall } from './call.ts';
import { type Change, callsMade, type Progress } from './change.ts';
import { errorKind, errorSummary, isAnswer, RetryLater } from './errors.ts';
import type { Finding } from './finding.ts';
import type { FixPorts, Metrics } from './ports.ts';
import type { AnyRule } from './rule.ts';
import {
  abandonedMilliseconds,
  allowed,
  end,
  isAsLeft,
  lockMilliseconds,
  pausedMilliseconds,
  stateOf,
  undo,
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
  if (after.deadLetterErrors > before.deadLetterErrors)
    return `${after.deadLetterErrors} events could not be sent to its dead letters (before: ${before.deadLetterErrors})`;
  if (after.iteratorAge > oldRecord && after.iteratorAge > 2 * before.iteratorAge)
    return `its stream lags by ${Math.round(after.iteratorAge / 1000)} s (before: ${Math.round(before.iteratorAge / 1000)} s)`;
  return undefined;
}

/**
 * Looks after a change on probation: takes it back where the function fares worse than before, ends the probation where
 * enough was seen of it, and otherwise puts its end off.
 */
export async function watch(finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, config, now, metrics } = ports;
  const change = finding.change === undefined ? undefined : await ledger.change(finding.change);
  if (change === undefined || (change.status !== 'probation' && change.status !== 'reverting')) return [];
  const { status, watchUntil = 0, fixedAt = now(), extended = 0 } = change;
  if (status === 'reverting') return await takeBack(change, finding, rule, ports);
  if ((await allowed(rule, ports)) !== 'yes') {
    await ledger.progress(change.id, { dueAt: now() + pausedMilliseconds });
    return [];
  }
  const { length, invocations: enough } = config.probation;
  const startedAt = Date.parse(change.startedAt);
  const before = await metrics(finding.subject.arn, startedAt - length, startedAt);
  // CloudWatch keeps minutes: that of the change tells of both.
  const after = await metrics(finding.subject.arn, Math.ceil(fixedAt / 60_000) * 60_000, now());
  const worse = worsened(before, after);
  const proof = { ...finding, evidence: { ...finding.evidence, before, after } };
  if (worse !== undefined) return await takeBack({ ...change, error: worse }, proof, rule, ports);
  if (now() < watchUntil) {
    await ledger.progress(change.id, { dueAt: Math.min(now() + watchMilliseconds, watchUntil) });
    return [];
  }
  if (after.invocations >= enough) {
    await ledger.progress(change.id, { status: 'done' });
    return [];
  }
  const seen = `${finding.subject.arn} was invoked ${after.invocations} times since the change, too little to tell whether it still works`;
  if (extended >= mostExtensions) return await unproven(change, proof, `${seen}; it is watched no longer.`, { status: 'done' }, ports);
  const until = now() + length;
  const progress = { watchUntil: until, extended: extended + 1, dueAt: Math.min(now() + watchMilliseconds, until) };
  if (extended > 0) {
    await ledger.progress(change.id, progress);
    return [];
  }
  return await unproven(
    change,
    proof,
    `${seen}: it is watched for longer, until enough is seen or ${mostExtensions + 1} times ${length / 60_000} minutes are over.`,
    progress,
    ports,
  );
}

async function unproven(
  change: Change,
  finding: Finding,
  summary: string,
  progress: Progress,
  { ledger, publish }: FixPorts,
): Promise<readonly Alert[]> {
  const alert = alertAbout(finding, { status: 'unproven', summary, change: callsMade(change) });
  await publish([alert]);
  await ledger.progress(change.id, progress);
  return [alert];
}

async function takeBack(change: Change, finding: Finding, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, connect, now } = ports;
  const { subject, id } = finding;
  const { error: reason = 'it fared worse' } = change;
  if (!(await ledger.lock(subject.arn, change.id, now(), lockMilliseconds))) throw new RetryLater('another change of it is under way');
  if (change.status !== 'reverting') {
    if (!isAsLeft(change, await stateOf(subject, rule, ports))) {
      const summary = `${subject.arn} fares worse since the change: ${reason}. Somebody else changed it since then, so nothing was taken back: somebody has to look.`;
      return await ended(change, finding, { status: 'failed', summary, change: { status: 'done', error: reason } }, ports);
    }
    await ledger.progress(change.id, { status: 'reverting', error: reason, dueAt: now() + abandonedMilliseconds });
    // Before the first write: the events of the undo tell of what is wrong again, and must not have it fixed again.
    await ledger.setStatus(id, { status: 'reverted', cause: `change ${change.id}`, change: change.id, asOf: now() });
  }
  try {
    await undo(change, rule, connect(rule.undo as readonly AnyCall[]));
  } catch (error) {
    if (!isAnswer(error) || errorKind(error) === 'passing') throw error;
    const summary = `${subject.arn} fares worse since the change: ${reason}. Taking it back stopped with ${errorSummary(error)}: somebody has to look.`;
    return await ended(change, finding, { status: 'failed', summary, change: { status: 'failed', error: reason } }, ports);
  }
  const summary = `Taken back: ${subject.arn} fared worse after the change: ${reason}. It breaks this rule again, and is left alone until \`npm run guard -- fix ${id}\`.`;
  return await ended(change, finding, { status: 'reverted', summary, change: { status: 'reverted', error: reason } }, ports);
}

async function ended(...[change, finding, ending, ports]: Parameters<typeof end>): Promise<readonly Alert[]> {
  const alerts = await end(change, finding, ending, ports);
  await ports.ledger.unlock(change.resource, change.id);
  return alerts;
}
