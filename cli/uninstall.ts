import type { Change } from '../guard/change.ts';
import { isWait } from '../guard/rule.ts';
import { explained } from './failures.ts';
import { plain } from './plain.ts';
import { type Options, openSession, type Session, WrongUse } from './session.ts';
import { confirmed, minuteOf, table } from './terminal.ts';
import { undoChange } from './undo.ts';

/** What the stack does not take with it, by the names that a session has for it. */
export const outliving = ['Ledger', 'Archive.Arn', 'Key.Arn', 'RoleBoundary', 'DirectDeployDenial'] as const;

/** What undo's exemption is for: the stack is gone long before. */
const reason = 'the guard is uninstalled';

/**
 * Before the stack goes: what the guard changed and is still so, and what it granted; pauses the guard and offers to take each
 * change back, the latest first. Deletes nothing itself.
 * @returns `findings` where something that the guard changed stays
 */
export async function uninstall(options: Options): Promise<'fine' | 'findings'> {
  if (options['yes'] === true && options['keep'] === true)
    throw new WrongUse('Give --yes to take every change back, or --keep to keep them, not both.');
  const session = await openSession(options);
  const live = await liveChanges(session);
  await show(live, session);
  const kept: Change[] = [];
  if (live.length > 0 && options['keep'] !== true) {
    if (options['yes'] !== true && !process.stdin.isTTY) throw new WrongUse('Nobody can be asked here: give --yes, or --keep.');
    await session.operate({ action: 'pause', reason });
    console.log('The guard is paused: it fixes nothing any more, until `npm run guard -- resume`.');
    // Until the pause others may have been made.
    for (const change of await liveChanges(session)) if (!(await takenBack(change, options))) kept.push(change);
  } else kept.push(...live);
  console.log(await whatIsLeft(kept, session, options));
  return kept.length === 0 ? 'fine' : 'findings';
}

/** The latest first. */
async function liveChanges({ ledger }: Session): Promise<readonly Change[]> {
  const changes = await Array.fromAsync(ledger.changes());
  return changes.filter(isLive).sort((a, b) => b.startedAt.localeCompare(a.startedAt));
}

/** Something of it is in the account. */
export function isLive({ status, done }: Change): boolean {
  return done > 0 && status !== 'undone' && status !== 'reverted';
}

async function show(live: readonly Change[], { ledger }: Session): Promise<void> {
  if (live.length === 0) console.log('Nothing that the guard changed is still so.');
  else {
    const rows = live.map(({ id, status, rule, startedAt, resource }) => [id, status, rule, minuteOf(startedAt), resource]);
    console.log(table(['change', 'status', 'rule', 'begun', 'resource'], rows));
  }
  const exemptions = await Array.fromAsync(ledger.exemptions());
  if (exemptions.length > 0) {
    const rows = exemptions.map(({ rule, resource, owner, expires, reason: why }) => [rule, resource, owner, minuteOf(expires), why]);
    console.log(`\nExemptions end with the guard:\n${table(['rule', 'resource', 'owner', 'until', 'reason'], rows)}`);
  }
}

/** Asks, and takes it back; what fails is told, and the next one is asked about. */
async function takenBack({ id, rule, resource }: Change, options: Options): Promise<boolean> {
  if (!(await confirmed(`Take back change ${id} of ${rule} on ${resource}?`, options))) return false;
  try {
    await undoChange({ ...options, for: '365d', reason }, [id]);
    return true;
  } catch (error) {
    console.log(`Change ${id} stays: ${explained(error)}`);
    return false;
  }
}

/** The names that a kept change gave to what it made, and functions now need. */
function made(changes: readonly Change[]): readonly string[] {
  const names = changes.flatMap(({ steps, done }) =>
    steps.slice(0, done).flatMap((step) => {
      if (isWait(step)) return [];
      if (step.call === 'createRole') return [`role ${step.input['RoleName']}`];
      return step.call === 'createSecret' ? [`secret ${step.input['Name']}`] : [];
    }),
  );
  return [...new Set(names)];
}

async function whatIsLeft(kept: readonly Change[], { names }: Session, { stack, region }: Options): Promise<string> {
  const needed = made(kept);
  return [
    '',
    ...(kept.length === 0
      ? []
      : [
          `${kept.length} ${kept.length === 1 ? 'change stays' : 'changes stay'}: nobody can take ${kept.length === 1 ? 'it' : 'them'} back with the guard once the stack is gone.`,
        ]),
    ...(needed.length === 0 ? [] : [`Functions need what was made for them: ${needed.join(', ')}.`]),
    `Next: sam delete --stack-name ${stack}${typeof region === 'string' ? ` --region ${region}` : ''}`,
    'These outlive the stack, because they hold what takes changes back and what was kept as evidence (README, "Remove it", says how to delete them):',
    ...outliving.flatMap((name) => (names[name] ? [`  ${names[name]}`] : [])),
  ]
    .map(plain)
    .join('\n');
}
