import { createHash } from 'node:crypto';
import { type Alert, alertAbout } from './alert.ts';
import { stoppedByBudget } from './budget.ts';
import type { Change } from './change.ts';
import { errorKind, errorSummary, isAnswer, RetryLater } from './errors.ts';
import type { Finding } from './finding.ts';
import { describe, nameOf, planFor } from './plan.ts';
import type { FixPorts } from './ports.ts';
import { watch } from './probation.ts';
import { type AnyRule, isWait } from './rule.ts';
import {
  abandonedMilliseconds,
  allowed,
  busyMilliseconds,
  isBusy,
  lockMilliseconds,
  pausedMilliseconds,
  run,
  stateOf,
  violationOf,
} from './run.ts';
import { untouchable } from './scope.ts';
import { exemptionByTags } from './tags.ts';

/**
 * finding → change: takes a finding by its id and puts its subject right, goes on with a change that waited, or watches
 * over one that was made. Nothing that the message says is believed but the id: the finding comes from the ledger, must be
 * open, and the subject is judged again. A message that is late, forged or delivered twice therefore does nothing.
 * @throws RetryLater (or what AWS threw, where it may pass): the queue delivers the message again
 */
export async function remediate(id: string, rule: AnyRule, ports: FixPorts): Promise<readonly Alert[]> {
  const { ledger, config, now } = ports;
  const finding = await ledger.finding(id);
  if (finding === undefined || finding.rule !== rule.id) return [];
  if (rule.probation && (finding.status === 'remediated' || finding.status === 'reverted')) return await watch(finding, rule, ports);
  // Whoever found that nothing was left to do may have been killed before it was told.
  if (finding.status === 'resolved' && finding.cause === `change ${nextChangeId(finding)}`) return await tellResolved(finding, ports);
  if (finding.status !== 'open' || isTooEarly(finding, now())) return [];
  const permission = await allowed(rule, ports);
  if (permission === 'paused') return await later(finding, now() + pausedMilliseconds, ports);
  if (permission !== 'yes') return [];
  if (untouchable(finding, config) !== undefined) return await rest(finding, ports);
  if (await exempt(finding, ports)) return [];
  const changeId = finding.fixing ?? nextChangeId(finding);
  const held = heldFor(finding, rule);
  try {
    if (!(await ledger.lock(held, changeId, now(), lockMilliseconds))) throw new RetryLater('another change of it is under way');
    const change = (await ledger.change(changeId)) ?? (await begin(finding, changeId, rule, ports));
    const alerts = 'alerts' in change ? change.alerts : await run(change, finding, rule, ports);
    // A waiting change keeps its resource until it goes on; everything else is over.
    if ((await ledger.change(changeId))?.status !== 'waiting') await ledger.unlock(held, changeId);
    return alerts;
  } catch (error) {
    if (isAnswer(error) && errorKind(error) !== 'passing' && (await ledger.change(changeId)) === undefined) {
      return await cannotBegin(finding, changeId, held, error, ports);
    }
    if (!isBusy(error)) throw error;
    // Lambda is still at work on the function, or another fix is: tick sends the finding again, sooner than the queue would.
    return await later(finding, now() + busyMilliseconds, ports);
  }
}

/** What a fix of this finding keeps others from. */
function heldFor({ subject }: Finding, rule: AnyRule): string {
  return rule.holds?.(subject) ?? subject.arn;
}

/** What was found before the rule was set to remediate has no time, and waits for an operator's word. */
function isTooEarly({ fixing, fixAfter }: Finding, now: number): boolean {
  return fixing === undefined && (fixAfter === undefined || fixAfter > now);
}

/** Tick sends the finding once more. */
async function later({ id }: Finding, dueAt: number, { ledger }: FixPorts): Promise<readonly Alert[]> {
  await ledger.remind(id, dueAt);
  return [];
}

/** What is not put right now stays open, and tick need not send it again. */
async function rest({ id, dueAt }: Finding, { ledger }: FixPorts): Promise<readonly Alert[]> {
  if (dueAt !== undefined) await ledger.remind(id, undefined);
  return [];
}

async function tellResolved(finding: Finding, { publish }: FixPorts): Promise<readonly Alert[]> {
  const summary = `Put right, or gone: ${finding.subject.arn} no longer breaks this rule.`;
  const alert = alertAbout(finding, { status: 'resolved', summary });
  await publish([alert]);
  return [alert];
}

