import { type Alert, alertAbout } from './alert.ts';
import { matchesGlob } from './arn.ts';
import type { Ports } from './check.ts';
import type { Exemption } from './ledger.ts';

/** How long a task has before it is sent again, in case whoever received it died. */
const againAfter = 5 * 60_000;

/** What tick asks of the others, over the guard's bus. */
export type Task =
  | { readonly task: 'fix'; readonly rule: string; readonly findingId: string }
  | { readonly task: 'digest'; readonly bucket: string }
  | { readonly task: 'sweep' };

/** The one clock of the guard: sends on whatever the ledger says is due. Two ticks at once send nothing twice. */
export async function tick({
  ledger,
  now,
}: Pick<Ports, 'ledger' | 'now'>): Promise<{ readonly tasks: readonly Task[]; readonly alerts: readonly Alert[] }> {
  const tasks: Task[] = [];
  const alerts: Alert[] = [];
  for (const due of await ledger.due(now())) {
    if (!(await ledger.postpone(due, now() + againAfter))) continue;
    if (due.kind === 'finding') tasks.push({ task: 'fix', rule: due.rule, findingId: due.id });
    if (due.kind === 'digest') tasks.push({ task: 'digest', bucket: due.id });
    if (due.kind === 'change') {
      const change = await ledger.change(due.id);
      if (change !== undefined) tasks.push({ task: 'fix', rule: change.rule, findingId: change.finding });
    }
    if (due.kind === 'exemption') alerts.push(...(await expire(due.id, { ledger, now })));
  }
  // The first sweep builds the indexes and baselines; later ones come by schedule.
  if ((await ledger.lastSweep()) === undefined) tasks.push({ task: 'sweep' });
  return { tasks, alerts };
}

/** An exemption is over: what it covered is open again. */
async function expire(id: string, { ledger, now }: Pick<Ports, 'ledger' | 'now'>): Promise<readonly Alert[]> {
  const alerts: Alert[] = [];
  let expired: Exemption | undefined;
  for await (const exemption of ledger.exemptions()) if (exemption.id === id) expired = exemption;
  if (expired === undefined) return alerts;
  for await (const finding of ledger.findings({ rule: expired.rule, status: 'exempt' })) {
    if (!matchesGlob(finding.subject.arn, expired.resource)) continue;
    const open = await ledger.setStatus(finding.id, { status: 'open', cause: `exemption ${id} expired`, asOf: now() });
    if (open !== undefined)
      alerts.push(alertAbout(open, { status: 'open', summary: `${open.summary} Its exemption (${expired.reason}) has expired.` }));
  }
  await ledger.removeExemption(id);
  return alerts;
}
