import { createHash } from 'node:crypto';
import * as z from 'zod';
import { type Alert, alertAbout, alertOfGuard } from './alert.ts';
import { functionArn, matchesGlob } from './arn.ts';
import { callsMade, heldBy } from './change.ts';
import { type Finding, findingId, isWrong } from './finding.ts';
import type { Exemption } from './ledger.ts';
import { lower } from './mode.ts';
import type { Ports } from './ports.ts';
import { lockMilliseconds } from './run.ts';

const day = 24 * 3600_000;
const reason = z.string().trim().min(3, 'say why, in a few words').max(500);
const until = z.number().int().describe('Milliseconds since 1970.');

/** What an operator may ask. Everything that changes how the guard acts goes through here, with the caller's name. */
export const requestSchema = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('exempt'),
    rule: z.string().min(1),
    resource: z.string().min(1),
    reason,
    owner: z.string().min(1),
    expires: until,
  }),
  z.object({ action: z.literal('unexempt'), id: z.string().min(1) }),
  z.object({ action: z.literal('pause'), reason }),
  z.object({ action: z.literal('resume') }),
  z.object({ action: z.literal('mode'), rule: z.string().min(1), mode: z.enum(['off', 'alert']).or(z.literal('deployed')) }),
  z.object({ action: z.literal('fix'), findings: z.array(z.string()).min(1).max(100) }),
  z.object({
    action: z.literal('approve'),
    function: z.string().min(1),
    sha256: z.string().min(1),
    runs: z.array(z.string().min(1)).min(1).max(1000).describe('What was seen running (Approval.runs).'),
  }),
  z.object({ action: z.literal('undo'), change: z.string().min(1), reason, expires: until }),
  z.object({ action: z.literal('undone'), change: z.string().min(1) }),
]);
export type OperateRequest = z.output<typeof requestSchema>;
type Request<Action extends OperateRequest['action']> = Extract<OperateRequest, { action: Action }>;

type OperatePorts = Pick<Ports, 'ledger' | 'config' | 'now' | 'publish'>;
type Answer = Readonly<Record<string, unknown>>;

/** The answer for a refused request: one sentence that says what to do. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/**
 * Carries out an operator's request, and tells of it.
 * @param by the caller's ARN, as AWS authenticated it
 * @throws Refused with one sentence
 */
export async function operate(body: unknown, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, config } = ports;
  if (config.operators.length > 0 && !config.operators.some((operator) => isBy(by, operator))) {
    throw new Refused(`${by} is not among the stack's Operators: ask one of them, or add the role to that parameter.`);
  }
  const read = requestSchema.safeParse(body);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new Refused(`The request cannot be read: ${issue?.path.join('.') || 'action'}: ${issue?.message}.`);
  }
  const request = read.data;
  switch (request.action) {
    case 'exempt':
      return await exempt(request, by, ports);
    case 'unexempt':
      return await unexempt(request, by, ports);
    case 'fix':
      return await fix(request, by, ports);
    case 'approve':
      return await approve(request, by, ports);
    case 'undo':
      return await undo(request, by, ports);
    case 'undone':
      return await undone(request, by, ports);
    case 'mode':
      return await mode(request, by, ports);
    case 'pause':
      await ledger.setSwitch('paused', request.reason, by);
      await tell({ status: 'paused', title: 'Every fix is paused', summary: `${by} paused every fix: ${request.reason}` }, ports);
      return { paused: true };
    case 'resume':
      await ledger.setSwitch('paused', undefined, by);
      await tell({ status: 'resolved', title: 'Fixes go on', summary: `${by} ended the pause: fixes go on.` }, ports);
      return { paused: false };
  }
}

