import { createHash } from 'node:crypto';
import { type Alert, alertAbout } from './alert.ts';
import { type AnyCall, iamName, type RecordedCall } from './call.ts';
import type { Change } from './change.ts';
import { evaluate, type Ports } from './check.ts';
import { errorKind, errorName, errorSummary, RetryLater } from './errors.ts';
import type { Finding, Status } from './finding.ts';
import { lower } from './mode.ts';
import { type AnyRule, type CallStep, isWait, type Plan, type Step, type Violation } from './rule.ts';
import { untouchable } from './scope.ts';

/** How long a fix holds its resource: longer than a remediator runs, so that a killed one frees it. */
const lockMilliseconds = 5 * 60_000;
/** How soon tick looks again at a change that a pause has stopped. */
const pausedMilliseconds = 5 * 60_000;

/**
 * finding → change: takes a finding by its id and puts its subject right, or goes on with a change that waited.
 * Nothing that the message says is believed but the id: the finding comes from the ledger, must be open, and the
 * subject is judged again. A message that is late, forged or delivered twice therefore does nothing.
 * @throws RetryLater (or what AWS threw, where it may pass): the queue delivers the message again
 */
export async function remediate(id: string, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, config, now, publish } = ports;
  const finding = await ledger.finding(id);
  if (finding === undefined || finding.rule !== rule.id || finding.status !== 'open') return [];
  if (finding.fixing === undefined && (finding.dueAt ?? 0) > now()) return [];
  if ((await allowed(rule, ports)) !== 'yes' || untouchable(finding, config) !== undefined) return [];
  if (await exempt(finding, ports)) return [];
  const changeId = finding.fixing ?? nextChangeId(finding);
  if (!(await ledger.lock(finding.subject.arn, changeId, now(), lockMilliseconds)))
    throw new RetryLater(`${finding.subject.arn} is being changed`);
  const begun = (await ledger.change(changeId)) ?? (await begin(finding, changeId, rule, ports));
  const alerts = 'alerts' in begun ? begun.alerts : await run(begun, finding, rule, ports);
  // A waiting change keeps its resource until it goes on; everything else is over.
  if ((await ledger.change(changeId))?.status !== 'waiting') await ledger.unlock(finding.subject.arn, changeId);
  if (alerts.length > 0) await publish(alerts);
  return alerts;
}

/** The first of a finding's fixes, the second …: the same id whenever the same message is delivered. */
function nextChangeId({ id, opened, attempts }: Finding): string {
  return createHash('sha256')
    .update(`${id}\n${opened}\n${attempts + 1}`)
    .digest('hex')
    .slice(0, 12);
}

async function allowed(rule: AnyRule, { ledger, config }: Ports): Promise<'yes' | 'paused' | 'mode'> {
  const { paused, modes } = await ledger.switches();
  if (paused) return 'paused';
  const deployed = config.rule(rule.id).mode;
  return lower(deployed, modes[rule.id] ?? deployed) === 'remediate' ? 'yes' : 'mode';
}

async function exempt({ rule, subject, id, dueAt }: Finding, { ledger, now }: Ports): Promise<boolean> {
  const exemption = await ledger.exemption(rule, subject.arn, now());
  if (exemption === undefined) return false;
  await ledger.setStatus(id, { status: 'exempt', cause: `exemption ${exemption.id}`, ...(dueAt === undefined ? {} : { dueAt }) });
  return true;
}

async function begin(finding: Finding, id: string, rule: AnyRule, ports: Ports): Promise<Change | { readonly alerts: readonly Alert[] }> {
  const { ledger, now } = ports;
  const violation = await violationOf(finding, rule, ports);
  if (violation === undefined) {
    const { finding: ended } = await ledger.resolve(finding.id, { asOf: now(), cause: `change ${id}` });
    return {
      alerts:
        ended === undefined
          ? []
          : [alertAbout(ended, { status: 'resolved', summary: `Put right, or gone: ${ended.subject.arn} no longer breaks this rule.` })],
    };
  }
  const plan = await planFor({ ...finding, evidence: violation.evidence }, id, rule, ports);
  if (plan.refused !== undefined || plan.steps.length === 0) {
    const reason = plan.refused ?? 'There is no fix for it.';
    return {
      alerts: [
        alertAbout(finding, { status: 'open', summary: `${finding.summary} Not put right: ${reason}`, plan: describe(plan.steps, rule) }),
      ],
    };
  }
  const { subject } = finding;
  const change = await ledger.begin({
    id,
    finding: finding.id,
    rule: rule.id,
    resource: subject.arn,
    account: subject.account,
    region: subject.region,
    steps: plan.steps,
    remains: plan.remains ?? [],
    done: 0,
    status: 'running',
    startedAt: new Date(now()).toISOString(),
  });
  await ledger.setStatus(finding.id, { status: 'open', cause: `change ${id}`, fixing: id, change: id, attempts: finding.attempts + 1 });
  return change;
}

