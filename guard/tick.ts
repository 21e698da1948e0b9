import { type Alert, alertAbout } from './alert.ts';
import { matchesGlob } from './arn.ts';
import { type Change, callsMade } from './change.ts';
import type { Finding } from './finding.ts';
import type { Exemption } from './ledger.ts';
import type { Ports } from './ports.ts';
import { causeByTags } from './tags.ts';

type TickPorts = Pick<Ports, 'ledger' | 'config' | 'now' | 'publish'>;

/** How long a task has before it is sent again, in case whoever received it died. */
const againAfter = 5 * 60_000;

/** What tick asks of the others, over the guard's bus. */
export type Task =
  | { readonly task: 'fix'; readonly rule: string; readonly findingId: string }
  | { readonly task: 'digest'; readonly bucket: string }
  | { readonly task: 'sweep' }
  /** Not tick's: the checker of the guard itself sends it on. */
  | { readonly task: 'heartbeat' };

/** The one clock of the guard: sends on whatever the ledger says is due. Two ticks at once send nothing twice. */
export async function tick(ports: TickPorts): Promise<{ readonly tasks: readonly Task[]; readonly alerts: readonly Alert[] }> {
  const { ledger, now } = ports;
  const tasks: Task[] = [];
  const alerts: Alert[] = [];
  for (const due of await ledger.due(now())) {
    const byTags = due.kind === 'finding' ? await exemptByTags(due.id, ledger) : undefined;
    const listens = due.kind !== 'finding' || byTags !== undefined || ports.config.rule(due.rule).mode === 'remediate';
    // A deployment took its remediator away. A later one fixes what is found from then on.
    if (!(await ledger.postpone(due, listens ? now() + againAfter : undefined)) || !listens) continue;
    if (byTags !== undefined) alerts.push(...(await tagsOver(byTags, ports)));
    else if (due.kind === 'finding') tasks.push({ task: 'fix', rule: due.rule, findingId: due.id });
    if (due.kind === 'digest') tasks.push({ task: 'digest', bucket: due.id });
    if (due.kind === 'change') {
      const change = await ledger.change(due.id);
      if (change === undefined) continue;
      const finding = await ledger.finding(change.finding);
      if (change.status === 'undoing') alerts.push(...(await interrupted(change, finding, ports)));
      else if (finding === undefined || isLeftBehind(change, finding))
        await ledger.progress(change.id, { status: change.status === 'probation' ? 'done' : 'failed' }, [change.status]);
      else if (ports.config.rule(change.rule).mode === 'remediate')
        tasks.push({ task: 'fix', rule: change.rule, findingId: change.finding });
      else alerts.push(...(await orphaned(change, finding, ports)));
    }
    if (due.kind === 'exemption') alerts.push(...(await expire(due.id, ports)));
  }
  // The first sweep builds the indexes and baselines; later ones come by schedule.
  if ((await ledger.lastSweep()) === undefined) tasks.push({ task: 'sweep' });
  return { tasks, alerts };
}

/** Its finding went on without it: opened again, ended, made exempt, or put right by another change. */
function isLeftBehind({ id, status }: Change, finding: Finding): boolean {
  if (finding.fixing !== undefined) return finding.fixing !== id;
  if (status !== 'probation' && status !== 'reverting') return finding.status !== 'open';
  return finding.change !== id || (finding.status !== 'remediated' && finding.status !== 'reverted');
}

/**
 * A deployment took away the remediator of a change that was under way or on probation: nobody goes on with it, so that
 * a person must. Told before it is written down, the change last, so that it is told for certain.
 */
async function orphaned(change: Change, finding: Finding, { ledger, publish, now }: TickPorts): Promise<readonly Alert[]> {
  const watched = change.status === 'probation';
  const made = callsMade(change);
  const summary = `A deployment took the remediator of ${change.rule} away while its change of ${change.resource} ${howFar(change, made.calls.length)}: look at it, and take the change back where it does harm.`;
  const alert = alertAbout(finding, { status: watched ? 'unproven' : 'failed', summary, change: made });
  await publish([alert]);
  if (!watched) await ledger.setStatus(finding.id, { status: 'failed', cause: `change ${change.id}`, asOf: now() });
  const ended = { status: watched ? ('done' as const) : ('failed' as const), error: 'its remediator was taken away' };
  await ledger.progress(change.id, ended, [change.status]);
  return [alert];
}