/** From now on the guard leaves a resource alone: what is wrong with it is told no more, and not fixed. */
async function exempt({ action: _action, ...exemption }: Request<'exempt'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, now } = ports;
  limited(exemption.expires, now());
  const covered: Finding[] = [];
  for await (const finding of ledger.findings({ rule: exemption.rule }))
    if (isWrong(finding) && finding.status !== 'unknown' && matchesGlob(finding.subject.arn, exemption.resource)) covered.push(finding);
  refuseOwn(covered, by, 'exempt it');
  const id = createHash('sha256')
    .update(JSON.stringify([exemption, by]))
    .digest('hex')
    .slice(0, 12);
  const known = (await exemptionOf(id, ledger)) !== undefined;
  await ledger.addExemption({ id, by, since: now(), ...exemption });
  const until = new Date(exemption.expires).toISOString();
  for (const finding of covered) {
    await stop(finding.change, by, ledger);
    const summary = `${by} exempted ${finding.subject.arn} from this rule until ${until}: ${exemption.reason}`;
    await ports.publish([alertNow(finding, { status: 'exempt', summary })]);
    await mark(finding, `exemption ${id}`, ledger);
  }
  if (covered.length === 0 && !known) {
    const summary = `${by} exempted ${exemption.resource} from ${exemption.rule} until ${until}, where nothing is wrong now: ${exemption.reason}`;
    await tell({ status: 'exempt', rule: exemption.rule, title: 'An exemption', summary }, ports);
  }
  return { exemption: id, findings: covered.map((finding) => finding.id) };
}

async function unexempt({ id }: Request<'unexempt'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, now } = ports;
  const ended = await exemptionOf(id, ledger);
  if (ended === undefined) throw new Refused(`There is no exemption ${id}.`);
  // It ends as every exemption does, when tick comes by: what it covered is open again, and told.
  await ledger.addExemption({ ...ended, expires: now() });
  const summary = `${by} ended the exemption of ${ended.resource} from ${ended.rule}.`;
  await tell({ status: 'open', rule: ended.rule, title: 'An exemption ended', summary }, ports);
  return { removed: id };
}

/** Findings that were opened before their rule was set to remediate, or that the guard gave up: fixed now, by an operator's word. */
async function fix({ findings }: Request<'fix'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, now, publish } = ports;
  const all = await Promise.all(findings.map(async (id) => ({ id, finding: await ledger.finding(id) })));
  const { modes } = await ledger.switches();
  for (const { id, finding } of all) {
    if (finding === undefined) throw new Refused(`There is no finding ${id}.`);
    if (!isWrong(finding) || finding.status === 'unknown')
      throw new Refused(`Finding ${id} is ${finding.status}: only what is open, partial, failed or reverted can be fixed.`);
    const deployed = ports.config.rule(finding.rule).mode;
    if (lower(deployed, modes[finding.rule] ?? deployed) !== 'remediate')
      throw new Refused(`${finding.rule} is not in remediate: deploy it so, and the finding can be fixed.`);
  }
  for (const { finding } of all) {
    if (finding === undefined || finding.fixing !== undefined) continue;
    const ordered = { opened: finding.opened + 1, fixAfter: now(), dueAt: now(), orderedBy: by, fixes: [] };
    const to = { status: 'open', was: finding, cause: `ordered by ${by} at ${now()}`, ...ordered } as const;
    const open = await ledger.setStatus(finding.id, to);
    if (open === undefined) continue;
    // The remediator listens to open findings.
    await publish([alertNow(open, { status: 'open', summary: `${open.summary} ${by} has it fixed ${at(now())}.` })]);
  }
  return { fixing: findings };
}

/** The rule whose baselines an operator may approve. */
const codeRule = 'code-changed-by-hand';

/**
 * What runs of a function is right, whoever put it there. Only the word is written down here: a checker, which sees what
 * runs and may archive it, makes it the baseline if it still runs then.
 */