/** The rule's plan for a finding, as it would be run. */
export async function planFor(
  finding: Finding,
  changeId: string,
  rule: AnyRule,
  { connect, ledger, config, now }: Omit<Ports, 'publish'>,
): Promise<Plan> {
  const { params } = config.rule(rule.id);
  return await rule.plan(finding, { aws: connect(rule.check), estate: ledger, params, settings: config.settings, now: now(), changeId });
}

async function violationOf(finding: Finding, rule: AnyRule, ports: Ports): Promise<Violation | undefined> {
  const { violations } = await evaluate(rule, finding.subject, undefined, ports);
  return violations.find(({ subject }) => subject.arn === finding.subject.arn);
}

async function run(change: Change, finding: Finding, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, connect, now } = ports;
  if (change.status === 'waiting' && (change.dueAt ?? 0) > now()) return [];
  if (change.status !== 'running' && change.status !== 'waiting') return await conclude(change, finding, rule, ports);
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
      if (errorKind(error) === 'passing') throw error;
      // A step whose RevisionId is used up may have been made before this process was killed: then all is well.
      if ((await violationOf(finding, rule, ports)) !== undefined) return await giveUp(change, index, error, finding, rule, ports);
    }
    await ledger.progress(change.id, { done: index + 1, status: 'running' });
  }
  return await conclude(change, finding, rule, ports);
}

async function wait(change: Change, done: number, dueAt: number, { ledger, now }: Ports): Promise<void> {
  await ledger.progress(change.id, { done, status: 'waiting', dueAt });
  await ledger.lock(change.resource, change.id, now(), dueAt - now() + lockMilliseconds);
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
async function conclude(change: Change, finding: Finding, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, now } = ports;
  const left = await violationOf(finding, rule, ports);
  const status: Status =
    left === undefined && change.remains.length === 0 ? 'remediated' : change.remains.length > 0 ? 'partial' : 'failed';
  await ledger.progress(
    change.id,
    status === 'failed' ? { status: 'failed', error: 'it still breaks the rule after the fix' } : { status: 'done' },
  );
  const kept = await ledger.setStatus(finding.id, { status, cause: `change ${change.id}`, change: change.id, asOf: now() });
  const summaries = {
    remediated: `Put right: ${finding.subject.arn} no longer breaks this rule.`,
    partial: `Put right in part: ${change.remains.join('; ')} still ${change.remains.length === 1 ? 'breaks' : 'break'} this rule.`,
    failed: `The fix was made, and ${finding.subject.arn} still breaks this rule: somebody has to look.`,
  } as const;
  const summary = status in summaries ? summaries[status as keyof typeof summaries] : finding.summary;
  return [alertAbout(kept ?? finding, { status, summary, change: changeOf(change, rule) })];
}

/** A step failed for good. Where the rule's undo may run here it runs; otherwise the alert carries the command. */
async function giveUp(
  change: Change,
  index: number,
  error: unknown,
  finding: Finding,
  rule: AnyRule,
  ports: Ports,
): Promise<readonly Alert[]> {
  const { ledger, connect, now } = ports;
  const stopped = { ...change, done: index };
  const takeBack = rule.probation && index > 0;
  if (takeBack) await undo(stopped, rule, connect(rule.undo as readonly AnyCall[]));
  const step = change.steps[index] as CallStep;
  const why = `${nameOf(step.call, rule.fix)} failed with ${errorSummary(error)}`;
  await ledger.progress(change.id, { done: takeBack ? 0 : index, status: takeBack ? 'reverted' : 'failed', error: why });
  const kept = await ledger.setStatus(finding.id, { status: 'failed', cause: `change ${change.id}`, change: change.id, asOf: now() });
  const state = takeBack ? 'what had been done was taken back' : index === 0 ? 'nothing was changed' : 'the steps before it are in place';
  return [
    alertAbout(kept ?? finding, {
      status: 'failed',
      summary: `The fix of ${finding.subject.arn} stopped: ${why}; ${state}.`,
      change: changeOf(stopped, rule),
    }),
  ];
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

function nameOf(call: string, calls: readonly AnyCall[]): string {
  const declared = calls.find(({ name }) => name === call);
  return declared === undefined ? call : iamName(declared);
}

function changeOf(change: Pick<Change, 'id' | 'steps' | 'done'>, rule: AnyRule): { id: string; calls: string[] } {
  return { id: change.id, calls: change.steps.flatMap((step) => (isWait(step) ? [] : [nameOf(step.call, rule.fix)])) };
}

/** Steps as a person reads them, call by call. */
export function describe(steps: readonly Step[], rule: AnyRule): readonly string[] {
  return steps.map((step) =>
    isWait(step) ? `wait ${step.waitSeconds} s: ${step.why}` : `${nameOf(step.call, rule.fix)} ${JSON.stringify(step.input)}`,
  );
}