/** AWS will not let it be read again, or planned: said once, because trying again would not help. */
async function cannotBegin(
  finding: Finding,
  changeId: string,
  held: string,
  error: unknown,
  { ledger, publish, now }: FixPorts,
): Promise<readonly Alert[]> {
  const summary = `${finding.summary} Not put right: it could not be read again (${errorSummary(error)}); nothing was changed.`;
  const alert = alertAbout(finding, { status: 'failed', summary });
  await publish([alert]);
  await ledger.setStatus(finding.id, { status: 'failed', was: finding, cause: `change ${changeId}`, asOf: now() });
  await ledger.unlock(held, changeId);
  return [alert];
}

/** The first of a finding's fixes, the second …: the same id whenever the same message is delivered. */
function nextChangeId({ id, opened, attempts }: Finding): string {
  return createHash('sha256')
    .update(`${id}\n${opened}\n${attempts + 1}`)
    .digest('hex')
    .slice(0, 12);
}

async function exempt(finding: Finding, { ledger, now }: FixPorts): Promise<boolean> {
  const { rule, subject, id } = finding;
  const exemption = await ledger.exemption(rule, subject.arn, now());
  if (exemption === undefined) return false;
  await ledger.setStatus(id, { status: 'exempt', was: finding, cause: `exemption ${exemption.id}` });
  return true;
}

/** Nothing is left to do. A checker that saw it wrong since knows better, and then it is looked at once more. */
async function resolved(finding: Finding, changeId: string, asOf: number, ports: FixPorts): Promise<{ readonly alerts: readonly Alert[] }> {
  const { written, finding: ended = finding } = await ports.ledger.resolve(finding.id, { asOf, cause: `change ${changeId}` });
  if (written === 'stale') throw new RetryLater(`${finding.subject.arn} was read in the meantime`);
  return { alerts: written === 'changed' ? await tellResolved(ended, ports) : [] };
}

async function begin(
  finding: Finding,
  id: string,
  rule: AnyRule,
  ports: FixPorts,
): Promise<Change | { readonly alerts: readonly Alert[] }> {
  const { ledger, config, now, publish } = ports;
  const asOf = now();
  const violation = await violationOf(finding, rule, ports);
  if (violation === undefined) return await resolved(finding, id, asOf, ports);
  const { tags, severity = rule.severity } = violation;
  // Its tags may have changed since it was found: what has left the scope is only told.
  if (untouchable({ ...finding, tags }, config) !== undefined) {
    await rest(finding, ports);
    return { alerts: [] };
  }
  const byTags = exemptionByTags({ rule: rule.id, severity, tags }, config, now());
  if (byTags !== undefined && 'until' in byTags) {
    // The event of its tags is still on the way to the checker, which says so.
    await rest(finding, ports);
    return { alerts: [] };
  }
  const plan = await planFor({ ...finding, evidence: violation.evidence }, id, rule, ports);
  if (plan.refused !== undefined || plan.steps.length === 0) {
    // Perhaps because it was put right, or deleted, since it was judged.
    const lookedAt = now();
    if ((await violationOf(finding, rule, ports)) === undefined) return await resolved(finding, id, lookedAt, ports);
    const reason = plan.refused ?? 'There is no fix for it.';
    const parts = { status: 'open', summary: `${finding.summary} Not put right: ${reason}`, plan: describe(plan.steps, rule) } as const;
    // Not as a finding: remediators listen to open findings, and would refuse this one again for ever.
    const alert: Alert = { ...alertAbout(finding, parts), kind: 'failure' };
    await publish([alert]);
    await rest(finding, ports);
    return { alerts: [alert] };
  }
  const stopped = await stoppedByBudget(finding, id, ports);
  if (stopped !== undefined) return { alerts: stopped };
  const { subject } = finding;
  return await ledger.begin({
    id,
    finding: finding.id,
    rule: rule.id,
    resource: subject.arn,
    ...(rule.holds === undefined ? {} : { holds: rule.holds(subject) }),
    account: subject.account,
    region: subject.region,
    steps: plan.steps,
    calls: plan.steps.map((step) => (isWait(step) ? '' : nameOf(step.call, rule.fix))),
    remains: plan.remains ?? [],
    before: await stateOf(subject, rule, ports),
    done: 0,
    status: 'running',
    startedAt: new Date(now()).toISOString(),
    dueAt: now() + abandonedMilliseconds,
  });
}