async function approve({ function: name, sha256, runs }: Request<'approve'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, config, now } = ports;
  const arn = functionArn(name, config.home);
  if (arn === undefined) throw new Refused(`${name} is no name of a function.`);
  const finding = await ledger.finding(findingId(codeRule, arn));
  if (finding !== undefined) refuseOwn([finding], by, 'approve it', (one) => isWrong(one) || one.status === 'exempt');
  const baseline = await ledger.baseline(arn);
  if (baseline === undefined) throw new Refused(`The guard knows no code of ${arn} yet: it does after the next sweep.`);
  const approval = { runs, sha256, by, at: new Date(now()).toISOString() };
  if (!(await ledger.recordBaseline({ ...baseline, approval, revision: (baseline.revision ?? 0) + 1 })))
    throw new Refused(`The baseline of ${arn} was changed at this moment: look at what runs, and approve it again.`);
  const summary = `${by} approved what ${arn} runs (${sha256}): it becomes the approved code when the guard looks at the function the next time, if it still runs then.`;
  await tell({ status: 'resolved', rule: codeRule, title: 'Code was approved', summary }, ports);
  return { function: arn, approved: sha256 };
}

/** Lowers a rule at once, or takes that back. Whatever is under way or watched would be left alone half way: that is refused. */
async function mode({ rule, mode: to }: Request<'mode'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger } = ports;
  if (to !== 'deployed') {
    for await (const change of ledger.changes()) {
      if (change.rule !== rule || !['running', 'waiting', 'probation', 'reverting'].includes(change.status)) continue;
      const what = change.status === 'probation' ? 'is on probation' : 'is under way';
      throw new Refused(
        `Change ${change.id} of ${change.resource} ${what}, and nobody would look after it: wait until it ends, undo it, or stop every fix with pause.`,
      );
    }
  }
  await ledger.setSwitch(`mode:${rule}`, to === 'deployed' ? undefined : to, by);
  const summary = to === 'deployed' ? `${by} set ${rule} back to the mode it was deployed with.` : `${by} lowered ${rule} to ${to}.`;
  await tell(
    { status: to === 'deployed' ? 'resolved' : 'paused', title: 'The mode of a rule', summary, rule: to === 'off' ? '*' : rule },
    ports,
  );
  return { rule, mode: to };
}

/** An undo that is not done by then was interrupted, and tick tells of it. */
const undoMilliseconds = 15 * 60_000;

/**
 * Before anything is taken back: what an operator undoes must not be put right again under their hands. It may be asked
 * for again where an undo was interrupted.
 */
/** Rules that take the undo of another rule's fix, of which an event tells, for a wrong of their own: they leave it alone as well. */
const seenBy: Readonly<Record<string, readonly string[]>> = { 'code-drifted': ['code-changed-by-hand'] };

async function undo({ change: id, reason, expires }: Request<'undo'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, now } = ports;
  limited(expires, now());
  const change = await ledger.change(id);
  if (change === undefined) throw new Refused(`There is no change ${id}.`);
  const { rule, resource, status, done, steps, resumeAt = 0, undoneBy = 'the guard' } = change;
  if (status === 'undone' || status === 'reverted') throw new Refused(`Change ${id} was taken back before, by ${undoneBy}.`);
  const finding = await ledger.finding(change.finding);
  if (finding !== undefined) refuseOwn([finding], by, 'take that back', () => true);
  // A change that waits keeps its resource; nobody is at work on it until it goes on, or while everything is paused.
  if (status === 'waiting' && (resumeAt > now() || (await ledger.switches()).paused)) await ledger.unlock(heldBy(change), id);
  if (!(await ledger.lock(heldBy(change), `undo-${id}`, now(), lockMilliseconds)))
    throw new Refused(`${resource} is being changed at this moment: ask again in a few minutes.`);
  const exemption = `undo-${id}`;
  const granted = { resource, reason, owner: by, expires, by, since: now() };
  await ledger.addExemption({ id: exemption, rule, ...granted });
  for (const other of seenBy[rule] ?? []) await ledger.addExemption({ id: `${exemption}-${other}`, rule: other, ...granted });
  // A killed remediator may have made one step more than it wrote down; to take back what was not made does nothing.
  const made = status === 'running' ? Math.min(done + 1, steps.length) : done;
  await ledger.progress(id, { status: 'undoing', undoneBy: by, done: made, dueAt: now() + undoMilliseconds });
  await ledger.setStatus(change.finding, { status: 'exempt', cause: `exemption ${exemption}`, change: id });
  return { change: id, exemption };
}

