import { type Alert, alertAbout, alertOfGuard } from './alert.ts';
import { roleName } from './arn.ts';
import type { Finding } from './finding.ts';
import type { Ports } from './ports.ts';

const hour = 60 * 60_000;
const tenMinutes = 10 * 60_000;

/**
 * Stops a fight before the next fix of it: somebody brings back what was put right, again and again, or far more is put
 * right than anybody expects. Said once; what an operator ordered (`guard fix`) is not counted against the account.
 * @returns undefined where the fix may begin
 */
export async function stoppedByBudget(finding: Finding, changeId: string, ports: Ports): Promise<readonly Alert[] | undefined> {
  const { ledger, config, publish, now } = ports;
  const { perFinding, perAccount } = config.budget;
  const lately = (finding.fixes ?? []).filter((at) => at > now() - hour);
  if (lately.length >= perFinding) {
    const alert = alertAbout(finding, { status: 'failed', summary: fight(finding, lately.length) });
    await publish([alert]);
    await ledger.setStatus(finding.id, { status: 'failed', was: finding, cause: `budget ${changeId}`, asOf: now() });
    return [alert];
  }
  if (finding.orderedBy !== undefined || (await ledger.spend('changes', changeId, perAccount, tenMinutes, now()))) return undefined;
  const summary = `The guard made ${perAccount} changes within ten minutes and would have made more: it has paused itself (${new Date(now()).toISOString().slice(0, 16)}Z). Look at \`npm run guard -- changes\`; \`npm run guard -- resume\` lets it go on.`;
  const alert = alertOfGuard(config, { status: 'paused', title: 'Every fix is paused', summary });
  await publish([alert]);
  await ledger.setSwitch('paused', summary, 'the guard');
  await ledger.remind(finding.id, now() + tenMinutes);
  return [alert];
}

/** Who brings it back is named: a pipeline or a Terraform run has to be put right where it is written. */
function fight({ id, subject, actor, event }: Finding, times: number): string {
  const who = actor === undefined ? 'somebody' : `${roleName(actor.issuer)} (${actor.arn})`;
  const how = event === undefined ? '' : ` with ${event.name}`;
  return `Stopped: ${subject.arn} was put right ${times} times within an hour and broken again each time, last by ${who}${how}. The guard leaves it alone until \`npm run guard -- fix ${id}\`; put it right where it comes from.`;
}