/** An operator began to take it back and did not end: it is exempt by now, and perhaps neither fixed nor as it was. */
async function interrupted(change: Change, finding: Finding | undefined, { ledger, publish }: TickPorts): Promise<readonly Alert[]> {
  const alerts: Alert[] = [];
  if (finding !== undefined) {
    const summary = `${change.undoneBy ?? 'Somebody'} began to take the change of ${change.resource} back and did not end it: perhaps a part of it is taken back. The rule leaves it alone until the exemption undo-${change.id} is over; run the undo again, or end the exemption.`;
    alerts.push(alertAbout(finding, { status: 'failed', summary, change: callsMade(change) }));
    await publish(alerts);
  }
  await ledger.progress(change.id, { status: 'undoing' }, ['undoing']);
  return alerts;
}

function howFar({ status, calls }: Change, made: number): string {
  if (status === 'probation') return 'was on probation, and nobody watches it any more';
  if (status === 'reverting') return 'was being taken back, and perhaps only a part of it is';
  return `was under way, after ${made} of its ${calls.filter((call) => call !== '').length} calls`;
}

async function exemptByTags(id: string, ledger: TickPorts['ledger']): Promise<Finding | undefined> {
  const finding = await ledger.finding(id);
  return finding?.status === 'exempt' && finding.exemptUntil !== undefined ? finding : undefined;
}

/** The date in a finding's tags has come: it is open again. Told before it is written down, so that it is told for certain. */
async function tagsOver(finding: Finding, { ledger, config, now, publish }: TickPorts): Promise<readonly Alert[]> {
  const { id, rule, subject } = finding;
  const granted = await ledger.exemption(rule, subject.arn, now());
  if (granted !== undefined) {
    await ledger.setStatus(id, { status: 'exempt', was: finding, cause: `exemption ${granted.id}` });
    return [];
  }
  const { mode, delay } = config.rule(rule);
  const opened = finding.opened + 1;
  const alert = alertAbout({ ...finding, opened }, { status: 'open', summary: `${finding.summary} Its exemption by tags has expired.` });
  await publish([alert]);
  // Its remediator saw an exempt finding in that alert: the next tick sends it once more.
  const delayed = mode === 'remediate' ? { fixAfter: now() + delay, dueAt: now() + delay } : {};
  await ledger.setStatus(id, { status: 'open', was: finding, opened, cause: causeByTags(`expired at ${now()}`), ...delayed });
  return [alert];
}

/** An exemption is over: what it covered is open again. It is removed last: whoever is killed in between tells it again. */
async function expire(id: string, { ledger, config, now, publish }: TickPorts): Promise<readonly Alert[]> {
  const alerts: Alert[] = [];
  let expired: Exemption | undefined;
  for await (const exemption of ledger.exemptions()) if (exemption.id === id) expired = exemption;
  if (expired === undefined) return alerts;
  const cause = `exemption ${id} expired`;
  const { mode, delay } = config.rule(expired.rule);
  // As for every finding that opens: an owner gets the rule's delay to put it right.
  const delayed = mode === 'remediate' ? { fixAfter: now() + delay, ...(delay > 0 ? { dueAt: now() + delay } : {}) } : {};
  for await (const finding of ledger.findings({ rule: expired.rule })) {
    const covered = finding.status === 'exempt' && finding.exemptUntil === undefined && matchesGlob(finding.subject.arn, expired.resource);
    // Opened by a tick that was killed: told once more, unless it is being put right by now.
    const again = finding.cause === cause && finding.status === 'open' && finding.fixing === undefined;
    if (!covered && !again) continue;
    const opened = covered ? finding.opened + 1 : finding.opened;
    const open = await ledger.setStatus(finding.id, { status: 'open', was: finding, cause, opened, ...delayed });
    if (open === undefined) continue;
    const alert = alertAbout(open, { status: 'open', summary: `${open.summary} Its exemption (${expired.reason}) has expired.` });
    await publish([alert]);
    alerts.push(alert);
  }
  await ledger.removeExemption(id);
  return alerts;
}
