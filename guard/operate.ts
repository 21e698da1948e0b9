import { createHash } from 'node:crypto';
import * as z from 'zod';
import { matchesGlob } from './arn.ts';
import type { Ports } from './check.ts';
import type { Status } from './finding.ts';
import type { Exemption } from './ledger.ts';

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
  z.object({ action: z.literal('undo'), change: z.string().min(1), reason, expires: until }),
  z.object({ action: z.literal('undone'), change: z.string().min(1) }),
]);
export type OperateRequest = z.output<typeof requestSchema>;

/** The answer for a refused request: one sentence that says what to do. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/**
 * Carries out an operator's request.
 * @param by the caller's ARN, as AWS authenticated it
 * @throws Refused with one sentence
 */
export async function operate(
  body: unknown,
  by: string,
  { ledger, config, now }: Pick<Ports, 'ledger' | 'config' | 'now'>,
): Promise<Readonly<Record<string, unknown>>> {
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
    case 'exempt': {
      limited(request.expires, now());
      const findings = [];
      for await (const finding of ledger.findings({ rule: request.rule }))
        if (matchesGlob(finding.subject.arn, request.resource)) findings.push(finding);
      const own = findings.find(({ actor, status }) => isWrong(status) && actor?.arn === by);
      if (own !== undefined) throw new Refused(`${by} made the change behind finding ${own.id}: somebody else has to exempt it.`);
      const { action: _action, ...exemption } = request;
      const id = createHash('sha256')
        .update(JSON.stringify([exemption, by]))
        .digest('hex')
        .slice(0, 12);
      await ledger.addExemption({ id, by, ...exemption });
      for (const { id: finding, status, change } of findings) {
        if (!isWrong(status)) continue;
        await stop(change, by, ledger);
        await ledger.setStatus(finding, { status: 'exempt', cause: `exemption ${id}` });
      }
      return { exemption: id };
    }
    case 'unexempt': {
      let ended: Exemption | undefined;
      for await (const exemption of ledger.exemptions()) if (exemption.id === request.id) ended = exemption;
      if (ended === undefined) throw new Refused(`There is no exemption ${request.id}.`);
      // It ends as every exemption does, when tick comes by: what it covered is open again, and told.
      await ledger.addExemption({ ...ended, expires: now() });
      return { removed: request.id };
    }
    case 'pause':
      await ledger.setSwitch('paused', request.reason, by);
      return { paused: true };
    case 'resume':
      await ledger.setSwitch('paused', undefined, by);
      return { paused: false };
    case 'mode':
      await ledger.setSwitch(`mode:${request.rule}`, request.mode === 'deployed' ? undefined : request.mode, by);
      return { rule: request.rule, mode: request.mode };
    case 'undo': {
      limited(request.expires, now());
      const change = await ledger.change(request.change);
      if (change === undefined) throw new Refused(`There is no change ${request.change}.`);
      // Before anything is taken back: what an operator undoes must not be put right again under their hands.
      const id = `undo-${change.id}`;
      await ledger.addExemption({
        id,
        rule: change.rule,
        resource: change.resource,
        reason: request.reason,
        owner: by,
        expires: request.expires,
        by,
      });
      await stop(change.id, by, ledger);
      await ledger.setStatus(change.finding, { status: 'exempt', cause: `exemption ${id}`, change: change.id });
      return { change: change.id, exemption: id };
    }
    case 'undone':
      await ledger.progress(request.change, { status: 'undone', undoneBy: by });
      return { change: request.change, undoneBy: by };
  }
}

/** A change that waits goes no further once its finding is exempt: what is done of it stays, and undo takes it back. */
async function stop(id: string | undefined, by: string, ledger: Ports['ledger']): Promise<void> {
  const change = id === undefined ? undefined : await ledger.change(id);
  if (change?.status !== 'waiting') return;
  await ledger.progress(change.id, { status: 'failed', error: `stopped by ${by}` });
  await ledger.unlock(change.resource, change.id);
}

/** What somebody has to look at, and may be exempted from. */
function isWrong(status: Status): boolean {
  return status === 'open' || status === 'partial' || status === 'failed';
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