async function undone({ change: id }: Request<'undone'>, by: string, ports: OperatePorts): Promise<Answer> {
  const { ledger, publish } = ports;
  const change = await ledger.change(id);
  if (change === undefined) throw new Refused(`There is no change ${id}.`);
  if (change.status === 'undone') return { change: id, undoneBy: change.undoneBy };
  if (change.status !== 'undoing') throw new Refused(`Change ${id} is ${change.status}, and nobody takes it back: begin with undo.`);
  const finding = await ledger.finding(change.finding);
  if (finding !== undefined) {
    const summary = `${by} took the change of ${change.resource} back: it breaks this rule again, and is exempt from it for a time.`;
    await publish([alertAbout(finding, { status: 'exempt', summary, change: callsMade(change) })]);
  }
  await ledger.progress(id, { status: 'undone', undoneBy: by });
  await ledger.unlock(heldBy(change), `undo-${id}`);
  return { change: id, undoneBy: by };
}

/** What an operator does is told at once, also where a sweep had found what it is about. */
function alertNow(finding: Finding, parts: Parameters<typeof alertAbout>[1]): Alert {
  return alertAbout({ ...finding, sweep: undefined }, parts);
}

async function tell(about: Parameters<typeof alertOfGuard>[1], { config, publish, now }: OperatePorts): Promise<void> {
  await publish([alertOfGuard(config, { ...about, summary: `${about.summary} ${at(now())}` })]);
}

/** An act that is repeated is told again: the notifier sends the same words once a day. */
function at(now: number): string {
  return `(${new Date(now).toISOString().slice(0, 19)}Z)`;
}

/** Nobody exempts, approves or brings back what they themselves broke. */
function refuseOwn(findings: readonly Finding[], by: string, what: string, applies: (finding: Finding) => boolean = isWrong): void {
  const own = findings.find((finding) => applies(finding) && finding.actor !== undefined && isSame(finding.actor, by));
  if (own !== undefined) throw new Refused(`${by} made the change behind finding ${own.id}: somebody else has to ${what}.`);
}

async function exemptionOf(id: string, ledger: Ports['ledger']): Promise<Exemption | undefined> {
  for await (const exemption of ledger.exemptions()) if (exemption.id === id) return exemption;
  return undefined;
}

/** The same principal, or another session of the same role under the same name. */
function isSame({ arn, issuer }: { readonly arn: string; readonly issuer: string }, by: string): boolean {
  const session = by.slice(by.lastIndexOf('/') + 1);
  return arn === by || (isBy(by, issuer) && arn.endsWith(`/${session}`));
}

/** A finding that is exempt from now on, unless it ended meanwhile: what has ended would open again when the exemption is over. */
async function mark(finding: Finding, cause: string, ledger: Ports['ledger']): Promise<void> {
  let wrong: Finding | undefined = finding;
  while (wrong !== undefined && isWrong(wrong)) {
    if ((await ledger.setStatus(wrong.id, { status: 'exempt', was: wrong, cause })) !== undefined) return;
    wrong = await ledger.finding(wrong.id);
  }
}

/** A change that waits goes no further once its finding is exempt: what is done of it stays, and undo takes it back. */
async function stop(id: string | undefined, by: string, ledger: Ports['ledger']): Promise<void> {
  const change = id === undefined ? undefined : await ledger.change(id);
  if (change?.status !== 'waiting') return;
  await ledger.progress(change.id, { status: 'failed', error: `stopped by ${by}` });
  await ledger.unlock(heldBy(change), change.id);
}

function limited(expires: number, now: number): void {
  if (expires <= now) throw new Refused('The exemption would already be over: give a time that lies ahead.');
  if (expires > now + 366 * day) throw new Refused('An exemption lasts a year at most.');
}

/** Whether a caller's ARN is a session of this role, or the principal itself. */
function isBy(caller: string, operator: string): boolean {
  if (caller === operator) return true;
  const role = /^arn:([^:]+):iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(operator);
  return role !== null && caller.startsWith(`arn:${role[1]}:sts::${role[2]}:assumed-role/${role[3]}/`);
}
