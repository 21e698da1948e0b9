import { createHash } from 'node:crypto';
import { type Alert, alertAbout } from './alert.ts';
import { type AnyCall, iamName, type RecordedCall } from './call.ts';
import type { Change } from './change.ts';
import { evaluate, isAnswer, type Ports } from './check.ts';
import { errorKind, errorName, errorSummary, RetryLater } from './errors.ts';
import type { Finding, Status } from './finding.ts';
import { lower } from './mode.ts';
import { type AnyRule, isWait, type Plan, type Step, type Violation } from './rule.ts';
import { untouchable } from './scope.ts';

/** How long a fix holds its resource: longer than a remediator runs, so that a killed one frees it. */
const lockMilliseconds = 5 * 60_000;
/** How long tick leaves a change alone that is under way, before it sends it on again: its remediator was killed. */
const abandonedMilliseconds = 15 * 60_000;
/** How soon tick looks again at a resource that was busy. */
const busyMilliseconds = 15_000;
/** How long a resource may be busy before its change is given up. */
const patienceMilliseconds = 60 * 60_000;
/** How soon tick looks again at a change that a pause has stopped. */
const pausedMilliseconds = 5 * 60_000;

/**
 * finding → change: takes a finding by its id and puts its subject right, or goes on with a change that waited.
 * Nothing that the message says is believed but the id: the finding comes from the ledger, must be open, and the
 * subject is judged again. A message that is late, forged or delivered twice therefore does nothing.
 * @throws RetryLater (or what AWS threw, where it may pass): the queue delivers the message again
 */
export async function remediate(id: string, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, config, now } = ports;
  const finding = await ledger.finding(id);
  if (finding === undefined || finding.rule !== rule.id || finding.status !== 'open') return [];
  if (finding.fixing === undefined && (finding.fixAfter ?? 0) > now()) return [];
  const permission = await allowed(rule, ports);
  if (permission === 'paused') return await later(finding, now() + pausedMilliseconds, ports);
  if (permission !== 'yes') return [];
  if (untouchable(finding, config) !== undefined) return await rest(finding, ports);
  if (await exempt(finding, ports)) return [];
  const changeId = finding.fixing ?? nextChangeId(finding);
  try {
    if (!(await ledger.lock(finding.subject.arn, changeId, now(), lockMilliseconds)))
      throw new RetryLater('another change of it is under way');
    const change = (await ledger.change(changeId)) ?? (await begin(finding, changeId, rule, ports));
    const alerts = 'alerts' in change ? change.alerts : await run(change, finding, rule, ports);
    // A waiting change keeps its resource until it goes on; everything else is over.
    if ((await ledger.change(changeId))?.status !== 'waiting') await ledger.unlock(finding.subject.arn, changeId);
    return alerts;
  } catch (error) {
    if (isAnswer(error) && errorKind(error) !== 'passing' && (await ledger.change(changeId)) === undefined) {
      return await cannotBegin(finding, changeId, error, ports);
    }
    if (!isBusy(error)) throw error;
    // Lambda is still at work on the function, or another fix is: tick sends the finding again, sooner than the queue would.
    return await later(finding, now() + busyMilliseconds, ports);
  }
}

/** Tick sends the finding once more. */
async function later({ id, status, cause, fixing }: Finding, dueAt: number, { ledger }: Ports): Promise<readonly Alert[]> {
  await ledger.setStatus(id, { status, cause, dueAt, ...(fixing === undefined ? {} : { fixing }) });
  return [];
}

/** What is not put right now stays open, and tick need not send it again. */
async function rest({ id, status, cause, dueAt, fixing }: Finding, { ledger }: Ports): Promise<readonly Alert[]> {
  if (dueAt !== undefined) await ledger.setStatus(id, { status, cause, ...(fixing === undefined ? {} : { fixing }) });
  return [];
}

/** AWS will not let it be read again, or planned: said once, because trying again would not help. */
async function cannotBegin(finding: Finding, changeId: string, error: unknown, { ledger, publish, now }: Ports): Promise<readonly Alert[]> {
  const summary = `${finding.summary} Not put right: it could not be read again (${errorSummary(error)}); nothing was changed.`;
  const alert = alertAbout(finding, { status: 'failed', summary });
  await publish([alert]);
  await ledger.setStatus(finding.id, { status: 'failed', cause: `change ${changeId}`, asOf: now() });
  await ledger.unlock(finding.subject.arn, changeId);
  return [alert];
}

