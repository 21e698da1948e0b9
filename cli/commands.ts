import type { OperateRequest } from '../guard/operate.ts';
import { ruleOf } from './plan.ts';
import { ahead, type Options, openSession, WrongUse } from './session.ts';

type Arguments = readonly string[];

export async function exempt(options: Options, [rule = '', resource = '']: Arguments): Promise<'fine'> {
  return await ask(options, {
    action: 'exempt',
    rule: ruleOf(rule).id,
    resource,
    reason: String(options['reason']),
    owner: String(options['owner']),
    expires: ahead(options['for']),
  });
}

export async function unexempt(options: Options, [id = '']: Arguments): Promise<'fine'> {
  return await ask(options, { action: 'unexempt', id });
}

export async function pause(options: Options): Promise<'fine'> {
  return await ask(options, { action: 'pause', reason: String(options['reason']) });
}

export async function resume(options: Options): Promise<'fine'> {
  return await ask(options, { action: 'resume' });
}

export async function mode(options: Options, [rule = '', to = '']: Arguments): Promise<'fine'> {
  if (to !== 'off' && to !== 'alert' && to !== 'deployed')
    throw new WrongUse('A rule can be lowered to off or alert at run time, and set back with deployed; remediate needs a deployment.');
  return await ask(options, { action: 'mode', rule: ruleOf(rule).id, mode: to });
}

async function ask(options: Options, request: OperateRequest): Promise<'fine'> {
  const { operate } = await openSession(options);
  console.log(JSON.stringify(await operate(request)));
  return 'fine';
}
