import { connect } from '../aws/handle.ts';
import type { Change } from '../guard/change.ts';
import { errorKind, errorSummary } from '../guard/errors.ts';
import { type AnyRule, isWait } from '../guard/rule.ts';
import { isAsLeft, undo } from '../guard/run.ts';
import { rules } from '../rules/index.ts';
import { plain, Told } from './plain.ts';
import { asOperator, NotAllowed, readsAmong } from './policy.ts';
import { ahead, type Options, openSession, type Session, WrongUse } from './session.ts';

/**
 * Takes a change back with the operator's own credentials: the role that made it may be gone by now. The finding is
 * made exempt first, so that nothing is put right again under the operator's hands. It may be run again where it was
 * interrupted, and ends where it would have.
 */
export async function undoChange(options: Options, [id = '']: readonly string[]): Promise<'fine'> {
  const expires = ahead(options['for']);
  const session = await openSession(options);
  const { ledger, operate } = session;
  const change = await ledger.change(id);
  if (change === undefined) throw new WrongUse(`There is no change ${id}: \`npm run guard -- changes\` lists them.`);
  const rule = rules.find((candidate) => candidate.id === change.rule);
  if (rule === undefined)
    throw new WrongUse(
      `The rule ${change.rule} of this change is not in this version of the guard: check out the version that is deployed.`,
    );
  if (change.status === 'undone' || change.status === 'reverted') {
    console.log(plain(`Change ${id} was taken back before, by ${change.status === 'undone' ? change.undoneBy : 'the guard'}.`));
    return 'fine';
  }
  if (options['force'] !== true) await refuseIfChanged(change, rule, session);
  await operate({ action: 'undo', change: id, reason: String(options['reason']), expires });
  // Read again: from here on nobody else goes on with it.
  const { steps, done, resource } = (await ledger.change(id)) ?? change;
  const made = steps.slice(0, done).filter((step) => !isWait(step)).length;
  console.log(plain(`Taking back ${made} of ${steps.filter((step) => !isWait(step)).length} calls on ${resource}:`));
  await takeBack({ steps, done }, rule, session);
  await operate({ action: 'undone', change: id });
  console.log(plain(`Change ${id} is undone. ${change.rule} leaves ${resource} alone until ${new Date(expires).toISOString()}.`));
  return 'fine';
}

/** Whoever changed the subject since the change would lose their work. What is being taken back already has changed by that. */
async function refuseIfChanged(change: Change, rule: AnyRule, session: Session): Promise<void> {
  const { id, status, resource, before, after } = change;
  if (after === undefined || status === 'undoing' || status === 'reverting') return;
  const finding = await session.ledger.finding(change.finding);
  if (finding === undefined) throw new WrongUse(`The finding of change ${id} is gone: look at ${resource}, then give --force.`);
  const reads = readsAmong(rule.check);
  const state = await asOperator('The undo', [...reads, ...rule.undo], session, (watch) =>
    rule.state(finding.subject, { aws: connect(reads, session.connection, watch) }),
  );
  if (isAsLeft(change, state)) return;
  const own = isAsLeft({ after: before }, state) ? ' It is as it was before the change.' : '';
  throw new WrongUse(
    `${resource} is no longer as change ${id} left it, so somebody changed it since: nothing was taken back.${own}`,
    `The change left  ${JSON.stringify(after)}`,
    `Now it is        ${JSON.stringify(state) ?? 'gone'}`,
    'Look at it. With --force the change is taken back all the same.',
  );
}

async function takeBack(change: Pick<Change, 'steps' | 'done'>, rule: AnyRule, session: Session): Promise<void> {
  try {
    await asOperator('The undo', rule.undo, session, (watch) =>
      patiently(() => undo(change, rule, connect(rule.undo, session.connection, watch), (call) => console.log(`  ${call}`))),
    );
  } catch (error) {
    const why = isOfAws(error) ? errorSummary(error) : (error as Error).message;
    const lines = error instanceof NotAllowed ? error.message.split('\n') : [why];
    throw new Told('The undo stopped. What was taken back stays so; run the command again when the cause is gone.', ...lines);
  }
}

/** What AWS says may quote what was sent to it, and that may be a secret; the guard's own errors hold names only. */
function isOfAws(error: unknown): boolean {
  return typeof error === 'object' && error !== null && '$metadata' in error;
}

/** Again for a minute where AWS is busy with the resource: an undo is repeatable. */
async function patiently(action: () => Promise<void>, end = Date.now() + 60_000): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (errorKind(error) !== 'passing' || Date.now() > end) throw error;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await patiently(action, end);
  }
}