/** The resource is busy with another change: nothing is wrong, it is just too early. */
function isBusy(error: unknown): boolean {
  return error instanceof RetryLater || errorName(error) === 'ResourceConflictException';
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
  const { ledger, now, publish } = ports;
  const violation = await violationOf(finding, rule, ports);
  if (violation === undefined) {
    const resolved = alertAbout(finding, {
      status: 'resolved',
      summary: `Put right, or gone: ${finding.subject.arn} no longer breaks this rule.`,
    });
    await publish([resolved]);
    await ledger.resolve(finding.id, { asOf: now(), cause: `change ${id}` });
    return { alerts: [resolved] };
  }
  const plan = await planFor({ ...finding, evidence: violation.evidence }, id, rule, ports);
  if (plan.refused !== undefined || plan.steps.length === 0) {
    const reason = plan.refused ?? 'There is no fix for it.';
    const parts = { status: 'open', summary: `${finding.summary} Not put right: ${reason}`, plan: describe(plan.steps, rule) } as const;
    // Not as a finding: remediators listen to open findings, and would refuse this one again for ever.
    const alert: Alert = { ...alertAbout(finding, parts), kind: 'failure' };
    await publish([alert]);
    await rest(finding, ports);
    return { alerts: [alert] };
  }
  const { subject } = finding;
  return await ledger.begin({
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
    dueAt: now() + abandonedMilliseconds,
  });
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

/** What cannot be read counts as broken still. */
async function stillBreaks(finding: Finding, rule: AnyRule, ports: Ports): Promise<boolean> {
  try {
    return (await violationOf(finding, rule, ports)) !== undefined;
  } catch (error) {
    if (isAnswer(error) && errorKind(error) !== 'passing') return true;
    throw error;
  }
}

async function run(change: Change, finding: Finding, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, connect, now } = ports;
  if (change.status === 'waiting' && (change.resumeAt ?? 0) > now()) return [];
  if (change.status === 'reverting') return await giveUp(change, change.error ?? 'a step failed', finding, rule, ports);
  if (change.status !== 'running' && change.status !== 'waiting') return await conclude(change, finding, rule, ports);
  if (finding.fixing === undefined) {
    const { status, cause, attempts } = finding;
    await ledger.setStatus(finding.id, { status, cause, fixing: change.id, change: change.id, attempts: attempts + 1 });
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
        return await giveUp(
          { ...change, done: index },
          `${nameOf(step.call, rule.fix)} failed with ${errorSummary(error)}`,
          finding,
          rule,
          ports,
        );
      }
    }
    await ledger.progress(change.id, { done: index + 1, status: 'running', dueAt: now() + abandonedMilliseconds });
  }
  return await conclude(change, finding, rule, ports);
}

async function wait(change: Change, done: number, dueAt: number, { ledger, now }: Ports): Promise<void> {
  await ledger.progress(change.id, { done, status: 'waiting', dueAt, resumeAt: dueAt });
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
  const { arn } = finding.subject;
  const whole = { ...change, done: change.steps.length };
  let left: Violation | undefined;
  try {
    left = await violationOf(finding, rule, ports);
  } catch (error) {
    if (!isAnswer(error) || errorKind(error) === 'passing') throw error;
    const summary = `The fix was made; whether ${arn} still breaks this rule could not be read (${errorSummary(error)}): somebody has to look.`;
    return await end(whole, finding, { status: 'unknown', summary, change: { status: 'done' } }, rule, ports);
  }
  if (change.remains.length > 0) {
    const summary = `Put right in part: ${change.remains.join('; ')} still ${change.remains.length === 1 ? 'breaks' : 'break'} this rule.`;
    return await end(whole, finding, { status: 'partial', summary, change: { status: 'done' } }, rule, ports);
  }
  if (left === undefined) {
    return await end(
      whole,
      finding,
      { status: 'remediated', summary: `Put right: ${arn} no longer breaks this rule.`, change: { status: 'done' } },
      rule,
      ports,
    );
  }
  const summary = `The fix was made, and ${arn} still breaks this rule: somebody has to look.`;
  return await end(
    whole,
    finding,
    { status: 'failed', summary, change: { status: 'failed', error: 'it still breaks the rule after the fix' } },
    rule,
    ports,
  );
}

/** A step failed for good. Where the rule's undo may run here it runs; otherwise the alert carries the command. */
async function giveUp(change: Change, error: string, finding: Finding, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, connect, now } = ports;
  const takeBack = rule.probation && change.done > 0;
  if (takeBack) {
    // Written first: should AWS be busy now, the next delivery goes on taking back instead of trying the fix again.
    await ledger.progress(change.id, { done: change.done, status: 'reverting', error, dueAt: now() + abandonedMilliseconds });
    await undo(change, rule, connect(rule.undo as readonly AnyCall[]));
  }
  const state = takeBack
    ? 'what had been done was taken back'
    : change.done === 0
      ? 'nothing was changed'
      : 'the steps before it are in place';
  const summary = `The fix of ${finding.subject.arn} stopped: ${error}; ${state}.`;
  return await end(
    change,
    finding,
    { status: 'failed', summary, change: { status: takeBack ? 'reverted' : 'failed', error } },
    rule,
    ports,
  );
}

interface Ending {
  readonly status: Status & Alert['status'];
  readonly summary: string;
  readonly change: { readonly status: Change['status']; readonly error?: string };
}

/**
 * Tells how a change ended, then writes it down: whoever is killed in between tells it again, and the notifier knows
 * what it has sent. The other way round the alert would be lost.
 */
async function end(
  change: Change,
  finding: Finding,
  ending: Ending,
  rule: AnyRule,
  { ledger, publish, now }: Ports,
): Promise<readonly Alert[]> {
  const { status, summary } = ending;
  const alert = alertAbout(finding, { status, summary, change: changeOf(change, rule) });
  await publish([alert]);
  await ledger.progress(change.id, { done: change.done, ...ending.change });
  await ledger.setStatus(finding.id, { status, cause: `change ${change.id}`, change: change.id, asOf: now() });
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

function nameOf(call: string, calls: readonly AnyCall[]): string {
  const declared = calls.find(({ name }) => name === call);
  return declared === undefined ? call : iamName(declared);
}

function changeOf(change: Pick<Change, 'id' | 'steps' | 'done'>, rule: AnyRule): { id: string; calls: string[] } {
  return {
    id: change.id,
    calls: change.steps.slice(0, change.done).flatMap((step) => (isWait(step) ? [] : [nameOf(step.call, rule.fix)])),
  };
}

/** Steps as a person reads them, call by call. */
export function describe(steps: readonly Step[], rule: AnyRule): readonly string[] {
  return steps.map((step) =>
    isWait(step) ? `wait ${step.waitSeconds} s: ${step.why}` : `${nameOf(step.call, rule.fix)} ${JSON.stringify(step.input)}`,
  );
}
