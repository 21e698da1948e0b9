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
export async function tick(
  ports: Pick<Ports, 'ledger' | 'now' | 'publish'>,
): Promise<{ readonly tasks: readonly Task[]; readonly alerts: readonly Alert[] }> {
  const { ledger, now } = ports;
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
    if (due.kind === 'exemption') alerts.push(...(await expire(due.id, ports)));
  }
  // The first sweep builds the indexes and baselines; later ones come by schedule.
  if ((await ledger.lastSweep()) === undefined) tasks.push({ task: 'sweep' });
  return { tasks, alerts };
}

/** An exemption is over: what it covered is open again. It is removed last: whoever is killed in between tells it again. */
async function expire(id: string, { ledger, now, publish }: Pick<Ports, 'ledger' | 'now' | 'publish'>): Promise<readonly Alert[]> {
  const alerts: Alert[] = [];
  let expired: Exemption | undefined;
  for await (const exemption of ledger.exemptions()) if (exemption.id === id) expired = exemption;
  if (expired === undefined) return alerts;
  const cause = `exemption ${id} expired`;
  for await (const finding of ledger.findings({ rule: expired.rule })) {
    const covered = finding.status === 'exempt' && matchesGlob(finding.subject.arn, expired.resource);
    if (!covered && finding.cause !== cause) continue;
    const open = await ledger.setStatus(finding.id, { status: 'open', cause, asOf: now() });
    if (open === undefined) continue;
    const alert = alertAbout(open, { status: 'open', summary: `${open.summary} Its exemption (${expired.reason}) has expired.` });
    await publish([alert]);
    alerts.push(alert);
  }
  await ledger.removeExemption(id);
  return alerts;
}
