import type { Change } from '../guard/change.ts';
import { type Finding, isWrong, rankOf } from '../guard/finding.ts';
import { type Options, openSession } from './session.ts';
import { minuteOf, table, whoOf } from './terminal.ts';

/** What is wrong now, the gravest first; with --all what has ended as well. */
export async function findings(options: Options): Promise<'fine' | 'findings'> {
  const { ledger } = await openSession(options);
  const found = await Array.fromAsync(ledger.findings(typeof options['rule'] === 'string' ? { rule: options['rule'] } : {}));
  const shown = found.filter((finding) => options['all'] === true || isWrong(finding)).sort(gravestFirst);
  if (options['json'] === true) console.log(JSON.stringify(shown, null, 2));
  else if (shown.length === 0) console.log('Nothing is wrong.');
  else
    console.log(
      table(
        ['finding', 'severity', 'status', 'rule', 'first seen', 'last seen', 'by', 'resource'],
        shown.map((finding) => [
          finding.id,
          finding.severity,
          finding.status,
          finding.rule,
          minuteOf(finding.firstSeen),
          minuteOf(finding.lastSeen),
          actorOf(finding),
          finding.subject.arn,
        ]),
      ),
    );
  return found.some(isWrong) ? 'findings' : 'fine';
}

function gravestFirst(a: Finding, b: Finding): number {
  return rankOf(b.severity) - rankOf(a.severity) || a.firstSeen.localeCompare(b.firstSeen);
}

/** Sweeps find things that nobody is known to have done. */
function actorOf({ actor }: Finding): string {
  return actor === undefined ? '-' : whoOf(actor.arn);
}

/** What the guard changed. */
export async function changes(options: Options): Promise<'fine'> {
  const { ledger } = await openSession(options);
  const made: readonly Change[] = await Array.fromAsync(ledger.changes());
  if (options['json'] === true) console.log(JSON.stringify(made, null, 2));
  else if (made.length === 0) console.log('The guard has changed nothing.');
  else
    console.log(
      `${table(
        ['change', 'status', 'rule', 'begun', 'undone by', 'resource'],
        made.map(({ id, status, rule, startedAt, undoneBy = '-', resource }) => [
          id,
          status,
          rule,
          minuteOf(startedAt),
          undoneBy,
          resource,
        ]),
      )}\nnpm run guard -- undo <change> --for 7d --reason "<why>" takes one back.`,
    );
  return 'fine';
}

/** What is exempt, and until when. */
export async function exemptions(options: Options): Promise<'fine'> {
  const { ledger } = await openSession(options);
  const granted = (await Array.fromAsync(ledger.exemptions())).sort((a, b) => a.expires - b.expires);
  if (options['json'] === true) console.log(JSON.stringify(granted, null, 2));
  else if (granted.length === 0) console.log('Nothing is exempt.');
  else
    console.log(
      table(
        ['exemption', 'until', 'rule', 'resource', 'owner', 'by', 'reason'],
        granted.map(({ id, expires, rule, resource, owner, by, reason }) => [id, minuteOf(expires), rule, resource, owner, by, reason]),
      ),
    );
  return 'fine';
}
