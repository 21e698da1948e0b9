import { connect } from '../aws/handle.ts';
import { errorKind } from '../guard/errors.ts';
import type { OperateRequest } from '../guard/operate.ts';
import { isWait } from '../guard/rule.ts';
import { undo } from '../guard/run.ts';
import { rules } from '../rules/index.ts';
import { ahead, type Options, openSession, WrongUse } from './session.ts';

type Arguments = readonly string[];

/** The open findings, the gravest first. */
export async function findings(options: Options): Promise<'fine' | 'findings'> {
  const { ledger } = await openSession(options);
  let open = 0;
  for await (const finding of ledger.findings(typeof options['rule'] === 'string' ? { rule: options['rule'] } : {})) {
    const ended = ['remediated', 'resolved', 'exempt', 'reverted'].includes(finding.status);
    if (!ended) open += 1;
    if (!ended || options['all'] === true)
      console.log(
        `${finding.id}  ${finding.severity.padEnd(8)} ${finding.status.padEnd(10)} ${finding.rule.padEnd(28)} ${finding.subject.arn}`,
      );
  }
  return open === 0 ? 'fine' : 'findings';
}

export async function changes(options: Options): Promise<'fine'> {
  const { ledger } = await openSession(options);
  for await (const change of ledger.changes()) {
    console.log(`${change.id}  ${change.startedAt}  ${change.status.padEnd(8)} ${change.rule.padEnd(28)} ${change.resource}`);
    if (change.status === 'done') console.log(`              npm run guard -- undo ${change.id} --for 7d --reason "<why>"`);
  }
  return 'fine';
}

/**
 * Takes a change back with the operator's own credentials: the role that made it may be gone by now. The finding is
 * made exempt first, so that nothing is put right again under the operator's hands.
 */
export async function undoChange(options: Options, [id = '']: Arguments): Promise<'fine'> {
  const expires = ahead(options['for']);
  const { ledger, connection, operate } = await openSession(options);
  const change = await ledger.change(id);
  if (change === undefined) throw new WrongUse(`There is no change ${id}: \`npm run guard -- changes\` lists them.`);
  const rule = rules.find((candidate) => candidate.id === change.rule);
  if (rule === undefined)
    throw new WrongUse(
      `The rule ${change.rule} of this change is not in this version of the guard: check out the version that is deployed.`,
    );
  if (change.status === 'undone') {
    console.log(`Change ${id} was undone before, by ${change.undoneBy}.`);
    return 'fine';
  }
  // Whoever ran it may be gone: from dueAt on nobody is at work on it.
  if ((change.status === 'running' || change.status === 'reverting') && (change.dueAt ?? 0) > Date.now())
    throw new WrongUse(`Change ${id} is being made at this moment (${change.status}): run the command again in a minute.`);
  await operate({ action: 'undo', change: id, reason: String(options['reason']), expires });
  const { steps } = change;
  console.log(`Taking back ${steps.filter((step) => !isWait(step)).length} steps on ${change.resource}:`);
  const takeBack = () =>
    undo({ steps, done: change.status === 'done' ? steps.length : change.done }, rule, connect(rule.undo, connection), (call) =>
      console.log(`  ${call}`),
    );
  await patiently(takeBack).catch((error: Error) => {
    const needed = [...new Set(rule.undo.flatMap(({ permissions }) => permissions.map(({ action }) => action)))].sort();
    throw new Error(
      `The undo stopped: ${error.name}: ${error.message}\nWhat was taken back stays so; run the command again. It needs ${needed.join(', ')}.`,
    );
  });
  await operate({ action: 'undone', change: id });
  console.log(`Change ${id} is undone. ${change.rule} leaves ${change.resource} alone until ${new Date(expires).toISOString()}.`);
  return 'fine';
}

export async function exempt(options: Options, [rule = '', resource = '']: Arguments): Promise<'fine'> {
  if (!rules.some(({ id }) => id === rule))
    throw new WrongUse(`There is no rule ${rule}; there are ${rules.map(({ id }) => id).join(', ')}.`);
  return await ask(options, {
    action: 'exempt',
    rule,
    resource,
    reason: String(options['reason']),
    owner: String(options['owner']),
    expires: ahead(options['for']),
  });
}

export async function pause(options: Options): Promise<'fine'> {
  return await ask(options, { action: 'pause', reason: String(options['reason']) });
}

export async function resume(options: Options): Promise<'fine'> {
  return await ask(options, { action: 'resume' });
}

export async function mode(options: Options, [rule = '', to = '']: Arguments): Promise<'fine'> {
  if (!rules.some(({ id }) => id === rule))
    throw new WrongUse(`There is no rule ${rule}; there are ${rules.map(({ id }) => id).join(', ')}.`);
  if (to !== 'off' && to !== 'alert' && to !== 'deployed')
    throw new WrongUse('A rule can be lowered to off or alert at run time, and set back with deployed; remediate needs a deployment.');
  return await ask(options, { action: 'mode', rule, mode: to });
}

async function ask(options: Options, request: OperateRequest): Promise<'fine'> {
  const { operate } = await openSession(options);
  console.log(JSON.stringify(await operate(request)));
  return 'fine';
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
