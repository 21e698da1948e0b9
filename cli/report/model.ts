import { type Alert, alertAbout } from '../../guard/alert.ts';
import type { Change } from '../../guard/change.ts';
import { type Finding, isWrong, rankOf } from '../../guard/finding.ts';
import type { Exemption } from '../../guard/ledger.ts';
import type { Result } from '../formats.ts';

/** What a report tells. A scan knows what is wrong now; the rest is the ledger's. */
export interface Report extends Omit<Result, 'findings' | 'stats'> {
  /** What is wrong now, the gravest first. */
  readonly findings: readonly Open[];
  readonly history?: History;
}

/** A finding that is open, and since when, where that is known. */
export type Open = Alert & { readonly since?: string };

export interface History {
  /** From the call to the finding, in milliseconds, for whatever an event told of. */
  readonly toDetect: readonly number[];
  /** From the finding to its end, in milliseconds. */
  readonly toFix: readonly number[];
  readonly changes: readonly Change[];
  readonly exemptions: readonly Exemption[];
}

/** Of a scan, or of a replay. */
export function reportOfScan({ findings, ...frame }: Omit<Result, 'stats'>): Report {
  return { ...frame, findings: [...findings].sort(gravestFirst) };
}

/** What the ledger of a deployed guard knows. */
export function reportOfLedger(
  found: readonly Finding[],
  { changes, exemptions, ...frame }: Pick<Report, 'account' | 'regions' | 'at' | 'rules'> & Pick<History, 'changes' | 'exemptions'>,
): Report {
  const fixedAt = new Map(changes.map(({ id, fixedAt: moment }) => [id, moment]));
  const open = found.filter((finding) => isWrong(finding) && finding.status !== 'unknown');
  return {
    ...frame,
    findings: open
      .map((finding): Open => ({ ...alertAbout(finding, { status: finding.status }), since: finding.openedAt }))
      .sort(gravestFirst),
    unknown: found
      .filter(({ status }) => status === 'unknown')
      .map(({ rule, subject, summary }) => ({ rule, resource: subject.arn, why: summary })),
    history: {
      toDetect: found.flatMap(({ event, openedAt }) => (event === undefined ? [] : between(event.time, Date.parse(openedAt)))),
      toFix: found
        .filter(({ status }) => status === 'remediated' || status === 'resolved')
        .flatMap(({ openedAt, asOf, change }) => between(openedAt, fixedAt.get(change ?? '') ?? asOf)),
      changes: [...changes].sort((a, b) => b.startedAt.localeCompare(a.startedAt)),
      exemptions: [...exemptions].sort((a, b) => a.expires - b.expires),
    },
  };
}

function between(from: string, to: number): readonly number[] {
  const took = to - Date.parse(from);
  return Number.isNaN(took) ? [] : [Math.max(0, took)];
}

function gravestFirst(a: Open, b: Open): number {
  return (
    rankOf(b.severity) - rankOf(a.severity) ||
    (a.since ?? '').localeCompare(b.since ?? '') ||
    a.rule.localeCompare(b.rule) ||
    a.resource.arn.localeCompare(b.resource.arn)
  );
}

/** The value that half of them do not exceed; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1];
}
